//! Declarations: clients, providers, connections and jobs as YAML, and what applying them would change.
//!
//! Owns the file's format ([`parse()`]), the comparison with what stands ([`plan()`]) and the way back ([`to_yaml`]). All three are pure:
//! writing is one call of the store, printing is the CLI's. Refuses secrets in the file, and never deletes: what is no
//! longer declared stays as it is.

mod export;
mod parse;
mod plan;
mod secrets;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

pub use export::to_yaml;
pub use parse::parse;
pub use plan::{Change, CurrentState, Plan, Verdict, plan};

use crate::{
    domain::{
        schedule::Schedule,
        status::{ClientStatus, Environment, ProviderStatus, SyncMode},
    },
    yaml,
};

/// What is known of a provider from its connector folder.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownProvider {
    pub key: String,
    pub name: String,
    pub category: String,
    pub auth_type: String,
    pub streams: Vec<KnownStream>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct KnownStream {
    pub name: String,
    pub sync_modes: Vec<SyncMode>,
}

/// What a declaration is held against.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub providers: Vec<KnownProvider>,
    /// Keys of clients that stand already; a declaration can name them without declaring them again.
    pub client_keys: Vec<String>,
}

/// Checked declarations of one or several files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeclarationFile {
    pub clients: Vec<ClientEntry>,
    pub providers: Vec<ProviderEntry>,
    pub connections: Vec<ConnectionEntry>,
    /// Facts from the folders of all providers that are named.
    pub folders: Vec<KnownProvider>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ClientEntry {
    pub key: String,
    pub name: String,
    pub status: ClientStatus,
}

/// What a person says of a provider; the rest comes from its folder.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderEntry {
    pub key: String,
    pub owner: Option<String>,
    pub reason: Option<String>,
    pub status: ProviderStatus,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionEntry {
    pub place: Place,
    pub key: String,
    pub client: String,
    pub provider: String,
    pub provider_account_id: String,
    pub environment: Environment,
    pub owner: Option<String>,
    pub reason: Option<String>,
    pub source_label: String,
    pub credential: Option<String>,
    pub scopes: Vec<String>,
    pub refresh_policy: Option<String>,
    pub revocation_path: Option<String>,
    pub failure_path: Option<String>,
    pub rollback_path: Option<String>,
    /// References, the present one first.
    pub webhook_secrets: Vec<String>,
    pub config: Value,
    pub jobs: Vec<JobEntry>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct JobEntry {
    pub stream: String,
    pub sync_mode: SyncMode,
    pub schedule: Schedule,
    pub stale_after_seconds: Option<i64>,
}

/// Where an entry begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: Option<u64>,
}

/// One thing that is wrong with a declaration. Never holds a value of `config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclarationProblem {
    pub place: Place,
    /// Path in the file, e.g. `connections[0].jobs[1].schedule`.
    pub field: String,
    pub message: String,
    pub remedy: String,
}

impl DeclarationProblem {
    fn of(file: &str, problem: yaml::Problem) -> Self {
        let place = Place { file: file.to_owned(), line: problem.line };
        Self { place, field: problem.field, message: problem.message, remedy: problem.remedy }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

impl fmt::Display for DeclarationProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

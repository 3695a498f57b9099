//! The conformance kit: whether a connector folder does what its provider, and this program, need of it.
//!
//! Owns three kinds of checks: static ones over the folder (`folder`), the folder's fixtures replayed through decoding, selection,
//! transformation and field map against what is kept beside them (`replay`), and scenarios over real HTTP against a simulated provider
//! that is derived from the manifest and its fixtures (`scenario` lists them). Works on any folder, also one that somebody else wrote.
//! Refuses to touch a database or a provider: whatever is asked goes to a port of this machine.
//!
//! A check passes, fails with a reason and a remedy, or does not apply with a reason. The score is passed of applicable; `score` keeps it
//! beside the folder with a digest, so that a folder that was changed has none.

mod asked;
mod clock;
mod connection;
mod fixtures;
mod folder;
mod pages;
mod play;
mod play_faults;
mod play_shape;
mod play_shift;
mod play_time;
mod provider;
mod readme;
mod replay;
mod sample;
mod scenario;
pub mod score;
mod server;
mod setup;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_paging;
mod walk;
mod world;

use std::sync::Arc;

pub use scenario::Scenario;
use serde::{Deserialize, Serialize};

use crate::connector::{
    manifest::trial::Profile,
    registry::{Kind, ProviderFolder},
};

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed { reason: String, remedy: String },
    NotApplicable { reason: String },
}

impl Outcome {
    pub fn failed(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Failed { reason: without_detour(&reason.into()), remedy: remedy.into() }
    }

    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::NotApplicable { reason: reason.into() }
    }

    /// Passed, unless something is wrong.
    pub fn unless(wrong: Option<String>, remedy: &str) -> Self {
        wrong.map_or(Self::Passed, |reason| Self::failed(reason, remedy))
    }
}

/// Addresses as they were meant: the port of the simulated provider is another each time. One that the manifest itself names stays.
fn without_detour(reason: &str) -> String {
    let mut parts = reason.split("127.0.0.1:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let behind = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match behind.strip_prefix("/https/").or_else(|| behind.strip_prefix("/http/")) {
            Some(meant) => out.push_str(meant),
            None => {
                out.push_str("127.0.0.1:");
                out.push_str(part);
            }
        }
    }
    out
}

/// One check of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A stable word, e.g. `cursor_ties`; docs/conformance.md has a section of that name.
    pub id: String,
    /// The stream that it is about; none: the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Check {
    pub fn of(id: &str, stream: Option<&str>, outcome: Outcome) -> Self {
        Self { id: id.to_owned(), stream: stream.map(str::to_owned), outcome }
    }
}

/// What became of all checks of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub checks: Vec<Check>,
}

impl Report {
    pub fn passed(&self) -> usize {
        self.checks.iter().filter(|check| check.outcome == Outcome::Passed).count()
    }

    pub fn applicable(&self) -> usize {
        self.checks.iter().filter(|check| !matches!(check.outcome, Outcome::NotApplicable { .. })).count()
    }

    /// The checks that failed, with reason and remedy.
    pub fn failures(&self) -> impl Iterator<Item = (&Check, &str, &str)> {
        self.checks.iter().filter_map(|check| match &check.outcome {
            Outcome::Failed { reason, remedy } => Some((check, reason.as_str(), remedy.as_str())),
            Outcome::Passed | Outcome::NotApplicable { .. } => None,
        })
    }
}

/// Checks a folder. With `write`, what becomes of its fixtures is written down anew instead of compared.
///
/// # Errors
/// This machine gives no port to listen on, or a file cannot be written.
pub async fn examine(folder: &ProviderFolder, write: bool) -> std::io::Result<Report> {
    let mut checks = folder::checks(folder);
    let server = server::Server::start().await?;
    let profiles = match &folder.kind {
        Kind::Manifest(manifest) => manifest.profiles().into_iter().map(Some).collect(),
        Kind::File(source) => source.streams().iter().map(|_| None).collect::<Vec<_>>(),
    };
    for (at, profile) in profiles.into_iter().enumerate() {
        let name = folder.streams[at].name.clone();
        let replayed = replay::stream(folder, &name, profile.as_ref(), &server, write).await?;
        checks.push(Check::of("fixtures_replayed", Some(&name), replayed));
        checks.extend(scenarios(folder, &name, profile, &server).await);
    }
    Ok(Report { checks })
}

/// Plays all scenarios with a stream.
async fn scenarios(
    folder: &ProviderFolder,
    name: &str,
    profile: Option<Profile>,
    server: &server::Server,
) -> Vec<Check> {
    let none = |reason: &str| {
        let outcome = || Outcome::not_applicable(reason);
        Scenario::ALL.iter().map(|scenario| Check::of(scenario.id(), Some(name), outcome())).collect()
    };
    let (Kind::Manifest(manifest), Some(profile)) = (&folder.kind, profile) else {
        return none("files are read, and nobody is asked");
    };
    let map = folder.map(name).map(Arc::clone);
    let made = setup::Setup::of(&folder.dir, &folder.provider_key, manifest, profile, map, server).await;
    match made {
        Err(reason) => {
            let mut checks = vec![Check::of("simulated", Some(name), unsimulated(&reason))];
            checks.extend(none(&format!("not simulated: {reason}")));
            checks
        }
        Ok(setup) => {
            let mut checks = vec![Check::of("simulated", Some(name), Outcome::Passed)];
            for scenario in Scenario::ALL {
                checks.push(Check::of(scenario.id(), Some(name), play::play(*scenario, &setup).await));
            }
            checks
        }
    }
}

/// A stream that could be simulated, had its folder what is needed, fails; one that cannot be, does not apply.
fn unsimulated(reason: &str) -> Outcome {
    if reason.contains("answers in JSON") || reason.contains("no plain path") || reason == sample::OF_THE_WINDOW {
        return Outcome::not_applicable(reason);
    }
    Outcome::failed(
        reason,
        "keep fixtures in the provider's documented shape: a first page that leads on, and a last page",
    )
}

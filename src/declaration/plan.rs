//! What applying a declaration would change: a pure comparison, and the one thing that the store writes.
//!
//! Idempotent: what stands already is neither written nor acted upon. Nothing is deleted.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{ClientEntry, ConnectionEntry, DeclarationFile, DeclarationProblem, JobEntry, KnownProvider};
use crate::{
    domain::{
        clock::Timestamp,
        schedule::{Schedule, format_duration, spread_seed},
        status::ProviderStatus,
    },
    store::catalogue::{AdminAction, Client, Connection, ConnectionSpec, Declaration, Job, JobSpec, Provider},
};

/// What stands: all rows of the catalogue.
#[derive(Debug, Clone, Default)]
pub struct CurrentState {
    pub clients: Vec<Client>,
    pub providers: Vec<Provider>,
    pub connections: Vec<Connection>,
    pub jobs: Vec<Job>,
}

/// What happens to one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Create,
    Change,
    Unchanged,
    /// It stands, but is not declared: it stays as it is.
    Left,
}

/// One line of the plan, e.g. `~ job acme-hubspot/contacts schedule: "every 15m" -> "every 1h"`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub verdict: Verdict,
    /// `client`, `provider`, `connection` or `job`.
    pub kind: &'static str,
    pub key: String,
    /// What differs: field, before, after.
    pub fields: Vec<(String, Value, Value)>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key, .. } = self;
        match self.verdict {
            Verdict::Create => write!(f, "+ {kind} {key}"),
            Verdict::Unchanged => write!(f, "= {kind} {key} unchanged"),
            Verdict::Left => write!(f, "? {kind} {key} is not declared; it stays as it is"),
            Verdict::Change => {
                for (index, (field, before, after)) in self.fields.iter().enumerate() {
                    let end = if index + 1 == self.fields.len() { "" } else { "\n" };
                    write!(f, "~ {kind} {key} {field}: {before} -> {after}{end}")?;
                }
                Ok(())
            }
        }
    }
}

/// What is to be written, and what to tell.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Plan {
    /// Holds only what is new or different.
    pub declaration: Declaration,
    /// One for each thing that is declared or stands: clients, providers, connections, jobs, in this order.
    pub changes: Vec<Change>,
    /// What a change does not do by itself.
    pub notes: Vec<String>,
}

impl Plan {
    /// Nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| matches!(change.verdict, Verdict::Unchanged | Verdict::Left))
    }

    /// Names who acts, for the record of human acts; before, it is `tidegate apply`.
    pub fn by(mut self, actor: &str) -> Self {
        for action in &mut self.declaration.actions {
            actor.clone_into(&mut action.actor);
        }
        self
    }

    /// Notes one thing; `true` when it is to be written.
    fn note<T: Serialize>(&mut self, kind: &'static str, key: &str, before: Option<&T>, after: &T) -> bool {
        let (before, after) = (before.map(as_json), as_json(after));
        let fields = before.as_ref().map(|before| differences(before, &after)).unwrap_or_default();
        let verdict = match (&before, fields.is_empty()) {
            (None, _) => Verdict::Create,
            (Some(_), true) => Verdict::Unchanged,
            (Some(_), false) => Verdict::Change,
        };
        let write = matches!(verdict, Verdict::Create | Verdict::Change);
        if write {
            let act = if before.is_none() { "create" } else { "change" };
            self.declaration.actions.push(AdminAction {
                actor: "tidegate apply".to_owned(),
                action: format!("{kind}.{act}"),
                subject_type: kind.to_owned(),
                subject_key: key.to_owned(),
                reason: None,
                before,
                after: Some(after),
            });
        }
        self.changes.push(Change { verdict, kind, key: key.to_owned(), fields });
        write
    }

    fn left(&mut self, kind: &'static str, key: String) {
        self.changes.push(Change { verdict: Verdict::Left, kind, key, fields: Vec::new() });
    }
}

fn as_json<T: Serialize>(value: &T) -> Value {
    // Only strings, numbers and objects with text keys: this cannot fail.
    serde_json::to_value(value).unwrap_or_default()
}

fn differences(before: &Value, after: &Value) -> Vec<(String, Value, Value)> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Vec::new() };
    after
        .iter()
        .filter_map(|(field, new)| {
            let old = before.get(field).unwrap_or(&Value::Null);
            (old != new).then(|| (field.clone(), old.clone(), new.clone()))
        })
        .collect()
}

/// Compares what is wanted with what stands. `now` is when new jobs on an interval become due.
///
/// # Errors
/// What cannot be: a connection that would change its client, an account that belongs to another connection.
pub fn plan(current: &CurrentState, wanted: &DeclarationFile, now: Timestamp) -> Result<Plan, Vec<DeclarationProblem>> {
    let problems: Vec<_> = wanted.connections.iter().flat_map(|entry| conflicts(current, wanted, entry)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut plan = Plan::default();
    for entry in &wanted.clients {
        plan_client(&mut plan, current, entry);
    }
    for folder in &wanted.folders {
        plan_provider(&mut plan, current, wanted, folder);
    }
    for entry in &wanted.connections {
        let before = current.connections.iter().find(|known| known.spec.connection_key == entry.key);
        let spec = spec(wanted, entry);
        if plan.note("connection", &entry.key, before.map(|known| &known.spec), &spec) {
            if let Some(before) = before {
                cursors_stay(&mut plan, current, &before.spec, &spec);
            }
            plan.declaration.connections.push(spec);
        }
    }
    for entry in &wanted.connections {
        for job in &entry.jobs {
            plan_job(&mut plan, current, entry, job, now);
        }
    }
    leave(&mut plan, current, wanted);
    Ok(plan)
}

/// A cursor goes back only by hand (P2): who asks for other records has to say so.
fn cursors_stay(plan: &mut Plan, current: &CurrentState, before: &ConnectionSpec, after: &ConnectionSpec) {
    let key = &after.connection_key;
    let asks_anew = before.config != after.config || before.provider_account_id != after.provider_account_id;
    if asks_anew && current.jobs.iter().any(|job| job.spec.connection_key == *key && job.cursor_state.is_some()) {
        plan.notes.push(format!(
            "connection {key} asks for something else now, and its cursors stay where they are; if that leads to other records (an \
             account, a place, an earlier start): tidegate run-once --connection {key} --full"
        ));
    }
}

fn plan_client(plan: &mut Plan, current: &CurrentState, entry: &ClientEntry) {
    #[derive(Serialize)]
    struct Declared<'a> {
        name: &'a str,
        status: crate::domain::status::ClientStatus,
    }
    let before = current.clients.iter().find(|known| known.client_key == entry.key);
    let before = before.map(|known| Declared { name: &known.name, status: known.status });
    if plan.note("client", &entry.key, before.as_ref(), &Declared { name: &entry.name, status: entry.status }) {
        plan.declaration.clients.push((entry.key.clone(), entry.name.clone(), entry.status));
    }
}

fn plan_provider(plan: &mut Plan, current: &CurrentState, wanted: &DeclarationFile, folder: &KnownProvider) {
    let before = current.providers.iter().find(|known| known.provider_key == folder.key);
    let entry = wanted.providers.iter().find(|entry| entry.key == folder.key);
    // Without an entry, what a person said before still holds.
    let (owner, reason, status) = match (entry, before) {
        (Some(entry), _) => (entry.owner.clone(), entry.reason.clone(), entry.status),
        (None, Some(before)) => (before.owner.clone(), before.reason.clone(), before.status),
        (None, None) => (None, None, ProviderStatus::Active),
    };
    let provider = Provider {
        provider_key: folder.key.clone(),
        name: folder.name.clone(),
        category: folder.category.clone(),
        auth_type: folder.auth_type.clone(),
        status,
        owner,
        reason,
    };
    if plan.note("provider", &folder.key, before, &provider) {
        plan.declaration.providers.push(provider);
    }
}

fn plan_job(plan: &mut Plan, current: &CurrentState, entry: &ConnectionEntry, job: &JobEntry, now: Timestamp) {
    #[derive(Serialize)]
    struct Declared {
        sync_mode: crate::domain::status::SyncMode,
        schedule: String,
        stale_after: Option<String>,
    }
    let declared = |spec: &JobSpec| Declared {
        sync_mode: spec.sync_mode,
        schedule: spec.schedule.clone().unwrap_or_else(|| Schedule::Manual.to_string()),
        stale_after: spec
            .stale_after_seconds
            .map(|seconds| format_duration(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))),
    };
    let before = current
        .jobs
        .iter()
        .map(|known| &known.spec)
        .find(|spec| spec.connection_key == entry.key && spec.stream == job.stream);
    let spec = JobSpec {
        connection_key: entry.key.clone(),
        stream: job.stream.clone(),
        sync_mode: job.sync_mode,
        schedule: (job.schedule != Schedule::Manual).then(|| job.schedule.to_string()),
        stale_after_seconds: job.stale_after_seconds,
    };
    let key = format!("{}/{}", entry.key, job.stream);
    if plan.note("job", &key, before.map(declared).as_ref(), &declared(&spec)) {
        let seed = spread_seed(&entry.key, &job.stream);
        let due = match before {
            None => job.schedule.first_due(now, seed),
            Some(before) if before.schedule != spec.schedule => job.schedule.next_after(now, seed),
            // The schedule stands, and so does the next run.
            Some(_) => None,
        };
        plan.declaration.jobs.push((spec, due));
    }
}

fn spec(wanted: &DeclarationFile, entry: &ConnectionEntry) -> ConnectionSpec {
    let folder = wanted.folders.iter().find(|folder| folder.key == entry.provider);
    ConnectionSpec {
        connection_key: entry.key.clone(),
        client_key: entry.client.clone(),
        provider_key: entry.provider.clone(),
        provider_account_id: entry.provider_account_id.clone(),
        environment: entry.environment,
        owner: entry.owner.clone(),
        reason: entry.reason.clone(),
        source_label: entry.source_label.clone(),
        auth_type: folder.map_or_else(String::new, |folder| folder.auth_type.clone()),
        scopes: entry.scopes.clone(),
        credential_ref: entry.credential.clone(),
        refresh_policy: entry.refresh_policy.clone(),
        revocation_path: entry.revocation_path.clone(),
        failure_path: entry.failure_path.clone(),
        rollback_path: entry.rollback_path.clone(),
        webhook_secrets: entry.webhook_secrets.clone(),
        config: entry.config.clone(),
    }
}

fn conflicts(current: &CurrentState, wanted: &DeclarationFile, entry: &ConnectionEntry) -> Vec<DeclarationProblem> {
    let mut problems = Vec::new();
    let mut problem = |field: &str, message: String, remedy: &str| {
        problems.push(DeclarationProblem {
            place: entry.place.clone(),
            field: format!("connection {}: {field}", entry.key),
            message,
            remedy: remedy.to_owned(),
        });
    };
    for known in &current.connections {
        let spec = &known.spec;
        if spec.connection_key == entry.key {
            if spec.client_key != entry.client {
                let message = format!("belongs to client `{}`", spec.client_key);
                problem("client", message, "declare a new connection: a connection never changes its client");
            }
            if spec.provider_key != entry.provider {
                let message = format!("is a connection to `{}`", spec.provider_key);
                problem("provider", message, "declare a new connection: a connection never changes its provider");
            }
        } else if spec.provider_key == entry.provider
            && spec.provider_account_id == entry.provider_account_id
            && spec.environment == entry.environment
            && !wanted.connections.iter().any(|other| other.key == spec.connection_key && moves(other, spec))
        {
            let message = format!("the account is connection `{}` already", spec.connection_key);
            problem("provider_account_id", message, "an account in one environment belongs to one connection");
        }
    }
    problems
}

/// The same declaration gives the account up.
fn moves(entry: &ConnectionEntry, spec: &ConnectionSpec) -> bool {
    entry.provider_account_id != spec.provider_account_id || entry.environment != spec.environment
}

fn leave(plan: &mut Plan, current: &CurrentState, wanted: &DeclarationFile) {
    for known in &current.clients {
        if !wanted.clients.iter().any(|entry| entry.key == known.client_key) {
            plan.left("client", known.client_key.clone());
        }
    }
    for known in &current.connections {
        if !wanted.connections.iter().any(|entry| entry.key == known.spec.connection_key) {
            plan.left("connection", known.spec.connection_key.clone());
        }
    }
    for known in &current.jobs {
        let spec = &known.spec;
        let declared = wanted
            .connections
            .iter()
            .any(|entry| entry.key == spec.connection_key && entry.jobs.iter().any(|job| job.stream == spec.stream));
        if !declared {
            plan.left("job", format!("{}/{}", spec.connection_key, spec.stream));
        }
    }
}

//! Port: what alert rules look at, and the alerts that stand.
//!
//! Owns the shape of both. Facts are read in a few statements over everything, and hold nothing that came from a provider; what is an
//! alert is decided elsewhere, by a pure function that is called inside the transaction that writes it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Serialize;

use super::StoreError;
use crate::domain::{
    clock::Timestamp,
    ids::{ClientId, ConnectionId},
    status::{AlertNews, CheckStatus, ControlStatus, JobStatus, Severity},
};

/// Whom a fact is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub connection_key: String,
    pub client_key: String,
    /// Of the connection, as declared.
    pub owner: Option<String>,
}

/// A job that may run, declares `stale_after`, and has not completed within it, or never at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateFact {
    pub whose: Whose,
    pub stream: String,
    pub stale_after: Duration,
    pub last_complete_at: Option<Timestamp>,
    /// From when a job that never completed could have: its first run, or when it is first due; not before its connection went
    /// live. `None`: nothing tells (a job that is started by hand only).
    pub begun_at: Option<Timestamp>,
}

/// A job that is quarantined, or active and failing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenJobFact {
    pub whose: Whose,
    pub stream: String,
    pub status: JobStatus,
    pub failures: i64,
    /// Whether the schedule may run it at all: what a person holds does not fail.
    pub runnable: bool,
    pub last_run_at: Option<Timestamp>,
    pub last_error_code: Option<String>,
}

/// A connection that waits for a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsAuthFact {
    pub whose: Whose,
    /// When its last run was refused.
    pub since: Option<Timestamp>,
}

/// The recent runs of a connection, taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleFact {
    pub whose: Whose,
    pub runs: i64,
    pub limited: Duration,
    pub total: Duration,
    /// When the first of them began.
    pub since: Timestamp,
}

/// Dead letters of one stream that somebody has to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterFact {
    pub whose: Whose,
    pub stream: String,
    /// Waiting ones, the exhausted among them.
    pub open: i64,
    /// Those that have used up their retries.
    pub exhausted: i64,
    /// When the oldest of them was first seen.
    pub since: Timestamp,
}

/// A check of severity `error` that the newest evaluation of its connection saw failed or errored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFact {
    pub whose: Whose,
    pub check_key: String,
    pub status: CheckStatus,
    pub checked_at: Timestamp,
}

/// A launch control that is due for review, or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFact {
    /// `None`: a control of the whole installation.
    pub whose: Option<Whose>,
    pub control_key: String,
    pub status: ControlStatus,
    pub owner: Option<String>,
    pub since: Option<Timestamp>,
}

/// A number of a client that the gate holds back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFact {
    pub whose: Whose,
    pub metric_key: String,
    pub source_label: String,
    /// The last good number's.
    pub published_at: Option<Timestamp>,
}

/// Everything that rules look at, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFacts {
    pub late: Vec<LateFact>,
    pub broken_jobs: Vec<BrokenJobFact>,
    pub needs_auth: Vec<NeedsAuthFact>,
    pub dead_letters: Vec<DeadLetterFact>,
    pub checks: Vec<CheckFact>,
    pub controls: Vec<ControlFact>,
    pub held: Vec<HeldFact>,
}

/// A row of `integration_alerts`, less its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertRow {
    pub rule_key: String,
    pub severity: Severity,
    pub subject_type: String,
    pub subject_key: String,
    #[serde(skip)]
    pub connection_id: Option<ConnectionId>,
    #[serde(skip)]
    pub client_id: Option<ClientId>,
    pub owner: Option<String>,
    pub message_internal: String,
    pub message_client_safe: String,
    pub remedy: String,
    /// Heading in `deploy/runbook.md`.
    pub runbook: String,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// `None`: it has not lasted long enough yet.
    pub opened_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub told_at: Option<Timestamp>,
    /// What the webhook still has to tell, and not before when.
    pub notice: Option<(AlertNews, Timestamp)>,
    pub notified_at: Option<Timestamp>,
    pub notify_failures: i64,
}

/// A stored alert with the keys that people type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    pub id: i64,
    pub connection_key: Option<String>,
    pub client_key: Option<String>,
    #[serde(flatten)]
    pub row: AlertRow,
}

/// A row to be written: a new one, or the new state of one that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertWrite {
    pub id: Option<i64>,
    pub row: AlertRow,
    /// What is told of it, if anything.
    pub news: Option<AlertNews>,
}

/// Decides over the alerts that stand, inside the transaction that writes what it says. Pure; may be called more than once.
pub type DecideAlerts = Arc<dyn Fn(&[Alert]) -> Vec<AlertWrite> + Send + Sync>;

/// Which alerts are meant. Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Also resolved ones, and those that have not lasted long enough to be told.
    pub all: bool,
    pub rule_key: Option<String>,
    pub connection_key: Option<String>,
    pub limit: u32,
}

/// What a scrape reads of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Provider and its open dead letters.
    pub dead_letters: Vec<(String, i64)>,
    /// Rule, severity, open alerts.
    pub alerts: Vec<(String, Severity, i64)>,
    /// Jobs that are due and that nobody holds.
    pub due: i64,
}

#[async_trait]
pub trait AlertStore: Send + Sync {
    /// All facts, in a fixed number of statements whatever the number of connections. `now` is the clock that lateness is told by.
    async fn alert_facts(&self, now: Timestamp) -> Result<AlertFacts, StoreError>;

    /// Jobs that are late or never completed; a part of [`AlertStore::alert_facts`].
    async fn late_jobs(&self, now: Timestamp) -> Result<Vec<LateFact>, StoreError>;

    /// Connections that waited for limits in runs that ended since then; of the newest few thousand runs.
    async fn throttled(&self, since: Timestamp) -> Result<Vec<ThrottleFact>, StoreError>;

    /// Decides and writes in one transaction; `seen_at` marks all that stand after it. Two that do it at the same moment queue up.
    async fn write_alerts(
        &self,
        seen_at: Timestamp,
        decide: DecideAlerts,
    ) -> Result<Vec<(Alert, AlertNews)>, StoreError>;

    async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError>;

    /// Alerts with a notice that is due, the longest waiting first.
    async fn due_notices(&self, now: Timestamp, limit: u32) -> Result<Vec<Alert>, StoreError>;

    /// Takes a notice by moving its time on: `true` for one of all who try, `false` when it changed meanwhile.
    async fn claim_notice(&self, alert: &Alert, until: Timestamp) -> Result<bool, StoreError>;

    /// Closes a claimed notice as told at that moment, unless there is a newer one.
    async fn notice_told(&self, alert: &Alert, at: Timestamp) -> Result<(), StoreError>;

    /// Counts a try in vain and puts the notice off; `None` gives it up.
    async fn notice_failed(&self, alert: &Alert, again_at: Option<Timestamp>) -> Result<(), StoreError>;

    async fn gauges(&self) -> Result<Gauges, StoreError>;
}

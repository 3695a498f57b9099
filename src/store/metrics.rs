//! Port: what metrics read, the numbers as they were taken, and what clients started from.
//!
//! Snapshots and baselines are added, never changed. Every call names client and connection, or client alone: what belongs to
//! another client is not there.

use async_trait::async_trait;
use rust_decimal::Decimal;
use serde::Serialize;

use super::{StoreError, catalogue::AdminAction};
use crate::domain::{
    business::Column,
    clock::Timestamp,
    ids::{ClientId, ConnectionId, RunId, SnapshotId},
    metric::{Condition, Source},
    status::{PeriodKind, RunStatus, SnapshotOrigin},
};

/// Which rows are read. Names are those of `domain`, values are bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowQuery {
    pub client_id: ClientId,
    pub connection_id: ConnectionId,
    pub source: Source,
    pub filter: Vec<Condition>,
    pub time_column: &'static str,
    /// From here (inclusive) to there (exclusive); `None`: whenever.
    pub window: Option<(Timestamp, Timestamp)>,
}

/// What is read of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How many rows there are.
    Rows,
    /// A number that is there, with the row's currency for amounts.
    Number(&'static Column),
    /// Two times that are there.
    Times { from: &'static str, to: &'static str },
}

/// Rows that are alike in what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    pub number: Option<Decimal>,
    pub currency: Option<String>,
    pub times: Option<(Timestamp, Timestamp)>,
    pub rows: i64,
}

/// What is known of a job's attempts. Test batches and replays do not count: they say nothing about the provider's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    pub stream: String,
    pub last_complete_at: Option<Timestamp>,
    /// The newest finished run, with how it ended.
    pub newest: Option<(RunId, RunStatus)>,
    /// The newest run that succeeded.
    pub succeeded: Option<RunId>,
}

/// A number to keep; a row of `metric_snapshots`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    pub client_id: ClientId,
    pub connection_id: ConnectionId,
    pub metric_key: String,
    /// [`crate::domain::metric::Definition::fingerprint`].
    pub definition: String,
    pub source_label: String,
    pub period_kind: PeriodKind,
    pub period_start: Timestamp,
    /// Exclusive.
    pub period_end: Timestamp,
    pub unit: String,
    pub currency: Option<String>,
    /// At most four digits after the point; `None`: there is nothing to tell.
    pub value: Option<Decimal>,
    pub rows_counted: i64,
    /// `None`: complete.
    pub incomplete_reason: Option<String>,
    pub run_ids: Vec<RunId>,
    pub origin: SnapshotOrigin,
    pub evidence: Option<String>,
    pub computed_at: Timestamp,
}

/// A stored number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub number: NewSnapshot,
}

impl Snapshot {
    /// Complete ones always have a value.
    pub fn is_complete(&self) -> bool {
        self.number.incomplete_reason.is_none() && self.number.value.is_some()
    }
}

/// What a client started from; the newest version counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    pub version: i64,
    pub set_by: String,
    pub reason: String,
    pub created_at: Timestamp,
    pub snapshot: Snapshot,
}

/// What became of a wish for a new baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum BaselineSet {
    Added {
        version: i64,
    },
    /// The newest version already names that snapshot.
    Stands {
        version: i64,
    },
    /// The snapshot is not that client's, connection's or metric's, or is not complete.
    NotFit,
}

#[async_trait]
pub trait MetricStore: Send + Sync {
    /// The rows of a query, grouped by what is measured.
    async fn metric_groups(&self, query: &RowQuery, measure: Measure) -> Result<Vec<Group>, StoreError>;

    /// The newest `limit` runs that last wrote the query's rows.
    async fn metric_runs(&self, query: &RowQuery, limit: u32) -> Result<Vec<RunId>, StoreError>;

    /// All jobs of a connection of that client.
    async fn job_facts(&self, client: ClientId, connection: ConnectionId) -> Result<Vec<JobFacts>, StoreError>;

    /// The newest number of the same client, connection, metric, definition, label, window and origin as `like`.
    async fn newest_snapshot(&self, like: &NewSnapshot) -> Result<Option<Snapshot>, StoreError>;

    /// Keeps a number. When the newest one of the same metric, definition, label, window and origin says the same (value, currency,
    /// completeness), nothing is added and that one is given back.
    ///
    /// # Errors
    /// [`StoreError::Constraint`] when client and connection disagree (P15).
    async fn take_snapshot(&self, number: &NewSnapshot) -> Result<Snapshot, StoreError>;

    /// The newest baseline of a client's metric under a source label.
    async fn baseline(
        &self,
        client: ClientId,
        metric_key: &str,
        source_label: &str,
    ) -> Result<Option<Baseline>, StoreError>;

    /// All versions of all baselines of a client, newest first.
    async fn baselines(&self, client: ClientId) -> Result<Vec<Baseline>, StoreError>;

    /// Adds a version with its act, in one transaction. The snapshot must be complete and belong to what the version names.
    async fn set_baseline(
        &self,
        snapshot: &Snapshot,
        reason: &str,
        action: &AdminAction,
    ) -> Result<BaselineSet, StoreError>;
}

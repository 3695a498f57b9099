//! Port: which job is due, who holds it, and giving it back.
//!
//! The lease is a compare-and-set on `fence` and a random `term_id`, on the database's own clock. Whoever claims raises the
//! fence; each write of a run proves fence, term and an unexpired lease in its own transaction (P7).

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::StoreError;
use crate::domain::{
    clock::Timestamp,
    counts::Counts,
    cursor::Position,
    ids::{ClientId, ConnectionId, JobId, RunId},
    status::{ConnectionStatus, RunOrigin, RunStatus, Stage, SyncMode},
};

/// The I-th of N parts of the jobs, by job id; `index` counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    pub index: u32,
    pub of: u32,
}

/// A job that could be claimed now.
#[derive(Debug, Clone, PartialEq)]
pub struct DueJob {
    pub id: JobId,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub connection_key: String,
    pub stream: String,
    pub fence: i64,
    pub next_run_at: Option<Timestamp>,
    pub lease_owner: Option<String>,
    /// Set when another holder's lease has not run out yet.
    pub leased_until: Option<Timestamp>,
}

/// Proof of holding a job. Named by every write of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub job: JobId,
    pub fence: i64,
    pub term_id: String,
}

/// How a job is to be claimed.
#[derive(Debug, Clone)]
pub struct Claim {
    pub job: JobId,
    /// The fence that was read; another value in the database means somebody was faster.
    pub seen_fence: i64,
    pub worker: String,
    pub ttl: Duration,
    pub origin: RunOrigin,
    pub mapping_version: Option<String>,
    /// A lease holder known to be dead (same machine, process gone): its lease may be taken before it runs out.
    pub dead_owner: Option<String>,
    /// Quarantine the job instead of claiming it when this many claims in a row never finished (P9).
    pub quarantine_after: i64,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    Held(Box<Held>),
    /// Somebody else was faster or still holds it.
    Lost,
    /// The job killed its worker too often and is now `quarantined`.
    Quarantined,
}

/// A claimed job with its new run row (`running`).
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub lease: Lease,
    pub run: RunId,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub provider_key: String,
    pub source_label: String,
    pub stream: String,
    pub sync_mode: SyncMode,
    pub cursor: Option<Value>,
    /// Where the last run left an unfinished listing, with the mode it was reading in.
    pub resume: Option<Position>,
    pub attempts: i64,
    pub open_dead_letters: i64,
    /// Records seen by the last complete full listing; `None` when there was none.
    pub last_complete_seen: Option<i64>,
    /// Runs of this job that were `running` and are now `abandoned`.
    pub abandoned: Vec<RunId>,
}

/// How a run ended. Written once, with giving the lease back, in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    pub status: RunStatus,
    pub error_code: Option<String>,
    pub error_internal: Option<String>,
    pub error_client_safe: Option<String>,
    pub remedy: Option<String>,
    /// When the job is due next; `None` keeps what stands (a run by hand, a test batch, a replay).
    pub next_run_at: Option<Timestamp>,
    /// The pull read all there was: `last_complete_at` is stamped, the resume position cleared.
    pub complete: bool,
    /// A complete listing's number of records, kept to notice a later empty one.
    pub listed: Option<i64>,
    /// Whether this attempt counts for `consecutive_failures`: `Some(true)` adds one, `Some(false)` sets zero.
    pub failure: Option<bool>,
    /// A new status for the connection (`needs_auth`, `connected`), with the reason.
    pub connection: Option<(ConnectionStatus, String)>,
    /// Stamps `last_tested_at` of the connection (a test batch that passed).
    pub tested: bool,
    /// Names of payload fields that no map uses, with counts; JSON object.
    pub unmapped_fields: Option<Value>,
    /// The page that ended the run, as something to work off.
    pub letter: Option<PageLetter>,
    /// The run replayed dead letters that were due: whether it did what it could. Those it could not move wait on.
    pub due_letters: Option<bool>,
    /// Traffic since the last page commit.
    pub traffic: crate::domain::counts::Traffic,
    pub window: Option<(Timestamp, Timestamp)>,
    /// How many records the provider said that the whole pull has, where it says so.
    pub provider_total: Option<i64>,
}

/// A page that could not be fetched or read: a dead letter that is no record, so no count holds it. At most one is open for a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLetter {
    pub stage: Stage,
    /// Where in the stream, for people; kept as its external id.
    pub place: String,
    /// Tells the place from others.
    pub place_hash: String,
    pub fingerprint: String,
    pub error_code: String,
    pub message_internal: String,
    pub message_client_safe: String,
    pub remedy: String,
}

/// A run that a sweep closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    pub run: RunId,
    pub job: JobId,
}

#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Due jobs of runnable connections of active clients, not leased, by one ordered query: the first of each client,
    /// then the second of each, and so on, each by due time (P14).
    async fn due_jobs(&self, limit: u32, shard: Option<Shard>) -> Result<Vec<DueJob>, StoreError>;

    /// Due jobs that another holder's unexpired lease keeps from being claimed.
    async fn due_but_leased(&self, limit: u32, shard: Option<Shard>) -> Result<Vec<DueJob>, StoreError>;

    /// When the next unleased job will be due, by the database's clock: for how long a scheduler may sleep.
    async fn next_due_in(&self) -> Result<Option<Duration>, StoreError>;

    /// Compare-and-set on the fence; closes this job's orphaned runs as `abandoned`; inserts the new run. One transaction.
    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError>;

    /// Makes the lease last `ttl` from now; `false` when it is gone.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError>;

    /// Writes the run's one final status and gives the lease back (P6). `Ok(None)`: the lease was gone and nothing was
    /// written. The counts given back are the row's own, which the CHECK has seen.
    async fn finish_run(&self, lease: &Lease, run: RunId, end: &RunEnd) -> Result<Option<Counts>, StoreError>;

    /// Closes every `running` run whose job's lease has run out or moved on, as `abandoned`, and makes its job due.
    /// `dead_owners` are holders known to be dead on this machine: their leases count as run out.
    async fn recover_orphans(&self, dead_owners: &[String]) -> Result<Vec<Orphan>, StoreError>;

    /// Holders of unexpired leases, to look for dead ones on this machine.
    async fn lease_owners(&self) -> Result<Vec<String>, StoreError>;
}

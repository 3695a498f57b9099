//! Port: dead letters as a queue to work off.

use async_trait::async_trait;
use serde::Serialize;

use super::{
    StoreError,
    catalogue::AdminAction,
    lease::{DueJob, Shard},
};
use crate::domain::{
    clock::Timestamp,
    ids::{ConnectionId, DeadLetterId, JobId, RawEventId, RunId},
    status::{DeadLetterStatus, Origin, Stage},
};

/// A row of `integration_sync_errors` with the keys that people type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    pub id: DeadLetterId,
    pub run_id: RunId,
    pub job_id: JobId,
    pub connection_id: ConnectionId,
    pub connection_key: String,
    pub client_key: String,
    pub origin: Origin,
    pub stage: Stage,
    pub stream: String,
    pub external_id: String,
    pub raw_event_id: Option<RawEventId>,
    pub fingerprint: String,
    pub error_code: String,
    pub message_internal: String,
    pub message_client_safe: String,
    pub remedy: String,
    pub payload_hash: String,
    /// How often it failed, whoever tried.
    pub attempts: i64,
    /// How many of them were retries by themselves.
    pub retries: i64,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub next_retry_at: Option<Timestamp>,
    pub status: DeadLetterStatus,
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
}

/// Which dead letters are meant; empty means all. Newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeadLetterFilter {
    pub ids: Vec<DeadLetterId>,
    pub connection_key: Option<String>,
    pub stream: Option<String>,
    pub status: Option<DeadLetterStatus>,
    pub fingerprint: Option<String>,
    /// Only those that somebody has to act on: open, scheduled for a retry, exhausted.
    pub waiting: bool,
    /// Only those that failed at or after this time.
    pub since: Option<Timestamp>,
    pub limit: u32,
}

/// Alike dead letters together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetterGroup {
    pub fingerprint: String,
    pub error_code: String,
    pub stage: Stage,
    pub provider_key: String,
    pub stream: String,
    /// Whose, in alphabetical order.
    pub connections: Vec<String>,
    pub count: i64,
    /// How many of them have used up their retries.
    pub exhausted: i64,
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// One of the group's internal messages and remedies, and which dead letter says so.
    pub example: String,
    pub example_id: DeadLetterId,
    pub remedy: String,
}

#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    async fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError>;
    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError>;
    /// Waiting ones, by provider, stream and fingerprint over all connections and runs; largest group first.
    async fn dead_letter_groups(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetterGroup>, StoreError>;
    /// Closes open ones with a reason and writes the act; gives how many. Those already closed stay as they are.
    async fn discard(&self, ids: &[DeadLetterId], by: &str, action: &AdminAction) -> Result<u64, StoreError>;
    /// The payload behind a dead letter as it is stored; `None` when there is none, or its retention has taken it. For a masked view.
    async fn dead_letter_payload(&self, id: DeadLetterId) -> Result<Option<String>, StoreError>;
    /// Another version of a stream's field map is in force: open dead letters of that provider's stream whose failure the map decides
    /// (stages `map` and `write`) and that another version made are due at once. Writes the act; gives how many. Again changes nothing.
    async fn release_for_map(&self, provider_key: &str, stream: &str, version: &str) -> Result<u64, StoreError>;
    /// Jobs with dead letters whose retry is due, that may run and that nobody holds; the earliest first.
    async fn due_retries(&self, limit: u32, shard: Option<Shard>) -> Result<Vec<DueJob>, StoreError>;
}

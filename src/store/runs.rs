//! Port: reading runs and their story.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::StoreError;
use crate::domain::{
    clock::Timestamp,
    counts::{Counts, Traffic},
    ids::{JobId, RunId},
    status::{RunOrigin, RunStatus},
};

/// A row of `integration_sync_runs` with the keys that people type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    pub id: RunId,
    pub job_id: JobId,
    pub connection_key: String,
    pub client_key: String,
    pub provider_key: String,
    pub stream: String,
    pub origin: RunOrigin,
    pub status: RunStatus,
    pub window_start: Option<Timestamp>,
    pub window_end: Option<Timestamp>,
    pub cursor_before: Option<Value>,
    pub cursor_after: Option<Value>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub pages: i64,
    #[serde(flatten)]
    pub traffic: Traffic,
    #[serde(flatten, serialize_with = "serialize_counts")]
    pub counts: Counts,
    /// Of those that it wrote: what deliveries should have brought before, and did not.
    pub records_repaired: i64,
    /// How many records the provider said that the whole pull has, where it says so.
    pub provider_total: Option<i64>,
    pub error_code: Option<String>,
    pub error_internal: Option<String>,
    pub error_client_safe: Option<String>,
    pub remedy: Option<String>,
    pub worker: Option<String>,
    pub fence: i64,
    pub mapping_version: Option<String>,
    pub unmapped_fields: Option<Value>,
}

fn serialize_counts<S: serde::Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(Some(7))?;
    map.serialize_entry("records_seen", &counts.seen)?;
    map.serialize_entry("records_created", &counts.created)?;
    map.serialize_entry("records_updated", &counts.updated)?;
    map.serialize_entry("records_unchanged", &counts.unchanged)?;
    map.serialize_entry("records_duplicate", &counts.duplicate)?;
    map.serialize_entry("records_ignored", &counts.ignored)?;
    map.serialize_entry("records_failed", &counts.failed)?;
    map.end()
}

/// A row of the page ledger `integration_sync_pages`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPage {
    pub page_no: i64,
    pub story: String,
    pub started_at: Timestamp,
    pub committed_at: Timestamp,
    #[serde(flatten)]
    pub traffic: Traffic,
    #[serde(flatten)]
    pub counts: Counts,
    pub cursor_after: Option<Value>,
}

/// Which runs are meant; empty means all. Newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFilter {
    pub connection_key: Option<String>,
    pub stream: Option<String>,
    pub status: Option<RunStatus>,
    pub limit: u32,
}

/// What the rows themselves say of a run, counted anew (P3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Recount {
    /// The page ledger's sums.
    pub ledger: Counts,
    /// Raw events of the run with status `normalized`.
    pub raw_normalized: i64,
    pub raw_ignored: i64,
    pub raw_failed: i64,
    /// Object links whose first run is this one.
    pub links_created: i64,
}

#[async_trait]
pub trait RunStore: Send + Sync {
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError>;
    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;
    /// The first `head` and the last `tail` pages, so that a run of any length can be told.
    async fn run_pages(&self, id: RunId, head: u32, tail: u32) -> Result<Vec<RunPage>, StoreError>;
    async fn recount(&self, id: RunId) -> Result<Recount, StoreError>;
}

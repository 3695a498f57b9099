//! Port: the one transaction that a page is (P1), and reading raw events back for a replay.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{StoreError, lease::Lease};
use crate::domain::{
    clock::Timestamp,
    counts::{Counts, Traffic},
    cursor::{Cursor, Position},
    ids::{ClientId, ConnectionId, InternalId, RawEventId, RunId},
    record::MappedRow,
    status::{Origin, RawStatus, Stage},
};

/// Whose page it is. All rows of the page take client, connection and label from here (P15, P16).
#[derive(Debug, Clone, PartialEq)]
pub struct PageScope {
    pub lease: Lease,
    pub run: RunId,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub provider_key: String,
    pub source_label: String,
    pub stream: String,
    pub object_type: String,
    pub origin: Origin,
    /// Rows are marked as a test.
    pub is_test: bool,
    pub mapping_version: Option<String>,
}

/// What commits with a page besides its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct PageHead {
    /// Counts from 1 within the run; unique with the run: the page ledger.
    pub page_no: i64,
    /// Fingerprint of the page's content, for settling a COMMIT whose answer was lost.
    pub page_hash: String,
    pub started_at: Timestamp,
    /// A new cursor; `None` leaves the old one.
    pub cursor: Option<Cursor>,
    /// Where an unfinished listing could go on. `Some(None)` clears it, `None` leaves it.
    pub resume: Option<Option<Position>>,
    pub traffic: Traffic,
    pub window: Option<(Timestamp, Timestamp)>,
    pub story: String,
    /// The lease is made to last this long from the commit.
    pub lease_ttl: Duration,
    /// External ids whose stored state the decision needs, each once.
    pub look_up: Vec<String>,
    /// Whether open dead letters of records that are written are closed as superseded (costs a statement).
    pub close_superseded: bool,
}

/// What is stored of a record: a row of `integration_object_links`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub link_id: i64,
    pub internal_table: String,
    pub internal_id: InternalId,
    pub payload_hash: String,
    pub record_hash: String,
    pub source_updated_at: Option<Timestamp>,
    pub last_run_id: RunId,
    pub is_test: bool,
}

/// Stored records of the page's object type, by external id.
pub type KnownRecords = HashMap<String, Known>;

/// A raw event: a new row, or a new status for a row that is being replayed.
#[derive(Debug, Clone, PartialEq)]
pub enum RawWrite {
    New { external_id: String, payload: String, payload_hash: String, status: RawStatus, reason: Option<String> },
    Existing { id: RawEventId, status: RawStatus, reason: Option<String> },
}

/// A record to be written through its object link. `raw` is its index in [`PageWrites::raw`].
#[derive(Debug, Clone, PartialEq)]
pub struct RecordWrite {
    pub raw: usize,
    pub external_id: String,
    pub row: MappedRow,
    pub payload_hash: String,
    pub record_hash: String,
    pub source_updated_at: Option<Timestamp>,
    /// The stored record to update; `None` creates one.
    pub existing: Option<Known>,
}

/// A failed item.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetterWrite {
    /// Index in [`PageWrites::raw`]; `None` for what never became a raw event (a page).
    pub raw: Option<usize>,
    pub stage: Stage,
    /// Empty when the item has none.
    pub external_id: String,
    pub payload_hash: String,
    /// Groups alike failures: error class, field, map version.
    pub fingerprint: String,
    pub error_code: String,
    pub message_internal: String,
    pub message_client_safe: String,
    pub remedy: String,
}

/// What a page comes to: the answer of the decision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageWrites {
    /// Must add up (P3); the store refuses a page whose counts do not.
    pub counts: Counts,
    pub raw: Vec<RawWrite>,
    pub records: Vec<RecordWrite>,
    pub dead_letters: Vec<DeadLetterWrite>,
    /// Links of records that the page's field map gives the same row as the one before: they are its records from now on.
    pub remapped: Vec<i64>,
    /// Close open dead letters of (stream, external id, payload hash): a replay that went through (N3).
    pub resolved: Vec<(String, String)>,
    /// Stop the run after this page and keep the old cursor and resume position (error budget spent).
    pub hold_cursor: bool,
}

/// The decision: a pure function from what is known to what is to be written. May be called again after a deadlock.
pub type Decide = Arc<dyn Fn(&KnownRecords) -> PageWrites + Send + Sync>;

/// What was committed.
#[derive(Debug, Clone, PartialEq)]
pub struct PageReceipt {
    pub counts: Counts,
    pub cursor_moved: bool,
}

/// A raw event to be normalised again.
#[derive(Debug, Clone, PartialEq)]
pub struct RawEvent {
    pub id: RawEventId,
    pub external_id: String,
    pub payload: String,
    pub payload_hash: String,
    pub received_at: Timestamp,
}

#[async_trait]
pub trait PageStore: Send + Sync {
    /// One transaction: fence and lease check with cursor and resume position; the known records (locked); the decision; raw
    /// events; records; object links; dead letters; the page ledger; the run's counts. All or nothing (P1).
    ///
    /// Deadlocks and lost connections are retried inside; a COMMIT whose answer was lost is settled by the page ledger.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::CursorBack`], [`StoreError::Unavailable`], [`StoreError::NoSpace`].
    async fn commit_page(
        &self,
        scope: Arc<PageScope>,
        head: Arc<PageHead>,
        decide: Decide,
    ) -> Result<PageReceipt, StoreError>;

    /// Reads what is known of some records without locking, for `preview`.
    async fn known(
        &self,
        connection: ConnectionId,
        object_type: &str,
        external_ids: &[String],
    ) -> Result<KnownRecords, StoreError>;

    /// The latest raw event of each object of a stream, by object link, after the link with id `after`; at most `limit`.
    /// The number is the link's id, for the next call. For `normalize --replay`.
    async fn raw_of_links(
        &self,
        connection: ConnectionId,
        stream: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, RawEvent)>, StoreError>;

    /// Raw events of open dead letters of a stream, after the dead letter with id `after`; at most `limit`; only of `ids` when
    /// that is not empty. Dead letters without a raw event (a page) are not among them.
    async fn raw_of_dead_letters(
        &self,
        connection: ConnectionId,
        stream: &str,
        ids: &[i64],
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, RawEvent)>, StoreError>;
}

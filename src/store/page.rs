//! Port: the one transaction that a page is (P1), and reading raw events back for a replay.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{StoreError, lease::Lease, webhooks::DeliveryEnd};
use crate::domain::{
    clock::Timestamp,
    counts::{Counts, Traffic},
    cursor::{Cursor, Position},
    ids::{ClientId, ConnectionId, InternalId, RawEventId, RunId},
    record::MappedRow,
    redacted::Redacted,
    retry::{WaitsFor, waits_for},
    status::{DeliveryStatus, Origin, RawStatus, Stage},
    wording::client_safe,
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
    /// Whether open dead letters of records that are written, or left out by a rule, are closed as superseded (costs a statement).
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
    /// The raw event that it was written or left out by; raw events count up in the order of their receipt.
    pub raw: Option<RawEventId>,
}

/// Stored records of the page's object type, by external id.
pub type KnownRecords = HashMap<String, Known>;

/// A raw event: a new row, or a new status for a row that is being replayed or that no run has decided yet. Its `Debug` form
/// tells no payload.
#[derive(Clone, PartialEq)]
pub enum RawWrite {
    New { external_id: String, payload: String, payload_hash: String, status: RawStatus, reason: Option<String> },
    Existing { id: RawEventId, status: RawStatus, reason: Option<String> },
}

impl fmt::Debug for RawWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New { external_id, payload, payload_hash, status, reason } => f
                .debug_struct("New")
                .field("external_id", external_id)
                .field("payload", &Redacted(payload))
                .field("payload_hash", payload_hash)
                .field("status", status)
                .field("reason", reason)
                .finish(),
            Self::Existing { id, status, reason } => {
                f.debug_struct("Existing").field("id", id).field("status", status).field("reason", reason).finish()
            }
        }
    }
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
    /// What becomes of the webhook deliveries whose records the page decides.
    pub deliveries: Vec<DeliveryEnd>,
    /// Records (by their place in `records`) that a webhook's delivery should have brought: those that none announced are counted as
    /// repaired. Empty asks nothing.
    pub repairs: Vec<usize>,
    /// Stop the run after this page and keep the old cursor and resume position (error budget spent).
    pub hold_cursor: bool,
    /// How many more failures the page may have before the cursor is held; `None`: any number.
    pub failures_left: Option<i64>,
    /// Records that are taken back: marked as voided, and read as changed when their payload comes again.
    pub voided: Vec<Known>,
    /// Stored records that a rule leaves out now: marked as voided. Their links follow the payload that was left out, so that it is
    /// unchanged when it comes again, and mapped anew under another version of the map.
    pub left_out: Vec<LeftOut>,
    /// External ids of records, stored or not, that a rule leaves out now: their older dead letters are closed, as those of records
    /// that are written.
    pub passed: Vec<String>,
}

/// A stored record that is counted no more.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// Index in [`PageWrites::raw`]: what was left out.
    pub raw: usize,
    pub payload_hash: String,
    pub source_updated_at: Option<Timestamp>,
    pub known: Known,
}

/// Why the database refused a record's row, and nothing else of its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRefusal {
    /// `row_refused`, or `row_not_written` where trying again may help.
    pub error_code: &'static str,
    /// The constraint, the column or the error's number. Never a value.
    pub what: String,
}

impl PageWrites {
    /// The same page, with those of its records as failed ones that the database refuses: a raw event `failed` and a dead letter of stage
    /// `write` instead of a record. Pure, as the decision is. `refused` is by external id; a page writes each record once.
    #[must_use]
    pub fn without(mut self, refused: &HashMap<String, RowRefusal>, mapping_version: Option<&str>) -> Self {
        let mut failed = 0;
        let records = std::mem::take(&mut self.records);
        let repairs = std::mem::take(&mut self.repairs);
        for (place, record) in records.into_iter().enumerate() {
            let Some(refusal) = refused.get(&record.external_id) else {
                if repairs.contains(&place) {
                    self.repairs.push(self.records.len());
                }
                self.records.push(record);
                continue;
            };
            failed += 1;
            if let Some(RawWrite::Existing { id, .. }) = self.raw.get(record.raw) {
                for delivery in self.deliveries.iter_mut().filter(|delivery| delivery.raw == Some(*id)) {
                    delivery.status = DeliveryStatus::Failed;
                    delivery.reason = Some(refusal.error_code.to_owned());
                }
            }
            let bucket = if record.existing.is_none() { &mut self.counts.created } else { &mut self.counts.updated };
            *bucket -= 1;
            self.counts.failed += 1;
            if let Some(RawWrite::New { status, reason, .. } | RawWrite::Existing { status, reason, .. }) =
                self.raw.get_mut(record.raw)
            {
                (*status, *reason) = (RawStatus::Failed, Some(refusal.error_code.to_owned()));
            }
            self.resolved.retain(|(external_id, _)| *external_id != record.external_id);
            let table = record.row.table.name;
            let version = mapping_version.unwrap_or("none");
            let fingerprint: String =
                format!("write:{}:{table}:{}@{version}", refusal.error_code, refusal.what).chars().take(190).collect();
            self.dead_letters.push(DeadLetterWrite {
                raw: Some(record.raw),
                stage: Stage::Write,
                external_id: record.external_id,
                payload_hash: record.payload_hash,
                fingerprint,
                error_code: refusal.error_code.to_owned(),
                message_internal: format!("the database refused the row of {table}: {}", refusal.what),
                message_client_safe: client_safe(refusal.error_code).to_owned(),
                remedy: match waits_for(refusal.error_code) {
                    WaitsFor::Time => "nothing to do at first: it is tried again by itself; if it lasts, see the message",
                    _ => "mend the record at its source, or the field map under a new version, then: tidegate errors retry",
                }
                .to_owned(),
            });
        }
        self.hold_cursor |= self.failures_left.is_some_and(|left| failed > left);
        self
    }
}

/// The decision: a pure function from what is known to what is to be written. May be called again after a deadlock.
pub type Decide = Arc<dyn Fn(&KnownRecords) -> PageWrites + Send + Sync>;

/// What was committed.
#[derive(Debug, Clone, PartialEq)]
pub struct PageReceipt {
    pub counts: Counts,
    pub cursor_moved: bool,
}

/// A raw event to be normalised again. Its `Debug` form tells no payload.
#[derive(Clone, PartialEq)]
pub struct RawEvent {
    pub id: RawEventId,
    pub external_id: String,
    pub payload: String,
    pub payload_hash: String,
    pub received_at: Timestamp,
}

impl fmt::Debug for RawEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEvent")
            .field("id", &self.id)
            .field("external_id", &self.external_id)
            .field("payload", &Redacted(&self.payload))
            .field("payload_hash", &self.payload_hash)
            .field("received_at", &self.received_at)
            .finish()
    }
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

    /// As [`PageStore::raw_of_dead_letters`], of those whose scheduled retry is due.
    async fn raw_of_due_letters(
        &self,
        connection: ConnectionId,
        stream: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, RawEvent)>, StoreError>;
}

//! Port: what the quality checks look at, each fact a read of its own, so that one that breaks errors its own check only.
//!
//! Each read is bound to one connection and its client, reads along an index and gives numbers, keys and words: never a value of a
//! record. (The texts that a client reads are the exception; they are what is looked at.) Two writes: whose account a credential
//! opens, and an isolation incident.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{
    clock::Timestamp,
    counts::Counts,
    ids::{ClientId, ConnectionId, RunId},
    status::{JobStatus, RunStatus},
};

/// A connection and its client. Every query binds both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose {
    pub connection: ConnectionId,
    pub client: ClientId,
}

/// How closely rows and links are held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// First whether links and rows are the same set, by number and checksum of their ids, which costs two scans and no join; one by
    /// one only when they are not. Does not see two links of one table that were exchanged for each other.
    Quick,
    /// One by one: a look-up for each row and each link.
    Thorough,
}

/// So many rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub table: &'static str,
    pub rows: i64,
}

/// Rows that hold an amount, by table, column and currency. `currency: None`: an amount without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyUse {
    pub table: &'static str,
    pub column: &'static str,
    pub currency: Option<String>,
    pub rows: i64,
}

/// How business rows and object links hold together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkFit {
    /// Live rows whose object has a link that leads to another row.
    pub doubled: i64,
    /// Live rows whose object has no link.
    pub rows_without_link: i64,
    /// Links that lead to no row.
    pub links_without_row: i64,
}

/// Contacts of this connection that another source label of the same client has too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SharedContacts {
    pub phones: i64,
    pub emails: i64,
}

/// Rows whose source label is empty, and rows whose label is not the connection's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelUse {
    pub table: &'static str,
    pub empty: i64,
    pub other: i64,
}

/// Rows by `paid_or_organic`; null counts as `unknown`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaidOrganic {
    pub paid: i64,
    pub organic: i64,
    pub unknown: i64,
}

/// A declared job as freshness sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFreshness {
    pub stream: String,
    pub status: JobStatus,
    /// `false`: it runs only by hand.
    pub scheduled: bool,
    pub last_complete_at: Option<Timestamp>,
    pub stale_after_seconds: Option<i64>,
}

/// What an active job's latest pulls brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHistory {
    pub stream: String,
    /// Records seen by the newest complete pulls, newest first.
    pub seen: Vec<i64>,
    /// When the newest pull began that saw a record.
    pub last_seen_at: Option<Timestamp>,
}

/// A finished run as it says it went, and as the rows say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTally {
    pub run: RunId,
    pub stream: String,
    pub counts: Counts,
    /// A live pull that ended `succeeded`: its `seen` can be held against the provider's total.
    pub whole_pull: bool,
    pub provider_total: Option<i64>,
    /// The page ledger's sums.
    pub ledger: Counts,
    /// Raw events that the run staged; `None` when it stages none (a replay).
    pub raw: Option<i64>,
    /// Object links whose first run it is.
    pub links: i64,
}

/// Raw events that are not accounted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// `pending` although their run is over.
    pub pending: i64,
    /// `failed` without a dead letter, open or closed.
    pub failed_without_letter: i64,
}

/// How the newest finished live pull of an active job ended; `None`: there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestEnd {
    pub stream: String,
    pub run: Option<(RunId, RunStatus)>,
}

/// Dead letters that somebody has to act on, against what is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LetterLoad {
    /// `open`, `retry_scheduled` or `exhausted`.
    pub open: i64,
    pub records: i64,
}

/// Records created or updated on one UTC day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayVolume {
    /// `2026-03-01`
    pub day: String,
    pub written: i64,
}

/// What a snapshot was computed as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotShape {
    pub definition: String,
    pub source_label: String,
    pub period_kind: String,
    pub unit: String,
    pub currency: Option<String>,
    pub period_start: Timestamp,
    pub period_end: Timestamp,
}

/// A metric's newest baseline and its newest snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselinePair {
    pub metric_key: String,
    pub baseline: SnapshotShape,
    pub newest: SnapshotShape,
}

/// What does not match in the books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    pub invoices: i64,
    pub payments: i64,
    /// Payments that name an invoice that is not there.
    pub payments_of_unknown_invoices: i64,
    /// Payments that name none.
    pub payments_without_invoice: i64,
    /// Invoices that name a customer that is not there.
    pub invoices_of_unknown_customers: i64,
    /// Invoice numbers that more than one live invoice has.
    pub doubled_numbers: i64,
}

/// A text that a client may read, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientText {
    pub metric_key: String,
    pub column: &'static str,
    pub text: String,
}

/// Two clients may have met in one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsolationIncident {
    pub connection_key: String,
    /// Who answers for the connection.
    pub owner: Option<String>,
    /// For operators: what was seen.
    pub reason: String,
}

/// The control that an isolation incident stands under in `launch_controls`.
pub const ISOLATION_INCIDENT: &str = "incident_account_isolation";

#[async_trait]
pub trait QualityStore: Send + Sync {
    /// Rows of the connection whose client is not the connection's, in every table that has both. Tables without such rows are left out.
    async fn foreign_rows(&self, of: Whose) -> Result<Vec<Tally>, StoreError>;

    /// Object links that lead to a business row of another connection or client. See [`Depth`].
    async fn stray_links(&self, of: Whose, depth: Depth) -> Result<i64, StoreError>;

    /// Keys of other clients' connections that claim the same account at the same provider in the same environment, however it is
    /// spelt; at most ten.
    async fn rival_claims(&self, of: Whose) -> Result<Vec<String>, StoreError>;

    /// Dead letters with that code that somebody has to act on.
    async fn open_letters_of(&self, of: Whose, error_code: &str) -> Result<i64, StoreError>;

    /// Live rows with amounts. At most a hundred currencies of each table.
    async fn currencies(&self, of: Whose) -> Result<Vec<CurrencyUse>, StoreError>;

    /// How rows and links hold together. See [`Depth`].
    async fn link_fit(&self, of: Whose, depth: Depth) -> Result<LinkFit, StoreError>;

    async fn shared_contacts(&self, of: Whose) -> Result<SharedContacts, StoreError>;

    /// Labels of business rows, and of the raw events of the newest `runs` runs. Tables in which all is well are left out.
    async fn labels(&self, of: Whose, label: &str, runs: u32) -> Result<Vec<LabelUse>, StoreError>;

    async fn paid_organic(&self, of: Whose) -> Result<PaidOrganic, StoreError>;

    /// Ignored raw events of the newest `runs` runs that have no reason.
    async fn ignored_without_reason(&self, of: Whose, runs: u32) -> Result<i64, StoreError>;

    /// Records whose row and link do not agree on being a test.
    async fn half_marked_tests(&self, of: Whose) -> Result<i64, StoreError>;

    /// All declared jobs, by stream.
    async fn job_freshness(&self, of: Whose) -> Result<Vec<JobFreshness>, StoreError>;

    /// The newest `runs` complete pulls of each active job, by stream.
    async fn stream_history(&self, of: Whose, runs: u32) -> Result<Vec<StreamHistory>, StoreError>;

    /// The newest `runs` finished runs, counted anew from rows.
    async fn run_tallies(&self, of: Whose, runs: u32) -> Result<Vec<RunTally>, StoreError>;

    /// Raw events of the newest `runs` runs, of those that are finished.
    async fn undelivered(&self, of: Whose, runs: u32) -> Result<Undelivered, StoreError>;

    async fn newest_ends(&self, of: Whose) -> Result<Vec<NewestEnd>, StoreError>;

    async fn letter_load(&self, of: Whose) -> Result<LetterLoad, StoreError>;

    /// Days from `since` on, oldest first, on which a live pull ended; of the newest twenty thousand runs.
    async fn daily_volume(&self, of: Whose, since: Timestamp) -> Result<Vec<DayVolume>, StoreError>;

    /// Live rows whose own time (when it was received, paid, measured) lies after `limit`.
    async fn rows_after(&self, of: Whose, limit: Timestamp) -> Result<Vec<Tally>, StoreError>;

    async fn baseline_pairs(&self, of: Whose) -> Result<Vec<BaselinePair>, StoreError>;

    /// `None`: the connection has no accounting rows.
    async fn books(&self, of: Whose) -> Result<Option<Books>, StoreError>;

    /// Texts of `report_metrics`, with the connection's own label; at most a thousand metrics.
    async fn client_texts(&self, of: Whose) -> Result<Vec<ClientText>, StoreError>;

    /// Keeps which account the provider reported for the connection's credential, stamped with the database's clock.
    async fn record_identity(&self, of: Whose, account_id: &str) -> Result<(), StoreError>;

    /// In one transaction: pauses the connection with the reason (a revoked one stays revoked), writes the act, and puts an incident
    /// step into `launch_controls`, which only a person takes away. Doing it again renews the reason.
    async fn raise_isolation_incident(&self, of: Whose, incident: &IsolationIncident) -> Result<(), StoreError>;
}

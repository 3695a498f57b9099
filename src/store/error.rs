//! What can go wrong between us and the database, in classes that a caller can act on.
//!
//! Owns the classes and how driver errors fall into them. Texts name tables and constraints, never values.

/// A failed store call. Nothing of the call's transaction is visible unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lease is gone: expired, or taken by another worker. Nothing was written (P7).
    #[error("the lease on job {job} is no longer ours; nothing was written")]
    Fenced { job: i64 },
    /// The write would have moved a cursor back (P2). Nothing was written.
    #[error("the cursor of job {job} would move back; nothing was written")]
    CursorBack { job: i64 },
    /// The database cannot be reached or went away, also after retries. Time may help.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk is full or the file is not writable. A person must help.
    #[error("the database cannot write: {detail}")]
    NoSpace { detail: String },
    /// The database user lacks a right.
    #[error("the database user may not do {detail}")]
    Denied { detail: String },
    /// The schema is not the one this program was built for.
    #[error("{0}")]
    Schema(String),
    /// A row holds something that this program does not know.
    #[error("table {table}, column {column}, row {row}: {detail}")]
    Inconsistent { table: &'static str, column: &'static str, row: String, detail: String },
    /// A constraint refused the row: the caller's data contradict what is stored.
    #[error("refused by constraint {constraint}: {detail}")]
    Constraint { constraint: String, detail: String },
    /// The database URL or file cannot be used at all.
    #[error("{0}")]
    Settings(String),
    /// Anything else the driver says.
    #[error("{during}")]
    Database {
        during: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a driver said, as text that is safe to log: without values from rows and without credentials.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DriverError(pub String);

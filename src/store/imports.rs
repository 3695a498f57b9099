//! Port: the files that people brought.
//!
//! A batch is a run's: it is begun under the run's lease, and closed by whatever closes the run, in the same transaction.

use async_trait::async_trait;
use serde::Serialize;

use super::{StoreError, lease::Lease};
use crate::domain::{
    clock::Timestamp,
    ids::{ClientId, ConnectionId, ImportBatchId, RunId},
    status::ImportStatus,
};

/// A file about to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Without folders.
    pub file_name: String,
    /// SHA-256 of the content, decompressed, in hexadecimal digits.
    pub file_hash: String,
    /// Of the content, decompressed.
    pub file_bytes: i64,
    pub source_label: String,
    pub imported_by: String,
}

/// A row of `data_import_batches` with the keys that people type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportBatch {
    pub id: ImportBatchId,
    pub connection_key: String,
    pub client_key: String,
    pub stream: String,
    pub file_name: String,
    pub file_hash: String,
    pub file_bytes: i64,
    pub source_label: String,
    /// What the run has seen, also while it is going on.
    pub rows_read: i64,
    pub rows_failed: i64,
    pub run_id: RunId,
    pub status: ImportStatus,
    pub imported_by: String,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// Which batches are meant; empty means all. Newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchFilter {
    pub connection_key: Option<String>,
    pub stream: Option<String>,
    pub limit: u32,
}

#[async_trait]
pub trait ImportStore: Send + Sync {
    /// Begins the batch of a run of origin `import`; client and connection are the run's (P15). `None`: the lease is gone, or the
    /// run is not its own.
    async fn begin_import(
        &self,
        lease: &Lease,
        run: RunId,
        batch: &NewBatch,
    ) -> Result<Option<ImportBatchId>, StoreError>;

    async fn import_batches(&self, filter: &BatchFilter) -> Result<Vec<ImportBatch>, StoreError>;

    /// The newest completed batch of that very content in a stream of a connection.
    async fn completed_import(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        file_hash: &str,
    ) -> Result<Option<ImportBatch>, StoreError>;
}

//! Port: the state of the schema, and bringing it up to date.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::clock::Timestamp;

/// One numbered step.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Migration {
    pub version: i64,
    pub name: String,
    pub applied: bool,
}

/// How the database's schema stands to this program's.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum SchemaState {
    /// Exactly what this program needs.
    Current,
    /// No table of ours.
    Empty,
    /// Steps are missing: `tidegate migrate`.
    Behind { missing: Vec<i64> },
    /// The database is newer than this program.
    Ahead { unknown: Vec<i64> },
    /// A step was interrupted, or its text was changed after it was applied.
    Dirty { version: i64, detail: String },
}

#[async_trait]
pub trait SchemaStore: Send + Sync {
    /// `mysql` (also MariaDB) or `sqlite`.
    fn engine(&self) -> &'static str;

    /// Product and version of the server, e.g. `MariaDB 10.11.19`.
    async fn server_version(&self) -> Result<String, StoreError>;

    /// The database's clock, by which leases are measured.
    async fn server_time(&self) -> Result<Timestamp, StoreError>;

    async fn schema_state(&self) -> Result<SchemaState, StoreError>;

    async fn migrations(&self) -> Result<Vec<Migration>, StoreError>;

    /// Applies what is missing, in order. Safe to call again after a kill.
    async fn migrate(&self) -> Result<Vec<Migration>, StoreError>;

    /// A round trip; for health.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Ends all connections in an orderly way.
    async fn close(&self);
}

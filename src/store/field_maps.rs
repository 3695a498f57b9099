//! Port: field maps as they were when first used, and which version of each is in force.
//!
//! A version stands for one text for ever: a changed map needs a new version. The version that was activated last is in force; one that
//! was in force before may be activated again.

use async_trait::async_trait;

use super::{
    StoreError,
    catalogue::{AdminAction, FieldMapVersion},
};
use crate::domain::{
    business::BusinessTable,
    clock::Timestamp,
    ids::{ClientId, ConnectionId, InternalId},
    record::Cell,
};

/// A version that was in force at some time; its document is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMapState {
    pub provider_key: String,
    pub stream: String,
    pub version: String,
    /// SHA-256 of the document.
    pub checksum: String,
    pub activated_at: Timestamp,
    pub activated_by: String,
}

/// The version of a provider's stream that was activated last, of states as [`FieldMapStore::field_maps`] gives them.
pub fn standing<'s>(states: &'s [FieldMapState], provider_key: &str, stream: &str) -> Option<&'s FieldMapState> {
    states.iter().find(|state| state.provider_key == provider_key && state.stream == stream)
}

/// A business row as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    pub id: InternalId,
    /// Reports count it: it is neither voided nor of a test batch.
    pub counts: bool,
    /// In the order of the table's columns.
    pub cells: Vec<Cell>,
}

/// How many records of an object type were last written by a version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MappedBy {
    pub object_type: String,
    /// `None`: written before versions were kept.
    pub version: Option<String>,
    pub records: i64,
}

/// What became of a wish to activate a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activated {
    /// It is in force now; it was not before.
    Now,
    /// It was in force already; nothing was written.
    Already,
}

#[async_trait]
pub trait FieldMapStore: Send + Sync {
    /// All versions that were ever in force, of one provider or of all, the last activated first.
    async fn field_maps(&self, provider_key: Option<&str>) -> Result<Vec<FieldMapState>, StoreError>;

    /// Puts a version in force, with the act when it is a person's, in one transaction. The instant is the database's, and later than
    /// that of every other version of the stream. Gives an error text when the version stands with another checksum.
    async fn activate_field_map(
        &self,
        map: &FieldMapVersion,
        action: Option<&AdminAction>,
    ) -> Result<Result<Activated, String>, StoreError>;

    /// Rows of a business table as they are stored, by their ids; those that are not the connection's are not there.
    async fn stored_rows(
        &self,
        client: ClientId,
        connection: ConnectionId,
        table: &'static BusinessTable,
        ids: &[InternalId],
    ) -> Result<Vec<StoredRow>, StoreError>;

    /// How many records of an object type can no longer be mapped again: their raw event is gone. Reads all their links.
    async fn records_without_raw(
        &self,
        client: ClientId,
        connection: ConnectionId,
        object_type: &str,
    ) -> Result<i64, StoreError>;

    /// By which versions a connection's records were last written. Reads all object links of the connection.
    async fn mapped_by(&self, client: ClientId, connection: ConnectionId) -> Result<Vec<MappedBy>, StoreError>;
}

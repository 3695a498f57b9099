//! Port: clients, providers, connections, jobs: what is declared.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::StoreError;
use crate::domain::{
    clock::Timestamp,
    ids::{ClientId, ConnectionId, JobId, RunId},
    status::{ClientStatus, ConnectionStatus, Environment, JobStatus, ProviderStatus, SyncMode},
};

/// A row of `core_clients`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Client {
    pub id: ClientId,
    pub client_key: String,
    pub name: String,
    pub status: ClientStatus,
}

/// A row of `integration_providers`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provider {
    pub provider_key: String,
    pub name: String,
    pub category: String,
    pub auth_type: String,
    pub status: ProviderStatus,
    pub owner: Option<String>,
    pub reason: Option<String>,
}

/// What is declared of a connection; the same fields as the declaration file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionSpec {
    pub connection_key: String,
    pub client_key: String,
    pub provider_key: String,
    pub provider_account_id: String,
    pub environment: Environment,
    pub owner: Option<String>,
    pub reason: Option<String>,
    pub source_label: String,
    pub auth_type: String,
    pub scopes: Vec<String>,
    pub credential_ref: Option<String>,
    pub refresh_policy: Option<String>,
    pub revocation_path: Option<String>,
    pub failure_path: Option<String>,
    pub rollback_path: Option<String>,
    /// References to what its webhook deliveries are signed with: the present one, then the one that is being rotated out.
    pub webhook_secrets: Vec<String>,
    /// JSON object, never a secret.
    pub config: Value,
}

/// A row of `integration_connections`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Connection {
    pub id: ConnectionId,
    pub client_id: ClientId,
    pub status: ConnectionStatus,
    /// Why it is in that status, for operators (e.g. the reason of a pause).
    pub status_reason: Option<String>,
    pub last_tested_at: Option<Timestamp>,
    /// When `connection activate` let a production connection go live.
    pub activated_at: Option<Timestamp>,
    /// The account that the provider itself reported for our credential; `None` when it was never asked or tells none.
    pub identity_account_id: Option<String>,
    /// When it was asked; `None` also after the declaration or the credential may have changed.
    pub identity_checked_at: Option<Timestamp>,
    #[serde(flatten)]
    pub spec: ConnectionSpec,
}

/// What is declared of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobSpec {
    pub connection_key: String,
    pub stream: String,
    pub sync_mode: SyncMode,
    /// The schedule's text, e.g. `every 15m` or `cron 0 6 * * * Europe/Berlin`; `None`: only by hand.
    pub schedule: Option<String>,
    pub stale_after_seconds: Option<i64>,
}

/// A row of `integration_sync_jobs` with the keys that people type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    pub id: JobId,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub client_key: String,
    pub provider_key: String,
    #[serde(flatten)]
    pub spec: JobSpec,
    pub status: JobStatus,
    pub cursor_state: Option<Value>,
    pub next_run_at: Option<Timestamp>,
    pub last_complete_at: Option<Timestamp>,
    pub consecutive_failures: i64,
    pub fence: i64,
    pub lease_owner: Option<String>,
    pub lease_until: Option<Timestamp>,
    pub attempts: i64,
    pub connection_status: ConnectionStatus,
    pub environment: Environment,
    pub last_run_id: Option<RunId>,
    pub open_dead_letters: i64,
}

/// Which jobs are meant. Empty lists mean all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    pub connection_keys: Vec<String>,
    pub streams: Vec<String>,
}

/// A human act, kept for ever in `event_admin_actions`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdminAction {
    pub actor: String,
    /// e.g. `connection.pause`
    pub action: String,
    pub subject_type: String,
    pub subject_key: String,
    pub reason: Option<String>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// A field map as it was when first used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMapVersion {
    pub provider_key: String,
    pub stream: String,
    pub version: String,
    pub checksum: String,
    pub document: String,
    pub activated_by: String,
}

/// All that a declaration changes, written in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Declaration {
    pub clients: Vec<(String, String, ClientStatus)>,
    pub providers: Vec<Provider>,
    pub connections: Vec<ConnectionSpec>,
    /// With the first due time for jobs that are new or whose schedule changed.
    pub jobs: Vec<(JobSpec, Option<Timestamp>)>,
    pub actions: Vec<AdminAction>,
}

#[async_trait]
pub trait CatalogueStore: Send + Sync {
    async fn clients(&self) -> Result<Vec<Client>, StoreError>;
    async fn providers(&self) -> Result<Vec<Provider>, StoreError>;
    async fn connections(&self) -> Result<Vec<Connection>, StoreError>;
    async fn connection(&self, key: &str) -> Result<Option<Connection>, StoreError>;
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>, StoreError>;
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// Upserts by key, in one transaction. A connection's status, cursor and test date are never touched; a connection
    /// that would change its client is refused ([`StoreError::Constraint`]).
    async fn declare(&self, declaration: &Declaration) -> Result<(), StoreError>;

    /// Sets a connection's status with its reason and writes the act; `false` when there is no such connection.
    async fn set_connection_status(
        &self,
        key: &str,
        status: ConnectionStatus,
        reason: Option<&str>,
        action: &AdminAction,
    ) -> Result<bool, StoreError>;

    /// Stamps `activated_at` with the database's clock; a draft or tested connection becomes connected.
    async fn activate_connection(&self, key: &str, action: &AdminAction) -> Result<bool, StoreError>;

    /// Sets a job's status and writes the act; leaving `quarantined` also clears `attempts`.
    async fn set_job_status(&self, id: JobId, status: JobStatus, action: &AdminAction) -> Result<bool, StoreError>;

    /// The explicit reset (P2): forgets cursor, its order and the resume position; writes the act. Refused while leased.
    async fn reset_cursor(&self, id: JobId, action: &AdminAction) -> Result<bool, StoreError>;

    async fn admin_actions(&self, limit: u32) -> Result<Vec<(Timestamp, AdminAction)>, StoreError>;
}

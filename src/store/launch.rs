//! Port: launch controls as they stand, the facts that prove them, and what the gate refuses.
//!
//! Owns the words between the gate and the database. What makes a control ready is `launch`'s.

use async_trait::async_trait;
use serde::Serialize;

use super::{StoreError, catalogue::AdminAction};
use crate::domain::{
    clock::Timestamp,
    ids::{ClientId, ConnectionId, RunId},
    status::{ControlKind, ControlScope, ControlStatus, RunStatus},
};

/// Whose controls are meant: a connection's, bound as a pair with its client (P15), or those of the whole installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Installation,
    Connection(ConnectionId, ClientId),
}

impl Whose {
    pub const fn scope(self) -> ControlScope {
        match self {
            Self::Installation => ControlScope::Global,
            Self::Connection(..) => ControlScope::Connection,
        }
    }

    /// Connection and client, where there are any.
    pub fn ids(self) -> Option<(ConnectionId, ClientId)> {
        match self {
            Self::Installation => None,
            Self::Connection(connection, client) => Some((connection, client)),
        }
    }
}

/// The six facts that every control needs besides its evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ControlFacts {
    pub owner: Option<String>,
    pub source: Option<String>,
    /// `production`, `staging`, `sandbox` or `all`.
    pub environment: Option<String>,
    pub data_boundary: Option<String>,
    pub rollback_path: Option<String>,
    pub review_cadence_days: Option<i64>,
}

/// What proves a control, and of when it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// `machine`, or one of the kinds that people give.
    pub evidence_kind: String,
    pub evidence: String,
    pub evidence_at: Timestamp,
}

/// A row of `launch_controls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlRow {
    pub control_key: String,
    pub title: String,
    pub kind: ControlKind,
    #[serde(flatten)]
    pub facts: ControlFacts,
    #[serde(flatten)]
    pub evidence: Option<Evidence>,
    pub signed_by: Option<String>,
    pub status: ControlStatus,
    pub status_reason: Option<String>,
    pub checked_at: Option<Timestamp>,
    /// From when on it keeps production connections from running; `None`: never.
    pub blocks_from: Option<Timestamp>,
}

/// Whose word the facts and the evidence of a row are: decides what a review may overwrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvedBy {
    /// A person gave facts and evidence; a review fills only what is still empty.
    Person,
    /// A person gave the facts, a probe the evidence.
    MachineForPerson,
    /// Everything is read from the declaration and by a probe.
    Machine,
}

/// What a review found of one control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    pub row: ControlRow,
    pub proved_by: ProvedBy,
}

/// What a person gives or signs. `None` keeps what stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub whose: Whose,
    pub control_key: String,
    pub title: String,
    pub kind: ControlKind,
    pub facts: ControlFacts,
    pub evidence: Option<Evidence>,
    /// Who signs; `None`: evidence only, which takes an earlier signature away.
    pub signed_by: Option<String>,
}

/// The newest finished test batch of a declared stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestBatch {
    pub stream: String,
    pub run: RunId,
    pub status: RunStatus,
    pub finished_at: Option<Timestamp>,
    pub seen: i64,
    pub created: i64,
    pub updated: i64,
    pub failed: i64,
}

/// What is stored of a connection besides its declaration and jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConnectionProof {
    /// The account that the provider named, and when it was asked.
    pub identity_account_id: Option<String>,
    pub identity_checked_at: Option<Timestamp>,
    pub test_batches: Vec<TestBatch>,
    pub baselines: i64,
    pub newest_baseline_at: Option<Timestamp>,
}

/// A production connection with due jobs that the launch gate does not let run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedDue {
    pub connection_key: String,
    /// Jobs that would run now.
    pub jobs: i64,
    /// Whether it was activated once: then a control holds it.
    pub activated: bool,
}

#[async_trait]
pub trait LaunchStore: Send + Sync {
    /// Controls as they were last reviewed or signed, by key.
    async fn launch_controls(&self, whose: Whose) -> Result<Vec<ControlRow>, StoreError>;

    /// What is stored of a connection that proves its steps. Another client's connection gives nothing.
    async fn connection_proof(&self, connection: ConnectionId, client: ClientId)
    -> Result<ConnectionProof, StoreError>;

    /// Writes what a review found, in one transaction. What a person signed meanwhile stays.
    ///
    /// # Errors
    /// [`StoreError::Constraint`] when client and connection disagree (P15).
    async fn record_review(&self, whose: Whose, controls: &[Reviewed]) -> Result<(), StoreError>;

    /// Writes signatures or evidence with their acts, all or none.
    ///
    /// # Errors
    /// As [`LaunchStore::record_review`].
    async fn sign_controls(&self, signatures: &[Signature], actions: &[AdminAction]) -> Result<(), StoreError>;

    /// Production connections with due jobs that wait for activation or are held by a control, by key.
    async fn refused_due(&self) -> Result<Vec<RefusedDue>, StoreError>;
}

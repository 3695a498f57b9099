//! Port: what clients see, and why it is not newer.

use async_trait::async_trait;
use rust_decimal::Decimal;

use super::{StoreError, catalogue::AdminAction};
use crate::domain::{
    clock::Timestamp,
    ids::{ClientId, ConnectionId, SnapshotId},
    status::{ApprovalState, Direction, ReportStatus},
};

/// A number of a window, as a report repeats it from its snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub period_start: Timestamp,
    /// Exclusive.
    pub period_end: Timestamp,
    pub value: Decimal,
    pub snapshot_id: SnapshotId,
}

/// A row of `report_metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub client_id: ClientId,
    pub connection_id: ConnectionId,
    pub metric_key: String,
    pub source_label: String,
    pub title: String,
    pub meaning: String,
    pub unit: String,
    pub currency: Option<String>,
    pub direction: Direction,
    pub baseline: Option<Told>,
    pub current: Option<Told>,
    pub current_period_text: Option<String>,
    /// How the last attempt ended.
    pub status: ReportStatus,
    pub held_reason: Option<String>,
    /// What the client sees.
    pub published_status: Option<ReportStatus>,
    pub confidence: Option<i64>,
    pub next_action: Option<String>,
    pub client_note: Option<String>,
    pub approval_state: ApprovalState,
    pub approved_by: Option<String>,
    pub approved_at: Option<Timestamp>,
    pub pending_snapshot_id: Option<SnapshotId>,
    pub attempted_at: Timestamp,
    pub published_at: Option<Timestamp>,
}

/// A row of the view `portal_cards`: all that a portal's user can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalCard {
    pub client_key: String,
    pub title: String,
    pub source: String,
    pub period: Option<String>,
    pub unit: String,
    pub baseline: Option<Decimal>,
    pub current: Option<Decimal>,
    pub status: Option<String>,
    pub next_action: Option<String>,
    pub note: Option<String>,
    pub updated_at: Timestamp,
}

#[async_trait]
pub trait ReportStore: Send + Sync {
    async fn report(
        &self,
        client: ClientId,
        metric_key: &str,
        source_label: &str,
    ) -> Result<Option<Report>, StoreError>;

    /// All of a client, by metric and source label.
    async fn reports(&self, client: ClientId) -> Result<Vec<Report>, StoreError>;

    /// Writes `next` where `before` stands (`None`: nothing does), with the act, in one transaction. `false`: something else stands
    /// by now, and nothing is written.
    ///
    /// # Errors
    /// [`StoreError::Constraint`] when client, connection and snapshots disagree (P15).
    async fn write_report(
        &self,
        before: Option<&Report>,
        next: &Report,
        action: Option<&AdminAction>,
    ) -> Result<bool, StoreError>;

    /// What the portal shows to a client, by title and source.
    async fn portal_cards(&self, client_key: &str) -> Result<Vec<PortalCard>, StoreError>;
}

//! Port: taking away what is old and nobody needs, a bounded number of rows at a time.
//!
//! A walk goes by age: each call looks at the next few old rows and takes away those of them that nothing refers to. Numbers, baselines,
//! reports, acts and business rows are never taken away.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::clock::Timestamp;

/// What has an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Raw events that no object link, no waiting dead letter names; never pending ones.
    Raw,
    /// Webhook deliveries that are done with.
    Deliveries,
    /// Dead letters that were resolved or discarded.
    DeadLetters,
    /// Finished runs with their pages that nothing names; never the newest of a job.
    Runs,
    /// Results of checks; never the newest evaluation of a connection.
    Checks,
    /// Raw events of clients that were archived so long ago, whoever names them.
    ArchivedRaw,
    /// Webhook deliveries of such clients.
    ArchivedDeliveries,
}

impl Kind {
    /// In the order in which they are gone through: what refers comes before what is referred to.
    pub const ALL: [Self; 7] = [
        Self::DeadLetters,
        Self::Deliveries,
        Self::Raw,
        Self::ArchivedDeliveries,
        Self::ArchivedRaw,
        Self::Checks,
        Self::Runs,
    ];

    pub const fn table(self) -> &'static str {
        match self {
            Self::Raw | Self::ArchivedRaw => "integration_raw_events",
            Self::Deliveries | Self::ArchivedDeliveries => "event_webhook_events",
            Self::DeadLetters => "integration_sync_errors",
            Self::Runs => "integration_sync_runs",
            Self::Checks => "data_quality_checks",
        }
    }
}

/// How far a walk has come: the age and the id of the last row that was looked at.
pub type Place = (Timestamp, i64);

/// One step of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub kind: Kind,
    /// Younger rows stay.
    pub keep: Duration,
    /// Where the last step ended; `None` begins.
    pub after: Option<Place>,
    /// Most rows that are looked at.
    pub limit: u32,
    /// Only counts.
    pub dry: bool,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Taken away, or to be taken away.
    pub rows: u64,
    /// Where the next step begins; `None`: the walk is at its end.
    pub place: Option<Place>,
}

#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Does one step in one transaction. Ages are measured by the database's clock. Two at once are harmless: what one has taken away
    /// the other does not find.
    async fn sweep(&self, step: &Step) -> Result<Swept, StoreError>;
}

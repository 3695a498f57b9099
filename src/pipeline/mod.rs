//! The way of a record: pull → stage raw → normalise, a page at a time. (Check and publish follow behind.)
//!
//! ```text
//!  pull.rs          asks the connector for page n+1 while page n is being written
//!  stage.rs         gives each item its id, its fingerprint, and what it repeats
//!  normalise.rs     decides the bucket of each item: the only place where counts are made
//!  store.commit_page   one transaction: fence, raw rows, records, links, dead letters, ledger, cursor, counts
//!  import.rs        the same way for a file that a person brings, without a job's cursor
//!  repairs.rs       which records of a poll a webhook's delivery should have brought
//!  replay.rs        the same decision over raw rows that are already there, without the provider
//!  void.rs          takes back what a run wrote
//!  in_force.rs      which version of a field map all of them take
//!  shadow.rs        what another version would make of the same raw rows, and nothing written
//! ```
//!
//! Invariants, each with a test whose name says it:
//! 1. A cursor is never visible before everything up to it (P1): both are in the page's transaction.
//! 2. Each seen item ends in exactly one bucket (P3); the store refuses a page that does not add up.
//! 3. `normalise` is a pure function of what was staged, what is stored and the field map, so a page can be decided
//!    again after a deadlock, and a replay needs no network.
//! 4. One bad record never stops a run; a budget of them does, and then the cursor stays (P12).
//! 5. No write without the fence (P7): a run that lost its lease stops, and whoever took over closes it.

pub mod budget;
pub mod gatekeeper;
pub mod import;
pub mod in_force;
pub mod intake;
pub mod normalise;
pub mod preview;
pub mod pull;
pub mod rehearsal;
pub mod repairs;
pub mod replay;
pub mod rows_told;
pub mod shadow;
pub mod stage;
pub mod void;

use std::{sync::Arc, time::Duration};

pub use repairs::RepairWindow;
use tokio_util::sync::CancellationToken;

use crate::{
    connector::ConnectorError,
    domain::{
        clock::Timestamp,
        counts::{Counts, Traffic},
    },
    store::StoreError,
};

/// Bounds of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How long the lease lasts from each commit or renewal.
    pub lease_ttl: Duration,
    pub error_budget: budget::ErrorBudget,
    /// After so many pages the run ends `partial` and the job is due again at once.
    pub max_pages: u64,
    /// After so long the run ends `partial` and the job is due again at once.
    pub max_duration: Duration,
}

/// Why a run was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// SIGTERM or SIGINT.
    Shutdown,
    /// The connection was paused or revoked meanwhile.
    Paused,
    /// The lease ran out or moved on: nothing more may be written or asked.
    LeaseLost,
}

/// A stop that says why. The first reason wins.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    reason: Arc<std::sync::OnceLock<StopReason>>,
}

impl Stop {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn stop(&self, reason: StopReason) {
        // A second reason changes nothing: the run is already ending for the first.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    pub fn stopped(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    /// Completes when somebody calls [`Stop::stop`].
    pub async fn wait(&self) -> StopReason {
        self.token.cancelled().await;
        self.reason.get().copied().unwrap_or(StopReason::Shutdown)
    }
}

/// How the pages of a run came to an end.
#[derive(Debug)]
pub enum Ending {
    /// Everything that was asked for was read and written.
    Complete,
    /// As many pages or seconds as one run may take; the rest follows in the next.
    RunBudget,
    /// Too many bad records (P12).
    ErrorBudget,
    Stopped(StopReason),
    Connector(ConnectorError),
    Store(StoreError),
}

/// What the pages of a run came to.
#[derive(Debug)]
#[must_use]
pub struct Outcome {
    pub ending: Ending,
    pub pages: u64,
    pub counts: Counts,
    /// Traffic that no page commit has carried yet.
    pub traffic: Traffic,
    pub window: Option<(Timestamp, Timestamp)>,
    /// How many records the provider said that the whole pull has; `None` where it does not say, or the pull was resumed.
    pub provider_total: Option<i64>,
    pub unmapped: std::collections::BTreeMap<String, u64>,
    /// The pull went on where an earlier run had stopped, so its counts are not the whole listing's.
    pub resumed: bool,
}

impl Outcome {
    /// An ending before the first page.
    pub fn of(ending: Ending) -> Self {
        Self {
            ending,
            pages: 0,
            counts: Counts::default(),
            traffic: Traffic::default(),
            window: None,
            provider_total: None,
            unmapped: std::collections::BTreeMap::new(),
            resumed: false,
        }
    }
}

/// A line for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub pages: u64,
    pub counts: Counts,
}

/// Called after each committed page.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

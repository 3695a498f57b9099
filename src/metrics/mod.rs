//! Metrics: definitions, windows, numbers taken, baselines, and what reaches the client.
//!
//! Owns the way from business rows to `report_metrics`: [`Desk`] takes numbers, publishes them, lets people approve them and set
//! baselines. Refuses to check quality by itself: verdicts come in as plain values, and a
//! connection without one was never checked. Refuses to know connector folders: what feeds what comes in as [`Feeds`].

pub mod baseline;
pub mod compute;
pub mod definitions;
mod desk;
pub mod feeds;
mod parse;
mod parse_rows;
pub mod publish;
pub mod shadow;
pub mod snapshot;
#[cfg(test)]
mod tests;
pub mod window;

use std::collections::HashMap;

pub use definitions::{Definitions, MetricProblem};
pub use desk::{BaselineOutcome, Desk, Entry, Outcome, Published};
pub use feeds::{Feeds, MapFacts, ProviderFacts, ProviderMetrics};
pub use window::Window;

use crate::domain::{gate::Verdict, ids::ConnectionId};

/// What the checks say of each connection.
pub type Verdicts = HashMap<ConnectionId, Verdict>;

//! How far a job has got: the provider-shaped state, and an order in which it may only grow (P2).
//!
//! Owns the pair. What the state means is the connector's; that the order never falls is held by the
//! store's UPDATE statement.

use serde::{Deserialize, Serialize};

/// A cursor that is safe to keep: everything up to it has been handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The state in the connector's own shape, e.g. `{"updatedAt": "2026-01-31T08:00:00Z"}`.
    pub state: serde_json::Value,
    /// The same as a number that can be compared (microseconds since 1970 for time cursors);
    /// `None` when the connector cannot order its states.
    pub order: Option<i64>,
}

/// Where to go on inside an unfinished listing. Opaque to all but the connector that issued it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub serde_json::Value);

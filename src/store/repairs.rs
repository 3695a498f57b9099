//! Port: what polls had to repair where deliveries feed a stream.
//!
//! Owns the questions about it. The counting itself is part of the page's transaction ([`super::page::PageWrites::repairs`]).

use async_trait::async_trait;

use super::{StoreError, alerts::Whose};
use crate::domain::{
    clock::Timestamp,
    ids::{ClientId, ConnectionId},
};

/// What polls repaired of a connection, against what deliveries brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missed {
    /// Records that a poll had to bring.
    pub repaired: i64,
    /// Deliveries that named an object.
    pub delivered: i64,
}

impl Missed {
    /// The part of all changes that no delivery brought, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^52")]
    pub fn share(self) -> f64 {
        let all = self.repaired + self.delivered;
        if all == 0 { 0.0 } else { self.repaired as f64 / all as f64 }
    }
}

/// A connection whose polls repaired something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedFact {
    pub whose: Whose,
    pub missed: Missed,
    /// When the first poll of the window that repaired something began.
    pub since: Timestamp,
}

#[async_trait]
pub trait RepairStore: Send + Sync {
    /// Since when the connection's endpoint lets deliveries in; `None`: it has none, or none ever passed the check.
    async fn delivers_since(&self, connection: ConnectionId, client: ClientId)
    -> Result<Option<Timestamp>, StoreError>;

    /// What was missed of a connection by its newest few hundred runs that began since then.
    async fn missed_of(
        &self,
        connection: ConnectionId,
        client: ClientId,
        since: Timestamp,
    ) -> Result<Missed, StoreError>;

    /// Connections that something was missed of, by the newest few thousand runs that began since then.
    async fn missed(&self, since: Timestamp) -> Result<Vec<MissedFact>, StoreError>;
}

//! Port: what a run wrote, read so that it can be taken back. Taking it back is a page like any other ([`super::page::PageWrites::voided`]).

use async_trait::async_trait;

use super::{StoreError, page::RawEvent};
use crate::domain::ids::{ConnectionId, RawEventId, RunId};

/// A stored record that stands as a run wrote it, or left it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The run's raw event that it was written from.
    pub raw: RawEventId,
    pub external_id: String,
    /// The run saw it first.
    pub created: bool,
    /// What another run, not taken back itself, had written before.
    pub before: Option<RawEvent>,
    /// Earlier versions were written, and all of them were taken back.
    pub all_taken_back: bool,
}

impl Written {
    /// Whether it can be taken back: there is a former version, or there was never a good one. Otherwise the former version's raw event is
    /// gone by its retention.
    pub fn has_way_back(&self) -> bool {
        self.before.is_some() || self.created || self.all_taken_back
    }
}

#[async_trait]
pub trait VoidStore: Send + Sync {
    /// Records of a stream that stand as the run wrote them, in the order of the run's raw events after `after`; at most `limit`. What a later
    /// run wrote anew is not among them.
    async fn written_by(
        &self,
        connection: ConnectionId,
        stream: &str,
        object_type: &str,
        run: RunId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Written>, StoreError>;

    /// How many records stand as the run wrote them whose raw event is gone by its retention: they cannot be taken back.
    async fn written_without_raw(
        &self,
        connection: ConnectionId,
        object_type: &str,
        run: RunId,
    ) -> Result<i64, StoreError>;
}

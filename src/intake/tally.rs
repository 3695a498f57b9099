//! Numbers of what came in at each endpoint, until they are written to its row.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    domain::{clock::Timestamp, ids::EndpointId},
    store::webhooks::EndpointCounts,
};

#[derive(Default)]
pub(super) struct Tally {
    counts: Mutex<HashMap<EndpointId, EndpointCounts>>,
}

impl Tally {
    fn add(&self, id: EndpointId, add: impl FnOnce(&mut EndpointCounts)) {
        // Numbers stay numbers whatever panicked while holding them.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        add(counts.entry(id).or_default());
    }

    pub(super) fn verified(&self, id: EndpointId, at: Timestamp) {
        self.add(id, |counts| counts.last_verified_at = counts.last_verified_at.max(Some(at)));
    }

    pub(super) fn accepted(&self, id: EndpointId) {
        self.add(id, |counts| counts.accepted += 1);
    }

    pub(super) fn duplicate(&self, id: EndpointId) {
        self.add(id, |counts| counts.duplicates += 1);
    }

    pub(super) fn refused(&self, id: EndpointId) {
        self.add(id, |counts| counts.refused += 1);
    }

    pub(super) fn unreadable(&self, id: EndpointId) {
        self.add(id, |counts| counts.unreadable += 1);
    }

    /// Takes everything out, to be written.
    pub(super) fn drain(&self) -> Vec<(EndpointId, EndpointCounts)> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&self, counts: Vec<(EndpointId, EndpointCounts)>) {
        for (id, more) in counts {
            self.add(id, |counts| {
                counts.accepted += more.accepted;
                counts.duplicates += more.duplicates;
                counts.refused += more.refused;
                counts.unreadable += more.unreadable;
                counts.last_verified_at = counts.last_verified_at.max(more.last_verified_at);
            });
        }
    }
}

//! Where polls stand in for deliveries: what a poll counts as missed, and how soon the next one comes when much is.
//!
//! Asks nothing for streams that no webhook declares, or whose events name no object.

use std::time::Duration;

use super::{
    policy::{self, Next},
    worker::{Prepared, Worker},
};
use crate::{
    domain::{clock::Timestamp, status::SyncMode},
    pipeline::RepairWindow,
    store::lease::Held,
    telemetry::chain,
};

/// Settings of it, as plain values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RepairOptions {
    /// How long a delivery may take before its record counts as missed.
    pub grace: Duration,
    /// From this share of missed changes on, polls come sooner; above 1 never.
    pub tighten_share: f64,
    /// The time over which the share is taken.
    pub window: Duration,
}

impl Worker {
    /// What this poll counts as missed deliveries; `None` for one that only begins to list, or a stream without deliveries.
    pub(super) async fn repair_window(&self, held: &Held, prepared: &Prepared) -> Option<RepairWindow> {
        let listed = prepared.job.last_complete_at.is_some();
        // A cursor that was taken back lists from the beginning.
        let follows = held.sync_mode != SyncMode::Incremental || held.cursor.is_some();
        if !(listed && follows && self.deliveries_name_objects(prepared)) {
            return None;
        }
        match self.store.delivers_since(held.connection_id, held.client_id).await {
            Ok(since) => {
                let from = since?;
                Some(RepairWindow { from, until: self.clock.now().minus(self.options.repairs.grace) })
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "missed deliveries are not counted by this run");
                None
            }
        }
    }

    /// The scheduled time of the next poll, or an earlier one where deliveries get lost.
    pub(super) async fn tightened(
        &self,
        next: Option<Timestamp>,
        decided: Next,
        held: &Held,
        prepared: &Prepared,
    ) -> Option<Timestamp> {
        let slot = next?;
        let options = self.options.repairs;
        if decided != Next::Scheduled || !self.deliveries_name_objects(prepared) {
            return Some(slot);
        }
        let now = self.clock.now();
        match self.store.missed_of(held.connection_id, held.client_id, now.minus(options.window)).await {
            Ok(missed) if missed.repaired > 0 && missed.share() >= options.tighten_share => {
                let sooner = policy::sooner(now, slot);
                let (repaired, all) = (missed.repaired, missed.repaired + missed.delivered);
                tracing::info!("deliveries get lost ({repaired} of {all} changes): the next poll comes at {sooner}");
                Some(sooner)
            }
            Ok(_) => Some(slot),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the next poll keeps to its schedule");
                Some(slot)
            }
        }
    }

    fn deliveries_name_objects(&self, prepared: &Prepared) -> bool {
        let folder = self.catalogue.folder(&prepared.job.provider_key);
        let webhook = folder.and_then(|folder| folder.webhook.as_ref());
        webhook.is_some_and(|webhook| webhook.names_objects(&prepared.job.spec.stream))
    }
}

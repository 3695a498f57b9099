//! Void: takes back what a run wrote, without asking the provider.
//!
//! Owns what becomes of each record that still stands as the run wrote it: the version that stood before is mapped again and written, or, where
//! there was none, the record is marked as voided and leaves every number. Nothing is deleted. The buckets mean: updated (put back or voided),
//! ignored (changed meanwhile, or nothing to put back). A second time finds nothing (P5). A voided record comes back with the next pull that
//! brings it, also with the same payload: void says that this run was wrong, not the record.

use std::sync::Arc;

use super::{Ending, Limits, OnProgress, Outcome, Progress, Stop};
use crate::{
    domain::{
        clock::Clock,
        counts::{Counts, Traffic},
        ids::RunId,
        record::text_hash,
        status::RawStatus,
    },
    mapping::{FieldMap, Mapped},
    store::{
        SharedStore, StoreError,
        page::{KnownRecords, PageHead, PageScope, PageWrites, RawWrite, RecordWrite},
        void::Written,
    },
};

/// Records read and decided at a time.
const BATCH: u32 = 500;

/// Everything that taking back a run needs.
pub struct Void {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub map: Arc<FieldMap>,
    /// Of the run that takes back.
    pub scope: PageScope,
    /// The account at the provider that the connection is declared for.
    pub account: Arc<str>,
    /// The run that is taken back.
    pub run: RunId,
    pub limits: Limits,
    pub stop: Stop,
    pub on_progress: OnProgress,
}

impl Void {
    /// Runs to an ending; each batch is one transaction.
    pub async fn run(self) -> Outcome {
        let (mut counts, mut pages) = (Counts::default(), 0);
        let ending = match self.batches(&mut counts, &mut pages).await {
            Ok(ending) => ending,
            Err(error) => Ending::Store(error),
        };
        Outcome { pages, counts, ..Outcome::of(ending) }
    }

    async fn batches(&self, counts: &mut Counts, pages: &mut u64) -> Result<Ending, StoreError> {
        let scope = &self.scope;
        let mut after = 0;
        loop {
            if let Some(reason) = self.stop.stopped() {
                return Ok(Ending::Stopped(reason));
            }
            let written = self
                .store
                .written_by(scope.connection_id, &scope.stream, &scope.object_type, self.run, after, BATCH)
                .await?;
            let Some(last) = written.last() else { return Ok(Ending::Complete) };
            after = last.raw.0;
            *pages += 1;
            let mut look_up: Vec<String> = written.iter().map(|one| one.external_id.clone()).collect();
            look_up.sort_unstable();
            look_up.dedup();
            let head = PageHead {
                page_no: i64::try_from(*pages).unwrap_or(i64::MAX),
                page_hash: text_hash(&look_up.join(",")),
                started_at: self.clock.now(),
                cursor: None,
                resume: None,
                traffic: Traffic::default(),
                window: None,
                story: format!("takes back {} records of run {}", written.len(), self.run),
                lease_ttl: self.limits.lease_ttl,
                look_up,
                close_superseded: false,
            };
            let (map, account, run) = (Arc::clone(&self.map), Arc::clone(&self.account), self.run);
            let decide = Arc::new(move |known: &_| decide(&map, &account, run, &written, known));
            let receipt = self.store.commit_page(Arc::new(scope.clone()), Arc::new(head), decide).await?;
            counts.add(&receipt.counts);
            (self.on_progress)(Progress { pages: *pages, counts: *counts });
        }
    }
}

/// Decides a batch. Pure, as the decision over a pulled page is.
fn decide(map: &FieldMap, account: &str, run: RunId, written: &[Written], known: &KnownRecords) -> PageWrites {
    let mut writes = PageWrites::default();
    for one in written {
        writes.counts.seen += 1;
        let Some(stored) = known.get(&one.external_id).filter(|_| one.has_way_back()) else {
            writes.counts.ignored += 1;
            continue;
        };
        writes.counts.updated += 1;
        let before = one.before.as_ref().and_then(|event| {
            let payload = serde_json::from_str(&event.payload).ok()?;
            match map.apply_for(account, &payload) {
                Mapped::Record(row) => Some((event, row)),
                // What the map of today makes no record of is none.
                Mapped::Ignored { .. } | Mapped::OtherAccount { .. } | Mapped::Failed(_) => None,
            }
        });
        let Some((event, row)) = before else {
            writes.voided.push(stored.clone());
            continue;
        };
        writes.raw.push(RawWrite::Existing {
            id: event.id,
            status: RawStatus::Normalized,
            reason: Some(format!("put back: run {run} was taken back")),
        });
        writes.records.push(RecordWrite {
            raw: writes.raw.len() - 1,
            external_id: one.external_id.clone(),
            record_hash: row.fingerprint(),
            row,
            payload_hash: event.payload_hash.clone(),
            // The former version's own time is not kept; whatever comes next is newer.
            source_updated_at: None,
            existing: Some(stored.clone()),
        });
    }
    writes
}

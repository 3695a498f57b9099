//! Intake: decides the records that deliveries have brought, without asking the provider.
//!
//! Owns the way from a waiting delivery to its record. The order in which deliveries come in says nothing: the provider's own time
//! does, and where it gives none the last one received counts. A delivery is never counted as a record; the run's counts are those of
//! the records that deliveries carry.
//!
//! | the delivery's record | bucket | the delivery becomes |
//! | --- | --- | --- |
//! | another one of the batch carries the same payload | duplicate | duplicate |
//! | another one of the batch is newer | ignored, with the reason | ignored |
//! | same payload as stored | unchanged | normalized |
//! | older than what is stored, by the provider's own time | ignored, with the reason | ignored |
//! | no field map, or left out by a rule of it | ignored, with the reason | ignored |
//! | cannot be mapped, names another account | failed | failed, with a dead letter |
//! | not stored yet / stored with another payload | created / updated | normalized |

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use super::{Ending, Limits, OnProgress, Outcome, Progress, Stop, normalise};
use crate::{
    domain::{
        clock::Clock,
        counts::{Counts, Traffic},
        record::text_hash,
        status::{DeliveryStatus, RawStatus, Stage},
        wording::client_safe,
    },
    mapping::{FieldMap, Mapped},
    store::{
        SharedStore, StoreError,
        page::{DeadLetterWrite, KnownRecords, LeftOut, PageHead, PageScope, PageWrites, RawWrite, RecordWrite},
        webhooks::{DeliveryEnd, Pending},
    },
};

/// Deliveries decided in one transaction.
const BATCH: u32 = 500;

/// Told of each decided delivery how long after its receipt that was.
#[derive(Clone)]
pub struct OnSettled(pub Arc<dyn Fn(Duration) + Send + Sync>);

impl fmt::Debug for OnSettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnSettled")
    }
}

impl OnSettled {
    /// Nobody listens.
    pub fn nobody() -> Self {
        Self(Arc::new(|_| {}))
    }
}

/// Everything that an intake run needs.
pub struct Intake {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    /// `None`: the stream has no field map, and each record is ignored by name (P4).
    pub map: Option<Arc<FieldMap>>,
    pub scope: PageScope,
    /// The account at the provider that the connection is declared for.
    pub account: Arc<str>,
    pub limits: Limits,
    pub stop: Stop,
    pub on_progress: OnProgress,
    pub on_settled: OnSettled,
}

impl Intake {
    /// Runs until nothing waits, or to another ending; each batch is one transaction.
    pub async fn run(self) -> Outcome {
        let mut counts = Counts::default();
        let mut pages = 0;
        let ending = match self.batches(&mut counts, &mut pages).await {
            Ok(ending) => ending,
            Err(error) => Ending::Store(error),
        };
        Outcome { pages, counts, ..Outcome::of(ending) }
    }

    async fn batches(&self, counts: &mut Counts, pages: &mut u64) -> Result<Ending, StoreError> {
        let began = self.clock.monotonic();
        let scope = Arc::new(self.scope.clone());
        let mut after = 0;
        loop {
            if let Some(reason) = self.stop.stopped() {
                return Ok(Ending::Stopped(reason));
            }
            if *pages >= self.limits.max_pages
                || self.clock.monotonic().saturating_sub(began) >= self.limits.max_duration
            {
                return Ok(Ending::RunBudget);
            }
            let pending = self
                .store
                .pending_deliveries(scope.connection_id, scope.client_id, &scope.stream, after, BATCH)
                .await?;
            let Some(last) = pending.last() else { return Ok(Ending::Complete) };
            after = last.id.0;
            *pages += 1;
            let head = Arc::new(self.head(*pages, &pending));
            let received: Vec<_> = pending.iter().map(|one| one.received_at).collect();
            let (map, account, stream, run) =
                (self.map.clone(), Arc::clone(&self.account), scope.stream.clone(), scope.run);
            let decide = Arc::new(move |known: &KnownRecords| {
                let context = Context { map: map.as_deref(), account: &account, stream: &stream, run };
                context.decide(&pending, known)
            });
            let receipt = self.store.commit_page(Arc::clone(&scope), head, decide).await?;
            counts.add(&receipt.counts);
            let now = self.clock.now();
            received.into_iter().for_each(|at| (self.on_settled.0)(now.since(at)));
            (self.on_progress)(Progress { pages: *pages, counts: *counts });
        }
    }

    fn head(&self, page: u64, pending: &[Pending]) -> PageHead {
        let mut look_up: Vec<String> = pending.iter().map(|one| one.raw.external_id.clone()).collect();
        look_up.sort_unstable();
        look_up.dedup();
        let ids: Vec<String> = pending.iter().map(|one| one.id.to_string()).collect();
        PageHead {
            page_no: i64::try_from(page).unwrap_or(i64::MAX),
            page_hash: text_hash(&ids.join(",")),
            started_at: self.clock.now(),
            cursor: None,
            resume: None,
            traffic: Traffic::default(),
            window: None,
            story: format!("{} deliveries", pending.len()),
            lease_ttl: self.limits.lease_ttl,
            look_up,
            // What came by webhook mends what failed before, as what is pulled does.
            close_superseded: true,
        }
    }
}

/// What the decision is made with, besides the deliveries.
struct Context<'c> {
    map: Option<&'c FieldMap>,
    account: &'c str,
    stream: &'c str,
    run: crate::domain::ids::RunId,
}

impl Context<'_> {
    /// Decides a batch, in the order of its receipt. Pure, as the decision over a pulled page is.
    fn decide(&self, pending: &[Pending], known: &KnownRecords) -> PageWrites {
        let newest = newest(pending);
        let mut page = Page::default();
        for (index, one) in pending.iter().enumerate() {
            page.writes.counts.seen += 1;
            let best = newest.get(one.raw.external_id.as_str()).copied().unwrap_or(index);
            if best == index {
                self.newest_of_batch(&mut page, one, known);
            } else if pending[best].raw.payload_hash == one.raw.payload_hash {
                page.writes.counts.duplicate += 1;
                let reason = "another delivery of the batch carries the same";
                page.end(one, RawStatus::Duplicate, DeliveryStatus::Duplicate, reason);
            } else {
                page.ignore(one, "another delivery of the batch carries a newer version");
            }
        }
        page.writes
    }

    fn newest_of_batch(&self, page: &mut Page, one: &Pending, known: &KnownRecords) {
        let stored = known.get(&one.raw.external_id);
        if let Some(stored) = stored {
            // A record that only a test batch wrote is not live yet.
            if stored.payload_hash == one.raw.payload_hash && !stored.is_test {
                if stored.last_run_id == self.run {
                    page.writes.counts.duplicate += 1;
                    return page.end(one, RawStatus::Duplicate, DeliveryStatus::Duplicate, "the same again in one run");
                }
                page.writes.counts.unchanged += 1;
                return page.end(one, RawStatus::Unchanged, DeliveryStatus::Normalized, "unchanged");
            }
            if let (Some(theirs), Some(ours)) = (one.source_updated_at, stored.source_updated_at)
                && theirs < ours
            {
                return page.ignore(one, "older than the version that is stored");
            }
        }
        let Some(map) = self.map else {
            return page.ignore(one, &format!("no field map for stream '{}'", self.stream));
        };
        let Ok(payload) = serde_json::from_str(&one.raw.payload) else {
            let fingerprint = "decode:not JSON".to_owned();
            return self.fail(page, one, "record_unreadable", fingerprint, "the stored item is not JSON".to_owned());
        };
        match map.apply_for(self.account, &payload) {
            Mapped::Ignored { reason } => {
                page.ignore(one, &reason);
                page.writes.passed.push(one.raw.external_id.clone());
                page.writes.left_out.extend(stored.map(|stored| LeftOut {
                    raw: page.writes.raw.len() - 1,
                    payload_hash: one.raw.payload_hash.clone(),
                    source_updated_at: one.source_updated_at.or(stored.source_updated_at),
                    known: stored.clone(),
                }));
            }
            Mapped::OtherAccount { field } => {
                let (fingerprint, message) = normalise::other_account(map, &field);
                self.fail(page, one, normalise::ACCOUNT_MISMATCH, fingerprint, message);
            }
            Mapped::Failed(errors) => {
                let (fingerprint, message) = normalise::describe(map, &errors);
                self.fail(page, one, "record_unmappable", fingerprint, message);
            }
            Mapped::Record(row) => {
                let (bucket, reason) = match stored {
                    None => (&mut page.writes.counts.created, "created"),
                    Some(_) => (&mut page.writes.counts.updated, "updated"),
                };
                *bucket += 1;
                let record_hash = row.fingerprint();
                page.end(one, RawStatus::Normalized, DeliveryStatus::Normalized, reason);
                page.writes.records.push(RecordWrite {
                    raw: page.writes.raw.len() - 1,
                    external_id: one.raw.external_id.clone(),
                    row,
                    payload_hash: one.raw.payload_hash.clone(),
                    record_hash,
                    // What is known of its age is not forgotten for a delivery that tells none.
                    source_updated_at: one.source_updated_at.or_else(|| stored.and_then(|k| k.source_updated_at)),
                    existing: stored.cloned(),
                });
            }
        }
    }

    fn fail(&self, page: &mut Page, one: &Pending, code: &str, fingerprint: String, message: String) {
        page.writes.counts.failed += 1;
        page.end(one, RawStatus::Failed, DeliveryStatus::Failed, code);
        let of_account = code == normalise::ACCOUNT_MISMATCH;
        page.writes.dead_letters.push(DeadLetterWrite {
            raw: Some(page.writes.raw.len() - 1),
            stage: if code == "record_unreadable" { Stage::Decode } else { Stage::Map },
            external_id: one.raw.external_id.clone(),
            payload_hash: one.raw.payload_hash.clone(),
            fingerprint,
            error_code: code.to_owned(),
            message_internal: message,
            message_client_safe: client_safe(code).to_owned(),
            remedy: if of_account {
                normalise::OTHER_ACCOUNT_REMEDY.to_owned()
            } else {
                let stream = self.stream;
                format!("mend the field map of stream '{stream}' under a new version, then: tidegate errors retry")
            },
        });
    }
}

/// Of each record's deliveries the place of the newest: by the provider's own time, else the last one received.
fn newest(pending: &[Pending]) -> HashMap<&str, usize> {
    let mut newest: HashMap<&str, usize> = HashMap::with_capacity(pending.len());
    for (index, one) in pending.iter().enumerate() {
        newest
            .entry(&one.raw.external_id)
            .and_modify(|best| {
                let older = match (one.source_updated_at, pending[*best].source_updated_at) {
                    (Some(theirs), Some(ours)) => theirs < ours,
                    _ => false,
                };
                if !older {
                    *best = index;
                }
            })
            .or_insert(index);
    }
    newest
}

#[derive(Default)]
struct Page {
    writes: PageWrites,
}

impl Page {
    fn end(&mut self, one: &Pending, raw: RawStatus, delivery: DeliveryStatus, reason: &str) {
        let reason = Some(reason.chars().take(normalise::REASON_CHARS).collect::<String>());
        self.writes.raw.push(RawWrite::Existing { id: one.raw.id, status: raw, reason: reason.clone() });
        self.writes.deliveries.push(DeliveryEnd { id: one.id, raw: Some(one.raw.id), status: delivery, reason });
    }

    fn ignore(&mut self, one: &Pending, reason: &str) {
        self.writes.counts.ignored += 1;
        self.end(one, RawStatus::Ignored, DeliveryStatus::Ignored, reason);
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;

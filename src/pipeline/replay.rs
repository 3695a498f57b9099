//! Replay: normalises raw events again through the current field map, without asking the provider.
//!
//! Owns the way back of dead letters and of a whole stream after a mapping fix. The buckets mean: created (a dead letter that
//! went through), updated (the mapped row differs now), unchanged (it does not), ignored, failed. A second replay finds
//! everything unchanged (P5).

use std::sync::Arc;

use super::{Ending, Limits, OnProgress, Outcome, Progress, Stop, normalise};
use crate::{
    domain::{
        clock::Clock,
        counts::{Counts, Traffic},
        record::text_hash,
        status::{RawStatus, Stage},
        wording::client_safe,
    },
    mapping::{FieldMap, Mapped},
    store::{
        SharedStore, StoreError,
        page::{
            DeadLetterWrite, Known, KnownRecords, LeftOut, PageHead, PageScope, PageWrites, RawEvent, RawWrite,
            RecordWrite,
        },
    },
};

/// Raw events read and decided at a time.
const BATCH: u32 = 500;

/// Which raw events are replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The latest raw event of each stored record of the stream.
    Stored,
    /// Raw events behind open dead letters; all of them when the list is empty.
    DeadLetters(Vec<i64>),
    /// Raw events behind dead letters whose scheduled retry is due.
    DueLetters,
}

/// Everything a replay needs.
pub struct Replay {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub map: Arc<FieldMap>,
    pub scope: PageScope,
    /// The account at the provider that the connection is declared for.
    pub account: Arc<str>,
    pub selections: Vec<Selection>,
    pub limits: Limits,
    pub stop: Stop,
    pub on_progress: OnProgress,
}

impl Replay {
    /// Runs to an ending; each batch is one transaction.
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
        for selection in &self.selections {
            let mut after = 0;
            loop {
                if let Some(reason) = self.stop.stopped() {
                    return Ok(Ending::Stopped(reason));
                }
                let batch = self.read(selection, after).await?;
                let Some((last, _)) = batch.last() else {
                    break;
                };
                after = *last;
                let events: Vec<RawEvent> = batch.into_iter().map(|(_, event)| event).collect();
                let began = self.clock.now();
                *pages += 1;
                let mut look_up: Vec<String> = events.iter().map(|e| e.external_id.clone()).collect();
                look_up.sort_unstable();
                look_up.dedup();
                let head = PageHead {
                    page_no: i64::try_from(*pages).unwrap_or(i64::MAX),
                    page_hash: text_hash(&events.iter().map(|e| e.id.to_string()).collect::<Vec<_>>().join(",")),
                    started_at: began,
                    cursor: None,
                    resume: None,
                    traffic: Traffic::default(),
                    window: None,
                    story: format!("replay of {} raw events", events.len()),
                    lease_ttl: self.limits.lease_ttl,
                    look_up,
                    close_superseded: false,
                };
                let (map, account, stream) =
                    (Arc::clone(&self.map), Arc::clone(&self.account), self.scope.stream.clone());
                // Only dead letters have something to be closed.
                let closes = matches!(selection, Selection::DeadLetters(_) | Selection::DueLetters);
                let decide = Arc::new(move |known: &_| {
                    let mut writes = decide(&map, &account, &stream, &events, known, closes);
                    if !closes {
                        writes.resolved.clear();
                    }
                    writes
                });
                let receipt = self.store.commit_page(Arc::new(self.scope.clone()), Arc::new(head), decide).await?;
                counts.add(&receipt.counts);
                (self.on_progress)(Progress { pages: *pages, counts: *counts });
            }
        }
        Ok(Ending::Complete)
    }

    async fn read(&self, selection: &Selection, after: i64) -> Result<Vec<(i64, RawEvent)>, StoreError> {
        let (connection, stream) = (self.scope.connection_id, self.scope.stream.as_str());
        match selection {
            Selection::Stored => self.store.raw_of_links(connection, stream, after, BATCH).await,
            Selection::DueLetters => self.store.raw_of_due_letters(connection, stream, after, BATCH).await,
            Selection::DeadLetters(ids) => self.store.raw_of_dead_letters(connection, stream, ids, after, BATCH).await,
        }
    }
}

/// Decides a batch. Pure, as the decision over a pulled page is. `letters`: what failed is written for the first time, so a record that
/// only a test batch wrote is not it.
pub(super) fn decide(
    map: &FieldMap,
    account: &str,
    stream: &str,
    events: &[RawEvent],
    known: &KnownRecords,
    letters: bool,
) -> PageWrites {
    let mut writes = PageWrites::default();
    // Of several dead letters of one record only the latest raw event may become the record.
    let mut latest: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for (index, event) in events.iter().enumerate() {
        if !event.external_id.is_empty() {
            latest.insert(&event.external_id, index);
        }
    }
    for (index, event) in events.iter().enumerate() {
        writes.counts.seen += 1;
        let superseded = latest.get(event.external_id.as_str()).is_some_and(|&last| last != index);
        if superseded {
            set_aside(&mut writes, event, "a newer version of the record is replayed in the same batch");
            continue;
        }
        // A letter may have waited while newer versions went through. What a test batch stored is not live.
        let stored = known.get(&event.external_id).filter(|stored| !stored.is_test);
        if stored.and_then(|stored| stored.raw).is_some_and(|raw| raw > event.id) {
            set_aside(&mut writes, event, "a newer version of the record is stored");
            continue;
        }
        match mapped(map, account, event) {
            Err(failure) => fail(&mut writes, event, stream, failure),
            Ok(Mapped::Ignored { reason }) => {
                set_aside(&mut writes, event, &reason);
                // Only of the payload that is stored: that of a dead letter may be older. One that is left out already has no row.
                let stored = known.get(&event.external_id);
                let counts = |k: &&Known| k.payload_hash == event.payload_hash && !k.record_hash.is_empty();
                writes.left_out.extend(stored.filter(counts).map(|known| LeftOut {
                    raw: writes.raw.len() - 1,
                    payload_hash: event.payload_hash.clone(),
                    source_updated_at: known.source_updated_at,
                    known: known.clone(),
                }));
            }
            Ok(Mapped::OtherAccount { field }) => {
                let (fingerprint, message) = normalise::other_account(map, &field);
                fail(&mut writes, event, stream, Failure { code: normalise::ACCOUNT_MISMATCH, fingerprint, message });
            }
            Ok(Mapped::Failed(errors)) => {
                let (fingerprint, message) = normalise::describe(map, &errors);
                fail(&mut writes, event, stream, Failure { code: "record_unmappable", fingerprint, message });
            }
            Ok(Mapped::Record(row)) => {
                let stored = known.get(&event.external_id);
                let record_hash = row.fingerprint();
                writes.resolved.push((event.external_id.clone(), event.payload_hash.clone()));
                let same = |k: &&Known| k.record_hash == record_hash && k.payload_hash == event.payload_hash;
                if let Some(same) = stored.filter(same).filter(|k| !(letters && k.is_test)) {
                    writes.counts.unchanged += 1;
                    writes.remapped.push(same.link_id);
                    continue;
                }
                let (bucket, reason) = match stored {
                    None => (&mut writes.counts.created, "created by replay"),
                    Some(_) => (&mut writes.counts.updated, "updated by replay"),
                };
                *bucket += 1;
                writes.raw.push(RawWrite::Existing {
                    id: event.id,
                    status: RawStatus::Normalized,
                    reason: Some(reason.to_owned()),
                });
                writes.records.push(RecordWrite {
                    raw: writes.raw.len() - 1,
                    external_id: event.external_id.clone(),
                    row,
                    payload_hash: event.payload_hash.clone(),
                    record_hash,
                    source_updated_at: stored.and_then(|k| k.source_updated_at),
                    existing: stored.cloned(),
                });
            }
        }
    }
    writes
}

struct Failure {
    code: &'static str,
    fingerprint: String,
    message: String,
}

fn mapped(map: &FieldMap, account: &str, event: &RawEvent) -> Result<Mapped, Failure> {
    if event.external_id.is_empty() {
        return Err(Failure {
            code: "record_without_id",
            fingerprint: "decode:record_without_id".to_owned(),
            message: "the stored payload has no primary key".to_owned(),
        });
    }
    let payload = serde_json::from_str(&event.payload).map_err(|_| Failure {
        code: "record_unreadable",
        fingerprint: "decode:not JSON".to_owned(),
        message: "the stored item is not JSON".to_owned(),
    })?;
    Ok(map.apply_for(account, &payload))
}

fn set_aside(writes: &mut PageWrites, event: &RawEvent, reason: &str) {
    writes.counts.ignored += 1;
    writes.resolved.push((event.external_id.clone(), event.payload_hash.clone()));
    writes.raw.push(RawWrite::Existing { id: event.id, status: RawStatus::Ignored, reason: Some(reason.to_owned()) });
}

fn fail(writes: &mut PageWrites, event: &RawEvent, stream: &str, failure: Failure) {
    writes.counts.failed += 1;
    writes.raw.push(RawWrite::Existing {
        id: event.id,
        status: RawStatus::Failed,
        reason: Some(failure.code.to_owned()),
    });
    let of_account = failure.code == normalise::ACCOUNT_MISMATCH;
    let stage = if of_account || failure.code == "record_unmappable" { Stage::Map } else { Stage::Decode };
    writes.dead_letters.push(DeadLetterWrite {
        raw: Some(writes.raw.len() - 1),
        stage,
        external_id: event.external_id.clone(),
        payload_hash: event.payload_hash.clone(),
        fingerprint: failure.fingerprint,
        error_code: failure.code.to_owned(),
        message_internal: failure.message,
        message_client_safe: client_safe(failure.code).to_owned(),
        remedy: if of_account {
            normalise::OTHER_ACCOUNT_REMEDY.to_owned()
        } else {
            format!("mend the field map of stream '{stream}' under a new version, then: tidegate errors retry")
        },
    });
}

//! The decision: which of the six buckets each item ends in, and what is written for it.
//!
//! Owns the counts: no other place makes any. A pure function of what was staged, what is stored and the field map.
//!
//! | the item | bucket | written |
//! | --- | --- | --- |
//! | cannot be read, or has no id | failed | raw event, dead letter (`decode`) |
//! | no field map for its stream | ignored, with the reason | raw event |
//! | a newer version follows in the page | ignored, with the reason | raw event |
//! | same id and payload again in this run | duplicate | nothing |
//! | same payload as stored | unchanged | nothing |
//! | older than what is stored, by the provider's own time | ignored, with the reason | raw event |
//! | left out by a rule of the map | ignored, with the reason | raw event |
//! | a field cannot be mapped | failed | raw event, dead letter (`map`) |
//! | not stored yet / stored with another payload | created / updated | raw event, record, object link |

use std::{collections::HashSet, sync::Arc};

use serde_json::Value;

use super::{
    budget::ErrorBudget,
    stage::{Content, Repeat, Staged},
};
use crate::{
    domain::{
        counts::Counts,
        ids::RunId,
        record::MappedRow,
        status::{RawStatus, Stage},
        wording::client_safe,
    },
    mapping::{FieldError, FieldMap, Mapped},
    store::page::{DeadLetterWrite, Known, KnownRecords, PageWrites, RawWrite, RecordWrite},
};

/// Longest text kept of an item that could not be read, in bytes.
const BROKEN_TEXT_BYTES: usize = 64 * 1024;

/// What the decision is made with, besides the page.
#[derive(Clone)]
pub struct Context {
    pub run: RunId,
    pub stream: String,
    pub is_test: bool,
    /// `None`: the stream has no field map, and each record is ignored by name (P4).
    pub map: Option<Arc<FieldMap>>,
    pub budget: ErrorBudget,
    /// The run's counts before this page.
    pub before: Counts,
}

/// The bucket of a readable record with an id, as far as what is stored tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    New,
    Changed,
    Unchanged,
    Duplicate,
    Older,
}

/// Decides a page.
pub fn decide(context: &Context, staged: &[Staged], known: &KnownRecords) -> PageWrites {
    let mut page = Page { context, writes: PageWrites::default() };
    let mut written: HashSet<&str> = HashSet::new();
    for item in staged {
        page.writes.counts.seen += 1;
        match &item.content {
            Content::Broken { text, reason } => page.broken(item, text, reason),
            Content::NoId(payload) => page.without_id(item, payload),
            Content::Record(payload) => {
                page.record(item, payload, known.get(&item.external_id), &mut written);
            }
        }
    }
    let mut after = context.before;
    after.add(&page.writes.counts);
    page.writes.hold_cursor = context.budget.is_spent(&after);
    page.writes
}

fn standing(context: &Context, item: &Staged, known: Option<&Known>) -> Standing {
    let Some(known) = known else {
        return Standing::New;
    };
    // A record that only a test batch wrote is not live yet: the first live run rewrites it.
    let rewrite_test = known.is_test && !context.is_test;
    if known.payload_hash == item.payload_hash && !rewrite_test {
        if known.last_run_id == context.run {
            return Standing::Duplicate;
        }
        return Standing::Unchanged;
    }
    match (item.source_updated_at, known.source_updated_at) {
        (Some(theirs), Some(ours)) if theirs < ours => Standing::Older,
        _ => Standing::Changed,
    }
}

struct Page<'a> {
    context: &'a Context,
    writes: PageWrites,
}

impl Page<'_> {
    fn record<'i>(&mut self, item: &'i Staged, payload: &Value, known: Option<&Known>, written: &mut HashSet<&'i str>) {
        match item.repeat {
            Repeat::SameInRun => {
                self.writes.counts.duplicate += 1;
                return;
            }
            Repeat::SupersededInPage => {
                self.ignore(item, payload, "a newer version of the record follows in the same page");
                return;
            }
            Repeat::No => {}
        }
        match standing(self.context, item, known) {
            Standing::Unchanged => self.writes.counts.unchanged += 1,
            Standing::Duplicate => self.writes.counts.duplicate += 1,
            Standing::Older => self.ignore(item, payload, "older than the version that is stored"),
            Standing::New | Standing::Changed => {
                let Some(map) = &self.context.map else {
                    let reason = format!("no field map for stream '{}'", self.context.stream);
                    self.ignore(item, payload, &reason);
                    return;
                };
                match map.apply(payload) {
                    Mapped::Ignored { reason } => self.ignore(item, payload, &reason),
                    Mapped::Failed(errors) => self.unmappable(item, payload, map, &errors),
                    Mapped::Record(row) => {
                        debug_assert!(written.insert(&item.external_id), "staging leaves one version of each id");
                        self.write(item, payload, row, known);
                    }
                }
            }
        }
    }

    fn raw(&mut self, item: &Staged, payload: String, status: RawStatus, reason: Option<String>) -> usize {
        self.writes.raw.push(RawWrite::New {
            external_id: item.external_id.clone(),
            payload,
            payload_hash: item.payload_hash.clone(),
            status,
            reason,
        });
        self.writes.raw.len() - 1
    }

    fn write(&mut self, item: &Staged, payload: &Value, row: MappedRow, known: Option<&Known>) {
        let (bucket, reason) = match known {
            None => (&mut self.writes.counts.created, "created"),
            Some(_) => (&mut self.writes.counts.updated, "updated"),
        };
        *bucket += 1;
        let raw = self.raw(item, payload.to_string(), RawStatus::Normalized, Some(reason.to_owned()));
        self.writes.records.push(RecordWrite {
            raw,
            external_id: item.external_id.clone(),
            record_hash: row.fingerprint(),
            row,
            payload_hash: item.payload_hash.clone(),
            source_updated_at: item.source_updated_at,
            existing: known.cloned(),
        });
    }

    fn ignore(&mut self, item: &Staged, payload: &Value, reason: &str) {
        self.writes.counts.ignored += 1;
        self.raw(item, payload.to_string(), RawStatus::Ignored, Some(reason.to_owned()));
    }

    fn broken(&mut self, item: &Staged, text: &str, reason: &str) {
        let mut end = text.len().min(BROKEN_TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let payload = text.get(..end).unwrap_or_default().to_owned();
        let raw = self.raw(item, payload, RawStatus::Failed, Some(reason.to_owned()));
        self.dead_letter(
            item,
            raw,
            Stage::Decode,
            "record_unreadable",
            format!("decode:{reason}"),
            format!(
                "{} cannot be read: {reason}",
                if item.external_id.is_empty() { "item" } else { &item.external_id }
            ),
            "mend the item at its source and run the job again, or discard it with a reason",
        );
    }

    fn without_id(&mut self, item: &Staged, payload: &Value) {
        let raw = self.raw(item, payload.to_string(), RawStatus::Failed, Some("record_without_id".to_owned()));
        self.dead_letter(
            item,
            raw,
            Stage::Decode,
            "record_without_id",
            "decode:record_without_id".to_owned(),
            format!("a record of stream '{}' has no primary key", self.context.stream),
            "check the stream's primary_key in the connector, or discard it with a reason",
        );
    }

    fn unmappable(&mut self, item: &Staged, payload: &Value, map: &FieldMap, errors: &[FieldError]) {
        let raw = self.raw(item, payload.to_string(), RawStatus::Failed, Some("record_unmappable".to_owned()));
        let (fingerprint, message) = describe(map, errors);
        self.dead_letter(
            item,
            raw,
            Stage::Map,
            "record_unmappable",
            fingerprint,
            message,
            "mend the record at its source, or the field map under a new version, then: tidegate errors retry",
        );
    }

    #[expect(clippy::too_many_arguments, reason = "the seven facts of a dead letter, named at each of three calls")]
    fn dead_letter(
        &mut self,
        item: &Staged,
        raw: usize,
        stage: Stage,
        code: &str,
        fingerprint: String,
        message: String,
        remedy: &str,
    ) {
        self.writes.counts.failed += 1;
        self.writes.dead_letters.push(DeadLetterWrite {
            raw: Some(raw),
            stage,
            external_id: item.external_id.clone(),
            payload_hash: item.payload_hash.clone(),
            fingerprint,
            error_code: code.to_owned(),
            message_internal: message,
            message_client_safe: client_safe(code).to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

/// The fingerprint (class, field, map version) and the text of a record that could not be mapped.
pub(super) fn describe(map: &FieldMap, errors: &[FieldError]) -> (String, String) {
    let mut parts: Vec<String> = errors.iter().map(|e| format!("{}:{}", e.code, e.field)).collect();
    parts.sort_unstable();
    parts.dedup();
    let fingerprint = format!("map:{}@{}", parts.join("+"), map.version);
    let message = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect::<Vec<_>>().join("; ");
    (fingerprint, message)
}

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
//! | names another account of the provider | failed | raw event, dead letter (`map`) |
//! | a field cannot be mapped | failed | raw event, dead letter (`map`) |
//! | the database refuses its row (found by the store) | failed | raw event, dead letter (`write`) |
//! | not stored yet / stored with another payload | created / updated | raw event, record, object link |

use std::{collections::HashSet, sync::Arc};

use serde_json::Value;

use super::{
    budget::ErrorBudget,
    stage::{Content, Payload, Ready, Repeat, Staged, short_form},
};
use crate::{
    domain::{
        counts::Counts,
        ids::RunId,
        record::{EXTERNAL_ID_CHARS, MappedRow},
        status::{RawStatus, Stage},
        wording::client_safe,
    },
    mapping::{FieldError, FieldMap, Mapped},
    store::page::{DeadLetterWrite, Known, KnownRecords, LeftOut, PageWrites, RawWrite, RecordWrite},
};

/// Longest text kept of an item that could not be read, in bytes.
const BROKEN_TEXT_BYTES: usize = 64 * 1024;

/// Longest reason that a raw event keeps.
pub(super) const REASON_CHARS: usize = 300;

/// The code of a record that names another account; the quality check `account_isolation` looks for it.
pub(super) const ACCOUNT_MISMATCH: &str = "account_mismatch";
pub(super) const OTHER_ACCOUNT_REMEDY: &str =
    "find out whose record it is; correct provider_account_id and run again with --full, or discard it with a reason";

/// What the decision is made with, besides the page.
#[derive(Clone)]
pub struct Context {
    pub run: RunId,
    pub stream: String,
    pub is_test: bool,
    /// `None`: the stream has no field map, and each record is ignored by name (P4).
    pub map: Option<Arc<FieldMap>>,
    /// The account at the provider that the connection is declared for.
    pub account: Arc<str>,
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
    page.writes.failures_left = Some(context.budget.failures_left(&after));
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
    fn record<'i>(
        &mut self,
        item: &'i Staged,
        payload: &Payload,
        known: Option<&Known>,
        written: &mut HashSet<&'i str>,
    ) {
        match item.repeat {
            Repeat::SameInRun => {
                self.writes.counts.duplicate += 1;
                return;
            }
            Repeat::SupersededInPage => {
                self.ignore(item, text(payload), "a newer version of the record follows in the same page");
                return;
            }
            Repeat::No => {}
        }
        match standing(self.context, item, known) {
            Standing::Unchanged => self.writes.counts.unchanged += 1,
            Standing::Duplicate => self.writes.counts.duplicate += 1,
            Standing::Older => self.ignore(item, text(payload), "older than the version that is stored"),
            Standing::New | Standing::Changed => {
                let Some(map) = &self.context.map else {
                    let reason = format!("no field map for stream '{}'", self.context.stream);
                    self.ignore(item, text(payload), &reason);
                    return;
                };
                let ready = match payload {
                    Payload::Mapped(ready) => (**ready).clone(),
                    Payload::Parsed(value) => Ready::of(value, map, &self.context.account),
                };
                match ready.mapped {
                    Mapped::Ignored { reason } => {
                        self.ignore(item, ready.text, &reason);
                        // What failed before is not written any more: it was left out since.
                        self.writes.passed.push(item.external_id.clone());
                        // A test batch takes nothing from what is live.
                        let stored = known.filter(|known| known.is_test || !self.context.is_test);
                        self.writes.left_out.extend(stored.map(|known| LeftOut {
                            raw: self.writes.raw.len() - 1,
                            payload_hash: item.payload_hash.clone(),
                            source_updated_at: item.source_updated_at,
                            known: known.clone(),
                        }));
                    }
                    Mapped::OtherAccount { field } => self.of_another_account(item, ready.text, map, &field),
                    Mapped::Failed(errors) => self.unmappable(item, ready.text, map, &errors),
                    Mapped::Record(row) => {
                        debug_assert!(written.insert(&item.external_id), "staging leaves one version of each id");
                        self.write(item, ready.text, row, ready.record_hash, known);
                    }
                }
            }
        }
    }

    fn raw(&mut self, item: &Staged, payload: String, status: RawStatus, reason: Option<String>) -> usize {
        let reason = reason.map(|text| text.chars().take(REASON_CHARS).collect());
        self.writes.raw.push(RawWrite::New {
            external_id: item.external_id.clone(),
            payload,
            payload_hash: item.payload_hash.clone(),
            status,
            reason,
        });
        self.writes.raw.len() - 1
    }

    fn write(&mut self, item: &Staged, payload: String, row: MappedRow, record_hash: String, known: Option<&Known>) {
        let (bucket, reason) = match known {
            None => (&mut self.writes.counts.created, "created"),
            Some(_) => (&mut self.writes.counts.updated, "updated"),
        };
        *bucket += 1;
        let raw = self.raw(item, payload, RawStatus::Normalized, Some(reason.to_owned()));
        self.writes.records.push(RecordWrite {
            raw,
            external_id: item.external_id.clone(),
            record_hash,
            row,
            payload_hash: item.payload_hash.clone(),
            source_updated_at: item.source_updated_at,
            existing: known.cloned(),
        });
    }

    fn ignore(&mut self, item: &Staged, payload: String, reason: &str) {
        self.writes.counts.ignored += 1;
        self.raw(item, payload, RawStatus::Ignored, Some(reason.to_owned()));
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
            bounded(format!("decode:{reason}")),
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

    fn unmappable(&mut self, item: &Staged, payload: String, map: &FieldMap, errors: &[FieldError]) {
        let raw = self.raw(item, payload, RawStatus::Failed, Some("record_unmappable".to_owned()));
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

    fn of_another_account(&mut self, item: &Staged, payload: String, map: &FieldMap, field: &str) {
        let raw = self.raw(item, payload, RawStatus::Failed, Some(ACCOUNT_MISMATCH.to_owned()));
        let (fingerprint, message) = other_account(map, field);
        self.dead_letter(item, raw, Stage::Map, ACCOUNT_MISMATCH, fingerprint, message, OTHER_ACCOUNT_REMEDY);
    }

    #[expect(clippy::too_many_arguments, reason = "the seven facts of a dead letter, named at each of four calls")]
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

/// The fingerprint and the text of a record that names another account (P15). Neither holds the account.
pub(super) fn other_account(map: &FieldMap, field: &str) -> (String, String) {
    let fingerprint = bounded(format!("map:{ACCOUNT_MISMATCH}:{field}@{}", map.version));
    (fingerprint, format!("{field}: names another account than the connection's provider_account_id"))
}

/// The payload as it is stored.
fn text(payload: &Payload) -> String {
    match payload {
        Payload::Parsed(value) => value.to_string(),
        Payload::Mapped(ready) => ready.text.clone(),
    }
}

/// Fingerprints are keys: one that would be too long goes by its short form.
fn bounded(fingerprint: String) -> String {
    if fingerprint.chars().count() > EXTERNAL_ID_CHARS { short_form(&fingerprint) } else { fingerprint }
}

/// The fingerprint (class, field, map version) and the text of a record that could not be mapped.
pub(super) fn describe(map: &FieldMap, errors: &[FieldError]) -> (String, String) {
    let mut parts: Vec<String> = errors.iter().map(|e| format!("{}:{}", e.code, e.field)).collect();
    parts.sort_unstable();
    parts.dedup();
    let fingerprint = bounded(format!("map:{}@{}", parts.join("+"), map.version));
    let message = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect::<Vec<_>>().join("; ");
    (fingerprint, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{domain::ids::InternalId, pipeline::stage};

    const MAP: &str = "version: \"1\"\nstream: contacts\nobject_type: contact\ntable: crm_leads\nfields:\n  \
                       - { to: contact_name, label: Name, type: text, from: name, required: true }\n\
                       ignore_when:\n  - { field: kind, equals: test, reason: a test record }\n";
    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-01-02T00:00:00Z";

    fn context(with_map: bool) -> Context {
        let map = FieldMap::parse("any", "contacts.yaml", MAP).expect("the map is right");
        Context {
            run: RunId(9),
            stream: "contacts".to_owned(),
            is_test: false,
            map: with_map.then(|| Arc::new(map)),
            account: "4711".into(),
            budget: ErrorBudget { count: 1000, share: 1.0, min_seen: 1000 },
            before: Counts::default(),
        }
    }

    fn item(content: Content, repeat: Repeat, at: Option<&str>) -> Staged {
        Staged {
            external_id: "1".to_owned(),
            payload_hash: "h1".to_owned(),
            source_updated_at: at.map(|at| at.parse().expect("a time")),
            content,
            repeat,
        }
    }

    fn stored(hash: &str, run: i64, at: Option<&str>, is_test: bool) -> Known {
        Known {
            link_id: 1,
            internal_table: "crm_leads".to_owned(),
            internal_id: InternalId(1),
            payload_hash: hash.to_owned(),
            record_hash: String::new(),
            source_updated_at: at.map(|at| at.parse().expect("a time")),
            last_run_id: RunId(run),
            is_test,
            raw: None,
        }
    }

    /// Every way an item can stand, and the one bucket it ends in (P3, N4).
    #[test]
    fn each_item_ends_in_the_one_bucket_that_the_table_says() {
        let record = |value| Content::Record(Payload::Parsed(value));
        let good = || record(json!({"id": "1", "name": "Ada"}));
        let unmappable = || record(json!({"id": "1"}));
        let test_record = || record(json!({"id": "1", "name": "Ada", "kind": "test"}));
        let no = Repeat::No;
        let table: Vec<(&str, Staged, Option<Known>, bool, &str)> = vec![
            ("new", item(good(), no, None), None, true, "created"),
            (
                "stored with another payload",
                item(good(), no, None),
                Some(stored("h0", 8, None, false)),
                true,
                "updated",
            ),
            (
                "stored with the same payload",
                item(good(), no, None),
                Some(stored("h1", 8, None, false)),
                true,
                "unchanged",
            ),
            ("stored by this run", item(good(), no, None), Some(stored("h1", 9, None, false)), true, "duplicate"),
            (
                "seen in this run",
                item(good(), Repeat::SameInRun, None),
                Some(stored("h1", 8, None, false)),
                true,
                "duplicate",
            ),
            ("superseded in the page", item(good(), Repeat::SupersededInPage, None), None, true, "ignored"),
            (
                "older than stored",
                item(good(), no, Some(OLD)),
                Some(stored("h0", 8, Some(NEW), false)),
                true,
                "ignored",
            ),
            ("as old as stored", item(good(), no, Some(NEW)), Some(stored("h0", 8, Some(NEW), false)), true, "updated"),
            (
                "newer than stored",
                item(good(), no, Some(NEW)),
                Some(stored("h0", 8, Some(OLD), false)),
                true,
                "updated",
            ),
            ("stored by a test batch", item(good(), no, None), Some(stored("h1", 8, None, true)), true, "updated"),
            ("left out by a rule", item(test_record(), no, None), None, true, "ignored"),
            (
                "stored, and left out by a rule now",
                item(test_record(), no, None),
                Some(stored("h0", 8, None, false)),
                true,
                "ignored",
            ),
            ("unmappable", item(unmappable(), no, None), None, true, "failed"),
            ("no map", item(good(), no, None), None, false, "ignored"),
            ("no id", item(Content::NoId(json!({})), no, None), None, true, "failed"),
            (
                "unreadable",
                item(Content::Broken { text: "{".into(), reason: "not JSON".into() }, no, None),
                None,
                true,
                "failed",
            ),
        ];
        for (what, staged, known, with_map, bucket) in table {
            let known: KnownRecords = known.into_iter().map(|k| ("1".to_owned(), k)).collect();
            let context = context(with_map);
            let mut ahead = vec![staged.clone()];
            let writes = decide(&context, &[staged], &known);
            if let Some(map) = &context.map {
                stage::map_ahead(map, &context.account, &mut ahead);
                assert_eq!(decide(&context, &ahead, &known), writes, "{what}: mapping ahead decides otherwise");
            }
            let c = writes.counts;
            assert!(c.add_up() && c.seen == 1, "{what}: {c:?}");
            let told = [
                ("created", c.created),
                ("updated", c.updated),
                ("unchanged", c.unchanged),
                ("duplicate", c.duplicate),
                ("ignored", c.ignored),
                ("failed", c.failed),
            ];
            assert_eq!(told.iter().find(|(_, n)| *n == 1).map(|(name, _)| *name), Some(bucket), "{what}");
            let (raw, records, letters) = match bucket {
                "created" | "updated" => (1, 1, 0),
                "ignored" => (1, 0, 0),
                "failed" => (1, 0, 1),
                _ => (0, 0, 0),
            };
            assert_eq!(
                (writes.raw.len(), writes.records.len(), writes.dead_letters.len()),
                (raw, records, letters),
                "{what}"
            );
        }
    }

    #[test]
    fn what_was_stored_is_taken_back_once_when_a_rule_leaves_it_out_and_never_by_a_test_batch() {
        let test_record =
            item(Content::Record(Payload::Parsed(json!({"id": "1", "name": "Ada", "kind": "test"}))), Repeat::No, None);
        for (hash, of_test, in_test, taken) in
            [("h0", false, false, 1), ("h0", true, true, 1), ("h0", false, true, 0), ("h1", false, false, 0)]
        {
            let known: KnownRecords = [("1".to_owned(), stored(hash, 8, None, of_test))].into();
            let context = Context { is_test: in_test, ..context(true) };
            let writes = decide(&context, std::slice::from_ref(&test_record), &known);
            let taken_back = (writes.counts.ignored + writes.counts.unchanged, writes.left_out.len());
            assert_eq!(taken_back, (1, taken), "{hash} {of_test} {in_test}");
        }
    }

    #[test]
    fn a_spent_budget_holds_the_cursor_with_the_page_that_spent_it() {
        let mut context = context(true);
        context.budget = ErrorBudget { count: 2, share: 1.0, min_seen: 1000 };
        let bad = |_| item(Content::NoId(json!({})), Repeat::No, None);
        let two: Vec<Staged> = (0..2).map(bad).collect();
        assert!(!decide(&context, &two, &KnownRecords::new()).hold_cursor);
        context.before = Counts { seen: 1, failed: 1, ..Counts::default() };
        assert!(decide(&context, &two, &KnownRecords::new()).hold_cursor);
    }

    #[test]
    fn a_dead_letters_text_names_the_field_and_never_the_value() {
        let secret = json!({"id": "1", "name": {"canary": "+12125550123"}});
        let writes = decide(
            &context(true),
            &[item(Content::Record(Payload::Parsed(secret)), Repeat::No, None)],
            &KnownRecords::new(),
        );
        let letter = &writes.dead_letters[0];
        assert!(letter.message_internal.starts_with("name: "), "{}", letter.message_internal);
        for text in [&letter.message_internal, &letter.message_client_safe, &letter.fingerprint, &letter.remedy] {
            assert!(!text.contains("canary") && !text.contains("2125550123"), "{text}");
        }
    }
}

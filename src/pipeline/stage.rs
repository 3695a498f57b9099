//! Staging: each item of a page gets its id, its fingerprint, and what it repeats.
//!
//! Owns the shape between a connector's page and the decision. Refuses to decide a bucket.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fmt,
};

use serde_json::Value;

use crate::{
    domain::{
        clock::Timestamp,
        record::{EXTERNAL_ID_CHARS, Item, payload_hash, text_hash},
        redacted::Redacted,
    },
    mapping::{FieldMap, Mapped},
    telemetry::redact::scrub,
};

/// How many of a run's latest records are remembered to recognise a repeat. Past that, a repeat of an unchanged record
/// counts as unchanged; one of a record that this run wrote is still recognised by its object link.
pub const REPEAT_WINDOW: usize = 100_000;

/// Names of unmapped fields kept per run; a payload with random keys must not grow the memory.
const UNMAPPED_NAMES: usize = 200;

/// What an item repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    No,
    /// The same id with the same payload was seen before in this run.
    SameInRun,
    /// A later version of the same id follows in this page.
    SupersededInPage,
}

/// What an item holds. Its `Debug` form tells no value.
#[derive(Clone, PartialEq)]
pub enum Content {
    Record(Payload),
    /// A readable payload without an id.
    NoId(Value),
    /// What could not be read, and why.
    Broken {
        text: String,
        reason: String,
    },
}

/// A record's payload, as far as it has been worked on. Its `Debug` form tells no value.
#[derive(Clone, PartialEq)]
pub enum Payload {
    /// As it came; mapped by the decision, if it comes to that.
    Parsed(Value),
    /// Mapped already, while the page before was being written: where most records are new or changed, the page's
    /// transaction need not wait for it, and the tree of values need not be kept.
    Mapped(Box<Ready>),
}

/// What is written of a record, if it is written. Its `Debug` form tells no value.
#[derive(Clone, PartialEq)]
pub struct Ready {
    pub text: String,
    pub mapped: Mapped,
    /// Fingerprint of the mapped row; empty when there is none.
    pub record_hash: String,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(payload) => f.debug_tuple("Record").field(payload).finish(),
            Self::NoId(payload) => f.debug_tuple("NoId").field(&Redacted(payload)).finish(),
            Self::Broken { text, reason } => {
                f.debug_struct("Broken").field("text", &Redacted(text)).field("reason", reason).finish()
            }
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parsed(payload) => f.debug_tuple("Parsed").field(&Redacted(payload)).finish(),
            Self::Mapped(ready) => f.debug_tuple("Mapped").field(ready).finish(),
        }
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("text", &Redacted(&self.text))
            .field("mapped", &self.mapped)
            .field("record_hash", &self.record_hash)
            .finish()
    }
}

impl Ready {
    /// Maps a payload of a connection of that account at the provider.
    pub fn of(payload: &Value, map: &FieldMap, account: &str) -> Self {
        let mapped = map.apply_for(account, payload);
        let record_hash = match &mapped {
            Mapped::Record(row) => row.fingerprint(),
            Mapped::Ignored { .. } | Mapped::OtherAccount { .. } | Mapped::Failed(_) => String::new(),
        };
        // The same text as `to_string` gives, without the way through a formatter.
        let text = serde_json::to_string(payload).unwrap_or_else(|_| payload.to_string());
        Self { text, mapped, record_hash }
    }
}

/// Maps the records of a page ahead of the decision; pure, so the decision is the same.
pub fn map_ahead(map: &FieldMap, account: &str, staged: &mut [Staged]) {
    for item in staged {
        if item.repeat == Repeat::No
            && let Content::Record(payload) = &mut item.content
            && let Payload::Parsed(value) = payload
        {
            *payload = Payload::Mapped(Box::new(Ready::of(value, map, account)));
        }
    }
}

/// An item on its way to the decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// Empty when the item has none; a place such as `line 17` for what could not be read.
    pub external_id: String,
    pub payload_hash: String,
    pub source_updated_at: Option<Timestamp>,
    pub content: Content,
    pub repeat: Repeat,
}

/// Remembers a bounded number of (id, payload) pairs of a run.
#[derive(Debug, Default)]
pub struct RepeatWindow {
    seen: HashSet<u64>,
    order: VecDeque<u64>,
}

impl RepeatWindow {
    /// Whether the pair was there already; remembers it.
    fn repeats(&mut self, external_id: &str, payload_hash: &str) -> bool {
        let key = pair_key(external_id, payload_hash);
        if !self.seen.insert(key) {
            return true;
        }
        self.order.push_back(key);
        if self.order.len() > REPEAT_WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        false
    }
}

/// 64 bits of the pair. The payload hash is already uniform; the id is mixed in so that equal payloads of two ids differ.
fn pair_key(external_id: &str, payload_hash: &str) -> u64 {
    let from_hash = payload_hash.get(..16).and_then(|h| u64::from_str_radix(h, 16).ok()).unwrap_or_default();
    external_id.bytes().fold(from_hash, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Stages the items of a page, in their order.
pub fn stage(items: Vec<Item>, window: &mut RepeatWindow) -> Vec<Staged> {
    let mut staged: Vec<Staged> = Vec::with_capacity(items.len());
    for item in items {
        staged.push(match item {
            Item::Record(record) => {
                let payload_hash = payload_hash(&record.payload);
                let (external_id, content) = match record.external_id {
                    Some(id) if !id.is_empty() => (id, Content::Record(Payload::Parsed(record.payload))),
                    _ => (String::new(), Content::NoId(record.payload)),
                };
                Staged {
                    external_id,
                    payload_hash,
                    source_updated_at: record.source_updated_at,
                    content,
                    repeat: Repeat::No,
                }
            }
            Item::Broken(broken) => Staged {
                external_id: broken.place,
                payload_hash: text_hash(&broken.text),
                source_updated_at: None,
                content: Content::Broken { text: broken.text, reason: broken.reason },
                repeat: Repeat::No,
            },
        });
    }
    mark_superseded(&mut staged);
    for item in &mut staged {
        if matches!(item.content, Content::Record(_))
            && item.repeat == Repeat::No
            && window.repeats(&item.external_id, &item.payload_hash)
        {
            item.repeat = Repeat::SameInRun;
        }
    }
    staged
}

/// The beginning of a text that is too long for a key, and enough of its hash to tell it from others.
pub(super) fn short_form(text: &str) -> String {
    let begin: String = text.chars().take(EXTERNAL_ID_CHARS - 40).collect();
    format!("{begin}...{}", text_hash(text).get(..32).unwrap_or_default())
}

/// Of several versions of one id in a page the newest is kept: by the provider's own time, else the last.
fn mark_superseded(staged: &mut [Staged]) {
    let mut best: HashMap<String, usize> = HashMap::with_capacity(staged.len());
    let mut superseded = Vec::new();
    for (index, item) in staged.iter().enumerate() {
        if !matches!(item.content, Content::Record(_)) {
            continue;
        }
        let Some(&earlier) = best.get(item.external_id.as_str()) else {
            best.insert(item.external_id.clone(), index);
            continue;
        };
        if staged[earlier].payload_hash == item.payload_hash {
            continue;
        }
        if item.source_updated_at < staged[earlier].source_updated_at {
            superseded.push(index);
        } else {
            superseded.push(earlier);
            best.insert(item.external_id.clone(), index);
        }
    }
    for index in superseded {
        staged[index].repeat = Repeat::SupersededInPage;
    }
}

/// Counts the payload fields that the map uses nowhere, for `connection show`.
pub fn count_unmapped(map: &FieldMap, staged: &[Staged], into: &mut BTreeMap<String, u64>) {
    for item in staged {
        if let Content::Record(Payload::Parsed(payload)) = &item.content {
            map.unmapped(payload, &mut |name| {
                if let Some(count) = into.get_mut(name) {
                    *count += 1;
                    return;
                }
                // Names are the provider's, but some providers make them of what people typed.
                let told = scrub(name);
                if let Some(count) = into.get_mut(&*told) {
                    *count += 1;
                } else if into.len() < UNMAPPED_NAMES {
                    into.insert(told.into_owned(), 1);
                }
            });
        }
    }
}

/// A fingerprint of the page's content, in its order.
pub fn page_hash(staged: &[Staged]) -> String {
    let mut all = String::with_capacity(staged.len() * 80);
    for item in staged {
        all.push_str(&item.external_id);
        all.push('\n');
        all.push_str(&item.payload_hash);
        all.push('\n');
    }
    text_hash(&all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::record::{BrokenItem, RawRecord};

    fn record(id: &str, value: i64, at: Option<&str>) -> Item {
        Item::Record(RawRecord {
            external_id: Some(id.to_owned()),
            payload: json!({"id": id, "value": value}),
            source_updated_at: at.map(|at| at.parse().expect("a time")),
        })
    }

    fn repeats(items: Vec<Item>, window: &mut RepeatWindow) -> Vec<Repeat> {
        stage(items, window).into_iter().map(|s| s.repeat).collect()
    }

    #[test]
    fn the_same_record_again_in_a_run_is_a_repeat_and_a_changed_one_is_not() {
        let mut window = RepeatWindow::default();
        assert_eq!(repeats(vec![record("1", 1, None), record("2", 1, None)], &mut window), [Repeat::No, Repeat::No]);
        assert_eq!(
            repeats(vec![record("2", 1, None), record("1", 2, None), record("3", 1, None)], &mut window),
            [Repeat::SameInRun, Repeat::No, Repeat::No]
        );
    }

    #[test]
    fn of_two_versions_in_a_page_the_newer_is_kept_whatever_their_order() {
        let (old, new) = (Some("2026-01-01T00:00:00Z"), Some("2026-01-02T00:00:00Z"));
        let mut window = RepeatWindow::default();
        assert_eq!(
            repeats(vec![record("1", 1, old), record("1", 2, new)], &mut window),
            [Repeat::SupersededInPage, Repeat::No]
        );
        assert_eq!(
            repeats(vec![record("2", 2, new), record("2", 1, old)], &mut window),
            [Repeat::No, Repeat::SupersededInPage]
        );
        // Without times the last one wins.
        assert_eq!(
            repeats(vec![record("3", 1, None), record("3", 2, None)], &mut window),
            [Repeat::SupersededInPage, Repeat::No]
        );
    }

    #[test]
    fn the_window_forgets_the_oldest_and_stays_bounded() {
        let mut window = RepeatWindow::default();
        for i in 0..REPEAT_WINDOW + 10 {
            assert!(!window.repeats(&i.to_string(), "00ff00ff00ff00ff"));
        }
        assert_eq!(window.seen.len(), REPEAT_WINDOW);
        assert!(!window.repeats("0", "00ff00ff00ff00ff"), "forgotten");
        assert!(window.repeats(&(REPEAT_WINDOW + 9).to_string(), "00ff00ff00ff00ff"), "remembered");
    }

    #[test]
    fn what_cannot_be_read_keeps_its_place_and_is_never_a_repeat() {
        let broken =
            || Item::Broken(BrokenItem { place: "line 3".into(), text: "{".into(), reason: "not JSON".into() });
        let mut window = RepeatWindow::default();
        let staged = stage(vec![broken(), broken()], &mut window);
        assert!(staged.iter().all(|s| s.repeat == Repeat::No && s.external_id == "line 3"));
    }
}

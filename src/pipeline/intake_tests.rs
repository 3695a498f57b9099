//! What becomes of deliveries: a table of how they can stand, and one bucket for each.

use super::*;
use crate::{
    domain::{
        clock::Timestamp,
        ids::{DeliveryId, InternalId, RawEventId, RunId},
    },
    store::page::{Known, RawEvent},
};

const MAP: &str = "version: \"1\"\nstream: contacts\nobject_type: contact\ntable: crm_leads\nfields:\n  \
                   - { to: contact_name, label: Name, type: text, from: name, required: true }\n\
                   ignore_when:\n  - { field: kind, equals: test, reason: a test record }\n";

fn at(minute: u32) -> Timestamp {
    format!("2026-01-01T00:{minute:02}:00Z").parse().unwrap()
}

fn one(id: i64, payload: &str, minute: Option<u32>) -> Pending {
    Pending {
        id: DeliveryId(id),
        received_at: at(30),
        source_updated_at: minute.map(at),
        raw: RawEvent {
            id: RawEventId(id + 100),
            external_id: "1".to_owned(),
            payload: payload.to_owned(),
            payload_hash: text_hash(payload),
            received_at: at(30),
        },
    }
}

fn stored(payload: &str, run: i64, minute: Option<u32>, is_test: bool) -> Known {
    Known {
        link_id: 1,
        internal_table: "crm_leads".to_owned(),
        internal_id: InternalId(1),
        payload_hash: text_hash(payload),
        record_hash: String::new(),
        source_updated_at: minute.map(at),
        last_run_id: RunId(run),
        is_test,
        raw: None,
    }
}

fn decide(pending: &[Pending], known: Option<Known>, with_map: bool) -> PageWrites {
    let map = FieldMap::parse("any", "contacts.yaml", MAP).expect("the map is right");
    let known: KnownRecords = known.into_iter().map(|known| ("1".to_owned(), known)).collect();
    let context = Context { map: with_map.then_some(&map), account: "4711", stream: "contacts", run: RunId(9) };
    context.decide(pending, &known)
}

const ADA: &str = r#"{"name":"Ada"}"#;
const BEA: &str = r#"{"name":"Bea"}"#;

#[test]
fn p3_each_delivery_ends_in_the_one_bucket_that_the_table_says() {
    type Case = (&'static str, Vec<Pending>, Option<Known>, bool, &'static [&'static str]);
    let table: Vec<Case> = vec![
        ("new", vec![one(1, ADA, None)], None, true, &["created normalized"]),
        ("another payload", vec![one(1, ADA, None)], Some(stored(BEA, 8, None, false)), true, &["updated normalized"]),
        ("the same", vec![one(1, ADA, None)], Some(stored(ADA, 8, None, false)), true, &["unchanged normalized"]),
        ("of a test batch", vec![one(1, ADA, None)], Some(stored(ADA, 8, None, true)), true, &["updated normalized"]),
        ("of this run", vec![one(1, ADA, None)], Some(stored(ADA, 9, None, false)), true, &["duplicate duplicate"]),
        ("older", vec![one(1, ADA, Some(1))], Some(stored(BEA, 8, Some(2), false)), true, &["ignored ignored"]),
        ("as old", vec![one(1, ADA, Some(2))], Some(stored(BEA, 8, Some(2), false)), true, &["updated normalized"]),
        (
            "out of order",
            vec![one(1, ADA, Some(2)), one(2, BEA, Some(1))],
            None,
            true,
            &["created normalized", "ignored ignored"],
        ),
        (
            "twice without times: the last one received",
            vec![one(1, ADA, None), one(2, BEA, None)],
            None,
            true,
            &["ignored ignored", "created normalized"],
        ),
        (
            "the same twice",
            vec![one(1, ADA, Some(1)), one(2, ADA, Some(1))],
            None,
            true,
            &["duplicate duplicate", "created normalized"],
        ),
        ("by a rule", vec![one(1, r#"{"name":"Ada","kind":"test"}"#, None)], None, true, &["ignored ignored"]),
        (
            "stored, and by a rule now",
            vec![one(1, r#"{"name":"Ada","kind":"test"}"#, None)],
            Some(stored(ADA, 8, None, false)),
            true,
            &["ignored ignored"],
        ),
        ("unmappable", vec![one(1, "{}", None)], None, true, &["failed failed"]),
        ("no JSON", vec![one(1, "{", None)], None, true, &["failed failed"]),
        ("no map", vec![one(1, ADA, None)], None, false, &["ignored ignored"]),
    ];
    for (what, pending, known, with_map, expected) in table {
        let writes = decide(&pending, known, with_map);
        let c = writes.counts;
        assert!(c.add_up() && c.seen == i64::try_from(pending.len()).unwrap(), "{what}: {c:?}");
        assert_eq!((writes.raw.len(), writes.deliveries.len()), (pending.len(), pending.len()), "{what}");
        let mut buckets: Vec<&str> = Vec::new();
        for (name, count) in [
            ("created", c.created),
            ("updated", c.updated),
            ("unchanged", c.unchanged),
            ("duplicate", c.duplicate),
            ("ignored", c.ignored),
            ("failed", c.failed),
        ] {
            buckets.extend((0..count).map(|_| name));
        }
        let mut wanted: Vec<&str> = expected.iter().map(|words| words.split(' ').next().unwrap()).collect();
        wanted.sort_by_key(|word| {
            ["created", "updated", "unchanged", "duplicate", "ignored", "failed"].iter().position(|w| w == word)
        });
        assert_eq!(buckets, wanted, "{what}");
        let ends: Vec<&str> = writes.deliveries.iter().map(|end| end.status.as_str()).collect();
        let wanted: Vec<&str> = expected.iter().map(|words| words.split(' ').nth(1).unwrap()).collect();
        assert_eq!(ends, wanted, "{what}");
        assert_eq!(writes.left_out.len(), usize::from(what.starts_with("stored, and")), "{what}");
        assert_eq!(writes.dead_letters.len(), usize::try_from(c.failed).unwrap(), "{what}");
        assert!(writes.raw.iter().all(|raw| matches!(raw, RawWrite::Existing { .. })), "{what}");
    }
}

#[test]
fn a_delivery_without_a_time_does_not_make_the_record_younger() {
    let writes = decide(&[one(1, ADA, None)], Some(stored(BEA, 8, Some(2), false)), true);
    assert_eq!(writes.records[0].source_updated_at, Some(at(2)));
}

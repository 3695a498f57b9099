//! Facts about field maps as a whole: what is refused at load, what a record becomes, that nothing is told about values.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A map over `crm_lead_events` that uses every type that the table can hold.
const EVERY_TYPE: &str = r#"
version: "3"
stream: things
object_type: thing
table: crm_lead_events
constants: { event_type: thing }
fields:
  - { to: lead_external_id, label: Phone, type: phone, from: p.phone, default_region: US }
  - { to: title, label: Name, type: text, from: [p.first, p.last], join: " " }
  - { to: stage, label: Stage, type: enum, from: p.stage, values: { a: open, b: won, c: ~ }, on_missing: { constant: none } }
  - { to: pipeline, label: Tags, type: enum, from: p.tags, separator: ";", values: { hot: hot, cold: cold } }
  - { to: owner, label: E-mail, type: email, from: p.email, required: true }
  - { to: projected_amount, label: Value, type: money, from: p.value, currency_from: p.currency }
  - { to: booked_amount, label: Booked, type: money, from: p.cents, currency: USD, unit: minor }
  - { to: occurred_at, label: When, type: timestamp, from: [p.at, made], formats: [rfc3339, date], zone: Europe/Berlin }
ignore_when:
  - { field: p.kind, in: [spam, 7], reason: marked as spam }
  - { field: p.email, matches: "@internal\\.test$", reason: our own people }
  - { field: p.gone, is_empty: false, reason: gone }
unmapped: [id, p.hs_*]
"#;

fn every_type() -> FieldMap {
    FieldMap::parse("acme", "mappings/things.yaml", EVERY_TYPE).unwrap()
}

fn outcome(map: &FieldMap, payload: &Value) -> Value {
    match map.apply(payload) {
        Mapped::Record(row) => {
            let cells = row.table.columns.iter().zip(&row.cells).map(|(column, cell)| {
                let value = match cell {
                    Cell::Null => Value::Null,
                    Cell::Text(text) | Cell::Json(text) => json!(text),
                    Cell::Integer(number) => json!(number),
                    Cell::Decimal(number) => json!(number.to_string()),
                    Cell::Bool(truth) => json!(truth),
                    Cell::Time(at) => json!(at.to_iso()),
                };
                (column.name.to_owned(), value)
            });
            Value::Object(cells.collect())
        }
        Mapped::Ignored { reason } => json!({ "ignored": reason }),
        Mapped::OtherAccount { field } => json!({ "other_account": field }),
        Mapped::Failed(errors) => {
            json!({ "failed": errors.iter().map(|e| format!("{} {}", e.field, e.code)).collect::<Vec<_>>() })
        }
    }
}

#[test]
fn a_record_becomes_a_row_of_typed_cells() {
    let payload = json!({"id": 1, "made": "2026-01-01T00:00:00Z", "p": {
        "phone": "(212) 555-0100", "first": " Ada ", "last": "Pfeiffer", "stage": "b", "tags": "cold; hot",
        "email": "Ada@Example.TEST", "value": "12.50", "currency": "usd", "cents": 900, "at": null,
    }});
    assert_eq!(
        outcome(&every_type(), &payload),
        json!({
            "lead_external_id": "+12125550100", "event_type": "thing", "title": "Ada Pfeiffer", "stage": "won",
            "pipeline": "hot", "owner": "ada@example.test", "projected_amount": "12.5", "booked_amount": "9",
            "currency": "USD", "occurred_at": "2026-01-01T00:00:00.000000Z", "closed_at": null,
        })
    );
}

#[test]
fn absent_and_empty_values_follow_their_rules() {
    let map = every_type();
    let row = outcome(&map, &json!({"p": {"email": "a@b.test", "first": "", "last": "Nowak", "stage": "c"}}));
    assert_eq!((&row["title"], &row["stage"], &row["currency"]), (&json!("Nowak"), &json!(null), &json!(null)));
    assert_eq!(outcome(&map, &json!({"p": {"email": "a@b.test"}}))["stage"], json!("none"));
    assert_eq!(outcome(&map, &json!({"p": {"email": " "}})), json!({"failed": ["p.email null_required"]}));
    assert_eq!(outcome(&map, &json!({"p": {}})), json!({"failed": ["p.email missing_required"]}));
    assert_eq!(outcome(&map, &json!(["not", "an", "object"])), json!({"failed": ["p.email missing_required"]}));
}

#[test]
fn every_bad_field_is_told_at_once_by_a_stable_word() {
    let payload = json!({"p": {
        "phone": "call me", "first": {"deep": 1}, "last": "x", "stage": "z", "tags": "hot;luke", "email": "nobody",
        "value": "1,5", "currency": "EUR", "cents": 9.5, "at": "yesterday",
    }});
    assert_eq!(
        outcome(&every_type(), &payload),
        json!({"failed": [
            "p.phone not_a_phone", "p.first not_text", "p.stage unknown_enum", "p.tags unknown_enum", "p.email not_an_email",
            "p.value not_a_number", "p.cents not_minor_units", "p.at not_a_time",
        ]})
    );
    for (value, expected) in [
        (json!({"value": 5}), "p.value missing_currency"),
        (json!({"value": 5, "currency": "ZZZ"}), "p.value unknown_currency"),
        (json!({"value": 5, "currency": 840}), "p.value unknown_currency"),
        (json!({"value": 5, "currency": "EUR", "cents": 5}), "p.cents currency_conflict"),
        (json!({"value": "0.00001", "currency": "EUR"}), "p.value number_too_precise"),
        (json!({"first": "x".repeat(301)}), "p.first too_long"),
        (json!({"at": "2026-03-29"}), ""),
    ] {
        let mut fields = value.clone();
        fields["email"] = json!("a@b.test");
        let failed = outcome(&every_type(), &json!({ "p": fields }))["failed"][0].clone();
        assert_eq!(failed.as_str().unwrap_or_default(), expected, "{value}");
    }
}

#[test]
fn e_mail_addresses_are_checked_and_made_small() {
    let map = every_type();
    for good in ["a@b.test", "A.B+c@x-y.example.test", "o'neil@b.test", "\u{fc}mit@b\u{fc}cher.test"] {
        assert_eq!(outcome(&map, &json!({"p": {"email": good}}))["owner"], json!(good.to_lowercase()));
    }
    for bad in
        ["a", "a@b", "@b.test", "a b@c.test", "a@-b.test", "a@b..test", ".a@b.test", "a..b@c.test", "a@b.test,c@d.test"]
    {
        assert_eq!(outcome(&map, &json!({"p": {"email": bad}})), json!({"failed": ["p.email not_an_email"]}), "{bad}");
    }
}

#[test]
fn records_are_left_out_by_rule_with_the_rules_reason() {
    let map = every_type();
    for (payload, reason) in [
        (json!({"p": {"kind": "spam"}}), "marked as spam"),
        (json!({"p": {"kind": 7}}), "marked as spam"),
        (json!({"p": {"email": "us@internal.test"}}), "our own people"),
        (json!({"p": {"gone": "yes"}}), "gone"),
    ] {
        assert_eq!(outcome(&map, &payload), json!({ "ignored": reason }));
    }
    assert_eq!(
        outcome(&map, &json!({"p": {"kind": "ham", "email": "a@b.test", "gone": ""}}))["owner"],
        json!("a@b.test")
    );
}

#[test]
fn fields_that_the_map_does_not_know_are_named_at_leaf_level() {
    let mut names = Vec::new();
    let payload = json!({
        "id": 1, "made": "x", "other": 5, "list": [1], "deep": {"a": {"b": 1}, "c": 2}, "none": {},
        "p": {"email": "a", "currency": "b", "hs_x": 1, "notes": "c", "kind": null},
    });
    every_type().unmapped(&payload, &mut |name| names.push(name.to_owned()));
    assert_eq!(names, ["other", "list", "deep.a", "deep.c", "p.notes"]);
}

#[test]
fn alike_failures_have_one_fingerprint_and_others_another() {
    let map = every_type();
    let error = |field: &str, code| FieldError { field: field.to_owned(), code, message: "x".to_owned() };
    let first = map.fingerprint(&error("p.a", "not_a_phone"));
    assert_eq!(first, map.fingerprint(&FieldError { message: "y".to_owned(), ..error("p.a", "not_a_phone") }));
    assert_ne!(first, map.fingerprint(&error("p.b", "not_a_phone")));
    assert_ne!(first, map.fingerprint(&error("p.a", "not_text")));
    let newer = FieldMap::parse("acme", "things.yaml", &EVERY_TYPE.replace("\"3\"", "\"4\"")).unwrap();
    assert_ne!(first, newer.fingerprint(&error("p.a", "not_a_phone")));
}

#[test]
fn everything_that_is_wrong_with_a_map_is_told_at_once_with_its_line() {
    let text = r#"
version: 1.10
stream: things
object_type: thing
table: crm_lead_events
colour: blue
constants: { event_typ: thing }
fields:
  - { to: stage, label: Stage, type: text, from: a..b }
  - { to: stage, label: Again, type: integer, from: b }
  - { to: projected_amount, label: Value, type: money, from: c }
  - { to: occurred_at, label: When, type: timestamp, from: d, formats: [date] }
  - { to: closed_at, type: timstamp, from: e }
  - { to: owner, label: Phone, type: phone, from: f, default_region: usa, required: true, on_null: null }
  - { to: title, label: Kind, type: enum, from: g }
  - { to: pipeline, label: None, type: text }
ignore_when:
  - { field: a, matches: "(", reason: broken }
  - { field: a, reason: nothing }
"#;
    let problems = FieldMap::parse("acme", "others.yaml", text).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn words_of_a_column_and_the_table_are_checked_too() {
    let text = |table: &str, field: &str| {
        format!("version: \"1\"\nstream: s\nobject_type: o\ntable: {table}\nfields:\n  - {field}\n")
    };
    for (table, field, expected) in [
        ("crm_lead", "{ to: email, label: E, type: email, from: e }", "did you mean `crm_leads`?"),
        ("crm_leads", "{ to: emial, label: E, type: email, from: e }", "did you mean `email`?"),
        ("crm_leads", "{ to: consent, label: C, type: text, from: c }", "use type enum with a `values` map"),
        ("crm_leads", "{ to: consent, label: C, type: enum, from: c, values: { a: yes } }", "does not take `yes`"),
        (
            "crm_leads",
            "{ to: consent, label: C, type: enum, from: c, values: { a: granted }, on_null: { constant: maybe } }",
            "does not take `maybe`",
        ),
        ("crm_leads", "{ to: email, label: E, type: money, from: e, currency: USD }", "no text column `currency`"),
        ("crm_leads", "{ to: phone, label: E, type: phone, from: e, zone: UTC }", "is not a known key"),
        ("crm_leads", "just text", "a table of keys is expected"),
        ("crm_leads", "{ to: received_at, label: R, type: timestamp, from: r, zone: Mars }", "`Mars` is no zone"),
    ] {
        let problems = FieldMap::parse("p", "s.yaml", &text(table, field)).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|problem| problem.contains(expected)), "{field}: {told:#?}");
    }
    let problems = FieldMap::parse("p", "s.yaml", "version: [").unwrap_err();
    assert!(problems[0].message.contains("YAML"), "{problems:?}");
}

fn repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn shipped(provider: &str, stream: &str) -> FieldMap {
    let file = repository(&format!("connectors/{provider}/mappings/{stream}.yaml"));
    let text = std::fs::read_to_string(&file).unwrap();
    FieldMap::parse(provider, &file.to_string_lossy(), &text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn hubspot_fixtures_map_as_they_always_did() {
    for stream in ["contacts", "deals"] {
        let map = shipped("hubspot", stream);
        let mut files: Vec<_> = std::fs::read_dir(repository(&format!("connectors/hubspot/fixtures/{stream}")))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            // What the conformance kit holds the others against is no answer of the provider.
            .filter(|file| file.file_name().is_some_and(|name| name != "expected.json"))
            .collect();
        files.sort();
        assert!(files.len() >= 5, "{stream} lost its fixtures");
        let mut told = serde_json::Map::new();
        for file in files {
            let page: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let rows: Vec<Value> = page["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|record| {
                    let mut unmapped = Vec::new();
                    map.unmapped(record, &mut |name| unmapped.push(name.to_owned()));
                    json!({"id": record["id"], "row": outcome(&map, record), "unmapped": unmapped})
                })
                .collect();
            told.insert(file.file_name().unwrap().to_string_lossy().into_owned(), Value::Array(rows));
        }
        insta::assert_json_snapshot!(format!("hubspot_{stream}"), told);
    }
}

#[test]
fn a_row_of_the_spreadsheet_map_needs_only_its_time() {
    let map = shipped("csv", "leads");
    let row = outcome(
        &map,
        &json!({"lead_id": "7", "name": "Ada", "email": "", "phone": "212-555-0100", "paid": "yes", "received_at": "2026-01-31 08:00"}),
    );
    assert_eq!(row["phone"], json!("+12125550100"));
    assert_eq!((&row["paid_or_organic"], &row["consent"]), (&json!("paid"), &json!("unknown")));
    assert_eq!(row["received_at"], json!("2026-01-31T08:00:00.000000Z"));
    let failed = outcome(&map, &json!({"lead_id": "7", "paid": "perhaps", "received_at": ""}));
    assert_eq!(failed, json!({"failed": ["paid unknown_enum", "received_at null_required"]}));
    assert_eq!(outcome(&map, &json!({"stage": "spam"})), json!({"ignored": "marked as spam in the file"}));
}

#[test]
fn what_was_deleted_is_left_out_before_anything_of_it_is_required() {
    let text = "version: \"1\"\nstream: things\nobject_type: thing\ntable: crm_leads\nfields:\n  \
        - { to: contact_name, label: Name, type: text, from: name, required: true }\nignore_when: [{ field: deleted, equals: true, reason: deleted there }]\n";
    let map = FieldMap::parse("acme", "things.yaml", text).unwrap();
    assert_eq!(outcome(&map, &json!({"id": "7", "deleted": true})), json!({"ignored": "deleted there"}));
    assert_eq!(outcome(&map, &json!({"id": "7", "deleted": false})), json!({"failed": ["name missing_required"]}));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[+0-9 ()x.-]{0,20}".prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z.]{0,6}", inner), 0..4).prop_map(|f| Value::Object(f.into_iter().collect())),
        ]
    })
}

#[test]
fn p15_a_payload_that_names_another_account_is_not_mapped_whatever_else_it_says() {
    const OF_ACCOUNT: &str = "version: \"1\"\nstream: things\nobject_type: thing\ntable: crm_leads\naccount: { from: portal.id }\nfields:\n  \
        - { to: contact_name, label: Name, type: text, from: name }\nignore_when:\n  - { field: kind, equals: spam, reason: spam }\n";
    let map = FieldMap::parse("acme", "things.yaml", OF_ACCOUNT).unwrap();
    let of = |id: Value| map.apply_for("4711", &json!({"name": "Ann", "kind": "spam", "portal": {"id": id}}));
    for theirs in [json!("4712"), json!(4712), json!(true), json!(["4711"]), json!({"id": "4711"})] {
        assert_eq!(of(theirs.clone()), Mapped::OtherAccount { field: "portal.id".to_owned() }, "{theirs}");
    }
    for ours in [json!("4711"), json!(" 4711 "), json!(4711), json!(null), json!("")] {
        assert!(matches!(of(ours.clone()), Mapped::Ignored { .. }), "{ours}");
    }
    assert!(matches!(map.apply_for("4711", &json!({"name": "Ann"})), Mapped::Record(_)), "a payload that names none");
    let mut unknown = Vec::new();
    map.unmapped(&json!({"portal": {"id": 1}}), &mut |name| unknown.push(name.to_owned()));
    assert!(unknown.is_empty(), "{unknown:?}");
    let wrong =
        FieldMap::parse("acme", "things.yaml", &OF_ACCOUNT.replace("{ from: portal.id }", "{ form: portal..id }"));
    let problems: Vec<String> = wrong.unwrap_err().iter().map(ToString::to_string).collect();
    assert!(
        problems.iter().any(|p| p.contains("account.from")) && problems.iter().any(|p| p.contains("`from`")),
        "{problems:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_maps_the_same_way_twice_and_never_panics(
        fields in prop::collection::vec(any_json(), 12),
        other in any_json(),
    ) {
        let map = every_type();
        let names = ["phone", "first", "last", "stage", "tags", "email", "value", "currency", "cents", "at", "kind", "gone"];
        let payload = json!({"p": names.iter().map(|n| (*n).to_owned()).zip(fields).collect::<serde_json::Map<_, _>>()});
        prop_assert_eq!(map.apply(&payload), map.apply(&payload));
        map.unmapped(&payload, &mut |_| {});
        prop_assert_eq!(map.apply(&other), map.apply(&other));
        map.unmapped(&other, &mut |_| {});
    }

    #[test]
    fn no_reason_repeats_a_value(secret in "planted[a-z]{8}") {
        let map = every_type();
        for name in ["phone", "first", "last", "stage", "tags", "email", "value", "currency", "cents", "at"] {
            for value in [json!(secret), json!({ secret.as_str(): secret }), json!([secret])] {
                let mut payload = json!({"p": {"value": 5, "email": "a@b.test"}});
                payload["p"][name] = value;
                if let Mapped::Failed(errors) = map.apply(&payload) {
                    prop_assert!(!format!("{errors:?}").contains("planted"), "{:?}", errors);
                }
            }
        }
    }
}

//! What declarations say, and what is read by them.

use serde_json::json;

use super::{BodyFormat, Carries, Delivery, Feed, Received, StreamFacts, WebhookDeclaration};

const SIGNED: &str = "signature: { scheme: standard_webhooks }\n";

fn parse(rest: &str) -> WebhookDeclaration {
    WebhookDeclaration::parse(&format!("{SIGNED}{rest}"), &["contacts", "deals"])
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn read(declaration: &WebhookDeclaration, headers: &[(&str, &str)], body: &str) -> Vec<Delivery> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let received =
        Received { method: "POST", url: "https://hooks.example.test/x", headers: &headers, body: body.as_bytes() };
    declaration.read(&received).unwrap()
}

fn carrying() -> WebhookDeclaration {
    parse(
        "deliveries: { items: events }
delivery_id: uid
event_name: [kind, action]
occurred_at: { path: at, formats: [epoch_ms] }
events:
  contact.saved: { stream: contacts, record: data.object, id: [store, number], updated_at: changed }
  deal.saved: { stream: deals, fetch: true, id: data.id }
  deal.gone: { ignore: deleted deals stay }
summary: [source]
",
    )
}

#[test]
fn one_request_carries_many_events_each_read_by_its_own_rule() {
    let body = json!({"events": [
        {"uid": 1, "kind": "contact", "action": "saved", "at": 1_767_604_320_000_i64, "source": "form",
         "data": {"object": {"store": "a:b", "number": 7, "changed": "2026-01-05T09:12:00Z", "email": "x@example.test"}}},
        {"uid": 2, "kind": "deal", "action": "saved", "data": {"id": 9}},
        {"uid": 3, "kind": "deal", "action": "gone"},
        {"uid": 4, "kind": "ticket", "action": "saved"},
        {"kind": "deal", "action": "saved", "data": {"id": 10}},
        "odd",
    ]});
    let read = read(&carrying(), &[], &body.to_string());
    assert_eq!(read.len(), 6);
    let at = "2026-01-05T09:12:00.000000Z";
    assert_eq!(read[0].delivery_id, "1");
    assert_eq!(read[0].occurred_at.unwrap().to_iso(), at);
    assert_eq!(read[0].summary, format!("contact.saved of a\\:b:7 at {at}, source form"));
    let Carries::Record { stream, external_id, payload, source_updated_at } = &read[0].carries else {
        panic!("{read:?}")
    };
    // As the connector makes it of a key of two parts.
    assert_eq!((stream.as_str(), external_id.as_str()), ("contacts", "a\\:b:7"));
    assert_eq!(payload["email"], "x@example.test");
    assert_eq!(source_updated_at.unwrap().to_iso(), at);
    assert_eq!(read[1].carries, Carries::Fetch { stream: "deals".to_owned() });
    assert_eq!(read[1].object_id.as_deref(), Some("9"));
    assert_eq!(read[2].carries, Carries::Nothing { reason: "deleted deals stay".to_owned() });
    assert_eq!(read[3].event_name, "ticket.saved");
    assert_eq!(read[3].carries, Carries::Nothing { reason: "the event is not declared".to_owned() });
    assert!(read[4].delivery_id.starts_with("sha256:"), "{:?}", read[4]);
    assert!(matches!(read[5].carries, Carries::Nothing { .. }), "{:?}", read[5]);
}

#[test]
fn a_record_that_is_not_as_declared_is_fetched_instead_and_never_lost() {
    let whole = json!({"store": "a", "number": 7, "changed": "2026-01-05T09:12:00Z"});
    for missing in ["store", "number", "changed"] {
        let mut object = whole.clone();
        object[missing] = serde_json::Value::Null;
        let body = json!({"events": [{"uid": 1, "kind": "contact", "action": "saved", "data": {"object": object}}]});
        let read = read(&carrying(), &[], &body.to_string());
        assert_eq!(read[0].carries, Carries::Fetch { stream: "contacts".to_owned() }, "{missing}");
    }
    for data in [json!(null), json!({"object": [1]}), json!({"object": "x"})] {
        let body = json!({"events": [{"uid": 1, "kind": "contact", "action": "saved", "data": data}]});
        assert!(matches!(read(&carrying(), &[], &body.to_string())[0].carries, Carries::Fetch { .. }));
    }
}

#[test]
fn a_body_that_is_not_as_declared_is_unreadable_and_tells_no_content() {
    let declaration = carrying();
    for (body, part) in
        [("{\"secret\":", "not JSON"), ("{\"other\": []}", "no events at 'events'"), ("[]", "no events")]
    {
        let received = Received { method: "POST", url: "x", headers: &[], body: body.as_bytes() };
        let told = declaration.read(&received).unwrap_err().to_string();
        assert!(told.contains(part) && !told.contains("secret"), "{told}");
    }
    let many = json!({"events": vec![0; 5001]}).to_string();
    let received = Received { method: "POST", url: "x", headers: &[], body: many.as_bytes() };
    assert!(declaration.read(&received).is_err());
    for none in ["{\"events\": []}", "{\"events\": null}"] {
        assert_eq!(read(&declaration, &[], none), []);
    }
}

#[test]
fn a_delivery_is_known_by_its_header_its_parts_or_its_content() {
    const REST: &str = "event_name: { header: X-Topic }\nevents: { a: { ignore: x } }\n";
    let by_header = parse(&format!("delivery_id: {{ header: X-Id }}\n{REST}"));
    assert_eq!(read(&by_header, &[("x-id", "d1"), ("x-topic", "a")], "{}")[0].delivery_id, "d1");
    let two: Vec<_> = read(&by_header, &[("x-id", "d1")], "[{}, {}]").into_iter().map(|d| d.delivery_id).collect();
    assert_eq!(two, ["d1#0", "d1#1"]);
    let long = "x".repeat(500);
    assert!(read(&by_header, &[("x-id", &long)], "{}")[0].delivery_id.chars().count() <= 190);
    // Without the header, or with two of it, content and name tell deliveries apart.
    let unnamed = |topic: &str, body: &str| read(&by_header, &[("x-topic", topic)], body)[0].delivery_id.clone();
    assert_eq!(unnamed("a", "{\"x\":1,\"y\":2}"), unnamed("a", "{\"y\":2,\"x\":1}"));
    assert_ne!(unnamed("a", "{\"x\":1}"), unnamed("b", "{\"x\":1}"));
    assert_ne!(unnamed("a", "{\"x\":1}"), unnamed("a", "{\"x\":2}"));
    let doubled = read(&by_header, &[("x-id", "d1"), ("x-id", "d2"), ("x-topic", "a")], "{}");
    assert!(doubled[0].delivery_id.starts_with("sha256:"));
    let by_hash = parse(&format!("delivery_id: {{ hash: true }}\n{REST}"));
    assert_eq!(read(&by_hash, &[("x-topic", "a")], "{\"x\":1}")[0].delivery_id, unnamed("a", "{\"x\":1}"));
    let by_parts = parse(&format!("delivery_id: [a, b]\n{REST}"));
    assert_eq!(read(&by_parts, &[], "{\"a\":\"x:y\",\"b\":1}")[0].delivery_id, "x\\:y:1");
}

#[test]
fn forms_and_nested_lists_are_read() {
    let form = parse(
        "deliveries: { format: form }\ndelivery_id: CallSid\nevent_name: CallStatus\nevents: { completed: { stream: contacts, record: \".\", id: CallSid } }\n",
    );
    assert_eq!(form.format, BodyFormat::Form);
    let read_form = read(&form, &[], "CallSid=CA1&CallStatus=completed&To=%2B1555&Digits=1&Digits=2");
    let Carries::Record { payload, source_updated_at, .. } = &read_form[0].carries else { panic!("{read_form:?}") };
    assert_eq!(payload["To"], "+1555");
    assert_eq!(payload["Digits"], json!(["1", "2"]));
    assert_eq!(*source_updated_at, None);
    let nested = parse(
        "deliveries: { items: notes.*.change.entities }\ndelivery_id: { hash: true }\nevent_name: [name, op]\nevents: { Invoice.Create: { stream: deals, fetch: true, id: id } }\n",
    );
    let body = json!({"notes": [{"change": {"entities": [{"name": "Invoice", "op": "Create", "id": "1"}]}},
                                {"change": {"entities": [{"name": "Invoice", "op": "Create", "id": "2"}]}}]});
    let ids: Vec<_> = read(&nested, &[], &body.to_string()).into_iter().map(|d| d.object_id.unwrap()).collect();
    assert_eq!(ids, ["1", "2"]);
}

#[test]
fn p18_a_summary_is_bounded_and_holds_no_address() {
    let declaration = parse(
        "delivery_id: uid\nevent_name: kind\nevents: { a: { stream: deals, fetch: true, id: key } }\nsummary: [kind, state]\n",
    );
    let body = json!({"uid": 1, "kind": "a", "key": "jon@example.test", "state": "jon@example.test"});
    let read_one = read(&declaration, &[], &body.to_string());
    assert_eq!(read_one[0].summary, "a, kind a");
    let body = json!({"uid": 1, "kind": "k".repeat(5000), "state": "s\n".repeat(5000)});
    let long = &read(&declaration, &[], &body.to_string())[0];
    assert!(long.summary.chars().count() <= 300 && long.event_name.len() <= 120 && !long.summary.contains('\n'));
}

#[test]
fn a_carried_record_takes_the_streams_own_key() {
    let key = [vec!["id".to_owned()], vec!["sub".to_owned(), "a.b".to_owned()]];
    let facts = [StreamFacts { name: "contacts", primary_key: &key }];
    let text = format!(
        "{SIGNED}delivery_id: uid\nevent_name: kind\nevents:\n  a: {{ stream: contacts, record: data }}\n  b: {{ stream: contacts, fetch: true }}\n"
    );
    let declaration = WebhookDeclaration::parse_for(&text, &facts).unwrap();
    assert_eq!(declaration.feeds("contacts"), Some(Feed::Record));
    assert_eq!(declaration.feeds("deals"), None);
    let body = json!({"uid": 1, "kind": "a", "data": {"id": 5, "sub": {"a.b": "x"}}});
    assert_eq!(read(&declaration, &[], &body.to_string())[0].object_id.as_deref(), Some("5:x"));
    let one_part = text.replace("record: data", "record: data, id: id");
    let problems = WebhookDeclaration::parse_for(&one_part, &facts).unwrap_err();
    assert!(problems[0].to_string().contains("1 parts, the stream's key has 2"), "{problems:?}");
}

#[test]
fn everything_wrong_with_a_declaration_is_told_at_once_with_its_line() {
    let text = "signature: { scheme: strpe }
deliveries: { format: xml, item: x }
event_name: { path: type }
occurred_at: { path: at, formats: [datetime] }
events:
  a: { stream: contcts, fetch: true }
  b: { stream: contacts, record: data }
  c: { stream: contacts }
  d: { ignore: x, fetch: true }
  e: { stream: contacts, record: data, id: id, updated_at: { path: t, of: thing } }
summary: [contact.email, propertyValue, name]
wrong: 1
";
    let problems = WebhookDeclaration::parse(text, &["contacts"]).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for part in [
        "line 1: signature.scheme: there is no scheme `strpe`; did you mean `stripe`?",
        "line 2: deliveries.format: there is no format `xml`",
        "line 2: deliveries.item: is not a known key; did you mean `items`?",
        "delivery_id: is required",
        "line 3: event_name",
        "line 4: occurred_at.zone: is required: a format has no zone",
        "line 6: events.a.stream: the connector has no stream `contcts`; did you mean `contacts`?",
        "line 7: events.b.id: is required",
        "line 8: events.c: one meaning is expected",
        "line 9: events.d: one meaning is expected",
        "line 10: events.e.updated_at.of: `thing` has no times",
        "line 11: summary: `contact.email` may hold a person's data",
        "line 11: summary: `propertyValue` may hold",
        "line 11: summary: `name` may hold",
        "line 12: wrong: is not a known key",
    ] {
        assert!(told.iter().any(|line| line.contains(part)), "{part}: {told:#?}");
    }
}

#[test]
fn a_signature_that_leaves_body_or_time_open_is_refused_at_load() {
    let wrong = |signature: &str| {
        let text = format!("signature: {signature}\ndelivery_id: a\nevent_name: b\nevents: {{ a: {{ ignore: x }} }}\n");
        let problems = WebhookDeclaration::parse(&text, &[]).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (signature, part) in [
        (
            "{ scheme: hmac, header: X-S, signed: \"{timestamp}\", timestamp: { header: X-T } }",
            "leaves the body unsigned",
        ),
        ("{ scheme: hmac, header: X-S, timestamp: { header: X-T } }", "put {timestamp} into `signed`"),
        ("{ scheme: hmac, header: X-S, signed: \"{timestamp}{body}\" }", "signature.timestamp: is required"),
        ("{ scheme: hmac, header: X-S, signed: \"{id}{body}\" }", "signature.id_header: is required"),
        ("{ scheme: hmac, header: X-S, id_header: X-I }", "put {id} into `signed`"),
        ("{ scheme: hmac, header: X-S, signed: \"{boddy}\" }", "`{boddy}` is no part of a request"),
        ("{ scheme: hmac }", "signature.header: is required"),
        ("{ scheme: hmac, header: \"X S\" }", "is no name of a header"),
        ("{ scheme: hmac, header: X-S, hash: md5 }", "use one of: sha256, sha1, sha512"),
        ("{ scheme: hmac, header: X-S, separator: \"; \" }", "one character is expected"),
        ("{ scheme: github, tolerance_seconds: 5 }", "signature.tolerance_seconds: is not a known key"),
        ("{ scheme: stripe, tolerance_seconds: 0 }", "is out of its bounds"),
        ("{ scheme: none, header: X }", "signature.header: is not a known key"),
        ("{ scheme: token }", "signature.header: is required"),
        ("{ header: X }", "signature.scheme: is required"),
    ] {
        assert!(wrong(signature).contains(part), "{signature}: {}", wrong(signature));
    }
}

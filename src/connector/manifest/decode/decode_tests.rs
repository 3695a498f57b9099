//! Every decoder held against what the reference's own gave (`recorded/decoders.json`), and the daemon's stricter ways.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::{
    connector::manifest::reader::{Component, Load},
    yaml::{self, Dialect},
};

fn plan(text: &str) -> DecoderPlan {
    let text = format!("{{\"decoder\": {text}}}");
    let tree = yaml::parse(&text, Dialect::Yaml11).unwrap();
    let load = Load::default();
    let plan = decoder(&Component::root(&tree, &load), "decoder");
    assert!(load.problems.borrow().is_empty(), "{text}: {:?}", load.problems.borrow());
    plan.unwrap()
}

fn read(
    plan: &DecoderPlan,
    body: &[u8],
    headers: &BTreeMap<String, String>,
    strictness: Strictness,
) -> (Vec<Value>, bool) {
    match decode(plan, body, &Head { status: 200, headers }, strictness) {
        Err(_) => (Vec::new(), true),
        Ok(Decoded::Whole(value)) => match value {
            Value::Array(items) if items.is_empty() && !matches!(plan, DecoderPlan::Gzip(_)) => {
                (vec![json!({})], false)
            }
            Value::Array(items) => (items, false),
            one => (vec![one], false),
        },
        Ok(Decoded::Stream(pieces)) => {
            let (mut values, mut failed) = (Vec::new(), false);
            for piece in pieces {
                match piece {
                    Ok(Piece::Value(value)) => values.push(value),
                    Ok(Piece::Broken { reason, .. }) => values.push(json!({"broken": reason})),
                    Err(_) => failed = true,
                }
            }
            (values, failed)
        }
    }
}

#[test]
fn bodies_are_decoded_as_recorded() {
    let cases: Value = serde_json::from_str(include_str!("../recorded/decoders.json")).unwrap();
    let mut wrong = Vec::new();
    for case in cases.as_array().unwrap() {
        let body = match (case["text"].as_str(), case["base64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, text) => STANDARD.decode(text.unwrap()).unwrap(),
        };
        let headers: BTreeMap<String, String> = serde_json::from_value(case["headers"].clone()).unwrap();
        let (values, failed) = read(&plan(&case["decoder"].to_string()), &body, &headers, Strictness::Reference);
        // The reference gives an empty table twice where it fails; once is enough to hold no records.
        let mut expected = case["gives"].as_array().unwrap().clone();
        if expected == [json!({}), json!({})] {
            expected.pop();
        }
        if values != expected || failed != case["fails"].is_string() {
            wrong.push(format!("{case}\n  was {} failed {failed}", Value::Array(values)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_daemon_takes_no_unreadable_body_for_an_empty_one() {
    let none = BTreeMap::new();
    for (decoder, body) in [
        ("{type: JsonDecoder}", "nope"),
        ("{type: JsonDecoder}", ""),
        ("{type: XmlDecoder}", "<r>"),
        ("{type: XmlDecoder}", ""),
    ] {
        assert!(read(&plan(decoder), body.as_bytes(), &none, Strictness::Daemon).1, "{decoder} {body}");
    }
    let lines = plan("{type: JsonlDecoder}");
    let (values, failed) = read(&lines, b"{\"a\":1}\nnope\n\n{\"a\":2}\n", &none, Strictness::Daemon);
    assert!(!failed);
    assert_eq!(values, [json!({"a": 1}), json!({"broken": "the line is not JSON (column 2)"}), json!({"a": 2})]);
    let json = plan("{type: JsonDecoder}");
    let nothing = decode(&json, b"", &Head { status: 204, headers: &none }, Strictness::Daemon);
    assert!(matches!(nothing, Ok(Decoded::Whole(Value::Null))));
}

#[test]
fn a_document_that_declares_entities_is_refused() {
    let body = b"<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><r>&b;</r>";
    assert!(read(&plan("{type: XmlDecoder}"), body, &BTreeMap::new(), Strictness::Reference).1);
}

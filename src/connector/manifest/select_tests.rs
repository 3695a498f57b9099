//! Extraction held against what the reference's own gave (`recorded/extractors.json`), and what the daemon asks beyond it.

use serde_json::json;

use super::*;
use crate::{
    connector::manifest::{
        load_selector,
        reader::{Component, Load},
    },
    yaml::{self, Dialect},
};

struct Loaded {
    engine: Engine,
    selector: Selector,
}

fn selector(text: &str) -> Loaded {
    let tree = yaml::parse(text, Dialect::Yaml11).unwrap();
    let load = Load::default();
    let selector = {
        let root = Component::root(&tree, &load);
        let (_, component) = root.open(&tree, String::new(), &["RecordSelector"]).unwrap();
        load_selector::selector(&component)
    };
    assert!(load.problems.borrow().is_empty(), "{:?}", load.problems.borrow());
    Loaded { selector: selector.unwrap(), engine: load.engine.into_inner() }
}

fn scope() -> Scope {
    Scope::new("2026-01-31T08:00:00Z".parse().unwrap(), &Arc::new(json!({"k": "data", "n": 1})))
}

fn of(extractor: &Value) -> Loaded {
    selector(&json!({"type": "RecordSelector", "extractor": extractor}).to_string())
}

#[test]
fn records_are_extracted_as_recorded() {
    let cases: Value = serde_json::from_str(include_str!("recorded/extractors.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let loaded = of(&case[0]);
        let found = extract_leniently(&loaded.engine, &loaded.selector, &scope(), extract::bodies(case[1].clone()));
        let found = found.map_or_else(|_| json!("error"), |(records, _)| Value::Array(records));
        assert_eq!(found, case[2], "{case}");
        if let (Ok(count), Some(records)) =
            (peek(&loaded.engine, &loaded.selector, &scope(), &case[1]), case[2].as_array())
            && !records.iter().any(Value::is_array)
            && case[0].get("skip_empty_records").is_none()
        {
            assert_eq!(count, records.len() as u64, "{case}");
        }
    }
}

#[test]
fn a_missing_path_fails_the_page_and_an_empty_one_does_not() {
    let loaded = of(&json!({"type": "DpathExtractor", "field_path": ["data"]}));
    let extract = |body: Value, optional| extract(&loaded.engine, &loaded.selector, &scope(), body, optional, "GET x");
    assert!(extract(json!({"rows": []}), false).unwrap_err().message.contains("has no 'data'"));
    assert_eq!(extract(json!({"rows": []}), true).unwrap(), Vec::<Value>::new());
    assert_eq!(extract(json!({"data": []}), false).unwrap(), Vec::<Value>::new());
    assert_eq!(extract(json!({"data": null}), false).unwrap(), Vec::<Value>::new());
    let error = extract(json!({"data": null, "errors": ["no"]}), false).unwrap_err();
    assert!(error.message.contains("holds an error"), "{}", error.message);
}

#[test]
fn filtering_and_transforming_follow_the_manifests_order() {
    for (first, expected) in [(false, json!([{"id": 1, "x": 1}])), (true, json!([{"id": 2, "x": 2}]))] {
        let text = format!(
            "{{type: RecordSelector, extractor: {{type: DpathExtractor, field_path: []}}, transform_before_filtering: {first}, record_filter: {{type: RecordFilter, condition: \"{{{{ record.x == 2 }}}}\"}}}}"
        );
        let mut loaded = selector(&text);
        let steps = loaded.engine.compile("{{ record.id }}", "x", &Arc::new(json!({}))).unwrap();
        let add =
            crate::connector::manifest::transform::AddedField { path: vec!["x".into()], value: steps, kind: None };
        let transformations = [Transformation::Add { fields: vec![add], condition: None }];
        let chain = Chain {
            engine: &loaded.engine,
            selector: &loaded.selector,
            transformations: &transformations,
            schema: None,
            transform_first: false,
        };
        let mut out = Vec::new();
        for record in [json!({"id": 1, "x": 2}), json!({"id": 2, "x": 1})] {
            let mut record = Arc::new(record);
            if chain.record(&scope(), &mut record, &|_| Ok(true)).unwrap() {
                out.push((*record).clone());
            }
        }
        assert_eq!(Value::Array(out), expected, "{first}");
    }
}

//! Each step held against what the reference's own gave (`recorded/transformations.json`).

use super::*;
use crate::{
    connector::manifest::reader::{Component, Load},
    yaml::{self, Dialect},
};

#[test]
fn records_are_transformed_as_recorded() {
    let cases: Value = serde_json::from_str(include_str!("../recorded/transformations.json")).unwrap();
    let mut wrong = Vec::new();
    for case in cases.as_array().unwrap() {
        let text = json!({"transformations": case[1]}).to_string();
        let tree = yaml::parse(&text, Dialect::Yaml11).unwrap();
        let load = Load::default();
        let steps = transformations(&Component::root(&tree, &load), "transformations");
        assert!(load.problems.borrow().is_empty(), "{text}: {:?}", load.problems.borrow());
        let engine = load.engine.into_inner();
        let scope = Scope::new("2026-01-31T08:00:00Z".parse().unwrap(), &Arc::new(json!({"k": "v", "n": 3})));
        let mut record = Arc::new(case[0].clone());
        steps.iter().for_each(|step| step.apply(&engine, &scope, &mut record).unwrap());
        if *record != case[2] {
            wrong.push(format!("{}\n  expected {}\n  was      {record}", case[1], case[2]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_record_does_not_allow_is_its_own_fault() {
    let tree = yaml::parse(
        "transformations: [{type: AddFields, fields: [{type: AddedFieldDefinition, path: [a, b], value: x}]}]",
        Dialect::Yaml11,
    )
    .unwrap();
    let load = Load::default();
    let steps = transformations(&Component::root(&tree, &load), "transformations");
    let engine = load.engine.into_inner();
    let scope = Scope::new("2026-01-31T08:00:00Z".parse().unwrap(), &Arc::new(json!({})));
    for record in [json!({"a": null}), json!({"a": 1}), json!({"a": []})] {
        let fault = steps[0].apply(&engine, &scope, &mut Arc::new(record)).unwrap_err();
        assert!(matches!(fault, Fault::Record(reason) if reason.contains("'a.b'")));
    }
}

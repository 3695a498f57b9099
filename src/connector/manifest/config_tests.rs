//! Configurations held against what the reference made of them (`recorded/configs.json`).

use serde_json::json;

use super::*;
use crate::{
    connector::manifest::reader::Load,
    yaml::{self, Dialect},
};

fn rules(spec: &Value) -> (Engine, ConfigRules) {
    let tree = yaml::parse(&spec.to_string(), Dialect::Yaml11).unwrap();
    let load = Load::default();
    let rules = config_rules(&Component::root(&tree, &load));
    assert!(load.problems.borrow().is_empty(), "{spec}: {:?}", load.problems.borrow());
    (load.engine.into_inner(), rules)
}

fn now() -> Timestamp {
    "2026-01-31T08:00:00Z".parse().unwrap()
}

#[test]
fn configurations_are_changed_and_checked_as_recorded() {
    let cases: Value = serde_json::from_str(include_str!("recorded/configs.json")).unwrap();
    let mut wrong = Vec::new();
    for case in cases.as_array().unwrap() {
        let (engine, rules) = rules(&case["spec"]);
        let config = rules.migrate(&engine, case["config"].clone(), now()).unwrap();
        let config = rules.transform(&engine, config, now()).unwrap();
        let faults = rules.faults(&engine, &config, now()).unwrap();
        if config != case["becomes"] || faults.is_empty() != case["valid"].as_bool().unwrap() {
            wrong.push(format!("{case}\n  was {config}, {faults:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn faults_name_the_option_and_never_its_value() {
    let schema = json!({"type": "object", "required": ["key"], "properties": {"n": {"type": "integer"}}});
    let spec = json!({"config_normalization_rules": {"type": "ConfigNormalizationRules", "validations": [
        {"type": "DpathValidator", "field_path": ["auth"], "validation_strategy": {"type": "ValidateAdheresToSchema", "base_schema": schema}},
        {"type": "PredicateValidator", "value": 5, "validation_strategy": {"type": "ValidateAdheresToSchema", "base_schema": {"type": "string"}}},
    ]}});
    let (engine, rules) = rules(&spec);
    let error = rules.prepare(&engine, json!({"auth": {"n": "s3cret"}}), now()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Settings);
    assert!(!error.message.contains("s3cret"), "{}", error.message);
    for part in ["'auth'", "/n", "\"key\" is a required property", "the manifest's value"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
}

//! Schemas held against what the reference's own gave (`recorded/schemas.json`), and the ways to files.

use std::sync::Arc;

use super::*;
use crate::{
    connector::manifest::reader::{Component, Load},
    yaml::{self, Dialect},
};

fn load(text: &str) -> (Engine, SchemaPlan) {
    let tree = yaml::parse(text, Dialect::Yaml11).unwrap();
    let load = Load::default();
    let plan = schema_loader(&Component::root(&tree, &load));
    assert!(load.problems.borrow().is_empty(), "{text}: {:?}", load.problems.borrow());
    (load.engine.into_inner(), plan)
}

const RETRIEVER: &str = r#""retriever": {"type": "SimpleRetriever", "requester": {"type": "HttpRequester", "url": "https://x"},
    "record_selector": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": []}}}"#;

fn scope() -> Scope {
    Scope::new("2026-01-31T08:00:00Z".parse().unwrap(), &Arc::new(json!({"table": "t"})))
}

#[test]
fn schemas_are_made_as_recorded() {
    let cases: Value = serde_json::from_str(include_str!("../recorded/schemas.json")).unwrap();
    for case in cases.as_array().unwrap() {
        // What is asked is not tried here: the recordings leave it out.
        let loader = case["loader"].to_string().replace(r#""retriever":{}"#, RETRIEVER);
        let (engine, plan) = load(&format!(r#"{{"schema_loader": {loader}}}"#));
        let record = case["record"].clone();
        let schema = plan.schema(&engine, &scope(), None, &mut |_| Ok(Some(record.clone())));
        let schema = schema.unwrap_or_else(|_| json!("error"));
        assert_eq!(schema, case["schema"], "{case}");
    }
}

#[test]
fn a_schema_file_is_read_within_the_folder_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("schemas/shared");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::write(shared.join("money.json"), r#"{"type": "number"}"#).unwrap();
    let text = r##"{"definitions": {"d": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/d"}, "m": {"$ref": "money.json"}}}"##;
    std::fs::write(folder.path().join("schemas/t.json"), text).unwrap();
    let read = |path: &str| {
        let (engine, plan) =
            load(&json!({"schema_loader": {"type": "JsonFileSchemaLoader", "file_path": path}}).to_string());
        plan.schema(&engine, &scope(), Some(folder.path()), &mut |_| Ok(None)).map_err(|error| error.message)
    };
    let expected = json!({"properties": {"a": {"type": "string"}, "m": {"type": "number"}}});
    for path in ["schemas/t.json", "./schemas/{{ config['table'] }}.json", "./source_acme/schemas/t.json"] {
        assert_eq!(read(path), Ok(expected.clone()), "{path}");
    }
    for path in ["../t.json", "/etc/hostname", "schemas/../../t.json"] {
        assert!(read(path).unwrap_err().contains("does not lie in"), "{path}");
    }
    assert!(read("schemas/gone.json").unwrap_err().contains("is not in"));
}

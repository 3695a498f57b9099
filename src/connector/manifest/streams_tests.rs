//! Streams that vary, in the daemon's manner: on a condition, made of a template, by their state; and schemas that providers tell.

use serde_json::json;

use super::{
    tests::{connector, drain, ids, request},
    *,
};
use crate::{
    connector::http::testing::{ManualClock, RawServer, Secrets, answer, gate},
    domain::record::Item,
};

/// A manifest of these parts, all in flow style.
pub(super) fn manifest(parts: &str) -> String {
    format!(
        "type: DeclarativeSource\n\
         check: {{type: CheckStream, stream_names: [things]}}\n\
         spec: {{type: Spec, connection_specification: {{properties: {{token: {{type: string, airbyte_secret: true}}}}}}}}\n\
         definitions:\n  \
           requester: {{type: HttpRequester, url_base: \"{{{{ config['base_url'] }}}}\", path: /things}}\n  \
           data: {{type: RecordSelector, extractor: {{type: DpathExtractor, field_path: [data]}}}}\n  \
           reads: {{type: SimpleRetriever, requester: {{$ref: \"#/definitions/requester\"}}, record_selector: {{$ref: \"#/definitions/data\"}}}}\n  \
           stream: {{type: DeclarativeStream, name: things, primary_key: id, retriever: {{$ref: \"#/definitions/reads\"}}}}\n\
         {parts}"
    )
}

fn refusals(parts: &str) -> Vec<String> {
    let problems = Manifest::load(&manifest(parts)).err().unwrap_or_default();
    problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
}

fn names(connector: &ManifestConnector) -> Vec<&str> {
    connector.streams().iter().map(|spec| spec.name.as_str()).collect()
}

const CONDITIONS: &str = r##"
streams:
  - {$ref: "#/definitions/stream"}
  - {type: ConditionalStreams, condition: "{{ config.beta }}", streams: [{$ref: "#/definitions/stream", name: early}]}
  - {type: ConditionalStreams, condition: "{{ not config.beta }}", streams: [{$ref: "#/definitions/stream", name: early}]}
  - {type: ConditionalStreams, condition: "{{ config.beta }}", streams: [{$ref: "#/definitions/stream", name: late}]}
"##;

#[test]
fn a_connection_has_the_streams_whose_conditions_hold() {
    let loaded = Manifest::load(&manifest(CONDITIONS)).unwrap();
    let declared: Vec<_> = loaded.streams().iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(declared, ["things", "early", "late"]);
    let base = "https://api.example.com";
    assert_eq!(names(&connector(&manifest(CONDITIONS), json!({"base_url": base, "beta": true}))), declared);
    assert_eq!(names(&connector(&manifest(CONDITIONS), json!({"base_url": base, "beta": false}))), ["things", "early"]);

    let none = r##"streams: [{type: ConditionalStreams, condition: "{{ config.no }}", streams: [{$ref: "#/definitions/stream"}]}]"##;
    let facts = ConnectionFacts {
        connection_key: "acme".into(),
        provider_account_id: "1".into(),
        config: json!({"base_url": base, "no": false}),
        credential: Secrets::of(&["t"]),
        gate: gate(&ManualClock::at("2026-01-31T08:00:00Z")),
    };
    let refused = ManifestConnector::new(&Manifest::load(&manifest(none)).unwrap(), "test", facts).err().unwrap();
    assert!(refused.message.contains("ConditionalStreams"), "{refused:?}");
}

/// `dynamic_streams` with one maker; `resolver` and `mapping` are its parts.
fn made(resolver: &str, mapping: &str) -> String {
    format!(
        r##"
streams: [{{$ref: "#/definitions/stream"}}]
dynamic_streams:
  - type: DynamicDeclarativeStream
    stream_template: {{$ref: "#/definitions/stream", name: ""}}
    components_resolver:
      {resolver}
      components_mapping: [{{type: ComponentMappingDefinition, field_path: [name], value: "{mapping}"}}]
"##
    )
}

const GIVEN: &str = "type: ParametrizedComponentsResolver\n      stream_parameters: {type: StreamParametersDefinition, list_of_parameters_for_stream: [{n: a}, {n: b}]}";
const CONFIGURED: &str =
    "type: ConfigComponentsResolver\n      stream_config: {type: StreamConfig, configs_pointer: [tables]}";

#[test]
fn streams_that_no_configuration_changes_are_known_when_a_manifest_is_loaded() {
    let loaded = Manifest::load(&manifest(&made(GIVEN, "of {{ components_values.n }}"))).unwrap();
    assert_eq!(loaded.streams().iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["things", "of a", "of b"]);
    assert!(loaded.makers().is_empty());
    // What the configuration names is known only with one.
    for (resolver, value) in
        [(GIVEN, "{{ config.n }} {{ components_values.n }}"), (CONFIGURED, "{{ components_values.n }}")]
    {
        let loaded = Manifest::load(&manifest(&made(resolver, value))).unwrap();
        assert_eq!((loaded.streams().len(), loaded.makers()), (1, vec!["dynamic_stream_0"]), "{resolver}");
    }
    let twice = refusals(&made(GIVEN, "alike"));
    assert!(twice[0].contains("two streams are called 'alike'"), "{twice:?}");
    let nameless = refusals(&made(GIVEN, "{{ 7 }}"));
    assert!(nameless[0].contains("no name that is a text"), "{nameless:?}");
}

#[test]
fn a_template_is_checked_where_nothing_is_written() {
    let with = |template: &str, path: &str| {
        refusals(&format!(
            r##"
dynamic_streams:
  - type: DynamicDeclarativeStream
    stream_template: {template}
    components_resolver: {{{}, components_mapping: [{{type: ComponentMappingDefinition, field_path: [{path}], value: x}}]}}
"##,
            CONFIGURED.replace('\n', ",")
        ))
    };
    let open = r##"{$ref: "#/definitions/stream", name: "", primary_key: {}}"##;
    assert_eq!(with(open, "primary_key"), Vec::<String>::new());
    assert_eq!(with(open, "\"*\""), Vec::<String>::new());
    let told = with(open, "name");
    assert!(told[0].starts_with("dynamic_streams[0].stream_template.primary_key"), "{told:?}");
    let python = r##"{$ref: "#/definitions/stream", name: "", retriever: {type: CustomRetriever, class_name: x.Y}}"##;
    let told = with(python, "retriever, requester");
    assert!(told[0].contains("'CustomRetriever'") && told[0].contains("needs Python"), "{told:?}");
    let condition = made("type: HttpComponentsResolver\n      retriever: {$ref: \"#/definitions/reads\"}", "x");
    let told = refusals(&condition.replace("field_path:", "condition: \"{{ true }}\", field_path:"));
    assert!(told[0].contains("knows no condition"), "{told:?}");
}

const DELEGATING: &str = r##"
  whole:
    {$ref: "#/definitions/stream", incremental_sync: {$ref: "#/definitions/cursor"}, retriever: {$ref: "#/definitions/reads", paginator: {type: DefaultPaginator, page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: after}, pagination_strategy: {type: CursorPagination, cursor_value: "{{ response.get('next') }}"}}}}
  changes:
    {$ref: "#/definitions/stream", incremental_sync: {$ref: "#/definitions/cursor"}, retriever: {$ref: "#/definitions/reads", requester: {$ref: "#/definitions/requester", path: /changes}}}
  cursor: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: "%Y-%m-%d", start_datetime: "2025-01-01"}
streams:
  - {type: StateDelegatingStream, name: things, api_retention_period: P30D, full_refresh_stream: {$ref: "#/definitions/whole"}, incremental_stream: {$ref: "#/definitions/changes"}}
"##;

const NAMESAKES: &str = r##"
  child: {type: DeclarativeStream, primary_key: id, retriever: {$ref: "#/definitions/reads", requester: {$ref: "#/definitions/requester", path: "/of/{{ stream_slice.parent }}"}}}
  parent: {type: ParentStreamConfig, parent_key: id, partition_field: parent}
streams:
  - {$ref: "#/definitions/stream"}
  - $ref: "#/definitions/child"
    name: parts
    retriever: {$ref: "#/definitions/child/retriever", partition_router: {type: SubstreamPartitionRouter, parent_stream_configs: [{$ref: "#/definitions/parent", stream: {$ref: "#/definitions/stream"}}]}}
  - $ref: "#/definitions/child"
    name: bits
    retriever: {$ref: "#/definitions/child/retriever", partition_router: {type: SubstreamPartitionRouter, parent_stream_configs: [{$ref: "#/definitions/parent", stream: {$ref: "#/definitions/stream", retriever: {$ref: "#/definitions/reads", requester: {$ref: "#/definitions/requester", path: /other-things}}}}]}}
"##;

#[tokio::test]
async fn pages_of_a_parent_are_not_those_of_another_one_by_its_name() {
    let page = |id: u32| answer(200, "", &format!(r#"{{"data":[{{"id":{id}}}]}}"#));
    let server = RawServer::start([1, 11, 12, 2, 21].map(page).to_vec()).await;
    let connector = connector(&manifest(NAMESAKES.trim_start_matches('\n')), json!({"base_url": server.base}));
    // The same parent is asked once, another one of its name by itself.
    for stream in ["parts", "parts", "bits"] {
        drain(&connector, request(stream, SyncMode::FullRefresh, None)).await.unwrap();
    }
    let asked: Vec<_> = server.seen().iter().map(|text| text.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(asked, ["/things", "/of/1", "/of/1", "/other-things", "/of/2"]);
}

#[tokio::test]
async fn a_job_reads_the_whole_stream_first_and_its_changes_afterwards() {
    let delegating = manifest(DELEGATING.trim_start_matches('\n'));
    let first = answer(200, "", r#"{"data":[{"id":1,"at":"2026-01-20"}],"next":"b"}"#);
    let last = answer(200, "", r#"{"data":[{"id":2,"at":"2026-01-10"}]}"#);
    let server = RawServer::start(vec![first, last.clone()]).await;
    let connector = connector(&delegating, json!({"base_url": server.base}));
    let asked = |from: usize| -> Vec<String> {
        let seen = server.seen();
        seen[from..].iter().map(|text| text.split(' ').nth(1).unwrap().to_owned()).collect()
    };

    // The cursor that the first page may give does not lead the second one to the changes.
    let mut pull = request("things", SyncMode::Incremental, None);
    let page = connector.pull(&pull).await.unwrap();
    pull.position = page.next;
    pull.cursor = Some(json!({"at": "2026-01-20"}));
    assert!(connector.place(pull.position.as_ref()).starts_with("page 2 from 2025-01-01"));
    let page = connector.pull(&pull).await.unwrap();
    assert_eq!(page.cursor.unwrap().state, json!({"at": "2026-01-20"}));
    assert_eq!(asked(0), ["/things", "/things?after=b"]);

    let pages = drain(&connector, request("things", SyncMode::Incremental, Some(json!({"at": "2026-01-20"})))).await;
    assert_eq!((ids(&pages.unwrap()), asked(2)), (vec!["2".to_owned()], vec!["/changes".to_owned()]));

    // What the provider keeps ends after the cursor: all is read again, and the cursor does not fall.
    let old = Some(json!({"at": "2025-12-31"}));
    let pages = drain(&connector, request("things", SyncMode::Incremental, old)).await.unwrap();
    assert_eq!(asked(3), ["/things"]);
    assert_eq!(pages[0].cursor.as_ref().unwrap().state, json!({"at": "2026-01-10"}));
    let full = drain(&connector, request("things", SyncMode::FullRefresh, Some(json!({"at": "2026-01-20"})))).await;
    assert_eq!((full.unwrap().len(), asked(4)), (1, vec!["/things".to_owned()]));
}

#[test]
fn the_two_ways_of_a_stream_have_its_name() {
    let other = DELEGATING.replace("incremental_stream: {", "incremental_stream: {name: other, ");
    let told = refusals(other.trim_start_matches('\n'));
    assert!(told[0].contains("is called 'other' here"), "{told:?}");
}

#[tokio::test]
async fn a_job_asks_for_a_schema_once_and_only_where_values_are_cast() {
    let with = |normalise: &str| {
        manifest(&format!(
            r##"
streams:
  - $ref: "#/definitions/stream"
    schema_loader:
      type: DynamicSchemaLoader
      retriever: {{$ref: "#/definitions/reads", requester: {{$ref: "#/definitions/requester", path: /fields}}}}
      schema_type_identifier: {{type: SchemaTypeIdentifier, schema_pointer: [fields], key_pointer: [name], type_pointer: [kind]}}
    retriever:
      $ref: "#/definitions/reads"
      record_selector: {{$ref: "#/definitions/data", schema_normalization: {normalise}}}
      paginator: {{type: DefaultPaginator, page_token_option: {{type: RequestOption, inject_into: request_parameter, field_name: after}}, pagination_strategy: {{type: CursorPagination, cursor_value: "{{{{ response.get('next') }}}}"}}}}
"##
        ))
    };
    let fields = answer(200, "", r#"{"data":[{"fields":[{"name":"n","kind":"string"}]}]}"#);
    let first = answer(200, "", r#"{"data":[{"id":1,"n":7}],"next":"b"}"#);
    let last = answer(200, "", r#"{"data":[{"id":2,"n":8}]}"#);
    for (normalise, scripts, expected) in [
        ("Default", vec![fields, first.clone(), last.clone()], json!(["7", "8"])),
        ("None", vec![first, last], json!([7, 8])),
    ] {
        let requests = scripts.len();
        let server = RawServer::start(scripts).await;
        let connector = connector(&with(normalise), json!({"base_url": server.base}));
        let pages = drain(&connector, request("things", SyncMode::FullRefresh, None)).await.unwrap();
        let read = pages.iter().flat_map(|page| &page.items).map(|item| match item {
            Item::Record(record) => record.payload["n"].clone(),
            Item::Broken(broken) => panic!("{broken:?}"),
        });
        assert_eq!((Value::Array(read.collect()), server.seen().len()), (expected, requests), "{normalise}");
    }
}

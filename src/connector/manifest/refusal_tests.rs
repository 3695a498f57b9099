//! What loading refuses, leaves out and tells, of whole manifests.

use super::Manifest;

#[test]
fn everything_that_is_not_supported_is_refused_at_once_with_path_and_line() {
    let text = r##"version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [a]}
definitions:
  requester:
    type: HttpRequester
    url_base: "https://x.example"
    http_method: PATCH
    authenticator:
      type: RateLimitedMultipleTokenAuthenticator
      client_id: x
    error_handler:
      type: CompositeErrorHandler
      error_handlers: []
  selector:
    type: RecordSelector
    extractor: {type: DpathExtractor, field_path: []}
    record_filter: {type: CustomRecordFilter, class_name: source.components.Filter}
streams:
  - type: DeclarativeStream
    name: a
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester: {$ref: "#/definitions/requester"}
      record_selector: {$ref: "#/definitions/selector"}
      partition_router: {type: UnionPartitionRouter, partition_routers: []}
      paginator: {$ref: "#/definitions/gone"}
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: x
      datetime_format: "%Q"
      start_datetime: "{{ stream_state['x'] }}"
      clamping: {target: WEEK}
  - type: StateDelegatingStream
    name: b
dynamic_streams: [{type: DynamicDeclarativeStream}]
"##;
    let Err(problems) = Manifest::load(text) else { panic!("must be refused") };
    let has = |path: &str, line: u64, part: &str| {
        let found = problems.iter().any(|p| p.field == path && p.line == Some(line) && p.message.contains(part));
        assert!(found, "{path} {line} {part}\n{problems:#?}");
    };
    has("streams[0].retriever.requester.http_method", 8, "PATCH");
    has("streams[0].retriever.requester.authenticator", 10, "RateLimitedMultipleTokenAuthenticator");
    has("streams[0].retriever.requester.error_handler.error_handlers", 14, "at least one");
    has("streams[0].retriever.record_selector.record_filter", 18, "needs Python");
    has("streams[0].retriever.partition_router.partition_routers", 27, "at least two");
    has("streams[0].retriever.paginator", 28, "leads nowhere");
    has("streams[0].incremental_sync.datetime_format", 32, "%Q");
    has("streams[0].incremental_sync.clamping.target_details", 34, "weekday");
    has("streams[1].incremental_stream", 35, "'incremental_stream' is missing");
    has("dynamic_streams[0].components_resolver", 37, "'components_resolver' is missing");
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty()));
    let python = problems.iter().find(|problem| problem.message.contains("Python")).unwrap();
    assert!(python.remedy.contains("native connector"));
}

#[test]
fn a_key_that_the_format_does_not_know_is_left_out_and_told_and_one_that_it_knows_is_never_skipped() {
    let text = |stray: &str, skipped: &str| {
        format!(
            r#"
type: DeclarativeSource
check: {{type: CheckStream, stream_names: [a]}}
streams:
  - type: DeclarativeStream
    name: a
    {stray}
    retriever:
      type: SimpleRetriever
      {skipped}
      requester: {{type: HttpRequester, url_base: "https://api.example.test", path: a}}
      record_selector: {{type: RecordSelector, extractor: {{type: DpathExtractor, field_path: []}}}}
"#
        )
    };
    let loaded = Manifest::load(&text("primary_keys: [id]", "vexing: a")).unwrap();
    let told: Vec<String> = loaded.notices().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    let place = "line 7: streams[0].primary_keys: 'primary_keys' is no key of DeclarativeStream and is left out";
    assert!(told[0].starts_with(place) && told[0].contains("did you mean 'primary_key'?"), "{told:#?}");
    assert!(told[1].contains("streams[0].retriever.vexing") && told[1].contains("known: "), "{told:#?}");
    assert!(loaded.streams()[0].primary_key.is_empty());

    // Our own components are known whole.
    let ours = text("x-tidegate: {caps: 3}", "");
    assert!(Manifest::load(&ours).is_err());
}

#[test]
fn what_is_ours_may_stand_where_other_readers_let_it_stand() {
    let text = |place: &str| {
        format!(
            "type: DeclarativeSource\ncheck: {{type: CheckStream, stream_names: [a]}}\n{place}\nstreams:\n- name: a\n  retriever:\n    \
             requester: {{url_base: 'https://api.example.test', path: a}}\n    record_selector: {{extractor: {{field_path: []}}}}\n"
        )
    };
    for place in ["x-tidegate: {name: Acme}", "metadata: {x-tidegate: {name: Acme}, other: 1}"] {
        let loaded = Manifest::load(&text(place)).unwrap();
        assert_eq!(loaded.facts().name.as_deref(), Some("Acme"), "{place}");
    }
    let Err(problems) = Manifest::load(&text("metadata: {x-tidegate: {nmae: Acme}}")) else {
        panic!("must be refused")
    };
    assert_eq!(problems[0].field, "metadata.x-tidegate.nmae");
}

#[test]
fn circles_and_missing_parts_are_refused() {
    for (text, part) in [
        ("a: [", "line"),
        ("type: DeclarativeSource\ndefinitions: {a: {$ref: '#/definitions/a'}}\nstreams: []\n", "leads back to itself"),
        ("type: DeclarativeSource\nstreams: []\n", "no streams"),
        ("[]", "expected"),
        ("type: DeclarativeSource\nx-tidegate: {limits: {requests_per_second: 0}}\nstreams: []\n", "above 0"),
        ("type: DeclarativeSource\nx-tidegate: {limits: {burst: 0}}\nstreams: []\n", "from 1"),
        ("type: DeclarativeSource\ncheck: {type: CheckStream}\nstreams: [{name: x}]\n", "'retriever' is missing"),
    ] {
        let Err(problems) = Manifest::load(text) else { panic!("must be refused: {text}") };
        let all = format!("{problems:?}");
        assert!(all.contains(part), "{text}: {all}");
    }
}

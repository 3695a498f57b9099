//! A manifest's call budget over real requests, and its groups.

use serde_json::json;

use super::*;
use crate::{
    connector::{
        Connector as _,
        http::testing::{ManualClock, RawServer, Secrets, answer, gate},
        manifest::tests::{NOW, drain, request},
        registry::ConnectionFacts,
    },
    domain::{clock::Clock as _, status::SyncMode},
};

const MANIFEST: &str = r##"
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [things]}
api_budget:
  type: HTTPAPIBudget
  policies:
    - {type: MovingWindowCallRatePolicy, rates: [{type: Rate, limit: "{{ config['calls'] }}", interval: PT20S}], matchers: [{type: HttpRequestRegexMatcher, url_path_pattern: "^/things"}]}
definitions:
  retriever:
    type: SimpleRetriever
    requester: {type: HttpRequester, url_base: "{{ config['base_url'] }}", path: /things}
    paginator:
      type: DefaultPaginator
      page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: after}
      pagination_strategy: {type: CursorPagination, cursor_value: "{{ response.get('next', {}) }}"}
    record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
  things: {type: DeclarativeStream, name: things, primary_key: id, retriever: {$ref: "#/definitions/retriever"}}
streams:
  - $ref: "#/definitions/things"
  - type: DeclarativeStream
    name: parts
    primary_key: id
    retriever:
      $ref: "#/definitions/retriever"
      partition_router: {type: SubstreamPartitionRouter, parent_stream_configs: [{type: ParentStreamConfig, parent_key: id, partition_field: thing, stream: {$ref: "#/definitions/things"}}]}
  - {type: DeclarativeStream, name: others, primary_key: id, retriever: {$ref: "#/definitions/retriever"}}
stream_groups:
  slow: {type: StreamGroup, streams: [{$ref: "#/definitions/things"}, {$ref: "#/streams/2"}], action: {type: BlockSimultaneousSyncsAction}}
spec: {type: Spec, connection_specification: {}}
"##;

#[tokio::test]
async fn a_budget_holds_over_all_connectors_of_an_account() {
    let page = |id: u32, more: &str| answer(200, "", &format!(r#"{{"data":[{{"id":{id}}}]{more}}}"#));
    let server =
        RawServer::start(vec![page(1, r#","next":"b""#), page(2, r#","next":"c""#), page(3, ""), page(4, "")]).await;
    let clock = ManualClock::at(NOW);
    let facts = ConnectionFacts {
        connection_key: "acme".into(),
        provider_account_id: "1".into(),
        config: json!({"base_url": server.base, "calls": 2}),
        credential: Secrets::of(&[]),
        gate: gate(&clock),
    };
    let manifest = Manifest::load(MANIFEST).unwrap();
    let one = ManifestConnector::new(&manifest, "test", facts.clone()).unwrap();
    let pages = drain(&one, request("things", SyncMode::FullRefresh, None)).await.unwrap();
    assert_eq!(pages.len(), 3);
    let waited = clock.monotonic().as_secs();
    assert!((20..25).contains(&waited), "the third call waited {waited} s");

    // The third call still counts for whoever comes next.
    let two = ManifestConnector::new(&manifest, "test", facts).unwrap();
    let request = request("things", SyncMode::FullRefresh, None);
    two.pull(&request).await.unwrap();
    two.pull(&request).await.unwrap();
    assert!((40..50).contains(&clock.monotonic().as_secs()), "{:?}", clock.monotonic());
}

#[test]
fn a_group_is_known_by_its_streams_and_holds_no_stream_with_its_parent() {
    let manifest = Manifest::load(MANIFEST).unwrap();
    let group = |stream: &str| manifest.group_of(stream).map(|(name, streams)| (name.to_owned(), streams.to_vec()));
    assert_eq!(group("things"), Some(("slow".to_owned(), vec!["things".to_owned(), "others".to_owned()])));
    assert_eq!(group("others"), group("things"));
    assert_eq!(group("parts"), None);
    let told = Manifest::load(&MANIFEST.replace("#/streams/2", "#/streams/1")).err().unwrap();
    assert!(told.iter().any(|problem| problem.message.contains("'parts' and its parent 'things'")), "{told:?}");
}

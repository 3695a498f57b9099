//! Whole manifests against a provider on loopback.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    connector::http::testing::{ManualClock, RawServer, Secrets, answer, gate},
    domain::{clock::Timestamp, record::Item},
};

pub(super) const NOW: &str = "2026-01-31T08:00:00Z";
pub(super) const HUBSPOT: &str = include_str!("../../../connectors/hubspot/manifest.yaml");

pub(super) fn connector(manifest: &str, config: Value) -> ManifestConnector {
    let manifest = Manifest::load(manifest).unwrap();
    let clock = ManualClock::at(NOW);
    let facts = ConnectionFacts {
        connection_key: "acme".into(),
        provider_account_id: "1".into(),
        config,
        credential: Secrets::of(&["tok-1", "tok-2"]),
        gate: gate(&clock),
    };
    ManifestConnector::new(&manifest, "test", facts).unwrap()
}

pub(super) fn request(stream: &str, mode: SyncMode, cursor: Option<Value>) -> PullRequest {
    PullRequest {
        stream: stream.into(),
        mode,
        cursor,
        position: None,
        started_at: NOW.parse().unwrap(),
        limit: None,
        traffic: Arc::default(),
    }
}

/// All pages of a pull.
pub(super) async fn drain(
    connector: &ManifestConnector,
    mut request: PullRequest,
) -> Result<Vec<Page>, ConnectorError> {
    let mut pages = Vec::new();
    loop {
        let page = connector.pull(&request).await?;
        request.position.clone_from(&page.next);
        pages.push(page);
        if request.position.is_none() {
            return Ok(pages);
        }
        assert!(pages.len() < 500, "the pull does not end");
    }
}

pub(super) fn ids(pages: &[Page]) -> Vec<String> {
    let items = pages.iter().flat_map(|page| &page.items);
    items
        .map(|item| match item {
            Item::Record(record) => record.external_id.clone().unwrap_or_default(),
            Item::Broken(broken) => broken.place.clone(),
        })
        .collect()
}

/// A manifest with one stream; `retriever` and `rest` are YAML lines at their own depth.
fn manifest(retriever: &str, stream: &str) -> String {
    format!(
        r#"version: 6.0.0
type: DeclarativeSource
check: {{type: CheckStream, stream_names: [things]}}
streams:
  - type: DeclarativeStream
    name: things
    primary_key: id
{stream}
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: "{{{{ config['base_url'] }}}}"
        path: /things
        authenticator: {{type: BearerAuthenticator, api_token: "{{{{ config['token'] }}}}"}}
      record_selector: {{type: RecordSelector, extractor: {{type: DpathExtractor, field_path: [data]}}}}
{retriever}
spec:
  type: Spec
  connection_specification: {{properties: {{token: {{type: string, airbyte_secret: true}}}}}}
"#
    )
}

const CURSOR_PAGING: &str = r#"
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: after}
        pagination_strategy: {type: CursorPagination, cursor_value: "{{ response.get('next', {}) }}"}"#;

#[tokio::test]
async fn a_listing_is_read_to_its_end_and_its_token_is_sent() {
    let server = RawServer::start(vec![
        answer(200, "", r#"{"data":[{"id":1},{"id":2}],"next":"b c"}"#),
        answer(200, "", r#"{"data":[],"next":"d"}"#),
        answer(200, "", r#"{"data":[{"id":3},7]}"#),
    ])
    .await;
    let connector = connector(&manifest(CURSOR_PAGING, ""), json!({"base_url": server.base}));
    let pages = drain(&connector, request("things", SyncMode::FullRefresh, None)).await.unwrap();
    assert_eq!(ids(&pages), ["1", "2", "3", "page 3, item 2"]);
    assert!(pages[0].resumable && pages[0].cursor.is_none());
    let asked: Vec<_> = server.seen().iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["GET /things HTTP/1.1", "GET /things?after=b+c HTTP/1.1", "GET /things?after=d HTTP/1.1"]);
    assert!(server.seen()[0].contains("authorization: Bearer tok-1"), "{}", server.seen()[0]);
}

#[tokio::test]
async fn circles_end_as_stuck() {
    let same_token = answer(200, "", r#"{"data":[{"id":1}],"next":"a"}"#);
    let empty = (0..40).map(|n| answer(200, "", &format!(r#"{{"data":[],"next":"t{n}"}}"#))).collect();
    let offset = r#"
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: offset}
        pagination_strategy: {type: OffsetIncrement, page_size: 1}"#;
    // Three pages that lead round, each unlike the one before.
    let circle = ["a", "b", "c"].repeat(20);
    let circle =
        circle.iter().map(|token| answer(200, "", &format!(r#"{{"data":[{{"id":"{token}"}}],"next":"{token}"}}"#)));
    let circle = circle.collect();
    for (paging, scripts) in [
        (CURSOR_PAGING, vec![same_token]),
        (CURSOR_PAGING, empty),
        (offset, vec![answer(200, "", r#"{"data":[{"id":1}]}"#)]),
        (CURSOR_PAGING, circle),
    ] {
        let server = RawServer::start(scripts).await;
        let connector = connector(&manifest(paging, ""), json!({"base_url": server.base}));
        let error = drain(&connector, request("things", SyncMode::FullRefresh, None)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stuck, "{error}");
        assert!(server.seen().len() < 30, "it was noticed only after {} pages", server.seen().len());
    }
}

#[tokio::test]
async fn pages_that_cannot_be_read_fail_whole() {
    for (body, kind) in [
        ("<html>", ErrorKind::Decode),
        (r#"{"items":[]}"#, ErrorKind::Decode),
        ("", ErrorKind::Decode),
        (r#""text""#, ErrorKind::Decode),
        (r#"{"data":null,"errors":[{"message":"PAYLOAD"}]}"#, ErrorKind::Decode),
        (r#"{"data":null,"error":"expired"}"#, ErrorKind::Decode),
    ] {
        let server = RawServer::start(vec![answer(200, "", body)]).await;
        let connector = connector(&manifest("", ""), json!({"base_url": server.base}));
        let error = connector.pull(&request("things", SyncMode::FullRefresh, None)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{body}");
    }
    let wild = manifest("", "").replace("field_path: [data]", "field_path: [data, '*', items]");
    for (body, records) in
        [(r#"{"error":"x"}"#, None), (r#"{"data":{}}"#, Some(0)), (r#"{"data":{"a":{"items":[{}]}}}"#, Some(1))]
    {
        let server = RawServer::start(vec![answer(200, "", body)]).await;
        let connector = connector(&wild, json!({"base_url": server.base}));
        let page = connector.pull(&request("things", SyncMode::FullRefresh, None)).await;
        assert_eq!(
            page.map(|page| page.items.len()).map_err(|error| error.kind),
            records.ok_or(ErrorKind::Decode),
            "{body}"
        );
    }
    let server = RawServer::start(vec![answer(200, "", r#"{"data":null,"errors":[]}"#)]).await;
    let connector = connector(&manifest("", ""), json!({"base_url": server.base}));
    let page = connector.pull(&request("things", SyncMode::FullRefresh, None)).await.unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    let error = connector.pull(&request("things", SyncMode::Incremental, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Settings);
    let error = connector.pull(&request("others", SyncMode::FullRefresh, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Settings);
}

#[tokio::test]
async fn a_next_page_on_another_host_is_refused_before_it_is_asked() {
    let paging = r#"
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestPath}
        pagination_strategy: {type: CursorPagination, cursor_value: "{{ response['next'] }}"}"#;
    let next = |url: &str| answer(200, "", &format!(r#"{{"data":[{{"id":1}}],"next":"{url}"}}"#));
    for url in ["http://169.254.169.254/latest", "https://evil.example/x", "http://127.0.0.1:1/x", "//evil.example/"] {
        let server = RawServer::start(vec![next(url)]).await;
        let connector = connector(&manifest(paging, ""), json!({"base_url": server.base}));
        let error = drain(&connector, request("things", SyncMode::FullRefresh, None)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Policy, "{url}: {error}");
        assert_eq!(server.seen().len(), 1);
    }
    let server = RawServer::start(vec![next("/things?page=2"), answer(200, "", r#"{"data":[{"id":2}]}"#)]).await;
    let connector = connector(&manifest(paging, ""), json!({"base_url": server.base}));
    let pages = drain(&connector, request("things", SyncMode::FullRefresh, None)).await.unwrap();
    assert_eq!(ids(&pages), ["1", "2"]);
    assert!(server.seen()[1].starts_with("GET /things?page=2 "));
}

const STEPPED: &str = r#"
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: changed
      datetime_format: "%Y-%m-%dT%H:%M:%SZ"
      start_datetime: "{{ config['start_date'] }}"
      step: P10D
      cursor_granularity: PT1S
      lookback_window: P1D
      start_time_option: {type: RequestOption, inject_into: request_parameter, field_name: from}
      end_time_option: {type: RequestOption, inject_into: request_parameter, field_name: to}"#;

#[tokio::test]
async fn slices_are_asked_one_by_one_and_the_cursor_moves_at_their_ends() {
    let server = RawServer::start(vec![
        answer(
            200,
            "",
            r#"{"data":[{"id":1,"changed":"2026-01-08T00:00:00Z"},{"id":2,"changed":"2026-01-02T00:00:00Z"}]}"#,
        ),
        answer(200, "", r#"{"data":[]}"#),
        answer(200, "", r#"{"data":[{"id":3,"changed":"2027-01-01T00:00:00Z"}]}"#),
        answer(200, "", r#"{"data":[]}"#),
    ])
    .await;
    let connector =
        connector(&manifest("", STEPPED), json!({"base_url": server.base, "start_date": "2026-01-06T00:00:00Z"}));
    let cursor = Some(json!({"changed": "2026-01-05T00:00:00Z"}));
    let pages = drain(&connector, request("things", SyncMode::Incremental, cursor)).await.unwrap();
    let lines: Vec<_> = server.seen().iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        lines,
        [
            "GET /things?from=2026-01-06T00%3A00%3A00Z&to=2026-01-15T23%3A59%3A59Z HTTP/1.1",
            "GET /things?from=2026-01-16T00%3A00%3A00Z&to=2026-01-25T23%3A59%3A59Z HTTP/1.1",
            "GET /things?from=2026-01-26T00%3A00%3A00Z&to=2026-01-31T08%3A00%3A00Z HTTP/1.1",
        ]
    );
    let states: Vec<_> = pages.iter().map(|page| page.cursor.as_ref().map(|cursor| cursor.state.clone())).collect();
    assert_eq!(states[0], Some(json!({"changed": "2026-01-08T00:00:00Z"})));
    assert_eq!(states[1], states[0]);
    assert_eq!(states[2], Some(json!({"changed": NOW})), "never after the start of the run");
    let micros = NOW.parse::<Timestamp>().unwrap().micros();
    assert_eq!(pages[2].cursor.as_ref().unwrap().order, Some(micros));
    assert!(pages[..2].iter().all(|page| page.resumable), "a slice's first page can be asked for by any run");
}

#[tokio::test]
async fn a_start_date_is_read_as_a_time_as_a_day_and_in_the_cursors_own_form() {
    for start in ["2026-01-25T00:00:00Z", "2026-01-25T02:00:00+02:00", "2026-01-25", "1769299200000"] {
        let server = RawServer::start(vec![answer(200, "", r#"{"data":[]}"#)]).await;
        let millis = STEPPED.replace("%Y-%m-%dT%H:%M:%SZ", "%ms");
        let connector = connector(&manifest("", &millis), json!({"base_url": server.base, "start_date": start}));
        drain(&connector, request("things", SyncMode::Incremental, None)).await.unwrap();
        assert!(server.seen()[0].contains("from=1769299200000&"), "{start}: {}", server.seen()[0]);
    }
}

#[tokio::test]
async fn the_cursor_never_lies_before_the_one_that_was_given() {
    let server =
        RawServer::start(vec![answer(200, "", r#"{"data":[{"id":1,"changed":"2026-01-29T12:00:00Z"}]}"#)]).await;
    let connector =
        connector(&manifest("", STEPPED), json!({"base_url": server.base, "start_date": "2026-01-01T00:00:00Z"}));
    let given = json!({"changed": "2026-01-30T00:00:00Z"});
    let pages = drain(&connector, request("things", SyncMode::Incremental, Some(given.clone()))).await.unwrap();
    assert!(server.seen()[0].contains("from=2026-01-29T00%3A00%3A00Z"), "the look-back is asked for");
    assert_eq!(pages[0].cursor.as_ref().unwrap().state, given);
    let full = drain(&connector, request("things", SyncMode::FullRefresh, Some(given.clone()))).await.unwrap();
    assert_eq!(full.len(), 4, "a full refresh begins at the start date");
    assert_eq!(full[3].cursor.as_ref().unwrap().state, given);

    let error = drain(&connector, request("things", SyncMode::Incremental, Some(json!({"changed": "soon"})))).await;
    let error = error.unwrap_err();
    assert!(error.kind == ErrorKind::CursorUnfit && error.message.contains("has no 'changed'"), "{error}");
}

#[tokio::test]
async fn check_asks_who_we_are_or_reads_one_record() {
    let server = RawServer::start(vec![answer(200, "", r#"{"portalId":4711,"accountType":"STANDARD"}"#)]).await;
    let config = json!({"base_url": server.base, "start_date": "2026-01-01T00:00:00Z"});
    let hubspot = connector(HUBSPOT, config);
    let identity = hubspot.check(Arc::default()).await.unwrap();
    assert_eq!(identity.account_id.as_deref(), Some("4711"));
    assert!(server.seen()[0].starts_with("GET /account-info/v3/details "), "{}", server.seen()[0]);
    assert!(server.seen()[0].contains("authorization: Bearer tok-1"));

    // What a provider answers to anybody names no account.
    let server = RawServer::start(vec![answer(200, "", r#"{"accountType":"STANDARD"}"#)]).await;
    let config = json!({"base_url": server.base, "start_date": "2026-01-01T00:00:00Z"});
    let error = connector(HUBSPOT, config).check(Arc::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Decode);
    let parts = ["no account id at 'portalId'", "the credential may not have been recognised"];
    assert!(parts.iter().all(|part| error.message.contains(part)), "{error}");

    let server = RawServer::start(vec![answer(401, "", "{}")]).await;
    let plain = connector(&manifest("", ""), json!({"base_url": server.base}));
    assert_eq!(plain.check(Arc::default()).await.unwrap_err().kind, ErrorKind::Unauthorized);
    assert_eq!(server.seen().len(), 2, "once anew with the fresh secret");
}

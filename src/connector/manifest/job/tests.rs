//! Jobs against a provider on loopback: what is delivered of a long download, and what becomes of jobs that do not end well.

use serde_json::{Value, json};

use crate::{
    connector::{
        Connector as _, ErrorKind, Page,
        http::testing::{RawServer, answer},
        manifest::{
            Manifest,
            tests::{connector, drain, ids, request},
        },
    },
    domain::{cursor::Position, status::SyncMode},
};

const MANIFEST: &str = r#"
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [report]}
streams:
  - type: DeclarativeStream
    name: report
    primary_key: id
    retriever:
      type: AsyncRetriever
      polling_job_timeout: 1
      status_mapping: {type: AsyncJobStatusMap, running: [working], completed: [ready], failed: [broken], timeout: []}
      status_extractor: {type: DpathExtractor, field_path: [status]}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
      creation_requester: {type: HttpRequester, url_base: "{{ config['base_url'] }}", path: jobs, http_method: POST}
      polling_requester: {type: HttpRequester, url_base: "{{ config['base_url'] }}", path: "jobs/{{ creation_response['id'] }}"}
      abort_requester: {type: HttpRequester, url_base: "{{ config['base_url'] }}", path: "jobs/{{ creation_response['id'] }}/abort", http_method: POST}
      delete_requester: {type: HttpRequester, url_base: "{{ config['base_url'] }}", path: "jobs/{{ creation_response['id'] }}/delete", http_method: POST}
      download_requester: {type: HttpRequester, url_base: "{{ config['base_url'] }}", path: "files/{{ polling_response['file'] }}"}
      download_decoder: {type: CsvDecoder}
spec: {type: Spec, connection_specification: {properties: {token: {type: string, airbyte_secret: true}}}}
"#;

/// More than the gate of these tests holds of a body.
const ROWS: usize = 5_500;

fn table() -> Vec<u8> {
    let rows: String = (1..=ROWS).map(|n| format!("{n},person number {n}\n")).collect();
    answer(200, "", &format!("id,name\n{rows}"))
}

fn asked(server: &RawServer) -> Vec<String> {
    let line = |text: String| text.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
    server.seen().into_iter().map(line).collect()
}

fn scripts() -> Vec<Vec<u8>> {
    let created = answer(201, "", r#"{"id":"j1"}"#);
    let working = answer(200, "", r#"{"status":"working"}"#);
    let ready = answer(200, "", r#"{"status":"ready","file":"f1"}"#);
    vec![created, working, ready, table(), answer(200, "", "{}")]
}

#[tokio::test]
async fn a_download_larger_than_any_body_comes_in_parts_and_the_job_is_deleted_at_its_end() {
    let server = RawServer::start(scripts()).await;
    let connector = connector(MANIFEST, json!({"base_url": server.base}));
    let pages = drain(&connector, request("report", SyncMode::FullRefresh, None)).await.unwrap();
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [1_000, 1_000, 1_000, 1_000, 1_000, 500]);
    assert_eq!(ids(&pages), (1..=ROWS).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(pages.iter().all(|page| !page.resumable), "a later run asks for a job of its own");
    let expected = ["POST /jobs", "GET /jobs/j1", "GET /jobs/j1", "GET /files/f1", "POST /jobs/j1/delete"];
    assert_eq!(asked(&server), expected);
}

#[tokio::test]
async fn a_part_that_is_asked_for_again_elsewhere_is_the_same_part() {
    let mut scripts = scripts();
    scripts[4] = table();
    let server = RawServer::start(scripts).await;
    let first = connector(MANIFEST, json!({"base_url": server.base}));
    let mut request = request("report", SyncMode::FullRefresh, None);
    let mut pages: Vec<Page> = Vec::new();
    for _ in 0..2 {
        let page = first.pull(&request).await.unwrap();
        request.position = page.next.as_ref().map(|next| Position(next.0.to_string().parse::<Value>().unwrap()));
        pages.push(page);
    }
    drop(first);
    let second = connector(MANIFEST, json!({"base_url": server.base}));
    let third = second.pull(&request).await.unwrap();
    let again = second.pull(&request).await.unwrap();
    assert_eq!(third.items, again.items);
    pages.push(third);
    assert_eq!(ids(&pages), (1..=3_000).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_job_that_never_ends_is_aborted_and_asked_for_three_times() {
    let server = RawServer::start(vec![answer(200, "", r#"{"id":"j1","status":"working"}"#)]).await;
    let connector = connector(MANIFEST, json!({"base_url": server.base}));
    let error = connector.pull(&request("report", SyncMode::FullRefresh, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("polling_job_timeout"), "{}", error.message);
    let asked = asked(&server);
    let count = |line: &str| asked.iter().filter(|have| *have == line).count();
    assert_eq!((count("POST /jobs"), count("POST /jobs/j1/abort")), (3, 3));
    assert_eq!(count("GET /jobs/j1"), 3 * 13, "at once, and every five seconds of a minute");
}

#[tokio::test]
async fn a_word_that_the_manifest_does_not_know_is_told() {
    let server = RawServer::start(vec![answer(200, "", r#"{"id":"j1","status":"asleep"}"#)]).await;
    let connector = connector(MANIFEST, json!({"base_url": server.base}));
    let error = connector.pull(&request("report", SyncMode::FullRefresh, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Decode);
    assert!(error.message.contains("'asleep'") && error.message.contains("status_mapping"), "{}", error.message);
}

#[tokio::test]
async fn a_download_that_cannot_be_read_to_its_end_fails_after_what_could() {
    let mut scripts = scripts();
    let mut rows = String::from("id,name\n");
    for n in 1..=2_500 {
        rows.push_str(&format!("{n},x\n"));
    }
    let mut torn = answer(200, "", &rows);
    let at = torn.len() - 20;
    torn[at] = 0xff;
    scripts[3] = torn;
    let server = RawServer::start(scripts).await;
    let connector = connector(MANIFEST, json!({"base_url": server.base}));
    let mut request = request("report", SyncMode::FullRefresh, None);
    let first = connector.pull(&request).await.unwrap();
    assert_eq!(first.items.len(), 1_000);
    request.position = first.next;
    let mut ended = connector.pull(&request).await;
    while let Ok(page) = ended {
        request.position = page.next;
        assert!(request.position.is_some(), "the torn end is not taken for the end");
        ended = connector.pull(&request).await;
    }
    assert_eq!(ended.unwrap_err().kind, ErrorKind::Decode);
}

#[test]
fn everything_that_a_job_lacks_is_told_at_once() {
    let text = MANIFEST
        .replace("      polling_requester", "      x_requester")
        .replace("timeout: []", "timeout: [ready]")
        .replace(
            "      download_decoder",
            "      download_target_requester: {type: HttpRequester, url: \"https://x\"}\n      download_decoder",
        );
    let problems = Manifest::load(&text).err().unwrap();
    let told: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
    for part in ["polling_requester", "'ready' stands in two lists", "download_target_extractor"] {
        assert!(told.iter().any(|line| line.contains(part)), "{part}: {told:#?}");
    }
}

//! Files with everything that people's files have.

use std::{fs, path::Path};

use serde_json::json;

use super::*;
use crate::{
    connector::http::testing::{ManualClock, Secrets, gate},
    domain::record::Item,
};

const CSV: &str = include_str!("../../../connectors/csv/file.yaml");
const LINES: &str = "streams:\n  - {name: leads, format: jsonl, primary_key: [a, b]}\n";

fn connector(declared: &str, config: Value) -> FileConnector {
    let clock = ManualClock::at("2026-01-31T08:00:00Z");
    let facts = ConnectionFacts {
        connection_key: "acme-csv".into(),
        provider_account_id: "1".into(),
        config,
        credential: Secrets::of(&[]),
        gate: gate(&clock),
    };
    FileConnector::new(&FileSource::load(declared).unwrap(), facts)
}

fn request(limit: Option<usize>) -> PullRequest {
    PullRequest {
        stream: "leads".into(),
        mode: SyncMode::FullRefresh,
        cursor: None,
        position: None,
        started_at: "2026-01-31T08:00:00Z".parse().unwrap(),
        limit,
        traffic: Arc::default(),
    }
}

/// Reads the file to its end; each page is asked for twice and must come out alike.
async fn drain(connector: &FileConnector, limit: Option<usize>) -> Result<Vec<Item>, ConnectorError> {
    let mut request = request(limit);
    let mut items = Vec::new();
    loop {
        let page = connector.pull(&request).await?;
        assert_eq!(connector.pull(&request).await?, page, "a page is a function of its request");
        items.extend(page.items);
        request.position = page.next;
        if request.position.is_none() {
            return Ok(items);
        }
    }
}

fn show(items: &[Item]) -> Vec<String> {
    let shown = items.iter().map(|item| match item {
        Item::Record(record) => format!("{} {}", record.external_id.as_deref().unwrap_or("-"), record.payload),
        Item::Broken(broken) => format!("{}: {} ({})", broken.place, broken.reason, broken.text),
    });
    shown.collect()
}

fn write(dir: &Path, content: impl AsRef<[u8]>) -> Value {
    let path = dir.join("leads.csv");
    fs::write(&path, content).unwrap();
    json!({"path": path})
}

#[tokio::test]
async fn rows_become_records_and_broken_rows_are_named_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut content =
        b"\xef\xbb\xbflead_id,name\r\n1,Ann\r\n2,\"Bob, \"\"the\nplumber\"\"\"\r\n\r\n3\r\n4,\"open\n5,Eve\n".to_vec();
    content.extend(b"6,\xff\n,nobody\n7,Zoe");
    let connector = connector(CSV, write(dir.path(), content));
    let expected = [
        r#"1 {"lead_id":"1","name":"Ann"}"#,
        r#"2 {"lead_id":"2","name":"Bob, \"the\nplumber\""}"#,
        "line 6: 1 fields where the header has 2 (3)",
        "line 7: a quote is opened and not closed (4,\"open)",
        r#"5 {"lead_id":"5","name":"Eve"}"#,
        "line 9: the row is not UTF-8 (6,\u{fffd})",
        r#"- {"lead_id":"","name":"nobody"}"#,
        r#"7 {"lead_id":"7","name":"Zoe"}"#,
    ];
    for limit in [None, Some(1), Some(3)] {
        assert_eq!(show(&drain(&connector, limit).await.unwrap()), expected, "{limit:?}");
    }
}

#[tokio::test]
async fn a_quote_that_closes_by_chance_costs_one_line_only() {
    let dir = tempfile::tempdir().unwrap();
    let connector = connector(CSV, write(dir.path(), "lead_id,name\n1,\"Ann\n2,Bob\n3,\"Cy\"\n4,Di\n"));
    let shown = show(&drain(&connector, None).await.unwrap());
    assert_eq!(shown.len(), 4, "{shown:?}");
    assert!(shown[0].starts_with("line 2: "), "{shown:?}");
    assert!(shown[1].starts_with("2 ") && shown[2].starts_with("3 ") && shown[3].starts_with("4 "), "{shown:?}");
}

#[tokio::test]
async fn json_lines_are_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let text = "{\"a\":1,\"b\":\"x\"}\n\n[1]\n{\"a\":\n{\"a\":2}\n";
    let connector = connector(LINES, write(dir.path(), text));
    assert_eq!(
        show(&drain(&connector, Some(2)).await.unwrap()),
        [
            r#"1:x {"a":1,"b":"x"}"#,
            "line 3: the line is not a JSON object ([1])",
            "line 4: the line is not JSON (column 5) ({\"a\":)",
            r#"- {"a":2}"#,
        ]
    );
}

#[tokio::test]
async fn large_files_are_read_in_bounded_pages_and_monstrous_lines_are_broken() {
    let dir = tempfile::tempdir().unwrap();
    let mut content = String::from("lead_id,name\n");
    for id in 0..1200 {
        content.push_str(&format!("{id},name {id}\n"));
    }
    content.push_str(&format!("big,{}\n", "x".repeat(9 * 1024 * 1024)));
    content.push_str("last,one\n");
    let connector = connector(CSV, write(dir.path(), content));
    let items = drain(&connector, None).await.unwrap();
    assert_eq!(items.len(), 1202);
    let shown = show(&items[1199..]);
    assert!(shown[0].starts_with("1199 ") && shown[2].starts_with("last "), "{:?}", shown[2]);
    assert!(shown[1].starts_with("line 1202: the row is longer than"), "{}", &shown[1][..60]);
    assert!(shown[1].len() < 3000, "what is kept of it is bounded");
    let first = connector.pull(&request(None)).await.unwrap();
    assert!(first.items.len() == 500 && first.resumable && first.cursor.is_none());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let connector = connector(CSV, write(dir.path(), "lead_id,name\n1,a\n2,b\n3,c\n"));
    let page = connector.pull(&request(Some(1))).await.unwrap();
    write(dir.path(), "lead_id,name\n1,a\n2,B\n3,c\n4,d\n");
    let again = PullRequest { position: page.next, ..request(Some(1)) };
    assert_eq!(connector.pull(&again).await.unwrap_err().kind, ErrorKind::PositionExpired);
    let foreign = PullRequest { position: Some(Position(json!({"offset": 3}))), ..request(None) };
    assert_eq!(connector.pull(&foreign).await.unwrap_err().kind, ErrorKind::PositionExpired);
}

#[tokio::test]
async fn what_is_missing_is_said_in_the_options_words() {
    let dir = tempfile::tempdir().unwrap();
    for (config, kind, part) in [
        (json!({}), ErrorKind::Settings, "'path'"),
        (json!({"path": dir.path().join("gone.csv")}), ErrorKind::Settings, "'path'"),
        (json!({"path": dir.path()}), ErrorKind::Settings, "is not a file"),
        (write(dir.path(), "id,name\n1,a\n"), ErrorKind::Settings, "no column 'lead_id'"),
    ] {
        let error = connector(CSV, config).check(Arc::default()).await.unwrap_err();
        assert!(error.kind == kind && error.message.contains(part), "{error}");
    }
    for header in ["", "lead_id,lead_id\n", "lead_id,\n"] {
        let error = connector(CSV, write(dir.path(), header)).check(Arc::default()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Decode, "{header}: {error}");
    }
    let config = write(dir.path(), "lead_id,name\n");
    let identity = connector(CSV, config.clone()).check(Arc::default()).await.unwrap();
    assert!(identity.detail.contains("leads"));
    let incremental = PullRequest { mode: SyncMode::Incremental, ..request(None) };
    assert_eq!(connector(CSV, config).pull(&incremental).await.unwrap_err().kind, ErrorKind::Settings);
}

#[test]
fn the_same_stream_twice_and_a_delimiter_for_json_lines_are_refused() {
    let stream = "{name: a, format: jsonl, primary_key: x}";
    let problems = FileSource::load(&format!("streams:\n  - {stream}\n  - {stream}\n")).unwrap_err();
    assert!(problems.len() == 1 && problems[0].line == Some(3), "{problems:?}");
    let problems =
        FileSource::load("streams: [{name: a, format: jsonl, delimiter: \";\", primary_key: x}]").unwrap_err();
    assert!(problems.len() == 1 && problems[0].message.contains("jsonl"), "{problems:?}");
    assert!(FileSource::load("- a list\n").is_err() && FileSource::load("streams: []\n").is_err());
}

#[test]
fn a_declaration_that_cannot_be_meant_is_refused_whole() {
    let text = "streams:\n  - {name: a, format: xls, primary_key: [x]}\n  - {format: csv, delimiter: ab, encoding: latin1, colour: red}\n";
    let problems = FileSource::load(text).unwrap_err();
    let told = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in
        ["csv or jsonl", "streams[1].name", "one ASCII", "only utf-8", "streams[1].colour", "streams[1].primary_key"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
}

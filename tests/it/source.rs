//! `tidegate source read`, held against what the reference implementation made of the same manifest and the same answers.
//!
//! Recordings stand in `tests/reference/recorded`; `tests/reference/record.py` made them. A provider answers here what it answered then,
//! and knows nothing else: a request that the reference did not make fails the stream. `discover` and `check` are held, too, where a
//! recording has them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::process::Command;

/// What stands for the provider's address in recordings.
const BASE: &str = "http://provider";

/// Method, path, sorted query, body.
type Key = (String, String, Vec<(String, String)>, String);

#[derive(Clone)]
struct Provider {
    base: String,
    exchanges: Arc<HashMap<Key, Vec<Value>>>,
    asked: Arc<Mutex<Vec<Key>>>,
}

fn query(text: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    pairs.sort();
    pairs
}

fn recorded(exchange: &Value) -> Key {
    let text = |name: &str| exchange[name].as_str().unwrap().to_owned();
    let mut pairs: Vec<(String, String)> = serde_json::from_value(exchange["query"].clone()).unwrap();
    pairs.sort();
    (text("method"), text("path"), pairs, text("body"))
}

async fn answer(State(provider): State<Provider>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let key = (parts.method.to_string(), parts.uri.path().to_owned(), query(parts.uri.query().unwrap_or("")), body);
    let turn = {
        let mut asked = provider.asked.lock().unwrap();
        asked.push(key.clone());
        asked.iter().filter(|have| **have == key).count()
    };
    let Some(answers) = provider.exchanges.get(&key) else {
        return Response::builder().status(410).body(Body::from("the reference did not ask this")).unwrap();
    };
    let exchange = &answers[turn.min(answers.len()) - 1];
    let here = |text: &str| text.replace(BASE, &provider.base);
    let mut response = Response::builder().status(u16::try_from(exchange["status"].as_u64().unwrap()).unwrap());
    for (name, value) in exchange["answer_headers"].as_object().unwrap() {
        response = response.header(name, here(value.as_str().unwrap()));
    }
    let body = match exchange["answer_base64"].as_str() {
        Some(packed) => Body::from(STANDARD.decode(packed).unwrap()),
        None => Body::from(here(exchange["answer"].as_str().unwrap())),
    };
    response.body(body).unwrap()
}

/// What a reading came to.
#[derive(Default)]
struct Told {
    records: BTreeMap<String, Vec<String>>,
    states: BTreeMap<String, Value>,
    failed: BTreeSet<String>,
    asked: BTreeSet<Key>,
    /// Streams by name, where the recording has a catalogue; none where it could not be told.
    catalog: Option<BTreeMap<String, Value>>,
    /// `SUCCEEDED` or `FAILED`, where the recording has a check.
    status: Option<String>,
}

/// The first message of that type among lines.
fn message(lines: &[u8], kind: &str) -> Option<Value> {
    let text = String::from_utf8(lines.to_vec()).unwrap();
    let mut messages = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    messages.find(|message| message["type"] == kind)
}

fn by_name(catalog: &Value) -> BTreeMap<String, Value> {
    let streams = catalog["streams"].as_array().unwrap();
    streams.iter().map(|stream| (stream["name"].as_str().unwrap().to_owned(), canonical(stream))).collect()
}

async fn read(recording: &Value) -> Told {
    let mut exchanges: HashMap<Key, Vec<Value>> = HashMap::new();
    for exchange in recording["exchanges"].as_array().unwrap() {
        exchanges.entry(recorded(exchange)).or_default().push(exchange.clone());
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let provider = Provider { base: base.clone(), exchanges: Arc::new(exchanges), asked: Arc::default() };
    let app = Router::new().fallback(answer).with_state(provider.clone());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, value: &Value| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, value.to_string().replace(BASE, &base)).unwrap();
        path
    };
    let wanted = recording["read"].as_object().unwrap();
    let streams: Vec<Value> = wanted
        .iter()
        .map(|(name, mode)| {
            let schema = recording.get("schemas").and_then(|schemas| schemas.get(name)).cloned();
            let schema = schema.unwrap_or_else(|| json!({}));
            let stream = json!({"name": name, "json_schema": schema});
            json!({"stream": stream, "sync_mode": mode, "destination_sync_mode": "append"})
        })
        .collect();
    let (manifest, config) = (put("manifest.json", &recording["manifest"]), put("config.json", &recording["config"]));
    let source = |verb: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command
            .args(["source", verb, "--no-wait", "--manifest"])
            .arg(&manifest)
            .arg("--config")
            .arg(&config)
            .env("TIDEGATE_HTTP__ALLOW_PRIVATE", "127.0.0.0/8")
            .current_dir(folder.path())
            .stdin(Stdio::null());
        command
    };
    let mut told = Told::default();
    if recording.get("catalog").is_some() {
        let output = source("discover").output().await.unwrap();
        told.catalog = message(&output.stdout, "CATALOG").map(|message| by_name(&message["catalog"]));
    }
    if recording.get("connectionStatus").is_some() {
        let output = source("check").output().await.unwrap();
        let status = message(&output.stdout, "CONNECTION_STATUS").unwrap();
        told.status = Some(status["connectionStatus"]["status"].as_str().unwrap().to_owned());
    }
    let mut command = source("read");
    command.arg("--catalog").arg(put("catalog.json", &json!({"streams": streams})));
    if let Some(states) = recording.get("state").and_then(Value::as_object) {
        let states: Vec<Value> = states
            .iter()
            .map(|(name, state)| json!({"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}}))
            .collect();
        command.arg("--state").arg(put("state.json", &Value::Array(states)));
    }
    let output = command.output().await.unwrap();
    server.abort();
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&output.stderr));

    told.asked = provider.asked.lock().unwrap().drain(..).collect();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let message: Value = serde_json::from_str(&line.replace(&base, BASE)).unwrap();
        match message["type"].as_str().unwrap() {
            "RECORD" => {
                let record = &message["record"];
                let stream = record["stream"].as_str().unwrap().to_owned();
                told.records.entry(stream).or_default().push(canonical(&record["data"]).to_string());
            }
            "STATE" => {
                let stream = &message["state"]["stream"];
                let name = stream["stream_descriptor"]["name"].as_str().unwrap().to_owned();
                told.states.insert(name, settled(&stream["stream_state"]));
            }
            "TRACE" if message["trace"]["type"] == "ERROR" => {
                let name = message["trace"]["error"]["stream_descriptor"]["name"].as_str().unwrap();
                told.failed.insert(name.to_owned());
            }
            _ => {}
        }
    }
    told
}

/// Keys in one order.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, Value> = fields.iter().map(|(key, value)| (key, canonical(value))).collect();
            json!(sorted)
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

/// A state without what was measured, partitions in one order.
fn settled(state: &Value) -> Value {
    let mut state = canonical(state);
    if let Some(fields) = state.as_object_mut() {
        fields.remove("lookback_window");
        if let Some(Value::Array(states)) = fields.get_mut("states") {
            states.sort_by_key(ToString::to_string);
        }
    }
    state
}

/// Holds one recording; gives what differs.
async fn differences(name: &str, recording: &Value) -> Vec<String> {
    let told = read(recording).await;
    let mut wrong = Vec::new();
    for stream in recording["read"].as_object().unwrap().keys() {
        let mut ours = told.records.get(stream).cloned().unwrap_or_default();
        let rows = recording["records"].get(stream).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut theirs: Vec<String> = rows.iter().map(|row| canonical(row).to_string()).collect();
        ours.sort();
        theirs.sort();
        if ours != theirs {
            let extra: Vec<_> = ours.iter().filter(|row| !theirs.contains(row)).take(2).collect();
            let lost: Vec<_> = theirs.iter().filter(|row| !ours.contains(row)).take(2).collect();
            wrong.push(format!(
                "{name}/{stream}: {} records for {}; ours {extra:?}, theirs {lost:?}",
                ours.len(),
                theirs.len()
            ));
        }
        let failed = recording["failed"].as_array().unwrap().iter().any(|name| name == stream);
        if failed != told.failed.contains(stream) {
            wrong.push(format!("{name}/{stream}: failed is {failed} for the reference"));
        }
        let (ours, theirs) = (told.states.get(stream), recording["states"].get(stream).map(settled));
        if !failed && ours != theirs.as_ref() {
            wrong.push(format!("{name}/{stream}: the state is {ours:?}, not {theirs:?}"));
        }
    }
    if let Some(catalog) = recording.get("catalog") {
        let (ours, theirs) = (told.catalog, (!catalog.is_null()).then(|| by_name(catalog)));
        if ours != theirs {
            wrong.push(format!("{name}: the catalogue is {ours:#?}, not {theirs:#?}"));
        }
    }
    let status = recording.get("connectionStatus").map(|check| check["status"].as_str().unwrap_or("FAILED"));
    if told.status.as_deref() != status {
        wrong.push(format!("{name}: the check came to {:?}, not {status:?}", told.status));
    }
    let theirs: BTreeSet<Key> = recording["exchanges"].as_array().unwrap().iter().map(recorded).collect();
    wrong.extend(told.asked.difference(&theirs).map(|key| format!("{name}: only we asked {key:?}")));
    wrong.extend(theirs.difference(&told.asked).map(|key| format!("{name}: only the reference asked {key:?}")));
    wrong
}

#[tokio::test]
async fn every_recorded_manifest_reads_as_the_reference_reads_it() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/recorded");
    let mut wrong = Vec::new();
    let mut streams = 0;
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let recording: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        streams += recording["read"].as_object().unwrap().len();
        wrong.extend(differences(&file.file_stem().unwrap().to_string_lossy(), &recording).await);
    }
    assert!(streams >= 190, "only {streams} streams were held");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! Messages of the protocol: one JSON document a line, never two writers in one line.

use std::{
    io::{self, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Most bytes that are made room for before they are there.
const MOST_AHEAD: usize = 4 * 1024 * 1024;

/// Where messages go, and how long the last page's lines were. Lines of several streams do not mix.
pub struct Out<W: Write>(Mutex<W>, AtomicUsize);

/// A record's line, written without a copy of the record.
#[derive(Serialize)]
struct RecordLine<'r> {
    r#type: &'static str,
    record: Record<'r>,
}

#[derive(Serialize)]
struct Record<'r> {
    stream: &'r str,
    #[serde(serialize_with = "without_nulls")]
    data: &'r Value,
    emitted_at: i64,
}

/// A record's own fields that hold null are left out, as the reference does; those inside stay.
fn without_nulls<S: serde::Serializer>(data: &&Value, serializer: S) -> Result<S::Ok, S::Error> {
    match data {
        Value::Object(fields) => serializer.collect_map(fields.iter().filter(|(_, value)| !value.is_null())),
        other => other.serialize(serializer),
    }
}

impl<W: Write> Out<W> {
    pub fn new(to: W) -> Self {
        Self(Mutex::new(to), AtomicUsize::new(0))
    }

    /// Writes a message.
    ///
    /// # Errors
    /// Of the output: nobody reads any more.
    pub fn line(&self, message: &Value) -> io::Result<()> {
        let mut text = serde_json::to_vec(message)?;
        text.push(b'\n');
        let mut to = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        to.write_all(&text)?;
        to.flush()
    }

    /// Writes records of one stream, in one go.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn records<'r>(
        &self,
        stream: &str,
        records: impl Iterator<Item = &'r Value>,
        emitted_at: i64,
    ) -> io::Result<()> {
        // Pages are alike: the room of the one before is not grown into again.
        let mut text = Vec::with_capacity(self.1.load(Ordering::Relaxed));
        for data in records {
            serde_json::to_writer(
                &mut text,
                &RecordLine { r#type: "RECORD", record: Record { stream, data, emitted_at } },
            )?;
            text.push(b'\n');
        }
        self.1.store(text.len().min(MOST_AHEAD), Ordering::Relaxed);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text)
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn flush(&self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// `STARTED`, `RUNNING`, `COMPLETE`, `INCOMPLETE`.
pub(super) fn status(stream: &str, status: &str, at: i64) -> Value {
    json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": at, "stream_status": {
        "stream_descriptor": {"name": stream}, "status": status,
    }}})
}

pub(super) fn state(stream: &str, state: &Value, records: u64) -> Value {
    json!({"type": "STATE", "state": {"type": "STREAM", "stream": {
        "stream_descriptor": {"name": stream}, "stream_state": state,
    }, "sourceStats": {"recordCount": records}}})
}

pub(super) fn error(stream: &str, message: &str, kind: &str, at: i64) -> Value {
    json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": at, "error": {
        "message": message, "internal_message": message, "failure_type": kind,
        "stream_descriptor": {"name": stream},
    }}})
}

/// What keeps a command from its answer.
pub(super) fn failed(message: &str, kind: &str, at: i64) -> Value {
    json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": at, "error": {
        "message": message, "internal_message": message, "failure_type": kind,
    }}})
}

pub(super) fn log(level: &str, message: &str) -> Value {
    json!({"type": "LOG", "log": {"level": level, "message": message}})
}

/// The configuration with renewed tokens, for the platform to keep.
pub(super) fn control(config: &Value, at: i64) -> Value {
    json!({"type": "CONTROL", "control": {"type": "CONNECTOR_CONFIG", "emitted_at": at, "connectorConfig": {"config": config}}})
}

/// The states that a platform gives back, by stream: a list of messages, one message, or a map of older platforms.
pub fn states(document: &Value) -> Map<String, Value> {
    let mut states = Map::new();
    let mut take = |message: &Value| {
        let stream = message.get("stream").or_else(|| message.get("state").and_then(|state| state.get("stream")));
        let Some(stream) = stream else { return };
        let name =
            stream.get("stream_descriptor").and_then(|descriptor| descriptor.get("name")).and_then(Value::as_str);
        if let (Some(name), Some(state)) = (name, stream.get("stream_state")) {
            states.insert(name.to_owned(), state.clone());
        }
    };
    match document {
        Value::Array(messages) => messages.iter().for_each(&mut take),
        one @ Value::Object(fields) if fields.contains_key("stream") || fields.contains_key("state") => take(one),
        Value::Object(fields) => states.extend(fields.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    states
}

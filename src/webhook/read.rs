//! From a body that passed the check to deliveries.
//!
//! Owns where events stand, how one is known, named and dated, and what it carries. An event that is declared to carry a record
//! but does not (no object there, no id, no readable time) asks for a fetch instead: the record is not lost, and an older one never
//! gets in by leaving out its time. Undeclared events are handed on by name, with nothing in them.

use serde_json::{Map, Value};

use super::{
    BodyFormat, Carries, Delivery, Received, WebhookDeclaration,
    summary::{self, scalar},
};
use crate::{
    domain::{
        clock::Timestamp,
        external_id::{external_id, shortened},
        record::{payload_hash, text_hash},
    },
    mapping::{Found, Path, TimeRule},
};

/// Events of one request; providers send at most some hundreds.
const MOST_EVENTS: usize = 5_000;
/// Characters of an event's name.
const LONGEST_NAME: usize = 120;

/// The body is not what the declaration says. Never holds content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// How a delivery is known.
#[derive(Debug)]
pub(super) enum Identified {
    /// Parts that are joined, as those of a record's key.
    Paths(Vec<Path>),
    Header(String),
    /// The event's own hash.
    Hash,
}

/// How an event is named.
#[derive(Debug)]
pub(super) enum Named {
    /// Parts that are joined with a point; those that are missing are left out.
    Paths(Vec<Path>),
    Header(String),
}

/// Where a time stands, and how it is written.
#[derive(Debug)]
pub(super) struct TimeAt {
    pub(super) place: TimePlace,
    pub(super) rule: TimeRule,
}

#[derive(Debug)]
pub(super) enum TimePlace {
    /// Of the event.
    Event(Path),
    /// Of the record that it carries.
    Record(Path),
    Header(String),
}

/// What a declared event means.
#[derive(Debug)]
pub(super) enum EventRule {
    Record {
        stream: String,
        /// `None`: the event itself is the record.
        record: Option<Path>,
        /// Of the record: the parts of its key.
        id: Vec<Path>,
        updated_at: Option<TimeAt>,
    },
    Fetch {
        stream: String,
        /// Of the event: the parts of the object's key; empty where it names none.
        id: Vec<Path>,
    },
    Ignore {
        reason: String,
    },
}

pub(super) fn read(declaration: &WebhookDeclaration, received: &Received<'_>) -> Result<Vec<Delivery>, Unreadable> {
    let body = body(declaration.format, received.body)?;
    let events = match &declaration.items {
        None => match &body {
            Value::Array(events) => events.iter().collect(),
            one => vec![one],
        },
        Some(path) => {
            let mut events = Vec::new();
            if !listed(&body, path, 0, &mut events) {
                return Err(Unreadable(format!("the body has no events at '{}'", path.text)));
            }
            events
        }
    };
    if events.len() > MOST_EVENTS {
        let message = format!("{} events in one request, at most {MOST_EVENTS} are read", events.len());
        return Err(Unreadable(message));
    }
    let several = events.len() > 1;
    let read = |(at, event)| delivery(declaration, received, event, several.then_some(at));
    Ok(events.into_iter().enumerate().map(read).collect())
}

fn body(format: BodyFormat, bytes: &[u8]) -> Result<Value, Unreadable> {
    match format {
        BodyFormat::Json => serde_json::from_slice(bytes).map_err(|error| {
            Unreadable(format!("the body is not JSON (line {}, column {})", error.line(), error.column()))
        }),
        BodyFormat::Form => {
            let mut fields = Map::new();
            for (name, value) in url::form_urlencoded::parse(bytes) {
                let value = Value::String(value.into_owned());
                match fields.get_mut(&*name) {
                    None => drop(fields.insert(name.into_owned(), value)),
                    Some(Value::Array(values)) => values.push(value),
                    Some(first) => *first = Value::Array(vec![first.take(), value]),
                }
            }
            Ok(Value::Object(fields))
        }
    }
}

/// The events at a path, `*` standing for each entry. `false` when there is no such place.
fn listed<'v>(value: &'v Value, path: &Path, depth: usize, events: &mut Vec<&'v Value>) -> bool {
    let Some(segment) = path.segments.get(depth) else {
        match value {
            Value::Array(items) => events.extend(items),
            Value::Null => {}
            one => events.push(one),
        }
        return true;
    };
    match value {
        Value::Array(items) if segment.name == "*" => {
            let mut all = true;
            for item in items {
                all &= listed(item, path, depth + 1, events);
            }
            all
        }
        Value::Object(fields) if segment.name == "*" => {
            let mut all = true;
            for item in fields.values() {
                all &= listed(item, path, depth + 1, events);
            }
            all
        }
        Value::Object(fields) => fields.get(&segment.name).is_some_and(|next| listed(next, path, depth + 1, events)),
        Value::Array(items) => {
            segment.index.and_then(|index| items.get(index)).is_some_and(|next| listed(next, path, depth + 1, events))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn delivery(
    declaration: &WebhookDeclaration,
    received: &Received<'_>,
    event: &Value,
    position: Option<usize>,
) -> Delivery {
    let name = name(&declaration.event_name, received, event);
    let occurred_at = declaration.occurred_at.as_ref().and_then(|at| time(at, received, event, None));
    let (object_id, carries) = match declaration.events.get(&name) {
        Some(rule) => carried(rule, received, event),
        None => (None, Carries::Nothing { reason: "the event is not declared".to_owned() }),
    };
    Delivery {
        delivery_id: delivery_id(&declaration.delivery_id, received, event, &name, position),
        summary: summary::summary(declaration, &name, object_id.as_deref(), occurred_at, event),
        event_name: name,
        occurred_at,
        object_id,
        carries,
    }
}

fn name(rule: &Named, received: &Received<'_>, event: &Value) -> String {
    let name = match rule {
        Named::Header(header) => header_text(received, header).unwrap_or_default().to_owned(),
        Named::Paths(paths) => {
            paths.iter().filter_map(|path| scalar(value(path, event)?)).collect::<Vec<_>>().join(".")
        }
    };
    name.chars().filter(|char| !char.is_control()).take(LONGEST_NAME).collect()
}

fn delivery_id(
    rule: &Identified,
    received: &Received<'_>,
    event: &Value,
    name: &str,
    position: Option<usize>,
) -> String {
    let told = match rule {
        Identified::Paths(paths) => key(paths, event),
        // One header for several events: each is known by its place besides.
        Identified::Header(header) => header_text(received, header).map(|id| match position {
            Some(at) => shortened(format!("{id}#{at}")),
            None => shortened(id.to_owned()),
        }),
        Identified::Hash => None,
    };
    // Two events may come with one and the same content.
    told.unwrap_or_else(|| format!("sha256:{}", text_hash(&format!("{name}\n{}", payload_hash(event)))))
}

fn carried(rule: &EventRule, received: &Received<'_>, event: &Value) -> (Option<String>, Carries) {
    match rule {
        EventRule::Ignore { reason } => (None, Carries::Nothing { reason: reason.clone() }),
        EventRule::Fetch { stream, id } => (key(id, event), Carries::Fetch { stream: stream.clone() }),
        EventRule::Record { stream, record, id, updated_at } => {
            let found = match record {
                None => Some(event),
                Some(path) => value(path, event),
            };
            let object = found.filter(|record| record.is_object());
            let object_id = object.and_then(|record| key(id, record));
            let at = updated_at.as_ref().map(|at| time(at, received, event, object));
            let carries = match (object, &object_id, at) {
                (Some(payload), Some(external_id), None | Some(Some(_))) => Carries::Record {
                    stream: stream.clone(),
                    external_id: external_id.clone(),
                    payload: payload.clone(),
                    source_updated_at: at.flatten(),
                },
                (None, _, _) | (_, None, _) | (_, _, Some(None)) => Carries::Fetch { stream: stream.clone() },
            };
            (object_id, carries)
        }
    }
}

fn key(paths: &[Path], of: &Value) -> Option<String> {
    external_id(paths.iter().map(|path| value(path, of)))
}

fn time(at: &TimeAt, received: &Received<'_>, event: &Value, record: Option<&Value>) -> Option<Timestamp> {
    match &at.place {
        TimePlace::Event(path) => at.rule.instant(value(path, event)?),
        TimePlace::Record(path) => at.rule.instant(value(path, record?)?),
        TimePlace::Header(name) => at.rule.instant(&Value::String(header_text(received, name)?.to_owned())),
    }
}

fn value<'v>(path: &Path, of: &'v Value) -> Option<&'v Value> {
    match path.find(of) {
        Found::Value(value) => Some(value),
        Found::Missing | Found::Empty => None,
    }
}

/// The header's text when it is there once; one that comes twice tells nothing.
fn header_text<'r>(received: &Received<'r>, name: &str) -> Option<&'r str> {
    let mut found = received.headers.iter().filter(|(header, _)| header == name);
    let (_, value) = found.next()?;
    let text = std::str::from_utf8(value).ok()?.trim();
    (found.next().is_none() && !text.is_empty()).then_some(text)
}

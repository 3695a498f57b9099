//! From a `webhook.yaml` to a checked declaration.
//!
//! Owns the shape of the document: where events stand, how one is known, named and dated, and which stream each feeds. The
//! signature is read in `compile_signature`. Finds all problems, never only the first.

use std::collections::BTreeMap;

use super::{
    BodyFormat, StreamFacts, WebhookDeclaration, compile_signature,
    read::{EventRule, Identified, Named, TimeAt, TimePlace},
    summary,
};
use crate::{
    mapping::{Path, time_rule},
    yaml::{self, Dialect, Node, NodeValue, Problem, Table, nearest},
};

const PATH_REMEDY: &str = "write names with points between, e.g. data.id";
/// Longest name of an event and reason for ignoring one, as they are kept.
const LONGEST_NAME: usize = 120;
/// Fields of a summary.
const MOST_FIELDS: usize = 6;

pub(super) fn compile(text: &str, streams: &[StreamFacts<'_>]) -> Result<WebhookDeclaration, Vec<Problem>> {
    let root = yaml::parse(text, Dialect::Strict).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let declaration = read(&root, streams, &mut problems);
    problems.sort_by_key(|problem| problem.line);
    match declaration {
        Some(declaration) if problems.is_empty() => Ok(declaration),
        Some(_) | None => Err(problems),
    }
}

fn read(root: &Node, streams: &[StreamFacts<'_>], problems: &mut Vec<Problem>) -> Option<WebhookDeclaration> {
    let mut top = Table::open(root, "", problems)?;
    let scheme = compile_signature::read(&mut top, problems);
    let (format, items) = deliveries(&mut top, problems);
    let delivery_id = identified(&mut top, problems);
    let event_name = named(&mut top, problems);
    let occurred_at = top.get("occurred_at").and_then(|node| time_at(node, "occurred_at", None, problems));
    let events = events(&mut top, streams, problems);
    let summary = summary_fields(&mut top, problems);
    top.finish(problems);
    let (scheme_name, scheme) = scheme?;
    Some(WebhookDeclaration {
        scheme_name,
        scheme,
        format,
        items,
        delivery_id: delivery_id?,
        event_name: event_name?,
        occurred_at,
        events,
        summary,
    })
}

fn deliveries(top: &mut Table<'_>, problems: &mut Vec<Problem>) -> (BodyFormat, Option<Path>) {
    let Some(node) = top.get("deliveries") else { return (BodyFormat::Json, None) };
    let Some(mut table) = Table::open(node, "deliveries", problems) else { return (BodyFormat::Json, None) };
    let format = match table.text("format", problems).as_deref() {
        None | Some("json") => BodyFormat::Json,
        Some("form") => BodyFormat::Form,
        Some(other) => {
            let message = format!("there is no format `{other}`");
            problems.push(Problem::new(table.line_of("format"), "deliveries.format", message, "use json or form"));
            BodyFormat::Json
        }
    };
    let items = path_of(&mut table, "items", problems);
    if format == BodyFormat::Form && items.is_some() {
        let remedy = "leave `items` out: a form is one event";
        problems.push(Problem::new(table.line_of("items"), "deliveries.items", "has no place in a form", remedy));
    }
    table.finish(problems);
    (format, items)
}

fn identified(top: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Identified> {
    const REMEDY: &str =
        "say what is the same for each copy of an event: a path, several, { header: NAME }, or { hash: true }";
    let node = required(top, "delivery_id", REMEDY, problems)?;
    if !matches!(node.value, NodeValue::Table(_)) {
        return paths(node, "delivery_id", problems).map(Identified::Paths);
    }
    let mut table = Table::open(node, "delivery_id", problems)?;
    let hash = table.bool("hash", problems);
    let header = header(&mut table, problems);
    table.finish(problems);
    match (hash, header) {
        (Some(true), None) => Some(Identified::Hash),
        (None, Some(header)) => Some(Identified::Header(header)),
        (_, _) => {
            problems.push(Problem::new(
                node.line,
                "delivery_id",
                "one of `header` and `hash: true` is expected",
                REMEDY,
            ));
            None
        }
    }
}

fn named(top: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Named> {
    const REMEDY: &str = "say where an event's name stands: a path, several (joined with a point), or { header: NAME }";
    let node = required(top, "event_name", REMEDY, problems)?;
    if !matches!(node.value, NodeValue::Table(_)) {
        return paths(node, "event_name", problems).map(Named::Paths);
    }
    let mut table = Table::open(node, "event_name", problems)?;
    let header = header(&mut table, problems);
    table.finish(problems);
    if header.is_none() {
        problems.push(Problem::new(node.line, "event_name", "`header` is expected", REMEDY));
    }
    header.map(Named::Header)
}

fn required<'n>(
    top: &mut Table<'n>,
    key: &'static str,
    remedy: &'static str,
    problems: &mut Vec<Problem>,
) -> Option<&'n Node> {
    let node = top.get(key).filter(|node| node.value != NodeValue::Null);
    if node.is_none() {
        problems.push(Problem::new(top.line_of(key), key, "is required", remedy));
    }
    node
}

/// A time: a path (RFC 3339), or a table of `path` or `header`, `formats`, `zone`, and `of` where it belongs to a record.
fn time_at(node: &Node, field: &str, of: Option<&str>, problems: &mut Vec<Problem>) -> Option<TimeAt> {
    let plain = Node { line: node.line, value: NodeValue::Table(vec![("path".to_owned(), node.clone())]) };
    let short = !matches!(node.value, NodeValue::Table(_));
    let mut table = Table::open(if short { &plain } else { node }, field, problems)?;
    let path = path_of(&mut table, "path", problems);
    let header = if of.is_none() { header(&mut table, problems) } else { None };
    let of = of.map(|default| table.text("of", problems).unwrap_or_else(|| default.to_owned()));
    let rule = time_rule(&mut table, problems);
    let place = match (path, header, of.as_deref()) {
        (Some(path), None, None | Some("event")) => Some(TimePlace::Event(path)),
        (Some(path), None, Some("record")) => Some(TimePlace::Record(path)),
        (None, Some(header), _) => Some(TimePlace::Header(header)),
        (Some(_), None, Some(other)) => {
            let message = format!("`{other}` has no times");
            problems.push(Problem::new(table.line_of("of"), &table.path("of"), message, "use record or event"));
            None
        }
        (_, _, _) => {
            let remedy = "say where the time stands, e.g. { path: updated_at, formats: [rfc3339] }";
            problems.push(Problem::new(node.line, field, "one place is expected", remedy));
            None
        }
    };
    table.finish(problems);
    Some(TimeAt { place: place?, rule: rule? })
}

fn events(
    top: &mut Table<'_>,
    streams: &[StreamFacts<'_>],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, EventRule> {
    let pairs = top.pairs("events", problems);
    if pairs.is_empty() {
        let remedy = "list the events by name: what each carries, asks for, or why it is ignored";
        problems.push(Problem::new(top.line_of("events"), "events", "is required and must not be empty", remedy));
    }
    let mut events = BTreeMap::new();
    for (name, node) in pairs {
        let field = format!("events.{name}");
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
            let remedy = format!("write the provider's name of the event, at most {LONGEST_NAME} characters");
            problems.push(Problem::new(node.line, &field, "is no name of an event", remedy));
        }
        if let Some(table) = Table::open(node, &field, problems)
            && let Some(rule) = event(table, &field, streams, problems)
        {
            events.insert(name.clone(), rule);
        }
    }
    events
}

fn event(
    mut table: Table<'_>,
    field: &str,
    streams: &[StreamFacts<'_>],
    problems: &mut Vec<Problem>,
) -> Option<EventRule> {
    const REMEDY: &str = "give one of: `record` (a path, \".\" for the event itself) or `fetch: true`, with `stream`; or `ignore` with a reason";
    let line = table.line;
    let reason = table.text("ignore", problems);
    let record = table.text("record", problems);
    let fetch = table.bool("fetch", problems).unwrap_or(false);
    if usize::from(reason.is_some()) + usize::from(record.is_some()) + usize::from(fetch) != 1 {
        problems.push(Problem::new(line, field, "one meaning is expected", REMEDY));
        return None;
    }
    if let Some(reason) = reason {
        table.finish(problems);
        let reason: String = reason.chars().take(LONGEST_NAME).collect();
        if reason.trim().is_empty() {
            let remedy = "say why such events are ignored";
            problems.push(Problem::new(line, &format!("{field}.ignore"), "is empty", remedy));
        }
        return Some(EventRule::Ignore { reason });
    }
    let facts = stream(&mut table, streams, problems);
    let mut id = table.get("id").map(|node| (node, paths(node, &format!("{field}.id"), problems)));
    let (stream, primary_key) = match facts {
        Some(facts) => (facts.name.to_owned(), facts.primary_key),
        None => (String::new(), &[][..]),
    };
    if let Some((node, Some(parts))) = &id
        && !primary_key.is_empty()
        && parts.len() != primary_key.len()
    {
        let message = format!("{} parts, the stream's key has {}", parts.len(), primary_key.len());
        let remedy = "name the same parts in the same order: only then a pull and a delivery give one record";
        problems.push(Problem::new(node.line, &format!("{field}.id"), message, remedy));
    }
    let id = id.take().and_then(|(_, paths)| paths);
    let Some(record) = record else {
        table.finish(problems);
        return Some(EventRule::Fetch { stream, id: id.unwrap_or_default() });
    };
    let updated_at = table
        .get("updated_at")
        .and_then(|node| time_at(node, &format!("{field}.updated_at"), Some("record"), problems));
    table.finish(problems);
    let record = if record.trim() == "." {
        None
    } else {
        let path = Path::parse(record.trim());
        if path.is_none() {
            problems.push(Problem::new(line, &format!("{field}.record"), "is no path", PATH_REMEDY));
        }
        Some(path?)
    };
    let id = id.unwrap_or_else(|| primary_key.iter().filter_map(|steps| of_steps(steps)).collect());
    if id.is_empty() {
        let remedy = "name the path of the record's id below `record`; several make a key of several parts";
        problems.push(Problem::new(line, &format!("{field}.id"), "is required: the stream's key is not known", remedy));
    }
    Some(EventRule::Record { stream, record, id, updated_at })
}

fn stream<'s>(
    table: &mut Table<'_>,
    streams: &'s [StreamFacts<'s>],
    problems: &mut Vec<Problem>,
) -> Option<&'s StreamFacts<'s>> {
    let name = table.required_text("stream", "name one of the folder's streams", problems)?;
    let found = streams.iter().find(|facts| facts.name == name);
    if found.is_none() {
        let known: Vec<&str> = streams.iter().map(|facts| facts.name).collect();
        let remedy = nearest(&name, known.iter().copied())
            .map_or_else(|| format!("streams: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        let message = format!("the connector has no stream `{name}`");
        problems.push(Problem::new(table.line_of("stream"), &table.path("stream"), message, remedy));
    }
    found
}

fn summary_fields(top: &mut Table<'_>, problems: &mut Vec<Problem>) -> Vec<Path> {
    let Some(node) = top.get("summary").filter(|node| node.value != NodeValue::Null) else { return Vec::new() };
    let fields = paths(node, "summary", problems).unwrap_or_default();
    if fields.len() > MOST_FIELDS {
        let remedy = format!("keep the {MOST_FIELDS} that an operator needs");
        problems.push(Problem::new(node.line, "summary", "has too many fields", remedy));
    }
    for path in fields.iter().filter(|path| summary::is_personal(path)) {
        let message = format!("`{}` may hold a person's data", path.text);
        let remedy = "a summary names events and objects: keep types, states and ids";
        problems.push(Problem::new(node.line, "summary", message, remedy));
    }
    fields
}

/// A header's name, as names arrive.
pub(super) fn header(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let name = table.text("header", problems)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(fits) {
        let message = format!("`{name}` is no name of a header");
        let remedy = "write it as the provider's documentation does, e.g. X-Event-Id";
        problems.push(Problem::new(table.line_of("header"), &table.path("header"), message, remedy));
        return None;
    }
    Some(name.to_ascii_lowercase())
}

fn path_of(table: &mut Table<'_>, key: &'static str, problems: &mut Vec<Problem>) -> Option<Path> {
    let text = table.text(key, problems)?;
    let path = Path::parse(&text);
    if path.is_none() {
        problems.push(Problem::new(table.line_of(key), &table.path(key), "is no path", PATH_REMEDY));
    }
    path
}

/// One path, or a list of them; none is a problem.
fn paths(node: &Node, field: &str, problems: &mut Vec<Problem>) -> Option<Vec<Path>> {
    let nodes = match &node.value {
        NodeValue::List(items) => items.iter().collect(),
        NodeValue::Null => Vec::new(),
        NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) | NodeValue::Table(_) => vec![node],
    };
    let read: Vec<_> = nodes.iter().map(|node| node.text().and_then(Path::parse)).collect();
    if read.is_empty() || read.iter().any(Option::is_none) {
        problems.push(Problem::new(node.line, field, "a path, or a list of paths, is expected", PATH_REMEDY));
        return None;
    }
    Some(read.into_iter().flatten().collect())
}

/// A stream's own way to a part of its key.
fn of_steps(steps: &[String]) -> Option<Path> {
    let names: Vec<_> = steps.iter().map(|name| name.replace('\\', "\\\\").replace('.', "\\.")).collect();
    Path::parse(&names.join("."))
}

//! From an answer's body to items.
//!
//! Owns selection, transformation, ids and cursor values. What is there but cannot be read is an [`Item::Broken`] with its
//! place; a body in which the records' path is missing fails the page.

use std::sync::Arc;

use serde_json::Value;

use super::{
    literal,
    plan::{CursorPlan, Selector, StreamPlan, Transformation},
    template::{Engine, Scope, Template},
};
use crate::{
    connector::{ConnectorError, ErrorKind, external_id::external_id},
    domain::{
        clock::Timestamp,
        record::{BrokenItem, Item, RawRecord},
    },
};

/// Characters of a broken item that are kept.
const MAX_BROKEN_CHARS: usize = 2_000;

/// The values at the selector's path, as they lie in the body. Not yet filtered: paging counts these.
///
/// # Errors
/// [`ErrorKind::Decode`] when the path is not there and may not be missing.
pub(super) fn extract(
    engine: &Engine,
    selector: &Selector,
    scope: &Scope,
    body: Value,
    optional: bool,
    asked: &str,
) -> Result<Vec<Value>, ConnectorError> {
    let path = selector.path.iter().map(|part| engine.text(part, scope)).collect::<Result<Vec<_>, _>>()?;
    // A wildcard may find nothing; what stands before it must be there like any other path.
    let fixed = path.iter().position(|part| part == "*").unwrap_or(path.len());
    let (mut there, mut holds_null) = (false, false);
    look(&body, &path[..fixed], &mut |found| (there, holds_null) = (true, found.is_null()));
    if !there && !optional {
        let message = format!("{asked}: the answer has no '{}' where the records should be", path.join("."));
        return Err(ConnectorError::new(ErrorKind::Decode, message));
    }
    // `{"data": null, "errors": [..]}` with status 200: no listing that happens to be empty.
    if holds_null && tells_error(&body) {
        let message = format!("{asked}: the answer holds an error where the records '{}' should be", path.join("."));
        return Err(ConnectorError::new(ErrorKind::Decode, message));
    }
    let mut found = Vec::new();
    walk(body, &path, &mut found);
    // A list of records, or one record; nothing where the path holds null.
    let records = found.into_iter().flat_map(|found| match found {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        one @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![one],
    });
    Ok(records.collect())
}

fn tells_error(body: &Value) -> bool {
    ["error", "errors"].iter().any(|key| match body.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Bool(true) | Value::Number(_) | Value::Object(_)) => true,
    })
}

/// How many records lie at the selector's path, and the last of them, without taking the body apart.
///
/// # Errors
/// [`ErrorKind::Settings`] when the path's template fails.
pub(super) fn peek(
    engine: &Engine,
    selector: &Selector,
    scope: &Scope,
    body: &Value,
) -> Result<(u64, Value), ConnectorError> {
    let path = selector.path.iter().map(|part| engine.text(part, scope)).collect::<Result<Vec<_>, _>>()?;
    let (mut count, mut last) = (0, None);
    look(body, &path, &mut |found| match found {
        Value::Array(items) => {
            count += items.len() as u64;
            last = items.last().or(last);
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            count += 1;
            last = Some(found);
        }
    });
    Ok((count, last.cloned().unwrap_or(Value::Null)))
}

fn look<'v>(value: &'v Value, path: &[String], each: &mut dyn FnMut(&'v Value)) {
    let Some((part, rest)) = path.split_first() else { return each(value) };
    match value {
        Value::Object(fields) if part == "*" => fields.values().for_each(|value| look(value, rest, each)),
        Value::Array(items) if part == "*" => items.iter().for_each(|item| look(item, rest, each)),
        Value::Object(fields) => fields.get(part).into_iter().for_each(|value| look(value, rest, each)),
        Value::Array(items) => {
            let item = part.parse().ok().and_then(|index: usize| items.get(index));
            item.into_iter().for_each(|item| look(item, rest, each));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn walk(value: Value, path: &[String], found: &mut Vec<Value>) {
    let Some((part, rest)) = path.split_first() else {
        found.push(value);
        return;
    };
    match value {
        Value::Object(fields) if part == "*" => fields.into_iter().for_each(|(_, value)| walk(value, rest, found)),
        Value::Array(items) if part == "*" => items.into_iter().for_each(|item| walk(item, rest, found)),
        Value::Object(mut fields) => {
            if let Some(value) = fields.swap_remove(part) {
                walk(value, rest, found);
            }
        }
        Value::Array(mut items) => {
            if let Some(index) = part.parse().ok().filter(|index| *index < items.len()) {
                walk(items.swap_remove(index), rest, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A page's items, and what they tell about the cursor.
#[derive(Default)]
pub(super) struct Selected {
    pub items: Vec<Item>,
    /// Left out by the manifest's filter.
    pub filtered: usize,
    /// The cursor values in the order of the records.
    pub cursors: Vec<Timestamp>,
}

/// Makes items of the extracted values.
///
/// # Errors
/// [`ErrorKind::Settings`] when a filter or a transformation fails.
pub(super) fn select(
    engine: &Engine,
    plan: &StreamPlan,
    scope: &Scope,
    records: Vec<Value>,
    page: u32,
) -> Result<Selected, ConnectorError> {
    let mut selected = Selected::default();
    let templated = plan.selector.filter.is_some() || !plan.transformations.is_empty();
    for (at, record) in records.into_iter().enumerate() {
        if !record.is_object() {
            let text: String = record.to_string().chars().take(MAX_BROKEN_CHARS).collect();
            let place = format!("page {}, item {}", page + 1, at + 1);
            let reason = "the item is not an object".to_owned();
            selected.items.push(Item::Broken(BrokenItem { place, text, reason }));
            continue;
        }
        let payload = if templated {
            let Some(payload) = transformed(engine, plan, scope, record)? else {
                selected.filtered += 1;
                continue;
            };
            payload
        } else {
            record
        };
        let source_updated_at = plan.cursor.as_ref().and_then(|cursor| cursor_value(cursor, &payload));
        selected.cursors.extend(source_updated_at);
        let key = plan.spec.primary_key.iter();
        let external_id = external_id(key.map(|path| path.iter().try_fold(&payload, |at, step| at.get(step))));
        selected.items.push(Item::Record(RawRecord { external_id, payload, source_updated_at }));
    }
    Ok(selected)
}

/// `None` when the filter leaves the record out.
fn transformed(
    engine: &Engine,
    plan: &StreamPlan,
    scope: &Scope,
    record: Value,
) -> Result<Option<Value>, ConnectorError> {
    let mut record = Arc::new(record);
    let holds = |condition: &Option<Template>, record: &Arc<Value>| match condition {
        None => Ok(true),
        Some(condition) => engine.truth(condition, &scope.clone().with("record", record)),
    };
    if !holds(&plan.selector.filter, &record)? {
        return Ok(None);
    }
    for step in &plan.transformations {
        match step {
            Transformation::Add { path, value, as_text, condition } => {
                if holds(condition, &record)? {
                    let scope = scope.clone().with("record", &record);
                    let path = path.iter().map(|part| engine.text(part, &scope)).collect::<Result<Vec<_>, _>>()?;
                    let text = engine.text(value, &scope)?;
                    drop(scope);
                    let value = if *as_text { Value::String(text) } else { literal::guess(text) };
                    add(Arc::make_mut(&mut record), &path, value);
                }
            }
            Transformation::Remove { path, condition } => {
                if holds(condition, &record)? {
                    remove(Arc::make_mut(&mut record), path);
                }
            }
        }
    }
    Ok(Some(Arc::unwrap_or_clone(record)))
}

fn add(at: &mut Value, path: &[String], value: Value) {
    let Some((part, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    if !at.is_object() {
        *at = Value::Object(serde_json::Map::new());
    }
    if let Some(fields) = at.as_object_mut() {
        add(fields.entry(part.clone()).or_insert(Value::Null), rest, value);
    }
}

fn remove(at: &mut Value, path: &[String]) {
    match (path.split_first(), at) {
        (Some((last, [])), Value::Object(fields)) => {
            fields.shift_remove(last);
        }
        (Some((part, rest)), Value::Object(fields)) => {
            if let Some(inner) = fields.get_mut(part) {
                remove(inner, rest);
            }
        }
        (Some((part, rest)), Value::Array(items)) => {
            if let Some(inner) = part.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                remove(inner, rest);
            }
        }
        (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | (None, _) => {}
    }
}

/// The field itself, or a dotted way to it.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.get(name).or_else(|| name.split('.').try_fold(value, |at, part| at.get(part)))
}

/// When the record last changed, where its cursor field tells a time.
pub(super) fn cursor_value(plan: &CursorPlan, payload: &Value) -> Option<Timestamp> {
    let value = field(payload, &plan.field)?;
    plan.record_formats.iter().chain([&plan.format]).find_map(|format| format.parse_value(value)).or_else(|| {
        // A provider's fractions come and go; an unmistakable instant is taken in any usual form.
        value.as_str().and_then(|text| text.parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn paths_reach_through_objects_lists_and_wildcards() {
        let body = json!({"a": {"x": {"items": [1, 2]}, "y": {"items": [3]}}, "l": [{"b": 4}]});
        for (parts, expected) in [
            (vec!["a", "*", "items"], json!([[1, 2], [3]])),
            (vec!["a", "x", "items"], json!([[1, 2]])),
            (vec!["l", "0", "b"], json!([4])),
            (vec!["l", "*", "b"], json!([4])),
            (vec!["gone", "x"], json!([])),
        ] {
            let mut found = Vec::new();
            walk(body.clone(), &path(&parts), &mut found);
            assert_eq!(Value::Array(found), expected, "{parts:?}");
        }
    }

    #[test]
    fn fields_are_added_and_removed_in_depth() {
        let mut record = json!({"a": {"b": 1, "c": 2}, "d": 3});
        add(&mut record, &path(&["a", "new", "deep"]), json!("x"));
        remove(&mut record, &path(&["a", "b"]));
        remove(&mut record, &path(&["d"]));
        remove(&mut record, &path(&["gone", "e"]));
        assert_eq!(record, json!({"a": {"c": 2, "new": {"deep": "x"}}}));
    }
}

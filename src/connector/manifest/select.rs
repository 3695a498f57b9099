//! From an answer's body to items.
//!
//! Owns selection: extract, filter, transform, normalise, in the manifest's order, each usable by itself; ids and cursor values.
//! What is there but cannot be read is an [`Item::Broken`] with its place; a body in which the records' path is missing
//! fails the page, unless the caller takes that as no records.

use std::sync::Arc;

use serde_json::Value;

use super::{
    dpath,
    engine::{Engine, Scope, Template},
    extract::{self, Extractor},
    normalise,
    plan::{CursorPlan, StreamPlan},
    transform::{Fault, Transformation},
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

/// How records are selected.
pub(super) struct Selector {
    pub extractor: Extractor,
    pub filter: Option<Template>,
    /// Where the manifest says nothing, filtering comes first; for a cursor that is watched on our side, last.
    pub transform_before_filtering: Option<bool>,
    /// Values are cast to the types of the stream's schema.
    pub normalise: bool,
}

/// How strictly an answer is held against the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// What looks like a listing and is none fails.
    Daemon,
    /// As the format's own reader has it: what is not there is nothing.
    Reference,
}

/// What an answer is at its top, for whoever has to say where the records stand. Names of keys only, and only such as programs give.
fn keys_of(body: &Value) -> String {
    const MOST: usize = 8;
    let plain = |key: &&String| key.len() <= 40 && key.chars().all(|c| c.is_ascii_alphabetic() || c == '_' || c == '-');
    match body {
        Value::Object(fields) => {
            let keys: Vec<&str> = fields.keys().filter(plain).take(MOST).map(String::as_str).collect();
            let more = if keys.len() < fields.len() { ", …" } else { "" };
            format!("it has the keys: {}{more}", keys.join(", "))
        }
        Value::Array(_) => "it is a list".to_owned(),
        _ => "it is neither a list nor an object".to_owned(),
    }
}

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
    let error_told = tells_error(&body);
    let keys = keys_of(&body);
    let mut found = selector.extractor.extract(engine, scope, extract::bodies(body))?;
    // What may be missing when there are no records is not missing because of an error.
    if !found.there && (!optional || error_told) {
        let path = selector.extractor.tell();
        let message = format!("{asked}: the answer has no '{path}' where the records should be ({keys})");
        return Err(ConnectorError::new(ErrorKind::Decode, message));
    }
    // `{"data": null, "errors": [..]}` with status 200: no listing that happens to be empty.
    if found.holds_null && error_told {
        let path = selector.extractor.tell();
        let message = format!("{asked}: the answer holds an error where the records '{path}' should be");
        return Err(ConnectorError::new(ErrorKind::Decode, message));
    }
    // A list at a wildcard is no record; it can only be meant as records.
    if found.starred && found.records.iter().any(Value::is_array) {
        let records = std::mem::take(&mut found.records).into_iter();
        found.records = records
            .flat_map(|record| match record {
                Value::Array(items) => items,
                one => vec![one],
            })
            .collect();
    }
    Ok(found.records)
}

/// The values at the selector's path as the format's own reader finds them, in the bodies of a document (`extract::bodies`) or in
/// one of a stream: a path that is not there holds no records. The number is how many count for paging.
///
/// # Errors
/// As [`Extractor::extract`].
pub(super) fn extract_leniently(
    engine: &Engine,
    selector: &Selector,
    scope: &Scope,
    bodies: Vec<Value>,
) -> Result<(Vec<Value>, u64), ConnectorError> {
    let found = selector.extractor.extract(engine, scope, bodies)?;
    let count = found.records.len() as u64 + found.dropped;
    Ok((found.records, count))
}

/// Whether a body that is itself the record tells an error, and nothing of the record's key.
pub(super) fn is_error_alone(plan: &StreamPlan, body: &Value) -> bool {
    let whole = matches!(&plan.selector.extractor, Extractor::Path { path, .. } if path.is_empty());
    let key = plan.spec.primary_key.iter().filter_map(|path| path.first());
    whole && body.is_object() && tells_error(body) && key.into_iter().all(|name| body.get(name).is_none())
}

fn tells_error(body: &Value) -> bool {
    ["error", "errors"].iter().any(|key| match body.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Bool(true) | Value::Number(_) | Value::Object(_)) => true,
    })
}

/// How many records lie at the selector's path, without taking the body apart.
///
/// # Errors
/// As [`Extractor::extract`].
pub(super) fn peek(engine: &Engine, selector: &Selector, scope: &Scope, body: &Value) -> Result<u64, ConnectorError> {
    let Extractor::Path { path, expander: None } = &selector.extractor else {
        let found = selector.extractor.extract(engine, scope, extract::bodies(body.clone()))?;
        return Ok(found.records.len() as u64 + found.dropped);
    };
    let path = extract::steps(engine, scope, path)?;
    let starred = path.iter().any(dpath::Step::is_star);
    let bodies = body.as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
    let found = bodies.iter().flat_map(|body| dpath::values(body, &path));
    Ok(found.fold(0, |count, found| match found {
        Value::Array(items) => count + items.len() as u64,
        one if !starred && extract::is_empty(one) => count,
        _ => count + 1,
    }))
}

/// The way of one record from the extractor to what is emitted.
pub(super) struct Chain<'p> {
    pub engine: &'p Engine,
    pub selector: &'p Selector,
    pub transformations: &'p [Transformation],
    /// The schema that values are cast to, where [`Selector::normalise`] says so.
    pub schema: Option<&'p Value>,
    /// Where the manifest does not say which comes first.
    pub transform_first: bool,
}

impl Chain<'_> {
    /// Whether a record needs to be looked at: without filter, transformation and schema it is emitted as it came.
    pub fn is_plain(&self) -> bool {
        self.selector.filter.is_none() && self.transformations.is_empty() && self.schema().is_none()
    }

    /// Whether the filter keeps the record.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when its template fails.
    pub fn keeps(&self, scope: &Scope, record: &Arc<Value>) -> Result<bool, ConnectorError> {
        match &self.selector.filter {
            None => Ok(true),
            Some(condition) => self.engine.truth(condition, &scope.clone().with("record", record)),
        }
    }

    /// The record after all transformations.
    ///
    /// # Errors
    /// [`Fault`]: the record's or the run's.
    pub fn transform(&self, scope: &Scope, record: &mut Arc<Value>) -> Result<(), Fault> {
        self.transformations.iter().try_for_each(|step| step.apply(self.engine, scope, record))
    }

    /// The record's values in the types of its schema.
    pub fn normalise(&self, record: &mut Arc<Value>) {
        if let Some(schema) = self.schema() {
            normalise::normalise(Arc::make_mut(record), schema);
        }
    }

    fn schema(&self) -> Option<&Value> {
        self.schema.filter(|schema| self.selector.normalise && !extract::is_empty(schema))
    }

    /// All of it in the manifest's order; false when the record is left out. `keep` is asked beside the filter.
    ///
    /// # Errors
    /// [`Fault`]: the record's or the run's.
    pub fn record(
        &self,
        scope: &Scope,
        record: &mut Arc<Value>,
        keep: &dyn Fn(&Value) -> Result<bool, ConnectorError>,
    ) -> Result<bool, Fault> {
        let first = self.selector.transform_before_filtering.unwrap_or(self.transform_first);
        if first {
            self.transform(scope, record)?;
        }
        if !keep(record)? || !self.keeps(scope, record)? {
            return Ok(false);
        }
        if !first {
            self.transform(scope, record)?;
        }
        self.normalise(record);
        Ok(true)
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

/// Makes items of the extracted values. `schema`: the stream's, where it does not stand in the manifest.
///
/// # Errors
/// [`ErrorKind::Settings`] when a filter or a transformation fails.
pub(super) fn select(
    engine: &Engine,
    plan: &StreamPlan,
    scope: &Scope,
    records: Vec<Value>,
    page: u32,
    strictness: Strictness,
    schema: Option<&Value>,
) -> Result<Selected, ConnectorError> {
    let mut selected = Selected::default();
    let chain = Chain {
        engine,
        selector: &plan.selector,
        transformations: &plan.transformations,
        schema: schema.or(plan.spec.json_schema.as_ref()),
        transform_first: plan.cursor.as_ref().is_some_and(|cursor| cursor.client_side),
    };
    let plain = chain.is_plain();
    for (at, record) in records.into_iter().enumerate() {
        let broken = |record: &Value, reason: String| {
            let text: String = record.to_string().chars().take(MAX_BROKEN_CHARS).collect();
            Item::Broken(BrokenItem { place: format!("page {}, item {}", page + 1, at + 1), text, reason })
        };
        if !record.is_object() {
            selected.items.push(broken(&record, "the item is not an object".to_owned()));
            continue;
        }
        let mut record = Arc::new(record);
        if !plain {
            match chain.record(scope, &mut record, &|_| Ok(true)) {
                Ok(true) => {}
                Ok(false) => {
                    selected.filtered += 1;
                    continue;
                }
                Err(Fault::Run(error)) => return Err(error),
                Err(Fault::Record(reason)) => {
                    selected.items.push(broken(&record, reason));
                    continue;
                }
            }
        }
        selected.take(plan, Arc::unwrap_or_clone(record), strictness);
    }
    Ok(selected)
}

impl Selected {
    /// Adds a record as it is.
    pub fn take(&mut self, plan: &StreamPlan, payload: Value, strictness: Strictness) {
        let at = plan.cursor.as_ref().and_then(|cursor| cursor_value(cursor, &payload, strictness));
        self.cursors.extend(at);
        // A count says nothing about when.
        let source_updated_at = at.filter(|_| plan.cursor.as_ref().is_some_and(|cursor| !cursor.counts));
        let key = plan.spec.primary_key.iter();
        let external_id = external_id(key.map(|path| path.iter().try_fold(&payload, |at, step| at.get(step))));
        self.items.push(Item::Record(RawRecord { external_id, payload, source_updated_at }));
    }
}

/// The field itself, or a dotted way to it.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.get(name).or_else(|| name.split('.').try_fold(value, |at, part| at.get(part)))
}

/// When the record last changed, where its cursor field tells a time; how far it has counted, where it counts.
pub(super) fn cursor_value(plan: &CursorPlan, payload: &Value, strictness: Strictness) -> Option<Timestamp> {
    if plan.counts || strictness == Strictness::Reference {
        return plan.heard(payload.get(&plan.field)?);
    }
    let value = field(payload, &plan.field)?;
    // A provider's fractions come and go; an unmistakable instant is taken in any usual form.
    plan.heard(value).or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;

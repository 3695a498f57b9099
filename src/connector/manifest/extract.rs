//! From a decoded body to the values that may be records.
//!
//! Owns the extractors: a path, several paths, and the expanding of a list within a record. A body that is a list is several
//! bodies: each item is looked through by itself. Whether a path may be missing is the caller's to say.

use serde_json::{Map, Value};

use super::{
    dpath::{self, Step},
    engine::{Engine, Scope, Template},
};
use crate::connector::{ConnectorError, ErrorKind};

/// Where the records of a body lie.
pub(super) enum Extractor {
    Path { path: Vec<Template>, expander: Option<Expander> },
    Combined { parts: Vec<Extractor>, first_match: bool, skip_empty: bool },
}

/// Makes several records of one, by a list within it.
pub(super) struct Expander {
    pub path: Vec<Template>,
    pub keep_original: bool,
    pub merge_parent: bool,
    /// From a path in the record to one in each item.
    pub parent_fields: Vec<(Vec<Template>, Vec<Template>)>,
    /// A record without items stays as it is.
    pub parent_when_empty: bool,
}

/// What a body holds.
#[derive(Default)]
pub(super) struct Extracted {
    pub records: Vec<Value>,
    /// Empty values that were left out, and that count for paging.
    pub dropped: u64,
    /// Whether the path leads anywhere.
    pub there: bool,
    /// Whether it leads to null.
    pub holds_null: bool,
    /// Whether it holds a `*`: then what it fits are the records, also where that is a list.
    pub starred: bool,
}

/// A body as the extractors see it: a list is several, an empty one is an empty table.
pub(super) fn bodies(body: Value) -> Vec<Value> {
    match body {
        Value::Array(items) if items.is_empty() => vec![Value::Object(Map::new())],
        Value::Array(items) => items,
        one => vec![one],
    }
}

impl Extractor {
    /// Takes the records out of bodies: those of one document (see [`bodies`]), or one of a stream.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when a template fails, [`ErrorKind::Decode`] when a path without `*` fits several values.
    pub fn extract(&self, engine: &Engine, scope: &Scope, bodies: Vec<Value>) -> Result<Extracted, ConnectorError> {
        match self {
            Self::Path { path, expander } => {
                let path = steps(engine, scope, path)?;
                let mut out = Extracted::default();
                for body in bodies {
                    at_path(body, &path, &mut out)?;
                }
                if let Some(expander) = expander {
                    let mut expanded = Vec::new();
                    for record in std::mem::take(&mut out.records) {
                        expander.expand(engine, scope, record, &mut expanded)?;
                    }
                    out.records = expanded;
                }
                Ok(out)
            }
            Self::Combined { parts, first_match, skip_empty } => {
                let mut all = Extracted::default();
                for part in parts {
                    let mut found = part.extract(engine, scope, bodies.clone())?;
                    if *skip_empty {
                        let before = found.records.len();
                        found.records.retain(|record| !is_empty(record));
                        found.dropped += (before - found.records.len()) as u64;
                    }
                    all.there |= found.there;
                    all.holds_null |= found.holds_null;
                    if *first_match && found.records.is_empty() {
                        continue;
                    }
                    all.records.append(&mut found.records);
                    all.dropped += found.dropped;
                    if *first_match {
                        break;
                    }
                }
                Ok(all)
            }
        }
    }

    /// The path for a message.
    pub fn tell(&self) -> String {
        match self {
            Self::Path { path, .. } => path.iter().map(Template::source).collect::<Vec<_>>().join("."),
            Self::Combined { parts, .. } => parts.iter().map(Self::tell).collect::<Vec<_>>().join("' or '"),
        }
    }
}

/// A path's steps: what a template renders to decides whether a step is a name or an index.
pub(super) fn steps(engine: &Engine, scope: &Scope, path: &[Template]) -> Result<Vec<Step>, ConnectorError> {
    path.iter().map(|part| engine.value(part, scope).map(|value| Step::of(&value))).collect()
}

fn at_path(body: Value, path: &[Step], out: &mut Extracted) -> Result<(), ConnectorError> {
    if let Some(star) = path.iter().position(Step::is_star) {
        // A wildcard may find nothing; what stands before it must be there like any other path.
        let before = dpath::values(&body, &path[..star]);
        out.starred = true;
        out.there |= star == 0 || !before.is_empty();
        out.holds_null |= before.iter().any(|found| found.is_null());
        out.records.append(&mut dpath::take(body, path));
        return Ok(());
    }
    let mut found = dpath::take(body, path);
    if found.len() > 1 {
        return Err(ConnectorError::new(ErrorKind::Decode, "the records' path fits more than one value"));
    }
    let Some(found) = found.pop() else { return Ok(()) };
    out.there = true;
    out.holds_null |= found.is_null();
    match found {
        Value::Array(mut items) => out.records.append(&mut items),
        one if is_empty(&one) => {}
        one => out.records.push(one),
    }
    Ok(())
}

/// What counts as nothing in the format's own language.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

impl Expander {
    fn expand(
        &self,
        engine: &Engine,
        scope: &Scope,
        record: Value,
        out: &mut Vec<Value>,
    ) -> Result<(), ConnectorError> {
        if !record.is_object() || self.path.is_empty() {
            out.push(record);
            return Ok(());
        }
        let path = steps(engine, scope, &self.path)?;
        let before = out.len();
        let lists: Vec<_> = dpath::values(&record, &path).into_iter().filter_map(Value::as_array).collect();
        let base = self.merge_parent.then(|| without_lists(record.clone(), &path));
        let mut copies = Vec::with_capacity(self.parent_fields.len());
        for (from, to) in &self.parent_fields {
            let value =
                dpath::get(&record, &steps(engine, scope, from)?).ok().flatten().cloned().unwrap_or(Value::Null);
            let to = to.iter().map(|part| engine.text(part, scope)).collect::<Result<Vec<_>, _>>()?;
            copies.push((to, value));
        }
        let carries = self.keep_original || self.merge_parent || !copies.is_empty();
        for item in lists.into_iter().flatten() {
            let mut fields = match item {
                Value::Object(fields) => fields.clone(),
                plain if carries => Map::from_iter([("value".to_owned(), plain.clone())]),
                plain => {
                    out.push(plain.clone());
                    continue;
                }
            };
            if let Some(Value::Object(base)) = &base {
                let own = std::mem::replace(&mut fields, base.clone());
                fields.extend(own);
            }
            let mut child = Value::Object(fields);
            for (to, value) in &copies {
                dpath::put(&mut child, to, value.clone()).map_err(|reason| {
                    let message = format!("a field of the parent cannot be written to '{}': {reason}", to.join("."));
                    ConnectorError::new(ErrorKind::Decode, message)
                })?;
            }
            if self.keep_original
                && let Value::Object(fields) = &mut child
            {
                fields.insert("original_record".to_owned(), record.clone());
            }
            out.push(child);
        }
        if out.len() == before && self.parent_when_empty {
            out.push(record);
        }
        Ok(())
    }
}

/// The record without the lists that are expanded; what lies at the path and is no list stays.
fn without_lists(mut record: Value, path: &[Step]) -> Value {
    if dpath::values(&record, path).iter().all(|found| found.is_array()) {
        let nothing: Result<(), ()> = dpath::delete(&mut record, path, None);
        debug_assert!(nothing.is_ok(), "deleting without a condition cannot fail");
    }
    record
}

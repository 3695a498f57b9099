//! What a manifest does to records, one step after the other: fields added and removed, keys renamed, values flattened.
//!
//! Owns the steps and their order of work; `keys` holds the ones that need no template, `load` reads them. What one record does
//! not allow is that record's fault, what a template does not allow is the run's.

mod keys;
mod load;

use std::sync::Arc;

pub(super) use load::{added_fields, pointers, texts, transformations};
use serde_json::{Map, Value, json};

use super::{
    dpath::{self, Step},
    engine::{Engine, Scope, Template},
    literal,
};
use crate::connector::{ConnectorError, ErrorKind};

/// One step.
pub(super) enum Transformation {
    Add { fields: Vec<AddedField>, condition: Option<Template> },
    Remove { pointers: Vec<Vec<Step>>, condition: Option<Template> },
    KeysToLower,
    KeysToSnakeCase,
    KeysReplace { old: Template, new: Template },
    Flatten { lists: bool },
    FlattenAt(FlattenAt),
}

/// A field of `AddFields`.
pub(super) struct AddedField {
    /// As it stands in the manifest: no template.
    pub path: Vec<String>,
    pub value: Template,
    /// A value of another type stays the text that was rendered.
    pub kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Integer,
    Boolean,
}

/// `DpathFlattenFields`.
pub(super) struct FlattenAt {
    pub path: Vec<Template>,
    pub delete_origin: bool,
    pub replace_record: bool,
    pub prefix: Option<Template>,
    pub suffix: Option<Template>,
}

/// Why a record could not be transformed.
#[derive(Debug)]
pub(super) enum Fault {
    /// This record does not allow it.
    Record(String),
    Run(ConnectorError),
}

impl From<ConnectorError> for Fault {
    fn from(error: ConnectorError) -> Self {
        Self::Run(error)
    }
}

impl Fault {
    /// As an error of the whole run, where one record's fault is that.
    pub fn into_error(self) -> ConnectorError {
        match self {
            Self::Run(error) => error,
            Self::Record(reason) => ConnectorError::new(ErrorKind::Decode, reason),
        }
    }
}

impl Transformation {
    /// Does the step to a record. A record that is no table is left as it is.
    ///
    /// # Errors
    /// [`Fault`]: the record's or the run's.
    pub fn apply(&self, engine: &Engine, scope: &Scope, record: &mut Arc<Value>) -> Result<(), Fault> {
        if !record.is_object() {
            return Ok(());
        }
        match self {
            Self::Add { fields, condition } => {
                fields.iter().try_for_each(|field| add(engine, scope, record, field, condition.as_ref()))
            }
            Self::Remove { pointers, condition } => {
                let at = Arc::make_mut(record);
                pointers.iter().try_for_each(|pointer| match condition {
                    None => dpath::delete::<Fault>(at, pointer, None),
                    Some(condition) => dpath::delete(
                        at,
                        pointer,
                        Some(&mut |value| {
                            let scope = scope.clone().with("property", &Arc::new(value.clone()));
                            Ok(engine.truth(condition, &scope)?)
                        }),
                    ),
                })
            }
            Self::KeysReplace { old, new } => {
                let names = scope.clone().with("record", record);
                let (old, new) = (engine.text(old, &names)?, engine.text(new, &names)?);
                drop(names);
                change(record, |fields| keys::replaced(fields, &old, &new));
                Ok(())
            }
            Self::KeysToLower => {
                change(record, keys::lower);
                Ok(())
            }
            Self::KeysToSnakeCase => {
                change(record, keys::snake);
                Ok(())
            }
            Self::Flatten { lists } => {
                change(record, |fields| keys::flattened(fields, *lists));
                Ok(())
            }
            Self::FlattenAt(plan) => plan.apply(engine, scope, record),
        }
    }
}

fn change(record: &mut Arc<Value>, change: impl FnOnce(Map<String, Value>) -> Map<String, Value>) {
    let at = Arc::make_mut(record);
    if let Value::Object(fields) = at.take() {
        *at = Value::Object(change(fields));
    }
}

fn add(
    engine: &Engine,
    scope: &Scope,
    record: &mut Arc<Value>,
    field: &AddedField,
    condition: Option<&Template>,
) -> Result<(), Fault> {
    let names = scope.clone().with("record", record);
    let value = typed(engine.text(&field.value, &names)?, field.kind);
    if let Some(condition) = condition {
        let value = Arc::new(value.clone());
        let names = names.clone().with("value", &value).with("path", &Arc::new(json!(field.path)));
        if !engine.truth(condition, &names)? {
            return Ok(());
        }
    }
    drop(names);
    let at = Arc::make_mut(record);
    dpath::put(at, &field.path, value).map_err(|reason| {
        let path = field.path.join(".");
        Fault::Record(format!("the field '{path}' cannot be added: {reason}"))
    })
}

/// The value that a rendered text stands for, if it is of the wanted type; else the text.
pub(super) fn typed(text: String, kind: Option<Kind>) -> Value {
    let Some(kind) = kind else { return literal::guess(text) };
    let value = literal::guess(text.clone());
    let fits = match kind {
        Kind::String => value.is_string(),
        Kind::Number => value.is_f64(),
        Kind::Integer => value.is_i64() || value.is_u64() || value.is_boolean(),
        Kind::Boolean => value.is_boolean(),
    };
    if fits { value } else { Value::String(text) }
}

impl FlattenAt {
    fn apply(&self, engine: &Engine, scope: &Scope, record: &mut Arc<Value>) -> Result<(), Fault> {
        let steps = |part| engine.value(part, scope).map(|value| Step::of(&value));
        let path = self.path.iter().map(steps).collect::<Result<Vec<_>, _>>()?;
        let found = if path.iter().any(Step::is_star) {
            dpath::values(record, &path).first().copied()
        } else {
            dpath::get(record, &path).map_err(|reason| Fault::Record(reason.to_owned()))?
        };
        let Some(Value::Object(found)) = found else { return Ok(()) };
        let affix = |part: &Option<Template>| part.as_ref().map(|part| engine.text(part, scope)).transpose();
        let (prefix, suffix) = (affix(&self.prefix)?.unwrap_or_default(), affix(&self.suffix)?.unwrap_or_default());
        let found: Map<_, _> =
            found.iter().map(|(key, value)| (format!("{prefix}{key}{suffix}"), value.clone())).collect();
        if self.replace_record && !found.is_empty() {
            *Arc::make_mut(record) = Value::Object(found);
            return Ok(());
        }
        if found.keys().any(|key| record.get(key).is_some()) {
            return Ok(());
        }
        let at = Arc::make_mut(record);
        if self.delete_origin {
            dpath::delete::<Fault>(at, &path, None)?;
        }
        if let Value::Object(fields) = at {
            fields.extend(found);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "transform_tests.rs"]
mod tests;

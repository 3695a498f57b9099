//! JSON as templates see it: looked into where it lies, without copying a page for each template.
//!
//! Owns the bridge between `serde_json` and the template engine, both ways. Keeps the order of keys.

use std::{fmt, sync::Arc};

use minijinja::{
    Value as Jinja,
    value::{Enumerator, Object, ObjectRepr, ValueKind},
};
use serde_json::Value;

use super::python;

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// A container somewhere inside a shared document.
pub struct JsonView {
    root: Arc<Value>,
    path: Vec<Step>,
}

impl JsonView {
    /// The document for a template.
    pub fn value(root: &Arc<Value>) -> Jinja {
        Self { root: Arc::clone(root), path: Vec::new() }.into_value()
    }

    fn here(&self) -> &Value {
        static NOTHING: Value = Value::Null;
        self.path
            .iter()
            .try_fold(&*self.root, |at, step| match step {
                Step::Key(key) => at.get(key),
                Step::Index(index) => at.get(index),
            })
            .unwrap_or(&NOTHING)
    }

    fn child(&self, step: Step) -> Jinja {
        let mut path = self.path.clone();
        path.push(step);
        Self { root: Arc::clone(&self.root), path }.into_value()
    }

    fn into_value(self) -> Jinja {
        match self.here() {
            Value::Null => Jinja::from(()),
            Value::Bool(truth) => Jinja::from(*truth),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Jinja::from(number),
                (None, Some(number)) => Jinja::from(number),
                (None, None) => Jinja::from(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Jinja::from(text.as_str()),
            Value::Array(_) | Value::Object(_) => Jinja::from_object(self),
        }
    }
}

/// Never shows the content: it may hold secrets.
impl fmt::Debug for JsonView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonView({} steps deep)", self.path.len())
    }
}

impl Object for JsonView {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.here().is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        match self.here() {
            Value::Object(fields) => {
                let key = key.as_str()?;
                fields.contains_key(key).then(|| self.child(Step::Key(key.to_owned())))
            }
            Value::Array(items) => {
                let index = key.as_usize().filter(|index| *index < items.len())?;
                Some(self.child(Step::Index(index)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.here() {
            Value::Object(fields) => Enumerator::Values(fields.keys().map(|key| Jinja::from(key.as_str())).collect()),
            Value::Array(items) => Enumerator::Seq(items.len()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Enumerator::NonEnumerable,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&python::repr(self.here()))
    }
}

/// What Python's `str()` gives for a template's value.
pub fn python_text(value: &Jinja) -> String {
    value.as_str().map_or_else(|| python_repr(value), str::to_owned)
}

fn python_repr(value: &Jinja) -> String {
    if let Some(text) = value.as_str() {
        return python::text_repr(text);
    }
    let items = || value.try_iter().into_iter().flatten();
    match value.kind() {
        ValueKind::Undefined => "Undefined".to_owned(),
        ValueKind::None => "None".to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::Number if !value.is_integer() => {
            f64::try_from(value.clone()).map_or_else(|_| value.to_string(), python::float_repr)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<_> = items().map(|item| python_repr(&item)).collect();
            format!("[{}]", items.join(", "))
        }
        ValueKind::Map => {
            let field = |key: Jinja| {
                let value = value.get_item(&key).unwrap_or_default();
                format!("{}: {}", python_repr(&key), python_repr(&value))
            };
            format!("{{{}}}", items().map(field).collect::<Vec<_>>().join(", "))
        }
        // Numbers, bytes, and objects that print themselves (times).
        _ => value.to_string(),
    }
}

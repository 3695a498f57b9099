//! What a requester itself puts into a request: parameters, headers, and the body in each of its forms.
//!
//! Owns how a template becomes a value that is sent, and what of it is left out. An input that is one template must give an
//! object; a text that reads as an object is a form. Where the parts of others go is `request`'s.

use serde_json::{Map, Value};

use super::{
    engine::{Engine, Scope, Template},
    literal,
    plan::{BodyPlan, Inputs, Nested},
    request::{Parts, put, settings},
};
use crate::connector::{ConnectorError, http::Body};

/// Lays a requester's own parameters into the parts.
///
/// # Errors
/// [`crate::connector::ErrorKind::Settings`]
pub(super) fn parameters(
    engine: &Engine,
    inputs: &Inputs,
    scope: &Scope,
    parts: &mut Parts,
) -> Result<(), ConnectorError> {
    match inputs {
        Inputs::Each(pairs) => pairs.iter().try_for_each(|(name, value)| {
            let (name, value) = (engine.text(name, scope)?, sent_text(engine, value, scope)?);
            Parts::pair(&mut parts.query, name, &value, "parameter")
        }),
        // What is no object is no parameters, as the format's own reader has it.
        Inputs::Whole(template) => fields(engine.value(template, scope)?)
            .into_iter()
            .try_for_each(|(name, value)| Parts::pair(&mut parts.query, name, &value, "parameter")),
    }
}

/// Lays a requester's own headers into the parts.
///
/// # Errors
/// [`crate::connector::ErrorKind::Settings`]
pub(super) fn headers(
    engine: &Engine,
    inputs: &Inputs,
    scope: &Scope,
    parts: &mut Parts,
) -> Result<(), ConnectorError> {
    match inputs {
        Inputs::Each(pairs) => pairs.iter().try_for_each(|(name, value)| {
            let (name, value) = (engine.text(name, scope)?, sent_value(engine, value, scope)?);
            Parts::pair(&mut parts.headers, name, &value, "header")
        }),
        Inputs::Whole(template) => match engine.value(template, scope)? {
            Value::String(_) => {
                Err(settings(format!("'{}' gives a text, where headers are expected", template.source())))
            }
            other => fields(other)
                .into_iter()
                .try_for_each(|(name, value)| Parts::pair(&mut parts.headers, name, &value, "header")),
        },
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Lays the requester's own body into the parts; gives it where it is one text that nothing can be put into.
///
/// # Errors
/// [`crate::connector::ErrorKind::Settings`]
pub(super) fn own_body(
    engine: &Engine,
    plan: &BodyPlan,
    scope: &Scope,
    parts: &mut Parts,
) -> Result<Option<Body>, ConnectorError> {
    match plan {
        BodyPlan::None => {}
        BodyPlan::Json(Nested::Leaf(template)) => match engine.value(template, scope)? {
            Value::String(_) => {
                let what = format!("'{}' gives a text, where a JSON object is expected", template.source());
                return Err(settings(what));
            }
            other => fields(other).into_iter().try_for_each(|(name, value)| put(&mut parts.json, &[name], &value))?,
        },
        BodyPlan::Json(nested) => {
            let rendered = render(engine, nested, scope)?.unwrap_or(Value::Null);
            fields(rendered).into_iter().try_for_each(|(name, value)| put(&mut parts.json, &[name], &value))?;
        }
        BodyPlan::Form(pairs) => {
            for (name, value) in pairs {
                let (name, value) = (engine.text(name, scope)?, sent_text(engine, value, scope)?);
                Parts::pair(&mut parts.form, name, &value, "form field")?;
            }
        }
        BodyPlan::Text(template) => match engine.value(template, scope)? {
            Value::String(text) if !text.is_empty() => return Ok(Some(Body::Text(text))),
            other => fields(other)
                .into_iter()
                .try_for_each(|(name, value)| Parts::pair(&mut parts.form, name, &value, "form field"))?,
        },
    }
    Ok(None)
}

/// A parameter's or a form field's value: a text, or a list. Nothing is sent for what renders to nothing.
fn sent_text(engine: &Engine, template: &Template, scope: &Scope) -> Result<Value, ConnectorError> {
    let text = engine.text(template, scope)?;
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let is_list = text.trim_start().starts_with('[');
    Ok(match literal::guess(text.clone()) {
        guessed @ Value::String(_) => guessed,
        guessed @ Value::Array(_) if is_list => guessed,
        // `1,2` is a text here, though the format's own language has a name for it.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Array(_) => Value::String(text),
    })
}

/// A header's or a JSON field's value, of the type that it reads as.
fn sent_value(engine: &Engine, template: &Template, scope: &Scope) -> Result<Value, ConnectorError> {
    let text = engine.text(template, scope)?;
    Ok(if text.is_empty() { Value::Null } else { literal::guess(text) })
}

/// `None` for what renders to null: a field without a value is not sent.
fn render(engine: &Engine, nested: &Nested, scope: &Scope) -> Result<Option<Value>, ConnectorError> {
    let value = match nested {
        Nested::Leaf(template) => sent_value(engine, template, scope)?,
        Nested::Fixed(value) => value.clone(),
        Nested::List(items) => {
            let items = items.iter().map(|item| Ok(render(engine, item, scope)?.unwrap_or(Value::Null)));
            Value::Array(items.collect::<Result<_, ConnectorError>>()?)
        }
        Nested::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                if let Some(value) = render(engine, value, scope)? {
                    map.insert(engine.text(key, scope)?, value);
                }
            }
            Value::Object(map)
        }
    };
    Ok((!value.is_null()).then_some(value))
}

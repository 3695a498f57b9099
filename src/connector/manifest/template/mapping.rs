//! Mappings of templates: headers, request parameters and bodies.
//!
//! Keys and values are templates; what comes out empty is `None`. A flat mapping keeps `None` (who sends it drops it), a nested one
//! drops it at every level.

use serde_json::{Map, Value};

use super::{Context, Fault, Template};
use crate::connector::manifest::literal::{Outcome, Types};

/// A leaf: a template, or a value that is none.
#[derive(Debug)]
enum Leaf {
    Template(Template),
    Value(Value),
}

/// A flat mapping of text to templates.
#[derive(Debug)]
pub struct Mapping {
    pairs: Vec<(Template, Leaf)>,
}

impl Mapping {
    /// Compiles an object; values that are not text stay as they are.
    ///
    /// # Errors
    /// The key in whose pair a template cannot be compiled, and why.
    pub fn compile(fields: &Map<String, Value>) -> Result<Self, (String, Fault)> {
        let pair = |(key, value): (&String, &Value)| {
            let fault = |fault| (key.clone(), fault);
            let value = match value {
                Value::String(text) => Leaf::Template(Template::compile_or_none(text).map_err(fault)?),
                other => Leaf::Value(other.clone()),
            };
            Ok((Template::compile_or_none(key).map_err(fault)?, value))
        };
        Ok(Self { pairs: fields.iter().map(pair).collect::<Result<_, _>>()? })
    }

    /// The pairs in their order; a key that comes out twice keeps its first place and its last value. `keys` and `values` are the
    /// types taken: requests take text keys, and [`Types::REQUEST`] for values.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn evaluate(
        &self,
        context: &Context<'_>,
        keys: Types,
        values: Types,
    ) -> Result<Vec<(Outcome, Outcome)>, Fault> {
        let mut pairs: Vec<(Outcome, Outcome)> = Vec::with_capacity(self.pairs.len());
        for (key, value) in &self.pairs {
            let key = key.evaluate_as(context, keys)?;
            let value = match value {
                Leaf::Template(template) => template.evaluate_as(context, values)?,
                Leaf::Value(value) => Outcome::Json(value.clone()),
            };
            put(&mut pairs, key, value);
        }
        Ok(pairs)
    }
}

fn put(pairs: &mut Vec<(Outcome, Outcome)>, key: Outcome, value: Outcome) {
    match pairs.iter_mut().find(|(have, _)| *have == key) {
        Some((_, have)) => *have = value,
        None => pairs.push((key, value)),
    }
}

/// A mapping of any depth.
#[derive(Debug)]
pub enum NestedMapping {
    /// A text.
    Template(Box<Template>),
    /// A number, a truth value or null, which stay as they are.
    Value(Value),
    List(Vec<NestedMapping>),
    Map(Vec<(Template, NestedMapping)>),
}

impl NestedMapping {
    /// Compiles any JSON.
    ///
    /// # Errors
    /// The path to the template that cannot be compiled, and why.
    pub fn compile(value: &Value) -> Result<Self, (String, Fault)> {
        let below = |step: &str, (path, fault): (String, Fault)| (format!("{step}.{path}"), fault);
        Ok(match value {
            Value::String(text) => {
                let template = Template::compile_or_none(text).map_err(|fault| (String::new(), fault))?;
                Self::Template(Box::new(template))
            }
            Value::Array(items) => {
                let item =
                    |(at, item): (usize, &Value)| Self::compile(item).map_err(|error| below(&at.to_string(), error));
                Self::List(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let pair = |(key, value): (&String, &Value)| {
                    let name = Template::compile_or_none(key).map_err(|fault| (key.clone(), fault))?;
                    Ok((name, Self::compile(value).map_err(|error| below(key, error))?))
                };
                Self::Map(fields.iter().map(pair).collect::<Result<_, _>>()?)
            }
            other => Self::Value(other.clone()),
        })
    }

    /// What came out, without the fields that are `None`.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn evaluate(&self, context: &Context<'_>) -> Result<Outcome, Fault> {
        match self {
            Self::Template(template) => template.evaluate(context),
            Self::Value(value) => Ok(Outcome::Json(value.clone())),
            Self::List(items) => {
                let items = items.iter().map(|item| item.evaluate(context)).collect::<Result<Vec<_>, _>>()?;
                Ok(Outcome::List(items))
            }
            Self::Map(fields) => {
                let mut pairs = Vec::with_capacity(fields.len());
                for (key, value) in fields {
                    put(&mut pairs, key.evaluate(context)?, value.evaluate(context)?);
                }
                pairs.retain(|(_, value)| *value != Outcome::Json(Value::Null));
                Ok(Outcome::Dict(pairs))
            }
        }
    }
}

//! Streams that are made of a template: one for each value that the provider lists, the configuration holds, or the manifest gives.
//!
//! Owns the makers and the way from a template and one value to the tree of a stream. `mapping` writes values into a template, `load`
//! reads makers. Whoever asks the provider gives the values that a maker does not know. A made stream is read as any other is.

mod load;
mod mapping;

use serde_json::{Map, Value, json};

pub(super) use self::load::maker;
use self::mapping::Mapping;
use super::{
    dpath,
    engine::{Engine, Scope, Template},
    extract,
    plan::StreamPlan,
    propagate,
};
use crate::{
    connector::{ConnectorError, ErrorKind},
    yaml::{Node, NodeValue},
};

/// One of `dynamic_streams`.
pub(super) struct Maker {
    /// Its name, or `dynamic_stream_` and its number.
    pub name: String,
    /// A stream, with parameters handed down once.
    template: Value,
    /// The parameters of the stream win over those of its parts.
    outer_parameters_win: bool,
    listing: Listing,
    mappings: Vec<Mapping>,
}

/// Where the values come from, one for each stream.
enum Listing {
    /// `HttpComponentsResolver`: the records of a retriever.
    Asked(Box<StreamPlan>),
    /// `ConfigComponentsResolver`: each of the first list with each of the second, and so on.
    Configured(Vec<Configured>),
    /// `ParametrizedComponentsResolver`.
    Given(Vec<Value>),
}

/// `StreamConfig`.
struct Configured {
    pointer: Vec<Template>,
    defaults: Vec<Value>,
}

impl Maker {
    /// The reader of what the provider lists; `None` where nobody is asked.
    pub fn asked(&self) -> Option<&StreamPlan> {
        match &self.listing {
            Listing::Asked(plan) => Some(plan),
            Listing::Configured(_) | Listing::Given(_) => None,
        }
    }

    /// Whether it makes the same streams for every configuration.
    pub fn is_fixed(&self) -> bool {
        matches!(self.listing, Listing::Given(_)) && !self.mappings.iter().any(Mapping::sees_config)
    }

    /// The values that no provider need be asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when a pointer into the configuration fails.
    pub fn values(&self, engine: &Engine, scope: &Scope, config: &Value) -> Result<Vec<Value>, ConnectorError> {
        match &self.listing {
            Listing::Asked(_) => Ok(Vec::new()),
            Listing::Given(values) => Ok(values.clone()),
            Listing::Configured(lists) => {
                let lists: Vec<_> =
                    lists.iter().map(|list| list.values(engine, scope, config)).collect::<Result<_, _>>()?;
                Ok(product(&lists))
            }
        }
    }

    /// The tree of the stream for one value. `scope` holds the slice that the value was listed in.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when a template fails, or the stream has no name.
    pub fn made(&self, engine: &Engine, scope: &Scope, value: Value) -> Result<Node, ConnectorError> {
        let scope = scope
            .clone()
            .with("components_values", &std::sync::Arc::new(value))
            .with("stream_template_config", &std::sync::Arc::new(self.template.clone()));
        let mut stream = self.template.clone();
        for mapping in &self.mappings {
            mapping.apply(engine, &scope, &mut stream)?;
        }
        let mut node = propagate::made(tree(stream), self.outer_parameters_win);
        if node.get("name").and_then(Node::text).is_none() {
            let message = format!("the streams of '{}' (dynamic_streams) have no name that is a text", self.name);
            return Err(ConnectorError::new(ErrorKind::Settings, message));
        }
        if node.get("type").is_none()
            && let NodeValue::Table(fields) = &mut node.value
        {
            fields.push(("type".to_owned(), tree(json!("DeclarativeStream"))));
        }
        Ok(node)
    }
}

impl Configured {
    fn values(&self, engine: &Engine, scope: &Scope, config: &Value) -> Result<Vec<Value>, ConnectorError> {
        let path = extract::steps(engine, scope, &self.pointer)?;
        let found = dpath::get(config, &path).map_err(|reason| {
            let message = format!("configs_pointer of the manifest's dynamic streams: {reason}");
            ConnectorError::new(ErrorKind::Settings, message)
        })?;
        let mut values = match found {
            None => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(one) => vec![one.clone()],
        };
        values.extend(self.defaults.iter().cloned());
        Ok(values)
    }
}

/// Each with each; tables of one combination become one, what is none stands there with its index.
fn product(lists: &[Vec<Value>]) -> Vec<Value> {
    let mut combined = vec![Map::new()];
    for (at, list) in lists.iter().enumerate() {
        let with = |have: &Map<String, Value>, (index, value): (usize, &Value)| {
            let mut have = have.clone();
            match value {
                Value::Object(fields) => have.extend(fields.clone()),
                other => {
                    have.entry(format!("source_config_{at}")).or_insert_with(|| json!([index, other]));
                }
            }
            have
        };
        combined = combined.iter().flat_map(|have| list.iter().enumerate().map(|one| with(have, one))).collect();
    }
    combined.into_iter().map(Value::Object).collect()
}

/// A value as a tree. It has no lines: what was made stands nowhere.
fn tree(value: Value) -> Node {
    let value = match value {
        Value::Null => NodeValue::Null,
        Value::Bool(truth) => NodeValue::Bool(truth),
        Value::Number(number) => NodeValue::Number(number),
        Value::String(text) => NodeValue::Text(text),
        Value::Array(items) => NodeValue::List(items.into_iter().map(tree).collect()),
        Value::Object(fields) => NodeValue::Table(fields.into_iter().map(|(key, value)| (key, tree(value))).collect()),
    };
    Node { line: None, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_combination_of_lists_is_one_value() {
        let lists = [vec![json!({"a": 1}), json!("x")], vec![json!({"b": 2, "a": 3})], vec![json!(7)]];
        let expected = [
            json!({"a": 3, "b": 2, "source_config_2": [0, 7]}),
            json!({"source_config_0": [1, "x"], "b": 2, "a": 3, "source_config_2": [0, 7]}),
        ];
        assert_eq!(product(&lists), expected);
        assert_eq!(product(&[vec![json!({"a": 1})], Vec::new()]), Vec::<Value>::new());
    }
}

//! YAML as a tree that knows its lines.
//!
//! Owns the only use of `serde-saphyr` for field maps and declarations. Refuses to know what a document means; how one is
//! read key by key is [`Table`]'s.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use serde_saphyr::Spanned;

pub use super::table::{Table, nearest};

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; `None` when the document as a whole is meant.
    pub line: Option<u64>,
    /// Path of the field in the document, e.g. `fields[2].type`; empty for the document itself.
    pub field: String,
    pub message: String,
    pub remedy: String,
}

impl Problem {
    pub fn new(line: Option<u64>, field: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { line, field: field.to_owned(), message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

/// A value with the line on which it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub line: Option<u64>,
    pub value: NodeValue,
}

#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

/// Reads one YAML document.
///
/// # Errors
/// The one place at which it is no YAML; nothing behind it can be judged.
pub fn parse(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options::<Located>(text, options).map(|located| located.0).map_err(|error| {
        let line = error.location().map(|at| at.line()).filter(|line| *line > 0);
        let text = error.without_snippet().to_string();
        Problem::new(
            line,
            "",
            format!("not readable as YAML: {text}"),
            "correct the line; everything else is checked after it",
        )
    })
}

/// Writes a value as YAML.
///
/// # Errors
/// The serializer's text, for values that YAML cannot hold.
pub fn to_yaml<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

impl Node {
    /// What a person would call the value.
    pub const fn kind(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "nothing",
            NodeValue::Bool(_) => "true or false",
            NodeValue::Integer(_) | NodeValue::Float(_) => "a number",
            NodeValue::Text(_) => "text",
            NodeValue::List(_) => "a list",
            NodeValue::Table(_) => "a table of keys",
        }
    }

    /// The text of a scalar. Numbers with a point are refused: `1.10` would have become `1.1`.
    pub fn scalar_text(&self) -> Option<String> {
        match &self.value {
            NodeValue::Text(text) => Some(text.clone()),
            NodeValue::Integer(number) => Some(number.to_string()),
            NodeValue::Bool(truth) => Some(truth.to_string()),
            NodeValue::Null | NodeValue::Float(_) | NodeValue::List(_) | NodeValue::Table(_) => None,
        }
    }

    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(truth) => Value::Bool(*truth),
            NodeValue::Integer(number) => Value::from(*number),
            NodeValue::Float(number) => Value::from(*number),
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            NodeValue::Table(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect())
            }
        }
    }
}

/// A [`Node`] on its way through serde: the span is taken first, the value after it.
struct Located(Node);

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Bare>::deserialize(deserializer)?;
        let line = Some(spanned.referenced.line()).filter(|line| *line > 0);
        Ok(Self(Node { line, value: spanned.value.0 }))
    }
}

struct Bare(NodeValue);

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BareVisitor).map(Self)
    }
}

struct BareVisitor;

impl<'de> Visitor<'de> for BareVisitor {
    type Value = NodeValue;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_none<E>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<NodeValue, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<NodeValue, E> {
        Ok(NodeValue::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<NodeValue, E> {
        Ok(i64::try_from(number).map_or_else(|_| NodeValue::Text(number.to_string()), NodeValue::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<NodeValue, E> {
        Ok(NodeValue::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeValue, A::Error> {
        let mut list = Vec::new();
        while let Some(Located(node)) = items.next_element()? {
            list.push(node);
        }
        Ok(NodeValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Located(node) = map.next_value()?;
            entries.push((key, node));
        }
        Ok(NodeValue::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line_and_zeros_in_front_stay() {
        let root = parse("version: 1\n\nlist:\n  - a: 007\n  - 1: yes\n    \"true\": ~\n").unwrap();
        let NodeValue::Table(entries) = &root.value else { panic!("{root:?}") };
        assert_eq!(entries[0].1, Node { line: Some(1), value: NodeValue::Integer(1) });
        let NodeValue::List(items) = &entries[1].1.value else { panic!("{root:?}") };
        assert_eq!(items[0].to_json(), serde_json::json!({"a": "007"}));
        assert_eq!(items[0].line, Some(4));
        let NodeValue::Table(second) = &items[1].value else { panic!("{root:?}") };
        assert_eq!(second[0].0, "1");
        assert_eq!(second[0].1.scalar_text().as_deref(), Some("yes"));
        assert_eq!(second[1], ("true".to_owned(), Node { line: Some(6), value: NodeValue::Null }));
    }

    #[test]
    fn broken_yaml_and_a_doubled_key_are_named_with_their_line() {
        assert_eq!(parse("a: 1\nb: [1, 2\n").unwrap_err().line.map(|line| line >= 2), Some(true));
        let doubled = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(doubled.line, Some(3));
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = serde_json::json!({"a": ["x", "007", "yes", "~", "1e3"], "b": {"c": "two\nlines", "d": ""}});
        let text = to_yaml(&value).unwrap();
        assert_eq!(parse(&text).unwrap().to_json(), value, "{text}");
    }
}

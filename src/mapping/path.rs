//! Dotted paths into a payload, split once at load.
//!
//! Owns how `properties.email`, `items.0.name` and `a\.b` (a key with a point in it) are read.

use serde_json::Value;

/// A place in a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// As written in the field map.
    pub(crate) text: String,
    pub(crate) segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    /// The name as a position in a list, when it is one.
    pub(crate) index: Option<usize>,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Found<'v> {
    Missing,
    /// Null, or a text without a character in it: providers send both for a field that was cleared.
    Empty,
    Value(&'v Value),
}

impl Path {
    /// `None` when a segment is empty.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut names = vec![String::new()];
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match (char, names.last_mut()) {
                ('\\', Some(name)) => name.push(chars.next()?),
                ('.', _) => names.push(String::new()),
                (other, Some(name)) => name.push(other),
                (_, None) => return None,
            }
        }
        if names.iter().any(String::is_empty) {
            return None;
        }
        let segments = names.into_iter().map(|name| Segment { index: name.parse().ok(), name }).collect();
        Some(Self { text: text.to_owned(), segments })
    }

    pub(crate) fn find<'v>(&self, payload: &'v Value) -> Found<'v> {
        let mut at = payload;
        for segment in &self.segments {
            let next = match at {
                Value::Object(fields) => fields.get(&segment.name),
                Value::Array(items) => segment.index.and_then(|index| items.get(index)),
                // What is below a null was cleared with it.
                Value::Null => return Found::Empty,
                Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            match next {
                Some(value) => at = value,
                None => return Found::Missing,
            }
        }
        match at {
            Value::Null => Found::Empty,
            Value::String(text) if text.trim().is_empty() => Found::Empty,
            value => Found::Value(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_find_nested_listed_and_escaped_names() {
        let payload = json!({"a": {"b": "x", "n": null, "e": "  "}, "l": [{"k": 1}], "p.q": 2, "z": null});
        for (path, expected) in [
            ("a.b", Found::Value(&payload["a"]["b"])),
            ("l.0.k", Found::Value(&payload["l"][0]["k"])),
            ("l.1.k", Found::Missing),
            ("p\\.q", Found::Value(&payload["p.q"])),
            ("a.n", Found::Empty),
            ("a.e", Found::Empty),
            ("z.deeper", Found::Empty),
            ("a.b.c", Found::Missing),
            ("nowhere", Found::Missing),
        ] {
            assert_eq!(Path::parse(path).unwrap().find(&payload), expected, "{path}");
        }
        for wrong in ["", ".", "a.", "a..b", "a\\"] {
            assert_eq!(Path::parse(wrong), None, "{wrong}");
        }
    }
}

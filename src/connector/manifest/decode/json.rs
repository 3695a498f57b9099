//! JSON text to a value.
//!
//! Owns the building of the tree. Records of a listing are alike: an object is given the room that the one before it at its depth
//! needed, so that it is not hashed and moved again while it grows. What is JSON, and the bounds of nesting, are `serde_json`'s.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Most room that is given ahead, in fields or items: a single odd object must not make all others wide.
const MOST_AHEAD: usize = 256;

/// Reads a document.
///
/// # Errors
/// `serde_json`'s: no JSON, text that is no UTF-8, too deep, or more than one document.
pub(super) fn document(body: &[u8]) -> Result<Value, serde_json::Error> {
    // Checked once as a whole, which is much faster than text by text.
    let Ok(text) = std::str::from_utf8(body) else { return serde_json::from_slice(body) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let room = RefCell::new(Vec::new());
    let value = Part { depth: 0, room: &room }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// A part of the tree, with what its kind needed before at each depth.
#[derive(Clone, Copy)]
struct Part<'r> {
    depth: usize,
    room: &'r RefCell<Vec<usize>>,
}

impl Part<'_> {
    fn room(&self) -> usize {
        self.room.borrow().get(self.depth).copied().unwrap_or(0).min(MOST_AHEAD)
    }

    fn needed(&self, count: usize) {
        let mut room = self.room.borrow_mut();
        if room.len() <= self.depth {
            room.resize(self.depth + 1, 0);
        }
        room[self.depth] = count;
    }

    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.below())? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let Some(first) = fields.next_key::<String>()? else { return Ok(Value::Object(Map::new())) };
        let mut map = Map::with_capacity(self.room());
        map.insert(first, fields.next_value_seed(self.below())?);
        while let Some(name) = fields.next_key::<String>()? {
            map.insert(name, fields.next_value_seed(self.below())?);
        }
        self.needed(map.len());
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
                prop::collection::vec((any::<String>(), inner), 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_document_is_what_serde_json_makes_of_it(value in any_json()) {
            let text = value.to_string();
            prop_assert_eq!(document(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        }
    }

    #[test]
    fn what_serde_json_refuses_is_refused_at_the_same_place() {
        let deep = "[".repeat(200);
        let texts = ["", "{", "[1,]", "{\"a\":1,}", "1 2", "\"\\ud800\"", "1e999", "nul", "{\"a\" 1}", deep.as_str()];
        for body in texts.iter().map(|text| text.as_bytes()).chain([&b"\"\xff\""[..]]) {
            let (ours, theirs) = (document(body).unwrap_err(), serde_json::from_slice::<Value>(body).unwrap_err());
            assert_eq!((ours.line(), ours.column()), (theirs.line(), theirs.column()), "{ours} / {theirs}");
        }
        // A key that stands twice: the last one counts, at the place of the first.
        let twice = document(br#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(twice.to_string(), r#"{"a":3,"b":2}"#);
    }
}

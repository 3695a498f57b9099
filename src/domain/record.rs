//! Items on their way: as the provider gave them, and as rows of ours.
//!
//! Owns the two shapes and the payload's fingerprint. Their `Debug` forms tell no value (P18). Refuses to hold a client: that comes from the
//! connection, never from a payload (P15).

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{business::BusinessTable, clock::Timestamp, redacted::Redacted};

/// A usual record's canonical form fits without growing.
const CANONICAL_BYTES: usize = 2048;

/// Longest external id that the tables hold, in characters.
pub const EXTERNAL_ID_CHARS: usize = 190;

/// One item of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Record(RawRecord),
    /// The item could not be read at all (a broken CSV row, a line that is not JSON, not an object).
    Broken(BrokenItem),
}

/// A record as the provider gave it.
#[derive(Clone, PartialEq)]
pub struct RawRecord {
    /// The primary key as text: parts joined with `:`, trimmed, at most [`EXTERNAL_ID_CHARS`] (a longer one goes by its
    /// beginning and its hash); `None` when the payload has none.
    pub external_id: Option<String>,
    pub payload: Value,
    /// When the provider says it last changed; used to keep an older version from replacing a newer one.
    pub source_updated_at: Option<Timestamp>,
}

impl fmt::Debug for RawRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRecord")
            .field("external_id", &self.external_id)
            .field("payload", &Redacted(&self.payload))
            .field("source_updated_at", &self.source_updated_at)
            .finish()
    }
}

/// An item that could not be read.
#[derive(Clone, PartialEq)]
pub struct BrokenItem {
    /// Where it stands, e.g. `line 17`. Becomes the dead letter's external id.
    pub place: String,
    /// What arrived, cut to a bound by the connector.
    pub text: String,
    /// Why it could not be read, without the item's content.
    pub reason: String,
}

impl fmt::Debug for BrokenItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokenItem")
            .field("place", &self.place)
            .field("text", &Redacted(&self.text))
            .field("reason", &self.reason)
            .finish()
    }
}

/// A value of a business column. Only the tests beside it show what is in it.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Decimal(rust_decimal::Decimal),
    Bool(bool),
    Time(Timestamp),
    /// Serialised JSON.
    Json(String),
}

#[cfg(not(test))]
impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Text(text) => f.debug_tuple("Text").field(&Redacted(text)).finish(),
            Self::Integer(_) => f.write_str("Integer"),
            Self::Decimal(_) => f.write_str("Decimal"),
            Self::Bool(_) => f.write_str("Bool"),
            Self::Time(_) => f.write_str("Time"),
            Self::Json(text) => f.debug_tuple("Json").field(&Redacted(text)).finish(),
        }
    }
}

/// A row of a business table, less the columns that the pipeline itself fills.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedRow {
    pub table: &'static BusinessTable,
    /// One cell for each of `table.columns`, in that order.
    pub cells: Vec<Cell>,
}

impl MappedRow {
    /// A fingerprint of the mapped content; a replay through another field map compares it.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.table.name.as_bytes());
        for cell in &self.cells {
            let (tag, text) = match cell {
                Cell::Null => ("n", String::new()),
                Cell::Text(text) => ("t", text.clone()),
                Cell::Integer(number) => ("i", number.to_string()),
                Cell::Decimal(number) => ("d", number.normalize().to_string()),
                Cell::Bool(truth) => ("b", truth.to_string()),
                Cell::Time(at) => ("@", at.to_iso()),
                Cell::Json(text) => ("j", text.clone()),
            };
            hash.update(tag.as_bytes());
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hex(&hash.finalize())
    }
}

/// SHA-256 of a payload as 64 hexadecimal digits, independent of the order of object keys.
pub fn payload_hash(payload: &Value) -> String {
    // The canonical form is built first: one update over it costs a third of one for each small piece.
    let mut canonical = Vec::with_capacity(CANONICAL_BYTES);
    feed(&mut canonical, payload);
    hex(&Sha256::digest(&canonical))
}

/// SHA-256 of text as 64 hexadecimal digits.
pub fn text_hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn feed(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(b'n'),
        Value::Bool(true) => out.push(b'T'),
        Value::Bool(false) => out.push(b'F'),
        Value::Number(number) => {
            out.push(b'#');
            out.extend_from_slice(number.to_string().as_bytes());
            out.push(b';');
        }
        Value::String(text) => feed_text(out, b's', text),
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                feed(out, item);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            // A provider may list the same fields in another order; that is no change.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| name.as_str());
            out.push(b'{');
            for (name, value) in fields {
                feed_text(out, b'k', name);
                feed(out, value);
            }
            out.push(b'}');
        }
    }
}

fn feed_text(out: &mut Vec<u8>, tag: u8, text: &str) {
    out.push(tag);
    out.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_is_no_change_but_values_nesting_and_types_are() {
        let a = payload_hash(&json!({"a": 1, "b": {"c": [1, 2], "d": null}}));
        assert_eq!(a, payload_hash(&json!({"b": {"d": null, "c": [1, 2]}, "a": 1})));
        for other in [
            json!({"a": 1, "b": {"c": [2, 1], "d": null}}),
            json!({"a": "1", "b": {"c": [1, 2], "d": null}}),
            json!({"a": 1, "b": {"c": [1, 2]}}),
            json!({"a": 1, "b": {"c": [1, 2], "d": ""}}),
        ] {
            assert_ne!(a, payload_hash(&other));
        }
        assert_eq!(a.len(), 64);
    }
}

//! The type rules of the format: what a template printed is read back as a Python literal.
//!
//! Owns what such a reading can give, which of it a place takes, and what counts as false; reading is `literal_reader`, printing is
//! `python`. The format's reference evaluates a template to text and guesses the type from that text; requests and records
//! come out alike only if the same guesses are made. Where a guess has no place in JSON (a tuple, an integer beyond 64 bits)
//! it is kept exactly until it goes there, and turned then.

use num_bigint::BigInt;
use serde_json::{Map, Value};

pub use super::literal_reader::escape;
use super::{literal_reader, python};

/// What a template came out as.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Whatever JSON can hold.
    Json(Value),
    /// An integer beyond 64 bits.
    Big(BigInt),
    /// An infinity.
    Infinite(f64),
    Bytes(Vec<u8>),
    Tuple(Vec<Outcome>),
    Set(Vec<Outcome>),
    /// A list that holds something that JSON cannot.
    List(Vec<Outcome>),
    /// A dict that holds, or has for a key, something that JSON cannot.
    Dict(Vec<(Outcome, Outcome)>),
}

/// The types that a place takes; another guess falls back to the text. [`Types::ANY`] takes all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u8);

impl Types {
    pub const ANY: Self = Self(0);
    /// `value_type: string`, and the keys of mappings.
    pub const TEXT: Self = Self(1);
    pub const LIST: Self = Self(2);
    /// `value_type: number`: floats, and only they.
    pub const FLOAT: Self = Self(4);
    /// `value_type: integer`: truth values count as integers.
    pub const INTEGER: Self = Self(8);
    /// `value_type: boolean`.
    pub const BOOLEAN: Self = Self(16);
    /// Request parameters, and bodies of forms.
    pub const REQUEST: Self = Self(1 | 2);

    /// Whether it takes that.
    pub fn takes(self, outcome: &Outcome) -> bool {
        if self == Self::ANY {
            return true;
        }
        let own = match outcome {
            Outcome::Json(Value::String(_)) => Self::TEXT.0,
            Outcome::Json(Value::Array(_)) | Outcome::List(_) => Self::LIST.0,
            Outcome::Json(Value::Bool(_)) => Self::BOOLEAN.0 | Self::INTEGER.0,
            Outcome::Json(Value::Number(number)) if number.is_f64() => Self::FLOAT.0,
            Outcome::Json(Value::Number(_)) | Outcome::Big(_) => Self::INTEGER.0,
            Outcome::Infinite(_) => Self::FLOAT.0,
            _ => 0,
        };
        self.0 & own != 0
    }
}

impl Outcome {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Json(Value::String(text.into()))
    }

    /// The nearest JSON: tuples and sets become arrays; an integer beyond 64 bits its digits, as text; an infinity null; bytes
    /// the text that Python prints for them; keys what Python's JSON writer makes of them.
    pub fn into_json(self) -> Value {
        match self {
            Self::Json(value) => value,
            Self::Big(int) => Value::String(int.to_string()),
            Self::Infinite(_) => Value::Null,
            Self::Bytes(_) => Value::String(self.repr()),
            Self::Tuple(items) | Self::Set(items) | Self::List(items) => {
                Value::Array(items.into_iter().map(Self::into_json).collect())
            }
            Self::Dict(pairs) => {
                let mut fields = Map::new();
                for (key, value) in pairs {
                    let key = match key {
                        Self::Json(Value::String(key)) => key,
                        Self::Json(key @ (Value::Bool(_) | Value::Null)) => key.to_string(),
                        key => key.repr(),
                    };
                    fields.insert(key, value.into_json());
                }
                Value::Object(fields)
            }
        }
    }

    /// What Python's `str()` gives.
    pub fn into_text(self) -> String {
        match self {
            Self::Json(Value::String(text)) => text,
            other => other.repr(),
        }
    }

    /// What Python's `repr()` gives.
    pub fn repr(&self) -> String {
        let all = |items: &[Self]| items.iter().map(Self::repr).collect::<Vec<_>>().join(", ");
        match self {
            Self::Json(value) => python::repr(value),
            Self::Big(int) => int.to_string(),
            Self::Infinite(float) => python::float_repr(*float),
            Self::Bytes(bytes) => {
                let mut out = String::new();
                python::push_bytes_repr(bytes, &mut out);
                out
            }
            Self::Tuple(items) if items.len() == 1 => format!("({},)", all(items)),
            Self::Tuple(items) => format!("({})", all(items)),
            Self::Set(items) if items.is_empty() => "set()".to_owned(),
            Self::Set(items) => format!("{{{}}}", all(items)),
            Self::List(items) => format!("[{}]", all(items)),
            Self::Dict(pairs) => {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| format!("{}: {}", key.repr(), value.repr())).collect();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }

    /// Whether a condition that came out so holds. Text counts, too: `{}` and `False` are false.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Json(value) => is_true(value),
            Self::Tuple(items) | Self::Set(items) => !items.is_empty(),
            Self::Big(_) | Self::Infinite(_) | Self::Bytes(_) | Self::List(_) | Self::Dict(_) => true,
        }
    }
}

/// Reads a text as the reference would.
pub fn read(text: String) -> Outcome {
    read_as(text, Types::ANY)
}

/// As [`read`], where only some types are taken.
pub fn read_as(text: String, types: Types) -> Outcome {
    match literal_reader::parse(&text) {
        Some(outcome) if types.takes(&outcome) => outcome,
        _ => Outcome::Json(Value::String(text)),
    }
}

/// The value that the text is a literal of; the text itself when it is none.
pub fn guess(text: String) -> Value {
    read(text).into_json()
}

/// Whether a condition that came out as `value` holds.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(text.as_str(), "" | "False" | "false" | "{}" | "[]" | "()" | "0" | "0.0"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod literal_tests;

//! Rules that leave a record out on purpose, with a reason: spam, tests, our own people.
//!
//! Owns when a record is ignored. The reason is the map's text, never the record's.

use regex::Regex;
use serde_json::Value;

use super::{
    coerce::scalar,
    path::{Found, Path},
};

/// Leaves out records whose field is so.
#[derive(Debug)]
pub(super) struct IgnoreRule {
    pub(super) field: Path,
    pub(super) condition: Condition,
    pub(super) reason: String,
}

#[derive(Debug)]
pub(super) enum Condition {
    /// One of these texts; numbers and truth values count by their text.
    In(Vec<String>),
    Matches(Regex),
    /// Missing, null or blank (`true`), or none of that (`false`).
    IsEmpty(bool),
}

impl IgnoreRule {
    pub(super) fn holds(&self, payload: &Value) -> bool {
        match (&self.condition, self.field.find(payload)) {
            (Condition::IsEmpty(wanted), Found::Missing | Found::Empty) => *wanted,
            (Condition::IsEmpty(wanted), Found::Value(_)) => !*wanted,
            (Condition::In(_) | Condition::Matches(_), Found::Missing | Found::Empty) => false,
            (Condition::In(words), Found::Value(value)) => {
                scalar(value).is_some_and(|text| words.iter().any(|word| *word == text))
            }
            (Condition::Matches(pattern), Found::Value(value)) => {
                scalar(value).is_some_and(|text| pattern.is_match(&text))
            }
        }
    }
}

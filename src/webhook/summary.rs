//! The one line that is kept of a delivery for people.
//!
//! Owns its bound and what may not stand in it: fields are allowlisted, a path that by its name leads to a person's data is
//! refused when the document is read, and a value that looks like an address is left out when it arrives.

use serde_json::Value;

use super::WebhookDeclaration;
use crate::{
    domain::clock::Timestamp,
    mapping::{Found, Path},
};

/// Characters of a summary.
pub(super) const LONGEST: usize = 300;
/// Characters of one of its values.
const LONGEST_VALUE: usize = 60;
/// Words in a field's name that mean a person, or a content that nobody can foresee.
const PERSONAL: [&str; 17] = [
    "email",
    "mail",
    "phone",
    "mobile",
    "firstname",
    "lastname",
    "fullname",
    "address",
    "street",
    "birth",
    "ssn",
    "password",
    "token",
    "secret",
    "value",
    "message",
    "text",
];

/// Whether a field may not be summarised, by its name.
pub(super) fn is_personal(path: &Path) -> bool {
    let Some(last) = path.segments.last() else { return true };
    let name: String = last.name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    name == "name" || name == "body" || PERSONAL.iter().any(|word| name.contains(word))
}

/// Event, object, time, and what the document lists.
pub(super) fn summary(
    declaration: &WebhookDeclaration,
    name: &str,
    object_id: Option<&str>,
    occurred_at: Option<Timestamp>,
    event: &Value,
) -> String {
    let mut line = if name.is_empty() { "event without a name".to_owned() } else { name.to_owned() };
    if let Some(id) = object_id.and_then(shown) {
        line.push_str(&format!(" of {id}"));
    }
    if let Some(at) = occurred_at {
        line.push_str(&format!(" at {}", at.to_iso()));
    }
    for path in &declaration.summary {
        if let Found::Value(value) = path.find(event)
            && let Some(value) = scalar(value).as_deref().and_then(shown)
        {
            line.push_str(&format!(", {} {value}", path.text));
        }
    }
    line.chars().filter(|char| !char.is_control()).take(LONGEST).collect()
}

/// A single value as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn shown(value: &str) -> Option<String> {
    (!value.contains('@')).then(|| value.chars().take(LONGEST_VALUE).collect())
}

//! The shape of a payload, for whoever works off a dead letter: which fields there are and of what kind, never what they say.
//!
//! Owns what is told of a value: its kind and its length, and of an e-mail address the first letter of each side. Names of fields are the
//! provider's and are told, less what looks like a person or a secret in them.

use serde::Serialize;
use serde_json::Value;

use crate::telemetry::redact::scrub;

/// Most fields that are told.
const MOST_LINES: usize = 200;
/// Deepest level that is told; what is deeper goes by its kind.
const DEEPEST: usize = 8;

/// A field of a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `properties.email`
    pub path: String,
    /// `"a…@e…" (23 chars)`, `number (4 digits)`, `list of 3`
    pub shape: String,
    /// The dead letter's message names it.
    pub failing: bool,
}

/// The shape of a stored payload; `message` is the dead letter's internal one, whose parts begin with the field that failed.
pub fn shape(payload: &str, message: &str) -> Vec<Line> {
    let failing: Vec<&str> = message.split("; ").filter_map(|part| Some(part.split_once(": ")?.0)).collect();
    let mut lines = Vec::new();
    match serde_json::from_str::<Value>(payload) {
        Ok(Value::Object(fields)) if fields.is_empty() => {
            lines.push(Line { path: "(whole)".to_owned(), shape: "an empty object".to_owned(), failing: false });
        }
        Ok(value @ (Value::Object(_) | Value::Array(_))) => walk(&value, "", 0, &failing, &mut lines),
        Ok(value) => lines.push(Line { path: "(whole)".to_owned(), shape: of(&value), failing: true }),
        Err(_) => {
            let shape = format!("text that is not JSON ({} chars)", payload.chars().count());
            lines.push(Line { path: "(whole)".to_owned(), shape, failing: true });
        }
    }
    // What the message names and the payload lacks is the finding itself.
    for field in failing {
        let is_path = !field.is_empty() && field.chars().all(|c| c.is_alphanumeric() || "_-.$[]".contains(c));
        if is_path && lines.len() < MOST_LINES && !lines.iter().any(|line| line.path == field) {
            lines.push(Line { path: scrub(field).into_owned(), shape: "not there".to_owned(), failing: true });
        }
    }
    lines
}

fn walk(value: &Value, path: &str, depth: usize, failing: &[&str], lines: &mut Vec<Line>) {
    if lines.len() >= MOST_LINES {
        return;
    }
    match value {
        Value::Object(fields) if depth < DEEPEST && !fields.is_empty() => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(field, &path, depth + 1, failing, lines);
            }
        }
        Value::Array(items) if depth < DEEPEST && matches!(items.first(), Some(Value::Object(_) | Value::Array(_))) => {
            lines.push(line(path, value, failing));
            if let Some(first) = items.first() {
                walk(first, &format!("{path}[0]"), depth + 1, failing, lines);
            }
        }
        _ => lines.push(line(path, value, failing)),
    }
}

fn line(path: &str, value: &Value, failing: &[&str]) -> Line {
    Line { path: scrub(path).into_owned(), shape: of(value), failing: failing.contains(&path) }
}

/// What is told of a value.
fn of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(number) => {
            let text = number.to_string();
            let digits = text.chars().filter(char::is_ascii_digit).count();
            let kind = if number.is_f64() { "decimal number" } else { "number" };
            let sign = if text.starts_with('-') { "negative " } else { "" };
            format!("{sign}{kind} ({digits} digits)")
        }
        Value::String(text) => of_text(text),
        Value::Array(items) => format!("list of {}", items.len()),
        Value::Object(fields) => format!("object of {} fields", fields.len()),
    }
}

fn of_text(text: &str) -> String {
    let chars = text.chars().count();
    if chars == 0 {
        return "empty text".to_owned();
    }
    let around = match (text.chars().next(), text.chars().next_back()) {
        (Some(first), Some(last)) if first.is_whitespace() || last.is_whitespace() => ", spaces around it",
        _ => "",
    };
    let first = |part: &str| part.chars().next().map(String::from);
    match text.split_once('@') {
        Some((local, domain)) if !domain.contains('@') && chars > 6 => match (first(local), first(domain)) {
            (Some(local), Some(domain)) => format!("\"{local}…@{domain}…\" ({chars} chars{around})"),
            _ => format!("\"…@…\" ({chars} chars{around})"),
        },
        _ => {
            let kind = if text.chars().all(|c| c.is_ascii_digit()) { ", digits" } else { "" };
            format!("\"…\" ({chars} chars{kind}{around})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p18_the_shape_tells_kinds_and_lengths_and_no_value() {
        let payload = r#"{"id": "4711", "properties": {"email": "ada.lovelace@example.test", "phone": "+12125550123", "amount": -12.5, "vip": true,
            "note": null, "stage": " hot "}, "notes": [{"by": "Ada"}, {"by": "Bob"}], "empty": ""}"#;
        let lines = shape(
            payload,
            "properties.stage: not one of the words; properties.owner: the field is required and is missing",
        );
        let told: Vec<String> =
            lines.iter().map(|l| format!("{}: {}{}", l.path, l.shape, if l.failing { " !" } else { "" })).collect();
        let mut sorted = told.clone();
        sorted.sort();
        assert_eq!(
            sorted,
            [
                "empty: empty text",
                "id: \"…\" (4 chars, digits)",
                "notes: list of 2",
                "notes[0].by: \"…\" (3 chars)",
                "properties.amount: negative decimal number (3 digits)",
                "properties.email: \"a…@e…\" (25 chars)",
                "properties.note: null",
                "properties.owner: not there !",
                "properties.phone: \"…\" (12 chars)",
                "properties.stage: \"…\" (5 chars, spaces around it) !",
                "properties.vip: true or false",
            ]
        );
        for secret in ["lovelace", "2125550123", "12.5", "Ada", "hot", "4711"] {
            assert!(!told.concat().contains(secret), "{secret}");
        }
    }

    #[test]
    fn what_is_no_object_is_told_as_a_whole() {
        assert_eq!(shape("{ broken", "item 3 cannot be read: not JSON")[0].shape, "text that is not JSON (8 chars)");
        assert_eq!(shape("[1,2]", "")[0].shape, "list of 2");
        assert_eq!(shape("{}", "")[0].shape, "an empty object");
        let deep = (0..300).fold("1".to_owned(), |inner, n| format!("{{\"a{n}\": {inner}}}"));
        assert!(shape(&deep, "").len() <= MOST_LINES);
    }
}

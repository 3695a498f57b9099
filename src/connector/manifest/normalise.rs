//! `schema_normalization: Default`: a record's values in the types of its schema.
//!
//! Owns the casting and its rules, which are those of the format's own language: `5` becomes `5.0` for a number, `"yes"` becomes
//! true, a table becomes its text. A value that cannot be cast stays as it is.

use serde_json::{Map, Number, Value};

use super::python;

/// References that one value may lead through.
const MAX_REFERENCES: usize = 32;

/// Casts what lies in a record, by the schema of the record.
pub(super) fn normalise(record: &mut Value, schema: &Value) {
    walk(record, schema, schema, 0);
}

fn walk(value: &mut Value, schema: &Value, root: &Value, references: usize) {
    let Some(keywords) = schema.as_object() else { return };
    for (keyword, rule) in keywords {
        match (keyword.as_str(), rule) {
            ("properties", Value::Object(properties)) => {
                let Value::Object(fields) = value else { continue };
                for (name, rule) in properties {
                    if let Some(field) = fields.get_mut(name) {
                        cast(field, rule);
                        walk(field, rule, root, references);
                    }
                }
            }
            ("items", Value::Object(_)) => {
                let Value::Array(items) = value else { continue };
                for item in items {
                    cast(item, rule);
                    walk(item, rule, root, references);
                }
            }
            ("$ref", Value::String(reference)) if references < MAX_REFERENCES => {
                let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
                if let Some(target) = target {
                    walk(value, target, root, references + 1);
                }
            }
            _ => {}
        }
    }
}

fn cast(value: &mut Value, schema: &Value) {
    let Some(schema) = schema.as_object() else { return };
    let Some(wanted) = wanted(value, schema) else { return };
    let cast = match wanted {
        "string" if value.is_string() => None,
        "string" => Some(Value::String(python::to_text(value))),
        "number" => to_float(value).and_then(Number::from_f64).map(Value::Number),
        "integer" => to_integer(value).map(Value::Number),
        "boolean" => to_truth(value),
        "array" => wraps(value, schema).then(|| Value::Array(vec![value.clone()])),
        _ => None,
    };
    if let Some(cast) = cast {
        *value = cast;
    }
}

/// The one type, beside null, that the schema wants; none where it wants several, or null and has it.
fn wanted<'s>(value: &Value, schema: &'s Map<String, Value>) -> Option<&'s str> {
    match schema.get("type")? {
        Value::String(wanted) => Some(wanted.as_str()).filter(|wanted| !(value.is_null() && *wanted == "null")),
        Value::Array(types) => {
            if value.is_null() && types.iter().any(|wanted| wanted == "null") {
                return None;
            }
            let mut others = types.iter().filter(|wanted| *wanted != "null");
            let only = others.next()?.as_str();
            only.filter(|_| others.next().is_none())
        }
        _ => None,
    }
}

/// Digits with single underscores between them, as the language writes numbers.
fn digits(text: &str) -> Option<String> {
    let text = text.trim();
    let odd = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    let between = |at: usize| {
        let (before, after) = (text[..at].chars().next_back(), text[at + 1..].chars().next());
        before.is_some_and(|c| c.is_ascii_digit()) && after.is_some_and(|c| c.is_ascii_digit())
    };
    (!odd && text.match_indices('_').all(|(at, _)| between(at))).then(|| text.replace('_', ""))
}

fn to_float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::String(text) => digits(text)?.parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn to_integer(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) if !number.is_f64() => Some(number.clone()),
        #[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off, and the range is looked at first")]
        Value::Number(number) => {
            let float = number.as_f64()?.trunc();
            (float.abs() < 9_007_199_254_740_992.0).then(|| (float as i64).into())
        }
        Value::Bool(truth) => Some(i64::from(*truth).into()),
        Value::String(text) => {
            let text = digits(text)?;
            text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from)).ok()
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn to_truth(value: &Value) -> Option<Value> {
    let truth = match value {
        Value::String(text) => match text.to_lowercase().trim() {
            "y" | "yes" | "t" | "true" | "on" | "1" => true,
            "n" | "no" | "f" | "false" | "off" | "0" => false,
            _ => return None,
        },
        other => !super::extract::is_empty(other),
    };
    Some(Value::Bool(truth))
}

/// A single value where a list is wanted becomes a list of it, if the schema asks for simple items or does not say.
fn wraps(value: &Value, schema: &Map<String, Value>) -> bool {
    let simple = ["string", "number", "integer", "boolean", "null"];
    let items = match schema.get("items") {
        None => true,
        Some(items) => match items.get("type") {
            None => items.is_object(),
            Some(Value::Array(types)) => {
                types.iter().all(|wanted| wanted.as_str().is_some_and(|wanted| simple.contains(&wanted)))
            }
            Some(_) => false,
        },
    };
    items && !value.is_array() && !value.is_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from the reference (`recorded/normalised.json`).
    #[test]
    fn values_are_cast_as_recorded() {
        let cases: Value = serde_json::from_str(include_str!("recorded/normalised.json")).unwrap();
        let mut wrong = Vec::new();
        for case in cases.as_array().unwrap() {
            let mut record = case[1].clone();
            normalise(&mut record, &case[0]);
            if record != case[2] {
                wrong.push(format!("{case} became {record}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

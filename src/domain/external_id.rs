//! From the parts of a primary key to the one text that a record is known by.
//!
//! Owns its form: it is what object links, dead letters and raw events are keyed by, so two records must never get the
//! same one, and one record must get the same one for ever, whether a pull, a webhook or a file brings it. Refuses to make one
//! up where a part is missing.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Characters that the database keeps of an id.
pub const LONGEST: usize = 190;
/// What is left for the readable beginning of a longer one, before `~` and a SHA-256 in hexadecimal digits.
const READABLE: usize = LONGEST - 65;
/// From here on a number with a point, or one that outgrew 64 bits, may have been rounded to its neighbour.
const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0;

/// The parts joined with `:`; `None` when there are none, or one is missing, empty, no single value, or a number that
/// JSON readers round. Inside a key of several parts a colon is written `\:`, so that `a:b` + `c` is not `a` + `b:c`.
pub fn external_id<'v>(parts: impl ExactSizeIterator<Item = Option<&'v Value>>) -> Option<String> {
    let several = parts.len() > 1;
    let parts: Vec<String> = parts.map(|part| text(part?)).collect::<Option<_>>()?;
    let id = if several {
        let escaped: Vec<_> = parts.iter().map(|part| part.replace('\\', "\\\\").replace(':', "\\:")).collect();
        escaped.join(":")
    } else {
        parts.into_iter().next()?
    };
    Some(shortened(id))
}

fn text(part: &Value) -> Option<String> {
    match part {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().is_some_and(|value| value.abs() < FIRST_INEXACT).then(|| number.to_string())
        }
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text itself where it fits the column, else its beginning and its hash.
pub fn shortened(id: String) -> String {
    if id.chars().count() <= LONGEST {
        return id;
    }
    let beginning: String = id.chars().take(READABLE).collect();
    let hash: String = Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{beginning}~{hash}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(parts: &[Value]) -> Option<String> {
        external_id(parts.iter().map(Some))
    }

    #[test]
    fn an_id_is_the_key_as_text_and_none_when_a_part_is_missing() {
        for (parts, expected) in [
            (vec![json!(7)], Some("7")),
            (vec![json!(" a ")], Some("a")),
            (vec![json!("urn:x:1")], Some("urn:x:1")),
            (vec![json!("a"), json!(7), json!(true)], Some("a:7:true")),
            (vec![json!(1.5)], Some("1.5")),
            (vec![json!("a"), Value::Null], None),
            (vec![json!([1])], None),
            (vec![json!({})], None),
            (vec![json!(" ")], None),
            (vec![], None),
        ] {
            assert_eq!(id(&parts).as_deref(), expected, "{parts:?}");
        }
        assert_eq!(external_id([Some(&json!(1)), None].into_iter()), None);
    }

    #[test]
    fn different_keys_never_share_an_id() {
        let pairs = [
            (vec![json!("a:b"), json!("c")], vec![json!("a"), json!("b:c")]),
            (vec![json!("a\\"), json!("b")], vec![json!("a\\:b")]),
            (vec![json!("x".repeat(500) + "1")], vec![json!("x".repeat(500) + "2")]),
        ];
        for (one, other) in pairs {
            assert_ne!(id(&one), id(&other));
        }
        // 64 bits hold these two; what outgrew them was rounded by the reader and tells nothing from its neighbour.
        assert_ne!(id(&[json!(u64::MAX)]), id(&[json!(u64::MAX - 1)]));
        let rounded: Value = serde_json::from_str("123456789012345678901234567890").unwrap();
        assert_eq!(id(&[rounded]), None);
    }

    #[test]
    fn a_long_id_fits_its_column_and_keeps_its_beginning() {
        let long = id(&[json!("ü".repeat(LONGEST + 1))]).unwrap();
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.starts_with(&"ü".repeat(READABLE)));
        let fits = "ü".repeat(LONGEST);
        assert_eq!(id(&[json!(fits)]), Some(fits));
    }
}

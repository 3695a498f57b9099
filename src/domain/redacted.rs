//! A value of somebody else's as it may be told: what it is and how long, never what it says (P18).
//!
//! Owns the one form. Types that carry what a provider sent write their `Debug` with it, so that a log line, a panic or a failed
//! `expect` that shows such a type cannot show a person, whoever wrote the line. Refuses to give the value back: who holds the value
//! has it anyway.

use std::fmt;

use serde_json::Value;

/// Shows the kind and the length of what it holds, in `Debug` and in `Display`: `text of 12 characters`.
#[derive(Clone, Copy)]
pub struct Redacted<T>(pub T);

/// What can be told of a value without telling it.
pub trait Outline {
    /// # Errors
    /// Those of the formatter.
    fn outline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl<T: Outline> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.outline(f)
    }
}

impl<T: Outline> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.outline(f)
    }
}

impl<T: Outline + ?Sized> Outline for &T {
    fn outline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).outline(f)
    }
}

impl<T: Outline> Outline for Option<T> {
    fn outline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Some(value) => value.outline(f),
            None => f.write_str("nothing"),
        }
    }
}

impl Outline for str {
    fn outline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text of {} characters", self.chars().count())
    }
}

impl Outline for String {
    fn outline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().outline(f)
    }
}

impl Outline for Value {
    /// Names of fields are the provider's too.
    fn outline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(_) => f.write_str("a truth value"),
            Self::Number(_) => f.write_str("a number"),
            Self::String(text) => text.outline(f),
            Self::Array(items) => write!(f, "a list of {}", items.len()),
            Self::Object(fields) => write!(f, "an object of {} fields", fields.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn p18_kind_and_length_are_told_and_nothing_else() {
        for (value, told) in [
            (json!(null), "null"),
            (json!(true), "a truth value"),
            (json!(4_155_550_137_u64), "a number"),
            (json!("Zoë"), "text of 3 characters"),
            (json!(["ada@example.test"]), "a list of 1"),
            (json!({"ada@example.test": 1, "b": 2}), "an object of 2 fields"),
        ] {
            assert_eq!(
                format!("{}|{:?}|{:#?}", Redacted(&value), Redacted(&value), Redacted(Some(value.clone()))),
                format!("{told}|{told}|{told}")
            );
        }
        assert_eq!(Redacted(None::<String>).to_string(), "nothing");
        assert_eq!(Redacted("secret".to_owned()).to_string(), "text of 6 characters");
    }
}

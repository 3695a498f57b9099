//! YAML, read in one place: a text becomes a tree that knows its lines, and a tree is read key by key.
//!
//! Owns the only use of `serde-saphyr`, for manifests, file sources, field maps and declarations. Refuses to know what a
//! document means: it says where something stands and of what kind it is, never what it is for.

mod node;
mod table;
mod wording;

use std::fmt;

pub use self::{
    node::{Node, NodeValue},
    table::{Table, nearest},
};

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; `None` when the document as a whole is meant.
    pub line: Option<u64>,
    /// Path of the field in the document, e.g. `fields[2].type`; empty for the document itself.
    pub field: String,
    pub message: String,
    pub remedy: String,
}

impl Problem {
    pub fn new(line: Option<u64>, field: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { line, field: field.to_owned(), message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

/// How a plain word is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Our own documents: `yes` and `007` are texts, since that is what the one who wrote them meant.
    Strict,
    /// YAML 1.1, which the manifest format's own reader speaks: `yes` and `off` are truth values, `1_000` is a number.
    Yaml11,
}

/// Reads one YAML document.
///
/// # Errors
/// The one place at which it is no YAML, names a key twice, or is larger than the reader's budget; nothing behind it can
/// be judged.
pub fn parse(text: &str, dialect: Dialect) -> Result<Node, Problem> {
    let strict = dialect == Dialect::Strict;
    let options = serde_saphyr::options! {
        strict_booleans: strict,
        leading_zero_numbers_as_strings: strict,
        underscored_numbers_as_strings: strict,
    };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let at = error.location();
        let line = at.map(|at| at.line()).filter(|line| *line > 0);
        let column = at.map(|at| at.column()).filter(|column| *column > 0);
        // Without the reader's excerpt of the text: what stands around the place may not belong in a log.
        wording::problem(&error.without_snippet().to_string(), line, column, text)
    })
}

/// Writes a value as YAML.
///
/// # Errors
/// The serializer's text, for values that YAML cannot hold.
pub fn to_yaml<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strict(text: &str) -> Node {
        parse(text, Dialect::Strict).unwrap()
    }

    #[test]
    fn every_value_keeps_its_type_and_its_line() {
        let text = "a: 1\nb:\n  - x\n  - '2'\n  - 2.5\n  - true\n  - ~\nc: {d: 2026-01-01, e: \"{{ x }}\"}\n";
        for dialect in [Dialect::Strict, Dialect::Yaml11] {
            let tree = parse(text, dialect).unwrap();
            let expected = json!({"a": 1, "b": ["x", "2", 2.5, true, null], "c": {"d": "2026-01-01", "e": "{{ x }}"}});
            assert_eq!(tree.to_json(), expected);
            assert_eq!(tree.get("a").unwrap().line, Some(1));
            let NodeValue::List(items) = &tree.get("b").unwrap().value else { panic!("a list") };
            assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [3, 4, 5, 6, 7].map(Some));
            assert_eq!(tree.get("c").unwrap().get("e").unwrap().line, Some(8));
        }
    }

    #[test]
    fn our_documents_keep_zeros_in_front_and_words_for_truth_as_texts() {
        let root = strict("version: 1\n\nlist:\n  - a: 007\n    b: 1_000\n  - 1: yes\n    \"true\": ~\n");
        assert_eq!(root.entries()[0].1, Node { line: Some(1), value: NodeValue::Number(1.into()) });
        let NodeValue::List(items) = &root.entries()[1].1.value else { panic!("{root:?}") };
        assert_eq!(items[0].to_json(), json!({"a": "007", "b": "1_000"}));
        assert_eq!(items[0].line, Some(4));
        assert_eq!(items[1].entries()[0].0, "1");
        assert_eq!(items[1].entries()[0].1.scalar_text().as_deref(), Some("yes"));
        assert_eq!(items[1].entries()[1], ("true".to_owned(), Node { line: Some(7), value: NodeValue::Null }));
    }

    #[test]
    fn a_manifests_words_for_truth_are_what_its_own_reader_makes_of_them() {
        let tree = parse("a: yes\nb: off\nc: 'yes'\nd: 1_000\n", Dialect::Yaml11).unwrap();
        assert_eq!(tree.to_json(), json!({"a": true, "b": false, "c": "yes", "d": 1000}));
    }

    #[test]
    fn broken_yaml_and_a_doubled_key_are_named_with_their_line() {
        for dialect in [Dialect::Strict, Dialect::Yaml11] {
            let broken = parse("a: 1\nb: [1, 2\nc: 3\n", dialect).unwrap_err();
            assert!(
                broken.line >= Some(2) && broken.message.starts_with("not readable as YAML at column "),
                "{broken}"
            );
            assert!(!broken.to_string().contains('\n'), "{broken}");
            assert_eq!(parse("a: 1\nb: 2\na: 3\n", dialect).unwrap_err().line, Some(3));
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({"a": ["x", "007", "yes", "~", "1e3"], "b": {"c": "two\nlines", "d": ""}});
        let text = to_yaml(&value).unwrap();
        assert_eq!(strict(&text).to_json(), value, "{text}");
    }
}

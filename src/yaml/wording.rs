//! What the YAML reader says, in words for whoever wrote the document.
//!
//! Owns the sentences and remedies for what a text can be that is no YAML. Refuses to quote the text: what stands around
//! the place may not belong in a log. What the reader says and is not known here is passed on as it is.

use super::Problem;

/// What the reader says (a part of it), what it means, what to do.
const KNOWN: &[(&str, &str, &str)] = &[
    ("found a tab", "a tab stands where YAML expects blanks", "indent with blanks; YAML knows no tabs"),
    (
        "mapping values are not allowed",
        "a colon stands where no key can begin",
        "put a text that holds ': ' between quotes; a key has the indentation of its neighbours",
    ),
    (
        "block collection",
        "the line is indented otherwise than the lines it belongs to",
        "give it as many blanks as its neighbours have; an item of a list begins with '- '",
    ),
    (
        "block mapping",
        "the line is indented otherwise than the lines it belongs to, or is no 'key: value'",
        "give it as many blanks as its neighbours have, and write 'key: value'",
    ),
    (
        "flow mapping",
        "between { and } a comma, a colon or the closing } is missing",
        "write { key: value, key: value }; a text with one of , : [ ] { } in it needs quotes",
    ),
    (
        "flow sequence",
        "between [ and ] a comma or the closing ] is missing",
        "write [one, two]; a text with one of , : [ ] { } in it needs quotes",
    ),
    ("bracket", "brackets do not match", "close each [ with ] and each { with }, the inner one first"),
    ("quoted scalar", "a quote that was opened above is not closed", "close the quote on the line where it begins"),
    ("could not find expected ':'", "the line has no 'key: value'", "write a colon and a blank behind the key"),
    ("simple key", "the line has no 'key: value'", "write a colon and a blank behind the key"),
    ("unknown anchor", "a text begins with *, which means a reference in YAML", "put the text between quotes"),
    ("alias", "a text begins with *, which means a reference in YAML", "put the text between quotes"),
    (
        "illegal placement of ':'",
        "a bracket that was opened above is not closed, or a colon stands where none can",
        "close each [ with ] and each { with }; put a text that holds ':' between quotes",
    ),
    (
        "unexpected character",
        "a text begins with a sign that means something in YAML",
        "put a text that begins with @, %, ` or a like sign between quotes",
    ),
    (
        "cannot start any token",
        "a text begins with a sign that means something in YAML",
        "put a text that begins with @, %, ` or a like sign between quotes",
    ),
];

/// The problem that the reader's sentence stands for. `text` is the document.
pub(super) fn problem(said: &str, line: Option<u64>, column: Option<u64>, text: &str) -> Problem {
    let said = said.lines().next().unwrap_or("the reader gives no reason");
    // The reader ends its sentence with the place, which is told in front.
    let said = said.rsplit_once(" at line ").map_or(said, |(sentence, _)| sentence);
    let at = column.map(|column| format!(" at column {column}")).unwrap_or_default();
    let told = |message: &str, remedy: &str| {
        Problem::new(line, "", format!("not readable as YAML{at}: {message}"), format!("{remedy}; {AFTER}"))
    };
    if let Some(key) = said.strip_prefix("duplicate mapping key: ") {
        let key = key.split_once(", set ").map_or(key, |(key, _)| key);
        return told(&format!("the key '{key}' stands twice in one table"), "keep one of the two");
    }
    if bare_template(text, line) {
        return told(
            "a template stands without quotes, and YAML takes its { for a table",
            "put it between quotes: \"{{ config['name'] }}\"",
        );
    }
    match KNOWN.iter().find(|(part, ..)| said.contains(part)) {
        Some((_, message, remedy)) => told(message, remedy),
        None => told(said, "correct the line"),
    }
}

/// Nothing behind the place can be judged.
const AFTER: &str = "the rest of the file is checked after it";

/// Whether the line, or the one before it, has a value that begins with `{{`.
fn bare_template(text: &str, line: Option<u64>) -> bool {
    let Some(line) = line.and_then(|line| usize::try_from(line).ok()) else { return false };
    let lines = text.lines().skip(line.saturating_sub(2)).take(if line == 1 { 1 } else { 2 });
    lines.map(str::trim_start).any(|line| line.contains(": {{") || line.starts_with("- {{"))
}

#[cfg(test)]
mod tests {
    use crate::yaml::{Dialect, parse};

    /// The reader's own words stand in `KNOWN`: a new version of it must not bring them back.
    #[test]
    fn what_is_no_yaml_is_told_in_words_that_a_person_understands() {
        for (text, part) in [
            ("a: 1\nb:\tc\n\td: 1\n", "a tab"),
            ("a: 1\nb: 2\na: 3\n", "the key 'a' stands twice"),
            ("a: b: c\n", "a colon stands"),
            ("a:\n    - x\n   - y\n", "indented otherwise"),
            ("a:\n  b: 1\n c: 2\n", "indented otherwise"),
            ("a: {{ config['x'] }}\n", "a template stands without quotes"),
            ("a: {b: 1\nc: 2\n", "} is missing"),
            ("a: [1, 2\nb: 3\n", "is not closed"),
            ("a: [1, 2}\n", "brackets"),
            ("a: \"x\nb: 1\n", "not closed"),
            ("a: 'x\n", "not closed"),
            ("a: 1\nb\nc: 2\n", "'key: value'"),
            ("a: *b\n", "begins with *"),
            ("a: @b\n", "begins with a sign"),
        ] {
            for dialect in [Dialect::Strict, Dialect::Yaml11] {
                let told = parse(text, dialect).unwrap_err().to_string();
                assert!(told.contains(part) && !told.contains("while "), "{text}: {told}");
            }
        }
    }
}

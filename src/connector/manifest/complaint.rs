//! What a person is told about a component that cannot be read: a sentence that says what was expected, and a remedy.
//!
//! Owns the wording for components, kinds of values and missing fields, with the nearest known word where one is near. Refuses to
//! decide what is wrong: that is `reader`'s.

use super::reader::Component;
use crate::yaml::{Node, nearest};

pub(super) const LIST: &str = "write [one, two], or a line for each that begins with '- '";
pub(super) const TEXT: &str = "write one text, in quotes where it holds : { [ # or begins with a digit";
pub(super) const TRUTH: &str = "write true or false, without quotes";
pub(super) const NUMBER: &str = "write a number, without quotes";
pub(super) const COUNT: &str = "write a whole number such as 100, without quotes";
pub(super) const TEMPLATE: &str = "correct the template; docs/connectors.md has its names, functions and filters";

/// Where something else stands than a component.
pub(super) fn no_component(expected: &[&'static str], node: &Node) -> (String, String) {
    let what = match expected {
        ["DeclarativeSource"] => "the manifest",
        [_] => "a component",
        _ => "one of several components",
    };
    let message = format!("{what} is expected here, not {}", node.kind());
    let remedy = match expected {
        ["DeclarativeSource"] => {
            "begin with `type: DeclarativeSource`, `check:` and `streams:`; tidegate connector new NAME starts one"
                .to_owned()
        }
        [one] if one.starts_with(|c: char| c.is_ascii_uppercase()) => format!("write a table: {{ type: {one}, … }}"),
        [_] => "write a table: { key: value, … }".to_owned(),
        _ => format!("write a table with one of these as its `type`: {}", expected.join(", ")),
    };
    (message, remedy)
}

/// A component that names a Python class, by its type or its class.
pub(super) fn python(node: &Node, expected: &[&'static str]) -> (String, String) {
    let name = node.get("type").and_then(Node::text).filter(|name| name.starts_with("Custom"));
    let class = node.get("class_name").and_then(Node::text);
    let named = match (name, class) {
        (Some(name), Some(class)) => format!("'{name}' ({class})"),
        (Some(name), None) => format!("'{name}'"),
        (None, class) => format!("of the class '{}'", class.unwrap_or_default()),
    };
    let message = format!("the component {named} needs Python, which is not run here");
    let remedy = format!("say it with {}, or write a native connector for it", one_of(expected));
    (message, remedy)
}

/// A component whose type has no place here.
pub(super) fn unknown_component(name: &str, expected: &[&'static str]) -> (String, String) {
    let message = if name.is_empty() {
        "the component's `type` is no text".to_owned()
    } else {
        format!("the component '{name}' is not known here")
    };
    let remedy = match nearest(name, expected.iter().copied()) {
        Some(near) => format!("did you mean '{near}'? Known here: {}", expected.join(", ")),
        None => format!("known here: {}", expected.join(", ")),
    };
    (message, remedy)
}

/// An example of a field that is missing.
pub(super) fn example(key: &str, expected: &[&'static str]) -> String {
    match (key, expected) {
        ("check", _) => "add check: { type: CheckStream, stream_names: [NAME OF A STREAM] }".to_owned(),
        ("cursor_value", _) => {
            "say where the next page's token stands, e.g. cursor_value: \"{{ response.get('next') }}\"".to_owned()
        }
        ("api_token", _) => "give it from the connection's secret: api_token: \"{{ config['api_key'] }}\"".to_owned(),
        ("condition", _) => "give it, e.g. condition: \"{{ record['status'] == 'open' }}\"".to_owned(),
        (_, []) => format!("add `{key}: …` to the component"),
        (_, [one]) => format!("add {key}: {{ type: {one}, … }}"),
        (_, several) => format!("add {key}: {{ type: …, … }} with one of {}", several.join(", ")),
    }
}

/// The remedy for a word that is not among the known ones.
pub(super) fn choose(word: &str, known: &[&'static str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near}? Known: {}", known.join(", ")),
        None => format!("use one of {}", known.join(", ")),
    }
}

fn one_of(expected: &[&'static str]) -> String {
    match expected {
        [one] => (*one).to_owned(),
        several => format!("one of {}", several.join(", ")),
    }
}

impl Component<'_> {
    /// Says that a field is missing, and which one beside it may be meant.
    pub fn missing(&self, key: &'static str, remedy: &str) {
        let strange = self.node.entries().iter().map(|(have, _)| have.as_str()).filter(|have| !self.was_asked(have));
        let remedy = match nearest(key, strange.filter(|have| *have != "type" && !have.starts_with('$'))) {
            Some(near) => format!("did you mean it by '{near}'?"),
            None => remedy.to_owned(),
        };
        self.refuse(key, &format!("'{key}' is missing"), &remedy);
    }

    /// Refuses every key that nobody asked for: for tables of ours, where no other reader has a say.
    pub fn close(&self) {
        let asked = self.asked();
        for (key, node) in self.node.entries() {
            if self.was_asked(key) || key.starts_with('$') {
                continue;
            }
            let remedy = match nearest(key, asked.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("known here: {}", asked.join(", ")),
            };
            self.refuse_at(node, &self.at(key), &format!("'{key}' is not a known key"), &remedy);
        }
    }
}

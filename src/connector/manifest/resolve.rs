//! `$ref`: a manifest's pieces, put where they are used.
//!
//! Owns the walk. Any text that begins with `#/` is a reference, wherever it stands. A `$ref` with keys beside it is the piece
//! with those keys laid over it; where the piece is no table, the piece alone. Lines stay those of the text, so an error
//! points at the piece's own place.

use super::reader::Problems;
use crate::yaml::{Node, NodeValue, Problem, nearest};

/// A manifest that grows beyond this by its references is refused.
const MAX_NODES: usize = 2_000_000;
/// Their values belong to the configuration: a text that looks like a reference is none.
const HOLD_OPTIONS: &str = "config_overrides";

/// The tree without references.
pub(super) fn resolve(root: &Node, problems: &mut Problems) -> Node {
    let mut walk = Walk { root, open: Vec::new(), nodes: 0, problems };
    walk.node(root, "")
}

struct Walk<'a> {
    root: &'a Node,
    /// References that are being followed, to see a circle.
    open: Vec<String>,
    nodes: usize,
    problems: &'a mut Problems,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, path: &str) -> Node {
        self.nodes += 1;
        if self.nodes == MAX_NODES {
            let message = format!("the references make more than {MAX_NODES} pieces");
            self.refuse(node, path, message, "refer to fewer or smaller pieces");
        }
        if self.nodes >= MAX_NODES {
            return Node::null();
        }
        let value = match &node.value {
            NodeValue::List(items) => {
                let items = items.iter().enumerate().map(|(at, item)| self.node(item, &format!("{path}[{at}]")));
                NodeValue::List(items.collect())
            }
            NodeValue::Table(entries) => return self.table(node, entries, path),
            NodeValue::Text(text) if text.starts_with("#/") => return self.follow(node, text, path),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) => node.value.clone(),
        };
        Node { line: node.line, value }
    }

    fn table(&mut self, node: &Node, entries: &[(String, Node)], path: &str) -> Node {
        let mut out: Vec<(String, Node)> = Vec::new();
        let mut line = node.line;
        if let Some(reference) = node.get("$ref") {
            let piece = self.node(reference, path);
            if entries.len() == 1 || !matches!(piece.value, NodeValue::Table(_)) {
                return piece;
            }
            line = piece.line;
            let NodeValue::Table(pairs) = piece.value else { return Node::null() };
            out = pairs;
        }
        for (key, value) in entries.iter().filter(|(key, _)| key != "$ref") {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let value = if key == HOLD_OPTIONS { value.clone() } else { self.node(value, &at) };
            match out.iter_mut().find(|(have, _)| have == key) {
                Some((_, have)) => *have = value,
                None => out.push((key.clone(), value)),
            }
        }
        Node { line, value: NodeValue::Table(out) }
    }

    fn follow(&mut self, at: &Node, reference: &str, path: &str) -> Node {
        if self.open.iter().any(|open| open == reference) {
            let from = self.open.iter().position(|open| open == reference).unwrap_or(0);
            let way: Vec<&str> = self.open[from..].iter().map(String::as_str).chain([reference]).collect();
            let message = format!("the reference '{reference}' leads back to itself: {}", way.join(" -> "));
            self.refuse(at, path, message, "write out one of them");
            return Node::null();
        }
        let found = reference.strip_prefix("#/").and_then(|pointer| find(self.root, pointer));
        let Some(target) = found else {
            let remedy = near(self.root, reference).map_or_else(
                || "write the path of keys from the top of the manifest, e.g. #/definitions/NAME".to_owned(),
                |near| format!("did you mean '{near}'?"),
            );
            self.refuse(at, path, format!("the reference '{reference}' leads nowhere"), &remedy);
            return Node::null();
        };
        self.open.push(reference.to_owned());
        let node = self.node(target, path);
        self.open.pop();
        node
    }

    /// A piece that is used at many places is one problem of its line, told once.
    fn refuse(&mut self, at: &Node, path: &str, message: String, remedy: &str) {
        self.problems.push(Problem::new(at.line, path, message, remedy));
    }
}

/// The reference that is most like one that leads nowhere: its first wrong part exchanged for the nearest key.
fn near(root: &Node, reference: &str) -> Option<String> {
    let mut node = root;
    let parts: Vec<&str> = reference.strip_prefix("#/")?.split('/').collect();
    for (at, part) in parts.iter().enumerate() {
        if let Some(inner) = node.get(part) {
            node = inner;
            continue;
        }
        let found = nearest(part, node.entries().iter().map(|(key, _)| key.as_str()))?;
        let mended = parts[..at].iter().chain([&found]).chain(&parts[at + 1..]).copied().collect::<Vec<_>>().join("/");
        return find(root, &mended).is_some().then(|| format!("#/{mended}"));
    }
    None
}

/// At each table the whole rest of the pointer is tried as one key (a key may hold slashes), then its first part.
fn find<'n>(mut node: &'n Node, mut pointer: &str) -> Option<&'n Node> {
    while !pointer.is_empty() {
        if let Some(whole) = node.get(pointer) {
            return Some(whole);
        }
        let (head, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
        node = match &node.value {
            NodeValue::List(items) => {
                let index: i64 = head.trim().parse().ok()?;
                let from_end =
                    || usize::try_from(index.unsigned_abs()).ok().and_then(|back| items.len().checked_sub(back));
                let index = if index < 0 { from_end()? } else { usize::try_from(index).ok()? };
                items.get(index)?
            }
            _ => node.get(head)?,
        };
        pointer = rest;
    }
    Some(node)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::yaml::{self, Dialect};

    fn resolved(text: &str) -> Result<Value, String> {
        let tree = yaml::parse(text, Dialect::Yaml11).unwrap();
        let mut problems = Vec::new();
        let node = resolve(&tree, &mut problems);
        problems.first().map_or_else(|| Ok(node.to_json()), |problem| Err(problem.message.clone()))
    }

    /// Recorded from the format's own reader.
    #[test]
    fn references_come_out_as_the_format_has_them() {
        for (text, expected) in [
            (
                "a: {x: 1, y: 2}\nb: {$ref: '#/a', y: 3, z: 4}",
                json!({"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3, "z": 4}}),
            ),
            ("a: 5\nb: {$ref: '#/a', y: 3}", json!({"a": 5, "b": 5})),
            ("a: 5\nb: '#/a'", json!({"a": 5, "b": 5})),
            ("n: {p: first}\nn/p: uh\nv: '#/n/p'", json!({"n": {"p": "first"}, "n/p": "uh", "v": "uh"})),
            ("n: {a/b: 1, a: {b: 2}}\nv: '#/n/a/b'", json!({"n": {"a/b": 1, "a": {"b": 2}}, "v": 1})),
            ("l: [1, {k: 2}]\nv: '#/l/1/k'\nw: '#/l/-1'", json!({"l": [1, {"k": 2}], "v": 2, "w": {"k": 2}})),
            (
                "a: {b: {$ref: '#/c'}}\nc: {d: 1}\ne: '#/a/b'",
                json!({"a": {"b": {"d": 1}}, "c": {"d": 1}, "e": {"d": 1}}),
            ),
            ("a: [x]\nb: [{$ref: '#/a'}]", json!({"a": ["x"], "b": [["x"]]})),
            ("config_overrides: {x: '#/none'}", json!({"config_overrides": {"x": "#/none"}})),
            ("a: 1\n$parameters: {p: '#/a'}", json!({"a": 1, "$parameters": {"p": 1}})),
        ] {
            assert_eq!(resolved(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn circles_and_references_to_nothing_are_named() {
        for (text, part) in [
            ("a: '#/b'\nb: '#/a'", "leads back to itself"),
            ("a: {$ref: '#/a'}", "leads back to itself"),
            ("a: '#/gone'", "leads nowhere"),
            ("a: {b: 1}\nc: '#/a/b/d/e'", "leads nowhere"),
            ("a/b: {c: 1}\nv: '#/a/b/c'", "leads nowhere"),
        ] {
            let message = resolved(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}

//! `$ref`: a manifest's pieces, put where they are used.
//!
//! Owns the walk. A reference with keys beside it is the piece with those keys laid over it. Lines stay those of the text,
//! so an error points at the piece's own place.

use super::reader::Problems;
use crate::yaml::{Node, NodeValue, Problem};

/// A manifest that grows beyond this by its references is refused.
const MAX_NODES: usize = 2_000_000;

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
            self.refuse(node, path, format!("the references make more than {MAX_NODES} pieces"));
        }
        if self.nodes >= MAX_NODES {
            return Node::null();
        }
        let value = match &node.value {
            NodeValue::List(items) => {
                let items = items.iter().enumerate().map(|(at, item)| self.node(item, &format!("{path}[{at}]")));
                NodeValue::List(items.collect())
            }
            NodeValue::Table(entries) => return self.map(node, entries, path),
            NodeValue::Text(text) if text.starts_with("#/") => return self.follow(node, text, path),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) => node.value.clone(),
        };
        Node { line: node.line, value }
    }

    fn map(&mut self, node: &Node, entries: &[(String, Node)], path: &str) -> Node {
        let mut out: Vec<(String, Node)> = Vec::new();
        let mut line = node.line;
        if let Some(reference) = node.get("$ref") {
            let piece = match reference.text() {
                Some(text) => self.follow(reference, text, path),
                None => {
                    self.refuse(reference, path, "$ref is not text".to_owned());
                    Node::null()
                }
            };
            if entries.len() == 1 {
                return piece;
            }
            line = piece.line;
            out.extend(piece.entries().iter().cloned());
        }
        for (key, value) in entries.iter().filter(|(key, _)| key != "$ref") {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let value = self.node(value, &at);
            match out.iter_mut().find(|(have, _)| have == key) {
                Some((_, have)) => *have = value,
                None => out.push((key.clone(), value)),
            }
        }
        Node { line, value: NodeValue::Table(out) }
    }

    fn follow(&mut self, at: &Node, reference: &str, path: &str) -> Node {
        if self.open.iter().any(|open| open == reference) {
            self.refuse(at, path, format!("the reference '{reference}' leads back to itself"));
            return Node::null();
        }
        let found = reference.strip_prefix("#/").and_then(|pointer| find(self.root, pointer));
        let Some(target) = found else {
            self.refuse(at, path, format!("the reference '{reference}' leads nowhere"));
            return Node::null();
        };
        self.open.push(reference.to_owned());
        let node = self.node(target, path);
        self.open.pop();
        node
    }

    fn refuse(&mut self, at: &Node, path: &str, message: String) {
        self.problems.push(Problem::new(at.line, path, message, "correct the reference"));
    }
}

/// A key may itself hold slashes: the longest that fits is taken first.
fn find<'n>(node: &'n Node, pointer: &str) -> Option<&'n Node> {
    if let NodeValue::List(items) = &node.value {
        let (index, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
        let item = items.get(index.parse::<usize>().ok()?)?;
        return if rest.is_empty() { Some(item) } else { find(item, rest) };
    }
    if let Some(whole) = node.get(pointer) {
        return Some(whole);
    }
    let splits = pointer.match_indices('/').map(|(at, _)| at).rev();
    splits.filter_map(|at| find(node.get(&pointer[..at])?, &pointer[at + 1..])).next()
}

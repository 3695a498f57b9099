//! A table of a document, read key by key so that all problems are found at once.
//!
//! Owns what is said about a key that is missing, of the wrong kind, or unknown: a key that nobody asked for is a problem,
//! with the nearest one that was asked for.

use super::{Node, NodeValue, Problem};

/// A table being read: remembers which keys were asked for.
pub struct Table<'n> {
    entries: &'n [(String, Node)],
    pub line: Option<u64>,
    path: String,
    asked: Vec<&'static str>,
}

impl<'n> Table<'n> {
    /// Opens a node as a table; says so when it is none. `path` is empty for the document.
    pub fn open(node: &'n Node, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        match &node.value {
            NodeValue::Table(entries) => {
                Some(Self { entries, line: node.line, path: path.to_owned(), asked: Vec::new() })
            }
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) | NodeValue::List(_) => {
                problems.push(Problem::new(
                    node.line,
                    path,
                    format!("a table of keys is expected, this is {}", node.kind()),
                    "write `key: value` lines",
                ));
                None
            }
        }
    }

    /// The full path of a key of this table.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where a key stands; the table's own line when it is absent.
    pub fn line_of(&self, key: &str) -> Option<u64> {
        self.entries.iter().find(|(name, _)| name == key).map_or(self.line, |(_, node)| node.line)
    }

    pub fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The key's text; `None` when absent, null or (with a problem) not text.
    pub fn text(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<String> {
        let node = self.get(key)?;
        if node.value == NodeValue::Null {
            return None;
        }
        let text = node.scalar_text();
        if text.is_none() {
            let message = format!("text is expected, this is {}", node.kind());
            problems.push(Problem::new(node.line, &self.path(key), message, "write the value in quotes"));
        }
        text
    }

    /// As [`Table::text`], and absent or blank is a problem too.
    pub fn required_text(
        &mut self,
        key: &'static str,
        remedy: &'static str,
        problems: &mut Vec<Problem>,
    ) -> Option<String> {
        let before = problems.len();
        let text = self.text(key, problems).filter(|text| !text.trim().is_empty());
        if text.is_none() && problems.len() == before {
            let line = self.get(key).map_or(self.line, |node| node.line);
            problems.push(Problem::new(line, &self.path(key), "is required", remedy));
        }
        text
    }

    pub fn bool(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<bool> {
        let node = self.get(key)?;
        if let NodeValue::Bool(truth) = node.value {
            return Some(truth);
        }
        problems.push(Problem::new(
            node.line,
            &self.path(key),
            format!("true or false is expected, this is {}", node.kind()),
            "write true or false, without quotes",
        ));
        None
    }

    /// The key's items; one scalar counts as a list of one. Empty when absent.
    pub fn items(&mut self, key: &'static str) -> Vec<&'n Node> {
        match self.get(key) {
            None | Some(Node { value: NodeValue::Null, .. }) => Vec::new(),
            Some(Node { value: NodeValue::List(items), .. }) => items.iter().collect(),
            Some(node) => vec![node],
        }
    }

    /// The key's items as texts, each one that is not text being a problem.
    pub fn texts(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Vec<String> {
        let path = self.path(key);
        let mut texts = Vec::new();
        for (index, node) in self.items(key).into_iter().enumerate() {
            match node.scalar_text() {
                Some(text) => texts.push(text),
                None => problems.push(Problem::new(
                    node.line,
                    &format!("{path}[{index}]"),
                    format!("text is expected, this is {}", node.kind()),
                    "write a list of texts",
                )),
            }
        }
        texts
    }

    /// The key's table as pairs; empty when absent.
    pub fn pairs(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> &'n [(String, Node)] {
        let path = self.path(key);
        self.get(key).and_then(|node| Table::open(node, &path, problems)).map_or(&[], |table| table.entries)
    }

    /// Every key that was not asked for is a problem, with the nearest one that was.
    pub fn finish(self, problems: &mut Vec<Problem>) {
        for (key, node) in self.entries {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let remedy = match nearest(key, self.asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let mut known = self.asked.clone();
                    known.sort_unstable();
                    known.dedup();
                    format!("known keys: {}", known.join(", "))
                }
            };
            problems.push(Problem::new(node.line, &self.path(key), "is not a known key", remedy));
        }
    }
}

/// The known word that is most like `word`, when one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.78;
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= NEAR_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Dialect, parse};

    #[test]
    fn a_key_that_nobody_asked_for_is_named_with_the_nearest() {
        let root = parse("versoin: 1\nstream: a\n", Dialect::Strict).unwrap();
        let mut problems = Vec::new();
        let mut table = Table::open(&root, "", &mut problems).unwrap();
        table.get("version");
        table.get("stream");
        table.finish(&mut problems);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), "line 1: versoin: is not a known key; did you mean `version`?");
    }
}

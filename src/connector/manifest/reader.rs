//! Reading components: typed access to a node, with everything that is wrong collected and nothing skipped.
//!
//! Owns the refusals: an unknown component, a component that needs Python, an unknown key, a wrong kind of value. `$parameters`
//! have become fields before (`propagate`); here they are what templates know as `parameters`.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, LazyLock},
};

use serde_json::Value;

use super::{
    complaint,
    engine::{Engine, Template, Use},
};
use crate::yaml::{Node, NodeValue, Problem};

/// Everything that was found so far.
pub(super) type Problems = Vec<Problem>;

/// What all components of one load share.
#[derive(Default)]
pub(super) struct Load {
    pub engine: RefCell<Engine>,
    pub problems: RefCell<Problems>,
    /// What is odd and hinders nobody: above all keys that the format itself does not know, which every reader leaves out.
    pub notices: RefCell<Problems>,
}

/// The format's components and their keys. A component that does not stand here is ours, and knows what it is asked for.
static FORMAT_KEYS: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let lines = include_str!("format_keys.txt").lines().filter(|line| !line.starts_with('#'));
    let words = lines.map(str::split_whitespace);
    words.filter_map(|mut words| Some((words.next()?, words.collect()))).collect()
});

/// Keys that any component may have and that change nothing for us.
const TOLERATED: [&str; 5] = ["type", "$parameters", "$options", "linked", "x-tidegate"];

/// One component of a manifest, being read.
pub(super) struct Component<'n> {
    pub node: &'n Node,
    pub path: String,
    pub load: &'n Load,
    kind: &'static str,
    parameters: Arc<Value>,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'n> Component<'n> {
    /// The manifest itself.
    pub fn root(node: &'n Node, load: &'n Load) -> Self {
        Self { node, path: String::new(), load, kind: "", parameters: no_parameters(), known: RefCell::default() }
    }

    /// Opens a component below this one. Where `type` is missing, the first expected one is meant.
    pub fn open(&self, node: &'n Node, path: String, expected: &[&'static str]) -> Option<(&'static str, Self)> {
        if !matches!(node.value, NodeValue::Table(_)) {
            let (message, remedy) = complaint::no_component(expected, node);
            self.refuse_at(node, &path, &message, &remedy);
            return None;
        }
        let name = node.get("type").map_or(Some(expected[0]), Node::text).unwrap_or("");
        if name.starts_with("Custom") || node.get("class_name").is_some() {
            let (message, remedy) = complaint::python(node, expected);
            self.refuse_at(node, &path, &message, &remedy);
            return None;
        }
        let Some(known) = expected.iter().find(|known| **known == name) else {
            let (message, remedy) = complaint::unknown_component(name, expected);
            self.refuse_at(node, &path, &message, &remedy);
            return None;
        };
        let parameters = node.get("$parameters").map_or_else(no_parameters, |given| Arc::new(given.to_json()));
        Some((known, Component { node, path, load: self.load, kind: known, parameters, known: RefCell::default() }))
    }

    /// Tells components apart by all that they say: references and parameters were put in their place before.
    pub fn definition(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.node.to_json().to_string().hash(&mut hasher);
        hasher.finish()
    }

    /// Opens the component in that field; a missing one is a problem when `required`.
    pub fn child(&self, key: &'static str, expected: &[&'static str], required: bool) -> Option<(&'static str, Self)> {
        match self.field(key) {
            Some(node) => self.open(node, self.at(key), expected),
            None => {
                if required {
                    self.missing(key, &complaint::example(key, expected));
                }
                None
            }
        }
    }

    /// Opens each component of the list in that field.
    pub fn children(&self, key: &'static str, expected: &[&'static str]) -> Vec<(&'static str, Self)> {
        let items = self.list(key);
        items
            .into_iter()
            .enumerate()
            .filter_map(|(i, n)| self.open(n, format!("{}[{i}]", self.at(key)), expected))
            .collect()
    }

    /// The field's node. An explicit null is none.
    pub fn field(&self, key: &'static str) -> Option<&'n Node> {
        self.known.borrow_mut().insert(key);
        self.node.get(key).filter(|node| node.value != NodeValue::Null)
    }

    /// Says that a key may stand here and changes nothing, or is read elsewhere.
    pub fn tolerate(&self, key: &'static str) {
        self.known.borrow_mut().insert(key);
    }

    /// The items of the list in that field; a missing one has none.
    pub fn list(&self, key: &'static str) -> Vec<&'n Node> {
        match self.field(key) {
            None => Vec::new(),
            Some(Node { value: NodeValue::List(items), .. }) => items.iter().collect(),
            Some(other) => {
                self.refuse_at(
                    other,
                    &self.at(key),
                    &format!("a list is expected, not {}", other.kind()),
                    complaint::LIST,
                );
                Vec::new()
            }
        }
    }

    pub fn text(&self, key: &'static str) -> Option<&'n str> {
        let node = self.field(key)?;
        if node.text().is_none() {
            self.refuse_at(node, &self.at(key), &format!("text is expected, not {}", node.kind()), complaint::TEXT);
        }
        node.text()
    }

    pub fn truth(&self, key: &'static str) -> bool {
        match self.field(key) {
            None => false,
            Some(Node { value: NodeValue::Bool(truth), .. }) => *truth,
            Some(other) => {
                self.refuse_at(
                    other,
                    &self.at(key),
                    &format!("true or false is expected, not {}", other.kind()),
                    complaint::TRUTH,
                );
                false
            }
        }
    }

    pub fn number(&self, key: &'static str) -> Option<f64> {
        let node = self.field(key)?;
        let NodeValue::Number(number) = &node.value else {
            self.refuse_at(
                node,
                &self.at(key),
                &format!("a number is expected, not {}", node.kind()),
                complaint::NUMBER,
            );
            return None;
        };
        number.as_f64()
    }

    pub fn count(&self, key: &'static str) -> Option<u64> {
        let node = self.field(key)?;
        let NodeValue::Number(number) = &node.value else {
            self.refuse_at(
                node,
                &self.at(key),
                &format!("a whole number is expected, not {}", node.kind()),
                complaint::COUNT,
            );
            return None;
        };
        if number.as_u64().is_none() {
            self.refuse_at(node, &self.at(key), "a whole number from 0 is expected", complaint::COUNT);
        }
        number.as_u64()
    }

    /// The field as a template; numbers and truth values are taken as their text.
    pub fn template(&self, key: &'static str, required: bool) -> Option<Template> {
        match self.field(key) {
            Some(node) => self.compile(node, &self.at(key)),
            None => {
                if required {
                    self.missing(key, &complaint::example(key, &[]));
                }
                None
            }
        }
    }

    /// The field as a condition: one that names what is not there does not hold.
    pub fn condition(&self, key: &'static str, required: bool) -> Option<Template> {
        match self.field(key) {
            Some(node) => self.compile_for(Use::Condition, node, &self.at(key)),
            None => {
                if required {
                    self.refuse(key, &format!("'{key}' is missing"), "");
                }
                None
            }
        }
    }

    /// A template of ours, where the format has a default.
    pub fn constant(&self, text: &str) -> Option<Template> {
        self.load.engine.borrow_mut().compile(text, &self.path, &self.parameters).ok()
    }

    pub fn compile(&self, node: &Node, path: &str) -> Option<Template> {
        self.compile_for(Use::Value, node, path)
    }

    /// As [`Component::compile`], for what the template is used as.
    pub fn compile_for(&self, wanted: Use, node: &Node, path: &str) -> Option<Template> {
        let text = match &node.value {
            NodeValue::Text(text) => text.clone(),
            NodeValue::Number(_) | NodeValue::Bool(_) | NodeValue::Null => super::python::to_text(&node.to_json()),
            NodeValue::List(_) | NodeValue::Table(_) => {
                self.refuse_at(node, path, &format!("text is expected, not {}", node.kind()), complaint::TEXT);
                return None;
            }
        };
        match self.load.engine.borrow_mut().compile_for(wanted, &text, path, &self.parameters) {
            Ok(template) => {
                if template.is_refused() {
                    let message = "'stream_state' is no longer known in templates; what needs this one fails";
                    self.tell(node, path, message.to_owned(), "use 'stream_interval' instead".to_owned());
                }
                Some(template)
            }
            Err(message) => {
                self.refuse_at(node, path, &message, complaint::TEMPLATE);
                None
            }
        }
    }

    /// Whether somebody asked for that field.
    pub fn was_asked(&self, key: &str) -> bool {
        self.known.borrow().contains(key)
    }

    /// All fields that somebody asked for.
    pub fn asked(&self) -> Vec<&'static str> {
        self.known.borrow().iter().copied().collect()
    }

    /// The path of a field of this component.
    pub fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Something is wrong with that field.
    pub fn refuse(&self, key: &str, message: &str, remedy: &str) {
        let node = self.node.get(key).unwrap_or(self.node);
        self.refuse_at(node, &self.at(key), message, remedy);
    }

    pub fn refuse_at(&self, node: &Node, path: &str, message: &str, remedy: &str) {
        let line = node.line.or(self.node.line);
        let remedy = if remedy.is_empty() { "docs/connectors.md has what may stand here" } else { remedy };
        let problem = Problem::new(line, path, message, remedy);
        let mut problems = self.load.problems.borrow_mut();
        // One piece that is used by many streams is one problem of its line, told once.
        if !problems.iter().any(|have| have.line == problem.line && have.message == problem.message && line.is_some()) {
            problems.push(problem);
        }
    }

    /// Refuses every key that the format knows and nobody asked for: what is not understood must not be left out in
    /// silence. A key that the format itself does not know is left out and told. Keys in `harmless` change nothing
    /// about what is read.
    pub fn finish(&self, harmless: &[&str]) {
        let format = FORMAT_KEYS.get(self.kind);
        for (key, node) in self.node.entries() {
            let key = key.as_str();
            let known = self.known.borrow().contains(key) || TOLERATED.contains(&key) || harmless.contains(&key);
            // A parameter becomes a field of every component below, wanted or not.
            if known || self.parameters.get(key).is_some() {
                continue;
            }
            match format {
                Some(keys) if !keys.contains(&key) => self.leave_out(key, node, keys),
                _ => {
                    let message = format!("'{key}' is not supported here in this version");
                    self.refuse_at(node, &self.at(key), &message, "leave it out, or wait for its support");
                }
            }
        }
    }

    fn leave_out(&self, key: &str, node: &Node, keys: &[&'static str]) {
        let message = format!("'{key}' is no key of {} and is left out", self.kind);
        let remedy = match crate::yaml::nearest(key, keys.iter().copied()) {
            Some(meant) => format!("did you mean '{meant}'? else take it away"),
            None => format!("take it away; known: {}", keys.join(", ")),
        };
        self.tell(node, &self.at(key), message, remedy);
    }

    /// Something is odd with that field, and the manifest is read all the same.
    pub fn tell_of(&self, key: &str, message: &str, remedy: &str) {
        let node = self.node.get(key).unwrap_or(self.node);
        self.tell(node, &self.at(key), message.to_owned(), remedy.to_owned());
    }

    fn tell(&self, node: &Node, path: &str, message: String, remedy: String) {
        let notice = Problem::new(node.line.or(self.node.line), path, message, remedy);
        let mut notices = self.load.notices.borrow_mut();
        if !notices.iter().any(|have| have.line == notice.line && have.message == notice.message) {
            notices.push(notice);
        }
    }
}

fn no_parameters() -> Arc<Value> {
    Arc::new(Value::Object(serde_json::Map::new()))
}

//! Reading `file.yaml`: which files a folder's connections bring, and how they are written.

use crate::connector::{
    StreamSpec,
    manifest::{
        Problem,
        yaml::{self, Kind, Node},
    },
};
use crate::domain::status::SyncMode;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
    Csv { delimiter: u8 },
    JsonLines,
}

/// One declared stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FileStream {
    pub name: String,
    pub format: FileFormat,
    pub primary_key: Vec<String>,
}

/// A declared file source. Cheap enough to clone for each connection.
#[derive(Debug, Clone)]
pub struct FileSource {
    pub provider_key: Option<String>,
    pub name: Option<String>,
    pub category: Option<String>,
    pub(super) streams: Vec<FileStream>,
    pub(super) specs: Vec<StreamSpec>,
}

impl FileSource {
    /// Reads a `file.yaml`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(text: &str) -> Result<Self, Vec<Problem>> {
        let tree = yaml::parse(text).map_err(|error| {
            let remedy = "correct the YAML".to_owned();
            vec![Problem { path: String::new(), line: error.line, message: error.message, remedy }]
        })?;
        let mut reading = Reading(Vec::new());
        reading.keys(&tree, "", &["provider_key", "name", "category", "streams"]);
        let mut streams = Vec::new();
        match tree.get("streams").map(|node| &node.kind) {
            Some(Kind::List(items)) if !items.is_empty() => {
                for (at, node) in items.iter().enumerate() {
                    streams.extend(reading.stream(node, &format!("streams[{at}]")));
                }
            }
            _ => reading.problem(&tree, "streams", "a list of streams is expected"),
        }
        let text = |key| tree.get(key).and_then(Node::text).map(str::to_owned);
        if !reading.0.is_empty() {
            return Err(reading.0);
        }
        let spec = |stream: &FileStream| StreamSpec {
            name: stream.name.clone(),
            primary_key: stream.primary_key.iter().map(|name| vec![name.clone()]).collect(),
            sync_modes: vec![SyncMode::FullRefresh],
            cursor_field: None,
            json_schema: None,
        };
        let specs = streams.iter().map(spec).collect();
        let (provider_key, name, category) = (text("provider_key"), text("name"), text("category"));
        Ok(Self { provider_key, name, category, streams, specs })
    }

    pub fn streams(&self) -> &[StreamSpec] {
        &self.specs
    }
}

struct Reading(Vec<Problem>);

impl Reading {
    fn problem(&mut self, node: &Node, path: &str, message: &str) {
        let remedy = "correct the file".to_owned();
        self.0.push(Problem { path: path.to_owned(), line: node.line, message: message.to_owned(), remedy });
    }

    fn keys(&mut self, node: &Node, path: &str, known: &[&str]) {
        if !matches!(node.kind, Kind::Map(_)) {
            self.problem(node, path, "a map is expected");
        }
        for (key, value) in node.entries().iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.problem(value, &path, &format!("'{key}' is not known here; known: {}", known.join(", ")));
        }
    }

    fn stream(&mut self, node: &Node, path: &str) -> Option<FileStream> {
        self.keys(node, path, &["name", "format", "primary_key", "delimiter", "encoding"]);
        let text = |key: &str| node.get(key).and_then(Node::text);
        if text("name").is_none() {
            self.problem(node, path, "'name' is missing");
        }
        if text("encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
            self.problem(node, &format!("{path}.encoding"), "only utf-8 is read in this version; convert the file");
        }
        let delimiter = match text("delimiter") {
            None => Some(b','),
            Some(text) => match *text.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(byte),
                _ => None,
            },
        };
        if delimiter.is_none() {
            self.problem(node, &format!("{path}.delimiter"), "one ASCII character is expected");
        }
        let format = match text("format") {
            Some("csv") => delimiter.map(|delimiter| FileFormat::Csv { delimiter }),
            Some("jsonl") => Some(FileFormat::JsonLines),
            _ => {
                self.problem(node, &format!("{path}.format"), "csv or jsonl is expected");
                None
            }
        };
        let key = node.get("primary_key").map(|node| match &node.kind {
            Kind::Text(text) => Some(vec![text.clone()]),
            Kind::List(items) => items.iter().map(|item| item.text().map(str::to_owned)).collect(),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Map(_) => None,
        });
        let key = key.flatten().filter(|key| !key.is_empty());
        if key.is_none() {
            self.problem(node, &format!("{path}.primary_key"), "a column or a list of columns is expected");
        }
        Some(FileStream { name: text("name")?.to_owned(), format: format?, primary_key: key? })
    }
}

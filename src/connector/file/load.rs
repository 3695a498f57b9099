//! Reading `file.yaml`: which files a folder's connections bring, and how they are written.

use crate::{
    connector::StreamSpec,
    domain::status::SyncMode,
    yaml::{self, Dialect, Problem, Table},
};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
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
        let tree = yaml::parse(text, Dialect::Strict).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let source = Table::open(&tree, "", &mut problems).map(|table| source(table, &mut problems));
        match source {
            Some(source) if problems.is_empty() => Ok(source),
            Some(_) | None => Err(problems),
        }
    }

    pub fn streams(&self) -> &[StreamSpec] {
        &self.specs
    }
}

fn source(mut table: Table<'_>, problems: &mut Vec<Problem>) -> FileSource {
    let mut text = |key| table.text(key, problems);
    let (provider_key, name, category) = (text("provider_key"), text("name"), text("category"));
    let items = table.items("streams");
    if items.is_empty() {
        let remedy = "list at least one stream with name, format and primary_key";
        problems.push(Problem::new(table.line, "streams", "a list of streams is expected", remedy));
    }
    let mut streams: Vec<FileStream> = Vec::new();
    for (at, node) in items.into_iter().enumerate() {
        let path = format!("streams[{at}]");
        let found = Table::open(node, &path, problems).and_then(|table| stream(table, problems));
        if let Some(twice) = found.as_ref().filter(|found| streams.iter().any(|have| have.name == found.name)) {
            let message = format!("two streams are called '{}'", twice.name);
            problems.push(Problem::new(node.line, &path, message, "give one of them another name"));
        }
        streams.extend(found);
    }
    table.finish(problems);
    let spec = |stream: &FileStream| StreamSpec {
        name: stream.name.clone(),
        primary_key: stream.primary_key.iter().map(|name| vec![name.clone()]).collect(),
        sync_modes: vec![SyncMode::FullRefresh],
        cursor_field: None,
        json_schema: None,
    };
    let specs = streams.iter().map(spec).collect();
    FileSource { provider_key, name, category, streams, specs }
}

fn stream(mut table: Table<'_>, problems: &mut Vec<Problem>) -> Option<FileStream> {
    let line = table.line;
    let name = table.required_text("name", "name it as jobs and field maps call it", problems);
    if table.text("encoding", problems).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
        let message = "only utf-8 is read in this version";
        problems.push(Problem::new(line, &table.path("encoding"), message, "convert the file"));
    }
    let delimiter = table.text("delimiter", problems);
    let byte = match delimiter.as_deref().unwrap_or(",").as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(*byte),
        _ => None,
    };
    if byte.is_none() {
        let message = "one ASCII character is expected that is neither a quote nor a line end";
        problems.push(Problem::new(line, &table.path("delimiter"), message, "write e.g. \",\" or \";\" or \"\\t\""));
    }
    let format = match table.text("format", problems).as_deref() {
        Some("csv") => byte.map(|delimiter| FileFormat::Csv { delimiter }),
        Some("jsonl") if delimiter.is_some() => {
            let message = "has no meaning for jsonl: each line is one JSON object";
            problems.push(Problem::new(line, &table.path("delimiter"), message, "leave it out"));
            None
        }
        Some("jsonl") => Some(FileFormat::JsonLines),
        Some(_) | None => {
            let message = "csv or jsonl is expected";
            problems.push(Problem::new(line, &table.path("format"), message, "write csv or jsonl"));
            None
        }
    };
    let primary_key = table.texts("primary_key", problems);
    if primary_key.is_empty() {
        let message = "a column or a list of columns is expected";
        let remedy = "name what tells one row from another; a row without it is a dead letter";
        problems.push(Problem::new(line, &table.path("primary_key"), message, remedy));
    }
    table.finish(problems);
    Some(FileStream { name: name?, format: format?, primary_key })
}

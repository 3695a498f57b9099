//! One page of one file.
//!
//! Owns reading a bounded stretch from a byte offset and making items of it. A page is a function of the position: offset,
//! line, and the file's identity, so that a file that is changed meanwhile is noticed and not mixed.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    load::{FileFormat, FileStream},
    rows::{self, Cut, MAX_ROW_BYTES},
};
use crate::{
    connector::{ConnectorError, ErrorKind, Page, external_id::external_id},
    domain::{
        cursor::Position,
        record::{BrokenItem, Item, RawRecord},
    },
};

/// Records of one page.
const PAGE_RECORDS: usize = 500;
/// Bytes of one page; several of the longest rows fit.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes at the beginning of the file that stand for its content.
const HEAD_BYTES: usize = 4096;
/// Characters of a broken row that are kept.
const MAX_BROKEN_CHARS: usize = 2_000;
const BOM: &[u8] = b"\xef\xbb\xbf";
const VERSION: u32 = 1;

/// Where the next row begins, and in which file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    v: u32,
    offset: u64,
    /// Of the next row, from 1.
    line: u64,
    /// The rest of the current line belongs to a row that was too long.
    skipping: bool,
    file: Identity,
}

/// What tells one content of a file from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    size: u64,
    modified_micros: i64,
    head: String,
}

fn expired(message: &str) -> ConnectorError {
    ConnectorError::new(ErrorKind::PositionExpired, message)
}

fn unreadable(path: &Path, error: std::io::Error) -> ConnectorError {
    let message = format!("the file {} cannot be read; correct the option 'path' or the file's rights", path.display());
    ConnectorError::new(ErrorKind::Settings, message).caused_by(error)
}

/// A file, opened, with its header.
struct Opened {
    file: File,
    identity: Identity,
    /// Column names; empty for JSON lines.
    header: Vec<String>,
    /// Where the first row of data begins.
    start: (u64, u64),
}

/// Reads one page. `limit` makes it smaller. Also gives how many bytes were read.
pub(super) fn read(
    path: &Path,
    stream: &FileStream,
    position: Option<&Position>,
    limit: Option<usize>,
) -> Result<(Page, usize), ConnectorError> {
    let io = |error| unreadable(path, error);
    let mut opened = open(path, stream)?;
    let place = match position {
        None => {
            let (offset, line) = opened.start;
            Place { v: VERSION, offset, line, skipping: false, file: opened.identity.clone() }
        }
        Some(position) => {
            let place: Place = serde_json::from_value(position.0.clone())
                .map_err(|_| expired("the position is of another version; begin the file again"))?;
            if place.v != VERSION || place.file != opened.identity {
                return Err(expired("the file was changed while it was read; begin it again"));
            }
            place
        }
    };
    opened.file.seek(SeekFrom::Start(place.offset)).map_err(io)?;
    let mut stretch = Vec::new();
    opened.file.by_ref().take(PAGE_BYTES as u64).read_to_end(&mut stretch).map_err(io)?;
    let last = place.offset + stretch.len() as u64 >= opened.identity.size;
    let most = limit.map_or(PAGE_RECORDS, |limit| limit.clamp(1, PAGE_RECORDS));
    let first_line = place.line;
    let mut walk = Walk { stream, header: &opened.header, stretch: &stretch, last, at: 0, place, items: Vec::new() };
    walk.run(most);
    let Walk { at, place, items, .. } = walk;
    let done = last && at >= stretch.len();
    let story =
        format!("{} lines {first_line}..{}: {} records", stream.name, place.line.saturating_sub(1), items.len());
    let next = (!done).then(|| Position(serde_json::to_value(&place).unwrap_or(Value::Null)));
    let page = Page { items, next, resumable: true, cursor: None, window: None, provider_total: None, story };
    Ok((page, at))
}

fn open(path: &Path, stream: &FileStream) -> Result<Opened, ConnectorError> {
    let io = |error| unreadable(path, error);
    // Asked before it is opened: opening a pipe would wait for somebody who writes.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        let message = format!("{} is not a file; correct the option 'path'", path.display());
        return Err(ConnectorError::new(ErrorKind::Settings, message));
    }
    let mut file = File::open(path).map_err(io)?;
    let facts = file.metadata().map_err(io)?;
    let modified = facts.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let modified_micros = modified.and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(0);
    let mut head = Vec::new();
    file.by_ref().take(MAX_ROW_BYTES as u64).read_to_end(&mut head).map_err(io)?;
    let hash = Sha256::digest(&head[..head.len().min(HEAD_BYTES)]);
    let identity = Identity {
        size: facts.len(),
        modified_micros,
        head: hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
    };
    let bom = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let (header, start) = match stream.format {
        FileFormat::JsonLines => (Vec::new(), (bom as u64, 1)),
        FileFormat::Csv { delimiter } => {
            let whole = head.len() as u64 == facts.len();
            let (header, bytes, lines) = header(&head[bom..], whole, delimiter, path, stream)?;
            (header, ((bom + bytes) as u64, 1 + lines))
        }
    };
    Ok(Opened { file, identity, header, start })
}

/// The names of the columns, and how much of the file they take.
fn header(
    head: &[u8],
    whole: bool,
    delimiter: u8,
    path: &Path,
    stream: &FileStream,
) -> Result<(Vec<String>, usize, u64), ConnectorError> {
    let broken = |what: &str| {
        let message = format!("{} line 1: {what}", path.display());
        ConnectorError::new(ErrorKind::Decode, message)
    };
    let Cut::Row { bytes, lines } = rows::cut(head, whole, Some(delimiter)) else {
        return Err(broken("a header with the names of the columns is expected"));
    };
    let names = fields(&head[..bytes], delimiter).map_err(broken)?;
    let names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() || names[..at].contains(name) {
            return Err(broken(&format!("column {} has no name of its own", at + 1)));
        }
    }
    if let Some(missing) = stream.primary_key.iter().find(|key| !names.contains(key)) {
        let message =
            format!("{} has no column '{missing}', which is the primary key of {}", path.display(), stream.name);
        return Err(ConnectorError::new(ErrorKind::Settings, message));
    }
    Ok((names, bytes, lines))
}

/// The fields of one row.
fn fields(row: &[u8], delimiter: u8) -> Result<Vec<String>, &'static str> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(rows::trimmed(row));
    let mut record = csv::ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Err("the row cannot be read"),
    }
    let text = |field: &[u8]| String::from_utf8(field.to_vec()).map_err(|_| "the row is not UTF-8");
    record.iter().map(text).collect()
}

/// Goes through a stretch row by row.
struct Walk<'a> {
    stream: &'a FileStream,
    header: &'a [String],
    stretch: &'a [u8],
    last: bool,
    at: usize,
    place: Place,
    items: Vec<Item>,
}

impl Walk<'_> {
    fn run(&mut self, most: usize) {
        let delimiter = match self.stream.format {
            FileFormat::Csv { delimiter } => Some(delimiter),
            FileFormat::JsonLines => None,
        };
        if self.place.skipping {
            let rest = rows::line_length(self.stretch, self.last);
            self.place.skipping = rest.is_none();
            self.go_on(rest.unwrap_or(self.stretch.len()), u64::from(rest.is_some()));
        }
        while self.items.len() < most && self.at < self.stretch.len() {
            let rest = &self.stretch[self.at..];
            match rows::cut(rest, self.last, delimiter) {
                Cut::Row { bytes, lines } => self.row(&rest[..bytes], lines, delimiter),
                Cut::Unclosed { bytes } => self.broken(&rest[..bytes], "a quote is opened and not closed"),
                Cut::TooLong { bytes, ended } => {
                    let reason = format!("the row is longer than {MAX_ROW_BYTES} bytes");
                    let line = self.place.line;
                    self.broken_at(&rest[..bytes], line, &reason);
                    self.place.skipping = !ended;
                    self.go_on(bytes, u64::from(ended));
                }
                Cut::More => break,
            }
        }
    }

    fn go_on(&mut self, bytes: usize, lines: u64) {
        self.at += bytes;
        self.place.offset += bytes as u64;
        self.place.line += lines;
    }

    fn row(&mut self, row: &[u8], lines: u64, delimiter: Option<u8>) {
        let text = rows::trimmed(row);
        if text.iter().all(u8::is_ascii_whitespace) {
            return self.go_on(row.len(), lines);
        }
        let payload = match delimiter {
            Some(delimiter) => self.csv(row, delimiter),
            None => json(text),
        };
        match payload {
            Ok(payload) => {
                let external_id = self.external_id(&payload);
                self.items.push(Item::Record(RawRecord { external_id, payload, source_updated_at: None }));
                self.go_on(row.len(), lines);
            }
            // A quote that was closed by chance further down would swallow the rows between: give up one line only.
            Err(reason) => {
                let first = rows::line_length(row, true).unwrap_or(row.len());
                self.broken(&row[..first], &reason);
            }
        }
    }

    fn csv(&self, row: &[u8], delimiter: u8) -> Result<Value, String> {
        let fields = fields(row, delimiter)?;
        if fields.len() != self.header.len() {
            return Err(format!("{} fields where the header has {}", fields.len(), self.header.len()));
        }
        Ok(Value::Object(self.header.iter().cloned().zip(fields.into_iter().map(Value::String)).collect::<Map<_, _>>()))
    }

    fn external_id(&self, payload: &Value) -> Option<String> {
        external_id(self.stream.primary_key.iter().map(|name| payload.get(name)))
    }

    /// One line is broken, and over with.
    fn broken(&mut self, line: &[u8], reason: &str) {
        let at = self.place.line;
        self.broken_at(line, at, reason);
        self.go_on(line.len(), 1);
    }

    fn broken_at(&mut self, row: &[u8], line: u64, reason: &str) {
        let kept = &row[..row.len().min(MAX_BROKEN_CHARS * 4)];
        let text = String::from_utf8_lossy(rows::trimmed(kept)).chars().take(MAX_BROKEN_CHARS).collect();
        self.items.push(Item::Broken(BrokenItem { place: format!("line {line}"), text, reason: reason.to_owned() }));
    }
}

fn json(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|_| "the line is not UTF-8")?;
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err("the line is not a JSON object".to_owned()),
        Err(error) => Err(format!("the line is not JSON (column {})", error.column())),
    }
}

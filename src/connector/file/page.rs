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
    encoding::Encoding,
    fields::Fields,
    load::{FileFormat, FileStream},
    rows::{self, Cut, MAX_ROW_BYTES},
    walk::{Shape, Spot, Walk},
};
use crate::{
    connector::{ConnectorError, ErrorKind, Page, external_id::external_id},
    domain::{clock::Timestamp, cursor::Position},
};

/// Records of one page.
const PAGE_RECORDS: usize = 500;
/// Bytes of one page; several of the longest rows fit.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes at the beginning of the file that stand for its content.
const HEAD_BYTES: usize = 4096;
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
    let mut shape = Plain { stream, header: &opened.header };
    let delimiter = match stream.format {
        FileFormat::Csv { delimiter } => delimiter,
        FileFormat::JsonLines => b',',
    };
    let mut walk = Walk {
        shape: &mut shape,
        fields: &mut Fields::new(delimiter),
        format: stream.format,
        encoding: Encoding::Utf8,
        stretch: &stretch,
        last,
        at: 0,
        spot: Spot { offset: place.offset, line: place.line, skipping: place.skipping },
        items: Vec::new(),
        notes: Vec::new(),
    };
    walk.run(most);
    let Walk { at, spot, items, .. } = walk;
    let place = Place { offset: spot.offset, line: spot.line, skipping: spot.skipping, ..place };
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
    let names = names(&head[..bytes], delimiter).map_err(broken)?;
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

/// The names in a header's row, without blanks around them.
pub(super) fn names(row: &[u8], delimiter: u8) -> Result<Vec<String>, &'static str> {
    let mut fields = Fields::new(delimiter);
    if !fields.read(row) {
        return Err("the row cannot be read");
    }
    let name = |field: &[u8]| std::str::from_utf8(field).map(|name| name.trim().to_owned());
    fields.iter().map(name).collect::<Result<_, _>>().map_err(|_| "the row is not UTF-8")
}

/// Rows as they stand: a column's name is the field's.
struct Plain<'a> {
    stream: &'a FileStream,
    header: &'a [String],
}

impl Shape for Plain<'_> {
    fn width(&self) -> usize {
        self.header.len()
    }

    fn row<'f>(&self, fields: impl Iterator<Item = &'f str>) -> Value {
        Value::Object(self.header.iter().cloned().zip(fields.map(Value::from)).collect::<Map<_, _>>())
    }

    fn object(&mut self, object: Map<String, Value>) -> Value {
        Value::Object(object)
    }

    fn external_id(&self, payload: &Value) -> Option<String> {
        external_id(self.stream.primary_key.iter().map(|name| payload.get(name)))
    }

    fn updated_at(&self, _: &Value) -> Option<Timestamp> {
        None
    }
}

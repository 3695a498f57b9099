//! Going through a stretch of a file row by row.
//!
//! Owns what becomes of a row: a record with its line, or a broken item that says where. Refuses to know columns: what a row's
//! fields are called is its `Shape`'s.

use serde_json::{Map, Value};

use super::{
    encoding::Encoding,
    fields::Fields,
    load::FileFormat,
    rows::{self, Cut, MAX_ROW_BYTES},
};
use crate::domain::{
    clock::Timestamp,
    record::{BrokenItem, Item, RawRecord},
};

/// Characters of a broken row that are kept.
const MAX_BROKEN_CHARS: usize = 2_000;

/// What a row's fields become.
pub(super) trait Shape {
    /// How many fields a row of CSV has.
    fn width(&self) -> usize;
    /// A row of CSV, with as many fields as [`Shape::width`] says.
    fn row<'f>(&self, fields: impl Iterator<Item = &'f str>) -> Value;
    /// A line of JSON.
    fn object(&mut self, object: Map<String, Value>) -> Value;
    fn external_id(&self, payload: &Value) -> Option<String>;
    /// When the source says that the record last changed, if it does.
    fn updated_at(&self, payload: &Value) -> Option<Timestamp>;
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// Bytes before it, as the file has them.
    pub offset: u64,
    /// Of the next row, from 1.
    pub line: u64,
    /// The rest of the current line belongs to a row that was too long.
    pub skipping: bool,
}

/// Where an item stands, and what was wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    pub line: u64,
    /// Where in the file a byte stands that could not be decoded.
    pub offset: Option<u64>,
    /// The field that it belongs to, from 0.
    pub field: Option<usize>,
}

impl Note {
    fn at(line: u64) -> Self {
        Self { line, offset: None, field: None }
    }
}

/// Goes through a stretch.
pub(super) struct Walk<'a, S: Shape> {
    pub shape: &'a mut S,
    pub fields: &'a mut Fields,
    pub format: FileFormat,
    pub encoding: Encoding,
    pub stretch: &'a [u8],
    /// The file ends with the stretch.
    pub last: bool,
    /// How far the walk has come in the stretch.
    pub at: usize,
    pub spot: Spot,
    pub items: Vec<Item>,
    /// One for each item.
    pub notes: Vec<Note>,
}

/// Why a row is broken.
struct Fault {
    reason: String,
    note: Note,
}

impl<S: Shape> Walk<'_, S> {
    /// Reads rows until there are `most`, or the stretch ends.
    pub(super) fn run(&mut self, most: usize) {
        let delimiter = match self.format {
            FileFormat::Csv { delimiter } => Some(delimiter),
            FileFormat::JsonLines => None,
        };
        if self.spot.skipping {
            let rest = rows::line_length(&self.stretch[self.at..], self.last);
            self.spot.skipping = rest.is_none();
            self.go_on(rest.unwrap_or(self.stretch.len() - self.at), u64::from(rest.is_some()));
        }
        while self.items.len() < most && self.at < self.stretch.len() {
            let rest = &self.stretch[self.at..];
            match rows::cut(rest, self.last, delimiter) {
                Cut::Row { bytes, lines } => self.row(&rest[..bytes], lines, delimiter.is_some()),
                Cut::Unclosed { bytes } => {
                    let fault = self.fault("a quote is opened and not closed");
                    self.broken(&rest[..bytes], fault);
                }
                Cut::TooLong { bytes, ended } => {
                    let fault = self.fault(format!("the row is longer than {MAX_ROW_BYTES} bytes"));
                    self.push_broken(&rest[..bytes], fault);
                    self.spot.skipping = !ended;
                    self.go_on(bytes, u64::from(ended));
                }
                Cut::More => break,
            }
        }
    }

    fn go_on(&mut self, bytes: usize, lines: u64) {
        self.spot.offset += self.encoding.stood_in(&self.stretch[self.at..self.at + bytes]);
        self.at += bytes;
        self.spot.line += lines;
    }

    fn row(&mut self, row: &[u8], lines: u64, csv: bool) {
        let text = rows::trimmed(row);
        if text.iter().all(u8::is_ascii_whitespace) {
            return self.go_on(row.len(), lines);
        }
        let payload = if csv { self.csv(row) } else { self.json(text) };
        match payload {
            Ok(payload) => {
                let external_id = self.shape.external_id(&payload);
                let source_updated_at = self.shape.updated_at(&payload);
                self.items.push(Item::Record(RawRecord { external_id, payload, source_updated_at }));
                self.notes.push(Note::at(self.spot.line));
                self.go_on(row.len(), lines);
            }
            // A quote that was closed by chance further down would swallow the rows between: give up one line only.
            Err(fault) => {
                let first = rows::line_length(row, true).unwrap_or(row.len());
                self.broken(&row[..first], fault);
            }
        }
    }

    fn csv(&mut self, row: &[u8]) -> Result<Value, Fault> {
        if !self.fields.read(row) {
            return Err(self.fault("the row cannot be read"));
        }
        if std::str::from_utf8(row).is_err() {
            let field = self.fields.iter().position(|field| std::str::from_utf8(field).is_err());
            return Err(self.undecodable(row, field));
        }
        let (width, count) = (self.shape.width(), self.fields.count());
        if count != width {
            return Err(self.fault(format!("{count} fields where the header has {width}")));
        }
        Ok(self.shape.row(self.fields.iter().map(|field| std::str::from_utf8(field).unwrap_or_default())))
    }

    fn json(&mut self, text: &[u8]) -> Result<Value, Fault> {
        let Ok(text) = std::str::from_utf8(text) else { return Err(self.undecodable(text, None)) };
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => Ok(self.shape.object(object)),
            Ok(_) => Err(self.fault("the line is not a JSON object")),
            Err(error) => Err(self.fault(format!("the line is not JSON (column {})", error.column()))),
        }
    }

    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault { reason: reason.into(), note: Note::at(self.spot.line) }
    }

    fn undecodable(&self, row: &[u8], field: Option<usize>) -> Fault {
        let good = std::str::from_utf8(row).map_or_else(|error| error.valid_up_to(), str::len);
        let offset = self.spot.offset + self.encoding.stood_in(&row[..good]);
        let reason = format!("the row is not {}", self.encoding.name());
        Fault { reason, note: Note { offset: Some(offset), field, ..Note::at(self.spot.line) } }
    }

    /// One line is broken, and over with.
    fn broken(&mut self, line: &[u8], fault: Fault) {
        self.push_broken(line, fault);
        self.go_on(line.len(), 1);
    }

    fn push_broken(&mut self, row: &[u8], fault: Fault) {
        let kept = &row[..row.len().min(MAX_BROKEN_CHARS * 4)];
        let text = String::from_utf8_lossy(rows::trimmed(kept)).chars().take(MAX_BROKEN_CHARS).collect();
        let place = format!("line {}", fault.note.line);
        self.items.push(Item::Broken(BrokenItem { place, text, reason: fault.reason }));
        self.notes.push(fault.note);
    }
}

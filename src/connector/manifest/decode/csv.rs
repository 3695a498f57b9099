//! CSV with a header line.
//!
//! Owns what a row becomes: texts by the header's names, null for what is missing, a list under `null` for what is too much.

use std::io::{Cursor, Read};

use serde_json::{Map, Value};

use super::{Piece, Pieces, failed, packed, text::Encoding};
use crate::connector::ConnectorError;

/// The mark that UTF-8 may begin with. The CSV reader leaves one out; as the format has it, it belongs to the first name.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The name for what a row has beyond its header.
const REST: &str = "null";

/// How CSV is written.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvPlan {
    pub encoding: Encoding,
    /// One ASCII character.
    pub delimiter: u8,
    /// Texts that become null.
    pub nulls: Vec<String>,
}

/// The rows, one by one.
///
/// # Errors
/// That the bytes are not of the encoding.
pub(super) fn rows<'b>(plan: &'b CsvPlan, body: packed::Bytes<'b>) -> Result<Pieces<'b>, ConnectorError> {
    let body: Box<dyn Read + Send + 'b> = match plan.encoding {
        Encoding::Utf8 => Box::new(Cursor::new(MARK).chain(body)),
        Encoding::Utf8Sig => body,
        other => {
            let bytes = packed::whole(body)?;
            let text = other.decode(&bytes)?.into_owned();
            Box::new(Cursor::new(MARK).chain(Cursor::new(text.into_bytes())))
        }
    };
    // A first line without anything is a header without names.
    let mut body = body;
    let mut head = Vec::new();
    let wanted = MARK.len() + 1;
    body.by_ref().take(wanted as u64).read_to_end(&mut head).map_err(|error| failed(packed::told(&error)))?;
    let nameless = matches!(head.strip_prefix(MARK).unwrap_or(&head).first(), Some(b'\n' | b'\r'));
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(plan.delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(Cursor::new(head).chain(body));
    let mut names = nameless.then(Vec::new);
    let mut failing = false;
    Ok(Box::new(std::iter::from_fn(move || {
        if failing {
            return None;
        }
        let mut next = || -> Result<Option<Vec<String>>, ConnectorError> {
            let mut record = ::csv::ByteRecord::new();
            if !reader.read_byte_record(&mut record).map_err(|error| told(&error))? {
                return Ok(None);
            }
            record.iter().map(field).collect::<Result<Vec<_>, _>>().map(Some)
        };
        let row = (|| {
            if names.is_none() {
                names = Some(next()?.unwrap_or_default());
            }
            next()
        })();
        failing = row.is_err();
        let names = names.as_deref().unwrap_or_default();
        row.transpose().map(|row| row.map(|row| Piece::Value(record(plan, names, row))))
    })))
}

fn told(error: &::csv::Error) -> ConnectorError {
    match error.kind() {
        ::csv::ErrorKind::Io(error) => failed(packed::told(error)),
        _ => failed("the answer cannot be read as CSV"),
    }
}

/// A field's text. Line ends within it are all alike.
fn field(bytes: &[u8]) -> Result<String, ConnectorError> {
    let text = std::str::from_utf8(bytes).map_err(|_| failed("a row of the answer is not UTF-8"))?;
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() })
}

fn record(plan: &CsvPlan, names: &[String], row: Vec<String>) -> Value {
    let mut row = row.into_iter();
    let null = |text: &String| plan.nulls.contains(text);
    let value = |text: Option<String>| text.filter(|text| !null(text)).map_or(Value::Null, Value::String);
    let mut fields = Map::new();
    for name in names {
        let cell = value(row.next());
        fields.insert(name.clone(), cell);
    }
    let rest: Vec<_> = row.map(Value::String).collect();
    if !rest.is_empty() {
        fields.insert(REST.to_owned(), Value::Array(rest));
    }
    Value::Object(fields)
}

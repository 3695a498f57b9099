//! From an answer's bytes to values: JSON, JSON lines, CSV, XML, plain lines, packed or not.
//!
//! Owns the decoders and their bounds. A body that is one document is one value; a body that is a row of records is read one by
//! one, so that it is never held twice. A packed body that is none is read as it is. Refuses bodies that grow beyond the
//! bounds, whatever they say of themselves.

mod csv;
mod json;
mod lines;
mod load;
mod packed;
mod text;
mod xml;

use std::{collections::BTreeMap, fs::File, io::BufReader};

pub(super) use load::{decoder, table};
use serde_json::{Map, Value, json};

use super::select::Strictness;
use crate::connector::{ConnectorError, ErrorKind};

/// How a body is read.
#[derive(Debug, Clone, PartialEq)]
pub enum DecoderPlan {
    Json,
    /// Each item of the lists at that path.
    JsonItems {
        path: String,
        encoding: text::Encoding,
    },
    JsonLines,
    Csv(csv::CsvPlan),
    Xml,
    /// Each line as `{"record": line}`.
    Lines,
    Gzip(Box<DecoderPlan>),
    Zip(Box<DecoderPlan>),
}

/// What an answer says of its body.
pub struct Head<'h> {
    pub status: u16,
    /// Names in small letters.
    pub headers: &'h BTreeMap<String, String>,
}

/// What a body holds.
pub enum Decoded<'b> {
    /// One document. A list in it is several bodies, as `extract::bodies` has it.
    Whole(Value),
    /// One body after the other; none of them is taken apart further.
    Stream(Pieces<'b>),
}

/// The bodies of a stream.
pub type Pieces<'b> = Box<dyn Iterator<Item = Result<Piece, ConnectorError>> + Send + 'b>;

/// One body of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Value(Value),
    /// A line that cannot be read; the others go on. Only where the daemon asks: the format's own reader leaves it out.
    Broken {
        place: String,
        text: String,
        reason: String,
    },
}

impl DecoderPlan {
    /// Whether the whole body has to be there before anything can be read.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Json | Self::Xml => true,
            Self::Gzip(inner) => inner.is_whole(),
            Self::JsonItems { .. } | Self::JsonLines | Self::Csv(_) | Self::Lines | Self::Zip(_) => false,
        }
    }
}

fn failed(reason: impl std::fmt::Display) -> ConnectorError {
    ConnectorError::new(ErrorKind::Decode, reason.to_string())
}

/// Reads a body. Lines of a stream that cannot be read are told one by one (`Daemon`) or left out (`Reference`).
///
/// # Errors
/// [`ErrorKind::Decode`], with none of the body in it. For `Reference`, JSON and XML that cannot be read are an empty table, as
/// in the format's own reader, unless they were packed.
pub fn decode<'b>(
    plan: &'b DecoderPlan,
    body: &'b [u8],
    head: &Head<'_>,
    strictness: Strictness,
) -> Result<Decoded<'b>, ConnectorError> {
    let reference = strictness == Strictness::Reference;
    match plan {
        // What was asked to be gone, or never had a body: no document, and nothing wrong.
        DecoderPlan::Json | DecoderPlan::Xml if body.is_empty() && head.status == 204 => {
            Ok(Decoded::Whole(if reference { json!({}) } else { Value::Null }))
        }
        DecoderPlan::Json => match json(body) {
            Ok(Value::Null) | Err(_) if reference => Ok(Decoded::Whole(Value::Object(Map::new()))),
            read => read.map(Decoded::Whole),
        },
        DecoderPlan::Xml => {
            let text = text::by_header(body, head.headers.get("content-type").map(String::as_str), reference);
            match xml::parse(&text) {
                Err(xml::Refused::Malformed(_)) if reference => Ok(Decoded::Whole(Value::Object(Map::new()))),
                read => read.map(Decoded::Whole).map_err(failed),
            }
        }
        DecoderPlan::Lines => Ok(Decoded::Stream(Box::new(lines::plain(body)))),
        DecoderPlan::Gzip(inner) => {
            // What the transport packed is unpacked by it, mostly; here it may still be.
            let twice = head.headers.get("content-encoding").is_some_and(|packed| packed == "gzip");
            let unpacked = packed::gunzip(Box::new(body))?;
            let unpacked = if twice { packed::gunzip(unpacked)? } else { unpacked };
            parse(inner, unpacked, strictness)
        }
        DecoderPlan::Zip(inner) => packed::zip(body, inner, strictness).map(Decoded::Stream),
        DecoderPlan::JsonItems { .. } | DecoderPlan::JsonLines | DecoderPlan::Csv(_) => {
            parse(plan, Box::new(body), strictness)
        }
    }
}

/// Reads what was unpacked. Here JSON that cannot be read fails.
fn parse<'b>(
    plan: &'b DecoderPlan,
    body: packed::Bytes<'b>,
    strictness: Strictness,
) -> Result<Decoded<'b>, ConnectorError> {
    match plan {
        DecoderPlan::Json => match json(&packed::whole(body)?)? {
            Value::Null => Err(failed("the body is null")),
            value => Ok(Decoded::Whole(value)),
        },
        DecoderPlan::JsonItems { path, encoding } => {
            let body = packed::whole(body)?;
            let text = encoding.decode(&body)?;
            let items = lines::items(json(text.as_bytes())?, path);
            Ok(Decoded::Stream(Box::new(items.into_iter().map(|item| Ok(Piece::Value(item))))))
        }
        DecoderPlan::JsonLines => Ok(Decoded::Stream(Box::new(lines::json_lines(body, strictness)))),
        DecoderPlan::Csv(plan) => csv::rows(plan, body).map(Decoded::Stream),
        DecoderPlan::Gzip(inner) => parse(inner, packed::gunzip(body)?, strictness),
        DecoderPlan::Xml | DecoderPlan::Lines | DecoderPlan::Zip(_) => {
            Err(failed("this decoder cannot read what was unpacked"))
        }
    }
}

/// Reads a file body by body, for as long as `take` wants more. A document that is one is held whole, within the bound for what is
/// unpacked; rows are not.
///
/// # Errors
/// As [`decode`].
pub fn each(
    plan: &DecoderPlan,
    file: File,
    head: &Head<'_>,
    strictness: Strictness,
    take: &mut dyn FnMut(Piece) -> bool,
) -> Result<(), ConnectorError> {
    if let DecoderPlan::Zip(inner) = plan {
        return packed::zip_files(file, inner, strictness, take);
    }
    let body: packed::Bytes<'_> = Box::new(BufReader::new(file));
    match plan {
        DecoderPlan::Json | DecoderPlan::Xml | DecoderPlan::Lines => {
            let body = packed::whole(body)?;
            drain(decode(plan, &body, head, strictness)?, take).map(|_| ())
        }
        DecoderPlan::Gzip(inner) => {
            let twice = head.headers.get("content-encoding").is_some_and(|packed| packed == "gzip");
            let unpacked = packed::gunzip(body)?;
            let unpacked = if twice { packed::gunzip(unpacked)? } else { unpacked };
            drain(parse(inner, unpacked, strictness)?, take).map(|_| ())
        }
        DecoderPlan::Zip(_) | DecoderPlan::JsonItems { .. } | DecoderPlan::JsonLines | DecoderPlan::Csv(_) => {
            drain(parse(plan, body, strictness)?, take).map(|_| ())
        }
    }
}

/// Hands on each body; whether more are wanted.
fn drain(decoded: Decoded<'_>, take: &mut dyn FnMut(Piece) -> bool) -> Result<bool, ConnectorError> {
    match decoded {
        Decoded::Whole(Value::Array(items)) => Ok(items.into_iter().all(|item| take(Piece::Value(item)))),
        Decoded::Whole(one) => Ok(take(Piece::Value(one))),
        Decoded::Stream(pieces) => {
            for piece in pieces {
                if !take(piece?) {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

fn json(body: &[u8]) -> Result<Value, ConnectorError> {
    json::document(body).map_err(|error| {
        let (size, line, column) = (body.len(), error.line(), error.column());
        failed(format!("the answer has {size} bytes that are not JSON (line {line}, column {column})"))
    })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

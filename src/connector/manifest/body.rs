//! A JSON body as the reference implementation writes it: blanks after commas and colons, nothing beyond ASCII.
//!
//! Owns the spelling only, so that recorded requests can be held against it byte for byte.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::{Serializer, Value, ser::Formatter};

use crate::connector::http::{Body, Call};

/// The same request with its JSON body spelt as the reference does.
pub(super) fn as_reference(mut call: Call) -> Call {
    if let Body::Json(value) = &call.body
        && let Some(text) = spelt(value)
    {
        if !call.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            call.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        call.body = Body::Text(text);
    }
    call
}

fn spelt(value: &Value) -> Option<String> {
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, Blanks)).ok()?;
    String::from_utf8(text).ok()
}

struct Blanks;

impl Formatter for Blanks {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut units = [0_u16; 2];
        for c in fragment.chars() {
            if c.is_ascii() {
                writer.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_spelt_as_the_reference_spells_it() {
        let value = json!({"a": [1, "é", {"b": null}], "c": {}, "d": "x\"\n"});
        let expected = r#"{"a": [1, "\u00e9", {"b": null}], "c": {}, "d": "x\"\n"}"#;
        assert_eq!(spelt(&value).unwrap(), expected);
    }
}

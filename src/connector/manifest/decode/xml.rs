//! XML as a table: attributes with `@`, text beside them as `#text`, repeated elements as a list, nothing as null.
//!
//! Names keep their prefixes; namespaces mean nothing. Refuses documents that declare entities.

use quick_xml::{
    XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};
use serde_json::{Map, Value};

/// Elements within elements that are followed.
const MAX_DEPTH: usize = 256;

/// Why a text is not taken.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the answer is not XML: {0}")]
    Malformed(String),
    #[error("the answer's XML declares entities, which are not read")]
    Entities,
}

fn malformed(reason: impl ToString) -> Refused {
    Refused::Malformed(reason.to_string())
}

/// An element that is open.
struct Open {
    name: String,
    fields: Option<Map<String, Value>>,
    text: String,
}

/// The document as a table of its root element.
pub(super) fn parse(text: &str) -> Result<Value, Refused> {
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_comments = true;
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    loop {
        let event = reader.read_event().map_err(|_| malformed(format!("at byte {}", reader.error_position())))?;
        match event {
            Event::Start(start) => {
                if root.is_some() || open.len() == MAX_DEPTH {
                    return Err(malformed("there is more than one root, or it is too deep"));
                }
                open.push(begin(&start)?);
            }
            Event::End(_) => {
                let Some(done) = open.pop() else { return Err(malformed("an end without its beginning")) };
                let (name, value) = end(done);
                match open.last_mut() {
                    Some(parent) => push(parent.fields.get_or_insert_default(), name, value),
                    None => root = Some(Value::Object(Map::from_iter([(name, value)]))),
                }
            }
            Event::Text(part) => {
                let part = part.xml10_content().map_err(malformed)?;
                if part.contains("]]>") {
                    return Err(malformed("']]>' stands in a text"));
                }
                write(&mut open, &part)?;
            }
            Event::CData(part) => {
                let part = part.xml10_content().map_err(malformed)?;
                inside(&mut open)?.text.push_str(&part);
            }
            Event::GeneralRef(reference) => {
                let sign = reference.resolve_char_ref().map_err(malformed)?;
                let name = reference.decode().map_err(malformed)?;
                let part = match sign {
                    Some(sign) => sign.to_string(),
                    None => resolve_predefined_entity(&name).ok_or_else(|| malformed("an unknown entity"))?.to_owned(),
                };
                inside(&mut open)?.text.push_str(&part);
            }
            Event::DocType(declared) => {
                if declared.decode().map_err(malformed)?.contains("<!ENTITY") {
                    return Err(Refused::Entities);
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
        }
    }
    if !open.is_empty() {
        return Err(malformed("the text ends within an element"));
    }
    root.ok_or_else(|| malformed("there is no element"))
}

fn inside(open: &mut [Open]) -> Result<&mut Open, Refused> {
    open.last_mut().ok_or_else(|| malformed("a text stands outside of the root"))
}

/// Outside of the root only space may stand.
fn write(open: &mut [Open], part: &str) -> Result<(), Refused> {
    match open.last_mut() {
        Some(element) => element.text.push_str(part),
        None if part.trim_matches(['\u{feff}', ' ', '\n', '\t', '\r']).is_empty() => {}
        None => return Err(malformed("a text stands outside of the root")),
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || c == '_' || c == ':';
    name.starts_with(starts) && name.chars().all(|c| starts(c) || c.is_numeric() || matches!(c, '-' | '.' | '\u{b7}'))
}

fn begin(start: &BytesStart<'_>) -> Result<Open, Refused> {
    let name = text_of(start.name().as_ref())?;
    let mut fields = Map::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| malformed("an attribute cannot be read, or stands twice"))?;
        let key = text_of(attribute.key.as_ref())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(malformed)?;
        if value.contains('<') && attribute.value.contains(&b'<') {
            return Err(malformed("'<' stands in an attribute"));
        }
        fields.insert(format!("@{key}"), Value::String(value.into_owned()));
    }
    Ok(Open { name, fields: (!fields.is_empty()).then_some(fields), text: String::new() })
}

fn text_of(bytes: &[u8]) -> Result<String, Refused> {
    let name = std::str::from_utf8(bytes).map_err(malformed)?;
    if is_name(name) { Ok(name.to_owned()) } else { Err(malformed("a name is none")) }
}

fn end(done: Open) -> (String, Value) {
    let text = Some(done.text.trim()).filter(|text| !text.is_empty()).map(|text| Value::String(text.to_owned()));
    let value = match (done.fields, text) {
        (Some(mut fields), text) => {
            if let Some(text) = text {
                push(&mut fields, "#text".to_owned(), text);
            }
            Value::Object(fields)
        }
        (None, text) => text.unwrap_or(Value::Null),
    };
    (done.name, value)
}

/// The second of a name makes it a list.
fn push(fields: &mut Map<String, Value>, name: String, value: Value) {
    match fields.get_mut(&name) {
        Some(Value::Array(items)) => items.push(value),
        Some(have) => *have = Value::Array(vec![have.take(), value]),
        None => {
            fields.insert(name, value);
        }
    }
}

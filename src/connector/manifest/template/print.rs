//! How values print: Python's `str()` and `repr()`.

use serde_json::Value;

use super::{
    fault::Fault,
    value::{Pairs, Val, View},
};
use crate::connector::manifest::python;

/// A printed value may not be longer than this, in bytes.
pub(super) const MAX_TEXT: usize = 64 << 20;
/// Values that hold themselves end here.
const MAX_DEPTH: usize = 200;

/// What `str()` gives, appended.
pub(super) fn print(value: &Val<'_>, out: &mut String) -> Result<(), Fault> {
    match value {
        Val::Text(text) => out.push_str(text),
        Val::Undefined | Val::Forbidden => {}
        Val::Moment(moment) => out.push_str(&moment.iso(' ')),
        Val::Date(date) => out.push_str(&date.iso()),
        Val::Span(span) => out.push_str(&span.text()),
        other => repr(other, out, 0)?,
    }
    if out.len() > MAX_TEXT { Err(Fault::too_large()) } else { Ok(()) }
}

/// What `str()` gives.
pub(super) fn text(value: &Val<'_>) -> Result<String, Fault> {
    let mut out = String::new();
    print(value, &mut out)?;
    Ok(out)
}

/// What `repr()` gives, appended.
pub(super) fn repr(value: &Val<'_>, out: &mut String, depth: usize) -> Result<(), Fault> {
    if depth > MAX_DEPTH || out.len() > MAX_TEXT {
        return Err(Fault::too_large());
    }
    match value {
        Val::Undefined | Val::Forbidden => out.push_str("Undefined"),
        Val::None => out.push_str("None"),
        Val::Bool(truth) => out.push_str(if *truth { "True" } else { "False" }),
        Val::Int(int) => push(out, int),
        Val::Big(int) => push(out, int),
        Val::Float(float) => out.push_str(&python::float_repr(*float)),
        Val::Text(text) => python::push_text_repr(text, out),
        Val::Json(json) => python::push_repr(json, out),
        Val::AnyCase(json) => python::push_repr(json, out),
        Val::Slice(slice) => python::push_repr(slice.all, out),
        Val::List(items) => sequence(&items.borrow(), ["[", "]"], out, depth)?,
        Val::Tuple(items) => {
            let close = if items.len() == 1 { ",)" } else { ")" };
            sequence(items, ["(", close], out, depth)?;
        }
        Val::Dict(pairs) => dict(&pairs.borrow(), out, depth)?,
        Val::Space(pairs) => {
            out.push_str("<Namespace ");
            dict(&pairs.borrow(), out, depth)?;
            out.push('>');
        }
        Val::View(view, items) => {
            let name = match view {
                View::Keys => "dict_keys([",
                View::Values => "dict_values([",
                View::Items => "dict_items([",
            };
            sequence(items, [name, "])"], out, depth)?;
        }
        Val::Stream(_) => out.push_str("<generator object>"),
        Val::Moment(moment) => out.push_str(&moment.repr()),
        Val::Date(date) => out.push_str(&date.repr()),
        Val::Span(span) => out.push_str(&span.repr()),
        Val::Bytes(bytes) => python::push_bytes_repr(bytes, out),
        Val::Global(global) => push(out, format_args!("<function {}>", global.name())),
        Val::Method(_, name) => push(out, format_args!("<built-in method {name}>")),
    }
    Ok(())
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    use std::fmt::Write as _;
    // Writing to a text cannot fail.
    let _ = write!(out, "{value}");
}

fn sequence(items: &[Val<'_>], [open, close]: [&str; 2], out: &mut String, depth: usize) -> Result<(), Fault> {
    out.push_str(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        repr(item, out, depth + 1)?;
    }
    out.push_str(close);
    Ok(())
}

fn dict(pairs: &Pairs<'_>, out: &mut String, depth: usize) -> Result<(), Fault> {
    out.push('{');
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        repr(key, out, depth + 1)?;
        out.push_str(": ");
        repr(value, out, depth + 1)?;
    }
    out.push('}');
    Ok(())
}

/// `json.dumps`, with the keys in order when `sorted`. Fails on what JSON cannot say.
pub(super) fn json_text(value: &Val<'_>, sorted: bool, indent: Option<usize>) -> Result<String, Fault> {
    let mut out = String::new();
    dump(value, sorted, indent, &mut out, 0)?;
    Ok(out)
}

fn newline(indent: Option<usize>, depth: usize, out: &mut String) {
    if let Some(width) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', width * depth));
    }
}

fn dump(value: &Val<'_>, sorted: bool, indent: Option<usize>, out: &mut String, depth: usize) -> Result<(), Fault> {
    if depth > MAX_DEPTH || out.len() > MAX_TEXT {
        return Err(Fault::too_large());
    }
    let comma = if indent.is_some() { "," } else { ", " };
    if let Some(mut pairs) = value.fields().filter(|_| !matches!(value, Val::Slice(_) | Val::AnyCase(_))) {
        if sorted {
            let mut failed = None;
            pairs.sort_by(|(a, _), (b, _)| {
                super::compare::order(a, b).unwrap_or_else(|fault| {
                    failed = Some(fault);
                    std::cmp::Ordering::Equal
                })
            });
            failed.map_or(Ok(()), Err)?;
        }
        if pairs.is_empty() {
            out.push_str("{}");
            return Ok(());
        }
        out.push('{');
        for (at, (key, value)) in pairs.iter().enumerate() {
            out.push_str(if at > 0 { comma } else { "" });
            newline(indent, depth + 1, out);
            let key = match key {
                Val::Text(text) => text.to_string(),
                Val::None => "null".to_owned(),
                Val::Bool(truth) => truth.to_string(),
                Val::Int(_) | Val::Big(_) | Val::Float(_) => text(key)?,
                _ => return Err(Fault::wrong_type("keys must be text, numbers, truth values or None")),
            };
            dump_text(&key, out);
            out.push_str(": ");
            dump(value, sorted, indent, out, depth + 1)?;
        }
        newline(indent, depth, out);
        out.push('}');
        return Ok(());
    }
    if let Some(items) = value.sequence() {
        if items.is_empty() {
            out.push_str("[]");
            return Ok(());
        }
        out.push('[');
        for (at, item) in items.iter().enumerate() {
            out.push_str(if at > 0 { comma } else { "" });
            newline(indent, depth + 1, out);
            dump(item, sorted, indent, out, depth + 1)?;
        }
        newline(indent, depth, out);
        out.push(']');
        return Ok(());
    }
    match value {
        Val::None => out.push_str("null"),
        Val::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Val::Int(_) | Val::Big(_) => print(value, out)?,
        Val::Float(float) if float.is_nan() => out.push_str("NaN"),
        Val::Float(float) if float.is_infinite() => out.push_str(if *float > 0.0 { "Infinity" } else { "-Infinity" }),
        Val::Float(float) => out.push_str(&python::float_repr(*float)),
        Val::Text(text) => dump_text(text, out),
        _ => return Err(Fault::wrong_type("a value cannot be written as JSON")),
    }
    Ok(())
}

/// A JSON text in ASCII.
fn dump_text(text: &str, out: &mut String) {
    let quoted = Value::from(text).to_string();
    for c in quoted.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0_u16; 2];
            for unit in c.encode_utf16(&mut units) {
                push(out, format_args!("\\u{unit:04x}"));
            }
        }
    }
}

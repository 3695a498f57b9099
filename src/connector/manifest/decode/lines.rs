//! Bodies that are rows of lines, and the items of a list within one document.

use std::io::BufRead;

use serde_json::{Value, json};

use super::{Piece, Strictness, failed, packed};
use crate::connector::ConnectorError;

/// Characters of a broken line that are kept.
const MAX_BROKEN_CHARS: usize = 2_000;

/// Each line is a JSON value. Empty lines are nothing.
pub(super) fn json_lines(
    mut body: packed::Bytes<'_>,
    strictness: Strictness,
) -> impl Iterator<Item = Result<Piece, ConnectorError>> + Send + '_ {
    let mut number = 0_u64;
    let mut failing = false;
    std::iter::from_fn(move || {
        loop {
            let mut line = Vec::new();
            if failing {
                return None;
            }
            match body.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    failing = true;
                    return Some(Err(failed(packed::told(&error))));
                }
            }
            number += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if std::str::from_utf8(&line).is_err() && strictness == Strictness::Reference {
                failing = true;
                return Some(Err(failed(format!("line {number} is not UTF-8"))));
            }
            match serde_json::from_slice(&line) {
                Ok(value) => return Some(Ok(Piece::Value(value))),
                Err(_) if strictness == Strictness::Reference => {}
                Err(error) => {
                    let text = String::from_utf8_lossy(&line).chars().take(MAX_BROKEN_CHARS).collect();
                    let reason = format!("the line is not JSON (column {})", error.column());
                    return Some(Ok(Piece::Broken { place: format!("line {number}"), text, reason }));
                }
            }
        }
    })
}

/// Each line is a record with the line in it.
pub(super) fn plain(body: &[u8]) -> impl Iterator<Item = Result<Piece, ConnectorError>> + Send + '_ {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let line = &rest[..end];
        let ending = if rest[end..].starts_with(b"\r\n") { 2 } else { usize::from(end < rest.len()) };
        rest = &rest[end + ending..];
        match std::str::from_utf8(line) {
            Ok(line) => Some(Ok(Piece::Value(json!({"record": line})))),
            Err(_) => {
                rest = &[];
                Some(Err(failed("a line of the answer is not UTF-8")))
            }
        }
    })
}

/// The items of each list at a path: keys with points between them, `item` for every item of a list on the way.
pub(super) fn items(document: Value, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    walk(document, "", path, &mut found);
    found
}

fn walk(value: Value, prefix: &str, path: &str, found: &mut Vec<Value>) {
    if prefix == path {
        if let Value::Array(items) = value {
            found.extend(items);
        }
        return;
    }
    let below = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    let leads = |inner: &str| path == inner || path.strip_prefix(inner).is_some_and(|rest| rest.starts_with('.'));
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let inner = below(&key);
                if leads(&inner) {
                    walk(value, &inner, path, found);
                }
            }
        }
        Value::Array(items) => {
            let inner = below("item");
            if leads(&inner) {
                items.into_iter().for_each(|item| walk(item, &inner, path, found));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

//! Steps that need no template: keys in small letters, in snake case, with a part replaced; a record made flat.

use serde_json::{Map, Value};

type Fields = Map<String, Value>;

/// The keys of the first level in small letters; the later of two that become alike stays.
pub(super) fn lower(fields: Fields) -> Fields {
    fields.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect()
}

/// Replaces a part of every key, through tables within tables; lists are left alone.
pub(super) fn replaced(fields: Fields, old: &str, new: &str) -> Fields {
    deep(fields, &|key| key.replace(old, new))
}

/// Every key in snake case, through tables within tables; lists are left alone.
pub(super) fn snake(fields: Fields) -> Fields {
    deep(fields, &snake_key)
}

fn deep(fields: Fields, name: &dyn Fn(&str) -> String) -> Fields {
    let entry = |(key, value): (String, Value)| match value {
        Value::Object(inner) => (name(&key), Value::Object(deep(inner, name))),
        other => (name(&key), other),
    };
    fields.into_iter().map(entry).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Other,
}

fn class(c: char) -> Class {
    match c {
        'A'..='Z' => Class::Upper,
        'a'..='z' => Class::Lower,
        // Digits of other scripts are ASCII by now.
        '0'..='9' => Class::Digit,
        _ => Class::Other,
    }
}

/// Tokens are capitals with the small letters after them, small letters, or digits; what lies between is an empty token,
/// which only counts at the ends. A key that begins with a digit gets an empty token before it.
fn snake_key(key: &str) -> String {
    let ascii = any_ascii::any_ascii(key);
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = ascii.as_str();
    while let Some(first) = rest.chars().next() {
        let run = |text: &str, wanted: Class| text.find(|c| class(c) != wanted).unwrap_or(text.len());
        let head = class(first);
        let mut end = run(rest, head);
        if head == Class::Upper {
            end += run(&rest[end..], Class::Lower);
        }
        tokens.push(if head == Class::Other { String::new() } else { rest[..end].to_lowercase() });
        rest = &rest[end..];
    }
    if tokens.len() >= 3 {
        let last = tokens.len() - 1;
        let mut at = 0;
        tokens.retain(|token| {
            at += 1;
            at == 1 || at == last + 1 || !token.is_empty()
        });
    }
    if tokens.first().is_some_and(|token| !token.is_empty() && token.chars().all(|c| c.is_ascii_digit())) {
        tokens.insert(0, String::new());
    }
    tokens.join("_")
}

/// One level for all values. A key keeps its name unless that is taken, or a list was met before: then it names its way.
pub(super) fn flattened(fields: Fields, lists: bool) -> Fields {
    let mut stack = vec![(Value::Object(fields), "_".to_owned())];
    let mut out = Fields::new();
    let mut with_parent = false;
    while let Some((value, name)) = stack.pop() {
        match value {
            Value::Object(inner) => {
                for (key, value) in inner {
                    let key = if out.contains_key(&key) || with_parent { format!("{name}.{key}") } else { key };
                    stack.push((value, key));
                }
            }
            Value::Array(items) if lists => {
                for (at, item) in items.into_iter().enumerate() {
                    with_parent = true;
                    stack.push((item, format!("{name}.{at}")));
                }
            }
            plain => {
                out.insert(name, plain);
            }
        }
    }
    out
}

//! Secrets that stand where they must not: in the `config` of a connection, or as a credential itself.

use crate::yaml::{Node, NodeValue, Problem};

/// Parts of names that secrets have.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "client_key",
    "credential",
    "authorization",
];
/// Names that hold one of those words and are no secret: addresses and lifetimes.
const HARMLESS_ENDINGS: &[&str] = &["_url", "_uri", "_endpoint", "_path", "_name", "_type", "_seconds", "_expires_at"];

/// Refuses texts under names that secrets have, anywhere in `config`.
pub(super) fn refuse_in_config(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    match &node.value {
        NodeValue::Table(entries) => {
            for (name, value) in entries {
                let path = format!("{path}.{name}");
                let held = matches!(value.value, NodeValue::Text(_) | NodeValue::Number(_));
                if held && names_a_secret(name) {
                    let remedy = "take it out, change it at the provider, and name it as `credential: vault:KEY`, `env:NAME` or `file:PATH`";
                    problems.push(Problem::new(
                        value.line,
                        &path,
                        "looks like a secret; `config` is kept readable",
                        remedy,
                    ));
                }
                refuse_in_config(value, &path, problems);
            }
        }
        NodeValue::List(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_in_config(item, &format!("{path}[{index}]"), problems);
            }
        }
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) => {}
    }
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    NAMES.iter().any(|part| name.contains(part)) && !HARMLESS_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a text is a reference to a secret, and not a secret: `env:NAME`, `file:PATH`, `vault:KEY`.
pub(super) fn is_reference(text: &str) -> bool {
    let good = |rest: &str| !rest.is_empty() && !rest.chars().any(char::is_whitespace);
    match text.split_once(':') {
        Some(("env", name)) => good(name) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        Some(("file", path)) => !path.trim().is_empty(),
        Some(("vault", key)) => good(key),
        Some(_) | None => false,
    }
}

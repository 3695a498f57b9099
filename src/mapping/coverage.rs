//! Which of a payload's fields a map knows, so that the others can be counted.
//!
//! Owns the look-up. Names are told at leaf level with one nesting level: `id`, `properties.notes`.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::path::Path;

/// The fields that a map uses or lists under `unmapped`.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    by_first: HashMap<String, Known>,
    /// Beginnings of first-level names: `hs_` for `hs_*`.
    prefixes: Vec<String>,
}

#[derive(Debug, Default)]
struct Known {
    /// Everything below the name is known too.
    whole: bool,
    second: HashSet<String>,
    prefixes: Vec<String>,
}

impl Coverage {
    /// Marks a path as known. A last segment that ends in `*` stands for all names that begin like it.
    pub(super) fn add(&mut self, path: &Path) {
        let Some((first, rest)) = path.segments.split_first() else { return };
        match rest.first() {
            None => match first.name.strip_suffix('*') {
                Some(prefix) => self.prefixes.push(prefix.to_owned()),
                None => self.by_first.entry(first.name.clone()).or_default().whole = true,
            },
            Some(second) => {
                let known = self.by_first.entry(first.name.clone()).or_default();
                match second.name.strip_suffix('*') {
                    Some(prefix) => known.prefixes.push(prefix.to_owned()),
                    None => {
                        known.second.insert(second.name.clone());
                    }
                }
            }
        }
    }

    /// Hands the name of each field that is not known to `each`.
    pub(super) fn unknown(&self, payload: &Value, each: &mut dyn FnMut(&str)) {
        let Value::Object(fields) = payload else { return };
        let mut name = String::new();
        for (first, value) in fields {
            let known = self.by_first.get(first);
            if known.is_some_and(|known| known.whole) || begins_with_any(first, &self.prefixes) {
                continue;
            }
            match value {
                Value::Object(children) => {
                    for second in children.keys() {
                        let covered = known.is_some_and(|known| {
                            known.second.contains(second) || begins_with_any(second, &known.prefixes)
                        });
                        if !covered {
                            name.clear();
                            name.push_str(first);
                            name.push('.');
                            name.push_str(second);
                            each(&name);
                        }
                    }
                }
                // The map looks below this name, so it knows it; that nothing is there now is told by the fields' rules.
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    if known.is_none() {
                        each(first);
                    }
                }
            }
        }
    }
}

fn begins_with_any(name: &str, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
}

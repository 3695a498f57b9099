//! Typed reading of settings: every wrong value becomes a problem, and reading goes on with the default.
//!
//! Owns the problems' wording. A value of a secret key is never repeated.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use config::{Value, ValueKind};

use super::{
    error::SettingsProblem,
    key::{Key, Plain},
    keys,
    layers::PREFIX,
};

/// Longest part of a wrong value that is shown.
const SHOWN: usize = 60;

/// The merged values, while they are read.
pub(super) struct Values {
    leaves: BTreeMap<String, Value>,
    pub(super) problems: Vec<SettingsProblem>,
}

impl Values {
    /// Takes the merged layers and refuses keys that nobody knows.
    pub(super) fn new(root: Value, problems: Vec<SettingsProblem>) -> Self {
        let mut leaves = BTreeMap::new();
        flatten("", root, &mut leaves);
        let mut values = Self { leaves, problems };
        values.refuse_unknown();
        values
    }

    fn refuse_unknown(&mut self) {
        for (name, value) in &self.leaves {
            if keys().any(|key| key.name == name) {
                continue;
            }
            let section = format!("{name}.");
            let (message, remedy) = if keys().any(|key| key.name.starts_with(&section)) {
                if matches!(value.kind, ValueKind::Table(_)) {
                    continue;
                }
                ("is a section, not a value".to_owned(), format!("write its keys below [{name}]"))
            } else {
                let remedy = match (nearest(name), is_variable(value)) {
                    (Some(near), false) => format!("did you mean `{near}`?"),
                    (Some(near), true) => {
                        format!("did you mean {}{}?", PREFIX, near.replace('.', "__").to_ascii_uppercase())
                    }
                    (None, _) => "every key stands in config/tidegate.toml".to_owned(),
                };
                ("is not a known key".to_owned(), remedy)
            };
            self.problems.push(SettingsProblem { key: name.clone(), place: place(value), message, remedy });
        }
    }

    pub(super) fn text(&mut self, key: &Key) -> String {
        let default = match key.default {
            Plain::Text(text) => text,
            Plain::Integer(_) | Plain::Float(_) | Plain::Truth(_) | Plain::List(_) => "",
        };
        match self.leaves.get(key.name) {
            None => default.to_owned(),
            Some(Value { kind: ValueKind::String(text), .. }) => text.clone(),
            Some(_) => {
                self.wrong(key, "text is expected", "write the value in quotes");
                default.to_owned()
            }
        }
    }

    /// A text that one of ours parses; the default must parse.
    pub(super) fn parsed<T>(
        &mut self,
        key: &Key,
        expected: &str,
        remedy: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(key);
        let parsed = parse(&text);
        if parsed.is_none() {
            self.wrong(key, expected, remedy);
        }
        parsed
    }

    pub(super) fn integer(&mut self, key: &Key, range: RangeInclusive<i64>) -> i64 {
        let default = match key.default {
            Plain::Integer(number) => number,
            Plain::Text(_) | Plain::Float(_) | Plain::Truth(_) | Plain::List(_) => 0,
        };
        let number = match self.leaves.get(key.name) {
            None => Some(default),
            Some(value) => match &value.kind {
                ValueKind::I64(number) => Some(*number),
                ValueKind::String(text) if is_variable(value) => text.trim().parse().ok(),
                _ => None,
            },
        };
        match number {
            Some(number) if range.contains(&number) => number,
            Some(_) => {
                let expected = format!("a number from {} to {} is expected", range.start(), range.end());
                self.wrong(key, &expected, &format!("the default is {default}"));
                default
            }
            None => {
                self.wrong(key, "a whole number is expected", &format!("the default is {default}"));
                default
            }
        }
    }

    pub(super) fn count(&mut self, key: &Key, range: RangeInclusive<u32>) -> u32 {
        let number = self.integer(key, i64::from(*range.start())..=i64::from(*range.end()));
        u32::try_from(number).unwrap_or(*range.start())
    }

    pub(super) fn seconds(&mut self, key: &Key, range: RangeInclusive<u32>) -> Duration {
        Duration::from_secs(u64::from(self.count(key, range)))
    }

    pub(super) fn millis(&mut self, key: &Key, range: RangeInclusive<u32>) -> Duration {
        Duration::from_millis(u64::from(self.count(key, range)))
    }

    pub(super) fn float(&mut self, key: &Key, range: RangeInclusive<f64>) -> f64 {
        let default = match key.default {
            Plain::Float(number) => number,
            Plain::Integer(_) | Plain::Text(_) | Plain::Truth(_) | Plain::List(_) => 0.0,
        };
        let number = match self.leaves.get(key.name) {
            None => Some(default),
            Some(value) => match &value.kind {
                ValueKind::Float(number) => Some(*number),
                ValueKind::I64(number) => i32::try_from(*number).ok().map(f64::from),
                ValueKind::String(text) if is_variable(value) => text.trim().parse().ok(),
                _ => None,
            },
        };
        match number.filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                let expected = format!("a number from {} to {} is expected", range.start(), range.end());
                self.wrong(key, &expected, &format!("the default is {default}"));
                default
            }
        }
    }

    /// true or false; in a variable as a word.
    pub(super) fn truth(&mut self, key: &Key) -> bool {
        let default = matches!(key.default, Plain::Truth(true));
        let truth = match self.leaves.get(key.name) {
            None => Some(default),
            Some(value) => match &value.kind {
                ValueKind::Boolean(truth) => Some(*truth),
                ValueKind::String(text) if is_variable(value) => text.trim().parse().ok(),
                _ => None,
            },
        };
        truth.unwrap_or_else(|| {
            self.wrong(key, "true or false is expected", &format!("the default is {default}"));
            default
        })
    }

    /// A list of texts; in a variable they are separated by commas.
    pub(super) fn list(&mut self, key: &Key) -> Vec<String> {
        let Some(value) = self.leaves.get(key.name) else { return Vec::new() };
        let items = match &value.kind {
            ValueKind::Array(items) => items
                .iter()
                .map(|item| match &item.kind {
                    ValueKind::String(text) => Some(text.clone()),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>(),
            ValueKind::String(text) if is_variable(value) => {
                Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
            _ => None,
        };
        items.unwrap_or_else(|| {
            self.wrong(key, "a list of texts is expected", "write [\"one\", \"two\"]; in a variable: one,two");
            Vec::new()
        })
    }

    /// Says that the key's value is wrong, with where it stands.
    pub(super) fn wrong(&mut self, key: &Key, expected: &str, remedy: &str) {
        let value = self.leaves.get(key.name);
        let got = match value.map(|value| &value.kind) {
            Some(ValueKind::String(text)) if !key.secret => {
                format!(", this is '{}'", text.chars().take(SHOWN).collect::<String>())
            }
            Some(ValueKind::I64(number)) if !key.secret => format!(", this is {number}"),
            Some(ValueKind::Float(number)) if !key.secret => format!(", this is {number}"),
            Some(_) | None => String::new(),
        };
        self.wrong_item(key, &format!("{expected}{got}"), remedy);
    }

    /// Says what is wrong with a part of the key's value; the message names the part.
    pub(super) fn wrong_item(&mut self, key: &Key, message: &str, remedy: &str) {
        self.problems.push(SettingsProblem {
            key: key.name.to_owned(),
            place: self.leaves.get(key.name).map_or_else(|| "built-in default".to_owned(), place),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

/// The known key that is most like a mistyped one. Section and key are held against each other by themselves: of a slip in
/// the section's name, the key below it is the better witness.
fn nearest(name: &str) -> Option<&'static str> {
    const LIKE_ENOUGH: f64 = 0.5;
    let alike = |a: &str, b: &str| strsim::normalized_damerau_levenshtein(a, b);
    let likeness = |known: &str| match (name.rsplit_once('.'), known.rsplit_once('.')) {
        (Some((section, key)), Some((known_section, known_key))) => {
            (alike(section, known_section) + alike(key, known_key)) / 2.0
        }
        (None, _) | (_, None) => alike(name, known),
    };
    keys()
        .map(|key| (likeness(key.name), key.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .map(|(_, near)| near)
}

fn flatten(prefix: &str, value: Value, leaves: &mut BTreeMap<String, Value>) {
    let known = keys().any(|key| key.name == prefix);
    match &value.kind {
        ValueKind::Table(entries) if !known && (!entries.is_empty() || prefix.is_empty()) => {
            for (name, value) in entries {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&path, value.clone(), leaves);
            }
        }
        _ => {
            leaves.insert(prefix.to_owned(), value);
        }
    }
}

fn is_variable(value: &Value) -> bool {
    value.origin().is_some_and(|origin| origin.starts_with(PREFIX))
}

fn place(value: &Value) -> String {
    match value.origin() {
        Some(origin) if origin.starts_with(PREFIX) => format!("variable {origin}"),
        Some(origin) => origin.to_owned(),
        None => "settings".to_owned(),
    }
}

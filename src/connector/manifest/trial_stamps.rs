//! Stamps of a provider's records, on trial: which instant one stands for, and the same form with another.
//!
//! Owns the forms that are known without a word of the manifest: a transformation may make the cursor's field of any of them.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use super::{datetime::Format, trial::Trial};
use crate::domain::clock::Timestamp;

/// Tried in this order.
static USUAL: LazyLock<Vec<Format>> = LazyLock::new(|| {
    let forms = [
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S.%fZ",
        "%Y-%m-%dT%H:%M:%S%z",
        "%Y-%m-%d",
        "%s",
        "%ms",
        "%Y-%m-%d %H:%M:%S",
        "%a, %d %b %Y %H:%M:%S %z",
    ];
    forms.iter().filter_map(|form| Format::compile(form).ok()).collect()
});

/// Milliseconds in an envelope, with the offset of whoever wrote them.
static WRAPPED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^/Date\((-?\d+)([+-]\d{4})?\)/$").expect("the pattern is fixed"));

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Trial {
    /// The instant that a cursor value stands for.
    pub fn instant(&self, value: &Value) -> Option<Timestamp> {
        let cursor = self.plan().cursor.as_ref()?;
        cursor.record_formats.iter().chain([&cursor.format]).find_map(|format| format.parse_value(value))
    }

    /// Whether a value may be a time, in the cursor's forms or in another that is usual.
    pub fn may_be_a_time(&self, value: &Value) -> bool {
        let text = text_of(value);
        self.instant(value).is_some() || USUAL.iter().any(|form| form.parse(&text).is_some()) || WRAPPED.is_match(&text)
    }

    /// A value in the first of the cursor's forms that writes `like` again: the form that the provider's records have.
    pub fn stamp_like(&self, like: &Value, at: Timestamp) -> Option<Value> {
        let cursor = self.plan().cursor.as_ref()?;
        let text = text_of(like);
        for form in cursor.record_formats.iter().chain([&cursor.format]).chain(USUAL.iter()) {
            let Some(read) = form.parse(&text) else { continue };
            if form.format(read) == text {
                let written = form.format(at);
                return Some(match like {
                    Value::Number(_) => serde_json::from_str(&written).ok()?,
                    _ => Value::String(written),
                });
            }
        }
        if WRAPPED.is_match(&text) {
            let ms = at.micros().div_euclid(1_000);
            let other = |found: &Captures<'_>| format!("/Date({ms}{})/", found.get(2).map_or("", |zone| zone.as_str()));
            return Some(Value::String(WRAPPED.replace(&text, other).into_owned()));
        }
        like.is_string().then(|| Value::String(at.utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)))
    }
}

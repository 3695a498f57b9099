//! Times as manifests write them.
//!
//! Owns the format's directives: Python's `strftime` and `strptime` words and its own (`%s`, `%ms`, `%_ms`, `%s_as_float`,
//! `%epoch_microseconds`), which but for `%_ms` stand alone. A time without a zone is UTC. Refuses a format with a directive
//! that can be neither read nor written.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike};
use serde_json::Value;

use super::{
    strptime::Reader,
    template::{float_of, int_of, strftime},
};
use crate::domain::clock::Timestamp;

/// A compiled datetime format.
#[derive(Debug, Clone)]
pub struct Format {
    pub source: String,
    /// None for the format's own directives, and for what can only be written.
    reader: Option<Reader>,
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Format {}

impl Format {
    /// # Errors
    /// The directive that is not known, as text.
    pub fn compile(source: &str) -> Result<Self, String> {
        if is_epoch(source) {
            return Ok(Self { source: source.to_owned(), reader: None });
        }
        let reader = match Reader::compile(&source.replace("%_ms", "%f")) {
            Ok(reader) => Some(reader),
            // The C library's own can still be written.
            Err(directive) if directive.len() == 2 && "CDeFghklnPrRstT-_0^#".contains(&directive[1..]) => None,
            Err(directive) => return Err(directive),
        };
        Ok(Self { source: source.to_owned(), reader })
    }

    /// Writes an instant, in UTC.
    pub fn format(&self, at: Timestamp) -> String {
        let wall = at.utc().naive_utc();
        epoch_text(&self.source, at.micros())
            .unwrap_or_else(|| with_millis(&self.source, wall, |format| strftime(format, wall)))
    }

    /// Whether it tells one second from the next.
    pub fn tells_seconds(&self) -> bool {
        let probe = Timestamp::from_micros(1_700_000_001_000_000);
        probe.is_some_and(|probe| self.parse(&self.format(probe)) == Some(probe))
    }

    /// The instant that the text stands for in this format.
    pub fn parse(&self, text: &str) -> Option<Timestamp> {
        if let Some(micros) = epoch_micros(text, &self.source) {
            return Timestamp::from_micros(micros?).filter(|at| DateTime::from_timestamp_micros(at.micros()).is_some());
        }
        let (wall, offset) = self.reader.as_ref()?.read(text)?;
        let offset = TimeDelta::seconds(i64::from(offset.unwrap_or(0)));
        wall.checked_sub_signed(offset).map(Timestamp::from_naive)
    }

    /// As [`Format::parse`], from a JSON text or number.
    pub fn parse_value(&self, value: &Value) -> Option<Timestamp> {
        match value {
            Value::String(text) => self.parse(text),
            Value::Number(number) => match number.as_f64() {
                // A float is cut where whole numbers are wanted.
                Some(float) if number.is_f64() && is_epoch(&self.source) && self.source != "%s_as_float" => {
                    self.parse(&format!("{:.0}", float.trunc()))
                }
                Some(float) if number.is_f64() => self.parse(&super::python::float_repr(float)),
                _ => self.parse(&number.to_string()),
            },
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

fn is_epoch(format: &str) -> bool {
    matches!(format, "%s" | "%s_as_float" | "%epoch_microseconds" | "%ms")
}

/// Writes microseconds since 1970 in one of the format's own directives, by way of a float as the reference does; none for
/// other formats.
#[expect(clippy::cast_precision_loss, reason = "as the reference computes")]
pub(super) fn epoch_text(format: &str, micros: i64) -> Option<String> {
    let seconds = micros as f64 / 1e6;
    match format {
        "%s" => Some(format!("{:.0}", seconds.trunc())),
        "%s_as_float" => Some(super::python::float_repr(seconds)),
        "%epoch_microseconds" => Some(format!("{:.0}", (seconds * 1e6).trunc())),
        "%ms" => Some(format!("{:.0}", (seconds * 1e3).trunc())),
        _ => None,
    }
}

/// Writes a time in a format in which `%_ms` may stand for milliseconds: like the reference, it writes the microseconds and
/// then replaces their digits wherever they stand.
pub(super) fn with_millis(format: &str, wall: NaiveDateTime, write: impl Fn(&str) -> String) -> String {
    if !format.contains("%_ms") {
        return write(format);
    }
    let micros = wall.nanosecond() / 1_000;
    write(&format.replace("%_ms", "%f")).replace(&format!("{micros:06}"), &format!("{:03}", micros / 1_000))
}

/// Reads one of the format's own directives: the outer none says that the format is another, the inner that the text does not fit.
#[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
pub(super) fn epoch_micros(text: &str, format: &str) -> Option<Option<i64>> {
    let whole = |unit: i64| i64::try_from(int_of(text, 10)?).ok()?.checked_mul(unit);
    match format {
        "%s" => Some(whole(1_000_000)),
        "%ms" => Some(whole(1_000)),
        "%epoch_microseconds" => Some(whole(1)),
        "%s_as_float" => {
            Some(float_of(text).filter(|at| at.abs() < 1e12).map(|at| (at * 1e6).round_ties_even() as i64))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "datetime_tests.rs"]
mod datetime_tests;

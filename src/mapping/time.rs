//! Times: from a provider's way of writing them to an instant in UTC.
//!
//! Owns the formats. A text without a zone is only read when the field map names one; a local time that a change of
//! clocks left out is a failure, and one that it gave twice is read as the first.

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde_json::Value;

use super::{
    coerce::{Fault, scalar},
    money,
};
use crate::domain::clock::Timestamp;

/// One way of writing a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// `2026-01-31T08:00:00.123Z`
    Rfc3339,
    /// `2026-01-31 08:00:00`, with a blank or a `T`.
    DateTime,
    /// `2026-01-31`: the day's first moment.
    Date,
    EpochSeconds,
    EpochMs,
    /// strftime, e.g. `%m/%d/%Y %H:%M`; a day alone is the day's first moment.
    Pattern(String),
}

impl TimeFormat {
    pub(super) const WORDS: &'static str =
        "rfc3339, datetime, date, epoch_seconds, epoch_ms, or a pattern such as \"%m/%d/%Y %H:%M\"";

    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "rfc3339" => Some(Self::Rfc3339),
            "datetime" => Some(Self::DateTime),
            "date" => Some(Self::Date),
            "epoch_seconds" => Some(Self::EpochSeconds),
            "epoch_ms" => Some(Self::EpochMs),
            pattern if pattern.contains('%') => {
                let broken =
                    chrono::format::StrftimeItems::new(pattern).any(|item| matches!(item, chrono::format::Item::Error));
                (!broken).then(|| Self::Pattern(pattern.to_owned()))
            }
            _ => None,
        }
    }

    /// Whether a text in this format says nothing about its zone.
    pub(super) fn lacks_zone(&self) -> bool {
        match self {
            Self::Rfc3339 | Self::EpochSeconds | Self::EpochMs => false,
            Self::DateTime | Self::Date => true,
            Self::Pattern(pattern) => !["%z", "%:z", "%#z", "%+", "%s"].iter().any(|zone| pattern.contains(zone)),
        }
    }
}

/// How a time is read: the first format that fits.
#[derive(Debug)]
pub(crate) struct TimeRule {
    pub(super) formats: Vec<TimeFormat>,
    /// For texts without a zone.
    pub(super) zone: Option<Tz>,
}

impl TimeRule {
    /// The instant that a value outside of a field map tells, if it tells one.
    pub(crate) fn instant(&self, value: &Value) -> Option<Timestamp> {
        self.read(value).ok()
    }

    pub(super) fn read(&self, value: &Value) -> Result<Timestamp, Fault> {
        let text = scalar(value).ok_or(NOT_A_TIME)?;
        for format in &self.formats {
            if let Some(at) = self.read_as(format, value, &text)? {
                return Ok(at);
            }
        }
        Err(NOT_A_TIME)
    }

    /// `None` when the text is not in that format.
    fn read_as(&self, format: &TimeFormat, value: &Value, text: &str) -> Result<Option<Timestamp>, Fault> {
        let local = match format {
            TimeFormat::Rfc3339 => return DateTime::parse_from_rfc3339(text).ok().map(in_range).transpose(),
            TimeFormat::EpochSeconds => return Ok(epoch(value, 1_000_000)),
            TimeFormat::EpochMs => return Ok(epoch(value, 1_000)),
            TimeFormat::DateTime => NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
                .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f"))
                .ok(),
            TimeFormat::Date => day(text, "%Y-%m-%d"),
            TimeFormat::Pattern(pattern) if format.lacks_zone() => {
                NaiveDateTime::parse_from_str(text, pattern).ok().or_else(|| day(text, pattern))
            }
            TimeFormat::Pattern(pattern) => {
                return DateTime::parse_from_str(text, pattern).ok().map(in_range).transpose();
            }
        };
        match (local, self.zone) {
            (Some(local), Some(zone)) => match zone.from_local_datetime(&local) {
                MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => in_range(at).map(Some),
                MappedLocalTime::None => {
                    Err(Fault::new("time_does_not_exist", "a time is expected that the zone's clocks have shown"))
                }
            },
            (None, _) | (Some(_), None) => Ok(None),
        }
    }
}

const NOT_A_TIME: Fault = Fault::new("not_a_time", "a time in one of the field map's formats is expected");

fn day(text: &str, pattern: &str) -> Option<NaiveDateTime> {
    NaiveDate::parse_from_str(text, pattern).ok().map(|day| day.and_time(NaiveTime::MIN))
}

/// Both engines hold the years 1000 to 9999 in sortable form.
fn in_range<Z: TimeZone>(at: DateTime<Z>) -> Result<Timestamp, Fault> {
    let utc = at.to_utc();
    if (1000..=9999).contains(&utc.year()) {
        Ok(Timestamp::new(utc))
    } else {
        Err(Fault::new("time_out_of_range", "a time between the years 1000 and 9999 is expected"))
    }
}

fn epoch(value: &Value, micros_per_unit: i64) -> Option<Timestamp> {
    let micros = match value.as_i64() {
        Some(units) => units.checked_mul(micros_per_unit)?,
        None => exact(value)?.checked_mul(Decimal::from(micros_per_unit))?.trunc().to_i64()?,
    };
    Timestamp::from_micros(micros).filter(|at| (1000..=9999).contains(&at.utc().year()))
}

/// Fractions of seconds have more digits than an amount of money may have.
fn exact(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => Decimal::from_str_exact(text.trim()).ok(),
        other => money::decimal(other).ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(formats: &[&str], zone: Option<&str>, value: Value) -> Result<String, &'static str> {
        let rule = TimeRule {
            formats: formats.iter().map(|word| TimeFormat::parse(word).unwrap()).collect(),
            zone: zone.map(|zone| zone.parse().unwrap()),
        };
        rule.read(&value).map(Timestamp::to_iso).map_err(|fault| fault.code)
    }

    #[test]
    fn times_become_utc_by_format_and_zone() {
        let berlin = Some("Europe/Berlin");
        for (formats, zone, value, expected) in [
            (&["rfc3339"][..], None, json!("2026-01-05T09:12:00.123Z"), Ok("2026-01-05T09:12:00.123000Z")),
            (&["rfc3339"], None, json!("2026-01-05T09:12:00+02:00"), Ok("2026-01-05T07:12:00.000000Z")),
            (&["rfc3339"], None, json!("2026-01-05T09:12:00"), Err("not_a_time")),
            (&["rfc3339", "epoch_ms"], None, json!("1767604320000"), Ok("2026-01-05T09:12:00.000000Z")),
            (&["epoch_seconds"], None, json!(1_767_604_320), Ok("2026-01-05T09:12:00.000000Z")),
            (&["epoch_seconds"], None, json!("1767604320.000247"), Ok("2026-01-05T09:12:00.000247Z")),
            (&["epoch_ms"], None, json!(i64::MAX), Err("not_a_time")),
            (&["date"], berlin, json!("2026-07-01"), Ok("2026-06-30T22:00:00.000000Z")),
            (&["datetime"], Some("UTC"), json!("2026-07-01 10:00:00"), Ok("2026-07-01T10:00:00.000000Z")),
            (&["datetime"], berlin, json!("2026-07-01T10:00:00.5"), Ok("2026-07-01T08:00:00.500000Z")),
            (&["%m/%d/%Y"], Some("America/New_York"), json!("01/31/2026"), Ok("2026-01-31T05:00:00.000000Z")),
            (&["%m/%d/%Y %H:%M %z"], None, json!("01/31/2026 08:00 +0100"), Ok("2026-01-31T07:00:00.000000Z")),
            // The clocks leave this out, and give the next one twice.
            (&["datetime"], berlin, json!("2026-03-29 02:30:00"), Err("time_does_not_exist")),
            (&["datetime"], berlin, json!("2026-10-25 02:30:00"), Ok("2026-10-25T00:30:00.000000Z")),
            (&["rfc3339"], None, json!("0001-01-01T00:00:00Z"), Err("time_out_of_range")),
            (&["rfc3339"], None, json!({"at": 1}), Err("not_a_time")),
            (&["date"], berlin, json!("2026-02-30"), Err("not_a_time")),
        ] {
            let got = read(formats, zone, value.clone());
            assert_eq!(got.as_deref().map_err(|code| *code), expected, "{formats:?} {value}");
        }
    }

    #[test]
    fn only_formats_that_say_nothing_of_a_zone_need_one() {
        for (word, lacks) in [
            ("rfc3339", false),
            ("epoch_ms", false),
            ("date", true),
            ("datetime", true),
            ("%d.%m.%Y", true),
            ("%d.%m.%Y %z", false),
        ] {
            assert_eq!(TimeFormat::parse(word).unwrap().lacks_zone(), lacks, "{word}");
        }
        for wrong in ["iso", "", "%Q"] {
            assert_eq!(TimeFormat::parse(wrong), None, "{wrong}");
        }
    }
}

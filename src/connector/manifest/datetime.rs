//! Times as manifests write them.
//!
//! Owns the format's directives: Python's `strftime` words and its own (`%s`, `%ms`, `%_ms`, `%s_as_float`,
//! `%epoch_microseconds`). A time without a zone is UTC. Refuses locale names other than English.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use serde_json::Value;

use crate::domain::clock::Timestamp;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// One of Python's directives.
    Field(char),
    EpochSeconds,
    EpochSecondsFloat,
    EpochMillis,
    EpochMicros,
    /// Three digits on the way out, up to six on the way in.
    Millis,
}

/// A compiled datetime format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    parts: Vec<Part>,
    pub source: String,
}

impl Format {
    /// # Errors
    /// The directive that is not known, as text.
    pub fn compile(source: &str) -> Result<Self, String> {
        let own = [
            ("%epoch_microseconds", Part::EpochMicros),
            ("%s_as_float", Part::EpochSecondsFloat),
            ("%_ms", Part::Millis),
            ("%ms", Part::EpochMillis),
            ("%s", Part::EpochSeconds),
        ];
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(c) = rest.chars().next() {
            if c != '%' {
                literal.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
            let (part, length) = match own.iter().find(|(word, _)| rest.starts_with(word)) {
                Some((word, part)) => (part.clone(), word.len()),
                None => match rest[1..].chars().next() {
                    Some('%') => (Part::Literal("%".to_owned()), 2),
                    Some(c) if "YmdHMSfzZjybBaApI".contains(c) => (Part::Field(c), 2),
                    Some(c) => return Err(format!("%{c}")),
                    None => return Err("%".to_owned()),
                },
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
            rest = &rest[length..];
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts, source: source.to_owned() })
    }

    pub fn format(&self, at: Timestamp) -> String {
        let utc = at.utc();
        self.parts.iter().map(|part| format_part(part, at, utc)).collect()
    }

    /// The instant that the text stands for in this format.
    pub fn parse(&self, text: &str) -> Option<Timestamp> {
        let mut fields = Fields::default();
        let mut rest = text;
        for part in &self.parts {
            rest = fields.read(part, rest)?;
        }
        if rest.is_empty() { fields.instant() } else { None }
    }

    /// As [`Format::parse`], from a JSON text or number.
    pub fn parse_value(&self, value: &Value) -> Option<Timestamp> {
        match value {
            Value::String(text) => self.parse(text.trim()),
            Value::Number(number) => self.parse(&number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

fn format_part(part: &Part, at: Timestamp, utc: DateTime<Utc>) -> String {
    let micros = utc.nanosecond() / 1_000 % 1_000_000;
    match part {
        Part::Literal(text) => text.clone(),
        Part::EpochSeconds => at.micros().div_euclid(1_000_000).to_string(),
        Part::EpochMillis => at.micros().div_euclid(1_000).to_string(),
        Part::EpochMicros => at.micros().to_string(),
        Part::EpochSecondsFloat => {
            let fraction = format!("{micros:06}");
            let fraction = fraction.trim_end_matches('0');
            format!("{}.{}", at.micros().div_euclid(1_000_000), if fraction.is_empty() { "0" } else { fraction })
        }
        Part::Millis => format!("{:03}", micros / 1_000),
        Part::Field(field) => match field {
            'Y' => format!("{:04}", utc.year()),
            'y' => format!("{:02}", utc.year().rem_euclid(100)),
            'm' => format!("{:02}", utc.month()),
            'd' => format!("{:02}", utc.day()),
            'H' => format!("{:02}", utc.hour()),
            'I' => format!("{:02}", utc.hour12().1),
            'M' => format!("{:02}", utc.minute()),
            'S' => format!("{:02}", utc.second()),
            'f' => format!("{micros:06}"),
            'z' => "+0000".to_owned(),
            'Z' => "UTC".to_owned(),
            'j' => format!("{:03}", utc.ordinal()),
            'b' => MONTHS[utc.month0() as usize][..3].to_owned(),
            'B' => MONTHS[utc.month0() as usize].to_owned(),
            'a' => DAYS[utc.weekday().num_days_from_monday() as usize][..3].to_owned(),
            'A' => DAYS[utc.weekday().num_days_from_monday() as usize].to_owned(),
            'p' => if utc.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            _ => String::new(),
        },
    }
}

/// What was read so far. Python fills what is missing from 1900-01-01.
#[derive(Default)]
struct Fields {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    ordinal: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
    afternoon: Option<bool>,
    offset_seconds: i64,
    epoch_micros: Option<i64>,
}

impl Fields {
    /// Reads one part off the front; gives what is left.
    fn read<'t>(&mut self, part: &Part, text: &'t str) -> Option<&'t str> {
        match part {
            Part::Literal(literal) => text.strip_prefix(literal.as_str()),
            Part::EpochSeconds => self.epoch(text, 1_000_000),
            Part::EpochMillis => self.epoch(text, 1_000),
            Part::EpochMicros => self.epoch(text, 1),
            Part::EpochSecondsFloat => {
                let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-')).unwrap_or(text.len());
                let (whole, fraction) = text[..end].split_once('.').unwrap_or((&text[..end], ""));
                let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
                let whole: i64 = whole.parse().ok()?;
                self.epoch_micros = Some(whole.checked_mul(1_000_000)?.checked_add(fraction)?);
                Some(&text[end..])
            }
            Part::Millis => self.fraction(text),
            Part::Field(field) => self.field(*field, text),
        }
    }

    fn epoch<'t>(&mut self, text: &'t str, unit: i64) -> Option<&'t str> {
        let start = usize::from(text.starts_with('-'));
        let end = text[start..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| at + start);
        self.epoch_micros = Some(text[..end].parse::<i64>().ok()?.checked_mul(unit)?);
        Some(&text[end..])
    }

    fn fraction<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let (digits, rest) = digits(text, 6)?;
        self.micros = format!("{digits:0<6}").parse().ok()?;
        Some(rest)
    }

    fn field<'t>(&mut self, field: char, text: &'t str) -> Option<&'t str> {
        let number = |longest: usize| -> Option<(u32, &'t str)> {
            let (digits, rest) = digits(text, longest)?;
            Some((digits.parse().ok()?, rest))
        };
        let rest = match field {
            'Y' => {
                let (digits, rest) = digits(text, 4).filter(|(digits, _)| digits.len() == 4)?;
                self.year = Some(digits.parse().ok()?);
                rest
            }
            'y' => {
                let (year, rest) = number(2)?;
                // Python's pivot.
                self.year = Some(i32::try_from(year).ok()? + if year < 69 { 2000 } else { 1900 });
                rest
            }
            'm' => take(number(2)?, &mut self.month),
            'd' => take(number(2)?, &mut self.day),
            'j' => take(number(3)?, &mut self.ordinal),
            'H' | 'I' => set(number(2)?, &mut self.hour),
            'M' => set(number(2)?, &mut self.minute),
            'S' => set(number(2)?, &mut self.second),
            'f' => self.fraction(text)?,
            'z' => return self.offset(text),
            'Z' => ["UTC", "GMT", "Z"].iter().find_map(|zone| text.strip_prefix(zone))?,
            'b' | 'B' => {
                let (month, rest) = name(&MONTHS, text)?;
                self.month = Some(month + 1);
                rest
            }
            'a' | 'A' => name(&DAYS, text)?.1,
            'p' => {
                let half = text.get(..2)?.to_ascii_uppercase();
                self.afternoon = Some(match half.as_str() {
                    "AM" => false,
                    "PM" => true,
                    _ => return None,
                });
                &text[2..]
            }
            _ => return None,
        };
        Some(rest)
    }

    fn offset<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        if let Some(rest) = text.strip_prefix(['Z', 'z']) {
            return Some(rest);
        }
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let (hours, rest) = digits(&text[1..], 2).filter(|(digits, _)| digits.len() == 2)?;
        let (minutes, rest) =
            digits(rest.strip_prefix(':').unwrap_or(rest), 2).filter(|(digits, _)| digits.len() == 2)?;
        self.offset_seconds = sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60);
        Some(rest)
    }

    fn instant(self) -> Option<Timestamp> {
        if let Some(micros) = self.epoch_micros {
            return Timestamp::from_micros(micros);
        }
        let year = self.year.unwrap_or(1900);
        let date = match self.ordinal {
            Some(ordinal) => NaiveDate::from_yo_opt(year, ordinal)?,
            None => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        let time = NaiveTime::from_hms_micro_opt(hour, self.minute, self.second, self.micros)?;
        let local = NaiveDateTime::new(date, time).checked_sub_signed(TimeDelta::seconds(self.offset_seconds))?;
        Some(Timestamp::from_naive(local))
    }
}

fn take<'t>((number, rest): (u32, &'t str), to: &mut Option<u32>) -> &'t str {
    *to = Some(number);
    rest
}

fn set<'t>((number, rest): (u32, &'t str), to: &mut u32) -> &'t str {
    *to = number;
    rest
}

/// One to `longest` digits off the front.
fn digits(text: &str, longest: usize) -> Option<(&str, &str)> {
    let end = text.bytes().take(longest).take_while(u8::is_ascii_digit).count();
    (end > 0).then(|| text.split_at(end))
}

/// A full or a three-letter name off the front.
fn name<'t>(names: &[&str], text: &'t str) -> Option<(u32, &'t str)> {
    let starts = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let at = names.iter().position(|name| starts(&name[..3]))?;
    let length = if starts(names[at]) { names[at].len() } else { 3 };
    Some((u32::try_from(at).ok()?, &text[length..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_write_and_read_the_same_instant() {
        let at: Timestamp = "2026-01-31T08:05:09.123456Z".parse().unwrap();
        for (format, text, back) in [
            ("%Y-%m-%dT%H:%M:%SZ", "2026-01-31T08:05:09Z", "2026-01-31T08:05:09Z"),
            ("%Y-%m-%dT%H:%M:%S.%fZ", "2026-01-31T08:05:09.123456Z", "2026-01-31T08:05:09.123456Z"),
            ("%Y-%m-%dT%H:%M:%S.%_msZ", "2026-01-31T08:05:09.123Z", "2026-01-31T08:05:09.123Z"),
            ("%Y-%m-%dT%H:%M:%S.%f%z", "2026-01-31T08:05:09.123456+0000", "2026-01-31T08:05:09.123456Z"),
            ("%Y-%m-%d", "2026-01-31", "2026-01-31T00:00:00Z"),
            ("%s", "1769846709", "2026-01-31T08:05:09Z"),
            ("%ms", "1769846709123", "2026-01-31T08:05:09.123Z"),
            ("%epoch_microseconds", "1769846709123456", "2026-01-31T08:05:09.123456Z"),
            ("%s_as_float", "1769846709.123456", "2026-01-31T08:05:09.123456Z"),
            ("%d %b %Y %I:%M:%S %p", "31 Jan 2026 08:05:09 AM", "2026-01-31T08:05:09Z"),
            ("%A, %d %B %y", "Saturday, 31 January 26", "2026-01-31T00:00:00Z"),
            (
                "created_on:gte:%Y-%m-%dT%H:%M:%S+00:00",
                "created_on:gte:2026-01-31T08:05:09+00:00",
                "2026-01-31T08:05:09Z",
            ),
            ("%Y%j", "2026031", "2026-01-31T00:00:00Z"),
            ("100%% %Y", "100% 2026", "2026-01-01T00:00:00Z"),
        ] {
            let format = Format::compile(format).unwrap();
            assert_eq!(format.format(at), text);
            assert_eq!(format.parse(text), Some(back.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn other_spellings_are_read_and_nonsense_is_not() {
        let zoned = Format::compile("%Y-%m-%dT%H:%M:%S%z").unwrap();
        for text in ["2026-01-31T08:00:00Z", "2026-01-31T10:00:00+0200", "2026-01-31T02:00:00-06:00"] {
            assert_eq!(zoned.parse(text).unwrap().to_iso(), "2026-01-31T08:00:00.000000Z", "{text}");
        }
        for text in ["2026-02-30T08:00:00Z", "2026-01-31", "26-01-31T08:00:00Z", "2026-01-31T08:00:00Zx", "", "🦀"] {
            assert_eq!(zoned.parse(text), None, "{text}");
        }
        let seconds = Format::compile("%s").unwrap();
        assert_eq!(seconds.parse_value(&json!(1_769_846_400)).unwrap().to_iso(), "2026-01-31T08:00:00.000000Z");
        assert_eq!(seconds.parse_value(&json!(null)), None);
        assert_eq!(Format::compile("%Y-%q"), Err("%q".to_owned()));
    }
}

//! Reading ISO 8601 texts: times for `str_to_datetime`, spans for `duration`.
//!
//! Follows what the reference's readers take, which is more than the standard (any separator, days of the year, weeks) and
//! less than people write (no blanks around).

use chrono::{Days, NaiveDate, NaiveTime, Weekday};

use super::{
    fault::Fault,
    moment::{Moment, Span, Zone},
};

fn broken() -> Fault {
    Fault::value("a text is not an ISO 8601 time")
}

/// Digits as a number; as lenient about blanks and signs as the reference's own reading of two characters.
fn int(text: Option<&str>) -> Result<u32, Fault> {
    text.and_then(|text| text.trim().trim_start_matches('+').parse().ok()).ok_or_else(broken)
}

/// Reads a time. It has a zone only if the text names one.
pub(super) fn parse(text: &str) -> Result<Moment, Fault> {
    if !text.is_ascii() {
        return Err(broken());
    }
    let (date, end) = common_date(text).or_else(|_| other_date(text))?;
    let Some(time) = text.get(end..).filter(|rest| !rest.is_empty()) else {
        return Ok(Moment { wall: date?.and_time(NaiveTime::MIN), zone: None });
    };
    let (parts, zone) = parse_time(&time[1..])?;
    let mut date = date?;
    let mut hour = parts[0];
    if hour == 24 {
        if parts[1..].iter().any(|part| *part != 0) {
            return Err(broken());
        }
        hour = 0;
        date = date.checked_add_days(Days::new(1)).ok_or_else(broken)?;
    }
    let time = NaiveTime::from_hms_micro_opt(hour, parts[1], parts[2], parts[3]).filter(|_| parts[2] < 60);
    Ok(Moment { wall: date.and_time(time.ok_or_else(broken)?), zone })
}

type FoundDate = (Result<NaiveDate, Fault>, usize);

fn common_date(text: &str) -> Result<FoundDate, Fault> {
    let year = int(text.get(..4))?;
    let date = |month, day| {
        let year = i32::try_from(year).ok().filter(|year| *year > 0);
        year.and_then(|year| NaiveDate::from_ymd_opt(year, month, day)).ok_or_else(broken)
    };
    if text.len() == 4 {
        return Ok((date(1, 1), 4));
    }
    let dashed = text[4..].starts_with('-');
    let at = 4 + usize::from(dashed);
    let month = int(text.get(at..at + 2))?;
    let mut at = at + 2;
    if at >= text.len() {
        return if dashed { Ok((date(month, 1), at)) } else { Err(broken()) };
    }
    if dashed {
        if !text[at..].starts_with('-') {
            return Err(broken());
        }
        at += 1;
    }
    let day = int(text.get(at..at + 2))?;
    Ok((date(month, day), at + 2))
}

/// A day of the year, or of a week.
fn other_date(text: &str) -> Result<FoundDate, Fault> {
    let year = i32::try_from(int(text.get(..4))?).map_err(|_| broken())?;
    let dashed = text[4..].starts_with('-');
    let mut at = 4 + usize::from(dashed);
    if text[at..].starts_with('W') {
        let week = int(text.get(at + 1..at + 3))?;
        at += 3;
        let mut day = 1;
        if text.len() > at {
            if text[at..].starts_with('-') != dashed {
                return Err(broken());
            }
            at += usize::from(dashed);
            day = int(text.get(at..at + 1))?;
            at += 1;
        }
        if !(1..54).contains(&week) || !(1..8).contains(&day) {
            return Err(broken());
        }
        let first = NaiveDate::from_isoywd_opt(year, 1, Weekday::Mon).ok_or_else(broken)?;
        let days = u64::from((week - 1) * 7 + day - 1);
        return Ok((first.checked_add_days(Days::new(days)).ok_or_else(broken), at));
    }
    let ordinal = int(text.get(at..at + 3))?;
    Ok((NaiveDate::from_yo_opt(year, ordinal).filter(|_| year > 0).ok_or_else(broken), at + 3))
}

/// Hour, minute, second, microsecond; and the zone.
fn parse_time(text: &str) -> Result<([u32; 4], Option<Zone>), Fault> {
    let mut parts = [0; 4];
    let mut zone = None;
    let (mut at, mut index, mut colons) = (0, 0, false);
    if text.len() < 2 {
        return Err(broken());
    }
    while at < text.len() && index < 6 {
        if text[at..].starts_with(['-', '+', 'Z', 'z']) {
            zone = Some(parse_zone(&text[at..])?);
            at = text.len();
            break;
        }
        if index == 1 && text[at..].starts_with(':') {
            colons = true;
            at += 1;
        } else if index == 2 && colons {
            if !text[at..].starts_with(':') {
                return Err(broken());
            }
            at += 1;
        }
        if index < 3 {
            parts[index] = int(text.get(at..text.len().min(at + 2)))?;
            at += 2;
        } else if index == 3 && text[at..].starts_with(['.', ',']) {
            let digits = text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                let fraction = format!("{:0<6}", &text[at + 1..=at + digits]);
                parts[3] = int(fraction.get(..6))?;
                at += 1 + digits;
            }
        }
        index += 1;
    }
    if at < text.len() { Err(broken()) } else { Ok((parts, zone)) }
}

fn parse_zone(text: &str) -> Result<Zone, Fault> {
    if text == "Z" || text == "z" {
        return Ok(Zone::ReadUtc);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    if !matches!(text.len(), 3 | 5 | 6) || !text.starts_with(['+', '-']) {
        return Err(broken());
    }
    let hours = int(text.get(1..3))?;
    let from = if text.get(3..4) == Some(":") { 4 } else { 3 };
    let minutes = if text.len() == 3 { 0 } else { int(text.get(from..))? };
    if minutes > 59 || hours > 23 {
        return Err(broken());
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).map_err(|_| broken())?;
    Ok(if seconds == 0 { Zone::ReadUtc } else { Zone::Fixed(sign * seconds) })
}

/// Reads a span: `P1D`, `-P1Y2M3W4DT5H6M7.5S`.
pub(super) fn parse_span(text: &str) -> Result<Span, Fault> {
    let broken = || Fault::value("a text is not an ISO 8601 duration");
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = rest.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or_else(broken)?;
    let (date, time) = rest.split_once('T').unwrap_or((rest, ""));
    let (mut years, mut months, mut micros) = (0.0, 0.0, 0.0_f64);
    let mut calendar = false;
    let mut read = |part: &str, units: &[(char, f64)]| -> Result<(), Fault> {
        let (mut rest, mut units) = (part, units.iter());
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').ok_or_else(broken)?;
            let (digits, tail) = rest.split_at(end);
            let plain =
                digits.starts_with(|c: char| c.is_ascii_digit()) && digits.ends_with(|c: char| c.is_ascii_digit());
            let size: f64 = digits.replace(',', ".").parse().ok().filter(|_| plain).ok_or_else(broken)?;
            let letter = tail.chars().next().ok_or_else(broken)?;
            let (_, unit) = units.find(|(have, _)| *have == letter).ok_or_else(broken)?;
            match (letter, *unit < 0.0) {
                ('Y', _) => (years, calendar) = (size, true),
                ('M', true) => (months, calendar) = (size, true),
                _ => micros += size * unit,
            }
            rest = &tail[1..];
        }
        Ok(())
    };
    read(date, &[('Y', -1.0), ('M', -1.0), ('W', 604_800e6), ('D', 86_400e6)])?;
    read(time, &[('H', 3_600e6), ('M', 60e6), ('S', 1e6)])?;
    if micros > 9e18 {
        return Err(Fault::new(super::fault::FaultKind::Overflow, "a duration is too long"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
    let micros = micros.round_ties_even() as i64;
    // A year or a month of zero makes no calendar span.
    let calendar = calendar && (years != 0.0 || months != 0.0);
    let span = if calendar { Span::Calendar { years, months, micros } } else { Span::Fixed(micros) };
    if negative { span.negated() } else { Ok(span) }
}

//! Methods of times and dates.

use chrono::{Datelike, NaiveDate, Timelike};

use super::{
    fault::Fault,
    globals::read_in,
    isotime,
    moment::{Date, Moment, Span, Zone, offset_text},
    passed::{Passed, needs_int, needs_text},
    strftime::strftime,
    value::Val,
};

const DATE: [&str; 10] = [
    "strftime",
    "isoformat",
    "weekday",
    "isoweekday",
    "replace",
    "toordinal",
    "isocalendar",
    "ctime",
    "today",
    "fromisoformat",
];
const MOMENT: [&str; 9] =
    ["timestamp", "date", "astimezone", "utcoffset", "tzname", "strptime", "fromtimestamp", "now", "utcnow"];

pub(super) fn has(of: &Val<'_>, name: &str) -> bool {
    DATE.contains(&name) || (matches!(of, Val::Moment(_)) && MOMENT.contains(&name))
}

fn fields<'a>(passed: Passed<'a>, names: &[&str], have: &mut [i64]) -> Result<Option<Val<'a>>, Fault> {
    let mut zone = None;
    for (slot, value) in have.iter_mut().zip(passed.positional) {
        *slot = needs_int(Some(value))?;
    }
    for (name, value) in passed.named {
        match names.iter().position(|have| *have == name) {
            Some(at) => have[at] = needs_int(Some(value))?,
            None if name == "tzinfo" => zone = Some(value),
            None => return Err(Fault::wrong_type("a call passes a parameter that the function does not have")),
        }
    }
    Ok(zone)
}

fn day(parts: &[i64]) -> Result<NaiveDate, Fault> {
    let (year, month, day) = (i32::try_from(parts[0]), u32::try_from(parts[1]), u32::try_from(parts[2]));
    let (Ok(year @ 1..=9999), Ok(month), Ok(day)) = (year, month, day) else {
        return Err(Fault::value("a part of a date is out of its range"));
    };
    NaiveDate::from_ymd_opt(year, month, day).ok_or_else(|| Fault::value("a part of a date is out of its range"))
}

fn shared<'a>(at: &Moment, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let date = at.wall.date();
    match name {
        "strftime" => {
            let [format] = passed.fit(["format"], 1)?;
            Ok(Val::text(strftime(&needs_text(format)?, at.wall, at.zone)))
        }
        "weekday" => passed.nothing().map(|()| Val::Int(i64::from(date.weekday().num_days_from_monday()))),
        "isoweekday" => passed.nothing().map(|()| Val::Int(i64::from(date.weekday().number_from_monday()))),
        "toordinal" => passed.nothing().map(|()| Val::Int(i64::from(date.num_days_from_ce()))),
        "isocalendar" => {
            passed.nothing()?;
            let week = date.iso_week();
            let parts =
                [i64::from(week.year()), i64::from(week.week()), i64::from(date.weekday().number_from_monday())];
            Ok(Val::tuple(parts.map(Val::Int).to_vec()))
        }
        "ctime" => passed.nothing().map(|()| Val::text(strftime("%a %b %e %H:%M:%S %Y", at.wall, None))),
        _ => Err(Fault::unsupported("a method of times is not supported")),
    }
}

pub(super) fn date<'a>(of: Date, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    match name {
        "isoformat" => passed.nothing().map(|()| Val::text(of.iso())),
        "replace" => {
            let mut parts = [i64::from(of.0.year()), i64::from(of.0.month()), i64::from(of.0.day())];
            fields(passed, &["year", "month", "day"], &mut parts)?;
            Ok(Val::Date(Date(day(&parts)?)))
        }
        "fromisoformat" => {
            let [text] = passed.plain(1)?;
            isotime::parse(&needs_text(text)?).map(|at| Val::Date(Date(at.wall.date())))
        }
        _ => shared(&of.midnight(), name, passed),
    }
}

pub(super) fn moment<'a>(of: &Moment, name: &str, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    match name {
        "isoformat" => isoformat(of, passed),
        "timestamp" => {
            passed.nothing()?;
            #[expect(clippy::cast_precision_loss, reason = "as the reference divides")]
            let seconds = of.micros() as f64 / 1e6;
            Ok(Val::Float(seconds))
        }
        "date" => passed.nothing().map(|()| Val::Date(Date(of.wall.date()))),
        "utcoffset" => {
            passed.nothing()?;
            Ok(of.zone.map_or(Val::None, |zone| Val::Span(Span::Fixed(i64::from(zone.offset()) * 1_000_000))))
        }
        "tzname" => {
            passed.nothing()?;
            Ok(match of.zone {
                None => Val::None,
                Some(Zone::Fixed(offset)) => Val::text(format!("UTC{}", offset_text(offset, ":"))),
                Some(_) => Val::text("UTC"),
            })
        }
        // The only zone that a template can name is none at all, which is the machine's, and that is UTC.
        "astimezone" => passed.nothing().and_then(|()| Moment::from_micros(of.micros(), Zone::Utc)).map(Val::Moment),
        "replace" => replace(of, passed),
        "strptime" => {
            let [text, format] = passed.plain(2)?;
            read_in(&needs_text(text)?, &needs_text(format)?, false).map(Val::Moment)
        }
        "fromisoformat" => {
            let [text] = passed.plain(1)?;
            let mut at = isotime::parse(&needs_text(text)?)?;
            if at.zone == Some(Zone::ReadUtc) {
                at.zone = Some(Zone::Utc);
            }
            Ok(Val::Moment(at))
        }
        "fromtimestamp" => {
            let [seconds] = passed.plain(1)?;
            let micros = match seconds {
                #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
                Some(Val::Float(seconds)) if seconds.abs() < 1e12 => (seconds * 1e6).round_ties_even() as i64,
                seconds => needs_int(seconds)?
                    .checked_mul(1_000_000)
                    .ok_or_else(|| Fault::value("a time leads out of the calendar"))?,
            };
            let at =
                Moment::from_micros(micros, Zone::Utc).map_err(|_| Fault::value("a time leads out of the calendar"))?;
            Ok(Val::Moment(Moment { zone: None, ..at }))
        }
        _ => shared(of, name, passed),
    }
}

fn isoformat<'a>(of: &Moment, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let [separator, detail] = passed.fit(["sep", "timespec"], 0)?;
    let separator = match separator {
        None => 'T',
        some => {
            let text = needs_text(some)?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(separator), None) => separator,
                _ => return Err(Fault::wrong_type("the separator is not one character")),
            }
        }
    };
    let Some(detail) = detail else { return Ok(Val::text(of.iso(separator))) };
    let detail = needs_text(Some(detail))?;
    let micros = of.wall.nanosecond() / 1_000;
    let time = match &*detail {
        "auto" => return Ok(Val::text(of.iso(separator))),
        "hours" => of.wall.format("%H").to_string(),
        "minutes" => of.wall.format("%H:%M").to_string(),
        "seconds" => of.wall.format("%H:%M:%S").to_string(),
        "milliseconds" => format!("{}.{:03}", of.wall.format("%H:%M:%S"), micros / 1_000),
        "microseconds" => format!("{}.{micros:06}", of.wall.format("%H:%M:%S")),
        _ => return Err(Fault::value("the detail of a time is not known")),
    };
    let zone = of.zone.map(|zone| offset_text(zone.offset(), ":")).unwrap_or_default();
    Ok(Val::text(format!("{}{separator}{time}{zone}", Date(of.wall.date()).iso())))
}

fn replace<'a>(of: &Moment, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
    let wall = &of.wall;
    let names = ["year", "month", "day", "hour", "minute", "second", "microsecond"];
    let mut parts = [
        i64::from(wall.year()),
        i64::from(wall.month()),
        i64::from(wall.day()),
        i64::from(wall.hour()),
        i64::from(wall.minute()),
        i64::from(wall.second()),
        i64::from(wall.nanosecond() / 1_000),
    ];
    let zone = match fields(passed, &names, &mut parts)? {
        None => of.zone,
        Some(Val::None) => None,
        Some(_) => return Err(Fault::wrong_type("a zone is not one")),
    };
    let part = |at: usize| u32::try_from(parts[at]).map_err(|_| Fault::value("a part of a time is out of its range"));
    let time = day(&parts)?.and_hms_micro_opt(part(3)?, part(4)?, part(5)?, part(6)?);
    let wall =
        time.filter(|_| parts[6] < 1_000_000).ok_or_else(|| Fault::value("a part of a time is out of its range"))?;
    Ok(Val::Moment(Moment { wall, zone }))
}

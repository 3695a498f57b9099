//! The functions that the format gives to templates.
//!
//! The clock is the context's `now`, so that a run gives the same twice; only `generate_uuid` differs from call to call.

use chrono::{Datelike, TimeDelta};

use super::{
    compare,
    evaluate::Run,
    fault::{Fault, FaultKind},
    isotime,
    moment::{Date, Moment, Span, Zone},
    passed::{Passed, may_text, needs_int, needs_text},
    print,
    strftime::strftime,
    value::{Text, Val},
};
use crate::connector::manifest::{datetime, strptime::Reader};

macro_rules! globals {
    ($($(#[$note:meta])* $name:ident => $text:literal),+ $(,)?) => {
        /// A function of the format, or one of the template language's own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Global { $($(#[$note])* $name),+ }

        impl Global {
            /// All names in a template.
            pub(super) const NAMES: &'static [&'static str] = &[$($text),+];

            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)+ _ => None }
            }

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

globals! {
    NowUtc => "now_utc",
    TodayUtc => "today_utc",
    TodayWithTimezone => "today_with_timezone",
    Timestamp => "timestamp",
    Max => "max",
    Min => "min",
    DayDelta => "day_delta",
    Duration => "duration",
    FormatDatetime => "format_datetime",
    StrToDatetime => "str_to_datetime",
    SanitizeUrl => "sanitize_url",
    CamelCaseToSnakeCase => "camel_case_to_snake_case",
    GenerateUuid => "generate_uuid",
    Dict => "dict",
    Namespace => "namespace",
    /// The template itself, which has nothing to show.
    Own => "self",
}

impl Global {
    pub(super) fn call<'a>(self, run: &mut Run<'a>, passed: Passed<'a>) -> Result<Val<'a>, Fault> {
        let now = || Moment::now(run.context.now);
        match self {
            Self::NowUtc => passed.nothing().map(|()| Val::Moment(now())),
            Self::TodayUtc => passed.nothing().map(|()| Val::Date(Date(now().wall.date()))),
            Self::TodayWithTimezone => {
                let [zone] = passed.fit(["timezone"], 1)?;
                today_in(&now(), &needs_text(zone)?)
            }
            Self::Timestamp => {
                let [at] = passed.fit(["dt"], 1)?;
                timestamp(&at.unwrap_or(Val::None))
            }
            Self::Max => extreme(passed, std::cmp::Ordering::Greater),
            Self::Min => extreme(passed, std::cmp::Ordering::Less),
            Self::DayDelta => {
                let [days, format] = passed.fit(["num_days", "format"], 1)?;
                day_delta(&now(), days.unwrap_or(Val::None), format)
            }
            Self::Duration => {
                let [text] = passed.fit(["datestring"], 1)?;
                isotime::parse_span(&needs_text(text)?).map(Val::Span)
            }
            Self::FormatDatetime => {
                let [at, format, input] = passed.fit(["dt", "format", "input_format"], 2)?;
                format_datetime(&at.unwrap_or(Val::None), &needs_text(format)?, input)
            }
            Self::StrToDatetime => {
                let [text] = passed.fit(["s"], 1)?;
                read_time(&text.unwrap_or(Val::None)).map(Val::Moment)
            }
            Self::SanitizeUrl => {
                let [value] = passed.fit(["value"], 1)?;
                let value = value.unwrap_or(Val::None);
                match &value {
                    Val::Text(text) => Ok(Val::text(quote(text, "", true))),
                    _ => value.used().and(Err(Fault::wrong_type("a parameter is not a text"))),
                }
            }
            Self::CamelCaseToSnakeCase => {
                let [value] = passed.fit(["value"], 1)?;
                Ok(Val::text(snake_case(&needs_text(value)?)))
            }
            Self::GenerateUuid => passed.nothing().map(|()| Val::text(uuid::Uuid::new_v4().to_string())),
            Self::Own => Err(Fault::wrong_type("the value cannot be called")),
            Self::Dict | Self::Namespace => {
                let mut pairs = Vec::new();
                if passed.positional.len() > 1 {
                    return Err(Fault::wrong_type("a call passes more than the function takes"));
                }
                if let Some(from) = passed.positional.first() {
                    for (key, value) in super::methods::pairs_of(from)? {
                        compare::put(&mut pairs, key, value);
                    }
                }
                for (name, value) in passed.named {
                    compare::put(&mut pairs, Val::Text(Text::Of(name)), value);
                }
                let made = std::rc::Rc::new(std::cell::RefCell::new(pairs));
                Ok(if self == Self::Dict { Val::Dict(made) } else { Val::Space(made) })
            }
        }
    }
}

fn today_in<'a>(now: &Moment, zone: &str) -> Result<Val<'a>, Fault> {
    let unknown = || Fault::new(FaultKind::Key, "there is no such time zone");
    let zone: chrono_tz::Tz = chrono_tz::TZ_VARIANTS
        .iter()
        .copied()
        .find(|known| known.name().eq_ignore_ascii_case(zone))
        .ok_or_else(unknown)?;
    Ok(Val::Date(Date(now.wall.and_utc().with_timezone(&zone).date_naive())))
}

/// Reads an ISO 8601 text, in UTC where it names no zone.
fn read_time(value: &Val<'_>) -> Result<Moment, Fault> {
    match value {
        Val::Text(text) => isotime::parse(text)?.read_utc(),
        _ => {
            value.used()?;
            // What has a length is measured before its type shows.
            let short = value.length().is_ok_and(|length| length < 4);
            Err(if short {
                Fault::value("a time is too short")
            } else {
                Fault::wrong_type("a time is not given as a text")
            })
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "as the reference divides")]
fn timestamp<'a>(at: &Val<'a>) -> Result<Val<'a>, Fault> {
    match at {
        Val::Float(float) if float.is_nan() => Err(Fault::value("not a number has no integer")),
        Val::Float(float) => super::filters_number::whole(*float).map(Val::big),
        Val::Int(_) | Val::Big(_) => Ok(at.clone()),
        Val::Bool(truth) => Ok(Val::Int(i64::from(*truth))),
        _ => read_time(at).map(|at| Val::Float(at.micros() as f64 / 1e6)),
    }
}

fn extreme<'a>(passed: Passed<'a>, wanted: std::cmp::Ordering) -> Result<Val<'a>, Fault> {
    if !passed.named.is_empty() {
        return Err(Fault::wrong_type("a call passes a parameter that the function does not have"));
    }
    let items = match passed.positional.as_slice() {
        [] => return Err(Fault::wrong_type("a call lacks a parameter")),
        [of] => of.items()?,
        _ => passed.positional,
    };
    let mut items = items.into_iter();
    let mut best = items.next().ok_or_else(|| Fault::value("there is nothing to compare"))?;
    for item in items {
        if compare::order(&item, &best)? == wanted {
            best = item;
        }
    }
    Ok(best)
}

fn day_delta<'a>(now: &Moment, days: Val<'a>, format: Option<Val<'a>>) -> Result<Val<'a>, Fault> {
    let micros = match days {
        Val::Float(days) if days.is_finite() && days.abs() < 1e8 => {
            #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
            let micros = (days * 86_400e6).round_ties_even() as i64;
            micros
        }
        days => needs_int(Some(days))?
            .checked_mul(86_400_000_000)
            .ok_or_else(|| Fault::new(FaultKind::Overflow, "that many days lead out of the calendar"))?,
    };
    let at = now.plus(Span::Fixed(micros))?;
    let format = format.map(|format| needs_text(Some(format))).transpose()?;
    let format = format.as_deref().unwrap_or("%Y-%m-%dT%H:%M:%S.%f%z");
    Ok(Val::text(strftime(format, at.wall, at.zone)))
}

fn format_datetime<'a>(at: &Val<'a>, format: &str, input: Option<Val<'a>>) -> Result<Val<'a>, Fault> {
    let input = match input {
        None | Some(Val::None) => None,
        Some(input) if input.truth()? => may_text(Some(input))?,
        Some(_) => None,
    };
    let moment = match at {
        Val::Moment(at) => return Ok(Val::text(strftime(format, at.wall, at.zone))),
        Val::Int(_) | Val::Big(_) | Val::Bool(_) => {
            let text = if let Val::Bool(truth) = at { i64::from(*truth).to_string() } else { print::text(at)? };
            read_in(&text, input.as_deref().unwrap_or("%s"), true)?
        }
        _ => match input {
            None => read_time(at)?,
            Some(input) => match at {
                Val::Text(text) => read_in(text, &input, false)?,
                _ => return at.used().and(Err(Fault::wrong_type("a time is not given as a text"))),
            },
        },
    };
    let moment = Moment { zone: moment.zone.or(Some(Zone::ReadUtc)), ..moment };
    let micros = moment.micros();
    Ok(Val::text(datetime::epoch_text(format, micros).unwrap_or_else(|| {
        datetime::with_millis(format, moment.wall, |format| strftime(format, moment.wall, moment.zone))
    })))
}

/// Reads a time in a format; `parser` allows the format's own directives for seconds and milliseconds since 1970.
pub(super) fn read_in(text: &str, format: &str, parser: bool) -> Result<Moment, Fault> {
    if parser && let Some(micros) = datetime::epoch_micros(text, format) {
        let micros = micros.ok_or_else(|| Fault::value("a time does not match its format"))?;
        return Moment::from_micros(micros, Zone::Utc);
    }
    let format = if parser { format.replace("%_ms", "%f") } else { format.to_owned() };
    let reader =
        Reader::compile(&format).map_err(|_| Fault::value("a datetime format has a directive that is not known"))?;
    let (wall, offset) = reader.read(text).ok_or_else(|| Fault::value("a time does not match its format"))?;
    // A text that says UTC by name gives no zone; an offset does.
    let zone = offset.map(|offset| if offset == 0 { Zone::Utc } else { Zone::Fixed(offset) });
    if wall.year() < 1 || wall.checked_add_signed(TimeDelta::zero()).is_none() {
        return Err(Fault::value("a time leads out of the calendar"));
    }
    Ok(Moment { wall, zone })
}

/// Percent-encoding of all but letters, digits, `_.-~` and what is `safe`; blanks as `+` if `plus`.
pub(super) fn quote(text: &str, safe: &str, plus: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || (c.is_ascii() && safe.contains(c)) {
            out.push(c);
        } else if c == ' ' && plus {
            out.push('+');
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// An underscore before each capital but the first.
fn snake_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for (at, c) in text.char_indices() {
        if at > 0 && c.is_ascii_uppercase() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

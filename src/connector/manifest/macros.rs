//! The functions and filters that the format gives to templates, beside Jinja's own.
//!
//! Owns times inside templates. "Now" is the start of the run, so that each page of a pull asks for the same.
//! Refuses arithmetic on times: the template engine has none for objects, so it is refused at load.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{
    Environment, Error, ErrorKind, State, Value as Jinja,
    value::{Kwargs, Object, ObjectRepr, Rest},
};

use super::{datetime::Format, template::NOW};
use crate::domain::clock::Timestamp;

/// What templates may call.
pub(super) const NAMES: [&str; 12] = [
    "now_utc",
    "today_utc",
    "timestamp",
    "day_delta",
    "format_datetime",
    "str_to_datetime",
    "duration",
    "max",
    "min",
    "range",
    "dict",
    "namespace",
];

const DAY_MICROS: i64 = 86_400_000_000;
/// Forms in which a text is taken for a time where no format is named.
const USUAL: [&str; 10] = [
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S.%f%z",
    "%Y-%m-%d %H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
    "%Y-%m",
];

/// Reads a time in any of the usual forms.
pub fn usual_time(text: &str) -> Option<Timestamp> {
    USUAL.iter().find_map(|format| Format::compile(format).ok()?.parse(text.trim()))
}

/// A time as Python's `datetime` (or `date`) in a template.
struct Moment {
    at: Timestamp,
    date_only: bool,
}

impl Moment {
    fn value(at: Timestamp) -> Jinja {
        Jinja::from_object(Self { at, date_only: false })
    }

    fn text(&self, separator: char) -> String {
        let format = match (self.date_only, self.at.micros() % 1_000_000 == 0) {
            (true, _) => "%Y-%m-%d".to_owned(),
            (false, true) => format!("%Y-%m-%d{separator}%H:%M:%S+00:00"),
            (false, false) => format!("%Y-%m-%d{separator}%H:%M:%S.%f+00:00"),
        };
        Format::compile(&format).map(|format| format.format(self.at)).unwrap_or_default()
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(' '))
    }
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Jinja]) -> Result<Jinja, Error> {
        match (method, args) {
            ("strftime", [format]) => formatted(self.at, format),
            ("isoformat", []) => Ok(self.text('T').into()),
            ("date", []) => Ok(Jinja::from_object(Self { at: self.at, date_only: true })),
            ("timestamp", []) => Ok(Jinja::from(seconds(self.at))),
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(' '))
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 stay below 2^53 until the year 2255")]
fn seconds(at: Timestamp) -> f64 {
    at.micros() as f64 / 1_000_000.0
}

fn formatted(at: Timestamp, format: &Jinja) -> Result<Jinja, Error> {
    let format = format.as_str().ok_or_else(|| invalid("the datetime format is not text"))?;
    let format = Format::compile(format).map_err(|_| invalid("the datetime format has an unknown directive"))?;
    Ok(format.format(at).into())
}

fn now(state: &State<'_, '_>) -> Result<Timestamp, Error> {
    let micros = state.lookup(NOW).and_then(|now| now.as_i64());
    micros.and_then(Timestamp::from_micros).ok_or_else(|| invalid("no time is known here"))
}

/// A moment, a number of seconds, or a text in `format` or any usual form.
fn moment(value: &Jinja, format: Option<&str>) -> Result<Timestamp, Error> {
    if let Some(moment) = value.downcast_object_ref::<Moment>() {
        return Ok(moment.at);
    }
    if let Some(seconds) = value.as_i64() {
        return seconds.checked_mul(1_000_000).and_then(Timestamp::from_micros).ok_or_else(|| invalid("not a time"));
    }
    let text = value.as_str().ok_or_else(|| invalid("not a time"))?;
    match format.map(Format::compile) {
        Some(Ok(format)) => format.parse(text),
        Some(Err(_)) => return Err(invalid("the datetime format has an unknown directive")),
        None => usual_time(text),
    }
    .ok_or_else(|| invalid("not a time"))
}

fn extreme(args: &[Jinja], greatest: bool) -> Result<Jinja, Error> {
    let items = match args {
        [list] => list.try_iter()?.collect(),
        _ => args.to_vec(),
    };
    let found = if greatest { items.into_iter().max() } else { items.into_iter().min() };
    found.ok_or_else(|| invalid("nothing to compare"))
}

/// Adds the format's functions and filters.
pub(super) fn install(env: &mut Environment<'static>) {
    env.add_function("now_utc", |state: &State<'_, '_>| now(state).map(Moment::value));
    env.add_function("today_utc", |state: &State<'_, '_>| {
        now(state).map(|at| Jinja::from_object(Moment { at, date_only: true }))
    });
    env.add_function("timestamp", |value: Jinja| match value.as_i64() {
        Some(whole) => Ok(Jinja::from(whole)),
        None => moment(&value, None).map(|at| Jinja::from(seconds(at))),
    });
    env.add_function("str_to_datetime", |value: Jinja| moment(&value, None).map(Moment::value));
    env.add_function("day_delta", |state: &State<'_, '_>, days: i64, format: Option<Jinja>, named: Kwargs| {
        let format = format.or(named.get::<Option<Jinja>>("format")?);
        named.assert_all_used()?;
        let micros = days.checked_mul(DAY_MICROS).and_then(|by| now(state).ok()?.micros().checked_add(by));
        let at = micros
            .and_then(Timestamp::from_micros)
            .ok_or_else(|| invalid("that many days lead out of the calendar"))?;
        formatted(at, &format.unwrap_or_else(|| Jinja::from("%Y-%m-%dT%H:%M:%S.%f%z")))
    });
    env.add_function("format_datetime", |value: Jinja, format: Jinja, input: Option<String>, named: Kwargs| {
        let input = input.or(named.get::<Option<String>>("input_format")?);
        named.assert_all_used()?;
        formatted(moment(&value, input.as_deref())?, &format)
    });
    env.add_function("duration", |text: String| {
        super::duration::Duration::parse(&text).map(|_| text).ok_or_else(|| invalid("not an ISO 8601 duration"))
    });
    env.add_function("max", |args: Rest<Jinja>| extreme(&args, true));
    env.add_function("min", |args: Rest<Jinja>| extreme(&args, false));
    env.add_filter("base64encode", |text: String| STANDARD.encode(text));
    env.add_filter("base64decode", |text: String| {
        let bytes = STANDARD.decode(text).map_err(|_| invalid("not base64"))?;
        String::from_utf8(bytes).map_err(|_| invalid("not text"))
    });
    // As Python's quote: a space is %20, a slash stays.
    env.add_filter("urlencode", |text: String| {
        url::form_urlencoded::byte_serialize(text.as_bytes())
            .collect::<String>()
            .replace('+', "%20")
            .replace("%2F", "/")
    });
}

/// The source calculates with what a time macro or `duration` gives: `now_utc() - duration('P1D')`.
pub(super) fn computes_with_times(source: &str) -> bool {
    let computed = |call: &str| {
        source.match_indices(call).any(|(at, _)| {
            let after = source[at..].find(')').map_or("", |close| &source[at + close + 1..]);
            let before = source[..at].trim_end();
            after.trim_start().starts_with(['+', '-']) || before.ends_with(['+', '-']) && !before.ends_with("{{-")
        })
    };
    ["now_utc(", "today_utc(", "duration(", "str_to_datetime("].iter().any(|call| computed(call))
}

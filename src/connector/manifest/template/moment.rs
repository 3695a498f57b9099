//! Times, dates and spans of time inside templates, as Python's `datetime` has them.
//!
//! Owns their arithmetic, order and printing. Years go from 1 to 9999; what leads out of them is a fault. Writing in a
//! format is `strftime`, reading is `isotime` and `crate::connector::manifest::datetime`.

use std::cmp::Ordering;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::fault::{Fault, FaultKind};

const DAY: i64 = 86_400_000_000;

/// The zone of a time: an offset, and which of the reference's zone objects it is, since they print differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// `datetime.timezone.utc`, of the clock.
    Utc,
    /// The UTC of the zone database, of a time that was read.
    ReadUtc,
    /// Seconds east of UTC.
    Fixed(i32),
}

impl Zone {
    pub(super) fn offset(self) -> i32 {
        match self {
            Self::Utc | Self::ReadUtc => 0,
            Self::Fixed(seconds) => seconds,
        }
    }
}

/// A `datetime`: what the clock on the wall shows, and the zone if it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub wall: NaiveDateTime,
    pub zone: Option<Zone>,
}

/// A `date`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date(pub NaiveDate);

/// A `timedelta`, or a span with calendar years and months.
#[derive(Debug, Clone, Copy)]
pub(super) enum Span {
    /// Microseconds.
    Fixed(i64),
    Calendar {
        years: f64,
        months: f64,
        micros: i64,
    },
}

fn overflow() -> Fault {
    Fault::new(FaultKind::Overflow, "a time leads out of the calendar")
}

fn checked(wall: Option<NaiveDateTime>) -> Result<NaiveDateTime, Fault> {
    wall.filter(|wall| (1..=9999).contains(&wall.year())).ok_or_else(overflow)
}

/// Hours and minutes as `+02:00`, with seconds where there are any.
pub(super) fn offset_text(offset: i32, colon: &str) -> String {
    let (sign, size) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
    let seconds = if size % 60 == 0 { String::new() } else { format!("{colon}{:02}", size % 60) };
    format!("{sign}{:02}{colon}{:02}{seconds}", size / 3600, size / 60 % 60)
}

impl Moment {
    /// The clock's time, in UTC.
    pub(super) fn now(at: crate::domain::clock::Timestamp) -> Self {
        Self { wall: at.utc().naive_utc(), zone: Some(Zone::Utc) }
    }

    /// The same instant in the UTC of times that were read; a time without a zone is taken for UTC.
    pub(super) fn read_utc(self) -> Result<Self, Fault> {
        let offset = TimeDelta::seconds(i64::from(self.zone.map_or(0, Zone::offset)));
        Ok(Self { wall: checked(self.wall.checked_sub_signed(offset))?, zone: Some(Zone::ReadUtc) })
    }

    /// Microseconds since 1970 UTC; without a zone it counts as UTC.
    pub(super) fn micros(&self) -> i64 {
        self.wall.and_utc().timestamp_micros() - i64::from(self.zone.map_or(0, Zone::offset)) * 1_000_000
    }

    /// From microseconds since 1970 UTC.
    pub(super) fn from_micros(micros: i64, zone: Zone) -> Result<Self, Fault> {
        let wall = DateTime::from_timestamp_micros(micros).map(|at| at.naive_utc());
        let wall = wall.and_then(|wall| wall.checked_add_signed(TimeDelta::seconds(i64::from(zone.offset()))));
        Ok(Self { wall: checked(wall)?, zone: Some(zone) })
    }

    /// Both have a zone, or neither.
    pub(super) fn like(&self, other: &Self) -> bool {
        self.zone.is_some() == other.zone.is_some()
    }

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        self.like(other).then(|| self.micros().cmp(&other.micros()))
    }

    pub(super) fn iso(&self, separator: char) -> String {
        let (date, time) = (Date(self.wall.date()).iso(), self.wall.time());
        let micros = time.nanosecond() / 1_000;
        let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
        let zone = self.zone.map(|zone| offset_text(zone.offset(), ":")).unwrap_or_default();
        format!("{date}{separator}{}{fraction}{zone}", time.format("%H:%M:%S"))
    }

    pub(super) fn repr(&self) -> String {
        let wall = &self.wall;
        let micros = wall.nanosecond() / 1_000;
        let mut parts =
            format!("{}, {}, {}, {}, {}", wall.year(), wall.month(), wall.day(), wall.hour(), wall.minute());
        if wall.second() > 0 || micros > 0 {
            parts = format!("{parts}, {}", wall.second());
        }
        if micros > 0 {
            parts = format!("{parts}, {micros}");
        }
        match self.zone {
            None => {}
            Some(Zone::Utc) => parts.push_str(", tzinfo=datetime.timezone.utc"),
            Some(Zone::ReadUtc) => parts.push_str(", tzinfo=<UTC>"),
            Some(Zone::Fixed(offset)) => {
                let span = Span::Fixed(i64::from(offset) * 1_000_000).repr();
                parts = format!("{parts}, tzinfo=datetime.timezone({span})");
            }
        }
        format!("datetime.datetime({parts})")
    }

    pub(super) fn plus(&self, span: Span) -> Result<Self, Fault> {
        let date = Date(self.wall.date()).months_later(span)?;
        let wall = date.0.and_time(self.wall.time());
        let wall = checked(wall.checked_add_signed(TimeDelta::microseconds(span.micros())))?;
        Ok(Self { wall, zone: self.zone })
    }

    /// The span from another time to this one.
    pub(super) fn since(&self, other: &Self) -> Result<Span, Fault> {
        if !self.like(other) {
            return Err(Fault::wrong_type("times with and without a zone have no difference"));
        }
        Ok(Span::Fixed(self.micros() - other.micros()))
    }
}

impl Date {
    pub(super) fn iso(self) -> String {
        format!("{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }

    pub(super) fn repr(self) -> String {
        format!("datetime.date({}, {}, {})", self.0.year(), self.0.month(), self.0.day())
    }

    /// Midnight without a zone.
    pub(super) fn midnight(self) -> Moment {
        Moment { wall: self.0.and_time(NaiveTime::MIN), zone: None }
    }

    fn months_later(self, span: Span) -> Result<Self, Fault> {
        let Span::Calendar { years, months, .. } = span else { return Ok(self) };
        if years.fract() != 0.0 || months.fract() != 0.0 {
            return Err(Fault::value("a part of a year or a month cannot be added to a date"));
        }
        let by = years * 12.0 + months;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
        let size = if by.abs() < 120_000.0 { Months::new(by.abs() as u32) } else { return Err(overflow()) };
        let moved = if by < 0.0 { self.0.checked_sub_months(size) } else { self.0.checked_add_months(size) };
        let moved = moved.filter(|date| (1..=9999).contains(&date.year()));
        moved.map(Self).ok_or_else(|| Fault::value("a date leads out of the calendar"))
    }

    /// Whole days only; the rest of a span is dropped.
    pub(super) fn plus(self, span: Span) -> Result<Self, Fault> {
        let date = self.months_later(span)?.0;
        let days = span.micros().div_euclid(DAY);
        let size = Days::new(days.unsigned_abs());
        let moved = if days < 0 { date.checked_sub_days(size) } else { date.checked_add_days(size) };
        moved.filter(|date| (1..=9999).contains(&date.year())).map(Self).ok_or_else(overflow)
    }

    pub(super) fn since(self, other: Self) -> Span {
        Span::Fixed((self.0 - other.0).num_days() * DAY)
    }
}

impl Span {
    pub(super) fn is_zero(&self) -> bool {
        matches!(self, Self::Fixed(0))
    }

    /// The fixed part, in microseconds.
    pub(super) fn micros(&self) -> i64 {
        match self {
            Self::Fixed(micros) | Self::Calendar { micros, .. } => *micros,
        }
    }

    fn calendar(&self) -> (f64, f64) {
        match self {
            Self::Fixed(_) => (0.0, 0.0),
            Self::Calendar { years, months, .. } => (*years, *months),
        }
    }

    /// `days`, `seconds` and `microseconds`, of which only the days may be negative.
    pub(super) fn split(&self) -> (i64, i64, i64) {
        let micros = self.micros();
        let rest = micros.rem_euclid(DAY);
        (micros.div_euclid(DAY), rest / 1_000_000, rest % 1_000_000)
    }

    #[expect(clippy::cast_precision_loss, reason = "as the reference divides")]
    pub(super) fn seconds(&self) -> f64 {
        self.micros() as f64 / 1e6
    }

    pub(super) fn negated(self) -> Result<Self, Fault> {
        let micros = self.micros().checked_neg().ok_or_else(overflow)?;
        Ok(match self {
            Self::Fixed(_) => Self::Fixed(micros),
            Self::Calendar { years, months, .. } => Self::Calendar { years: -years, months: -months, micros },
        })
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, Fault> {
        let micros = self.micros().checked_add(other.micros()).ok_or_else(overflow)?;
        if let (Self::Fixed(_), Self::Fixed(_)) = (self, other) {
            return Ok(Self::Fixed(micros));
        }
        let ((years, months), (more_years, more_months)) = (self.calendar(), other.calendar());
        Ok(Self::Calendar { years: years + more_years, months: months + more_months, micros })
    }

    pub(super) fn times(self, by: i64) -> Result<Self, Fault> {
        let micros = self.micros().checked_mul(by).ok_or_else(overflow)?;
        #[expect(clippy::cast_precision_loss, reason = "spans of that many years are out of the calendar anyway")]
        let size = by as f64;
        Ok(match self {
            Self::Fixed(_) => Self::Fixed(micros),
            Self::Calendar { years, months, .. } => {
                Self::Calendar { years: years * size, months: months * size, micros }
            }
        })
    }

    fn fixed_text(micros: i64) -> String {
        let (days, seconds, micros) = Self::Fixed(micros).split();
        let plural = if days.abs() == 1 { "" } else { "s" };
        let days = if days == 0 { String::new() } else { format!("{days} day{plural}, ") };
        let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
        format!("{days}{}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Fixed(micros) => Self::fixed_text(*micros),
            Self::Calendar { years, months, micros } => {
                let mut parts = Vec::new();
                if *years != 0.0 {
                    parts.push(format!("{} years", years.trunc()));
                }
                if *months != 0.0 {
                    parts.push(format!("{} month{}", months.trunc(), if *months <= 1.0 { "" } else { "s" }));
                }
                parts.push(Self::fixed_text(*micros));
                parts.join(", ")
            }
        }
    }

    pub(super) fn repr(&self) -> String {
        let (days, seconds, micros) = self.split();
        match self {
            Self::Fixed(_) => {
                let parts = [("days", days), ("seconds", seconds), ("microseconds", micros)];
                let parts: Vec<_> =
                    parts.iter().filter(|(_, size)| *size != 0).map(|(name, size)| format!("{name}={size}")).collect();
                let parts = if parts.is_empty() { "0".to_owned() } else { parts.join(", ") };
                format!("datetime.timedelta({parts})")
            }
            Self::Calendar { years, months, .. } => format!(
                "isodate.duration.Duration({days}, {seconds}, {micros}, years={}, months={})",
                years.trunc(),
                months.trunc()
            ),
        }
    }
}

impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        let months = |span: &Self| {
            let (years, months) = span.calendar();
            years * 12.0 + months
        };
        self.micros() == other.micros() && (months(self) - months(other)).abs() < f64::EPSILON
    }
}

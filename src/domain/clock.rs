//! Time as an input: instants in UTC with microseconds, and the port that hands them out.
//!
//! Owns the one text form of an instant. Refuses to read a clock itself: the system's clock is
//! [`crate::system_clock::SystemClock`], tests bring their own, and whether a *lease* has run out is
//! decided by the database's clock only.

use std::{fmt, future::Future, pin::Pin, str::FromStr, time::Duration};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeZone, Timelike, Utc};

/// An instant in UTC, cut to whole microseconds (what both engines can store).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Cuts to microseconds.
    pub fn new(at: DateTime<Utc>) -> Self {
        let micros = at.nanosecond() / 1_000 * 1_000;
        Self(at.with_nanosecond(micros).unwrap_or(at))
    }

    /// From microseconds since 1970; `None` outside of what a calendar can hold.
    pub fn from_micros(micros: i64) -> Option<Self> {
        Utc.timestamp_micros(micros).single().map(Self)
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    pub fn utc(self) -> DateTime<Utc> {
        self.0
    }

    pub fn naive(self) -> NaiveDateTime {
        self.0.naive_utc()
    }

    pub fn from_naive(at: NaiveDateTime) -> Self {
        Self::new(at.and_utc())
    }

    /// The only text form, sortable as text: `2026-01-31T08:00:00.000000Z`.
    pub fn to_iso(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// Later by `by`; stays as it is when the calendar ends.
    pub fn plus(self, by: Duration) -> Self {
        chrono::Duration::from_std(by).ok().and_then(|d| self.0.checked_add_signed(d)).map_or(self, Self::new)
    }

    /// Earlier by `by`; stays as it is when the calendar begins.
    pub fn minus(self, by: Duration) -> Self {
        chrono::Duration::from_std(by).ok().and_then(|d| self.0.checked_sub_signed(d)).map_or(self, Self::new)
    }

    /// Time passed since `earlier`, zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).to_std().unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso())
    }
}

/// The text is not an instant with a zone.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a time such as 2026-01-31T08:00:00Z")]
pub struct NotATime(pub String);

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|at| Self::new(at.to_utc())).map_err(|_| NotATime(text.to_owned()))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_iso())
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A sleep that a [`Clock`] hands out.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from. Injected everywhere, so that schedules and waits can be tested without waiting.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock, for what is written down.
    fn now(&self) -> Timestamp;
    /// Never goes back; for budgets and deadlines inside this process.
    fn monotonic(&self) -> Duration;
    /// Completes after `duration`; dropping it is a clean cancel.
    fn sleep(&self, duration: Duration) -> Sleep;
}

//! Windows that begin and end with days, weeks or months.
//!
//! Owns the periods and how an instant is moved to their edges, as the format's reference does: the first instant of a day
//! is an edge of days; the whole day on which a week or a month begins is one of those.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc};

use super::{
    duration::Duration,
    engine::{Engine, Scope, Template},
    reader::Component,
    request::settings,
};
use crate::{connector::ConnectorError, domain::clock::Timestamp};

/// `clamping`.
pub(super) struct ClampPlan {
    /// Gives `DAY`, `WEEK` or `MONTH`.
    pub target: Template,
    /// Days from Monday to where weeks begin.
    pub weekday: Option<u32>,
}

/// Where windows may begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clamp {
    Day,
    Week(u32),
    Month,
}

const WEEKDAYS: [&str; 7] = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];

/// Reads `clamping`.
pub(super) fn clamping(cursor: &Component<'_>) -> Option<ClampPlan> {
    let node = cursor.field("clamping")?;
    let (_, component) = cursor.open(node, cursor.at("clamping"), &["Clamping"])?;
    let target = component.template("target", true)?;
    let mut weekday = None;
    if let Some(details) = component.field("target_details")
        && let Some(word) = details.get("weekday")
    {
        let found = word.text().and_then(|word| WEEKDAYS.iter().position(|day| *day == word));
        weekday = found.and_then(|at| u32::try_from(at).ok());
        if weekday.is_none() {
            component.refuse("target_details", "'weekday' is no day of the week", &WEEKDAYS.join(", "));
        }
    }
    if weekday.is_none() && target.source() == "WEEK" {
        component.refuse("target_details", "'weekday' is missing", "say on which day weeks begin");
    }
    component.finish(&[]);
    Some(ClampPlan { target, weekday })
}

impl ClampPlan {
    /// The period by the configuration.
    ///
    /// # Errors
    /// [`crate::connector::ErrorKind::Settings`]
    pub fn clamp(&self, engine: &Engine, scope: &Scope) -> Result<Clamp, ConnectorError> {
        match (engine.text(&self.target, scope)?.as_str(), self.weekday) {
            ("DAY", _) => Ok(Clamp::Day),
            ("WEEK", Some(weekday)) => Ok(Clamp::Week(weekday)),
            ("WEEK", None) => Err(settings("windows of weeks need target_details.weekday".to_owned())),
            ("MONTH", _) => Ok(Clamp::Month),
            (other, _) => Err(settings(format!("windows are clamped to DAY, WEEK or MONTH, not '{other}'"))),
        }
    }
}

impl Clamp {
    /// The edge at or after that instant.
    pub fn ceil(self, at: Timestamp) -> Timestamp {
        let (midnight, day) = midnight(at);
        let moved = match self {
            Self::Day if midnight == at.utc() => Some(midnight),
            Self::Day => midnight.checked_add_days(Days::new(1)),
            Self::Week(weekday) => midnight.checked_add_days(Days::new(u64::from(days_to(weekday, day)))),
            Self::Month if day.day() == 1 => Some(midnight),
            Self::Month => {
                let (year, month) = if day.month() == 12 { (day.year() + 1, 1) } else { (day.year(), day.month() + 1) };
                NaiveDate::from_ymd_opt(year, month, 1).map(|first| first.and_time(NaiveTime::MIN).and_utc())
            }
        };
        moved.map_or(at, Timestamp::new)
    }

    /// The edge at or before that instant.
    pub fn floor(self, at: Timestamp) -> Timestamp {
        let (midnight, day) = midnight(at);
        let moved = match self {
            Self::Day => Some(midnight),
            Self::Week(weekday) => match days_to(weekday, day) {
                0 => Some(midnight),
                ahead => midnight.checked_sub_days(Days::new(u64::from(7 - ahead))),
            },
            Self::Month => day.with_day(1).map(|first| first.and_time(NaiveTime::MIN).and_utc()),
        };
        moved.map_or(at, Timestamp::new)
    }

    /// How much the end of the last period lies before the next one, where the manifest names no granularity.
    pub fn granule(self, declared: Duration) -> Duration {
        let own = match self {
            Self::Day => "PT1S",
            Self::Week(_) | Self::Month => "P1D",
        };
        if declared.is_zero() { Duration::parse(own).unwrap_or_default() } else { declared }
    }
}

fn midnight(at: Timestamp) -> (DateTime<Utc>, NaiveDate) {
    let day = at.utc().date_naive();
    (day.and_time(NaiveTime::MIN).and_utc(), day)
}

fn days_to(weekday: u32, day: NaiveDate) -> u32 {
    (7 + weekday - day.weekday().num_days_from_monday()) % 7
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn instants_move_to_the_edges_of_periods() {
        for (clamp, instant, floor, ceil) in [
            (Clamp::Day, "2026-01-02T03:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
            (Clamp::Day, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"),
            (Clamp::Week(0), "2026-01-02T03:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
            (Clamp::Week(4), "2026-01-02T03:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"),
            (Clamp::Week(6), "2026-01-02T03:00:00Z", "2025-12-28T00:00:00Z", "2026-01-04T00:00:00Z"),
            (Clamp::Month, "2025-12-31T23:00:00Z", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            (Clamp::Month, "2026-01-01T23:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(clamp.floor(at(instant)), at(floor), "{clamp:?} {instant}");
            assert_eq!(clamp.ceil(at(instant)), at(ceil), "{clamp:?} {instant}");
        }
    }
}

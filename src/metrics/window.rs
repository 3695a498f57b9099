//! The windows of metrics: which days, in whose zone, and how they are typed and told.
//!
//! Owns calendar arithmetic. A window is a run of local days; it begins and ends with the first moment of a local day, also
//! where clocks change at midnight. Weeks begin on Monday. Refuses to read a clock.

use chrono::{Datelike, Days, Months, NaiveDate, TimeZone, Weekday};
use chrono_tz::Tz;

use crate::domain::{clock::Timestamp, status::PeriodKind};

/// One window of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub kind: PeriodKind,
    /// The first and the last day.
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub starts_at: Timestamp,
    /// Exclusive.
    pub ends_at: Timestamp,
}

impl Window {
    /// The last window that has ended by `now`; `None` where the calendar ends.
    pub fn last_ended(kind: PeriodKind, zone: Tz, now: Timestamp) -> Option<Self> {
        let today = now.utc().with_timezone(&zone).date_naive();
        let yesterday = today.pred_opt()?;
        let first_of_month = today.with_day(1)?;
        let (first, next) = match kind {
            PeriodKind::Day => (yesterday, today),
            PeriodKind::Week => {
                let monday = today.week(Weekday::Mon).first_day();
                (monday.checked_sub_days(Days::new(7))?, monday)
            }
            PeriodKind::Month => (first_of_month.checked_sub_months(Months::new(1))?, first_of_month),
            PeriodKind::Quarter => {
                let quarter = first_of_month.with_month(today.month0() / 3 * 3 + 1)?;
                (quarter.checked_sub_months(Months::new(3))?, quarter)
            }
            PeriodKind::Last7Days | PeriodKind::Last28Days | PeriodKind::Last90Days => {
                (today.checked_sub_days(Days::new(days_of(kind)))?, today)
            }
        };
        Self::of(kind, zone, first, next)
    }

    /// The window that a person typed: `last`, or a text of the metric's kind (see [`Window::form`]).
    ///
    /// # Errors
    /// What was expected, for a person.
    pub fn parse(text: &str, kind: PeriodKind, zone: Tz, now: Timestamp) -> Result<Self, String> {
        let text = text.trim();
        let found = if text == "last" { Self::last_ended(kind, zone, now) } else { Self::typed(text, kind, zone) };
        found.ok_or_else(|| format!("'{text}' is no {kind} window; write last or {}", Self::form(kind)))
    }

    /// How a window of a kind is typed.
    pub const fn form(kind: PeriodKind) -> &'static str {
        match kind {
            PeriodKind::Day => "a day such as 2026-10-01",
            PeriodKind::Week => "a week such as 2026-W40",
            PeriodKind::Month => "a month such as 2026-09",
            PeriodKind::Quarter => "a quarter such as 2026-Q3",
            PeriodKind::Last7Days | PeriodKind::Last28Days | PeriodKind::Last90Days => {
                "its last day such as 2026-10-01"
            }
        }
    }

    fn typed(text: &str, kind: PeriodKind, zone: Tz) -> Option<Self> {
        let (year, rest) = text.split_at_checked(4)?;
        let year: i32 = year.bytes().all(|byte| byte.is_ascii_digit()).then_some(year)?.parse().ok()?;
        let number = |prefix: &str, digits: usize| -> Option<u32> {
            let digits = rest.strip_prefix(prefix).filter(|found| found.len() == digits)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?.parse().ok()
        };
        let (first, next) = match kind {
            PeriodKind::Week => {
                let monday = NaiveDate::from_isoywd_opt(year, number("-W", 2)?, Weekday::Mon)?;
                (monday, monday.checked_add_days(Days::new(7))?)
            }
            PeriodKind::Month => {
                let first = NaiveDate::from_ymd_opt(year, number("-", 2)?, 1)?;
                (first, first.checked_add_months(Months::new(1))?)
            }
            PeriodKind::Quarter => {
                let quarter = number("-Q", 1).filter(|quarter| (1..=4).contains(quarter))?;
                let first = NaiveDate::from_ymd_opt(year, quarter * 3 - 2, 1)?;
                (first, first.checked_add_months(Months::new(3))?)
            }
            PeriodKind::Day | PeriodKind::Last7Days | PeriodKind::Last28Days | PeriodKind::Last90Days => {
                let last = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
                let next = last.succ_opt()?;
                (next.checked_sub_days(Days::new(days_of(kind)))?, next)
            }
        };
        Self::of(kind, zone, first, next)
    }

    /// From the first day to the day before `next`.
    fn of(kind: PeriodKind, zone: Tz, first: NaiveDate, next: NaiveDate) -> Option<Self> {
        let (starts_at, ends_at) = (begin_of_day(zone, first)?, begin_of_day(zone, next)?);
        Some(Self { kind, first, last: next.pred_opt()?, starts_at, ends_at })
    }

    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }

    /// As a client reads it: `2026-10-01 to 2026-10-31`, or one day.
    pub fn text(&self) -> String {
        if self.first == self.last { self.first.to_string() } else { format!("{} to {}", self.first, self.last) }
    }
}

/// The dates of a stored window, in the metric's zone.
pub fn dates(zone: Tz, starts_at: Timestamp, ends_at: Timestamp) -> String {
    let first = starts_at.utc().with_timezone(&zone).date_naive();
    let last = ends_at.minus(std::time::Duration::from_micros(1)).utc().with_timezone(&zone).date_naive();
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

/// Days of a kind that is a fixed number of them; 1 for the others.
const fn days_of(kind: PeriodKind) -> u64 {
    match kind {
        PeriodKind::Last7Days => 7,
        PeriodKind::Last28Days => 28,
        PeriodKind::Last90Days => 90,
        PeriodKind::Day | PeriodKind::Week | PeriodKind::Month | PeriodKind::Quarter => 1,
    }
}

/// The first moment of a local day. Midnight may be missing, or come twice; some zones have left out a whole day.
fn begin_of_day(zone: Tz, day: NaiveDate) -> Option<Timestamp> {
    const STEP_MINUTES: i64 = 15;
    const STEPS: i64 = 2 * 24 * 4;
    let midnight = day.and_hms_opt(0, 0, 0)?;
    (0..STEPS)
        .find_map(|step| {
            let local = midnight.checked_add_signed(chrono::Duration::minutes(step * STEP_MINUTES))?;
            zone.from_local_datetime(&local).earliest()
        })
        .map(|at| Timestamp::new(at.to_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hours(window: &Window) -> u64 {
        window.ends_at.since(window.starts_at).as_secs() / 3_600
    }

    #[test]
    fn the_last_ended_window_follows_the_dates_of_its_zone() {
        for (kind, zone, now, text, starts, ends) in [
            ("day", Tz::UTC, "2026-11-22T00:00:00Z", "2026-11-21", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            // Late in the evening in New York it is the next day in UTC.
            (
                "day",
                Tz::America__New_York,
                "2026-11-22T03:00:00Z",
                "2026-11-20",
                "2026-11-20T05:00:00Z",
                "2026-11-21T05:00:00Z",
            ),
            // A Sunday: its week has not ended.
            (
                "week",
                Tz::UTC,
                "2026-11-22T23:59:59Z",
                "2026-11-09 to 2026-11-15",
                "2026-11-09T00:00:00Z",
                "2026-11-16T00:00:00Z",
            ),
            (
                "week",
                Tz::UTC,
                "2026-11-23T00:00:00Z",
                "2026-11-16 to 2026-11-22",
                "2026-11-16T00:00:00Z",
                "2026-11-23T00:00:00Z",
            ),
            (
                "month",
                Tz::Europe__Berlin,
                "2026-11-01T12:00:00Z",
                "2026-10-01 to 2026-10-31",
                "2026-09-30T22:00:00Z",
                "2026-10-31T23:00:00Z",
            ),
            (
                "quarter",
                Tz::UTC,
                "2026-02-10T00:00:00Z",
                "2025-10-01 to 2025-12-31",
                "2025-10-01T00:00:00Z",
                "2026-01-01T00:00:00Z",
            ),
            (
                "last_28_days",
                Tz::UTC,
                "2026-03-01T10:00:00Z",
                "2026-02-01 to 2026-02-28",
                "2026-02-01T00:00:00Z",
                "2026-03-01T00:00:00Z",
            ),
        ] {
            let window = Window::last_ended(kind.parse().unwrap(), zone, at(now)).unwrap();
            assert_eq!(
                (window.text().as_str(), window.starts_at, window.ends_at),
                (text, at(starts), at(ends)),
                "{kind}"
            );
            assert!(window.has_ended(at(now)));
            assert_eq!(dates(zone, window.starts_at, window.ends_at), text);
        }
    }

    #[test]
    fn days_are_as_long_as_their_zone_makes_them() {
        for (day, zone, length) in [
            ("2026-03-29", Tz::Europe__Berlin, 23),
            ("2026-10-25", Tz::Europe__Berlin, 25),
            ("2026-03-08", Tz::America__New_York, 23),
            ("2026-11-01", Tz::America__New_York, 25),
            // Clocks go forward at midnight: the day begins at one.
            ("2026-09-06", Tz::America__Santiago, 23),
            ("2026-03-30", Tz::Europe__Berlin, 24),
        ] {
            let window = Window::parse(day, PeriodKind::Day, zone, at("2027-01-01T00:00:00Z")).unwrap();
            assert_eq!(hours(&window), length, "{day} {zone}");
        }
        // The 30th of December 2011 does not exist in Samoa.
        let kind = PeriodKind::Month;
        let window = Window::parse("2011-12", kind, Tz::Pacific__Apia, at("2027-01-01T00:00:00Z")).unwrap();
        assert_eq!(hours(&window), 30 * 24);
    }

    #[test]
    fn neighbouring_windows_leave_no_gap_in_any_zone() {
        for zone in [
            Tz::UTC,
            Tz::Europe__Berlin,
            Tz::America__Santiago,
            Tz::America__Havana,
            Tz::Africa__Cairo,
            Tz::Asia__Kathmandu,
        ] {
            let mut now = at("2026-01-15T12:00:00Z");
            let mut end: Option<Timestamp> = None;
            for _ in 0..400 {
                let window = Window::last_ended(PeriodKind::Day, zone, now).unwrap();
                if let Some(end) = end {
                    assert_eq!(window.starts_at, end, "{zone} {now}");
                }
                end = Some(window.ends_at);
                now = now.plus(std::time::Duration::from_secs(86_400));
            }
        }
    }

    #[test]
    fn windows_are_typed_in_the_form_of_their_kind() {
        let now = at("2026-11-22T10:00:00Z");
        for (text, kind, told) in [
            ("2026-09", "month", "2026-09-01 to 2026-09-30"),
            ("2026-W40", "week", "2026-09-28 to 2026-10-04"),
            ("2026-10-01", "day", "2026-10-01"),
            ("2026-Q3", "quarter", "2026-07-01 to 2026-09-30"),
            ("2026-10-07", "last_7_days", "2026-10-01 to 2026-10-07"),
            ("last", "month", "2026-10-01 to 2026-10-31"),
        ] {
            assert_eq!(Window::parse(text, kind.parse().unwrap(), Tz::UTC, now).unwrap().text(), told);
        }
        for (text, kind) in [
            ("2026-13", "month"),
            ("2026-09-01", "month"),
            ("2026-W54", "week"),
            ("2026-40", "week"),
            ("2026-Q5", "quarter"),
            ("2026-2-3", "day"),
            ("", "day"),
            ("é026-09", "month"),
            ("+026-09", "month"),
        ] {
            let told = Window::parse(text, kind.parse().unwrap(), Tz::UTC, now).unwrap_err();
            assert!(told.contains("write last or"), "{told}");
        }
    }
}

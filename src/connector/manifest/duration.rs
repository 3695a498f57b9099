//! Durations as manifests write them: ISO 8601, with calendar months.

use chrono::{Months, TimeDelta};

use crate::domain::clock::Timestamp;

/// An ISO 8601 duration: calendar months, and a fixed part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Duration {
    months: u32,
    micros: i64,
}

impl Duration {
    /// `P1D`, `PT0.001S`, `P1Y2M3W4DT5H6M7S`.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.trim().strip_prefix('P').map(|rest| rest.split_once('T').unwrap_or((rest, "")))?;
        if date.is_empty() && time.is_empty() {
            return None;
        }
        let mut found = Self::default();
        let mut add = |part: &str, units: &[(char, bool, i64)]| -> Option<()> {
            let mut rest = part;
            while !rest.is_empty() {
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
                let (number, unit) = (&rest[..end], rest[end..].chars().next()?);
                let (_, calendar, size) = units.iter().find(|(name, ..)| *name == unit)?;
                if *calendar {
                    let months = number.parse::<u32>().ok()?.checked_mul(u32::try_from(*size).ok()?)?;
                    found.months = found.months.checked_add(months)?;
                } else {
                    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
                    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
                    let micros = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction)?;
                    found.micros = found.micros.checked_add(micros.checked_mul(*size)?)?;
                }
                rest = &rest[end + 1..];
            }
            Some(())
        };
        add(date, &[('Y', true, 12), ('M', true, 1), ('W', false, 604_800), ('D', false, 86_400)])?;
        add(time, &[('H', false, 3_600), ('M', false, 60), ('S', false, 1)])?;
        Some(found)
    }

    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Its length in microseconds; none where it has calendar months.
    pub fn micros(self) -> Option<i64> {
        (self.months == 0).then_some(self.micros)
    }

    /// Later by this; stays as it is at the end of the calendar.
    pub fn after(self, at: Timestamp) -> Timestamp {
        let moved = at.utc().checked_add_months(Months::new(self.months));
        let moved = moved.and_then(|at| at.checked_add_signed(TimeDelta::microseconds(self.micros)));
        moved.map_or(at, Timestamp::new)
    }

    /// Earlier by this; stays as it is at the beginning of the calendar.
    pub fn before(self, at: Timestamp) -> Timestamp {
        let moved = at.utc().checked_sub_months(Months::new(self.months));
        let moved = moved.and_then(|at| at.checked_sub_signed(TimeDelta::microseconds(self.micros)));
        moved.map_or(at, Timestamp::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_the_calendar() {
        let at: Timestamp = "2026-03-31T00:00:00Z".parse().unwrap();
        for (text, later) in [
            ("P1D", "2026-04-01T00:00:00Z"),
            ("P1M", "2026-04-30T00:00:00Z"),
            ("P1Y", "2027-03-31T00:00:00Z"),
            ("P1W", "2026-04-07T00:00:00Z"),
            ("PT0.001S", "2026-03-31T00:00:00.001Z"),
            ("PT0.000001S", "2026-03-31T00:00:00.000001Z"),
            ("P1DT2H3M4S", "2026-04-01T02:03:04Z"),
            ("PT0S", "2026-03-31T00:00:00Z"),
        ] {
            assert_eq!(Duration::parse(text).unwrap().after(at), later.parse().unwrap(), "{text}");
        }
        for text in ["", "P", "PT", "1D", "P1", "P1X", "PD", "P-1D", "P1H"] {
            assert!(Duration::parse(text).is_none(), "{text}");
        }
    }
}

//! When a job is due: intervals and cron lines, with a zone and a stable spread.
//!
//! Owns the schedule's text form and the next slot. Slots that were missed coalesce: the next one is always after now.
//! Equal schedules are spread out by a number of the job's own, so that 350 connections on one cron line are no storm.
//!
//! | text | due |
//! | --- | --- |
//! | `every 15m` | each 15 minutes (s, m, h, d; from 10 s to 366 d), at an offset of the job's own |
//! | `cron 0 6 * * * Europe/Berlin` | five cron fields in a zone (UTC when none is named) |
//! | `cron 0 6 * * * Europe/Berlin spread 10m` | up to 10 minutes later, the same for a job each time |
//! | `manual` | never by itself |

use std::{fmt, str::FromStr, time::Duration};

use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use super::clock::Timestamp;

/// Shortest interval: what is wanted sooner is a webhook's matter.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const CRON_FIELDS: usize = 5;

/// A parsed schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    Every(Duration),
    Cron { line: Box<Cron>, zone: Tz, spread: Duration },
    Manual,
}

/// The text is no schedule; says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a schedule: {why}")]
pub struct NotASchedule {
    text: String,
    why: String,
}

impl Schedule {
    /// The next slot strictly after `now`; `None` when there is none. `seed` is the job's own number, for the spread.
    pub fn next_after(&self, now: Timestamp, seed: u64) -> Option<Timestamp> {
        match self {
            Self::Manual => None,
            Self::Every(interval) => {
                let interval = i64::try_from(interval.as_micros()).ok()?;
                let offset = offset(seed, interval);
                let slots = (now.micros() - offset).div_euclid(interval) + 1;
                Timestamp::from_micros(slots.checked_mul(interval)?.checked_add(offset)?)
            }
            Self::Cron { line, zone, spread } => {
                let spread = i64::try_from(spread.as_micros()).ok()?;
                let offset = if spread == 0 { 0 } else { offset(seed, spread) };
                // The slot before now may, with the offset, still lie after it.
                let from = Timestamp::from_micros(now.micros().checked_sub(offset)?)?;
                let next = line.find_next_occurrence(&from.utc().with_timezone(zone), false).ok()?;
                Timestamp::from_micros(next.timestamp_micros().checked_add(offset)?)
            }
        }
    }
}

/// A stable number in `0..bound` for a job: mixed well, so that neighbouring ids do not lie side by side.
fn offset(seed: u64, bound: i64) -> i64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let bound = u64::try_from(bound).unwrap_or(1).max(1);
    i64::try_from(mixed % bound).unwrap_or_default()
}

impl FromStr for Schedule {
    type Err = NotASchedule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| NotASchedule { text: text.to_owned(), why };
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["manual"] => Ok(Self::Manual),
            ["every", length] => {
                let interval =
                    duration(length).ok_or_else(|| wrong("expected a length such as 30s, 15m, 2h, 1d".into()))?;
                if !(SHORTEST..=LONGEST).contains(&interval) {
                    return Err(wrong("an interval lasts from 10s to 366d".into()));
                }
                Ok(Self::Every(interval))
            }
            ["cron", rest @ ..] => cron(rest).map_err(wrong),
            _ => Err(wrong("expected 'every 15m', 'cron 0 6 * * * Europe/Berlin' or 'manual'".into())),
        }
    }
}

fn cron(words: &[&str]) -> Result<Schedule, String> {
    let (words, spread) = match words {
        [rest @ .., "spread", length] => {
            let spread = duration(length).ok_or_else(|| format!("'{length}' is not a length such as 10m"))?;
            (rest, spread)
        }
        _ => (words, Duration::ZERO),
    };
    if words.len() < CRON_FIELDS || words.len() > CRON_FIELDS + 1 {
        return Err("expected five cron fields and at most a zone, e.g. 'cron 0 6 * * * Europe/Berlin'".into());
    }
    let (fields, zone) = words.split_at(CRON_FIELDS);
    let zone = match zone.first() {
        None => Tz::UTC,
        Some(name) => name.parse().map_err(|_| format!("'{name}' is not a zone such as Europe/Berlin"))?,
    };
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let line = parser.parse(&fields.join(" ")).map_err(|e| format!("the cron fields cannot be read: {e}"))?;
    Ok(Schedule::Cron { line: Box::new(line), zone, spread })
}

/// `90s`, `15m`, `2h`, `1d` as a duration; `None` for anything else.
pub fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manual => f.write_str("manual"),
            Self::Every(interval) => write!(f, "every {}s", interval.as_secs()),
            Self::Cron { line, zone, spread } if spread.is_zero() => write!(f, "cron {} {zone}", line.as_str()),
            Self::Cron { line, zone, spread } => {
                write!(f, "cron {} {zone} spread {}s", line.as_str(), spread.as_secs())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(schedule: &str, now: &str) -> String {
        let schedule: Schedule = schedule.parse().expect(schedule);
        schedule
            .next_after(now.parse().expect(now), 7)
            .map_or_else(|| "never".to_owned(), |at| at.to_iso()[..16].to_owned())
    }

    #[test]
    fn cron_lines_follow_their_zone_through_both_changes_of_the_clock() {
        for (schedule, now, expected) in [
            ("cron 0 6 * * *", "2026-01-31T05:00:00Z", "2026-01-31T06:00"),
            ("cron 0 6 * * *", "2026-01-31T06:00:00Z", "2026-02-01T06:00"),
            ("cron 0 6 * * * Europe/Berlin", "2026-01-31T00:00:00Z", "2026-01-31T05:00"),
            ("cron 0 6 * * * Europe/Berlin", "2026-07-31T00:00:00Z", "2026-07-31T04:00"),
            // 02:30 does not exist on 2026-03-29 in Berlin: it is not skipped, it follows the gap.
            ("cron 30 2 * * * Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00"),
            // 02:30 exists twice on 2026-10-25 in Berlin: once is enough.
            ("cron 30 2 * * * Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:30"),
            ("cron 30 2 * * * Europe/Berlin", "2026-10-25T00:31:00Z", "2026-10-26T01:30"),
            // Missed slots coalesce into the next one.
            ("cron */15 * * * *", "2026-01-31T05:59:59Z", "2026-01-31T06:00"),
            ("manual", "2026-01-31T05:59:59Z", "never"),
        ] {
            assert_eq!(next(schedule, now), expected, "{schedule} after {now}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_told_with_what_was_expected() {
        for (text, part) in [
            ("", "expected 'every 15m'"),
            ("hourly", "expected 'every 15m'"),
            ("every", "expected 'every 15m'"),
            ("every 15", "expected a length"),
            ("every 5s", "from 10s to 366d"),
            ("every 367d", "from 10s to 366d"),
            ("cron 0 6 * *", "five cron fields"),
            ("cron 0 6 * * * * *", "five cron fields"),
            ("cron 0 6 * * * Berlin", "not a zone"),
            ("cron 61 6 * * *", "cannot be read"),
            ("cron 0 6 * * * spread x", "not a length"),
        ] {
            let error = text.parse::<Schedule>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn equal_schedules_of_many_jobs_are_spread_over_the_interval() {
        let schedule: Schedule = "every 15m".parse().expect("a schedule");
        let now: Timestamp = "2026-01-31T05:00:00Z".parse().expect("a time");
        let mut minutes = [0_u32; 15];
        for job in 0..350 {
            let due = schedule.next_after(now, job).expect("intervals go on");
            minutes[usize::try_from(due.since(now).as_secs() / 60).expect("small").min(14)] += 1;
        }
        assert!(minutes.iter().all(|&count| count > 8 && count < 45), "{minutes:?}");
    }

    proptest! {
        #[test]
        fn the_next_slot_lies_after_now_within_one_interval_and_slots_are_one_interval_apart(
            micros in 0_i64..4_000_000_000_000_000, seed: u64, seconds in 10_u64..1_000_000,
        ) {
            let schedule = Schedule::Every(Duration::from_secs(seconds));
            let now = Timestamp::from_micros(micros).expect("in range");
            let first = schedule.next_after(now, seed).expect("intervals go on");
            prop_assert!(first > now && first.since(now) <= Duration::from_secs(seconds));
            let second = schedule.next_after(first, seed).expect("intervals go on");
            prop_assert_eq!(second.since(first), Duration::from_secs(seconds));
        }

        #[test]
        fn a_spread_cron_line_is_late_by_the_same_time_each_day(seed: u64, day in 1_u32..28) {
            let schedule: Schedule = "cron 0 6 * * * spread 10m".parse().expect("a schedule");
            let now: Timestamp = format!("2026-02-{day:02}T00:00:00Z").parse().expect("a time");
            let slot: Timestamp = format!("2026-02-{day:02}T06:00:00Z").parse().expect("a time");
            let due = schedule.next_after(now, seed).expect("each day");
            let late = due.since(slot);
            prop_assert!(due >= slot && late < Duration::from_secs(600));
            let tomorrow = schedule.next_after(due, seed).expect("each day");
            prop_assert_eq!(tomorrow.since(due), Duration::from_secs(86_400));
        }
    }
}

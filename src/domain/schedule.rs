//! When a job is due: intervals and cron lines, with a zone and a spread.
//!
//! Owns the words `every 15m`, `cron 0 6 * * * Europe/Berlin`, `manual`, and durations such as `2h`. Missed slots are not
//! made up for: the next one is always the first after now. Equal schedules of different jobs fall on different moments,
//! since a thousand jobs that all ask at the full hour are a burst that no provider allows.

use std::{fmt, str::FromStr, time::Duration};

use chrono_tz::Tz;
use croner::{Cron, parser::CronParser};
use sha2::{Digest, Sha256};

use super::clock::Timestamp;

/// Shortest and longest interval.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// Fields of a cron line: minute, hour, day of month, month, day of week.
const CRON_FIELDS: usize = 5;

/// When a job runs by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Only when a person asks.
    Manual,
    /// `every 15m`, optionally `jitter 1m`: each slot is late by up to that much, by another amount each time.
    Every { period: Duration, jitter: Duration },
    /// `cron 0 6 * * * Europe/Berlin`, optionally `jitter 5m`: late by up to that much, by the same amount each time.
    Cron { line: Box<Cron>, zone: Tz, jitter: Duration },
}

/// The text is no schedule; says what is wrong and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("a schedule is `every 15m`, `cron 0 6 * * * Europe/Berlin` or `manual`")]
    Unknown,
    #[error(transparent)]
    Duration(#[from] NotADuration),
    #[error("an interval lies between 1s and 366d")]
    Interval,
    #[error("`jitter` takes a duration that is shorter than the interval, e.g. `every 15m jitter 1m`")]
    Jitter,
    #[error("a cron line has five fields (minute, hour, day of month, month, day of week), then the zone")]
    CronFields,
    #[error("not a cron line: {0}")]
    Cron(String),
    #[error("the cron line never comes true")]
    Never,
    #[error("`{0}` is no zone of the IANA list, e.g. Europe/Berlin")]
    Zone(String),
}

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration; write a number and s, m, h or d, e.g. 90s, 15m, 2h, 1d, 1h30m")]
pub struct NotADuration(pub String);

/// Reads `90s`, `15m`, `2h`, `1d`, `1h30m`.
///
/// # Errors
/// [`NotADuration`]: also for nothing, for zero, and for more than a calendar holds.
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let wrong = || NotADuration(text.chars().take(40).collect());
    let mut seconds = 0_u64;
    let mut number = String::new();
    for char in text.trim().chars() {
        if char.is_ascii_digit() {
            number.push(char);
            continue;
        }
        let unit = match char {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let part: u64 = number.parse().map_err(|_| wrong())?;
        seconds = part.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        number.clear();
    }
    let whole = number.is_empty() && (1..=u64::from(u32::MAX)).contains(&seconds);
    if whole { Ok(Duration::from_secs(seconds)) } else { Err(wrong()) }
}

/// Writes whole seconds as [`parse_duration`] reads them: `2h`, `1h30m`.
pub fn format_duration(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut text = String::new();
    for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')] {
        if seconds >= unit {
            text.push_str(&format!("{}{name}", seconds / unit));
            seconds %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A job's own number for [`Schedule::next_after`]: the same on every machine and in every version.
pub fn spread_seed(connection_key: &str, stream: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(connection_key.as_bytes());
    hash.update([0]);
    hash.update(stream.as_bytes());
    first_eight(&hash.finalize())
}

impl Schedule {
    /// The first slot strictly after `now`; `None` for `manual`. `seed` is the job's [`spread_seed`].
    pub fn next_after(&self, now: Timestamp, seed: u64) -> Option<Timestamp> {
        match self {
            Self::Manual => None,
            Self::Every { period, jitter } => every(now, micros(*period), micros(*jitter), seed),
            Self::Cron { line, zone, jitter } => {
                let late = i64::try_from(seed % (u64::try_from(micros(*jitter)).unwrap_or(0) + 1)).unwrap_or(0);
                let from = Timestamp::from_micros(now.micros().checked_sub(late)?)?.utc().with_timezone(zone);
                let slot = Timestamp::new(line.find_next_occurrence(&from, false).ok()?.to_utc());
                Timestamp::from_micros(slot.micros().checked_add(late)?)
            }
        }
    }

    /// When a job that was just declared runs first: intervals at once, cron lines at their own time.
    pub fn first_due(&self, now: Timestamp, seed: u64) -> Option<Timestamp> {
        match self {
            Self::Manual => None,
            Self::Every { .. } => Some(now),
            Self::Cron { .. } => self.next_after(now, seed),
        }
    }
}

/// Slots lie at `offset + k * period`, each late by its own share of `jitter`.
fn every(now: Timestamp, period: i64, jitter: i64, seed: u64) -> Option<Timestamp> {
    let offset = i64::try_from(seed % u64::try_from(period).ok()?).ok()?;
    let slot = |index: i64| -> Option<i64> {
        let late = if jitter == 0 { 0 } else { shuffled(seed, index).checked_rem_euclid(jitter)? };
        index.checked_mul(period)?.checked_add(offset)?.checked_add(late)
    };
    // A slot that began before now may still lie ahead, being late; since jitter is shorter than the period, two are enough.
    let index = now.micros().checked_sub(offset)?.div_euclid(period);
    let next = [index, index.checked_add(1)?].into_iter().filter_map(slot).find(|at| *at > now.micros())?;
    Timestamp::from_micros(next)
}

fn shuffled(seed: u64, index: i64) -> i64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    i64::from_ne_bytes(first_eight(&hash.finalize()).to_ne_bytes())
}

fn first_eight(hash: &[u8]) -> u64 {
    hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let jitter = match words.iter().position(|word| *word == "jitter") {
            None => Duration::ZERO,
            Some(at) if at + 2 == words.len() => {
                let jitter = parse_duration(words[at + 1])?;
                words.truncate(at);
                jitter
            }
            Some(_) => return Err(ScheduleError::Jitter),
        };
        match words.split_first() {
            Some((&"manual", [])) if jitter.is_zero() => Ok(Self::Manual),
            Some((&"every", [period])) => {
                let period = parse_duration(period)?;
                if !(SHORTEST..=LONGEST).contains(&period) {
                    Err(ScheduleError::Interval)
                } else if jitter >= period {
                    Err(ScheduleError::Jitter)
                } else {
                    Ok(Self::Every { period, jitter })
                }
            }
            Some((&"cron", rest)) => cron(rest, jitter),
            Some(_) | None => Err(ScheduleError::Unknown),
        }
    }
}

fn cron(words: &[&str], jitter: Duration) -> Result<Schedule, ScheduleError> {
    if jitter > Duration::from_secs(86_400) {
        return Err(ScheduleError::Jitter);
    }
    let (fields, zone) = match words.len() {
        CRON_FIELDS => (words, Tz::UTC),
        length if length == CRON_FIELDS + 1 => {
            let name = words[CRON_FIELDS];
            (&words[..CRON_FIELDS], name.parse().map_err(|_| ScheduleError::Zone(name.to_owned()))?)
        }
        _ => return Err(ScheduleError::CronFields),
    };
    let line = CronParser::new().parse(&fields.join(" ")).map_err(|error| ScheduleError::Cron(error.to_string()))?;
    let epoch = chrono::DateTime::UNIX_EPOCH.with_timezone(&zone);
    // The 30th of February: found out now, not by a job that never runs.
    line.find_next_occurrence(&epoch, false).map_err(|_| ScheduleError::Never)?;
    Ok(Schedule::Cron { line: Box::new(line), zone, jitter })
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jitter = match self {
            Self::Manual => return f.write_str("manual"),
            Self::Every { period, jitter } => {
                write!(f, "every {}", format_duration(*period))?;
                jitter
            }
            Self::Cron { line, zone, jitter } => {
                write!(f, "cron {} {zone}", line.as_str())?;
                jitter
            }
        };
        if jitter.is_zero() { Ok(()) } else { write!(f, " jitter {}", format_duration(*jitter)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn slots(schedule: &str, from: &str, count: usize) -> Vec<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        let mut now = at(from);
        (0..count)
            .map(|_| {
                now = schedule.next_after(now, 0).unwrap();
                now.utc().format("%m-%dT%H:%M").to_string()
            })
            .collect()
    }

    #[test]
    fn durations_read_and_write() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400), ("1h30m", 5_400)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "15", "m", "0s", "-1h", "1.5h", "1w", "99999999999999999999d", "5000000000s", "15 m"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for text in ["90s", "1h30m", "1d", "0s"] {
            let expected = if text == "90s" { "1m30s" } else { text };
            assert_eq!(format_duration(parse_duration(text).unwrap_or_default()), expected);
        }
    }

    #[test]
    fn schedules_read_back_as_they_are_written() {
        for text in [
            "manual",
            "every 15m",
            "every 1h jitter 5m",
            "cron 0 6 * * 1-5 Europe/Berlin",
            "cron 5 4 * * * UTC jitter 1m",
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        assert_eq!("cron 0 6 * * *".parse::<Schedule>().unwrap().to_string(), "cron 0 6 * * * UTC");
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_what_to_write() {
        for (text, expected) in [
            ("", ScheduleError::Unknown),
            ("hourly", ScheduleError::Unknown),
            ("every", ScheduleError::Unknown),
            ("manual jitter 1m", ScheduleError::Unknown),
            ("every 15", ScheduleError::Duration(NotADuration("15".to_owned()))),
            ("every 400d", ScheduleError::Interval),
            ("every 15m jitter 15m", ScheduleError::Jitter),
            ("every 15m jitter", ScheduleError::Jitter),
            ("cron 0 6 * *", ScheduleError::CronFields),
            ("cron 0 0 6 * * * Europe/Berlin", ScheduleError::CronFields),
            ("cron 0 6 * * * Berlin", ScheduleError::Zone("Berlin".to_owned())),
            ("cron 0 0 30 2 *", ScheduleError::Never),
        ] {
            assert_eq!(text.parse::<Schedule>(), Err(expected), "{text}");
        }
        assert!(matches!("cron 99 6 * * *".parse::<Schedule>(), Err(ScheduleError::Cron(_))));
    }

    #[test]
    fn equal_intervals_of_many_jobs_spread_over_the_interval() {
        let schedule: Schedule = "every 15m".parse().unwrap();
        let now = at("2026-01-31T08:00:00Z");
        let mut minutes = [0_u32; 15];
        for job in 0..1_500 {
            let seed = spread_seed(&format!("client-{job}"), "contacts");
            let next = schedule.next_after(now, seed).unwrap();
            assert_eq!(schedule.next_after(next, seed).unwrap(), next.plus(Duration::from_secs(900)));
            minutes[usize::try_from(next.since(now).as_micros() / 60_000_000).unwrap().min(14)] += 1;
        }
        assert!(minutes.iter().all(|jobs| (50..=150).contains(jobs)), "{minutes:?}");
        assert_eq!(spread_seed("a", "b"), spread_seed("a", "b"));
        assert_ne!(spread_seed("ab", "c"), spread_seed("a", "bc"));
    }

    #[test]
    fn missed_slots_come_once_and_the_next_is_always_after_now() {
        for text in ["every 15m", "every 15m jitter 14m", "cron */5 * * * * Europe/Berlin jitter 3m"] {
            let schedule: Schedule = text.parse().unwrap();
            let seed = spread_seed("acme", "contacts");
            let mut now = at("2026-01-31T08:00:00Z");
            for _ in 0..200 {
                let next = schedule.next_after(now, seed).unwrap();
                assert!(next > now, "{text}");
                assert!(next.since(now) < Duration::from_secs(1_800), "{text}");
                assert_eq!(schedule.next_after(Timestamp::from_micros(next.micros() - 1).unwrap(), seed), Some(next));
                now = next;
            }
            let much_later = now.plus(Duration::from_secs(86_400 * 30));
            assert!(schedule.next_after(much_later, seed).unwrap().since(much_later) < Duration::from_secs(1_800));
        }
    }

    #[test]
    fn a_new_job_on_an_interval_runs_at_once_and_on_a_cron_line_at_its_time() {
        let now = at("2026-01-31T08:00:00Z");
        assert_eq!("every 1d".parse::<Schedule>().unwrap().first_due(now, 5), Some(now));
        let six = "cron 0 6 * * * UTC".parse::<Schedule>().unwrap().first_due(now, 5);
        assert_eq!(six, Some(at("2026-02-01T06:00:00Z")));
        assert_eq!(Schedule::Manual.first_due(now, 5), None);
        assert_eq!(Schedule::Manual.next_after(now, 5), None);
    }

    #[test]
    fn cron_lines_follow_their_zone_through_both_changes_of_clocks() {
        for (schedule, from, expected) in [
            // Six in the morning in Berlin: an hour earlier in UTC once summer time holds.
            (
                "cron 0 6 * * * Europe/Berlin",
                "2026-03-27T12:00:00Z",
                &["03-28T05:00", "03-29T04:00", "03-30T04:00"][..],
            ),
            // Half past two does not exist on 29 March: the first moment after the gap stands for it, once.
            ("cron 30 2 * * * Europe/Berlin", "2026-03-28T00:00:00Z", &["03-28T01:30", "03-29T01:00", "03-30T00:30"]),
            // Half past two comes twice on 25 October: the job runs once.
            ("cron 30 2 * * * Europe/Berlin", "2026-10-24T00:00:00Z", &["10-24T00:30", "10-25T00:30", "10-26T01:30"]),
            // Every hour stays every hour, through the gap and through both of the doubled hours.
            ("cron 0 * * * * Europe/Berlin", "2026-03-28T23:30:00Z", &["03-29T00:00", "03-29T01:00", "03-29T02:00"]),
            ("cron 0 * * * * Europe/Berlin", "2026-10-24T23:30:00Z", &["10-25T00:00", "10-25T01:00", "10-25T02:00"]),
            ("cron 0 6 * * 1 America/New_York", "2026-03-06T00:00:00Z", &["03-09T10:00", "03-16T10:00"]),
            ("cron 0 0 29 2 *", "2026-01-01T00:00:00Z", &["02-29T00:00"]),
        ] {
            assert_eq!(slots(schedule, from, expected.len()), expected, "{schedule} from {from}");
        }
    }
}

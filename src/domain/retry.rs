//! Which failures of an item time may heal, and how often and when they are tried again by themselves.
//!
//! Owns the one table for dead letters. (What follows from a run's ending is `scheduler::policy`'s, retries within a request are
//! `connector::http`'s.) A failure that would come out the same is not tried blindly: it waits for what could change it.

use std::time::Duration;

/// What a dead letter waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// Time may heal it: it is tried again by itself, [`RETRIES`] times.
    Time,
    /// The next run of its job asks for it again, and closes it when it gets past it.
    NextRun,
    /// The same map would say the same: another version of the field map, or a person.
    FieldMap,
    /// Only a person, or another payload from the source.
    Person,
}

/// Waits before the first retry, the second, and so on.
const WAITS: [Duration; 5] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(12 * 3600),
    Duration::from_secs(24 * 3600),
];
/// How often something is tried again by itself before it is `exhausted`.
pub const RETRIES: i64 = WAITS.len() as i64;
/// Share of a wait that is left to chance, so that what failed together is not tried together.
const JITTER: f64 = 0.1;

/// The database refused a record's row by one of its constraints.
pub const ROW_REFUSED: &str = "row_refused";
/// A record's row could not be written for another reason.
pub const ROW_NOT_WRITTEN: &str = "row_not_written";

/// The table: what a dead letter of that error code waits for. A code that is not listed waits for a person.
pub fn waits_for(error_code: &str) -> WaitsFor {
    match error_code {
        ROW_NOT_WRITTEN => WaitsFor::Time,
        "page_unreadable" | "request_rejected" | "pagination_stuck" => WaitsFor::NextRun,
        "record_unmappable" | ROW_REFUSED => WaitsFor::FieldMap,
        _ => WaitsFor::Person,
    }
}

/// How long to wait after so many retries that failed; `None`: they are used up. `chance` is between 0 and 1.
pub fn wait_after(retries: i64, chance: f64) -> Option<Duration> {
    let wait = WAITS.get(usize::try_from(retries).ok()?)?;
    Some(wait.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let minutes: Vec<u64> =
            (0..RETRIES).filter_map(|n| wait_after(n, 0.0)).map(|wait| wait.as_secs() / 60).collect();
        assert_eq!(minutes, [5, 30, 120, 720, 1440]);
        assert_eq!(wait_after(RETRIES, 0.5), None);
        assert_eq!(wait_after(0, 1.0), Some(Duration::from_secs(330)));
    }

    #[test]
    fn what_would_fail_the_same_way_is_not_tried_blindly() {
        for (code, waits) in [
            ("record_unmappable", WaitsFor::FieldMap),
            ("record_without_id", WaitsFor::Person),
            ("account_mismatch", WaitsFor::Person),
            (ROW_REFUSED, WaitsFor::FieldMap),
            (ROW_NOT_WRITTEN, WaitsFor::Time),
            ("anything else", WaitsFor::Person),
        ] {
            assert_eq!(waits_for(code), waits, "{code}");
        }
    }
}

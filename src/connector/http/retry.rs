//! The pauses between attempts: exponential with jitter.
//!
//! Owns the only use of the `backoff` crate, as a generator of durations. Refuses to keep time: its own elapsed budget
//! follows the wall clock behind our back, so it is off, and the caller holds the budget on our [`Clock`].
//!
//! [`Clock`]: crate::domain::clock::Clock

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A row of pauses for one request.
pub(super) struct Pauses(ExponentialBackoff);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(FIRST_PAUSE)
                .with_max_interval(LONGEST_PAUSE)
                .with_max_elapsed_time(None)
                .build(),
        )
    }

    pub(super) fn next(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_never_end_nor_exceed_the_longest() {
        let mut pauses = Pauses::new();
        let row: Vec<Duration> = (0..40).map(|_| pauses.next()).collect();
        assert!(row[0] >= FIRST_PAUSE / 2 && row[0] <= FIRST_PAUSE * 3 / 2, "{row:?}");
        assert!(row[39] > row[0] * 10);
        assert!(row.iter().all(|pause| *pause <= LONGEST_PAUSE * 3 / 2));
    }
}

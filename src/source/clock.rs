//! The clock of a reading by hand: one that stands still where that is asked for, and one that does not wait.
//!
//! Owns what `--now` and `--no-wait` mean. With both, a reading is the same each time.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::domain::clock::{Clock, Sleep, Timestamp};

/// Waits shorter than this are pace, not waiting, and are not told.
const TOLD_FROM: Duration = Duration::from_millis(500);

/// A clock over another one.
pub struct SourceClock {
    real: Arc<dyn Clock>,
    now: Option<Timestamp>,
    no_wait: bool,
    /// What was not waited, in microseconds: time goes on as if it had been.
    skipped: AtomicU64,
    waits: Mutex<Vec<Duration>>,
}

impl SourceClock {
    /// `now`: the fixed time of the reading; `no_wait`: sleeps end at once.
    pub fn new(real: Arc<dyn Clock>, now: Option<Timestamp>, no_wait: bool) -> Self {
        Self { real, now, no_wait, skipped: AtomicU64::new(0), waits: Mutex::default() }
    }

    /// The waits since the last call, also those that were not made.
    pub fn take_waits(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for SourceClock {
    fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(|| self.real.now())
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic() + Duration::from_micros(self.skipped.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration >= TOLD_FROM {
            self.waits.lock().unwrap_or_else(PoisonError::into_inner).push(duration);
        }
        if !self.no_wait {
            return self.real.sleep(duration);
        }
        self.skipped.fetch_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

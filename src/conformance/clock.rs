//! The clock of a trial: it stands still, a wait passes at once, and the simulated provider lives by the same hours.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::domain::clock::{Clock, Sleep, Timestamp};

/// Time that only goes on when somebody waits, or says so.
pub struct TrialClock {
    start: Timestamp,
    passed: Mutex<Duration>,
}

impl TrialClock {
    pub fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { start, passed: Mutex::default() })
    }

    /// Begins anew.
    pub fn reset(&self) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) = Duration::ZERO;
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Clock for TrialClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.advance(duration);
        Box::pin(std::future::ready(()))
    }
}

//! The system's clock, behind the [`Clock`] port.
//!
//! The one place where the wall clock and the monotonic clock are read.

use std::time::{Duration, Instant};

use crate::domain::clock::{Clock, Sleep, Timestamp};

/// Wall clock, monotonic clock and timer of this machine.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everything else is given")]
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everything else is given")]
    fn now(&self) -> Timestamp {
        Timestamp::new(chrono::Utc::now())
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

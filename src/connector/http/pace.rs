//! The pace at which somebody else may ask us.
//!
//! Owns one limiter. Refuses to wait: who is too fast is told for how long to stay away.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{Quota, RateLimiter, clock::Clock as _};

use super::limits::{GateClock, Limiter};
use crate::domain::clock::Clock;

/// A limiter of its own, on our clock.
pub struct Pace {
    clock: GateClock,
    limiter: Limiter,
}

impl Pace {
    /// So many requests in a second, and so many at once before the pace holds. Zero counts as one.
    pub fn new(clock: Arc<dyn Clock>, per_second: u32, burst: u32) -> Self {
        let one_or_more = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let clock = GateClock(clock);
        let quota = Quota::per_second(one_or_more(per_second)).allow_burst(one_or_more(burst));
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock }
    }

    /// Takes leave for one request.
    ///
    /// # Errors
    /// How long to stay away.
    pub fn admit(&self) -> Result<(), Duration> {
        let now = self.clock.now();
        self.limiter.check().map_err(|not_until| not_until.wait_time_from(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::http::testing::ManualClock;

    #[test]
    fn a_burst_passes_and_then_the_pace_holds() {
        let clock = ManualClock::at("2026-01-31T08:00:00Z");
        let pace = Pace::new(clock.clone(), 10, 3);
        assert_eq!((0..5).filter(|_| pace.admit().is_ok()).count(), 3);
        let wait = pace.admit().unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(100), "{wait:?}");
        clock.advance(wait);
        assert!(pace.admit().is_ok() && pace.admit().is_err());
    }
}

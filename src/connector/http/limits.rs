//! The pace at which one provider account is asked.
//!
//! Owns one limiter and one "not before" moment per account, shared by all users of the gate: when a provider says stop,
//! everybody stops. Refuses to sleep: it says how long, the request loop waits on the clock.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, Reference as _},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::CallBudget;
use crate::{connector::ConnectorError, domain::clock::Clock};

const SLOWEST: f64 = 1.0 / 3600.0;
const FASTEST: f64 = 10_000.0;

/// Whose limit a request counts against, and the pace that its manifest names.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitKey {
    /// Provider and provider account, e.g. `hubspot/4711`.
    pub account: String,
    pub requests_per_second: Option<f64>,
    pub burst: Option<u32>,
    /// Requests that its manifest wants under way at once; `None`: one after the other within a pull.
    pub at_once: Option<u32>,
}

/// Our clock in governor's clothes.
#[derive(Clone)]
pub(super) struct GateClock(pub(super) Arc<dyn Clock>);

impl governor::clock::Clock for GateClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.monotonic().into()
    }
}

pub(super) type Limiter = RateLimiter<NotKeyed, InMemoryState, GateClock, NoOpMiddleware<Nanos>>;

struct Account {
    limiter: Limiter,
    /// On the monotonic clock.
    blocked_until: Mutex<Duration>,
    /// One for each request that may be under way.
    under_way: Arc<Semaphore>,
    /// The manifest's own counts, where it has any.
    budget: Mutex<Option<Arc<dyn CallBudget>>>,
}

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Our own pace.
    Pace(Duration),
    /// The provider said stop.
    Provider(Duration),
}

/// All accounts of the process; as many entries as connections were asked for.
pub(super) struct Limits {
    clock: GateClock,
    accounts: Mutex<HashMap<String, Arc<Account>>>,
    requests_per_second: f64,
    burst: u32,
    at_once: u32,
}

impl Limits {
    pub(super) fn new(clock: Arc<dyn Clock>, requests_per_second: f64, burst: u32, at_once: u32) -> Self {
        Self { clock: GateClock(clock), accounts: Mutex::default(), requests_per_second, burst, at_once }
    }

    /// A place among the requests of an account that are under way; held while one is.
    pub(super) async fn place(&self, key: &LimitKey) -> Option<OwnedSemaphorePermit> {
        let under_way = Arc::clone(&self.account(key).under_way);
        // It is never closed.
        under_way.acquire_owned().await.ok()
    }

    /// The account's budget; made once.
    pub(super) fn budget(
        &self,
        key: &LimitKey,
        make: impl FnOnce() -> Result<Arc<dyn CallBudget>, ConnectorError>,
    ) -> Result<Arc<dyn CallBudget>, ConnectorError> {
        let account = self.account(key);
        let mut budget = account.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = &*budget {
            return Ok(Arc::clone(budget));
        }
        Ok(Arc::clone(budget.insert(make()?)))
    }

    fn account(&self, key: &LimitKey) -> Arc<Account> {
        // The map stays whole whatever panicked while holding it.
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(key.account.clone()).or_insert_with(|| {
            let pace = key.requests_per_second.unwrap_or(self.requests_per_second);
            let pace = if pace.is_finite() { pace.clamp(SLOWEST, FASTEST) } else { SLOWEST };
            let burst = NonZeroU32::new(key.burst.unwrap_or(self.burst)).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::with_period(Duration::from_secs_f64(1.0 / pace))
                .expect("the pace is clamped, so its period is longer than zero")
                .allow_burst(burst);
            let limiter = RateLimiter::direct_with_clock(quota, self.clock.clone());
            let at_once = usize::try_from(key.at_once.unwrap_or(u32::MAX).min(self.at_once)).unwrap_or(1).max(1);
            let under_way = Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)));
            Arc::new(Account { limiter, blocked_until: Mutex::default(), under_way, budget: Mutex::default() })
        });
        Arc::clone(account)
    }

    /// Takes leave for one request, or says how long to hold back before asking again.
    pub(super) fn admit(&self, key: &LimitKey) -> Result<(), Hold> {
        let account = self.account(key);
        let now = self.clock.now();
        let until: Nanos = (*account.blocked_until.lock().unwrap_or_else(PoisonError::into_inner)).into();
        if until > now {
            return Err(Hold::Provider(until.duration_since(now).into()));
        }
        account.limiter.check().map_err(|not_until| Hold::Pace(not_until.wait_time_from(now)))
    }

    /// Stops the account for all users of the gate. Never shortens a stop that is already there.
    pub(super) fn block(&self, key: &LimitKey, wait: Duration) {
        let until = self.clock.0.monotonic() + wait;
        let account = self.account(key);
        let mut blocked = account.blocked_until.lock().unwrap_or_else(PoisonError::into_inner);
        *blocked = until.max(*blocked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::http::testing::ManualClock;

    #[test]
    fn the_pace_holds_in_every_window_and_a_stop_holds_for_all() {
        let clock = ManualClock::at("2026-01-31T08:00:00Z");
        let limits = Limits::new(clock.clone(), 5.0, 5, 1);
        let key = LimitKey { account: "p/1".into(), requests_per_second: Some(4.0), burst: Some(2), at_once: None };
        let mut admitted = Vec::new();
        while clock.monotonic() < Duration::from_secs(5) {
            match limits.admit(&key) {
                Ok(()) => admitted.push(clock.monotonic()),
                Err(Hold::Pace(wait) | Hold::Provider(wait)) => clock.advance(wait),
            }
        }
        assert!(admitted.len() >= 20, "{}", admitted.len());
        for (index, start) in admitted.iter().enumerate() {
            let in_window = admitted[index..].iter().filter(|at| **at < *start + Duration::from_secs(1)).count();
            assert!(in_window <= 4 + 2, "{in_window} calls within a second");
        }

        limits.block(&key, Duration::from_secs(9));
        limits.block(&key, Duration::from_secs(2));
        assert_eq!(limits.admit(&key), Err(Hold::Provider(Duration::from_secs(9))));
        let other = LimitKey { account: "p/2".into(), ..key.clone() };
        assert_eq!(limits.admit(&other), Ok(()));
        clock.advance(Duration::from_secs(9));
        assert_eq!(limits.admit(&key), Ok(()));
    }
}

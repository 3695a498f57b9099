//! A caller's own budget of calls, held beside the account's pace.
//!
//! Owns the port and the waiting for it. What is counted, and for how long, is the caller's; one account has one budget, whoever asks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Call, Fetch, HttpGate, LimitKey, answer};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::clock::Timestamp,
};

/// How many calls may be made.
pub trait CallBudget: Send + Sync {
    /// Takes one call, or says how long to wait before asking again.
    ///
    /// # Errors
    /// That the call can never be made.
    fn take(&self, call: &Call, now: Timestamp) -> Result<Option<Duration>, ConnectorError>;

    /// Hears what the provider answered: names of headers are in small letters.
    fn learn(&self, call: &Call, status: u16, headers: &BTreeMap<String, String>, now: Timestamp);
}

impl HttpGate {
    /// The account's budget; the first one that is made for it stays.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn budget(
        &self,
        key: &LimitKey,
        make: impl FnOnce() -> Result<Arc<dyn CallBudget>, ConnectorError>,
    ) -> Result<Arc<dyn CallBudget>, ConnectorError> {
        self.limits.budget(key, make)
    }

    /// Waits until the caller's budget has a call left. `held` adds up what this request has waited.
    pub(super) async fn budgeted(
        &self,
        fetch: &Fetch<'_>,
        call: &Call,
        held: &mut Duration,
    ) -> Result<(), ConnectorError> {
        let Some(budget) = fetch.judge.and_then(super::Judge::budget) else { return Ok(()) };
        while let Some(wait) = budget.take(call, self.clock.now())? {
            if *held + wait > self.options.longest_limit_wait {
                let asked = answer::asked(call.method, &call.url);
                let message = format!("{asked}: the manifest's call budget is used up for {} s", wait.as_secs());
                return Err(ConnectorError::new(ErrorKind::RateLimited { retry_after: Some(wait) }, message));
            }
            let wait = wait.max(Duration::from_millis(1));
            self.clock.sleep(wait).await;
            *held += wait;
            fetch.traffic.waited_for_limit(wait);
        }
        Ok(())
    }
}

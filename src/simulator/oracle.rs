//! The log of every request, as the provider saw it: the proof of rate limits, retries and counts.
//!
//! Owns the log and questions about it. It is bounded; what falls out is counted, never forgotten in silence.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;

use super::locked;
use crate::domain::clock::{Clock, Timestamp};

/// Older calls are dropped beyond this.
const MAX_CALLS: usize = 200_000;

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// When it arrived.
    pub at: Timestamp,
    /// The same on a clock that never goes back; windows are measured on it.
    pub monotonic: Duration,
    /// Whose token it carried; `None` for a missing or unknown one.
    pub account: Option<String>,
    pub method: String,
    pub path: String,
    pub query: String,
    /// What was answered; `None` while it is still open or when the connection was broken.
    pub status: Option<u16>,
    /// How many records the answer held.
    pub records: usize,
    /// The name of the fault that struck.
    pub fault: Option<&'static str>,
}

#[derive(Default)]
struct Log {
    calls: VecDeque<Call>,
    dropped: usize,
}

/// The log. Cheap to ask, safe to ask while requests run.
pub struct Oracle {
    clock: Arc<dyn Clock>,
    log: Mutex<Log>,
    arrived: Notify,
}

impl Oracle {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, log: Mutex::default(), arrived: Notify::new() }
    }

    /// Writes down an arrival and gives its number.
    pub(super) fn arrive(&self, account: Option<&str>, method: &str, path: &str, query: &str) -> usize {
        let call = Call {
            at: self.clock.now(),
            monotonic: self.clock.monotonic(),
            account: account.map(str::to_owned),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            status: None,
            records: 0,
            fault: None,
        };
        let mut log = locked(&self.log);
        if log.calls.len() == MAX_CALLS {
            log.calls.pop_front();
            log.dropped += 1;
        }
        log.calls.push_back(call);
        let number = log.dropped + log.calls.len() - 1;
        drop(log);
        self.arrived.notify_waiters();
        number
    }

    pub(super) fn answer(&self, number: usize, status: Option<u16>, records: usize, fault: Option<&'static str>) {
        let mut log = locked(&self.log);
        let dropped = log.dropped;
        if let Some(call) = number.checked_sub(dropped).and_then(|n| log.calls.get_mut(n)) {
            call.status = status;
            call.records = records;
            call.fault = fault;
        }
    }

    /// All calls, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        locked(&self.log).calls.iter().cloned().collect()
    }

    /// How many calls have arrived since the start.
    pub fn count(&self) -> usize {
        let log = locked(&self.log);
        log.dropped + log.calls.len()
    }

    /// How many calls of the account have arrived, by portal id.
    pub fn count_of(&self, portal_id: &str) -> usize {
        locked(&self.log).calls.iter().filter(|c| c.account.as_deref() == Some(portal_id)).count()
    }

    /// The most calls of an account (of all, when `None`) that arrived within any window of that length.
    pub fn most_within(&self, portal_id: Option<&str>, window: Duration) -> usize {
        let log = locked(&self.log);
        let mut times: Vec<_> = log
            .calls
            .iter()
            .filter(|c| portal_id.is_none_or(|id| c.account.as_deref() == Some(id)))
            .map(|c| c.monotonic)
            .collect();
        times.sort_unstable();
        let mut first = 0;
        let mut most = 0;
        for (last, time) in times.iter().enumerate() {
            while times.get(first).is_some_and(|t| *time - *t >= window) {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }

    /// Calls of an account in the last `window` that were let through, and how long ago the oldest of them arrived.
    pub(super) fn recent(&self, portal_id: &str, window: Duration) -> (usize, Duration) {
        let now = self.clock.monotonic();
        let log = locked(&self.log);
        let mut count = 0;
        let mut oldest = Duration::ZERO;
        for call in log.calls.iter().rev() {
            let age = now.saturating_sub(call.monotonic);
            if age >= window {
                break;
            }
            if call.account.as_deref() == Some(portal_id) && call.status != Some(429) {
                count += 1;
                oldest = age;
            }
        }
        (count, oldest)
    }

    /// Waits until at least `count` calls have arrived since the start; the caller brings the time-out.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let arrival = self.arrived.notified();
            if self.count() >= count {
                return;
            }
            arrival.await;
        }
    }
}

//! Counts what talking to a provider costs, also when the call fails or is dropped.
//!
//! Owns the meter. One meter lives as long as one run; the pipeline takes what came since the last page.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::domain::counts::Traffic;

/// Most requests that are kept word by word.
const MOST_KEPT: usize = 20;

/// Adds up requests, retries, waits and bytes.
#[derive(Debug, Default)]
pub struct TrafficMeter {
    requests: AtomicI64,
    retries: AtomicI64,
    rate_limited_ms: AtomicI64,
    bytes_in: AtomicI64,
    /// What was asked for, in words; only where somebody wants to read it.
    asked: Option<Mutex<Vec<String>>>,
}

impl TrafficMeter {
    /// One that also keeps the first requests, each as a line without secrets.
    pub fn keeping_requests() -> Self {
        Self { asked: Some(Mutex::default()), ..Self::default() }
    }

    /// Keeps the line of a request, if somebody wants to read it; one that is sent again is kept once.
    pub fn asks(&self, line: impl FnOnce() -> String) {
        let Some(asked) = &self.asked else { return };
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < MOST_KEPT {
            let line = line();
            if !asked.contains(&line) {
                asked.push(line);
            }
        }
    }

    /// The requests that were kept, in their order.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.as_ref().map(|asked| asked.lock().unwrap_or_else(PoisonError::into_inner).clone());
        asked.unwrap_or_default()
    }

    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub fn waited_for_limit(&self, wait: Duration) {
        self.rate_limited_ms.fetch_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// What was counted since the last call.
    pub fn take(&self) -> Traffic {
        Traffic {
            requests: self.requests.swap(0, Ordering::Relaxed),
            retries: self.retries.swap(0, Ordering::Relaxed),
            rate_limited_ms: self.rate_limited_ms.swap(0, Ordering::Relaxed),
            bytes_in: self.bytes_in.swap(0, Ordering::Relaxed),
        }
    }
}

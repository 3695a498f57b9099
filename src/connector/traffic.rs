//! Counts what talking to a provider costs, also when the call fails or is dropped.
//!
//! Owns the meter. One meter lives as long as one run; the pipeline takes what came since the last page.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use crate::domain::counts::Traffic;

/// Adds up requests, retries, waits and bytes.
#[derive(Debug, Default)]
pub struct TrafficMeter {
    requests: AtomicI64,
    retries: AtomicI64,
    rate_limited_ms: AtomicI64,
    bytes_in: AtomicI64,
}

impl TrafficMeter {
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

//! The six buckets, and the law that they add up (P3).
//!
//! Owns the arithmetic. Which bucket an item falls into is decided by `pipeline::normalise` alone.

use serde::{Deserialize, Serialize};

/// Where the items of a page or of a run ended. Each seen item is in exactly one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub seen: i64,
    pub created: i64,
    pub updated: i64,
    /// Same payload as stored by an earlier run.
    pub unchanged: i64,
    /// Same id and same payload again within one run.
    pub duplicate: i64,
    /// Left out by rule, with a reason (spam, test, no field map, older than what is stored).
    pub ignored: i64,
    /// Became a dead letter.
    pub failed: i64,
}

impl Counts {
    pub const fn sum_of_buckets(&self) -> i64 {
        self.created + self.updated + self.unchanged + self.duplicate + self.ignored + self.failed
    }

    /// seen = created + updated + unchanged + duplicate + ignored + failed.
    pub const fn add_up(&self) -> bool {
        self.seen == self.sum_of_buckets()
    }

    pub fn add(&mut self, other: &Self) {
        self.seen += other.seen;
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.duplicate += other.duplicate;
        self.ignored += other.ignored;
        self.failed += other.failed;
    }
}

/// What talking to the provider cost. Kept per page and per run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub requests: i64,
    /// Requests that repeated a failed one.
    pub retries: i64,
    /// Time spent waiting because a limit (ours or the provider's) said so, in milliseconds.
    pub rate_limited_ms: i64,
    /// Body bytes received, after decompression.
    pub bytes_in: i64,
}

impl Traffic {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.rate_limited_ms += other.rate_limited_ms;
        self.bytes_in += other.bytes_in;
    }
}

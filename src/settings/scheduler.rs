//! `[scheduler]`: what runs when, how much at once, and when to give up on a job.

use std::time::Duration;

use super::{key::Key, values::Values};

const LEASE_SECONDS: Key = Key::integer("scheduler.lease_seconds", 60);
const WORKERS: Key = Key::integer("scheduler.workers", 4);
const PER_CLIENT: Key = Key::integer("scheduler.per_client", 2);
const POLL_MS: Key = Key::integer("scheduler.poll_ms", 1_000);
const JITTER_SHARE: Key = Key::float("scheduler.jitter_share", 0.1);
const QUARANTINE_AFTER: Key = Key::integer("scheduler.quarantine_after", 10);
const SHUTDOWN_SECONDS: Key = Key::integer("scheduler.shutdown_seconds", 30);
const STALLED_AFTER_RUNS: Key = Key::integer("scheduler.stalled_after_runs", 3);
pub(super) const KEYS: &[Key] = &[
    LEASE_SECONDS,
    WORKERS,
    PER_CLIENT,
    POLL_MS,
    JITTER_SHARE,
    QUARANTINE_AFTER,
    SHUTDOWN_SECONDS,
    STALLED_AFTER_RUNS,
];

#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerSettings {
    /// How long a worker holds a job without a sign of life.
    pub lease: Duration,
    /// Runs at once in this process.
    pub workers: u32,
    /// Runs of one client at once.
    pub per_client: u32,
    /// Pause between two looks at what is due.
    pub poll: Duration,
    /// Share of a wait after a failure that is left to chance, 0 to 1.
    pub jitter_share: f64,
    /// Workers that a job may kill before it is quarantined.
    pub quarantine_after: u32,
    /// Time for open pages when the process is asked to stop.
    pub shutdown: Duration,
    /// Runs without progress after which a job counts as stalled.
    pub stalled_after_runs: u32,
}

impl SchedulerSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        Self {
            lease: values.seconds(&LEASE_SECONDS, 1..=86_400),
            workers: values.count(&WORKERS, 1..=1_000),
            per_client: values.count(&PER_CLIENT, 1..=1_000),
            poll: values.millis(&POLL_MS, 10..=600_000),
            jitter_share: values.float(&JITTER_SHARE, 0.0..=1.0),
            quarantine_after: values.count(&QUARANTINE_AFTER, 1..=1_000),
            shutdown: values.seconds(&SHUTDOWN_SECONDS, 1..=3_600),
            stalled_after_runs: values.count(&STALLED_AFTER_RUNS, 1..=1_000),
        }
    }
}

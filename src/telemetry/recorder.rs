//! Counters of this process: what its runs and its alert sweeps came to, for a scrape.
//!
//! Owns the counters and their names. Labels are words of ours and keys that people declared, few in number: provider, stream, status,
//! bucket; a connection's key only where settings ask for it. Refuses anything that came from a provider.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::domain::{
    clock::Timestamp,
    counts::{Counts, Traffic},
    status::RunStatus,
};

/// Seconds of the run histogram: from a page to hours.
const RUN_SECONDS: [f64; 10] = [0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 10_800.0, 21_600.0];

/// Seconds from receipt to normalised: from at once to a day of a provider that is away.
const SETTLE_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 600.0, 3_600.0, 86_400.0];

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter<u64, AtomicU64>>;

/// A finished run, as far as it is counted.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedRun {
    pub provider_key: String,
    pub stream: String,
    pub connection_key: String,
    pub status: RunStatus,
    pub counts: Counts,
    pub traffic: Traffic,
    pub took: Duration,
}

/// Adds up; shared by all who count in this process.
pub struct Recorder {
    /// Whether a connection's key is a label too.
    by_connection: bool,
    runs: Counters,
    records: Counters,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    requests: Counters,
    retries: Counters,
    rate_limited: Counters,
    changes: Counters,
    notices: Counters,
    deliveries: Counters,
    settled: Family<Labels, Histogram, fn() -> Histogram>,
    last_sweep: Gauge<i64, AtomicI64>,
}

impl Recorder {
    pub fn new(by_connection: bool) -> Self {
        Self {
            by_connection,
            runs: Family::default(),
            records: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(RUN_SECONDS)),
            requests: Family::default(),
            retries: Family::default(),
            rate_limited: Family::default(),
            changes: Family::default(),
            notices: Family::default(),
            deliveries: Family::default(),
            settled: Family::new_with_constructor(|| Histogram::new(SETTLE_SECONDS)),
            last_sweep: Gauge::default(),
        }
    }

    /// Counts a run that has its final status.
    pub fn run_ended(&self, run: &EndedRun) {
        let mut labels = vec![("provider", run.provider_key.clone()), ("stream", run.stream.clone())];
        if self.by_connection {
            labels.push(("connection", run.connection_key.clone()));
        }
        let with = |name: &'static str, word: &str| {
            let mut labels = labels.clone();
            labels.push((name, word.to_owned()));
            labels
        };
        self.runs.get_or_create(&with("status", run.status.as_str())).inc();
        let c = &run.counts;
        for (bucket, count) in [
            ("created", c.created),
            ("updated", c.updated),
            ("unchanged", c.unchanged),
            ("duplicate", c.duplicate),
            ("ignored", c.ignored),
            ("failed", c.failed),
        ] {
            self.records.get_or_create(&with("bucket", bucket)).inc_by(positive(count));
        }
        self.seconds.get_or_create(&labels).observe(run.took.as_secs_f64());
        self.requests.get_or_create(&labels).inc_by(positive(run.traffic.requests));
        self.retries.get_or_create(&labels).inc_by(positive(run.traffic.retries));
        self.rate_limited.get_or_create(&labels).inc_by(positive(run.traffic.rate_limited_ms));
    }

    /// Counts a change that a sweep told; `news` is opened, reminded or resolved.
    pub fn alert_changed(&self, rule: &str, news: &str) {
        self.changes.get_or_create(&vec![("rule", rule.to_owned()), ("news", news.to_owned())]).inc();
    }

    /// A sweep was finished.
    pub fn swept(&self, at: Timestamp) {
        self.last_sweep.set(at.utc().timestamp());
    }

    /// Counts notices that were taken, and those that were not.
    pub fn notices(&self, taken: u64, failed: u64) {
        for (outcome, count) in [("taken", taken), ("failed", failed)] {
            self.notices.get_or_create(&vec![("outcome", outcome.to_owned())]).inc_by(count);
        }
    }

    /// Counts a webhook delivery, or a request that did not come so far, by what became of it.
    pub fn delivery(&self, provider_key: &str, outcome: &str) {
        let labels = vec![("provider", provider_key.to_owned()), ("outcome", outcome.to_owned())];
        self.deliveries.get_or_create(&labels).inc();
    }

    /// A delivery's record was decided, so long after its receipt.
    pub fn settled(&self, provider_key: &str, after: Duration) {
        self.settled.get_or_create(&vec![("provider", provider_key.to_owned())]).observe(after.as_secs_f64());
    }

    /// Puts all counters into a registry, under its prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("runs", "Finished runs of this process by status", self.runs.clone());
        registry.register(
            "records",
            "Records seen by this process's runs, by what became of them",
            self.records.clone(),
        );
        registry.register("run_seconds", "How long runs took", self.seconds.clone());
        registry.register("requests", "Requests to providers", self.requests.clone());
        registry.register("retries", "Requests to providers that were sent again", self.retries.clone());
        let limited = "Milliseconds that runs waited for limits";
        registry.register("rate_limited_milliseconds", limited, self.rate_limited.clone());
        registry.register(
            "alert_changes",
            "Alerts opened, told again and resolved by this process",
            self.changes.clone(),
        );
        registry.register("alert_notices", "Webhook notices of alerts, by outcome", self.notices.clone());
        let deliveries = "Webhook deliveries and refused requests, by what became of them";
        registry.register("webhook_deliveries", deliveries, self.deliveries.clone());
        let settled = "From a delivery's receipt until its record was decided";
        registry.register("webhook_settle_seconds", settled, self.settled.clone());
        let swept = "When this process last looked for alerts, in seconds since 1970; 0: not yet";
        registry.register("last_sweep_timestamp_seconds", swept, self.last_sweep.clone());
    }
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(recorder: &Recorder) -> String {
        let mut registry = Registry::with_prefix("tidegate");
        recorder.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_run_is_counted_in_every_bucket_and_by_connection_only_where_asked() {
        let run = EndedRun {
            provider_key: "hubspot".to_owned(),
            stream: "contacts".to_owned(),
            connection_key: "acme-crm".to_owned(),
            status: RunStatus::Succeeded,
            counts: Counts { seen: 5, created: 3, failed: 2, ..Counts::default() },
            traffic: Traffic { requests: 4, retries: 1, rate_limited_ms: 1_500, bytes_in: 9 },
            took: Duration::from_secs(2),
        };
        let recorder = Recorder::new(false);
        recorder.run_ended(&run);
        recorder.run_ended(&run);
        let told = text(&recorder);
        for line in [
            r#"tidegate_runs_total{provider="hubspot",stream="contacts",status="succeeded"} 2"#,
            r#"tidegate_records_total{provider="hubspot",stream="contacts",bucket="created"} 6"#,
            r#"tidegate_rate_limited_milliseconds_total{provider="hubspot",stream="contacts"} 3000"#,
            r#"tidegate_run_seconds_count{provider="hubspot",stream="contacts"} 2"#,
        ] {
            assert!(told.lines().any(|told| told == line), "{line}\nis not in\n{told}");
        }
        assert!(!told.contains("acme-crm"));
        let recorder = Recorder::new(true);
        recorder.run_ended(&run);
        assert!(text(&recorder).contains(r#"connection="acme-crm""#));
    }
}

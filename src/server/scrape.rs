//! What a scrape gets: the counters of this process, and gauges as the database has them now.
//!
//! Owns the gauges' names. When the database does not answer, it says so and leaves its gauges out: an old number would look like now.

use std::fmt;

use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Facts;
use crate::{alerts::late_since, store::alerts};

type Labels = Vec<(&'static str, String)>;

/// What the database said.
#[derive(Debug, Clone)]
pub(super) struct Gauges {
    stored: alerts::Gauges,
    stale_jobs: i64,
    /// Provider and its deliveries that wait for a run.
    waiting: Vec<(String, i64)>,
}

/// Reads the gauges; `None` when the database does not answer.
pub(super) async fn read(facts: &Facts) -> Option<Gauges> {
    let now = facts.clock.now();
    let stored = facts.store.gauges().await.ok()?;
    let waiting = facts.store.waiting_by_provider().await.ok()?;
    let late = facts.store.late_jobs(now).await.ok()?;
    // A job that never completed and of which nothing tells since when is not told as late before its alert is.
    let stale = late.iter().filter(|fact| matches!(late_since(fact, now), Some(Some(_)))).count();
    Some(Gauges { stored, stale_jobs: i64::try_from(stale).unwrap_or(i64::MAX), waiting })
}

/// The whole answer.
///
/// # Errors
/// Never in practice: a string can always be written to.
pub(super) fn text(facts: &Facts, gauges: Option<&Gauges>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("tidegate");
    facts.recorder.register(&mut registry);
    let up = Gauge::<i64>::default();
    up.set(i64::from(gauges.is_some()));
    registry.register("database_up", "1: the database answered this scrape", up);
    if let Some(gauges) = gauges {
        let letters = Family::<Labels, Gauge>::default();
        for (provider, count) in &gauges.stored.dead_letters {
            letters.get_or_create(&vec![("provider", provider.clone())]).set(*count);
        }
        registry.register("dead_letters_open", "Dead letters that wait for somebody", letters);
        registry.register(
            "jobs_stale",
            "Jobs past their stale_after since the last complete run",
            set(gauges.stale_jobs),
        );
        let waiting = Family::<Labels, Gauge>::default();
        for (provider, count) in &gauges.waiting {
            waiting.get_or_create(&vec![("provider", provider.clone())]).set(*count);
        }
        registry.register("webhook_deliveries_waiting", "Deliveries that wait for a run", waiting);
        registry.register("jobs_due", "Jobs that are due and that no worker holds", set(gauges.stored.due));
        let open = Family::<Labels, Gauge>::default();
        let labels = |rule: &str, severity: &str| vec![("rule", rule.to_owned()), ("severity", severity.to_owned())];
        // Each rule that is on, so that nothing open and not looked at can be told apart.
        for rule in facts.rules.enabled() {
            open.get_or_create(&labels(&rule.key, rule.severity.as_str())).set(0);
        }
        for (rule, severity, count) in &gauges.stored.alerts {
            open.get_or_create(&labels(rule, severity.as_str())).set(*count);
        }
        registry.register("alerts_open", "Open alerts by rule", open);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn set(value: i64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

//! One rule: what it watches, when that is an alert, whom it concerns, and what is said.

use std::time::Duration;

use crate::domain::status::Severity;

/// A rule as compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub key: String,
    pub enabled: bool,
    pub watch: Watch,
    pub severity: Severity,
    /// A role; `integration_owner` and `control_owner` stand for whom the subject itself names.
    pub owner: String,
    /// How long it must hold before it is told (`for`).
    pub lasting: Duration,
    /// How long before the same open alert is told again.
    pub silence: Duration,
    pub client_safe: String,
    /// With `{connection}`, `{stream}` and `{client}`.
    pub remedy: String,
    /// Heading in `deploy/runbook.md`.
    pub runbook: String,
}

/// What a rule looks at, with its thresholds.
#[derive(Debug, Clone, PartialEq)]
pub enum Watch {
    /// Jobs past their `stale_after`.
    LateJobs,
    /// Connections whose recent runs waited for limits for at least this share of their time.
    Throttled {
        share: f64,
        window: Duration,
        /// Fewer runs in the window say nothing.
        runs: i64,
    },
    NeedsAuth,
    Quarantined,
    /// Streams with more open dead letters than this.
    DeadLetters {
        more_than: i64,
    },
    /// Connections of which polls had to repair at least so many records, and at least this share of all changes.
    MissedWebhooks {
        share: f64,
        window: Duration,
        records: i64,
    },
    Controls,
    /// Failed checks, less those that an isolation rule watches.
    Checks,
    HeldMetrics,
    /// Jobs with so many failures in a row.
    StalledJobs {
        failures: i64,
    },
    /// Failed checks whose key holds one of the words.
    Isolation {
        checks: Vec<String>,
    },
}

impl Watch {
    /// Every word, in the order of the built-in table.
    pub const WORDS: [&'static str; 11] = [
        "late_jobs",
        "throttled",
        "needs_auth",
        "quarantined",
        "dead_letters",
        "missed_webhooks",
        "controls",
        "checks",
        "held_metrics",
        "stalled_jobs",
        "isolation",
    ];

    pub const fn word(&self) -> &'static str {
        match self {
            Self::LateJobs => "late_jobs",
            Self::Throttled { .. } => "throttled",
            Self::NeedsAuth => "needs_auth",
            Self::Quarantined => "quarantined",
            Self::DeadLetters { .. } => "dead_letters",
            Self::MissedWebhooks { .. } => "missed_webhooks",
            Self::Controls => "controls",
            Self::Checks => "checks",
            Self::HeldMetrics => "held_metrics",
            Self::StalledJobs { .. } => "stalled_jobs",
            Self::Isolation { .. } => "isolation",
        }
    }
}

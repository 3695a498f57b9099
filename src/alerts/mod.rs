//! Alerts: rules as data, over facts that the database holds; each thing that somebody has to look at is told once, again after a
//! silence, and when it is over.
//!
//! ```text
//!  rule.rs     one rule, and what it may watch
//!  compile.rs  the table of rules: config/alerts.yaml, changed by the file of `alerts.file`
//!  judge.rs    rules over facts → findings; pure
//!  diff.rs     findings against what stands → what is written and told; pure
//!  notice.rs   what goes out by webhook: body, id, signature
//!  deliver.rs  notices that are due, claimed one by one, put off when nobody takes them
//! ```
//!
//! Owns the sweep. Refuses to know where facts come from (a port) and who carries a notice (a port): nothing here waits for a network
//! while it holds anything.

mod compile;
mod deliver;
mod diff;
mod judge;
mod notice;
mod rule;

use std::sync::Arc;

pub use self::{
    compile::{BUILT_IN, RuleProblem, Rules},
    deliver::{Delivered, Sender, deliver},
    judge::{Facts, Finding, judge, late_since},
    notice::{Notice, SendFault, sign},
    rule::{Rule, Watch},
};
use crate::{
    domain::{
        clock::Clock,
        status::{AlertNews, Severity},
    },
    store::{SharedStore, StoreError, alerts::Alert},
};

/// What a sweep changed, and tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub alert: Alert,
    pub news: AlertNews,
}

/// Looks at everything once: opens, reminds, resolves, and says each of it in the log. With `notify`, changes are also laid out for
/// [`deliver()`]. Several that sweep at the same moment tell each change once between them.
///
/// # Errors
/// Of the store; nothing is then told, and the next sweep sees the same.
pub async fn sweep(
    store: &SharedStore,
    rules: &Arc<Rules>,
    clock: &dyn Clock,
    notify: bool,
) -> Result<Vec<Change>, StoreError> {
    let now = clock.now();
    let facts = Facts {
        stored: store.alert_facts(now).await?,
        throttled: throttled(store, rules, now).await?,
        missed: missed(store, rules, now).await?,
    };
    let findings = judge(rules, &facts, now);
    let rules = Arc::clone(rules);
    let decide = Arc::new(move |standing: &[Alert]| diff::diff(&rules, &findings, standing, now, notify));
    let told = store.write_alerts(now, decide).await?;
    let changes: Vec<Change> = told.into_iter().map(|(alert, news)| Change { alert, news }).collect();
    for change in &changes {
        log(change);
    }
    Ok(changes)
}

async fn throttled(
    store: &SharedStore,
    rules: &Rules,
    now: crate::domain::clock::Timestamp,
) -> Result<Vec<(String, Vec<crate::store::alerts::ThrottleFact>)>, StoreError> {
    let mut found = Vec::new();
    for rule in rules.enabled() {
        if let Watch::Throttled { window, .. } = rule.watch {
            found.push((rule.key.clone(), store.throttled(now.minus(window)).await?));
        }
    }
    Ok(found)
}

async fn missed(
    store: &SharedStore,
    rules: &Rules,
    now: crate::domain::clock::Timestamp,
) -> Result<Vec<(String, Vec<crate::store::repairs::MissedFact>)>, StoreError> {
    let mut found = Vec::new();
    for rule in rules.enabled() {
        if let Watch::MissedWebhooks { window, .. } = rule.watch {
            found.push((rule.key.clone(), store.missed(now.minus(window)).await?));
        }
    }
    Ok(found)
}

/// One line for each change; `since` is when it began, not when it was noticed.
fn log(change: &Change) {
    let row = &change.alert.row;
    let (rule, subject, since) = (&row.rule_key, &row.subject_key, row.first_seen_at);
    let owner = row.owner.as_deref().unwrap_or_default();
    let runbook = format!("deploy/runbook.md#{}", row.runbook);
    match (change.news, row.severity) {
        (AlertNews::Resolved, _) => tracing::info!(%rule, %subject, %owner, %since, "alert resolved"),
        (news, Severity::Error) => {
            tracing::error!(%rule, %subject, %owner, %since, remedy = %row.remedy, %runbook, "alert {news}: {}", row.message_internal);
        }
        (news, Severity::Warn) => {
            tracing::warn!(%rule, %subject, %owner, %since, remedy = %row.remedy, %runbook, "alert {news}: {}", row.message_internal);
        }
    }
}

//! The quality checks: what is looked at between normalising and publishing (P15-P18).
//!
//! ```text
//!  key.rs        the closed list of checks
//!  rules.rs      config/quality.yaml and what is laid over it: severity, thresholds, wording
//!  isolation.rs  records.rs  runs.rs  proof.rs     pure rules: facts in, a judgement out
//!  judged.rs     a judgement as the row that is kept
//! ```
//! Owns what makes a check pass. Facts come from the port [`crate::store::quality`], each by itself: one that cannot be read makes its
//! check `errored`, which counts as failed, and no other. Refuses to publish, to know a provider, and to mend anything: the one act is
//! to pause a connection in which two clients may have met.

mod isolation;
mod judged;
pub mod key;
mod proof;
mod records;
pub mod rules;
mod runs;

use std::time::Duration;

pub use key::CheckKey;
pub use rules::{Rule, Rules, RulesProblem};

use self::judged::{Judged, errored};
use crate::{
    domain::{
        clock::{Clock, Timestamp},
        gate::Verdict,
        ids::RunId,
        status::CheckStatus,
    },
    store::{
        Store, StoreError,
        catalogue::Connection,
        checks::{CheckResult, Evaluation, verdict},
        quality::{Depth, IsolationIncident, Whose},
    },
};

/// Makes all checks of one connection, keeps them as one evaluation, and says what they mean for publishing. `run` is the run after
/// which it happens; `None` when a person asks. A hit of `account_isolation` pauses the connection and raises an incident.
///
/// # Errors
/// The database cannot be reached, or refuses the evaluation. A check that cannot be made is no error: it is `errored`.
pub async fn evaluate(
    store: &dyn Store,
    rules: &Rules,
    connection: &Connection,
    run: Option<RunId>,
    clock: &dyn Clock,
) -> Result<Verdict, StoreError> {
    let of = Whose { connection: connection.id, client: connection.client_id };
    // After a run the way is short; a person who asks wants to know it exactly.
    let depth = if run.is_some() { Depth::Quick } else { Depth::Thorough };
    let subject = Subject { store, of, connection, now: clock.now(), depth };
    let mut results = Vec::new();
    for rule in rules.of(&connection.spec.provider_key, &connection.spec.connection_key) {
        let result = match subject.judge(&rule).await {
            Ok(judged) => judged.result(&rule),
            Err(error) => errored(&rule, &error),
        };
        if rule.key == CheckKey::AccountIsolation && result.status == CheckStatus::Failed {
            subject.hold(&result).await?;
        }
        results.push(result);
    }
    let evaluation = Evaluation {
        evaluation_id: uuid::Uuid::new_v4().to_string(),
        connection_id: of.connection,
        client_id: of.client,
        run_id: run,
        results,
    };
    store.record_checks(&evaluation).await?;
    Ok(verdict(&store.latest_checks(of.connection).await?))
}

/// The connection that is looked at.
struct Subject<'a> {
    store: &'a dyn Store,
    of: Whose,
    connection: &'a Connection,
    now: Timestamp,
    depth: Depth,
}

impl Subject<'_> {
    async fn judge(&self, rule: &Rule) -> Result<Judged, StoreError> {
        let (store, of, spec) = (self.store, self.of, &self.connection.spec);
        Ok(match rule.key {
            CheckKey::AccountIsolation => {
                isolation::judge(isolation::Facts::read(store, of, self.connection, self.depth).await)?
            }
            CheckKey::CurrencyUnit => records::currency_unit(&store.currencies(of).await?),
            CheckKey::DuplicateRecords => records::duplicate_records(store.link_fit(of, self.depth).await?),
            CheckKey::PossibleDuplicates => records::possible_duplicates(store.shared_contacts(of).await?, rule),
            CheckKey::SourceLabel => {
                records::source_label(&store.labels(of, &spec.source_label, rule.bound("runs")).await?)
            }
            CheckKey::PaidOrganic => {
                let providers = store.providers().await?;
                let own = providers.iter().find(|provider| provider.provider_key == spec.provider_key);
                let category = own.map_or("unknown", |provider| provider.category.as_str());
                records::paid_organic(store.paid_organic(of).await?, category, rule)
            }
            CheckKey::SpamTestInternal => {
                let without_reason = store.ignored_without_reason(of, rule.bound("runs")).await?;
                records::spam_test_internal(without_reason, store.half_marked_tests(of).await?)
            }
            CheckKey::Freshness => runs::freshness(&store.job_freshness(of).await?, self.now, rule),
            CheckKey::Coverage => {
                runs::coverage(&store.stream_history(of, rule.bound("silent_runs")).await?, self.now, rule)
            }
            CheckKey::CountReconciliation => {
                runs::count_reconciliation(&store.run_tallies(of, rule.bound("runs")).await?, rule)
            }
            CheckKey::DeliveryVsRecord => runs::delivery_vs_record(store.undelivered(of, rule.bound("runs")).await?),
            CheckKey::RunComplete => runs::run_complete(&store.newest_ends(of).await?),
            CheckKey::DeadLetterBudget => runs::dead_letter_budget(store.letter_load(of).await?, rule),
            CheckKey::VolumeAnomaly => {
                let history = Duration::from_secs(24 * 3600) * rule.bound("history_days");
                runs::volume_anomaly(&store.daily_volume(of, self.now.minus(history)).await?, self.now, rule)
            }
            CheckKey::PeriodAlignment => {
                let limit = self.now.plus(Duration::from_secs(3600) * rule.bound("future_hours"));
                let future = store.rows_after(of, limit).await?;
                proof::period_alignment(&future, &store.baseline_pairs(of).await?, rule)
            }
            CheckKey::AccountingMatch => records::accounting_match(store.books(of).await?, rule),
            CheckKey::PayloadLeak => {
                let providers = store.providers().await?;
                let names: Vec<String> =
                    providers.into_iter().flat_map(|provider| [provider.name, provider.provider_key]).collect();
                proof::payload_leak(&store.client_texts(of).await?, &names)
            }
        })
    }

    /// Nothing more is read into, or shown from, a connection in which two clients may have met.
    async fn hold(&self, result: &CheckResult) -> Result<(), StoreError> {
        let spec = &self.connection.spec;
        let seen = result.observed.as_deref().unwrap_or_default();
        let reason = format!("account_isolation: {seen}");
        tracing::error!(connection = %spec.connection_key, "{reason}; the connection is paused");
        let incident =
            IsolationIncident { connection_key: spec.connection_key.clone(), owner: spec.owner.clone(), reason };
        self.store.raise_isolation_incident(self.of, &incident).await
    }
}

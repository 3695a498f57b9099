//! Port: the results of quality checks, as they were seen.

use async_trait::async_trait;
use serde::Serialize;

use super::StoreError;
use crate::domain::{
    clock::Timestamp,
    gate::{Finding, Verdict},
    ids::{ClientId, ConnectionId, RunId},
    status::{CheckStatus, Severity},
};

/// What one check saw; a row of `data_quality_checks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    pub check_key: String,
    pub severity: Severity,
    pub status: CheckStatus,
    /// What was seen, in a few words and numbers; never a payload, a name or an address.
    pub observed: Option<String>,
    pub expected: Option<String>,
    /// For operators, with what to do.
    pub detail_internal: Option<String>,
    /// What a client may read.
    pub message_client_safe: Option<String>,
}

/// All checks of one connection, made at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    pub evaluation_id: String,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    /// The run after which it was made; `None` when a person asked.
    pub run_id: Option<RunId>,
    pub results: Vec<CheckResult>,
}

/// A stored result with the keys that people type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredCheck {
    pub id: i64,
    pub evaluation_id: String,
    pub connection_key: String,
    pub client_key: String,
    pub run_id: Option<RunId>,
    pub checked_at: Timestamp,
    #[serde(flatten)]
    pub result: CheckResult,
}

/// Which results are meant; empty means all. Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckFilter {
    pub client_key: Option<String>,
    pub connection_key: Option<String>,
    pub check_key: Option<String>,
    pub status: Option<CheckStatus>,
    /// Only the newest evaluation of each connection.
    pub latest: bool,
    pub limit: u32,
}

/// What a connection's newest evaluation says about publishing. Green needs evidence: an unknown result of severity `error` holds
/// like a failed one, and no result at all is no evaluation.
pub fn verdict(checks: &[StoredCheck]) -> Verdict {
    let finding = |check: &StoredCheck| Finding {
        check_key: check.result.check_key.clone(),
        internal: [&check.result.observed, &check.result.expected, &check.result.detail_internal]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; "),
        client_safe: check.result.message_client_safe.clone().unwrap_or_default(),
    };
    let of = |severity, statuses: &[CheckStatus]| {
        checks
            .iter()
            .filter(|check| check.result.severity == severity && statuses.contains(&check.result.status))
            .map(finding)
            .collect()
    };
    Verdict {
        evaluation_id: checks.first().map(|check| check.evaluation_id.clone()),
        checked_at: checks.first().map(|check| check.checked_at),
        holds: of(Severity::Error, &[CheckStatus::Failed, CheckStatus::Errored, CheckStatus::Unknown]),
        warnings: of(Severity::Warn, &[CheckStatus::Failed, CheckStatus::Errored]),
    }
}

#[async_trait]
pub trait CheckStore: Send + Sync {
    /// Keeps an evaluation whole, stamped with the database's clock.
    ///
    /// # Errors
    /// [`StoreError::Constraint`] when client and connection, or connection and run, disagree (P15).
    async fn record_checks(&self, evaluation: &Evaluation) -> Result<(), StoreError>;

    /// The newest evaluation of a connection; empty when none was ever made.
    async fn latest_checks(&self, connection: ConnectionId) -> Result<Vec<StoredCheck>, StoreError>;

    async fn checks(&self, filter: &CheckFilter) -> Result<Vec<StoredCheck>, StoreError>;
}

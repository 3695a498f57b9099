//! What a rule makes of its facts, on the way to a stored result.

use super::rules::Rule;
use crate::{
    domain::status::{CheckStatus, Severity},
    store::{StoreError, checks::CheckResult},
    telemetry::{chain, redact::scrub},
};

/// A judgement: what was seen, against what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub status: CheckStatus,
    /// In words and numbers; never a value of a record.
    pub observed: String,
    pub expected: &'static str,
    /// What an operator can do; `None` where nothing is to be done.
    pub remedy: Option<String>,
    /// It is told, and does not hold, whatever the check's severity is.
    pub only_warns: bool,
}

impl Judged {
    pub fn passed(observed: impl Into<String>, expected: &'static str) -> Self {
        Self { status: CheckStatus::Passed, observed: observed.into(), expected, remedy: None, only_warns: false }
    }

    pub fn failed(observed: impl Into<String>, expected: &'static str, remedy: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Failed,
            observed: observed.into(),
            expected,
            remedy: Some(remedy.into()),
            only_warns: false,
        }
    }

    pub fn unknown(observed: impl Into<String>, expected: &'static str, remedy: impl Into<String>) -> Self {
        Self { status: CheckStatus::Unknown, ..Self::failed(observed, expected, remedy) }
    }

    /// Failed when anything was found, otherwise passed.
    pub fn found(
        what: &[String],
        nothing: impl Into<String>,
        expected: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        if what.is_empty() { Self::passed(nothing, expected) } else { Self::failed(what.join("; "), expected, remedy) }
    }

    /// The row that is kept.
    pub fn result(self, rule: &Rule) -> CheckResult {
        CheckResult {
            check_key: rule.key.as_str().to_owned(),
            severity: if self.only_warns { Severity::Warn } else { rule.severity },
            status: self.status,
            observed: Some(self.observed),
            expected: Some(self.expected.to_owned()),
            detail_internal: self.remedy,
            message_client_safe: (self.status != CheckStatus::Passed).then(|| rule.client_safe.clone()),
        }
    }
}

/// A check that could not be made counts as failed: nobody knows.
pub fn errored(rule: &Rule, error: &StoreError) -> CheckResult {
    let cause = scrub(&chain(error).to_string()).into_owned();
    CheckResult {
        check_key: rule.key.as_str().to_owned(),
        severity: rule.severity,
        status: CheckStatus::Errored,
        observed: None,
        expected: None,
        detail_internal: Some(format!("the check could not be made: {cause}; mend that, then: tidegate quality run")),
        message_client_safe: Some(rule.client_safe.clone()),
    }
}

/// `3 rows`, or nothing when there are none.
pub fn some(count: i64, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {what}"))
}

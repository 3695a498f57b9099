//! What a number must be before a person may call it a baseline.
//!
//! Owns the refusals, all at once. Nothing partial, failed, stale or computed over another window, source or unit becomes one
//! (P17). Refuses to set one by itself: only a person's act does.

use rust_decimal::Decimal;

use super::window::Window;
use crate::{
    domain::{
        clock::Timestamp,
        gate::Verdict,
        metric::{CurrencyRule, Definition},
        status::{MetricUnit, SnapshotOrigin},
    },
    store::{
        catalogue::Connection,
        metrics::{NewSnapshot, Snapshot},
    },
};

/// Digits after the point that the tables hold.
const SCALE: u32 = 4;
/// Numbers of more digits before the point do not fit.
const LARGEST: i64 = 99_999_999_999_999;

/// Everything that keeps a computed number from being the baseline.
pub fn refusals(
    definition: &Definition,
    connection: &Connection,
    snapshot: &Snapshot,
    verdict: &Verdict,
    now: Timestamp,
) -> Vec<String> {
    let number = &snapshot.number;
    let mut reasons = Vec::new();
    let mut refuse = |wrong: bool, reason: String| {
        if wrong {
            reasons.push(reason);
        }
    };
    refuse(number.origin != SnapshotOrigin::Computed, "the number was declared, not computed".to_owned());
    refuse(
        number.client_id != connection.client_id || number.connection_id != connection.id,
        format!("the number is not one of {}", connection.spec.connection_key),
    );
    refuse(number.metric_key != definition.key, format!("the number is one of {}", number.metric_key));
    refuse(
        number.source_label != connection.spec.source_label,
        format!(
            "the number is of source '{}', the source is now '{}'",
            number.source_label, connection.spec.source_label
        ),
    );
    refuse(
        number.unit != definition.unit.as_str(),
        format!("the unit is {}, the metric's is {}", number.unit, definition.unit),
    );
    refuse(
        number.period_kind != definition.period,
        format!("the period is a {}, the metric's is a {}", number.period_kind, definition.period),
    );
    refuse(
        number.definition != definition.fingerprint(),
        "the number was computed by another definition of the metric".to_owned(),
    );
    refuse(
        !currency_fits(definition, number.currency.as_deref()),
        format!("the currency is {}", number.currency.as_deref().unwrap_or("missing")),
    );
    refuse(number.period_end > now, "the period has not ended".to_owned());
    if let Some(reason) = &number.incomplete_reason {
        refuse(true, format!("the number is not complete: {reason}"));
    } else {
        refuse(number.value.is_none(), "there is no value".to_owned());
    }
    reasons.extend(unchecked(verdict));
    reasons
}

/// Why the checks do not let a connection's numbers through.
pub fn unchecked(verdict: &Verdict) -> Vec<String> {
    if verdict.evaluation_id.is_none() {
        return vec!["the connection was never checked: tidegate quality run".to_owned()];
    }
    verdict.holds.iter().map(|finding| format!("check {}: {}", finding.check_key, finding.internal)).collect()
}

fn currency_fits(definition: &Definition, currency: Option<&str>) -> bool {
    match &definition.currency {
        None => currency.is_none(),
        Some(CurrencyRule::OfRows) => currency.is_some(),
        Some(CurrencyRule::Fixed(code)) => currency == Some(code),
    }
}

/// A number that is known from before the connection, with where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub value: Decimal,
    /// ISO code, for money.
    pub currency: Option<String>,
    pub evidence: String,
}

impl Declared {
    /// The snapshot to keep.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn number(
        &self,
        definition: &Definition,
        connection: &Connection,
        window: &Window,
        now: Timestamp,
    ) -> Result<NewSnapshot, Vec<String>> {
        let mut reasons = Vec::new();
        if !window.has_ended(now) {
            reasons.push(format!("the period {} has not ended", window.text()));
        }
        if self.evidence.trim().is_empty() {
            reasons.push("a declared number needs evidence: where it stands and who counted it".to_owned());
        }
        let currency = match (&definition.currency, &self.currency) {
            (Some(CurrencyRule::Fixed(code)), None) => Some(code.clone()),
            (_, given) => given.clone(),
        };
        if !currency_fits(definition, currency.as_deref()) {
            reasons.push(match &definition.currency {
                None => "the metric is not money, so it has no currency".to_owned(),
                Some(CurrencyRule::Fixed(code)) => format!("the metric is in {code}"),
                Some(CurrencyRule::OfRows) => "money needs its currency: --currency USD".to_owned(),
            });
        }
        let value = self.value.normalize();
        if value.scale() > SCALE || value.abs() > Decimal::from(LARGEST) {
            reasons.push(format!("{value} does not fit: 14 digits before the point, {SCALE} after it"));
        }
        if definition.unit.is_count() && (value.scale() > 0 || value.is_sign_negative()) {
            reasons.push(format!("{value} is no number of {}", definition.unit));
        }
        if definition.unit == MetricUnit::Percent && !(Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&value) {
            reasons.push(format!("{value} is no percentage"));
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        Ok(NewSnapshot {
            client_id: connection.client_id,
            connection_id: connection.id,
            metric_key: definition.key.clone(),
            definition: definition.fingerprint(),
            source_label: connection.spec.source_label.clone(),
            period_kind: window.kind,
            period_start: window.starts_at,
            period_end: window.ends_at,
            unit: definition.unit.to_string(),
            currency,
            value: Some(value),
            rows_counted: 0,
            incomplete_reason: None,
            run_ids: Vec::new(),
            origin: SnapshotOrigin::Declared,
            evidence: Some(self.evidence.trim().to_owned()),
            computed_at: now,
        })
    }
}

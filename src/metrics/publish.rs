//! Whether a number may reach the client, and what the client then reads.
//!
//! Owns the gate as a pure function: from what is stored to the next row of `report_metrics`. A held number leaves everything
//! that the client sees as it was (P17). Refuses to ask a store or a clock.

use rust_decimal::Decimal;

use super::{baseline::unchecked, window};
use crate::{
    domain::{
        clock::Timestamp,
        gate::Verdict,
        metric::Definition,
        status::{ApprovalRule, ApprovalState, Direction, ReportStatus},
        wording_guard::leaks,
    },
    store::{
        catalogue::Connection,
        metrics::{Baseline, Snapshot},
        reports::{Report, Told},
    },
};

/// What each warning of the checks takes from the confidence, in percent.
const DEDUCTION: i64 = 15;
const LEAST_CONFIDENCE: i64 = 10;
/// Stands on a card whose confidence is not whole.
const CAVEAT: &str = "Some entries of this period are still being reviewed, so the number may change a little.";

/// All that a publication is decided from.
pub struct Case<'c> {
    pub definition: &'c Definition,
    pub connection: &'c Connection,
    /// Names that no client may read.
    pub provider_names: &'c [String],
    /// The newest number of the last ended window; `None` when rivals keep it from being taken.
    pub snapshot: Option<&'c Snapshot>,
    pub baseline: Option<&'c Baseline>,
    pub verdict: &'c Verdict,
    /// What stands.
    pub stands: Option<&'c Report>,
    /// Keys of all connections that feed the metric under the label, when there are several.
    pub rivals: &'c [String],
    /// Who lets the waiting number through, when somebody does.
    pub approved_by: Option<&'c str>,
    pub now: Timestamp,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// What stands says it already.
    Unchanged,
    Publish(Box<Report>),
    /// With every reason.
    Hold(Box<Report>, Vec<String>),
}

/// Decides.
pub fn decide(case: &Case<'_>) -> Decision {
    let reasons = reasons(case);
    let Some((snapshot, current)) = case.snapshot.and_then(|s| Some((s, told(s)?))).filter(|_| reasons.is_empty())
    else {
        return hold(case, reasons, None);
    };
    let next = published(case, snapshot, current);
    if waits(case, snapshot) {
        let label = &case.connection.spec.source_label;
        let (client, metric) = (&case.connection.spec.client_key, &case.definition.key);
        let how = format!(
            "waits for approval: tidegate metrics approve --client {client} --metric {metric} --source '{label}'"
        );
        return hold(case, vec![how], Some(snapshot));
    }
    let same =
        case.stands.is_some_and(|stands| *stands == Report { attempted_at: stands.attempted_at, ..next.clone() });
    if same { Decision::Unchanged } else { Decision::Publish(Box::new(next)) }
}

fn reasons(case: &Case<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if case.rivals.len() > 1 {
        reasons.push(format!(
            "{} feed the same metric under the source label '{}'; give each its own label",
            case.rivals.join(" and "),
            case.connection.spec.source_label
        ));
    }
    reasons.extend(unchecked(case.verdict));
    match case.snapshot {
        None => {}
        Some(snapshot) if !snapshot.is_complete() => {
            let why = snapshot.number.incomplete_reason.as_deref().unwrap_or("there is no value");
            reasons.push(format!("the number of the last period is not complete: {why}"));
        }
        Some(snapshot) => reasons.extend(case.baseline.and_then(|baseline| unlike(snapshot, baseline))),
    }
    let leaking = client_texts(case).into_iter().flat_map(|(what, text)| {
        leaks(&text, case.provider_names).into_iter().map(move |leak| format!("the {what} would show a client {leak}"))
    });
    reasons.extend(leaking);
    reasons
}

/// Why a number cannot be compared with its baseline.
fn unlike(snapshot: &Snapshot, baseline: &Baseline) -> Option<String> {
    let (now, then) = (&snapshot.number, &baseline.snapshot.number);
    let mut differs = Vec::new();
    if now.unit != then.unit {
        differs.push(format!("unit ({} against {})", now.unit, then.unit));
    }
    if now.currency != then.currency {
        let word = |code: &Option<String>| code.clone().unwrap_or_else(|| "none".to_owned());
        differs.push(format!("currency ({} against {})", word(&now.currency), word(&then.currency)));
    }
    if now.period_kind != then.period_kind {
        differs.push(format!("period ({} against {})", now.period_kind, then.period_kind));
    }
    if now.definition != then.definition {
        differs.push("definition".to_owned());
    }
    (!differs.is_empty()).then(|| {
        let (version, metric) = (baseline.version, &now.metric_key);
        let differs = differs.join(", ");
        format!("baseline version {version} differs in {differs}; set a new one: tidegate metrics baseline --metric {metric}")
    })
}

/// Everything of ours that a client would read, with what to call it.
fn client_texts(case: &Case<'_>) -> Vec<(&'static str, String)> {
    let definition = case.definition;
    let actions = &definition.next_action;
    let mut texts = vec![
        ("title", definition.title.clone()),
        ("meaning", definition.meaning.clone()),
        ("source label", case.connection.spec.source_label.clone()),
    ];
    texts.extend(definition.note.clone().map(|note| ("note", note)));
    texts.extend(case.verdict.warnings.iter().map(|warning| ("caveat", warning.client_safe.clone())));
    let all = [&actions.improved, &actions.declined, &actions.steady, &actions.no_baseline];
    texts.extend(all.into_iter().flatten().map(|action| ("next action", action.clone())));
    texts
}

/// Whether the number waits for a person.
fn waits(case: &Case<'_>, snapshot: &Snapshot) -> bool {
    let known = case.stands.filter(|stands| stands.published_at.is_some());
    // The same number under a new id (after a run that was not complete) was let through already.
    let same_number =
        known.and_then(|stands| stands.current.as_ref().zip(Some(stands))).is_some_and(|(told, stands)| {
            Some(told.value) == snapshot.number.value
                && told.period_start == snapshot.number.period_start
                && told.period_end == snapshot.number.period_end
                && stands.unit == snapshot.number.unit
                && stands.currency == snapshot.number.currency
        });
    match case.definition.approval {
        ApprovalRule::None => false,
        _ if case.approved_by.is_some() || same_number => false,
        ApprovalRule::First => case.stands.is_none_or(|stands| stands.approved_at.is_none()),
        ApprovalRule::Each => true,
    }
}

fn hold(case: &Case<'_>, reasons: Vec<String>, pending: Option<&Snapshot>) -> Decision {
    let mut next = case.stands.cloned().unwrap_or_else(|| blank(case));
    next.status = ReportStatus::Held;
    next.held_reason = Some(reasons.join("; "));
    next.attempted_at = case.now;
    if let Some(snapshot) = pending {
        next.pending_snapshot_id = Some(snapshot.id);
        next.approval_state = ApprovalState::Draft;
    }
    Decision::Hold(Box::new(next), reasons)
}

/// A row that was never published.
fn blank(case: &Case<'_>) -> Report {
    let definition = case.definition;
    Report {
        client_id: case.connection.client_id,
        connection_id: case.connection.id,
        metric_key: definition.key.clone(),
        source_label: case.connection.spec.source_label.clone(),
        title: definition.title.clone(),
        meaning: definition.meaning.clone(),
        unit: definition.unit.to_string(),
        currency: None,
        direction: definition.direction,
        baseline: None,
        current: None,
        current_period_text: None,
        status: ReportStatus::Held,
        held_reason: None,
        published_status: None,
        confidence: None,
        next_action: None,
        client_note: None,
        approval_state: ApprovalState::Draft,
        approved_by: None,
        approved_at: None,
        pending_snapshot_id: None,
        attempted_at: case.now,
        published_at: None,
    }
}

fn told(snapshot: &Snapshot) -> Option<Told> {
    Some(Told {
        period_start: snapshot.number.period_start,
        period_end: snapshot.number.period_end,
        value: snapshot.number.value?,
        snapshot_id: snapshot.id,
    })
}

fn published(case: &Case<'_>, snapshot: &Snapshot, current: Told) -> Report {
    let definition = case.definition;
    let baseline = case.baseline.and_then(|baseline| told(&baseline.snapshot));
    let status = compare(definition, baseline.as_ref().map(|told| told.value), current.value);
    let stands = case.stands;
    let warnings = i64::try_from(case.verdict.warnings.len()).unwrap_or(i64::MAX);
    let approved = case.approved_by.map(|by| (by.to_owned(), case.now));
    let earlier = stands.and_then(|s| s.approved_by.clone().zip(s.approved_at));
    let (approved_by, approved_at) = approved.or(earlier).unzip();
    let next = Report {
        currency: snapshot.number.currency.clone(),
        baseline,
        current_period_text: Some(window::dates(definition.zone, current.period_start, current.period_end)),
        current: Some(current),
        status,
        published_status: Some(status),
        confidence: Some(100_i64.saturating_sub(warnings.saturating_mul(DEDUCTION)).max(LEAST_CONFIDENCE)),
        next_action: Some(next_action(definition, status)),
        client_note: note(case),
        approval_state: ApprovalState::Approved,
        approved_by,
        approved_at,
        ..blank(case)
    };
    // The card's date is that of the last change that a client can see.
    let seen = stands.filter(|stands| client_sees(stands) == client_sees(&next)).and_then(|stands| stands.published_at);
    Report { published_at: Some(seen.unwrap_or(case.now)), ..next }
}

type Seen<'r> = (
    (&'r str, Option<&'r str>, &'r str, Option<&'r str>),
    (Option<Decimal>, Option<Decimal>),
    (Option<ReportStatus>, Option<&'r str>, Option<&'r str>),
);

/// What the view shows of a row.
fn client_sees(report: &Report) -> Seen<'_> {
    (
        (&report.title, report.current_period_text.as_deref(), &report.unit, report.currency.as_deref()),
        (report.baseline.as_ref().map(|told| told.value), report.current.as_ref().map(|told| told.value)),
        (report.published_status, report.next_action.as_deref(), report.client_note.as_deref()),
    )
}

/// Better, worse or the same, as the metric's direction has it. A neutral one is neither: it is told, not judged.
pub fn compare(definition: &Definition, baseline: Option<Decimal>, current: Decimal) -> ReportStatus {
    let Some(baseline) = baseline else { return ReportStatus::NoBaseline };
    let up = current > baseline;
    let steady = {
        let difference = (current - baseline).abs().checked_mul(Decimal::ONE_HUNDRED);
        let allowed = baseline.abs().checked_mul(definition.steady_within_percent);
        difference.zip(allowed).is_some_and(|(difference, allowed)| difference <= allowed)
    };
    match definition.direction {
        Direction::Neutral => ReportStatus::Steady,
        _ if steady => ReportStatus::Steady,
        Direction::HigherIsBetter if up => ReportStatus::Improved,
        Direction::LowerIsBetter if !up => ReportStatus::Improved,
        Direction::HigherIsBetter | Direction::LowerIsBetter => ReportStatus::Declined,
    }
}

fn next_action(definition: &Definition, status: ReportStatus) -> String {
    let (own, fallback) = match status {
        ReportStatus::Improved => (&definition.next_action.improved, "Keep going as you are; no change is needed."),
        ReportStatus::Declined => (&definition.next_action.declined, "Talk with us about what changed in this period."),
        ReportStatus::Steady | ReportStatus::Held => (&definition.next_action.steady, "Nothing to do at the moment."),
        ReportStatus::NoBaseline => {
            (&definition.next_action.no_baseline, "Nothing to do yet; a number to compare with follows.")
        }
    };
    own.clone().unwrap_or_else(|| fallback.to_owned())
}

/// The metric's own note, and what must be said when the checks found something.
fn note(case: &Case<'_>) -> Option<String> {
    let mut sentences: Vec<&str> = case.definition.note.as_deref().into_iter().collect();
    if !case.verdict.warnings.is_empty() {
        sentences.push(CAVEAT);
    }
    for warning in &case.verdict.warnings {
        let text = warning.client_safe.trim();
        if !text.is_empty() && !sentences.contains(&text) {
            sentences.push(text);
        }
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

//! How one control stands: a pure function of its definition, its facts, its evidence and the time.
//!
//! Owns the words missing, failed, ready, review due, and the instant from which a control keeps production from running.
//! Green needs evidence (P6): a control is ready only with all six facts and evidence that is not older than its cadence.

use std::time::Duration;

use super::{
    definitions::{Definition, Proof},
    probes::{Lack, Probed, no_owner, no_rollback_path, no_source_label},
};
use crate::{
    domain::{clock::Timestamp, status::ControlStatus},
    store::launch::{ControlFacts, Evidence},
};

const DAY: Duration = Duration::from_secs(86_400);

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'c> {
    pub definition: &'c Definition,
    pub connection_key: Option<&'c str>,
    pub facts: &'c ControlFacts,
    pub evidence: Option<&'c Evidence>,
    pub signed_by: Option<&'c str>,
    /// What the probe of a machine-proved control found.
    pub probed: Option<&'c Probed>,
    /// From when on it has been blocking, as it was last written.
    pub blocked_since: Option<Timestamp>,
    pub now: Timestamp,
    /// How long production goes on after evidence has expired.
    pub grace: Duration,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub status: ControlStatus,
    pub lacks: Vec<Lack>,
    /// When the evidence is too old; `None` when it is seen anew each time, or there is none.
    pub expires_at: Option<Timestamp>,
    pub blocks_from: Option<Timestamp>,
}

pub(super) fn days(count: i64) -> Duration {
    DAY.saturating_mul(u32::try_from(count).unwrap_or(0))
}

pub(super) fn judge(case: &Case<'_>) -> Judged {
    let mut lacks = missing_facts(case);
    let mut status = ControlStatus::Missing;
    match case.probed {
        Some(Probed::Failed(found)) => {
            status = ControlStatus::Failed;
            lacks.extend(found.iter().cloned());
        }
        Some(Probed::Missing(found)) => lacks.extend(found.iter().cloned()),
        Some(Probed::Proved { .. }) | None => {}
    }
    dedup(&mut lacks);
    if !lacks.is_empty() {
        // Since when it blocks is kept, so that a second review tells the same.
        let since = case.blocked_since.filter(|since| *since <= case.now).unwrap_or(case.now);
        return Judged { status, lacks, expires_at: None, blocks_from: case.definition.required.then_some(since) };
    }
    let given = match case.probed {
        Some(Probed::Proved { at, .. }) => *at,
        Some(Probed::Failed(_) | Probed::Missing(_)) | None => case.evidence.map(|evidence| evidence.evidence_at),
    };
    let cadence = case.facts.review_cadence_days.unwrap_or(case.definition.cadence_days);
    let expires_at = given.map(|at| at.plus(days(cadence)));
    let blocks_from = expires_at.map(|at| at.plus(case.grace)).filter(|_| case.definition.required);
    match (given, expires_at) {
        (Some(given), Some(expired)) if expired <= case.now => {
            let what = format!(
                "`{}` ({}): its evidence is of {} and counts for {cadence} days",
                case.definition.key,
                case.definition.title,
                day(given)
            );
            let lacks = vec![Lack { what, command: case.definition.command(case.connection_key) }];
            Judged { status: ControlStatus::ReviewDue, lacks, expires_at, blocks_from }
        }
        _ => Judged { status: ControlStatus::Ready, lacks: Vec::new(), expires_at, blocks_from },
    }
}

/// The day of an instant, as people write it.
pub(super) fn day(at: Timestamp) -> String {
    at.utc().format("%Y-%m-%d").to_string()
}

pub(super) fn dedup(lacks: &mut Vec<Lack>) {
    let mut seen = Vec::new();
    lacks.retain(|lack| {
        let new = !seen.contains(lack);
        if new {
            seen.push(lack.clone());
        }
        new
    });
}

/// Those of the six facts that are not there, and what a signature lacks.
fn missing_facts(case: &Case<'_>) -> Vec<Lack> {
    let facts = case.facts;
    let filled = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    let definition = case.definition;
    let by_declaration = case.connection_key.is_some() && matches!(definition.proof, Proof::Machine(_));
    let boundary = Lack {
        what: format!("`{}` ({}): data boundary", definition.key, definition.title),
        command: "give its definition in launch.file a `data_boundary`".to_owned(),
    };
    if by_declaration {
        // Environment and cadence are always there: the database and the definition see to it.
        return [
            (filled(&facts.owner), no_owner()),
            (filled(&facts.source), no_source_label()),
            (filled(&facts.rollback_path), no_rollback_path()),
            (filled(&facts.data_boundary), boundary),
        ]
        .into_iter()
        .filter(|(present, _)| !present)
        .map(|(_, lack)| lack)
        .collect();
    }
    let signed = definition.proof == Proof::Signed;
    let needs = [
        (filled(&facts.owner), "owner"),
        (filled(&facts.source), "source"),
        (filled(&facts.environment), "environment"),
        (filled(&facts.data_boundary), "data boundary"),
        (filled(&facts.rollback_path), "rollback path"),
        (facts.review_cadence_days.is_some(), "review cadence"),
        (!signed || case.evidence.is_some(), "evidence"),
        (!signed || case.signed_by.is_some(), "signature"),
    ];
    let missing: Vec<&str> = needs.into_iter().filter(|(present, _)| !present).map(|(_, name)| name).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let command = match (signed, case.connection_key) {
        (true, _) => definition.command(case.connection_key),
        // A machine gives the evidence, a person says who owns it.
        (false, _) => format!(
            "tidegate launch sign {} --owner NAME --source SOURCE --environment ENVIRONMENT --rollback-path TEXT",
            definition.key
        ),
    };
    vec![Lack { what: format!("`{}` ({}): {}", definition.key, definition.title, missing.join(", ")), command }]
}

//! A review: all controls of a connection and of the installation, judged anew from what is stored, and written down.
//!
//! Owns the order of it. A review can be made at any time and by anybody: it changes no fact, and a second one says the same.

use std::time::Duration;

use serde::Serialize;

use super::{
    definitions::{Definition, Definitions, Proof},
    judge::{Case, day, days, dedup, judge},
    probes::{ConnectionFacts, Declared, InstallationFacts, Lack, Probed, of_connection, of_installation},
};
use crate::{
    domain::{
        clock::{Clock, Timestamp},
        status::{ControlScope, ControlStatus},
    },
    store::{
        Store, StoreError,
        catalogue::{Connection, JobFilter},
        launch::{ControlFacts, ControlRow, Evidence, ProvedBy, Reviewed, Whose},
    },
};

/// What the settings say about the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long production goes on after evidence has expired.
    pub grace: Duration,
    /// Whether production also waits for the controls of the installation.
    pub require_global: bool,
}

/// One control as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Control {
    pub scope: ControlScope,
    pub required: bool,
    pub proof: String,
    /// The sentence that is handed on.
    pub text: String,
    /// When its evidence is too old.
    pub expires_at: Option<Timestamp>,
    /// What is missing or wrong, each with what supplies it.
    pub lacks: Vec<Lack>,
    #[serde(flatten)]
    pub row: ControlRow,
}

impl Control {
    /// Whether it keeps production connections from running at that time.
    pub fn blocks(&self, now: Timestamp) -> bool {
        self.required && self.row.blocks_from.is_some_and(|from| from <= now)
    }
}

/// How a connection and the installation stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub connection: Vec<Control>,
    pub global: Vec<Control>,
    #[serde(skip)]
    pub reviewed_at: Timestamp,
    #[serde(skip)]
    require_global: bool,
}

impl Standing {
    /// The controls that production waits for.
    pub fn required(&self) -> impl Iterator<Item = &Control> {
        let global = self.global.iter().filter(|_| self.require_global);
        self.connection.iter().chain(global).filter(|control| control.required)
    }

    /// Whether all required controls are ready.
    pub fn ready(&self) -> bool {
        self.required().all(|control| control.row.status == ControlStatus::Ready)
    }

    /// Everything that keeps it from being ready, each thing once.
    pub fn lacks(&self) -> Vec<Lack> {
        let not_ready = self.required().filter(|control| control.row.status != ControlStatus::Ready);
        let mut lacks: Vec<Lack> = not_ready.flat_map(|control| control.lacks.iter().cloned()).collect();
        dedup(&mut lacks);
        lacks
    }

    /// What keeps an activated production connection from running now.
    pub fn blocks(&self) -> Vec<Lack> {
        let blocking = self.required().filter(|control| control.blocks(self.reviewed_at));
        let mut lacks: Vec<Lack> = blocking.flat_map(|control| control.lacks.iter().cloned()).collect();
        dedup(&mut lacks);
        lacks
    }

    /// Until when an activated production connection runs if nobody does anything; `None`: without end.
    pub fn runs_until(&self) -> Option<Timestamp> {
        self.required().filter_map(|control| control.row.blocks_from).min()
    }
}

/// Judges the controls of a connection and of the installation; writes nothing.
///
/// # Errors
/// Of the store.
pub async fn assess(
    store: &dyn Store,
    definitions: &Definitions,
    declared: &Declared,
    options: Options,
    clock: &dyn Clock,
    connection: &Connection,
) -> Result<Standing, StoreError> {
    let key = &connection.spec.connection_key;
    let jobs = store.jobs(&JobFilter { connection_keys: vec![key.clone()], streams: Vec::new() }).await?;
    let proof = store.connection_proof(connection.id, connection.client_id).await?;
    let checks = store.latest_checks(connection.id).await?;
    let stored = store.launch_controls(Whose::Connection(connection.id, connection.client_id)).await?;
    let facts = ConnectionFacts { connection, jobs: &jobs, declared, proof: &proof, checks: &checks };
    let now = clock.now();
    let controls = definitions
        .of(ControlScope::Connection)
        .map(|definition| {
            let probed = match definition.proof {
                Proof::Machine(probe) => of_connection(probe, &facts),
                Proof::Signed => None,
            };
            control(definition, Some(connection), row_of(&stored, definition), probed, now, options.grace)
        })
        .collect();
    Ok(Standing {
        connection: controls,
        global: assess_installation(store, definitions, options, clock).await?,
        reviewed_at: now,
        require_global: options.require_global,
    })
}

/// Judges the controls of the installation; writes nothing.
///
/// # Errors
/// Of the store.
pub async fn assess_installation(
    store: &dyn Store,
    definitions: &Definitions,
    options: Options,
    clock: &dyn Clock,
) -> Result<Vec<Control>, StoreError> {
    let rights = match store.rights().await {
        Ok(rights) => Ok(rights),
        // What cannot be read proves nothing; that is an answer, and no outage.
        Err(StoreError::Schema(why)) => Err(why),
        Err(error) => return Err(error),
    };
    let facts = InstallationFacts { schema: store.schema_state().await?, rights };
    let stored = store.launch_controls(Whose::Installation).await?;
    let now = clock.now();
    let judged = definitions.of(ControlScope::Global).map(|definition| {
        let probed = match definition.proof {
            Proof::Machine(probe) => of_installation(probe, &facts),
            Proof::Signed => None,
        };
        let mut control = control(definition, None, row_of(&stored, definition), probed, now, options.grace);
        if !options.require_global {
            control.row.blocks_from = None;
        }
        control
    });
    Ok(judged.collect())
}

/// Judges all controls of a connection and of the installation, and stores how they stand.
///
/// # Errors
/// Of the store.
pub async fn review(
    store: &dyn Store,
    definitions: &Definitions,
    declared: &Declared,
    options: Options,
    clock: &dyn Clock,
    connection: &Connection,
) -> Result<Standing, StoreError> {
    let standing = assess(store, definitions, declared, options, clock, connection).await?;
    let whose = Whose::Connection(connection.id, connection.client_id);
    record(store, definitions, whose, &standing.connection, standing.reviewed_at).await?;
    record(store, definitions, Whose::Installation, &standing.global, standing.reviewed_at).await?;
    Ok(standing)
}

/// As [`review`], for the installation alone.
///
/// # Errors
/// Of the store.
pub async fn review_installation(
    store: &dyn Store,
    definitions: &Definitions,
    options: Options,
    clock: &dyn Clock,
) -> Result<Vec<Control>, StoreError> {
    let controls = assess_installation(store, definitions, options, clock).await?;
    record(store, definitions, Whose::Installation, &controls, clock.now()).await?;
    Ok(controls)
}

async fn record(
    store: &dyn Store,
    definitions: &Definitions,
    whose: Whose,
    controls: &[Control],
    now: Timestamp,
) -> Result<(), StoreError> {
    let stored = store.launch_controls(whose).await?;
    let mut reviewed: Vec<Reviewed> = Vec::new();
    for control in controls {
        let definition = definitions.find(&control.row.control_key);
        let proved_by = match (definition.map(|d| d.proof), whose) {
            (Some(Proof::Machine(_)), Whose::Connection(..)) => ProvedBy::Machine,
            (Some(Proof::Machine(_)), Whose::Installation) => ProvedBy::MachineForPerson,
            (Some(Proof::Signed) | None, _) => ProvedBy::Person,
        };
        if stored.iter().any(|row| says_the_same(row, &control.row)) {
            continue;
        }
        reviewed.push(Reviewed { row: control.row.clone(), proved_by });
    }
    // What is defined no longer stays as a record and blocks nothing.
    for row in stored {
        let gone = definitions.find(&row.control_key).is_none_or(|d| d.scope != whose.scope());
        if gone && row.blocks_from.is_some() {
            let reason = Some("defined no longer; blocks nothing".to_owned());
            let row = ControlRow { blocks_from: None, status_reason: reason, checked_at: Some(now), ..row };
            reviewed.push(Reviewed { row, proved_by: ProvedBy::Person });
        }
    }
    if reviewed.is_empty() { Ok(()) } else { store.record_review(whose, &reviewed).await }
}

/// Whether writing the new row would tell nothing new: the daemon reviews often, and what a machine sees anew each time need be
/// dated no finer than a day.
fn says_the_same(stored: &ControlRow, new: &ControlRow) -> bool {
    let (Some(last), Some(now)) = (stored.checked_at, new.checked_at) else { return false };
    let mut as_stored = ControlRow { checked_at: stored.checked_at, ..new.clone() };
    if let (Some(old), Some(seen)) = (&stored.evidence, &mut as_stored.evidence)
        && seen.evidence_kind == MACHINE
        && seen.evidence_at == now
    {
        seen.evidence_at = old.evidence_at;
    }
    now.since(last) < days(1) && *stored == as_stored
}

fn row_of<'r>(stored: &'r [ControlRow], definition: &Definition) -> Option<&'r ControlRow> {
    stored.iter().find(|row| row.control_key == definition.key)
}

fn control(
    definition: &Definition,
    connection: Option<&Connection>,
    stored: Option<&ControlRow>,
    probed: Option<Probed>,
    now: Timestamp,
    grace: Duration,
) -> Control {
    let key = connection.map(|connection| connection.spec.connection_key.as_str());
    let facts = facts(definition, connection, stored);
    let evidence = match &probed {
        Some(found) => evidence_of(found, now),
        // What a machine once saw is no person's evidence, should the definition have changed.
        None => stored.and_then(|row| row.evidence.clone()).filter(|evidence| evidence.evidence_kind != MACHINE),
    };
    let signed_by = stored.and_then(|row| row.signed_by.clone());
    let judged = judge(&Case {
        definition,
        connection_key: key,
        facts: &facts,
        evidence: evidence.as_ref(),
        signed_by: signed_by.as_deref(),
        probed: probed.as_ref(),
        blocked_since: stored.and_then(|row| row.blocks_from),
        now,
        grace,
    });
    let reason = match judged.status {
        ControlStatus::Ready => judged.expires_at.map(|at| format!("ready until {}", day(at))),
        ControlStatus::Missing | ControlStatus::Failed | ControlStatus::ReviewDue => {
            Some(judged.lacks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }
    };
    Control {
        scope: definition.scope,
        required: definition.required,
        proof: definition.proof.to_string(),
        text: definition.text.clone(),
        expires_at: judged.expires_at,
        lacks: judged.lacks,
        row: ControlRow {
            control_key: definition.key.clone(),
            title: definition.title.clone(),
            kind: definition.kind,
            facts,
            evidence,
            signed_by,
            status: judged.status,
            status_reason: reason,
            checked_at: Some(now),
            blocks_from: judged.blocks_from,
        },
    }
}

/// The kind of what Tidegate saw itself.
pub(super) const MACHINE: &str = "machine";

fn evidence_of(found: &Probed, now: Timestamp) -> Option<Evidence> {
    match found {
        Probed::Proved { evidence, at } => Some(Evidence {
            evidence_kind: MACHINE.to_owned(),
            evidence: evidence.clone(),
            evidence_at: at.unwrap_or(now),
        }),
        Probed::Missing(_) | Probed::Failed(_) => None,
    }
}

/// The six facts: of a machine-proved step from the declaration and the definition, else from the signature, and where that is
/// silent from the definition.
fn facts(definition: &Definition, connection: Option<&Connection>, stored: Option<&ControlRow>) -> ControlFacts {
    let defaults = &definition.defaults;
    if let (Some(connection), Proof::Machine(_)) = (connection, definition.proof) {
        let spec = &connection.spec;
        return ControlFacts {
            owner: spec.owner.clone(),
            source: Some(spec.source_label.clone()).filter(|label| !label.trim().is_empty()),
            environment: Some(spec.environment.to_string()),
            data_boundary: defaults.data_boundary.clone(),
            rollback_path: spec.rollback_path.clone(),
            review_cadence_days: Some(definition.cadence_days),
        };
    }
    let given = stored.map(|row| row.facts.clone()).unwrap_or_default();
    ControlFacts {
        owner: given.owner,
        source: given.source.or_else(|| defaults.source.clone()),
        environment: given
            .environment
            .or_else(|| defaults.environment.clone())
            .or_else(|| connection.map(|connection| connection.spec.environment.to_string())),
        data_boundary: given.data_boundary.or_else(|| defaults.data_boundary.clone()),
        rollback_path: given.rollback_path.or_else(|| defaults.rollback_path.clone()),
        // A signature may shorten the time between reviews, not lengthen it.
        review_cadence_days: Some(
            given.review_cadence_days.map_or(definition.cadence_days, |own| own.min(definition.cadence_days)),
        ),
    }
}

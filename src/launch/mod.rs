//! The launch gate: what a connection and the installation must show before live data may flow (P20).
//!
//! Owns the controls (`definitions`), what a machine can see (`probes`), how a control stands (`judge`), reviewing and keeping it
//! (`review`), what people sign (`signing`) and what is handed on (`export`). Refuses to ask a provider, and to let anything pass
//! without evidence. How production connections are held back is in the store: every look for due jobs asks the controls'
//! `blocks_from`, so that expired evidence stops them also when nobody reviews.

mod definitions;
mod export;
mod judge;
mod probes;
mod review;
mod signing;

pub use self::{
    definitions::{Definition, Definitions, Probe, Proof},
    export::{Page, page},
    probes::{ConnectionFacts, Declared, InstallationFacts, Lack, Probed, of_connection, of_installation},
    review::{Control, Options, Standing, assess, assess_installation, review, review_installation},
    signing::{ENVIRONMENTS, EVIDENCE_KINDS, Given, evidence_of, problems, read_file},
};
use crate::{
    domain::status::{ConnectionStatus, Environment},
    store::catalogue::Connection,
};

/// Why nothing of a connection may run, whatever its controls say; `None` when its status lets it.
pub fn halted(connection: &Connection) -> Option<Vec<String>> {
    let key = &connection.spec.connection_key;
    match connection.status {
        ConnectionStatus::Paused => Some(vec![format!("{key} is paused: tidegate connection resume {key}")]),
        ConnectionStatus::Revoked => Some(vec![format!("{key} is revoked and does not run again")]),
        ConnectionStatus::NeedsAuth => Some(vec![format!(
            "{key} needs a new credential: renew it, then tidegate connection check {key} and tidegate connection resume {key}"
        )]),
        ConnectionStatus::Draft
        | ConnectionStatus::Testing
        | ConnectionStatus::Connected
        | ConnectionStatus::ManualImport => None,
    }
}

/// Whether the launch gate is asked before a connection runs.
pub fn gated(connection: &Connection) -> bool {
    connection.spec.environment == Environment::Production
}

/// Why a connection's jobs may not run now, `None` when they may: its status, then, in production, its activation and its controls.
/// Test batches are always possible unless [`halted`].
pub fn refusal(connection: &Connection, standing: &Standing) -> Option<Vec<String>> {
    if let Some(lines) = halted(connection) {
        return Some(lines);
    }
    if !gated(connection) {
        return None;
    }
    let lines = |lacks: Vec<Lack>| lacks.iter().map(ToString::to_string).collect::<Vec<_>>();
    let key = &connection.spec.connection_key;
    if connection.activated_at.is_none() {
        let mut all = lines(standing.lacks());
        all.push(format!("activation: tidegate connection activate {key}"));
        return Some(all);
    }
    let blocks = lines(standing.blocks());
    (!blocks.is_empty()).then_some(blocks)
}

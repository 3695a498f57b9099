//! The launch gate: what a connection must have before its live data may flow (P20).
//!
//! Owns the rules as pure functions over what is stored. Refuses to change anything.

use crate::{
    domain::status::{ConnectionStatus, Environment},
    store::catalogue::{Connection, Job},
};

/// Everything that keeps a connection from going live, each as a line that names what is missing and where it is set.
pub fn missing_for_activation(connection: &Connection, jobs: &[Job]) -> Vec<String> {
    let spec = &connection.spec;
    let mut missing = Vec::new();
    let mut need = |present: bool, line: &str| {
        if !present {
            missing.push(line.to_owned());
        }
    };
    let filled = |text: &Option<String>| text.as_deref().is_some_and(|t| !t.trim().is_empty());
    need(filled(&spec.owner), "owner: who answers for the connection (declaration, `owner`)");
    need(filled(&spec.reason), "reason: why the client is connected (declaration, `reason`)");
    need(
        !spec.source_label.trim().is_empty(),
        "source label: what a client may call the source (declaration, `source_label`)",
    );
    need(
        filled(&spec.credential_ref) || spec.auth_type == "none",
        "credential: where the secret is kept (declaration, `credential`)",
    );
    need(
        !spec.scopes.is_empty() || spec.auth_type == "none",
        "scopes: what the credential may do (declaration, `scopes`)",
    );
    need(
        filled(&spec.refresh_policy) || spec.auth_type == "none",
        "refresh policy: how the credential is renewed (declaration, `refresh_policy`)",
    );
    need(
        filled(&spec.revocation_path) || spec.auth_type == "none",
        "revocation path: how access is taken back (declaration, `revocation_path`)",
    );
    need(filled(&spec.failure_path), "failure path: what people do while it is down (declaration, `failure_path`)");
    need(filled(&spec.rollback_path), "rollback path: how a bad run is undone (declaration, `rollback_path`)");
    need(!jobs.is_empty(), "jobs: at least one declared stream (declaration, `jobs`)");
    need(
        connection.last_tested_at.is_some(),
        "last-tested date: a passed test batch (tidegate connection test-batch KEY)",
    );
    missing
}

/// Why a connection's jobs may not run now, `None` when they may. Test batches are always possible unless revoked.
pub fn refusal(connection: &Connection, jobs: &[Job]) -> Option<Vec<String>> {
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
        | ConnectionStatus::ManualImport => {
            if connection.spec.environment != Environment::Production || connection.activated_at.is_some() {
                return None;
            }
            let mut lines = missing_for_activation(connection, jobs);
            lines.push(format!("activation: tidegate connection activate {key}"));
            Some(lines)
        }
    }
}

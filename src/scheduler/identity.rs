//! Whose account a credential opens, asked before the first page of a pull or a test batch.
//!
//! Owns when the provider is asked, and what follows when it names another account than the declared one: nothing is staged, the
//! connection is paused, an incident is raised (P15). Refuses to ask a connector whose provider tells no account.

use std::{sync::Arc, time::Duration};

use super::worker::Worker;
use crate::{
    connector::{Connector, ConnectorError, ErrorKind, TrafficMeter},
    domain::clock::Timestamp,
    pipeline::{Ending, Stop},
    store::{
        catalogue::Connection,
        quality::{IsolationIncident, Whose},
    },
};

/// An answer is good for so long. A new declaration or a resumed connection forgets it sooner.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// Whether the provider has to be asked who we are.
fn is_due(connection: &Connection, now: Timestamp) -> bool {
    let fits = connection.identity_account_id.as_ref() == Some(&connection.spec.provider_account_id);
    // What was asked in the future was asked by a clock that is not ours.
    let fresh = connection.identity_checked_at.is_some_and(|at| now.since(at) <= GOOD_FOR && at <= now.plus(GOOD_FOR));
    !(fits && fresh)
}

impl Worker {
    /// Asks the provider whose account the credential opens, where that is due, and keeps the answer.
    ///
    /// # Errors
    /// The ending of the run: another account ([`ErrorKind::AccountMismatch`]), no answer, a stop meanwhile.
    pub(super) async fn prove_account(
        &self,
        connector: &dyn Connector,
        connection: &Connection,
        stop: &Stop,
        traffic: &Arc<TrafficMeter>,
    ) -> Result<(), Ending> {
        if !connector.tells_account() || !is_due(connection, self.clock.now()) {
            return Ok(());
        }
        let identity = tokio::select! {
            biased;
            reason = stop.wait() => return Err(Ending::Stopped(reason)),
            identity = connector.check(Arc::clone(traffic)) => identity.map_err(Ending::Connector)?,
        };
        let Some(theirs) = identity.account_id else { return Ok(()) };
        let whose = Whose { connection: connection.id, client: connection.client_id };
        self.store.record_identity(whose, &theirs).await.map_err(Ending::Store)?;
        let declared = &connection.spec.provider_account_id;
        if theirs == *declared {
            return Ok(());
        }
        let text = format!("the credential belongs to account '{theirs}', declared is '{declared}'");
        let incident = IsolationIncident {
            connection_key: connection.spec.connection_key.clone(),
            owner: connection.spec.owner.clone(),
            reason: format!("account_mismatch: {text}; nothing was staged"),
        };
        tracing::error!(connection = %connection.spec.connection_key, "{text}: the connection is paused, nothing was staged");
        self.store.raise_isolation_incident(whose, &incident).await.map_err(Ending::Store)?;
        Err(Ending::Connector(ConnectorError::new(ErrorKind::AccountMismatch, text)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        domain::{
            ids::{ClientId, ConnectionId},
            status::{ConnectionStatus, Environment},
        },
        store::catalogue::ConnectionSpec,
    };

    fn connection(identity: Option<&str>, checked: Option<&str>) -> Connection {
        Connection {
            id: ConnectionId(1),
            client_id: ClientId(1),
            status: ConnectionStatus::Connected,
            status_reason: None,
            last_tested_at: None,
            activated_at: None,
            identity_account_id: identity.map(str::to_owned),
            identity_checked_at: checked.map(|at| at.parse().unwrap()),
            spec: ConnectionSpec {
                connection_key: "acme-crm".to_owned(),
                client_key: "acme".to_owned(),
                provider_key: "crm".to_owned(),
                provider_account_id: "4711".to_owned(),
                environment: Environment::Sandbox,
                owner: None,
                reason: None,
                source_label: "CRM".to_owned(),
                auth_type: "token".to_owned(),
                scopes: Vec::new(),
                credential_ref: None,
                refresh_policy: None,
                revocation_path: None,
                failure_path: None,
                rollback_path: None,
                webhook_secrets: Vec::new(),
                config: json!({}),
            },
        }
    }

    #[test]
    fn the_provider_is_asked_when_never_asked_when_a_day_has_passed_and_while_it_names_another_account() {
        let now: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        for (identity, checked, due) in [
            (None, None, true),
            (Some("4711"), Some("2026-03-02T07:00:00Z"), false),
            (Some("4711"), Some("2026-03-01T07:59:59Z"), true),
            (Some("4711"), None, true),
            (Some("4712"), Some("2026-03-02T07:00:00Z"), true),
        ] {
            assert_eq!(is_due(&connection(identity, checked), now), due, "{identity:?} {checked:?}");
        }
    }
}

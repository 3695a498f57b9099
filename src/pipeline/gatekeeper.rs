//! What follows a run: the connection is checked, and the numbers of its client that pass are published.
//!
//! Owns when a check is made again and which connections may reach a client at all. What makes a check pass is `quality`'s, what a number is
//! and what holds it is `metrics`'. Refuses to change the outcome of a run: that is final before this begins, and what fails here is tried
//! again after the next one.

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{
        clock::Clock,
        gate::Verdict,
        ids::{ClientId, ConnectionId, RunId},
        status::{ClientStatus, Environment, RunStatus},
    },
    metrics::{Definitions, Desk, Feeds, Published, Verdicts},
    quality::{self, Rules},
    store::{
        SharedStore, StoreError,
        catalogue::{Client, Connection},
        checks::verdict,
    },
};

/// A run that has ended, as far as the gate cares.
#[derive(Debug, Clone)]
pub struct Ended {
    pub connection_key: String,
    pub run: RunId,
    pub status: RunStatus,
    /// Something was created, updated, ignored or failed.
    pub news: bool,
    /// A test batch is checked, and publishes nothing.
    pub test: bool,
}

/// Checks and publishes; holds nothing between two calls.
pub struct Gatekeeper {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub rules: Rules,
    pub definitions: Definitions,
    pub feeds: Feeds,
    /// Connections of these environments may reach a client.
    pub environments: Vec<Environment>,
    /// How long an evaluation stands for runs that bring nothing new.
    pub recheck: Duration,
}

impl Gatekeeper {
    /// Where a client's numbers are taken and published.
    pub fn desk(&self) -> Desk<'_> {
        Desk {
            store: &self.store,
            definitions: &self.definitions,
            feeds: &self.feeds,
            clock: &*self.clock,
            environments: &self.environments,
        }
    }

    /// Makes all checks of a connection now.
    ///
    /// # Errors
    /// Those of the store, here as below.
    pub async fn check(&self, connection: &Connection, run: Option<RunId>) -> Result<Verdict, StoreError> {
        quality::evaluate(&*self.store, &self.rules, connection, run, &*self.clock).await
    }

    /// Checks what a run has touched and publishes what passes; nothing when there is no news and the last evaluation still stands. One that
    /// holds does not: what held may have been the missing run itself.
    pub async fn after(&self, ended: &Ended) -> Result<Vec<Published>, StoreError> {
        let Some(connection) = self.store.connection(&ended.connection_key).await? else { return Ok(Vec::new()) };
        let quiet = !ended.news && ended.status == RunStatus::Succeeded;
        if quiet && self.standing(&connection).await?.is_some_and(|verdict| verdict.may_publish()) {
            return Ok(Vec::new());
        }
        let checked = self.check(&connection, Some(ended.run)).await?;
        // Numbers of a test account reach nobody.
        if ended.test || !self.environments.contains(&connection.spec.environment) {
            return Ok(Vec::new());
        }
        let clients = self.store.clients().await?;
        let Some(client) = clients.into_iter().find(|c| c.id == connection.client_id) else { return Ok(Vec::new()) };
        if client.status != ClientStatus::Active {
            return Ok(Vec::new());
        }
        let mut verdicts = self.others(client.id, Some(connection.id)).await?;
        verdicts.insert(connection.id, checked);
        self.publish(&client, &verdicts).await
    }

    /// Verdicts of all connections of a client, made now.
    pub async fn verdicts(&self, client: ClientId) -> Result<Verdicts, StoreError> {
        let mut verdicts = Verdicts::new();
        for connection in self.store.connections().await? {
            if connection.client_id == client {
                verdicts.insert(connection.id, self.check(&connection, None).await?);
            }
        }
        Ok(verdicts)
    }

    async fn publish(&self, client: &Client, verdicts: &Verdicts) -> Result<Vec<Published>, StoreError> {
        self.desk().publish(client, None, verdicts).await
    }

    /// Verdicts of a client's other connections: those that still stand as they are, the others made anew.
    async fn others(&self, client: ClientId, but: Option<ConnectionId>) -> Result<Verdicts, StoreError> {
        let mut verdicts = Verdicts::new();
        for connection in self.store.connections().await? {
            if connection.client_id != client || Some(connection.id) == but {
                continue;
            }
            let verdict = match self.standing(&connection).await? {
                Some(verdict) => verdict,
                None => self.check(&connection, None).await?,
            };
            verdicts.insert(connection.id, verdict);
        }
        Ok(verdicts)
    }

    /// The last verdict, while it is young enough.
    async fn standing(&self, connection: &Connection) -> Result<Option<Verdict>, StoreError> {
        let verdict = verdict(&self.store.latest_checks(connection.id).await?);
        let now = self.clock.now();
        let young = verdict.checked_at.is_some_and(|at| now.since(at) < self.recheck);
        Ok(young.then_some(verdict))
    }
}

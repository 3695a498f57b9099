//! What deliveries are signed with: opened through the vault, and used again for a moment.
//!
//! Owns how long an opened secret stays in memory. Refuses to open a vault for each delivery: thousands a second would.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::SecretString;

use super::{Answer, COME_BACK};
use crate::{
    connector::ConnectorError,
    domain::{clock::Clock, ids::EndpointId},
    store::webhooks::Endpoint,
    telemetry::{chain, redact::scrub},
    vault::Vault,
};

/// How long opened secrets are used again.
const USED_FOR: Duration = Duration::from_secs(30);
/// How long a failure is used again, and how old opened ones must be before a wrong signature makes them be opened anew.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Longest wait for a vault in one request.
const PATIENCE: Duration = Duration::from_secs(3);

/// The live secrets of an endpoint.
pub(super) type Live = Arc<[SecretString]>;

struct Held {
    opened_at: Duration,
    references: Vec<String>,
    /// `None`: they could not be opened.
    live: Option<Live>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

pub(super) struct Secrets {
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<EndpointId, Slot>>,
}

impl Secrets {
    pub(super) fn new(vault: Arc<Vault>, clock: Arc<dyn Clock>) -> Self {
        Self { vault, clock, slots: Mutex::default() }
    }

    /// The secrets, opened a moment ago at most.
    ///
    /// # Errors
    /// [`Answer::TryLater`] when they cannot be opened: the sender may be right.
    pub(super) async fn of(&self, endpoint: &Endpoint) -> Result<Live, Answer> {
        self.get(endpoint, USED_FOR).await
    }

    /// Others than `known`, when it was opened long enough ago that they may have changed.
    pub(super) async fn newer(&self, endpoint: &Endpoint, known: &Live) -> Result<Option<Live>, Answer> {
        let live = self.get(endpoint, AGAIN_AFTER).await?;
        Ok((!Arc::ptr_eq(&live, known)).then_some(live))
    }

    async fn get(&self, endpoint: &Endpoint, used_for: Duration) -> Result<Live, Answer> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(endpoint.id).or_default())
        };
        let mut held = slot.lock().await;
        let now = self.clock.monotonic();
        let usable = held.as_ref().filter(|held| {
            let used_for = if held.live.is_some() { used_for } else { AGAIN_AFTER };
            held.references == endpoint.secrets && now.saturating_sub(held.opened_at) < used_for
        });
        let live = match usable {
            Some(held) => held.live.clone(),
            None => {
                let live = self.open(endpoint).await;
                *held = Some(Held {
                    opened_at: self.clock.monotonic(),
                    references: endpoint.secrets.clone(),
                    live: live.clone(),
                });
                live
            }
        };
        live.ok_or(Answer::TryLater(COME_BACK))
    }

    async fn open(&self, endpoint: &Endpoint) -> Option<Live> {
        let opened = tokio::select! {
            opened = self.open_all(endpoint) => opened,
            () = self.clock.sleep(PATIENCE) => {
                tracing::error!(connection = %endpoint.connection_key, "the webhook secrets were not opened in time");
                return None;
            }
        };
        match opened {
            Ok(live) => Some(live.into()),
            Err(error) => {
                let error = scrub(&chain(&error).to_string()).into_owned();
                tracing::error!(connection = %endpoint.connection_key, error = %error, "a webhook secret cannot be opened");
                None
            }
        }
    }

    /// All that can be opened: while one is rotated, the other may be gone already.
    async fn open_all(&self, endpoint: &Endpoint) -> Result<Vec<SecretString>, ConnectorError> {
        let (mut live, mut wrong) = (Vec::new(), None);
        for reference in &endpoint.secrets {
            let opened = match self.vault.signing_secret(reference, endpoint.connection_id, endpoint.client_id) {
                Ok(source) => source.read().await,
                Err(error) => Err(error),
            };
            match opened {
                Ok(secret) => live.extend(secret),
                Err(error) => wrong = Some(error),
            }
        }
        match wrong {
            Some(error) if live.is_empty() => Err(error),
            Some(error) => {
                let error = scrub(&chain(&error).to_string()).into_owned();
                tracing::warn!(connection = %endpoint.connection_key, error = %error, "one of two webhook secrets cannot be opened");
                Ok(live)
            }
            None => Ok(live),
        }
    }
}

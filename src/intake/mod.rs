//! The door for what providers send on their own: who may come in, at what pace, signed with what; durable before it is answered.
//!
//! ```text
//!  server/webhooks.rs   HTTP: the caps, the statuses
//!  endpoints            which path is whose, from the database, used again for a moment
//!  secrets              what deliveries are signed with, through the vault, used again for a moment
//!  crate::webhook       the signature over the raw bytes, then the events
//!  writer               many requests, one transaction; an answer only after its COMMIT
//!  pipeline/intake.rs   later, in a run: from raw events to records
//! ```
//! Owns the order: path, state, pace, body, signature, reading, durability. Refuses to know HTTP, to decide about a record, and to
//! keep a body: of what was refused there is a number.

mod endpoints;
mod parcel;
mod secrets;
mod tally;
mod writer;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

use self::{endpoints::Endpoints, secrets::Secrets, tally::Tally, writer::Writer};
use crate::{
    connector::registry::Catalogue,
    domain::{
        clock::{Clock, Timestamp},
        status::{ClientStatus, ConnectionStatus, ProviderStatus},
    },
    store::{
        SharedStore,
        webhooks::{Endpoint, NewDelivery, Taken},
    },
    telemetry::recorder::Recorder,
    vault::Vault,
    webhook::{Received, Refused, WebhookDeclaration},
};

/// Bytes of bodies that all requests together may hold: the bound of what a flood costs.
const MOST_HELD_BYTES: usize = 64 * 1024 * 1024;
/// What a request without a body counts as.
const UNIT_BYTES: usize = 1024;
/// When a sender that could not be served may come back.
const COME_BACK: Duration = Duration::from_secs(5);
/// Events of one request; a provider that batches more than that is not one we know.
const MOST_EVENTS: usize = 1000;

/// Settings of the door, as plain values.
#[derive(Debug, Clone)]
pub struct DoorOptions {
    /// The address under which providers reach us, without a path: some sign it. Empty where it is not set.
    pub public_url: String,
    /// Largest body that is read.
    pub max_body_bytes: usize,
    /// Pace of one endpoint.
    pub requests_per_second: u32,
    pub burst: u32,
}

/// What a sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Durable: now, or since an earlier delivery.
    Taken,
    /// There is no such path.
    Unknown,
    /// There was one, and its connection takes nothing any more.
    Gone,
    TooFast(Duration),
    TooLarge,
    TooSlow,
    /// The signature or its age. No reason is told.
    Refused,
    Unreadable,
    /// Not durable, through no fault of the sender: to be sent again.
    TryLater(Duration),
    /// Not durable, and sending it again will not help.
    Broken,
}

/// A request whose path is known, before its body is read.
pub struct Guest {
    endpoint: Arc<Endpoint>,
    declaration: Arc<WebhookDeclaration>,
}

/// A share of the memory that bodies may take; given back when it is dropped.
pub struct Room {
    _permit: OwnedSemaphorePermit,
}

/// The door of this process.
pub struct Door {
    clock: Arc<dyn Clock>,
    catalogue: Arc<Catalogue>,
    recorder: Arc<Recorder>,
    options: DoorOptions,
    endpoints: Endpoints,
    secrets: Secrets,
    tally: Arc<Tally>,
    writer: Writer,
    room: Arc<Semaphore>,
}

/// Everything that a door stands on.
pub struct DoorParts {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub catalogue: Arc<Catalogue>,
    pub vault: Arc<Vault>,
    pub recorder: Arc<Recorder>,
    /// Told when something new waits for a run.
    pub wake: Arc<Notify>,
    pub options: DoorOptions,
}

impl Door {
    /// Opens the door. The task writes what comes in; it ends, with the last counters written, when the door is dropped.
    pub fn open(parts: DoorParts) -> (Arc<Self>, JoinHandle<()>) {
        let DoorParts { store, clock, catalogue, vault, recorder, wake, options } = parts;
        let tally = Arc::new(Tally::default());
        let (writer, task) = Writer::start(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&tally), wake);
        let door = Self {
            endpoints: Endpoints::new(store, Arc::clone(&clock), options.requests_per_second, options.burst),
            secrets: Secrets::new(vault, Arc::clone(&clock)),
            room: Arc::new(Semaphore::new(MOST_HELD_BYTES / UNIT_BYTES)),
            clock,
            catalogue,
            recorder,
            options,
            tally,
            writer,
        };
        (Arc::new(door), task)
    }

    /// Largest body that is read.
    pub fn max_body_bytes(&self) -> usize {
        self.options.max_body_bytes
    }

    /// Whose path it is, and whether it may be used now. Nothing of the request but its path has been looked at.
    ///
    /// # Errors
    /// What the sender is told instead.
    pub async fn knock(&self, token: &str) -> Result<Guest, Answer> {
        let Some((endpoint, pace)) = self.endpoints.find(token).await? else { return Err(Answer::Unknown) };
        if let Err(wait) = pace.admit() {
            return Err(self.told(&endpoint, Answer::TooFast(wait)));
        }
        let closed = endpoint.connection_status == ConnectionStatus::Revoked
            || endpoint.client_status == ClientStatus::Archived
            || endpoint.provider_status == ProviderStatus::Disabled;
        if closed {
            return Err(self.told(&endpoint, Answer::Gone));
        }
        let folder = self.catalogue.folder(&endpoint.provider_key);
        let Some(declaration) = folder.and_then(|folder| folder.webhook.clone()) else {
            let connection = &endpoint.connection_key;
            tracing::warn!(connection = %connection, "a delivery came in, but its provider's folder has no usable webhook.yaml");
            return Err(self.told(&endpoint, Answer::TryLater(COME_BACK)));
        };
        Ok(Guest { endpoint, declaration })
    }

    /// Room for a body of at most so many bytes.
    ///
    /// # Errors
    /// [`Answer::TryLater`] when others hold it all.
    pub fn room(&self, guest: &Guest, bytes: usize) -> Result<Room, Answer> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).unwrap_or(u32::MAX);
        match Arc::clone(&self.room).try_acquire_many_owned(units) {
            Ok(permit) => Ok(Room { _permit: permit }),
            Err(_) => Err(self.told(&guest.endpoint, Answer::TryLater(COME_BACK))),
        }
    }

    /// Counts an answer that was given before the door could look at the request, and gives it back.
    pub fn turned_away(&self, guest: &Guest, answer: Answer) -> Answer {
        self.told(&guest.endpoint, answer)
    }

    /// Checks the signature over the raw bytes, reads the events, and answers when they are durable.
    pub async fn take(
        &self,
        guest: &Guest,
        method: &str,
        path_and_query: &str,
        headers: &[(String, Vec<u8>)],
        body: &[u8],
    ) -> Answer {
        let url = format!("{}{path_and_query}", self.options.public_url);
        let received = Received { method, url: &url, headers, body };
        let answer = match self.verified(guest, &received).await {
            Err(answer) => answer,
            Ok(at) => match guest.declaration.read(&received) {
                Ok(deliveries) if deliveries.len() <= MOST_EVENTS => {
                    self.tally.verified(guest.endpoint.id, at);
                    let parcel = deliveries.into_iter().map(|one| parcel::of(&guest.endpoint, one)).collect();
                    return self.write(&guest.endpoint, parcel).await;
                }
                Ok(_) => Answer::TooLarge,
                Err(_) => {
                    self.tally.unreadable(guest.endpoint.id);
                    Answer::Unreadable
                }
            },
        };
        self.told(&guest.endpoint, answer)
    }

    async fn verified(&self, guest: &Guest, received: &Received<'_>) -> Result<Timestamp, Answer> {
        let (endpoint, declaration) = (&guest.endpoint, &guest.declaration);
        let now = self.clock.now();
        if !declaration.needs_secret() {
            return declaration.verify(received, &[], now).map(|()| now).map_err(|_| Answer::Refused);
        }
        let refused = |refused: Refused| {
            let connection = &endpoint.connection_key;
            tracing::debug!(connection = %connection, code = refused.as_str(), "a delivery was refused");
            self.tally.refused(endpoint.id);
            Answer::Refused
        };
        let held = self.secrets.of(endpoint).await?;
        match declaration.verify(received, &held, now) {
            Ok(()) => Ok(now),
            Err(first) => match self.secrets.newer(endpoint, &held).await? {
                // A secret that was stored a moment ago signs already.
                Some(newer) => declaration.verify(received, &newer, now).map(|()| now).map_err(refused),
                None => Err(refused(first)),
            },
        }
    }

    async fn write(&self, endpoint: &Endpoint, parcel: Vec<NewDelivery>) -> Answer {
        let ignored: Vec<bool> = parcel.iter().map(parcel::is_ignored).collect();
        let taken = match self.writer.write(parcel).await {
            Ok(taken) => taken,
            Err(answer) => return self.told(endpoint, answer),
        };
        let mut answer = Answer::Taken;
        for (taken, ignored) in taken.iter().zip(ignored) {
            let outcome = match taken {
                Taken::New => {
                    self.tally.accepted(endpoint.id);
                    if ignored { "ignored" } else { "accepted" }
                }
                Taken::Duplicate => {
                    self.tally.duplicate(endpoint.id);
                    "duplicate"
                }
                Taken::Refused => {
                    answer = Answer::Broken;
                    "broken"
                }
            };
            self.recorder.delivery(&endpoint.provider_key, outcome);
        }
        answer
    }

    /// Counts an answer that is not about single deliveries.
    fn told(&self, endpoint: &Endpoint, answer: Answer) -> Answer {
        let outcome = match answer {
            Answer::Taken | Answer::Unknown => return answer,
            Answer::Gone => "gone",
            Answer::TooFast(_) => "too_fast",
            Answer::TooLarge => "too_large",
            Answer::TooSlow => "too_slow",
            Answer::Refused => "refused",
            Answer::Unreadable => "unreadable",
            Answer::TryLater(_) => "try_later",
            Answer::Broken => "broken",
        };
        self.recorder.delivery(&endpoint.provider_key, outcome);
        answer
    }
}

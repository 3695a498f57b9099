//! Port: where deliveries come in, what came in, and what still waits for a run.
//!
//! Owns the shape of an endpoint and of a delivery as they are stored. Refuses to know a path, a secret or a body: of a path there is
//! its SHA-256, of secrets their references, of a body a summary, and the record it carries as a raw event.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Serialize;

use super::{StoreError, catalogue::AdminAction, page::RawEvent};
use crate::domain::{
    clock::Timestamp,
    ids::{ClientId, ConnectionId, DeliveryId, EndpointId, JobId, RawEventId, RunId},
    status::{ClientStatus, ConnectionStatus, DeliveryStatus, ProviderStatus},
};

/// An endpoint that has a path, with what decides whether it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: EndpointId,
    /// SHA-256 of the path's token, as hex.
    pub path_hash: String,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub connection_key: String,
    pub provider_key: String,
    pub source_label: String,
    pub connection_status: ConnectionStatus,
    pub client_status: ClientStatus,
    pub provider_status: ProviderStatus,
    /// References, the present one first.
    pub secrets: Vec<String>,
}

/// What may be shown of a connection's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointFacts {
    pub connection_key: String,
    /// References, never a secret.
    pub secrets: Vec<String>,
    /// `None`: there is no path yet.
    pub path_created_at: Option<Timestamp>,
    pub last_verified_at: Option<Timestamp>,
    pub accepted: i64,
    pub duplicates: i64,
    pub refused: i64,
    pub unreadable: i64,
    /// Deliveries that wait for a run.
    pub waiting: i64,
}

/// What came in at an endpoint since it was last written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    pub accepted: i64,
    pub duplicates: i64,
    pub refused: i64,
    pub unreadable: i64,
    /// On the clock of the process that took it.
    pub last_verified_at: Option<Timestamp>,
}

/// A record that a delivery carries, as it becomes a raw event.
#[derive(Debug, Clone, PartialEq)]
pub struct CarriedRecord {
    pub external_id: String,
    pub payload: String,
    pub payload_hash: String,
    pub source_updated_at: Option<Timestamp>,
}

/// What a delivery is good for.
#[derive(Debug, Clone, PartialEq)]
pub enum Cargo {
    Record {
        stream: String,
        record: CarriedRecord,
    },
    /// It only says that there is something to read.
    Fetch {
        stream: String,
    },
    /// It is kept by name, and nothing follows.
    Nothing {
        reason: String,
    },
}

/// A delivery to be written. Texts are within the columns' bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub provider_key: String,
    pub source_label: String,
    pub delivery_id: String,
    pub event_name: String,
    pub summary: String,
    pub occurred_at: Option<Timestamp>,
    /// The object that it speaks of, as a pull would know it.
    pub object_id: Option<String>,
    pub cargo: Cargo,
}

/// What became of a delivery that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is durable now.
    New,
    /// It was durable before.
    Duplicate,
    /// A constraint of the database refuses it: nothing of it is written.
    Refused,
}

/// Deliveries of one stream that wait for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub connection_key: String,
    pub provider_key: String,
    pub stream: String,
    /// `None`: no job of that stream is declared.
    pub job: Option<JobId>,
    /// They carry records; otherwise they ask for a fetch.
    pub records: bool,
    pub deliveries: i64,
    /// Of the one that has been tried most often.
    pub attempts: i64,
}

/// A delivery with the raw event it carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    pub id: DeliveryId,
    pub received_at: Timestamp,
    pub source_updated_at: Option<Timestamp>,
    pub raw: RawEvent,
}

/// What becomes of a delivery, committed with the page that decided its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryEnd {
    pub id: DeliveryId,
    /// The raw event that it brought, if it brought one.
    pub raw: Option<RawEventId>,
    pub status: DeliveryStatus,
    pub reason: Option<String>,
}

/// A row of `event_webhook_events`, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub connection_key: String,
    pub delivery_id: String,
    pub event_name: String,
    pub payload_summary: String,
    pub status: DeliveryStatus,
    pub attempts: i64,
    pub received_at: Timestamp,
    pub run_id: Option<RunId>,
    pub reason: Option<String>,
}

#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// All endpoints that have a path, whatever the state of their connections.
    async fn webhook_endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;

    /// The endpoint of a connection; `None` when neither secrets nor a path were ever given.
    async fn webhook_endpoint(
        &self,
        connection: ConnectionId,
        client: ClientId,
    ) -> Result<Option<EndpointFacts>, StoreError>;

    /// Gives the connection a new path and writes the act; the former path leads nowhere from then on.
    ///
    /// # Errors
    /// [`StoreError::Constraint`] when client and connection disagree (P15).
    async fn put_webhook_path(
        &self,
        connection: ConnectionId,
        client: ClientId,
        path_hash: &str,
        action: &AdminAction,
    ) -> Result<(), StoreError>;

    /// Adds to the endpoints' counters; an endpoint that is gone is passed over.
    async fn count_at_endpoints(&self, counts: &[(EndpointId, EndpointCounts)]) -> Result<(), StoreError>;

    /// Writes deliveries, and raw events of those that carry a record (`pending`, origin webhook, run 0), in one transaction. One
    /// that is there already, or twice in the batch, is told as such and not written again. When a constraint is broken each is
    /// written by itself, so that one bad delivery fails no other. Gives an answer for each, in their order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::NoSpace`]: nothing is durable that was not before.
    async fn take_deliveries(&self, deliveries: Arc<Vec<NewDelivery>>) -> Result<Vec<Taken>, StoreError>;

    /// Streams with deliveries that may be worked on now: those of runnable connections whose next attempt is due, and those without
    /// a job. At most `limit`.
    async fn waiting_deliveries(&self, limit: u32) -> Result<Vec<Waiting>, StoreError>;

    /// Deliveries of a stream that carry a record and wait, in the order of their receipt, after the one with id `after`.
    async fn pending_deliveries(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Pending>, StoreError>;

    /// Makes a stream's job due in `wait`, unless it is due before, fails at present, or is held; whether it was changed.
    async fn want_fetch(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        wait: Duration,
    ) -> Result<bool, StoreError>;

    /// A run over a stream's deliveries did not get through: they wait so long before the next, and those that were tried `most` times
    /// are `failed` with the reason. Gives how many failed.
    async fn put_off_deliveries(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        wait: Duration,
        most: i64,
        reason: &str,
    ) -> Result<u64, StoreError>;

    /// Nobody will work on a stream's deliveries that ask for a fetch: they are `failed` with the reason. Gives how many.
    async fn fail_fetches(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        reason: &str,
    ) -> Result<u64, StoreError>;

    /// Providers and how many of their deliveries wait for a run.
    async fn waiting_by_provider(&self) -> Result<Vec<(String, i64)>, StoreError>;

    /// The newest deliveries of a connection.
    async fn deliveries(
        &self,
        connection: ConnectionId,
        client: ClientId,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError>;
}

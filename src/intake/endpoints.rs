//! Which path is whose: the whole list, read anew after a moment, so that an unknown path asks no database.
//!
//! Owns the list and a limiter for each endpoint. A path is known by the SHA-256 of its token alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Answer, COME_BACK};
use crate::{
    connector::http::Pace,
    domain::{clock::Clock, ids::EndpointId, record::text_hash},
    store::{SharedStore, StoreError, webhooks::Endpoint},
    telemetry::chain,
};

/// How long a list is used again: within that time a new path opens and a revoked connection closes.
const USED_FOR: Duration = Duration::from_secs(1);
/// How long a list is used again while the database does not answer. What comes in then is answered 503 by the writer.
const USED_AT_MOST: Duration = Duration::from_secs(300);
/// Longest wait for the database in one request.
const PATIENCE: Duration = Duration::from_secs(3);
/// A token has 43 characters; what is longer is none.
const LONGEST_TOKEN: usize = 64;

type Found = (Arc<Endpoint>, Arc<Pace>);

struct List {
    read_at: Duration,
    by_hash: HashMap<String, Found>,
}

pub(super) struct Endpoints {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    per_second: u32,
    burst: u32,
    list: Mutex<Option<Arc<List>>>,
    /// One reads, the others use what there is.
    reading: tokio::sync::Mutex<()>,
}

impl Endpoints {
    pub(super) fn new(store: SharedStore, clock: Arc<dyn Clock>, per_second: u32, burst: u32) -> Self {
        Self { store, clock, per_second, burst, list: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The endpoint behind a token.
    ///
    /// # Errors
    /// [`Answer::TryLater`] when there is no list and the database gives none.
    pub(super) async fn find(&self, token: &str) -> Result<Option<Found>, Answer> {
        let list = self.list().await?;
        if token.len() > LONGEST_TOKEN {
            return Ok(None);
        }
        Ok(list.by_hash.get(&text_hash(token)).cloned())
    }

    async fn list(&self) -> Result<Arc<List>, Answer> {
        let list = self.present();
        let age = |list: &Arc<List>| self.clock.monotonic().saturating_sub(list.read_at);
        if let Some(list) = &list {
            if age(list) < USED_FOR {
                return Ok(Arc::clone(list));
            }
            let Ok(_reading) = self.reading.try_lock() else { return Ok(Arc::clone(list)) };
            return match self.read(Some(list)).await {
                Ok(list) => Ok(list),
                Err(error) if age(list) < USED_AT_MOST => {
                    tracing::warn!(error = %chain(&error), "the webhook endpoints cannot be read anew");
                    Ok(Arc::clone(list))
                }
                Err(_) => Err(Answer::TryLater(COME_BACK)),
            };
        }
        let _reading = self.reading.lock().await;
        if let Some(list) = self.present() {
            return Ok(list);
        }
        self.read(None).await.map_err(|error| {
            tracing::warn!(error = %chain(&error), "the webhook endpoints cannot be read");
            Answer::TryLater(COME_BACK)
        })
    }

    fn present(&self) -> Option<Arc<List>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self, before: Option<&Arc<List>>) -> Result<Arc<List>, StoreError> {
        let endpoints = tokio::select! {
            endpoints = self.store.webhook_endpoints() => endpoints?,
            () = self.clock.sleep(PATIENCE) => {
                return Err(StoreError::Settings("no answer within the time of a request".to_owned()));
            }
        };
        // A limiter lives as long as its endpoint.
        let mut paces: HashMap<EndpointId, Arc<Pace>> = before
            .map(|list| list.by_hash.values().map(|(endpoint, pace)| (endpoint.id, Arc::clone(pace))).collect())
            .unwrap_or_default();
        let by_hash = endpoints
            .into_iter()
            .map(|endpoint| {
                let pace = paces
                    .remove(&endpoint.id)
                    .unwrap_or_else(|| Arc::new(Pace::new(Arc::clone(&self.clock), self.per_second, self.burst)));
                (endpoint.path_hash.clone(), (Arc::new(endpoint), pace))
            })
            .collect();
        let list = Arc::new(List { read_at: self.clock.monotonic(), by_hash });
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&list));
        Ok(list)
    }
}

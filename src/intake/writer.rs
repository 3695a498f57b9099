//! Many requests, one transaction: what waits while a COMMIT is on its way goes with the next one.
//!
//! Owns the queue and its bound. Each request is answered after the COMMIT of its own deliveries, never before; a full queue and a
//! database that is away are told at once or after a few seconds, so that the sender sends again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};

use super::{Answer, COME_BACK, tally::Tally};
use crate::{
    domain::clock::Clock,
    store::{
        SharedStore,
        webhooks::{NewDelivery, Taken},
    },
    telemetry::chain,
};

/// Requests that may wait.
const MOST_WAITING: usize = 4096;
/// Requests of one transaction.
const AT_ONCE: usize = 256;
/// How long a request waits for its COMMIT.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the endpoints' counters are written.
const COUNT_EVERY: Duration = Duration::from_secs(10);

struct Parcel {
    deliveries: Vec<NewDelivery>,
    answer: oneshot::Sender<Option<Vec<Taken>>>,
}

/// The way into the queue.
pub(super) struct Writer {
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Parcel>,
}

impl Writer {
    pub(super) fn start(
        store: SharedStore,
        clock: Arc<dyn Clock>,
        tally: Arc<Tally>,
        wake: Arc<Notify>,
    ) -> (Self, JoinHandle<()>) {
        let (queue, parcels) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(work(store, Arc::clone(&clock), tally, wake, parcels));
        (Self { clock, queue }, task)
    }

    /// Waits until they are durable; says of each whether it is new.
    pub(super) async fn write(&self, deliveries: Vec<NewDelivery>) -> Result<Vec<Taken>, Answer> {
        let later = Answer::TryLater(COME_BACK);
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Parcel { deliveries, answer }).map_err(|_| later)?;
        tokio::select! {
            taken = answered => taken.ok().flatten().ok_or(later),
            // It may become durable yet: then the next copy of it is a repeat.
            () = self.clock.sleep(PATIENCE) => Err(later),
        }
    }
}

async fn work(
    store: SharedStore,
    clock: Arc<dyn Clock>,
    tally: Arc<Tally>,
    wake: Arc<Notify>,
    mut parcels: mpsc::Receiver<Parcel>,
) {
    let mut counted_at = clock.monotonic();
    loop {
        let mut batch = Vec::new();
        let more = tokio::select! {
            more = parcels.recv_many(&mut batch, AT_ONCE) => Some(more),
            () = clock.sleep(COUNT_EVERY) => None,
        };
        if more == Some(0) {
            break;
        }
        if !batch.is_empty() {
            write(&store, batch, &wake).await;
        }
        if clock.monotonic().saturating_sub(counted_at) >= COUNT_EVERY {
            count(&store, &tally).await;
            counted_at = clock.monotonic();
        }
    }
    count(&store, &tally).await;
}

async fn write(store: &SharedStore, batch: Vec<Parcel>, wake: &Notify) {
    let mut deliveries = Vec::with_capacity(batch.len());
    let mut askers = Vec::with_capacity(batch.len());
    for parcel in batch {
        askers.push((parcel.deliveries.len(), parcel.answer));
        deliveries.extend(parcel.deliveries);
    }
    match store.take_deliveries(Arc::new(deliveries)).await {
        Ok(taken) => {
            if taken.contains(&Taken::New) {
                wake.notify_one();
            }
            let mut left = taken.into_iter();
            for (number, answer) in askers {
                // A sender that has gone away is not told; its delivery is durable all the same.
                let _ = answer.send(Some(left.by_ref().take(number).collect()));
            }
        }
        Err(error) => {
            let requests = askers.len();
            tracing::error!(error = %chain(&error), "{requests} webhook requests could not be made durable; they are answered 503");
            for (_, answer) in askers {
                let _ = answer.send(None);
            }
        }
    }
}

async fn count(store: &SharedStore, tally: &Tally) {
    let counts = tally.drain();
    if counts.is_empty() {
        return;
    }
    if let Err(error) = store.count_at_endpoints(&counts).await {
        tracing::warn!(error = %chain(&error), "the webhook endpoints' counters cannot be written yet");
        tally.put_back(counts);
    }
}

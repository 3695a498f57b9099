//! Slices that are fetched while earlier ones are still being delivered.
//!
//! Owns which streams are read so, and the hand-over. Delivery is as if nothing was fetched ahead: places, cursors and states are made by
//! `pull`, one page after the other, in the slices' order; what was fetched is only used for the very question that `pull` would ask
//! now. A wrong guess costs a request, never a record; an error that came ahead is raised when its page is reached. `driver` does
//! the fetching, `queue` holds what came, within bounds of slices, pages and bytes.

mod driver;
mod queue;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use queue::{Bounds, Queue, Sought};
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    ManifestConnector,
    auth::Auth,
    partition::{RouterPlace, walk::Step},
    place::Place,
    plan::StreamPlan,
    pull::Pull,
    pull_answer::Fetched,
    pull_partitions::Closed,
};
use crate::{
    connector::ConnectorError,
    domain::{clock::Timestamp, status::SyncMode},
};

/// Pages that wait in one slice, at most.
const PAGES: usize = 4;
/// Slices that are known ahead, for each request that may be under way: a slow one does not keep the others waiting.
const SLICES_EACH: usize = 2;

/// Jobs that are waited for at once, at most.
const MOST_JOBS: usize = 64;

/// What is fetched ahead for the pull that a connector is in.
#[derive(Default)]
pub(super) struct Ahead(Mutex<Option<Running>>);

/// A driver at work. Dropping it ends its requests.
struct Running {
    whose: Whose,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What makes two calls part of one pull: the same question, asked at the same moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Whose {
    stream: String,
    mode: SyncMode,
    started_at: Timestamp,
    given: Option<Timestamp>,
}

/// Between the driver and whoever delivers.
struct Shared {
    queue: Mutex<Queue<Fetched>>,
    /// For the driver: something was taken.
    taken: Notify,
    /// For the delivery: something came.
    came: Notify,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue<Fetched>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ahead {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all requests that are under way, and forgets what came.
    pub fn stop(&self) {
        *self.running() = None;
    }

    /// The partition after that place, where the driver came by; outer `None`: it did not.
    pub fn step_after(&self, place: &RouterPlace) -> Option<Option<Step>> {
        self.running().as_ref()?.shared.queue().step_after(place)
    }

    fn of(&self, whose: &Whose) -> Option<Arc<Shared>> {
        let mut running = self.running();
        if running.as_ref().is_some_and(|running| running.whose != *whose) {
            *running = None;
        }
        running.as_ref().map(|running| Arc::clone(&running.shared))
    }

    /// What was fetched for a place; `None`: ask for it.
    async fn obtain(&self, whose: &Whose, place: &Place) -> Option<Result<Fetched, ConnectorError>> {
        let shared = self.of(whose)?;
        loop {
            let came = shared.came.notified();
            tokio::pin!(came);
            // From here on nothing that comes is missed.
            came.as_mut().enable();
            let sought = shared.queue().seek(place);
            match sought {
                Sought::Here(taken) => {
                    shared.taken.notify_one();
                    return Some(taken);
                }
                Sought::Elsewhere => {
                    shared.taken.notify_one();
                    return None;
                }
                Sought::Stale => {
                    self.stop();
                    return None;
                }
                Sought::Coming => came.await,
            }
        }
    }

    /// Begins to fetch what lies behind `place`, unless that goes on already. `bytes`: how large a page of the stream is.
    fn begin(&self, pull: &Pull<'_>, whose: Whose, place: &Place, bytes: usize) {
        let mut running = self.running();
        if running.is_some() {
            return;
        }
        let at_once = pull.at_once();
        let bounds =
            Bounds { at_once, slices: at_once * SLICES_EACH, pages: PAGES, bytes: pull.connector.gate.ahead_bytes() };
        let queue = Mutex::new(Queue::new(bounds, place.clone(), bytes));
        let shared = Arc::new(Shared { queue, taken: Notify::new(), came: Notify::new() });
        let task = driver::drive(pull.connector.beside(), pull.request.clone(), Arc::clone(&shared));
        let task = tokio::spawn(tracing::Instrument::in_current_span(task));
        *running = Some(Running { whose, shared, task });
    }

    #[cfg(test)]
    pub fn most_held(&self) -> Option<(usize, bool)> {
        self.running().as_ref().map(|running| {
            let queue = running.shared.queue();
            (queue.most_held, queue.is_idle())
        })
    }
}

impl ManifestConnector {
    /// The same connection for requests beside those of the pull: it shares what is kept, and fetches nothing ahead itself.
    fn beside(&self) -> Self {
        Self {
            loaded: Arc::clone(&self.loaded),
            config: Arc::clone(&self.config),
            credential: Arc::clone(&self.credential),
            gate: Arc::clone(&self.gate),
            limit: self.limit.clone(),
            budget: self.budget.clone(),
            hosts: self.hosts.clone(),
            parents: Arc::clone(&self.parents),
            schemas: Arc::clone(&self.schemas),
            tokens: Arc::clone(&self.tokens),
            renewals: Arc::clone(&self.renewals),
            ahead: Ahead::default(),
            downloads: Arc::clone(&self.downloads),
            room: Arc::clone(&self.room),
            manner: self.manner,
            reroute: self.reroute.clone(),
        }
    }
}

impl Pull<'_> {
    /// What a place's answer holds: fetched ahead, else asked for now.
    pub(super) async fn fetched(&self, place: &Place) -> Result<Fetched, ConnectorError> {
        let Some(ahead) = self.ahead.filter(|_| self.may_look_ahead()) else { return Ok(self.fetch(place).await?.0) };
        let whose = Whose {
            stream: self.request.stream.clone(),
            mode: self.request.mode,
            started_at: self.request.started_at,
            given: self.given,
        };
        if let Some(taken) = ahead.obtain(&whose, place).await {
            return taken;
        }
        // The first answer of a pull comes alone: it tells how large pages are, and whether we are let in at all.
        let (taken, bytes) = self.fetch(place).await?;
        ahead.begin(self, whose, place, bytes);
        Ok(taken)
    }

    fn may_look_ahead(&self) -> bool {
        // Somebody who wants a few records is not served by more requests.
        self.request.limit.is_none()
            && (self.plan.router.is_some() || self.cut.is_some_and(|cut| cut.step.is_some()))
            && self.at_once() > 1
            && in_order(self.plan).is_none()
    }

    /// Slices that are asked for at once. Jobs are mostly waited for: as many as may be, whatever the requests.
    fn at_once(&self) -> usize {
        let requests = self.connector.gate.at_once(&self.connector.limit);
        if self.plan.job.is_some() { requests.max(self.connector.room.at_once.min(MOST_JOBS)) } else { requests }
    }

    /// The first place of the slice after the one that `place` lies in.
    pub(super) async fn slice_after(&self, place: &Place) -> Result<Option<Place>, ConnectorError> {
        if let Some(window) = place.window().and_then(|window| self.cut?.next(window)) {
            let size = place.detour.configured.or(place.size);
            return Ok(Some(place.clone().next_slice(window, size, self.first_token())));
        }
        match place.part() {
            Some(part) => self.partition_after(Some(&part.router), (None, None), part.lazy, &mut Closed::new()).await,
            None => Ok(None),
        }
    }
}

/// Why a stream's slices are asked for one after the other; `None`: they may be asked for ahead. What depends on earlier slices within
/// one (a feed that stops at its cursor, a stop condition over the last page) is decided slice by slice and needs no order among them.
pub(super) fn in_order(plan: &StreamPlan) -> Option<&'static str> {
    // A login can end the session of the one before: requests side by side, each with a refused token, would log one another out.
    let jobs = plan.job.iter().flat_map(|job| job.requests());
    if std::iter::once(&plan.request).chain(jobs).any(|request| is_session(&request.auth)) {
        return Some("a session's token is one for all");
    }
    let parents = plan.router.as_ref().map(super::partition::Router::parents).unwrap_or_default();
    for parent in parents {
        // The parent's cursor is remembered as its pages are read: read ahead of its children, it would stand beyond what they have.
        if parent.incremental {
            return Some("a parent's cursor must not run ahead of its children");
        }
        if let Some(reason) = in_order(&parent.plan) {
            return Some(reason);
        }
    }
    None
}

fn is_session(auth: &Auth) -> bool {
    match auth {
        Auth::Session(_) | Auth::LegacySession(_) => true,
        Auth::Chosen { among, .. } => among.iter().any(|(_, auth)| is_session(auth)),
        Auth::None | Auth::Bearer(_) | Auth::Key { .. } | Auth::Basic { .. } | Auth::Granted(_) | Auth::Jwt(_) => false,
    }
}

#[cfg(test)]
mod tests;

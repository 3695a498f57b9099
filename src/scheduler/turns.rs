//! Streams of a connection that are never read at the same time: a manifest's `stream_groups`.
//!
//! Owns whose turn it is. Within this process one waits for the other; a run of another process is seen by its lease, and the job comes
//! back at the next look. Refuses to hold up what reads nothing from the provider: replays, imports, deliveries.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::worker::{Prepared, Report, Task, Worker};
use crate::{
    domain::ids::ConnectionId,
    store::{StoreError, catalogue::JobFilter},
};

/// A group of a connection.
type Group = (ConnectionId, String);

/// Each group that was ever asked for.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<Group, Arc<tokio::sync::Mutex<()>>>>);

/// A turn that was waited for; held while the run lasts. Empty where the stream waits for nobody.
pub(super) struct Turn(#[allow(dead_code, reason = "held for its drop")] Option<OwnedMutexGuard<()>>);

impl Turns {
    fn group(&self, connection: ConnectionId, group: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(groups.entry((connection, group.to_owned())).or_default())
    }
}

impl Worker {
    /// Waits until no other stream of the job's group is read by this process; `Err`: another process reads one.
    pub(super) async fn turn(
        &self,
        prepared: &Prepared,
        task: &Task,
        shutdown: &CancellationToken,
    ) -> Result<Result<Turn, Report>, StoreError> {
        let job = &prepared.job;
        let reads = matches!(task, Task::Pull { .. } | Task::TestBatch { .. });
        let group = self.catalogue.folder(&job.provider_key).and_then(|folder| folder.group_of(&job.spec.stream));
        let Some((group, streams)) = group.filter(|_| reads) else { return Ok(Ok(Turn(None))) };
        let held = tokio::select! {
            held = self.turns.group(job.connection_id, group).lock_owned() => held,
            // What is claimed now is put down at once.
            () = shutdown.cancelled() => return Ok(Ok(Turn(None))),
        };
        let others: Vec<String> = streams.iter().filter(|stream| **stream != job.spec.stream).cloned().collect();
        if others.is_empty() {
            return Ok(Ok(Turn(Some(held))));
        }
        let filter = JobFilter { connection_keys: vec![job.spec.connection_key.clone()], streams: others };
        let now = self.clock.now();
        let other = self.store.jobs(&filter).await?.into_iter().find(|other| {
            let alive = other.lease_owner.as_deref().is_some_and(|owner| !self.holder.is_dead(owner));
            alive && other.lease_until.is_some_and(|until| until > now)
        });
        Ok(match other {
            None => Ok(Turn(Some(held))),
            Some(other) => Err(Report::Busy {
                connection_key: job.spec.connection_key.clone(),
                stream: job.spec.stream.clone(),
                holder: other
                    .lease_owner
                    .map(|owner| format!("{owner} (reads {}, of the group '{group}')", other.spec.stream)),
                until: other.lease_until,
            }),
        })
    }
}

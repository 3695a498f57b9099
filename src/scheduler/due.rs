//! The loops that hand out work: the daemon's, and one pass for `run-once`.
//!
//! Owns how many jobs run at once, for whom, and when to look again. Refuses to keep a list of jobs: each look is one ordered
//! query, so that a restart, a missed tick and a normal one are the same.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    maps,
    worker::{Assignment, Report, Task, Worker},
};
use crate::{
    domain::{
        ids::{ClientId, JobId},
        status::RunOrigin,
    },
    pipeline::{OnProgress, Progress, replay::Selection},
    store::{
        StoreError,
        lease::{DueJob, Shard},
        runs::Run,
    },
    telemetry::{
        chain,
        recorder::{EndedRun, Recorder},
    },
};

/// Due jobs looked at in one query; more wait for the next look.
const LOOK_AHEAD: u32 = 200;
/// How long the daemon waits after the database did not answer.
const AFTER_OUTAGE: Duration = Duration::from_secs(2);

/// Bounds of the daemon.
#[derive(Debug, Clone, Copy)]
pub struct DaemonOptions {
    pub workers: usize,
    /// Most runs of one client at once (P14).
    pub per_client: usize,
    /// Longest sleep between two looks.
    pub poll: Duration,
    /// How long running jobs may take to end after the stop.
    pub shutdown: Duration,
    pub shard: Option<Shard>,
}

/// Port: hears of each run that ended, as its row tells it.
pub trait RunWatch: Send + Sync {
    fn run_ended(&self, run: &Run);
}

impl RunWatch for Recorder {
    fn run_ended(&self, run: &Run) {
        Self::run_ended(
            self,
            &EndedRun {
                provider_key: run.provider_key.clone(),
                stream: run.stream.clone(),
                connection_key: run.connection_key.clone(),
                status: run.status,
                counts: run.counts,
                traffic: run.traffic,
                took: run.finished_at.map_or(Duration::ZERO, |at| at.since(run.started_at)),
            },
        );
    }
}

/// Port: hears that the daemon's loop goes round, whatever came of the turn.
pub trait Pulse: Send + Sync {
    fn turned(&self);
}

/// Runs until `stop`: looks for due jobs, hands them out fairly, recovers orphans. `pulse` hears of each step of the loop: it is silent
/// for as long as the loop waits for the database.
pub async fn daemon(
    worker: Arc<Worker>,
    options: DaemonOptions,
    watch: Arc<dyn RunWatch>,
    pulse: Arc<dyn Pulse>,
    stop: CancellationToken,
) {
    let mut running: JoinSet<()> = JoinSet::new();
    // Whose job each running task does: as many as there are workers, so counting them anew is cheap.
    let mut hands: HashMap<tokio::task::Id, (ClientId, JobId)> = HashMap::new();
    maps::in_force(&worker).await;
    let recover_every = worker.options.limits.lease_ttl / 2;
    let mut recovered_at = None;
    while !stop.is_cancelled() {
        let now = worker.clock.monotonic();
        if recovered_at.is_none_or(|at| now.saturating_sub(at) >= recover_every) {
            recover(&worker).await;
            recovered_at = Some(now);
            pulse.turned();
        }
        let looked = look(&worker, options, running.len()).await;
        pulse.turned();
        let wait = match looked {
            Ok((due, wait)) => {
                for (job, task) in due {
                    if running.len() >= options.workers || stop.is_cancelled() {
                        break;
                    }
                    let of_client = hands.values().filter(|(client, _)| *client == job.client_id).count();
                    if of_client >= options.per_client || hands.values().any(|(_, id)| *id == job.id) {
                        continue;
                    }
                    let whose = (job.client_id, job.id);
                    let handle =
                        running.spawn(one_scheduled(Arc::clone(&worker), job, task, Arc::clone(&watch), stop.clone()));
                    hands.insert(handle.id(), whose);
                }
                wait
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "cannot look for due jobs; trying again");
                AFTER_OUTAGE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = worker.clock.sleep(wait) => {}
            Some(ended) = running.join_next_with_id(), if !running.is_empty() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => {
                        tracing::error!(error = %error, "a worker task ended abnormally; its run is recovered when its lease runs out");
                        error.id()
                    }
                };
                hands.remove(&id);
            }
        }
    }
    let drain = async { while running.join_next().await.is_some() {} };
    tokio::select! {
        () = drain => tracing::info!("all runs ended"),
        () = worker.clock.sleep(options.shutdown) => {
            tracing::warn!("runs did not end in time; they are recovered when their leases run out");
        }
    }
}

/// Due jobs if there is room for them, and for how long nothing else will be due.
async fn look(
    worker: &Worker,
    options: DaemonOptions,
    running: usize,
) -> Result<(Vec<(DueJob, Task)>, Duration), StoreError> {
    if running >= options.workers {
        return Ok((Vec::new(), options.poll));
    }
    let due = worker.store.due_jobs(LOOK_AHEAD, options.shard).await?;
    let mut due: Vec<_> = due.into_iter().map(|job| (job, Task::Pull { full: false })).collect();
    // New records first; a retry of an old one can wait for the next look.
    let retries = worker.store.due_retries(LOOK_AHEAD, options.shard).await?;
    due.extend(retries.into_iter().map(|job| (job, retry())));
    if !due.is_empty() {
        return Ok((due, options.poll));
    }
    let next = worker.store.next_due_in().await?.unwrap_or(options.poll);
    Ok((due, next.clamp(Duration::from_millis(10), options.poll)))
}

/// The replay of dead letters whose retry is due, in a run of its own.
fn retry() -> Task {
    Task::Replay { selections: vec![Selection::DueLetters] }
}

/// Jobs with dead letters whose retry is due, each with the replay of them.
///
/// # Errors
/// Those of the store.
pub async fn retries(worker: &Worker, limit: u32, shard: Option<Shard>) -> Result<Vec<Assignment>, StoreError> {
    let due = worker.store.due_retries(limit, shard).await?;
    Ok(due.into_iter().map(|job| Assignment { job: job.id, origin: RunOrigin::Replay, task: retry() }).collect())
}

async fn one_scheduled(
    worker: Arc<Worker>,
    job: DueJob,
    task: Task,
    watch: Arc<dyn RunWatch>,
    stop: CancellationToken,
) {
    let origin = if matches!(task, Task::Pull { .. }) { RunOrigin::Schedule } else { RunOrigin::Replay };
    let assignment = Assignment { job: job.id, origin, task };
    let nobody_watches: OnProgress = Arc::new(|_: Progress| {});
    match worker.run(&assignment, &stop, nobody_watches).await {
        // A run whose row cannot be read now is not counted here; the row itself is the truth.
        Ok(Report::Ran(report)) => {
            if let Ok(Some(run)) = worker.store.run(report.run).await
                && run.status.is_final()
            {
                watch.run_ended(&run);
            }
        }
        Ok(Report::Quarantined { .. }) => {}
        Ok(Report::Busy { .. }) => {
            tracing::debug!(connection = %job.connection_key, stream = %job.stream, "another worker was faster");
        }
        Err(error) => {
            tracing::error!(connection = %job.connection_key, stream = %job.stream, error = %chain(&error), "the job could not be claimed");
        }
    }
}

/// Closes runs whose worker is gone. Failing is not fatal: the next look tries again.
pub async fn recover(worker: &Worker) {
    let result = async {
        let owners = worker.store.lease_owners().await?;
        let dead: Vec<String> = owners.into_iter().filter(|o| worker.holder.is_dead(o)).collect();
        worker.store.recover_orphans(&dead).await
    };
    match result.await {
        Ok(orphans) => {
            for orphan in orphans {
                tracing::warn!(
                    run = orphan.run.0,
                    job = orphan.job.0,
                    "closed as abandoned: its worker died or lost its lease"
                );
            }
        }
        Err(error) => tracing::error!(error = %chain(&error), "orphaned runs could not be looked for"),
    }
}

/// Does a list of assignments, at most `at_once` together, in their order. Gives a report for each.
pub async fn once(
    worker: &Arc<Worker>,
    assignments: Vec<Assignment>,
    at_once: usize,
    stop: &CancellationToken,
    watch: &(dyn Fn(JobId) -> OnProgress + Send + Sync),
    reported: &mut (dyn FnMut(&Result<Report, StoreError>) + Send),
) -> Vec<Result<Report, StoreError>> {
    let mut queue: VecDeque<Assignment> = assignments.into();
    let mut running = JoinSet::new();
    let mut hands: HashMap<tokio::task::Id, JobId> = HashMap::new();
    let mut reports = Vec::new();
    loop {
        while running.len() < at_once.max(1) && !stop.is_cancelled() {
            // Two assignments of one job follow each other.
            let Some(free) = queue.iter().position(|next| !hands.values().any(|job| *job == next.job)) else { break };
            let Some(assignment) = queue.remove(free) else { break };
            let (worker, stop, on_progress) = (Arc::clone(worker), stop.clone(), watch(assignment.job));
            let job = assignment.job;
            let handle = running.spawn(async move { worker.run(&assignment, &stop, on_progress).await });
            hands.insert(handle.id(), job);
        }
        let Some(ended) = running.join_next_with_id().await else {
            return reports;
        };
        let ended = match ended {
            Ok((id, report)) => {
                hands.remove(&id);
                Ok(report)
            }
            Err(panic) => {
                hands.remove(&panic.id());
                Err(panic)
            }
        };
        let report = ended.unwrap_or_else(|panic| {
            Err(StoreError::Database { during: "a worker task ended abnormally", source: Box::new(panic) })
        });
        reported(&report);
        reports.push(report);
    }
}

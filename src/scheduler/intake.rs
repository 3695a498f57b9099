//! The loop that hands out what webhooks brought: woken by the door, and by a look every few seconds.
//!
//! Owns what is done about waiting deliveries: a run over their records, a job made due for what they only announced, an end with a
//! reason where there is no job. Refuses to keep a list: each look is one query, so a restart loses nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    due::RunWatch,
    worker::{Assignment, Prepared, Report, Task, Worker, scope},
};
use crate::{
    domain::{ids::JobId, status::RunOrigin},
    pipeline::{
        OnProgress, Outcome, Progress, Stop,
        intake::{Intake, OnSettled},
    },
    store::{
        SharedStore, StoreError,
        lease::{Held, Shard},
        webhooks::Waiting,
    },
    telemetry::{chain, recorder::Recorder},
};

/// Streams looked at in one query.
const LOOK_AHEAD: u32 = 500;
/// Longest sleep between two looks: for what another process took, and for what waits for a lease or its next attempt.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// However often the door tells of news, the database is asked at most so often.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(500);
/// One job's deliveries are decided at most so often: what comes in meanwhile goes together.
const BREATH: Duration = Duration::from_secs(1);
/// Runs over deliveries at once; others of the daemon's workers pull.
const AT_ONCE: usize = 2;
/// A job that deliveries only ask for runs at most so often.
const DEBOUNCE: Duration = Duration::from_secs(2);
/// How long the loop waits after the database did not answer.
const AFTER_OUTAGE: Duration = Duration::from_secs(2);
/// Runs over a delivery that do not get through, before it is failed; with the waits between them that is more than half a day.
const MOST_ATTEMPTS: i64 = 20;
/// The first wait after such a run; doubled with each further one, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(15);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How long deliveries wait that were tried so often.
fn wait_after(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

/// What waits, as assignments; jobs are made due, and what nobody will work on is ended, on the way.
///
/// # Errors
/// Of the store.
pub async fn assignments(
    store: &SharedStore,
    shard: Option<Shard>,
    debounce: Duration,
) -> Result<Vec<(Waiting, JobId)>, StoreError> {
    let mut records = Vec::new();
    for waiting in store.waiting_deliveries(LOOK_AHEAD).await? {
        let Waiting { connection_id, client_id, stream, connection_key, .. } = &waiting;
        match (waiting.job, waiting.records) {
            (Some(job), true) => {
                if shard.is_none_or(|s| job.0.rem_euclid(i64::from(s.of)) == i64::from(s.index) - 1) {
                    records.push((waiting, job));
                }
            }
            (Some(_), false) => {
                store.want_fetch(*connection_id, *client_id, stream, debounce).await?;
            }
            (None, true) => {
                tracing::warn!(
                    connection = %connection_key, stream = %stream,
                    "{} deliveries wait for a job of their stream: declare it under jobs and run tidegate apply",
                    waiting.deliveries
                );
            }
            (None, false) => {
                let reason =
                    format!("no job of stream '{stream}' is declared: declare it under jobs and run tidegate apply");
                let failed = store.fail_fetches(*connection_id, *client_id, stream, &reason).await?;
                tracing::warn!(connection = %connection_key, stream = %stream, "{failed} deliveries failed: {reason}");
            }
        }
    }
    Ok(records)
}

/// The assignment for a stream's waiting deliveries.
pub fn assignment(waiting: &Waiting, job: JobId, settled: OnSettled) -> Assignment {
    Assignment { job, origin: RunOrigin::Webhook, task: Task::Intake { attempts: waiting.attempts, settled } }
}

/// Hands out until `stop`, then waits for what runs, at most `shutdown`.
pub async fn daemon(
    worker: Arc<Worker>,
    recorder: Arc<Recorder>,
    wake: Arc<Notify>,
    shard: Option<Shard>,
    shutdown: Duration,
    stop: CancellationToken,
) {
    let mut running: JoinSet<JobId> = JoinSet::new();
    let mut hands: Vec<JobId> = Vec::new();
    // When a job's deliveries were last begun with.
    let mut begun: HashMap<JobId, Duration> = HashMap::new();
    while !stop.is_cancelled() {
        let mut wait = LOOK_EVERY;
        let looked = worker.clock.monotonic();
        match assignments(&worker.store, shard, DEBOUNCE).await {
            Ok(found) => {
                let now = worker.clock.monotonic();
                begun.retain(|_, at| now.saturating_sub(*at) < BREATH);
                for (waiting, job) in found {
                    if let Some(at) = begun.get(&job) {
                        wait = wait.min(BREATH.saturating_sub(now.saturating_sub(*at)));
                        continue;
                    }
                    if running.len() >= AT_ONCE || hands.contains(&job) {
                        continue;
                    }
                    begun.insert(job, now);
                    hands.push(job);
                    running.spawn(one(Arc::clone(&worker), Arc::clone(&recorder), waiting, job, stop.clone()));
                }
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "cannot look for waiting deliveries; trying again");
                wait = AFTER_OUTAGE;
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake.notified() => {
                let since = worker.clock.monotonic().saturating_sub(looked);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = worker.clock.sleep(LOOK_AT_MOST_EVERY.saturating_sub(since)) => {}
                }
            }
            () = worker.clock.sleep(wait) => {}
            Some(ended) = running.join_next(), if !running.is_empty() => match ended {
                Ok(job) => hands.retain(|other| *other != job),
                Err(error) => {
                    tracing::error!(error = %error, "a run over deliveries ended abnormally; it is recovered when its lease runs out");
                    hands.clear();
                }
            },
        }
    }
    let drain = async { while running.join_next().await.is_some() {} };
    tokio::select! {
        () = drain => {}
        () = worker.clock.sleep(shutdown) => {}
    }
}

async fn one(
    worker: Arc<Worker>,
    recorder: Arc<Recorder>,
    waiting: Waiting,
    job: JobId,
    stop: CancellationToken,
) -> JobId {
    let provider = waiting.provider_key.clone();
    let settled = {
        let recorder = Arc::clone(&recorder);
        OnSettled(Arc::new(move |after| recorder.settled(&provider, after)))
    };
    let nobody_watches: OnProgress = Arc::new(|_: Progress| {});
    let (connection, stream) = (&waiting.connection_key, &waiting.stream);
    match worker.run(&assignment(&waiting, job, settled), &stop, nobody_watches).await {
        Ok(Report::Ran(report)) => {
            if let Ok(Some(run)) = worker.store.run(report.run).await
                && run.status.is_final()
            {
                RunWatch::run_ended(&*recorder, &run);
            }
        }
        Ok(Report::Quarantined { .. }) => {}
        Ok(Report::Busy { .. }) => {
            tracing::debug!(connection = %connection, stream = %stream, "deliveries wait for the job's present run");
        }
        Err(error) => {
            tracing::error!(connection = %connection, stream = %stream, error = %chain(&error), "waiting deliveries could not be begun with");
        }
    }
    job
}

impl Worker {
    /// Decides what waits for the job's stream.
    pub(super) async fn take_in(
        &self,
        held: &Held,
        prepared: &Prepared,
        settled: &OnSettled,
        stop: &Stop,
        on_progress: OnProgress,
    ) -> Outcome {
        Intake {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            map: prepared.map.clone(),
            scope: scope(held, prepared.map.as_deref(), RunOrigin::Webhook),
            account: prepared.connection.spec.provider_account_id.as_str().into(),
            limits: self.options.limits,
            stop: stop.clone(),
            on_progress,
            on_settled: settled.clone(),
        }
        .run()
        .await
    }

    /// Waiting deliveries whose run failed are tried again after a growing wait, and not for ever.
    pub(super) async fn put_off(&self, held: &Held, attempts: i64, code: &str) {
        let reason = format!("{} runs did not get through, the last one with {code}", MOST_ATTEMPTS);
        let (connection, client, wait) = (held.connection_id, held.client_id, wait_after(attempts));
        let put_off = self.store.put_off_deliveries(connection, client, &held.stream, wait, MOST_ATTEMPTS, &reason);
        match put_off.await {
            Ok(0) => {}
            Ok(failed) => tracing::error!("{failed} deliveries failed: {reason}"),
            Err(error) => tracing::error!(error = %chain(&error), "waiting deliveries could not be put off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<u64> = (0..MOST_ATTEMPTS).map(|attempts| wait_after(attempts).as_secs()).collect();
        assert_eq!(waits[..4], [15, 30, 60, 120]);
        assert_eq!(waits[MOST_ATTEMPTS as usize - 1], 3600);
        assert!(waits.iter().sum::<u64>() > 12 * 3600, "{waits:?}");
        assert_eq!(wait_after(i64::MAX), LONGEST_WAIT);
    }
}

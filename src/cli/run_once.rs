//! `tidegate run-once`: do what is due, or what is named, and exit. Also carries test batches and replays.
//!
//! Owns the choice of jobs, the wait for a lease that is about to end, and the exit code of several runs together.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::json;

use super::{
    App, Done,
    args::RunOnceArgs,
    connection,
    exit::Exit,
    failure::Failure,
    gate::{self, PassedOver},
    names,
    print::{
        Output, notices,
        progress::{JobProgress, ProgressBoard},
    },
    safety,
};
use crate::{
    connector::ErrorKind,
    domain::{
        ids::JobId,
        status::{JobStatus, RunOrigin, RunStatus},
    },
    lifecycle,
    pipeline::{OnProgress, intake::OnSettled},
    scheduler::{
        due, intake, maps,
        worker::{Assignment, Report, RunReport, Task},
    },
    store::{
        SharedStore, StoreError,
        catalogue::{Job, JobFilter},
        lease::Shard,
    },
    telemetry::recorder::Recorder,
};

/// Most due jobs that one pass takes; a container in a schedule comes back.
const MOST_DUE: u32 = 10_000;
/// Pause between two looks at a lease that another holds.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Does `run-once`.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, args: &RunOnceArgs, out: Output) -> Done {
    let shard = args.shard.as_deref().map(parse_shard).transpose()?;
    let store = app.store_migrating(args.migrate).await?;
    safety::prove_narrow_user(app, &store).await?;
    let worker = app.worker(Arc::clone(&store))?;
    let alarm = app.alarm(Arc::clone(&store), Arc::clone(&worker.gate), Arc::new(Recorder::new(false)))?;
    due::recover(&worker).await;
    let done = runs(app, args, shard, store, out).await;
    // After the runs, so that what they left is what is looked at; it changes nothing of how they ended.
    alarm.once().await;
    done
}

async fn runs(app: &App, args: &RunOnceArgs, shard: Option<Shard>, store: SharedStore, out: Output) -> Done {
    let named = !args.connections.is_empty() || !args.streams.is_empty();
    let task = Task::Pull { full: args.full };
    if named {
        let (jobs, refused) = named_jobs(app, &store, args, shard).await?;
        let assignments = jobs
            .iter()
            .map(|job| Assignment { job: job.id, origin: RunOrigin::Manual, task: task.clone() })
            .collect::<Vec<_>>();
        let exit = self::assignments(app, store, assignments, out).await?;
        return Ok(if refused { exit.worse(Exit::Refused) } else { exit });
    }
    let refused = gate::tell_passed_over(&store).await?;
    wait_for_leases(app, &store, shard).await?;
    let worker = app.worker(Arc::clone(&store))?;
    maps::in_force(&worker).await;
    // Deliveries that only ask for a fetch make their job due at once.
    let waiting = intake::assignments(&store, shard, Duration::ZERO).await?;
    let due = store.due_jobs(MOST_DUE, shard).await?;
    let mut assignments: Vec<Assignment> =
        waiting.iter().map(|(waiting, job)| intake::assignment(waiting, *job, OnSettled::nobody())).collect();
    assignments.extend(due.iter().map(|job| Assignment {
        job: job.id,
        origin: RunOrigin::Schedule,
        task: task.clone(),
    }));
    assignments.extend(due::retries(&worker, MOST_DUE, shard).await?);
    if assignments.is_empty() {
        let busy = store.due_but_leased(MOST_DUE, shard).await?;
        if !busy.is_empty() {
            return Err(Failure::new(Exit::TryLater, format!("{} due jobs are held by other workers", busy.len()))
                .remedy("nothing to do: they are being run"));
        }
        let nothing = if refused.is_empty() { "nothing is due" } else { "nothing that is due may run" };
        app.show(out, &json!({"runs": [], "refused": refused}), |_| nothing.to_owned())?;
        // Nothing else ran, so it is not green. Where others ran, theirs is the exit code: one client who is not ready yet must
        // not make the schedule of all look broken.
        return Ok(if refused.is_empty() { Exit::Done } else { Exit::Refused });
    }
    all(app, store, assignments, &refused, out).await
}

/// `I/N` with I from 1 to N; 0 counts as N, for launchers that count from 0.
pub fn parse_shard(text: &str) -> Result<Shard, Failure> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some(Shard { index: i.parse().ok()?, of: n.parse().ok()? }));
    let parsed = parsed.map(|s| if s.index == 0 { Shard { index: s.of, ..s } } else { s });
    parsed.filter(|s| s.index >= 1 && s.index <= s.of).ok_or_else(|| {
        Failure::usage(format!("--shard '{text}' is not I/N with I from 1 to N")).remedy("for example --shard 1/4")
    })
}

/// The named jobs that may run; whether any was refused by a gate (told on standard error).
async fn named_jobs(
    app: &App,
    store: &SharedStore,
    args: &RunOnceArgs,
    shard: Option<Shard>,
) -> Result<(Vec<Job>, bool), Failure> {
    names::known(store, &args.connections, &args.streams).await?;
    let filter = JobFilter { connection_keys: args.connections.clone(), streams: args.streams.clone() };
    let jobs: Vec<Job> = store
        .jobs(&filter)
        .await?
        .into_iter()
        .filter(|j| shard.is_none_or(|s| j.id.0.rem_euclid(i64::from(s.of)) == i64::from(s.index - 1)))
        .collect();
    if jobs.is_empty() && shard.is_none() {
        return Err(Failure::usage("no declared job matches").remedy("tidegate jobs list shows all"));
    }
    let mut refusals: HashMap<String, Option<Vec<String>>> = HashMap::new();
    let mut allowed = Vec::new();
    let mut refused = Vec::new();
    for job in &jobs {
        let key = &job.spec.connection_key;
        if !refusals.contains_key(key) {
            let connection = connection::find(store, key).await?;
            let refusal = gate::refusal(app, store, &connection).await?;
            refused.extend(refusal.iter().map(|lines| {
                format!(
                    "{key} may not run:\n{}",
                    lines.iter().map(|l| format!("  - {l}")).collect::<Vec<_>>().join("\n")
                )
            }));
            refusals.insert(key.clone(), refusal);
        }
        if refusals.get(key).is_some_and(Option::is_some) {
            continue;
        }
        match job.status {
            JobStatus::Active => allowed.push(job.clone()),
            JobStatus::Paused | JobStatus::Quarantined => refused.push(format!(
                "{key} {} is {}: tidegate jobs resume --connection {key} --stream {} --reason TEXT",
                job.spec.stream, job.status, job.spec.stream
            )),
        }
    }
    if allowed.is_empty() && !refused.is_empty() {
        return Err(Failure::new(Exit::Refused, refused.join("\n")));
    }
    for line in &refused {
        notices::warn(line);
    }
    Ok((allowed, !refused.is_empty()))
}

/// Due jobs may be held by a worker that died on another machine. Waits for the first lease to run out, unless its holder shows
/// that it is alive by renewing it.
async fn wait_for_leases(app: &App, store: &SharedStore, shard: Option<Shard>) -> Result<(), Failure> {
    if !store.due_jobs(1, shard).await?.is_empty() {
        return Ok(());
    }
    let held = store.due_but_leased(MOST_DUE, shard).await?;
    let Some(first) = held.iter().filter_map(|j| j.leased_until).min() else {
        return Ok(());
    };
    let longest = first.since(app.now()).min(app.settings.scheduler.lease) + LOOK_AGAIN;
    notices::tell(&format!(
        "{} due jobs are held by other workers; waiting up to {} s for a lease to end",
        held.len(),
        longest.as_secs() + 1
    ));
    let began = app.clock.monotonic();
    while app.clock.monotonic().saturating_sub(began) < longest {
        app.clock.sleep(LOOK_AGAIN).await;
        if !store.due_jobs(1, shard).await?.is_empty() {
            return Ok(());
        }
        let now_held = store.due_but_leased(MOST_DUE, shard).await?;
        if now_held.iter().filter_map(|j| j.leased_until).min().is_none_or(|until| until > first) {
            // Renewed: somebody alive is at work.
            return Ok(());
        }
    }
    Ok(())
}

/// Runs assignments, shows progress and results, and gives the exit code of all together.
///
/// # Errors
/// See [`Failure`].
pub async fn assignments(app: &App, store: SharedStore, assignments: Vec<Assignment>, out: Output) -> Done {
    all(app, store, assignments, &[], out).await
}

/// As [`assignments`]; `refused` are told beside the runs.
async fn all(app: &App, store: SharedStore, assignments: Vec<Assignment>, refused: &[PassedOver], out: Output) -> Done {
    let (exit, documents) = done(app, store, assignments).await?;
    if out.json {
        let document = if refused.is_empty() {
            json!({"runs": documents})
        } else {
            json!({"runs": documents, "refused": refused})
        };
        app.show(out, &document, |_| String::new())?;
    }
    Ok(exit)
}

/// As [`assignments`], with a document for each run instead of an answer on standard output.
///
/// # Errors
/// See [`Failure`].
pub async fn done(
    app: &App,
    store: SharedStore,
    assignments: Vec<Assignment>,
) -> Result<(Exit, Vec<serde_json::Value>), Failure> {
    let stop = lifecycle::stop_on_signals()?;
    let names: HashMap<JobId, (String, String)> = store
        .jobs(&JobFilter::default())
        .await?
        .into_iter()
        .map(|j| (j.id, (j.spec.connection_key, j.spec.stream)))
        .collect();
    let worker = app.worker(store)?;
    let board = Arc::new(ProgressBoard::of_stderr());
    let watch = |job: JobId| -> OnProgress {
        let (board, clock) = (Arc::clone(&board), Arc::clone(&app.clock));
        let (connection_key, stream) = names.get(&job).cloned().unwrap_or_default();
        let began = clock.monotonic();
        Arc::new(move |progress| {
            let now = clock.monotonic();
            let news = JobProgress {
                connection_key: connection_key.clone(),
                stream: stream.clone(),
                page: i64::try_from(progress.pages).unwrap_or(i64::MAX),
                counts: progress.counts,
                elapsed: now.saturating_sub(began),
                read: None,
                end: None,
            };
            board.update(now, news);
        })
    };
    let total = assignments.len();
    let mut reported = |report: &Result<Report, StoreError>| {
        if let Ok(Report::Ran(report)) = report {
            board.update(app.clock.monotonic(), ended(report));
        }
    };
    let at_once = usize::try_from(app.settings.scheduler.workers).unwrap_or(1);
    // First what has come in: a job has one lease, and may be pulled in the same pass.
    let (brought, asked): (Vec<_>, Vec<_>) =
        assignments.into_iter().partition(|one| matches!(one.task, Task::Intake { .. }));
    let mut reports = due::once(&worker, brought, at_once, &stop, &watch, &mut reported).await;
    reports.extend(due::once(&worker, asked, at_once, &stop, &watch, &mut reported).await);
    // A token that a provider has just given is written before this process ends.
    worker.vault.settled().await;
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    for report in &reports {
        let (one, document) = outcome(report);
        exit = exit.worse(one);
        documents.push(document);
    }
    if reports.len() < total {
        notices::tell(&format!("stopped: {} jobs were not begun", total - reports.len()));
        exit = exit.worse(Exit::TryLater);
    }
    Ok((exit, documents))
}

/// The last line of a run: how it ended, and what to do if it did not end well.
pub(super) fn ended(report: &RunReport) -> JobProgress {
    let mut end = format!("run {} {}", report.run, report.status);
    for part in [&report.code, &report.message].into_iter().flatten() {
        end.push_str(&format!(": {part}"));
    }
    if let Some(remedy) = &report.remedy {
        end.push_str(&format!("  do: {remedy}"));
    } else if report.counts.failed > 0 {
        end.push_str("  do: tidegate errors list --group");
    }
    JobProgress {
        connection_key: report.connection_key.clone(),
        stream: report.stream.clone(),
        page: i64::try_from(report.pages).unwrap_or(i64::MAX),
        counts: report.counts,
        elapsed: report.took,
        read: None,
        end: Some(end),
    }
}

fn document(report: &RunReport) -> serde_json::Value {
    let c = &report.counts;
    json!({
        "run": report.run, "connection": report.connection_key, "stream": report.stream, "status": report.status,
        "pages": report.pages, "records_seen": c.seen, "records_created": c.created, "records_updated": c.updated,
        "records_unchanged": c.unchanged, "records_duplicate": c.duplicate, "records_ignored": c.ignored,
        "records_failed": c.failed, "error_code": report.code, "error": report.message, "remedy": report.remedy,
        "seconds": report.took.as_secs_f64(),
    })
}

/// The exit code of a report, and its document; tells on standard error what was not run.
pub(super) fn outcome(report: &Result<Report, StoreError>) -> (Exit, serde_json::Value) {
    match report {
        Ok(Report::Ran(report)) => (of_run(report), document(report)),
        Ok(Report::Busy { connection_key, stream, holder, until }) => {
            let until = until.map_or_else(String::new, |u| format!(" until {u}"));
            notices::warn(&format!(
                "{connection_key} {stream}: held by {}{until}; not run",
                holder.as_deref().unwrap_or("another worker")
            ));
            (Exit::TryLater, json!({"connection": connection_key, "stream": stream, "status": "held"}))
        }
        Ok(Report::Quarantined { connection_key, stream }) => {
            notices::warn(&format!(
                "{connection_key} {stream}: quarantined, its worker died too often; see deploy/runbook.md, then: tidegate jobs resume"
            ));
            (Exit::Failed, json!({"connection": connection_key, "stream": stream, "status": "quarantined"}))
        }
        Err(_) => {
            let failure = match report {
                Err(StoreError::Unavailable(_)) => Exit::TryLater,
                _ => Exit::Internal,
            };
            if let Err(error) = report {
                notices::warn(&crate::telemetry::redact::scrub(&crate::telemetry::chain(error).to_string()));
            }
            (failure, json!({"status": "not_run"}))
        }
    }
}

fn of_run(report: &RunReport) -> Exit {
    match report.status {
        RunStatus::Succeeded if report.counts.failed == 0 => Exit::Done,
        RunStatus::Succeeded | RunStatus::Partial => Exit::Partial,
        RunStatus::Failed
            if [ErrorKind::Policy.code(), ErrorKind::Vault.code()]
                .contains(&report.code.as_deref().unwrap_or_default()) =>
        {
            Exit::Unsafe
        }
        RunStatus::Failed => Exit::Failed,
        RunStatus::Cancelled | RunStatus::Abandoned | RunStatus::Running => Exit::TryLater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_i_of_n_and_anything_else_is_refused() {
        assert_eq!(parse_shard("2/4").ok(), Some(Shard { index: 2, of: 4 }));
        assert_eq!(parse_shard("0/4").ok(), Some(Shard { index: 4, of: 4 }));
        for wrong in ["", "1", "0/0", "5/4", "a/b", "1/0", "-1/2", "1/2/3"] {
            assert!(parse_shard(wrong).is_err(), "{wrong}");
        }
    }
}

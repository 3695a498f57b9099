//! How runs end: once by whoever holds the lease, or as `abandoned` by whoever takes over. Final rows never change (P6),
//! so each UPDATE of a run here asks for `status = 'running'`.

use std::sync::Arc;

use super::{
    Connection as Session, Db,
    cells::{Cells, json_text},
    dialect::At,
    fault::Fault,
    imports, letter_retries,
    store::{Attempt, Outcome, Patience, Store},
    webhooks_settle,
};
use crate::{
    domain::{
        counts::Counts,
        ids::{JobId, RunId},
        status::{ImportStatus, RunStatus},
    },
    store::{
        StoreError,
        lease::{Lease, Orphan, RunEnd},
    },
};

/// Orphans that one sweep closes; the next sweep goes on.
const ORPHANS_AT_ONCE: i64 = 500;

const GIVE_BACK: &str = concat!(
    "update integration_sync_jobs
     set lease_until = null, lease_owner = null, term_id = null, attempts = 0,
         next_run_at = coalesce(?, next_run_at),
         consecutive_failures = case when ? is null then consecutive_failures when ? = 1 then consecutive_failures + 1 else 0 end,
         last_complete_at = case when ? = 1 then ",
    now!(),
    " else last_complete_at end,
         last_complete_seen = coalesce(?, last_complete_seen),
         resume_position = case when ? = 1 then null else resume_position end
     where id = ? and fence = ? and term_id = ? and lease_until > ",
    now!()
);
const END_RUN: &str = concat!(
    "update integration_sync_runs
     set status = ?, finished_at = ",
    now!(),
    ", error_code = ?, error_internal = ?, error_client_safe = ?, remedy = ?, unmapped_fields = ?,
         requests = requests + ?, retries = retries + ?, rate_limited_ms = rate_limited_ms + ?, bytes_in = bytes_in + ?,
         window_start = coalesce(?, window_start), window_end = coalesce(?, window_end),
         provider_total = coalesce(?, provider_total),
         cursor_after = (select j.cursor_state from integration_sync_jobs j where j.id = integration_sync_runs.job_id)
     where id = ? and job_id = ? and status = 'running'"
);
/// `connected` never lifts a pause, a revocation or the manual path; `needs_auth` only falls on what could run.
const SET_CONNECTION: &str = "update integration_connections set status = ?, status_reason = ?
    where id = (select j.connection_id from integration_sync_jobs j where j.id = ?)
      and status not in ('paused', 'revoked')
      and (? <> 'connected' or status in ('draft', 'testing', 'needs_auth', 'connected'))
      and (? <> 'needs_auth' or status in ('draft', 'testing', 'connected', 'manual_import', 'needs_auth'))";
const TESTED: &str = concat!(
    "update integration_connections set last_tested_at = ",
    now!(),
    " where id = (select j.connection_id from integration_sync_jobs j where j.id = ?)"
);
const COUNTS: &str = "select id, records_seen, records_created, records_updated, records_unchanged, records_duplicate,
    records_ignored, records_failed from integration_sync_runs where id = ?";
const FINISHED_BY_US: &str =
    "select id from integration_sync_runs where id = ? and job_id = ? and fence = ? and status = ?";
const RUNNING_OF_JOB: &str = "select id from integration_sync_runs where job_id = ? and status = 'running' order by id";
const ABANDON: &str = concat!(
    "update integration_sync_runs
     set status = 'abandoned', finished_at = ",
    now!(),
    ", error_code = 'abandoned', error_internal = ?,
         error_client_safe = 'The last update was interrupted and will be repeated.',
         remedy = 'Nothing to do: the next run goes on after the last committed page. If it happens again and again, look for what kills the worker (memory, time limits).',
         cursor_after = (select j.cursor_state from integration_sync_jobs j where j.id = integration_sync_runs.job_id)
     where id = ? and status = 'running'"
);
const ORPHANS: &str = concat!(
    "select r.id, r.job_id from integration_sync_runs r join integration_sync_jobs j on j.id = r.job_id
     where r.status = 'running'
       and (j.fence <> r.fence or j.lease_until is null or j.lease_until <= ",
    now!(),
    " or ",
    listed!("j.lease_owner"),
    ") order by r.id limit ?"
);
/// Raising the fence shuts the old holder out for good; a job without a schedule waits for its person.
const FREE_JOB: &str = concat!(
    "update integration_sync_jobs
     set fence = fence + 1, term_id = null, lease_owner = null, lease_until = null,
         next_run_at = case when schedule is not null and (next_run_at is null or next_run_at > ",
    now!(),
    ") then ",
    now!(),
    " else next_run_at end
     where id = ? and fence = (select r.fence from integration_sync_runs r where r.id = ?)
       and (lease_until is null or lease_until <= ",
    now!(),
    " or ",
    listed!("lease_owner"),
    ")"
);
/// Not an orphan (any more) when its job is held under its own fence.
const STILL_HELD: &str = concat!(
    "select r.id from integration_sync_runs r join integration_sync_jobs j on j.id = r.job_id
     where r.id = ? and j.fence = r.fence and j.lease_until > ",
    now!()
);

/// Gives the lease back and writes the run's end. `None`: the lease was gone, nothing is written.
pub(super) async fn finish(
    session: &mut Session,
    lease: &Lease,
    run: RunId,
    end: &RunEnd,
    attempt: Attempt,
) -> Result<Outcome<Option<Counts>>, Fault> {
    let failure = end.failure.map(i64::from);
    let complete = i64::from(end.complete);
    let given_back = sqlx::query::<Db>(GIVE_BACK)
        .bind(end.next_run_at.map(At))
        .bind(failure)
        .bind(failure)
        .bind(complete)
        .bind(end.listed)
        .bind(complete)
        .bind(lease.job.0)
        .bind(lease.fence)
        .bind(&lease.term_id)
        .execute(&mut *session)
        .await?
        .rows_affected();
    if given_back == 0 {
        let done = attempt.unsure && {
            let query = sqlx::query::<Db>(FINISHED_BY_US).bind(run.0).bind(lease.job.0).bind(lease.fence);
            query.bind(end.status.as_str()).fetch_optional(&mut *session).await?.is_some()
        };
        let counts = if done { Some(counts(session, run).await?) } else { None };
        return Ok(Outcome::RollBack(counts));
    }
    if write_end(session, lease, run, end).await? == 0 {
        return Ok(Outcome::RollBack(None));
    }
    imports::close(session, run, batch_status(end.status)).await?;
    if let Some((status, reason)) = &end.connection {
        let word = status.as_str();
        sqlx::query::<Db>(SET_CONNECTION)
            .bind(word)
            .bind(reason)
            .bind(lease.job.0)
            .bind(word)
            .bind(word)
            .execute(&mut *session)
            .await?;
    }
    if end.complete {
        letter_retries::past_pages(session, lease.job, run).await?;
        webhooks_settle::fetched(session, lease.job, run).await?;
    } else if let Some(letter) = &end.letter {
        letter_retries::of_page(session, lease.job, run, letter, end.next_run_at).await?;
    }
    if let Some(done) = end.due_letters {
        letter_retries::after_due(session, lease.job, run, done).await?;
    }
    if end.tested {
        sqlx::query::<Db>(TESTED).bind(lease.job.0).execute(&mut *session).await?;
    }
    Ok(Outcome::Commit(Some(counts(session, run).await?)))
}

/// What a file is whose run ended so.
fn batch_status(run: RunStatus) -> ImportStatus {
    match run {
        RunStatus::Succeeded => ImportStatus::Completed,
        RunStatus::Partial => ImportStatus::Partial,
        RunStatus::Failed => ImportStatus::Failed,
        RunStatus::Running | RunStatus::Cancelled | RunStatus::Abandoned => ImportStatus::Abandoned,
    }
}

async fn write_end(session: &mut Session, lease: &Lease, run: RunId, end: &RunEnd) -> Result<u64, Fault> {
    let result = sqlx::query::<Db>(END_RUN)
        .bind(end.status.as_str())
        .bind(&end.error_code)
        .bind(&end.error_internal)
        .bind(&end.error_client_safe)
        .bind(&end.remedy)
        .bind(end.unmapped_fields.as_ref().map(json_text))
        .bind(end.traffic.requests)
        .bind(end.traffic.retries)
        .bind(end.traffic.rate_limited_ms)
        .bind(end.traffic.bytes_in)
        .bind(end.window.map(|window| At(window.0)))
        .bind(end.window.map(|window| At(window.1)))
        .bind(end.provider_total)
        .bind(run.0)
        .bind(lease.job.0)
        .execute(session)
        .await?;
    Ok(result.rows_affected())
}

async fn counts(session: &mut Session, run: RunId) -> Result<Counts, Fault> {
    let row = sqlx::query::<Db>(COUNTS).bind(run.0).fetch_one(session).await?;
    Cells::of("integration_sync_runs", &row).counts()
}

/// Closes the runs of a job that are still `running`; the caller holds the job's row.
pub(super) async fn abandon(session: &mut Session, job: JobId, why: &str) -> Result<Vec<RunId>, Fault> {
    let runs: Vec<i64> = sqlx::query_scalar::<Db, i64>(RUNNING_OF_JOB).bind(job.0).fetch_all(&mut *session).await?;
    for run in &runs {
        sqlx::query::<Db>(ABANDON).bind(why).bind(run).execute(&mut *session).await?;
        imports::close(session, RunId(*run), ImportStatus::Abandoned).await?;
    }
    Ok(runs.into_iter().map(RunId).collect())
}

/// Closes runs whose holder is gone, each in its own transaction.
pub(super) async fn recover(store: &Store, dead_owners: &[String]) -> Result<Vec<Orphan>, StoreError> {
    let dead: Arc<str> = json_text(&serde_json::Value::from(dead_owners)).into();
    let listed = Arc::clone(&dead);
    let candidates = store
        .read("look for orphaned runs", async {
            let query = sqlx::query::<Db>(ORPHANS).bind(listed).bind(ORPHANS_AT_ONCE);
            let rows = store.inner.rows(query).await?;
            rows.iter()
                .map(|row| {
                    let cells = Cells::of("integration_sync_runs", row);
                    Ok(Orphan { run: RunId(cells.int("id")?), job: JobId(cells.int("job_id")?) })
                })
                .collect::<Result<Vec<_>, Fault>>()
        })
        .await?;
    let mut closed = Vec::new();
    for orphan in candidates {
        let (dead, run, job) = (Arc::clone(&dead), orphan.run, orphan.job);
        let ours = store
            .write("close an orphaned run", Patience::Short, move |session, _| {
                let dead = Arc::clone(&dead);
                Box::pin(async move { close(session, run, job, &dead).await })
            })
            .await?;
        if ours {
            closed.push(orphan);
        }
    }
    Ok(closed)
}

async fn close(session: &mut Session, run: RunId, job: JobId, dead: &str) -> Result<Outcome<bool>, Fault> {
    let freed =
        sqlx::query::<Db>(FREE_JOB).bind(job.0).bind(run.0).bind(dead).execute(&mut *session).await?.rows_affected();
    if freed == 0 && sqlx::query::<Db>(STILL_HELD).bind(run.0).fetch_optional(&mut *session).await?.is_some() {
        return Ok(Outcome::RollBack(false));
    }
    let why = "its worker died, or lost its lease without a word";
    let closed = sqlx::query::<Db>(ABANDON).bind(why).bind(run.0).execute(&mut *session).await?.rows_affected();
    if closed == 1 {
        imports::close(session, run, ImportStatus::Abandoned).await?;
    }
    Ok(if closed == 1 { Outcome::Commit(true) } else { Outcome::RollBack(false) })
}

//! Jobs, runs, raw events and dead letters as the quality checks read them.
//!
//! Runs are read newest first through `ix_integration_sync_runs_connection (connection_id, client_id)` or
//! `ix_integration_sync_runs_job (job_id)`, which both engines keep in the order of ids within a key, and never more than a bound;
//! raw events and links through their run.

use super::{
    Db,
    cells::Cells,
    dialect::At,
    fault::Fault,
    store::{Inner, Statement},
};
use crate::{
    domain::{
        clock::Timestamp,
        counts::Counts,
        ids::RunId,
        status::{JobStatus, RunOrigin, RunStatus},
    },
    store::quality::{DayVolume, JobFreshness, LetterLoad, NewestEnd, RunTally, StreamHistory, Undelivered, Whose},
};

/// Runs that read live data from the provider.
macro_rules! live {
    () => {
        "origin in ('schedule', 'manual', 'backfill', 'webhook', 'import')"
    };
}
/// The newest runs of a connection that are over.
macro_rules! recent {
    () => {
        "(select id from integration_sync_runs where connection_id = ? and client_id = ? and status <> 'running' order by id desc limit ?)"
    };
}
/// Dead letters that somebody has to act on; the index then is ix_integration_sync_errors_connection.
macro_rules! waiting {
    () => {
        "status in ('open', 'retry_scheduled', 'exhausted')"
    };
}

const JOBS: &str =
    "select id, stream, status, schedule, last_complete_at, stale_after_seconds from integration_sync_jobs
    where connection_id = ? and client_id = ? order by stream";
const COMPLETE: &str = concat!(
    "select records_seen from integration_sync_runs
     where job_id = ? and connection_id = ? and client_id = ? and status = 'succeeded' and ",
    live!(),
    " order by id desc limit ?"
);
const LAST_SEEN: &str = concat!(
    "select started_at from integration_sync_runs
     where job_id = ? and connection_id = ? and client_id = ? and status <> 'running' and records_seen > 0 and ",
    live!(),
    " order by id desc limit 1"
);
const NEWEST_END: &str = concat!(
    "select id, status from integration_sync_runs
     where job_id = ? and connection_id = ? and client_id = ? and status <> 'running' and ",
    live!(),
    " order by id desc limit 1"
);
/// Raw events through ix_integration_raw_events_run, links through ix_integration_object_links_first_run: both index-only.
const TALLIES: &str = concat!(
    "select r.*, (select count(*) from integration_raw_events e where e.run_id = r.id) as raw_rows,
            (select count(*) from integration_object_links l where l.first_run_id = r.id) as links
     from ",
    recent!(),
    " newest join integration_sync_runs r on r.id = newest.id where r.connection_id = ? and r.client_id = ? order by r.id desc"
);
/// Through the ledger's primary key.
const LEDGERS: &str = concat!(
    "select p.run_id, cast(sum(p.records_seen) as signed) as records_seen,
            cast(sum(p.records_created) as signed) as records_created,
            cast(sum(p.records_updated) as signed) as records_updated,
            cast(sum(p.records_unchanged) as signed) as records_unchanged,
            cast(sum(p.records_duplicate) as signed) as records_duplicate,
            cast(sum(p.records_ignored) as signed) as records_ignored,
            cast(sum(p.records_failed) as signed) as records_failed
     from ",
    recent!(),
    " newest join integration_sync_pages p on p.run_id = newest.id group by p.run_id"
);
const PENDING: &str = concat!(
    "select count(*) from ",
    recent!(),
    " newest join integration_raw_events e on e.run_id = newest.id
     where e.status = 'pending' and e.connection_id = ? and e.client_id = ?"
);
/// The item's letter, whatever became of it: through uq_integration_sync_errors_open.
const WITHOUT_LETTER: &str = concat!(
    "select count(*) from ",
    recent!(),
    " newest join integration_raw_events e on e.run_id = newest.id
     left join integration_sync_errors d on d.connection_id = e.connection_id and d.stream = e.stream
      and d.external_id = e.external_id and d.payload_hash = e.payload_hash
     where e.status = 'failed' and e.connection_id = ? and e.client_id = ? and d.id is null"
);
const WITHOUT_REASON: &str = concat!(
    "select count(*) from ",
    recent!(),
    " newest join integration_raw_events e on e.run_id = newest.id
     where e.status = 'ignored' and e.connection_id = ? and e.client_id = ? and trim(coalesce(e.reason, '')) = ''"
);
const LETTERS: &str =
    concat!("select count(*) from integration_sync_errors where connection_id = ? and client_id = ? and ", waiting!());
const LETTERS_OF: &str = concat!(
    "select count(*) from integration_sync_errors where connection_id = ? and client_id = ? and error_code = ? and ",
    waiting!()
);
const RECORDS: &str = "select count(*) from integration_object_links where connection_id = ? and client_id = ?";
const DAYS: &str = concat!(
    "select cast(date(started_at) as char(10)) as day, cast(sum(records_created + records_updated) as signed) as written
     from (select started_at, status, origin, records_created, records_updated from integration_sync_runs
           where connection_id = ? and client_id = ? order by id desc limit 20000) newest
     where started_at >= ? and status <> 'running' and ",
    live!(),
    " group by date(started_at) order by date(started_at)"
);

/// Binds the newest `runs` runs of a connection, and the connection again for what is read of them.
fn of_recent<'q>(text: &'static str, of: Whose, runs: u32) -> Statement<'q> {
    sqlx::query::<Db>(text)
        .bind(of.connection.0)
        .bind(of.client.0)
        .bind(i64::from(runs))
        .bind(of.connection.0)
        .bind(of.client.0)
}

struct JobRow {
    id: i64,
    freshness: JobFreshness,
}

async fn jobs(inner: &Inner, of: Whose) -> Result<Vec<JobRow>, Fault> {
    let rows = inner.rows(sqlx::query::<Db>(JOBS).bind(of.connection.0).bind(of.client.0)).await?;
    rows.iter()
        .map(|row| {
            let cells = Cells::of("integration_sync_jobs", row);
            Ok(JobRow {
                id: cells.int("id")?,
                freshness: JobFreshness {
                    stream: cells.text("stream")?,
                    status: cells.word("status")?,
                    scheduled: cells.opt_text("schedule")?.is_some_and(|schedule| schedule != "manual"),
                    last_complete_at: cells.opt_at("last_complete_at")?,
                    stale_after_seconds: cells.opt_int("stale_after_seconds")?,
                },
            })
        })
        .collect()
}

async fn active(inner: &Inner, of: Whose) -> Result<Vec<(i64, String)>, Fault> {
    let jobs = jobs(inner, of).await?.into_iter().filter(|job| job.freshness.status == JobStatus::Active);
    Ok(jobs.map(|job| (job.id, job.freshness.stream)).collect())
}

pub(super) async fn job_freshness(inner: &Inner, of: Whose) -> Result<Vec<JobFreshness>, Fault> {
    Ok(jobs(inner, of).await?.into_iter().map(|job| job.freshness).collect())
}

pub(super) async fn stream_history(inner: &Inner, of: Whose, runs: u32) -> Result<Vec<StreamHistory>, Fault> {
    let mut histories = Vec::new();
    for (job, stream) in active(inner, of).await? {
        let of_job = |text: &'static str| sqlx::query::<Db>(text).bind(job).bind(of.connection.0).bind(of.client.0);
        let complete = inner.rows(of_job(COMPLETE).bind(i64::from(runs))).await?;
        let seen = complete.iter().map(|row| Cells::of("integration_sync_runs", row).int("records_seen"));
        let last = inner.row(of_job(LAST_SEEN)).await?;
        histories.push(StreamHistory {
            stream,
            seen: seen.collect::<Result<_, _>>()?,
            last_seen_at: last.map(|row| Cells::of("integration_sync_runs", &row).at("started_at")).transpose()?,
        });
    }
    Ok(histories)
}

pub(super) async fn newest_ends(inner: &Inner, of: Whose) -> Result<Vec<NewestEnd>, Fault> {
    let mut ends = Vec::new();
    for (job, stream) in active(inner, of).await? {
        let query = sqlx::query::<Db>(NEWEST_END).bind(job).bind(of.connection.0).bind(of.client.0);
        let run = match inner.row(query).await? {
            None => None,
            Some(row) => {
                let cells = Cells::of("integration_sync_runs", &row);
                Some((RunId(cells.int("id")?), cells.word::<RunStatus>("status")?))
            }
        };
        ends.push(NewestEnd { stream, run });
    }
    Ok(ends)
}

pub(super) async fn run_tallies(inner: &Inner, of: Whose, runs: u32) -> Result<Vec<RunTally>, Fault> {
    let mut ledgers = std::collections::HashMap::new();
    let query = sqlx::query::<Db>(LEDGERS).bind(of.connection.0).bind(of.client.0).bind(i64::from(runs));
    for row in inner.rows(query).await? {
        let cells = Cells::of("integration_sync_pages", &row);
        ledgers.insert(cells.int("run_id")?, cells.counts()?);
    }
    let rows = inner.rows(of_recent(TALLIES, of, runs)).await?;
    rows.iter()
        .map(|row| {
            let cells = Cells::of("integration_sync_runs", row);
            let id = cells.int("id")?;
            let (origin, status): (RunOrigin, RunStatus) = (cells.word("origin")?, cells.word("status")?);
            let raw = cells.int("raw_rows")?;
            Ok(RunTally {
                run: RunId(id),
                stream: cells.text("stream")?,
                counts: cells.counts()?,
                whole_pull: status == RunStatus::Succeeded
                    && !matches!(origin, RunOrigin::TestBatch | RunOrigin::Replay),
                provider_total: cells.opt_int("provider_total")?,
                ledger: ledgers.get(&id).copied().unwrap_or(Counts::default()),
                raw: (origin != RunOrigin::Replay).then_some(raw),
                links: cells.int("links")?,
            })
        })
        .collect()
}

pub(super) async fn undelivered(inner: &Inner, of: Whose, runs: u32) -> Result<Undelivered, Fault> {
    Ok(Undelivered {
        pending: inner.number(of_recent(PENDING, of, runs)).await?,
        failed_without_letter: inner.number(of_recent(WITHOUT_LETTER, of, runs)).await?,
    })
}

pub(super) async fn ignored_without_reason(inner: &Inner, of: Whose, runs: u32) -> Result<i64, Fault> {
    inner.number(of_recent(WITHOUT_REASON, of, runs)).await
}

pub(super) async fn letter_load(inner: &Inner, of: Whose) -> Result<LetterLoad, Fault> {
    let bound = |text: &'static str| sqlx::query::<Db>(text).bind(of.connection.0).bind(of.client.0);
    Ok(LetterLoad { open: inner.number(bound(LETTERS)).await?, records: inner.number(bound(RECORDS)).await? })
}

pub(super) async fn open_letters_of(inner: &Inner, of: Whose, error_code: &str) -> Result<i64, Fault> {
    let query = sqlx::query::<Db>(LETTERS_OF).bind(of.connection.0).bind(of.client.0).bind(error_code);
    inner.number(query).await
}

pub(super) async fn daily_volume(inner: &Inner, of: Whose, since: Timestamp) -> Result<Vec<DayVolume>, Fault> {
    let query = sqlx::query::<Db>(DAYS).bind(of.connection.0).bind(of.client.0).bind(At(since));
    let rows = inner.rows(query).await?;
    rows.iter()
        .map(|row| {
            let cells = Cells::of("integration_sync_runs", row);
            Ok(DayVolume { day: cells.text("day")?, written: cells.int("written")? })
        })
        .collect()
}

//! When dead letters are tried again by themselves, and the letters of pages: those that are no record.
//!
//! How often and how long is `domain::retry`'s table; here it is held against what the row says of the tries before. All of it is rare, so it
//! is done letter by letter.

use super::{
    Connection as Session, Db,
    cells::{Cells, micros},
    dialect::At,
    fault::Fault,
};
use crate::{
    domain::{
        clock::Timestamp,
        ids::{JobId, RunId},
        retry::{RETRIES, WaitsFor, wait_after, waits_for},
        status::{DeadLetterStatus, RunOrigin},
    },
    store::{
        lease::PageLetter,
        page::{DeadLetterWrite, PageScope},
    },
};

const ORIGIN: &str = "select origin from integration_sync_runs where id = ? and job_id = ?";
const STANDS: &str = "select id, retries, status, next_retry_at from integration_sync_errors
    where connection_id = ? and stream = ? and external_id = ? and payload_hash = ? and open_slot = 1";
const SCHEDULE: &str = concat!(
    "update integration_sync_errors set retries = ?, status = ?, next_retry_at = ",
    maybe_now_plus_micros!(),
    " where connection_id = ? and stream = ? and external_id = ? and payload_hash = ? and open_slot = 1"
);
/// As it was: only a retry moves it on.
const KEEP: &str = "update integration_sync_errors set status = ?, next_retry_at = ?
    where connection_id = ? and stream = ? and external_id = ? and payload_hash = ? and open_slot = 1";

const INSERT_PAGE_LETTER: &str = concat!(
    "insert into integration_sync_errors
         (run_id, job_id, connection_id, client_id, origin, stage, stream, external_id, fingerprint, error_code, message_internal,
          message_client_safe, remedy, payload_hash, attempts, first_seen_at, last_seen_at, next_retry_at, status)
     select r.id, r.job_id, r.connection_id, r.client_id, 'pull', ?, r.stream, ?, ?, ?, ?, ?, ?, ?, 1, ",
    now!(),
    ", ",
    now!(),
    ", ?, ? from integration_sync_runs r where r.id = ? and r.job_id = ?"
);
const PAGE_LETTER: &str = "select e.id, e.retries from integration_sync_errors e
    join integration_sync_jobs j on j.id = e.job_id and j.connection_id = e.connection_id
    where e.job_id = ? and e.stream = j.stream and e.external_id = ? and e.payload_hash = ? and e.open_slot = 1";
const REPEAT_PAGE_LETTER: &str = concat!(
    "update integration_sync_errors set run_id = ?, stage = ?, fingerprint = ?, error_code = ?, message_internal = ?,
         message_client_safe = ?, remedy = ?, attempts = attempts + 1, retries = retries + 1, last_seen_at = ",
    now!(),
    ", next_retry_at = ?, status = ? where id = ? and job_id = ?"
);
const PAST_PAGES: &str = concat!(
    "update integration_sync_errors set status = 'resolved', resolved_at = ",
    now!(),
    ", resolved_by = ?, next_retry_at = null
     where job_id = ? and open_slot = 1 and raw_event_id is null and stage in ('fetch', 'decode')"
);

/// Due since before the run, and still so.
macro_rules! left_due {
    () => {
        " where job_id = ? and status = 'retry_scheduled' and raw_event_id is not null
            and next_retry_at <= (select r.started_at from integration_sync_runs r where r.id = ?)"
    };
}
const WAIT_ON: &str = concat!("update integration_sync_errors set next_retry_at = ", now_plus_micros!(), left_due!());
const TO_PEOPLE: &str =
    concat!("update integration_sync_errors set status = 'open', next_retry_at = null", left_due!());

/// A letter of a page that time may heal, and how it stood before.
pub(super) struct Timed {
    external_id: String,
    payload_hash: String,
    before: Option<(i64, DeadLetterStatus, Option<Timestamp>)>,
}

/// How those of a page's letters stand that time may heal; the others wait for something else.
pub(super) async fn before(
    session: &mut Session,
    scope: &PageScope,
    letters: &[DeadLetterWrite],
) -> Result<Vec<Timed>, Fault> {
    let mut timed = Vec::new();
    for letter in letters.iter().filter(|letter| waits_for(&letter.error_code) == WaitsFor::Time) {
        let row = sqlx::query::<Db>(STANDS)
            .bind(scope.connection_id.0)
            .bind(&scope.stream)
            .bind(&letter.external_id)
            .bind(&letter.payload_hash)
            .fetch_optional(&mut *session)
            .await?;
        let before = row.map(|row| {
            let cells = Cells::of("integration_sync_errors", &row);
            Ok::<_, Fault>((cells.int("retries")?, cells.word("status")?, cells.opt_at("next_retry_at")?))
        });
        timed.push(Timed {
            external_id: letter.external_id.clone(),
            payload_hash: letter.payload_hash.clone(),
            before: before.transpose()?,
        });
    }
    Ok(timed)
}

/// Says when they are tried again, once they are written. A run that is no replay saw them by chance: it moves no retry.
pub(super) async fn schedule(session: &mut Session, scope: &PageScope, timed: Vec<Timed>) -> Result<(), Fault> {
    if timed.is_empty() {
        return Ok(());
    }
    let query = sqlx::query::<Db>(ORIGIN).bind(scope.run.0).bind(scope.lease.job.0);
    let row = query.fetch_one(&mut *session).await?;
    let replay = Cells::of("integration_sync_runs", &row).word::<RunOrigin>("origin")? == RunOrigin::Replay;
    for Timed { external_id, payload_hash, before } in timed {
        let query = match before {
            Some((_, status, next)) if !replay && status != DeadLetterStatus::Open => {
                sqlx::query::<Db>(KEEP).bind(status.as_str()).bind(next.map(At))
            }
            _ => {
                let made = before.map_or(0, |(made, ..)| made) + i64::from(replay && before.is_some());
                let wait = wait_after(made, rand::random());
                let status =
                    if wait.is_some() { DeadLetterStatus::RetryScheduled } else { DeadLetterStatus::Exhausted };
                let wait = wait.map(micros);
                sqlx::query::<Db>(SCHEDULE).bind(made.min(RETRIES)).bind(status.as_str()).bind(wait).bind(wait)
            }
        };
        query
            .bind(scope.connection_id.0)
            .bind(&scope.stream)
            .bind(external_id)
            .bind(payload_hash)
            .execute(&mut *session)
            .await?;
    }
    Ok(())
}

/// What a replay of due letters has not moved is due no longer. After a run that went wrong they wait as after a first failure; else their raw
/// events are gone, and they wait for a person.
pub(super) async fn after_due(session: &mut Session, job: JobId, run: RunId, done: bool) -> Result<(), Fault> {
    let query = match wait_after(0, rand::random()).filter(|_| !done) {
        Some(wait) => sqlx::query::<Db>(WAIT_ON).bind(micros(wait)),
        None => sqlx::query::<Db>(TO_PEOPLE),
    };
    query.bind(job.0).bind(run.0).execute(session).await?;
    Ok(())
}

/// Opens the letter of a page that could not be read, or counts one that is open again. The caller holds the job. Its retry is the job's next
/// run, at `next`; a job without one waits for a person.
pub(super) async fn of_page(
    session: &mut Session,
    job: JobId,
    run: RunId,
    letter: &PageLetter,
    next: Option<Timestamp>,
) -> Result<(), Fault> {
    let query = sqlx::query::<Db>(PAGE_LETTER).bind(job.0).bind(&letter.place).bind(&letter.place_hash);
    let stands = query.fetch_optional(&mut *session).await?;
    let stands = stands.map(|row| {
        let cells = Cells::of("integration_sync_errors", &row);
        Ok::<_, Fault>((cells.int("id")?, cells.int("retries")?))
    });
    let stands = stands.transpose()?;
    let made = stands.map_or(0, |(_, made)| made + 1);
    let (status, next) = match next {
        _ if made >= RETRIES => (DeadLetterStatus::Exhausted, None),
        Some(next) => (DeadLetterStatus::RetryScheduled, Some(next)),
        None => (DeadLetterStatus::Open, None),
    };
    let texts = [
        &letter.fingerprint,
        &letter.error_code,
        &letter.message_internal,
        &letter.message_client_safe,
        &letter.remedy,
    ];
    let mut query = match stands {
        None => sqlx::query::<Db>(INSERT_PAGE_LETTER).bind(letter.stage.as_str()).bind(&letter.place),
        Some(_) => sqlx::query::<Db>(REPEAT_PAGE_LETTER).bind(run.0).bind(letter.stage.as_str()),
    };
    for text in texts {
        query = query.bind(text);
    }
    query = match stands {
        None => query.bind(&letter.place_hash).bind(next.map(At)).bind(status.as_str()).bind(run.0),
        Some((id, _)) => query.bind(next.map(At)).bind(status.as_str()).bind(id),
    };
    query.bind(job.0).execute(session).await?;
    Ok(())
}

/// A run of the job read all there was, so it has gone past every place where a page failed.
pub(super) async fn past_pages(session: &mut Session, job: JobId, run: RunId) -> Result<(), Fault> {
    sqlx::query::<Db>(PAST_PAGES).bind(format!("run {run}")).bind(job.0).execute(session).await?;
    Ok(())
}

//! What alert rules look at, over all connections at once, and the numbers of a scrape.
//!
//! Each statement walks rows that are few (open, held, failing) or jumps to the newest row of a connection by an index, so that a
//! thousand idle jobs cost milliseconds. Runs are looked at from the newest back, never the whole table.

use std::time::Duration;

use super::{Db, cells::Cells, dialect::At, fault::Fault, store::Store};
use crate::{
    domain::{
        clock::Timestamp,
        ids::{ClientId, ConnectionId},
    },
    store::alerts::{
        AlertFacts, BrokenJobFact, CheckFact, ControlFact, DeadLetterFact, Gauges, HeldFact, LateFact, NeedsAuthFact,
        ThrottleFact, Whose,
    },
};

macro_rules! whose {
    () => {
        "c.id as connection_id, c.client_id, c.connection_key, c.owner, cl.client_key"
    };
}
/// A client that is there, and a connection that was not ended for good.
macro_rules! lives {
    () => {
        "cl.status = 'active' and c.status <> 'revoked'"
    };
}

const LATE: &str = concat!(
    "select ",
    whose!(),
    ", j.stream, j.stale_after_seconds, j.last_complete_at, j.next_run_at, c.activated_at,
       (select r.started_at from integration_sync_runs r
        where r.job_id = j.id and r.origin <> 'test_batch' order by r.id limit 1) as first_run_at ",
    jobs_with_owners!(),
    " where j.status = 'active' and j.stale_after_seconds is not null and ",
    runnable!(),
    " and (j.last_complete_at is null or ",
    micros_between!("j.last_complete_at", "?"),
    " > j.stale_after_seconds * 1000000) order by j.id"
);
const BROKEN_JOBS: &str = concat!(
    "select ",
    whose!(),
    ", j.stream, j.status, j.consecutive_failures, case when ",
    runnable!(),
    " then 1 else 0 end as runnable, r.started_at as last_run_at, r.error_code ",
    jobs_with_owners!(),
    " left join integration_sync_runs r on r.id = (select max(x.id) from integration_sync_runs x where x.job_id = j.id)
     where (j.status = 'quarantined' or j.status = 'active' and j.consecutive_failures > 0) and ",
    lives!(),
    " order by j.id"
);
const NEEDS_AUTH: &str = concat!(
    "select ",
    whose!(),
    ", (select r.finished_at from integration_sync_runs r
        where r.connection_id = c.id and r.error_code = 'auth_failed' order by r.id desc limit 1) as since
     from integration_connections c join core_clients cl on cl.id = c.client_id
     where c.status = 'needs_auth' and cl.status = 'active' order by c.id"
);
const THROTTLED: &str = concat!(
    "select ",
    whose!(),
    ", count(*) as runs, cast(sum(r.rate_limited_ms) as signed) as limited_ms,
       cast(sum(",
    micros_between!("r.started_at", "r.finished_at"),
    ") as signed) as total_micros, min(r.started_at) as since
     from (select connection_id, status, started_at, finished_at, rate_limited_ms
           from integration_sync_runs order by id desc limit 5000) r
     join integration_connections c on c.id = r.connection_id
     join core_clients cl on cl.id = c.client_id
     where r.status <> 'running' and r.finished_at >= ? and ",
    lives!(),
    " group by c.id, c.client_id, c.connection_key, c.owner, cl.client_key having sum(r.rate_limited_ms) > 0 order by c.id"
);
const DEAD_LETTERS: &str = concat!(
    "select ",
    whose!(),
    ", e.stream, count(*) as open_letters, cast(sum(case when e.status = 'exhausted' then 1 else 0 end) as signed) as exhausted,
       min(e.first_seen_at) as since
     from integration_sync_errors e
     join integration_connections c on c.id = e.connection_id
     join core_clients cl on cl.id = c.client_id
     where e.status in ('open', 'retry_scheduled', 'exhausted') and ",
    lives!(),
    " group by c.id, c.client_id, c.connection_key, c.owner, cl.client_key, e.stream order by c.id, e.stream"
);
const CHECKS: &str = concat!(
    "select ",
    whose!(),
    ", q.check_key, q.status, q.checked_at
     from integration_connections c
     join core_clients cl on cl.id = c.client_id
     join data_quality_checks n on n.id = (select x.id from data_quality_checks x
                                           where x.connection_id = c.id order by x.id desc limit 1)
     join data_quality_checks q on q.evaluation_id = n.evaluation_id and q.connection_id = c.id and q.client_id = c.client_id
     where q.severity = 'error' and q.status in ('failed', 'errored') and ",
    lives!(),
    " order by q.id"
);
const CONTROLS: &str = "select k.control_key, k.status, k.owner as control_owner, coalesce(k.checked_at, k.evidence_at) as since,
       k.connection_id, k.client_id, c.connection_key, c.owner, cl.client_key
     from launch_controls k
     left join integration_connections c on c.id = k.connection_id and c.client_id = k.client_id
     left join core_clients cl on cl.id = c.client_id
     where k.status in ('review_due', 'failed') and (k.connection_id is null or c.status <> 'revoked' and cl.status = 'active')
     order by k.id";
const HELD: &str = concat!(
    "select ",
    whose!(),
    ", m.metric_key, m.source_label, m.published_at
     from report_metrics m
     join integration_connections c on c.id = m.connection_id and c.client_id = m.client_id
     join core_clients cl on cl.id = c.client_id
     where m.status = 'held' and ",
    lives!(),
    " order by m.id"
);
const OPEN_LETTERS: &str = "select c.provider_key, count(*) as open_letters
     from integration_sync_errors e join integration_connections c on c.id = e.connection_id
     where e.status in ('open', 'retry_scheduled', 'exhausted') group by c.provider_key order by c.provider_key";
const OPEN_ALERTS: &str = "select rule_key, severity, count(*) as open_alerts from integration_alerts
     where open_slot = 1 and opened_at is not null group by rule_key, severity order by rule_key, severity";
const DUE: &str = concat!(
    "select count(*) ",
    jobs_with_owners!(),
    " where j.status = 'active' and j.next_run_at <= ",
    now!(),
    " and (j.lease_until is null or j.lease_until <= ",
    now!(),
    ") and ",
    runnable!()
);

impl Store {
    pub(super) async fn read_late_jobs(&self, now: Timestamp) -> Result<Vec<LateFact>, Fault> {
        let rows = self.inner.rows(sqlx::query::<Db>(LATE).bind(At(now))).await?;
        rows.iter()
            .map(|row| {
                let cells = Cells::of("integration_sync_jobs", row);
                let begun = match cells.opt_at("first_run_at")? {
                    Some(at) => Some(at),
                    None => cells.opt_at("next_run_at")?,
                };
                let live = cells.opt_at("activated_at")?;
                Ok(LateFact {
                    whose: whose(&cells)?,
                    stream: cells.text("stream")?,
                    stale_after: Duration::from_secs(u64::try_from(cells.int("stale_after_seconds")?).unwrap_or(0)),
                    last_complete_at: cells.opt_at("last_complete_at")?,
                    begun_at: begun.map(|at| live.map_or(at, |live| live.max(at))),
                })
            })
            .collect()
    }

    pub(super) async fn read_facts(&self, now: Timestamp) -> Result<AlertFacts, Fault> {
        let broken = self.inner.rows(sqlx::query(BROKEN_JOBS)).await?;
        let needs_auth = self.inner.rows(sqlx::query(NEEDS_AUTH)).await?;
        let letters = self.inner.rows(sqlx::query(DEAD_LETTERS)).await?;
        let checks = self.inner.rows(sqlx::query(CHECKS)).await?;
        let controls = self.inner.rows(sqlx::query(CONTROLS)).await?;
        let held = self.inner.rows(sqlx::query(HELD)).await?;
        Ok(AlertFacts {
            late: self.read_late_jobs(now).await?,
            broken_jobs: each(&broken, "integration_sync_jobs", broken_job)?,
            needs_auth: each(&needs_auth, "integration_connections", |cells| {
                Ok(NeedsAuthFact { whose: whose(cells)?, since: cells.opt_at("since")? })
            })?,
            dead_letters: each(&letters, "integration_sync_errors", |cells| {
                Ok(DeadLetterFact {
                    whose: whose(cells)?,
                    stream: cells.text("stream")?,
                    open: cells.int("open_letters")?,
                    exhausted: cells.int("exhausted")?,
                    since: cells.at("since")?,
                })
            })?,
            checks: each(&checks, "data_quality_checks", |cells| {
                Ok(CheckFact {
                    whose: whose(cells)?,
                    check_key: cells.text("check_key")?,
                    status: cells.word("status")?,
                    checked_at: cells.at("checked_at")?,
                })
            })?,
            controls: each(&controls, "launch_controls", |cells| {
                let whose = if cells.opt_int("connection_id")?.is_some() { Some(whose(cells)?) } else { None };
                Ok(ControlFact {
                    whose,
                    control_key: cells.text("control_key")?,
                    status: cells.word("status")?,
                    owner: cells.opt_text("control_owner")?,
                    since: cells.opt_at("since")?,
                })
            })?,
            held: each(&held, "report_metrics", |cells| {
                Ok(HeldFact {
                    whose: whose(cells)?,
                    metric_key: cells.text("metric_key")?,
                    source_label: cells.text("source_label")?,
                    published_at: cells.opt_at("published_at")?,
                })
            })?,
        })
    }

    pub(super) async fn read_throttled(&self, since: Timestamp) -> Result<Vec<ThrottleFact>, Fault> {
        let rows = self.inner.rows(sqlx::query::<Db>(THROTTLED).bind(At(since))).await?;
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        each(&rows, "integration_sync_runs", |cells| {
            Ok(ThrottleFact {
                whose: whose(cells)?,
                runs: cells.int("runs")?,
                limited: Duration::from_millis(positive(cells.int("limited_ms")?)),
                total: Duration::from_micros(positive(cells.int("total_micros")?)),
                since: cells.at("since")?,
            })
        })
    }

    pub(super) async fn read_gauges(&self) -> Result<Gauges, Fault> {
        let letters = self.inner.rows(sqlx::query(OPEN_LETTERS)).await?;
        let alerts = self.inner.rows(sqlx::query(OPEN_ALERTS)).await?;
        Ok(Gauges {
            dead_letters: each(&letters, "integration_sync_errors", |cells| {
                Ok((cells.text("provider_key")?, cells.int("open_letters")?))
            })?,
            alerts: each(&alerts, "integration_alerts", |cells| {
                Ok((cells.text("rule_key")?, cells.word("severity")?, cells.int("open_alerts")?))
            })?,
            due: self.inner.number(sqlx::query(DUE)).await?,
        })
    }
}

fn each<T>(
    rows: &[super::Row],
    table: &'static str,
    read: impl Fn(&Cells<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    rows.iter().map(|row| read(&Cells::of(table, row))).collect()
}

fn whose(cells: &Cells<'_>) -> Result<Whose, Fault> {
    Ok(Whose {
        connection_id: ConnectionId(cells.int("connection_id")?),
        client_id: ClientId(cells.int("client_id")?),
        connection_key: cells.text("connection_key")?,
        client_key: cells.text("client_key")?,
        owner: cells.opt_text("owner")?,
    })
}

fn broken_job(cells: &Cells<'_>) -> Result<BrokenJobFact, Fault> {
    Ok(BrokenJobFact {
        whose: whose(cells)?,
        stream: cells.text("stream")?,
        status: cells.word("status")?,
        failures: cells.int("consecutive_failures")?,
        runnable: cells.flag("runnable")?,
        last_run_at: cells.opt_at("last_run_at")?,
        last_error_code: cells.opt_text("error_code")?,
    })
}

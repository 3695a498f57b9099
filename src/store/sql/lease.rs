//! Which job is due, and taking it: compare-and-set on the fence, on the database's clock. Giving it back is `finish`'s.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Connection as Session, Db,
    cells::{Cells, micros},
    declare::note,
    dialect,
    fault::Fault,
    finish,
    store::{Attempt, Outcome, Patience, Store},
};
use crate::{
    domain::{
        counts::Counts,
        cursor::Position,
        ids::{ClientId, ConnectionId, JobId, RunId},
        status::{JobStatus, RunOrigin},
    },
    store::{
        StoreError,
        catalogue::AdminAction,
        lease::{Claim, Claimed, DueJob, Held, Lease, LeaseStore, Orphan, RunEnd, Shard},
    },
};

/// May run by schedule: an active client, a provider that is not switched off, a connection in a runnable status, and in
/// production one that was activated and that no launch control holds.
macro_rules! runnable {
    () => {
        concat!(
            "cl.status = 'active' and p.status = 'active'
             and (c.environment <> 'production' and c.status in ('draft', 'testing', 'connected', 'manual_import')
                  or c.environment = 'production' and c.activated_at is not null
                     and c.status in ('connected', 'manual_import')
                     and not exists (select 1 from launch_controls l
                         where l.connection_slot in (0, c.id) and l.blocks_from <= ",
            now!(),
            "))"
        )
    };
}
macro_rules! jobs_with_owners {
    () => {
        "from integration_sync_jobs j
         join integration_connections c on c.id = j.connection_id
         join core_clients cl on cl.id = c.client_id
         join integration_providers p on p.provider_key = c.provider_key"
    };
}
macro_rules! not_leased {
    () => {
        concat!("(j.lease_until is null or j.lease_until <= ", now!(), ")")
    };
}
/// The first job of each client, then the second of each, and so on (P14).
macro_rules! due {
    ($leased:expr) => {
        concat!(
            "select id, connection_id, client_id, connection_key, stream, fence, next_run_at, lease_owner, leased_until
             from (
                 select j.id, j.connection_id, j.client_id, c.connection_key, j.stream, j.fence, j.next_run_at,
                        j.lease_owner, case when j.lease_until > ",
            now!(),
            " then j.lease_until end as leased_until,
                        row_number() over (partition by j.client_id order by j.next_run_at, j.id) as turn ",
            jobs_with_owners!(),
            " where j.status = 'active' and j.next_run_at <= ",
            now!(),
            " and ",
            $leased,
            " and ",
            runnable!(),
            " and j.id % ? = ?
             ) due order by turn, next_run_at, id limit ?"
        )
    };
}

const DUE: &str = due!(not_leased!());
const DUE_BUT_LEASED: &str = due!(concat!("j.lease_until > ", now!()));
const NEXT_DUE: &str = concat!(
    "select ",
    micros_until!("j.next_run_at"),
    " as wait ",
    jobs_with_owners!(),
    " where j.status = 'active' and j.next_run_at is not null and ",
    not_leased!(),
    " and ",
    runnable!(),
    " order by j.next_run_at limit 1"
);
/// One row matched: it is ours. Another fence, or a lease that has not run out: somebody else's.
const CLAIM: &str = concat!(
    "update integration_sync_jobs
     set fence = fence + 1, term_id = ?, lease_owner = ?, lease_until = ",
    now_plus_micros!(),
    ", attempts = attempts + 1
     where id = ? and fence = ? and status = 'active'
       and (lease_until is null or lease_until <= ",
    now!(),
    " or lease_owner = ?)"
);
const CLAIMED_BEFORE: &str = "select j.id from integration_sync_jobs j where j.id = ? and j.term_id = ?";
const HELD: &str = concat!(
    "select j.*, c.provider_key, c.source_label, case when ",
    runnable!(),
    " then 1 else 0 end as runnable,
            (select count(*) from integration_sync_errors e
             where e.job_id = j.id and e.status in ('open', 'retry_scheduled', 'exhausted')) as open_dead_letters ",
    jobs_with_owners!(),
    " where j.id = ?"
);
const QUARANTINE: &str = "update integration_sync_jobs
    set status = 'quarantined', term_id = null, lease_owner = null, lease_until = null where id = ?";
const INSERT_RUN: &str = concat!(
    "insert into integration_sync_runs
         (job_id, connection_id, client_id, provider_key, stream, origin, cursor_before, worker, fence, mapping_version,
          status, started_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ",
    now!(),
    ")"
);
const RUNNING: &str = "select max(id) from integration_sync_runs where job_id = ? and fence = ? and status = 'running'";
const RENEW: &str = concat!(
    "update integration_sync_jobs set lease_until = ",
    now_plus_micros!(),
    " where id = ? and fence = ? and term_id = ? and lease_until > ",
    now!()
);
const LEASE_OWNERS: &str = concat!(
    "select distinct lease_owner from integration_sync_jobs where lease_until > ",
    now!(),
    " order by lease_owner"
);

#[async_trait]
impl LeaseStore for Store {
    async fn due_jobs(&self, limit: u32, shard: Option<Shard>) -> Result<Vec<DueJob>, StoreError> {
        self.due("look for due jobs", DUE, limit, shard).await
    }

    async fn due_but_leased(&self, limit: u32, shard: Option<Shard>) -> Result<Vec<DueJob>, StoreError> {
        self.due("look for due jobs that are leased", DUE_BUT_LEASED, limit, shard).await
    }

    async fn next_due_in(&self) -> Result<Option<Duration>, StoreError> {
        self.read("look when the next job is due", async {
            let Some(row) = self.inner.row(sqlx::query(NEXT_DUE)).await? else { return Ok(None) };
            // A job that is due already has a negative wait.
            let wait = Cells::of("integration_sync_jobs", &row).int("wait")?;
            Ok(Some(Duration::from_micros(u64::try_from(wait).unwrap_or(0))))
        })
        .await
    }

    async fn claim(&self, claim: &Claim) -> Result<Claimed, StoreError> {
        let claim = Arc::new(claim.clone());
        let term: Arc<str> = uuid::Uuid::new_v4().to_string().into();
        self.write("claim a job", Patience::Short, move |session, attempt| {
            let (claim, term) = (Arc::clone(&claim), Arc::clone(&term));
            Box::pin(async move { take(session, &claim, &term, attempt).await })
        })
        .await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let lease = lease.clone();
        self.write("renew a lease", Patience::Short, move |session, _| {
            let lease = lease.clone();
            Box::pin(async move {
                let query =
                    sqlx::query::<Db>(RENEW).bind(micros(ttl)).bind(lease.job.0).bind(lease.fence).bind(lease.term_id);
                Ok(Outcome::Commit(query.execute(session).await?.rows_affected() == 1))
            })
        })
        .await
    }

    async fn finish_run(&self, lease: &Lease, run: RunId, end: &RunEnd) -> Result<Option<Counts>, StoreError> {
        let told = Arc::new((lease.clone(), end.clone()));
        self.write("finish a run", Patience::Outage, move |session, attempt| {
            let told = Arc::clone(&told);
            Box::pin(async move { finish::finish(session, &told.0, run, &told.1, attempt).await })
        })
        .await
    }

    async fn recover_orphans(&self, dead_owners: &[String]) -> Result<Vec<Orphan>, StoreError> {
        finish::recover(self, dead_owners).await
    }

    async fn lease_owners(&self) -> Result<Vec<String>, StoreError> {
        self.read("list lease holders", async {
            let rows = self.inner.rows(sqlx::query(LEASE_OWNERS)).await?;
            rows.iter()
                .filter_map(|row| Cells::of("integration_sync_jobs", row).opt_text("lease_owner").transpose())
                .collect()
        })
        .await
    }
}

impl Store {
    pub(super) async fn due(
        &self,
        during: &'static str,
        text: &'static str,
        limit: u32,
        shard: Option<Shard>,
    ) -> Result<Vec<DueJob>, StoreError> {
        // Without a shard every id has remainder 0 of 1.
        let (of, rest) = shard.map_or((1, 0), |s| (i64::from(s.of.max(1)), i64::from(s.index.saturating_sub(1))));
        self.read(during, async {
            let query = sqlx::query::<Db>(text).bind(of).bind(rest).bind(i64::from(limit));
            let rows = self.inner.rows(query).await?;
            rows.iter()
                .map(|row| {
                    let cells = Cells::of("integration_sync_jobs", row);
                    Ok(DueJob {
                        id: JobId(cells.int("id")?),
                        connection_id: ConnectionId(cells.int("connection_id")?),
                        client_id: ClientId(cells.int("client_id")?),
                        connection_key: cells.text("connection_key")?,
                        stream: cells.text("stream")?,
                        fence: cells.int("fence")?,
                        next_run_at: cells.opt_at("next_run_at")?,
                        lease_owner: cells.opt_text("lease_owner")?,
                        leased_until: cells.opt_at("leased_until")?,
                    })
                })
                .collect()
        })
        .await
    }
}

async fn take(session: &mut Session, claim: &Claim, term: &str, attempt: Attempt) -> Result<Outcome<Claimed>, Fault> {
    let matched = sqlx::query::<Db>(CLAIM)
        .bind(term)
        .bind(&claim.worker)
        .bind(micros(claim.ttl))
        .bind(claim.job.0)
        .bind(claim.seen_fence)
        .bind(&claim.dead_owner)
        .execute(&mut *session)
        .await?
        .rows_affected();
    if matched == 0 {
        let ours = attempt.unsure && {
            let query = sqlx::query::<Db>(CLAIMED_BEFORE).bind(claim.job.0).bind(term);
            query.fetch_optional(&mut *session).await?.is_some()
        };
        if !ours {
            return Ok(Outcome::RollBack(Claimed::Lost));
        }
    }
    let row = sqlx::query::<Db>(HELD).bind(claim.job.0).fetch_one(&mut *session).await?;
    let cells = Cells::of("integration_sync_jobs", &row);
    let fence = cells.int("fence")?;
    if matched == 0 {
        // Our COMMIT had arrived after all: the run is there.
        let run: Option<i64> =
            sqlx::query_scalar::<Db, Option<i64>>(RUNNING).bind(claim.job.0).bind(fence).fetch_one(session).await?;
        let held = held(&cells, term, RunId(run.unwrap_or_default()), Vec::new())?;
        return Ok(Outcome::RollBack(Claimed::Held(Box::new(held))));
    }
    if matches!(claim.origin, RunOrigin::Schedule | RunOrigin::Webhook) && !cells.flag("runnable")? {
        // Paused, archived or switched off since it was read as due.
        return Ok(Outcome::RollBack(Claimed::Lost));
    }
    let abandoned = finish::abandon(session, claim.job, "another worker took the job over").await?;
    if cells.int("attempts")? > claim.quarantine_after {
        quarantine(session, claim, cells.int("attempts")? - 1).await?;
        return Ok(Outcome::Commit(Claimed::Quarantined));
    }
    let result = sqlx::query::<Db>(INSERT_RUN)
        .bind(claim.job.0)
        .bind(cells.int("connection_id")?)
        .bind(cells.int("client_id")?)
        .bind(cells.text("provider_key")?)
        .bind(cells.text("stream")?)
        .bind(claim.origin.as_str())
        .bind(cells.opt_text("cursor_state")?)
        .bind(&claim.worker)
        .bind(fence)
        .bind(&claim.mapping_version)
        .execute(session)
        .await?;
    let held = held(&cells, term, RunId(dialect::first_id(&result, 1)), abandoned)?;
    Ok(Outcome::Commit(Claimed::Held(Box::new(held))))
}

async fn quarantine(session: &mut Session, claim: &Claim, attempts: i64) -> Result<(), Fault> {
    sqlx::query::<Db>(QUARANTINE).bind(claim.job.0).execute(&mut *session).await?;
    let action = AdminAction {
        actor: "tidegate".to_owned(),
        action: "job.quarantine".to_owned(),
        subject_type: "job".to_owned(),
        subject_key: claim.job.to_string(),
        reason: Some(format!("{attempts} claims in a row never finished: the job may be killing its worker")),
        before: Some(serde_json::json!({"status": JobStatus::Active})),
        after: Some(serde_json::json!({"status": JobStatus::Quarantined})),
    };
    note(session, &action).await
}

fn held(cells: &Cells<'_>, term: &str, run: RunId, abandoned: Vec<RunId>) -> Result<Held, Fault> {
    Ok(Held {
        lease: Lease { job: JobId(cells.int("id")?), fence: cells.int("fence")?, term_id: term.to_owned() },
        run,
        connection_id: ConnectionId(cells.int("connection_id")?),
        client_id: ClientId(cells.int("client_id")?),
        provider_key: cells.text("provider_key")?,
        source_label: cells.text("source_label")?,
        stream: cells.text("stream")?,
        sync_mode: cells.word("sync_mode")?,
        cursor: cells.opt_json("cursor_state")?,
        resume: cells.opt_json("resume_position")?.map(Position),
        attempts: cells.int("attempts")?,
        open_dead_letters: cells.int("open_dead_letters")?,
        last_complete_seen: cells.opt_int("last_complete_seen")?,
        abandoned,
    })
}

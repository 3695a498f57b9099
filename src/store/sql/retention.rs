//! Taking away what is old: a few rows by age, of them those that nothing names, in one short transaction.
//!
//! Each step reads a bounded range of an index on the age, so that rows that must stay cost one look and hold nothing up. Texts are put
//! together from constants of this file alone; values are bound.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::{
    Connection as Session, Db, bulk,
    cells::{Cells, micros},
    dialect::At,
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::clock::Timestamp,
    store::{
        StoreError, migrations,
        retention::{Kind, Place, RetentionStore, Step, Swept},
    },
};

/// The newest runs of each job stay, whatever their age; counted from 0.
const KEPT_RUNS: &str = "19";
/// Pages that one step takes away with their runs, unless one run alone has more.
const MOST_PAGES: i64 = 5_000;
/// Snapshots read at a time for the runs that they name.
const SNAPSHOTS: i64 = 1_000;

/// What a kind is looked for by.
struct Plan {
    table: &'static str,
    /// The age.
    at: &'static str,
    /// Besides the age.
    fit: &'static str,
    /// What refers to a row, with the table that must be there for it.
    free: &'static [(&'static str, &'static str)],
}

const RAW: Plan = Plan {
    table: "integration_raw_events",
    at: "received_at",
    fit: "t.status <> 'pending'",
    free: &[
        (
            "integration_object_links",
            "not exists (select 1 from integration_object_links l where l.raw_event_id = t.id)",
        ),
        (
            "integration_sync_errors",
            "not exists (select 1 from integration_sync_errors e where e.raw_event_id = t.id
                 and e.status in ('open', 'retry_scheduled', 'exhausted'))",
        ),
    ],
};
const DELIVERIES: Plan =
    Plan { table: "event_webhook_events", at: "received_at", fit: "t.status <> 'received'", free: &[] };
const DEAD_LETTERS: Plan = Plan {
    table: "integration_sync_errors",
    at: "resolved_at",
    fit: "t.status in ('resolved', 'discarded')",
    free: &[],
};
const CHECKS: Plan = Plan {
    table: "data_quality_checks",
    at: "checked_at",
    fit: "t.evaluation_id <> (select n.evaluation_id from data_quality_checks n
        where n.connection_id = t.connection_id order by n.id desc limit 1)",
    free: &[],
};
/// A business row names the runs that its link names: both are written by one statement pair, so the links are asked.
const RUNS: Plan = Plan {
    table: "integration_sync_runs",
    at: "finished_at",
    fit: "t.status <> 'running'",
    free: &[
        (
            "integration_object_links",
            "not exists (select 1 from integration_object_links l where l.first_run_id = t.id)
             and not exists (select 1 from integration_object_links l where l.last_run_id = t.id)",
        ),
        (
            "integration_raw_events",
            "not exists (select 1 from integration_raw_events r
                 where r.connection_id = t.connection_id and r.client_id = t.client_id and r.run_id = t.id)",
        ),
        ("integration_sync_errors", "not exists (select 1 from integration_sync_errors e where e.run_id = t.id)"),
        ("data_quality_checks", "not exists (select 1 from data_quality_checks c where c.run_id = t.id)"),
        (
            "event_webhook_events",
            "not exists (select 1 from event_webhook_events d where d.connection_id = t.connection_id and d.run_id = t.id)",
        ),
        (
            "data_import_batches",
            "not exists (select 1 from data_import_batches b where b.connection_id = t.connection_id and b.run_id = t.id)",
        ),
    ],
};

const SNAPSHOTS_OF: &str = "select id, run_ids from metric_snapshots
    where client_id = ? and connection_id = ? and id > ? order by id limit ?";

const DELETE_RAW: &str = "delete from integration_raw_events where id in (";
const DELETE_DELIVERIES: &str = "delete from event_webhook_events where id in (";
const DELETE_DEAD_LETTERS: &str =
    "delete from integration_sync_errors where status in ('resolved', 'discarded') and id in (";
const DELETE_CHECKS: &str = "delete from data_quality_checks where id in (";
const DELETE_PAGES: &str = "delete from integration_sync_pages where run_id in (";
const DELETE_RUNS: &str = "delete from integration_sync_runs where status <> 'running' and id in (";

/// Rows of clients that were archived so long ago. Client and connection are named so that an index of each table gives them.
macro_rules! of_archived {
    ($what:literal) => {
        concat!(
            $what,
            " t join integration_connections n on n.id = t.connection_id and n.client_id = t.client_id
              join core_clients c on c.id = n.client_id
              where c.status = 'archived' and c.archived_at < ",
            now_plus_micros!()
        )
    };
}
const ARCHIVED_RAW: &str = concat!(of_archived!("select t.id from integration_raw_events"), " limit ?");
const ARCHIVED_DELIVERIES: &str = concat!(of_archived!("select t.id from event_webhook_events"), " limit ?");
const COUNT_RAW: &str = of_archived!("select count(*) from integration_raw_events");
const COUNT_DELIVERIES: &str = of_archived!("select count(*) from event_webhook_events");

#[async_trait]
impl RetentionStore for Store {
    async fn sweep(&self, step: &Step) -> Result<Swept, StoreError> {
        if !there(step.kind.table()) {
            return Ok(Swept::default());
        }
        let step = *step;
        self.write("take away what is old", Patience::Short, move |session, _| {
            Box::pin(async move {
                let swept = match step.kind {
                    Kind::ArchivedRaw => archived(session, &step, ARCHIVED_RAW, COUNT_RAW, DELETE_RAW).await?,
                    Kind::ArchivedDeliveries => {
                        archived(session, &step, ARCHIVED_DELIVERIES, COUNT_DELIVERIES, DELETE_DELIVERIES).await?
                    }
                    Kind::Raw => aged(session, &step, &RAW, DELETE_RAW).await?,
                    Kind::Deliveries => aged(session, &step, &DELIVERIES, DELETE_DELIVERIES).await?,
                    Kind::DeadLetters => aged(session, &step, &DEAD_LETTERS, DELETE_DEAD_LETTERS).await?,
                    Kind::Checks => aged(session, &step, &CHECKS, DELETE_CHECKS).await?,
                    Kind::Runs => aged(session, &step, &RUNS, DELETE_RUNS).await?,
                };
                Ok(if step.dry { Outcome::RollBack(swept) } else { Outcome::Commit(swept) })
            })
        })
        .await
    }
}

/// Whether this version's migrations make a table.
fn there(table: &str) -> bool {
    migrations::made().any(|made| made == table)
}

async fn archived(
    session: &mut Session,
    step: &Step,
    some: &'static str,
    count: &'static str,
    delete: &'static str,
) -> Result<Swept, Fault> {
    if step.dry {
        let rows: i64 = sqlx::query_scalar::<Db, i64>(count).bind(-micros(step.keep)).fetch_one(session).await?;
        return Ok(Swept { rows: u64::try_from(rows).unwrap_or(0), place: None });
    }
    let query = sqlx::query_scalar::<Db, i64>(some).bind(-micros(step.keep)).bind(i64::from(step.limit));
    let ids = query.fetch_all(&mut *session).await?;
    let rows = take_away(session, delete, &ids).await?;
    // All that is found goes, so the next step begins where this one did.
    let place = ids.last().and_then(|id| Timestamp::from_micros(0).map(|at| (at, *id)));
    Ok(Swept { rows, place })
}

async fn aged(session: &mut Session, step: &Step, plan: &Plan, delete: &'static str) -> Result<Swept, Fault> {
    let (ids, place) = old(session, step, plan).await?;
    let mut free = unnamed(session, plan, &ids).await?;
    if matches!(step.kind, Kind::Runs) {
        free = bounded(unpublished(session, free).await?, step.dry);
    }
    let ids: Vec<i64> = free.iter().map(|row| row.id).collect();
    if step.dry {
        return Ok(Swept { rows: u64::try_from(ids.len()).unwrap_or(0), place });
    }
    if matches!(step.kind, Kind::Runs) {
        take_away(session, DELETE_PAGES, &ids).await?;
    }
    let rows = take_away(session, delete, &ids).await?;
    Ok(Swept { rows, place })
}

/// The next old rows, and where the walk is then.
async fn old(session: &mut Session, step: &Step, plan: &Plan) -> Result<(Vec<i64>, Option<Place>), Fault> {
    let Plan { table, at, .. } = plan;
    let cutoff = now_plus_micros!();
    let place = if step.after.is_some() { format!("and {at} >= ? and ({at} > ? or id > ?)") } else { String::new() };
    let text = format!("select id, {at} as at from {table} where {at} < {cutoff} {place} order by {at}, id limit ?");
    let mut query = sqlx::query::<Db>(AssertSqlSafe(text).into_sql_str()).bind(-micros(step.keep));
    if let Some((at, id)) = step.after {
        query = query.bind(At(at)).bind(At(at)).bind(id);
    }
    let rows = query.bind(i64::from(step.limit)).fetch_all(session).await?;
    let (mut ids, mut place) = (Vec::with_capacity(rows.len()), None);
    for row in &rows {
        let cells = Cells::of(plan.table, row);
        let id = cells.int("id")?;
        ids.push(id);
        place = Some((cells.at("at")?, id));
    }
    Ok((ids, place))
}

/// A row that nothing of the database's own keeps.
struct Free {
    id: i64,
    client: i64,
    connection: i64,
    pages: i64,
}

async fn unnamed(session: &mut Session, plan: &Plan, ids: &[i64]) -> Result<Vec<Free>, Fault> {
    let mut free = Vec::new();
    for now in ids.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let pages = if plan.table == RUNS.table { "t.pages" } else { "0" };
        let mut text = format!(
            "select t.id, t.client_id, t.connection_id, {pages} as pages from {} t where {}",
            plan.table, plan.fit
        );
        for (_, condition) in plan.free.iter().filter(|(table, _)| there(table)) {
            text.push_str(" and ");
            text.push_str(condition);
        }
        if plan.table == RUNS.table {
            text.push_str(&format!(
                " and (select n.id from integration_sync_runs n where n.job_id = t.job_id order by n.id desc limit 1 offset {KEPT_RUNS}) > t.id"
            ));
        }
        text.push_str(" and t.id in (");
        bulk::repeat(&mut text, "?", slots);
        text.push_str(") order by t.id");
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text).into_sql_str());
        for id in bulk::padded(now, slots) {
            query = query.bind(*id);
        }
        for row in &query.fetch_all(&mut *session).await? {
            let cells = Cells::of(plan.table, row);
            free.push(Free {
                id: cells.int("id")?,
                client: cells.int("client_id")?,
                connection: cells.int("connection_id")?,
                pages: cells.int("pages")?,
            });
        }
    }
    Ok(free)
}

/// Leaves out runs that a number names: a client may ask where it came from.
async fn unpublished(session: &mut Session, mut free: Vec<Free>) -> Result<Vec<Free>, Fault> {
    let mut sides: Vec<(i64, i64)> = free.iter().map(|row| (row.client, row.connection)).collect();
    sides.sort_unstable();
    sides.dedup();
    for (client, connection) in sides {
        let mut after = 0;
        loop {
            let query = sqlx::query::<Db>(SNAPSHOTS_OF).bind(client).bind(connection).bind(after).bind(SNAPSHOTS);
            let rows = query.fetch_all(&mut *session).await?;
            let Some(last) = rows.last() else { break };
            after = Cells::of("metric_snapshots", last).int("id")?;
            for row in &rows {
                let named = Cells::of("metric_snapshots", row).json("run_ids")?;
                let named: Vec<i64> = named.as_array().into_iter().flatten().filter_map(|id| id.as_i64()).collect();
                free.retain(|run| !named.contains(&run.id));
            }
        }
    }
    Ok(free)
}

/// As many runs as fit by their pages; the others are met in the next walk.
fn bounded(free: Vec<Free>, dry: bool) -> Vec<Free> {
    let mut pages = 0;
    let fits = |run: &Free| {
        let first = pages == 0;
        pages += run.pages.max(1);
        dry || first || pages <= MOST_PAGES
    };
    free.into_iter().take_while(fits).collect()
}

async fn take_away(session: &mut Session, text: &'static str, ids: &[i64]) -> Result<u64, Fault> {
    let mut gone = 0;
    for now in ids.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let mut query = sqlx::query::<Db>(bulk::in_list(text, slots, ")"));
        for id in bulk::padded(now, slots) {
            query = query.bind(*id);
        }
        gone += query.execute(&mut *session).await?.rows_affected();
    }
    Ok(gone)
}

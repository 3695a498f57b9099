//! Snapshots and baselines: added, never changed.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Connection as Session, Db,
    cells::{Cells, json_text},
    declare::note,
    dialect::{At, Money},
    fault::Fault,
    metric_values,
    store::{Outcome, Patience, Statement, Store},
};
use crate::{
    domain::ids::{ClientId, ConnectionId, RunId, SnapshotId},
    store::{
        StoreError,
        catalogue::AdminAction,
        metrics::{Baseline, BaselineSet, Group, JobFacts, Measure, MetricStore, NewSnapshot, RowQuery, Snapshot},
    },
};

/// Whoever takes or publishes numbers of a connection waits here for the others who do.
pub(super) const LOCK: &str =
    concat!("select id from integration_connections where id = ? and client_id = ?", for_update!());
const NEWEST: &str = "select * from metric_snapshots
    where client_id = ? and connection_id = ? and metric_key = ? and definition = ? and source_label = ?
      and period_start = ? and period_end = ? and origin = ?
    order by id desc limit 1";
const INSERT: &str = "insert into metric_snapshots (client_id, connection_id, metric_key, definition, source_label, period_kind,
        period_start, period_end, unit, currency, value, rows_counted, complete, incomplete_reason, run_ids, origin, evidence,
        computed_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

macro_rules! select_baseline {
    ($end:literal) => {
        concat!(
            "select s.*, b.version, b.set_by, b.reason, b.created_at
             from metric_baselines b join metric_snapshots s on s.id = b.snapshot_id and s.client_id = b.client_id
             where b.client_id = ? ",
            $end
        )
    };
}

const BASELINE: &str = select_baseline!("and b.metric_key = ? and b.source_label = ? order by b.version desc limit 1");
const BASELINES: &str = select_baseline!("order by b.metric_key, b.source_label, b.version desc");
const NEWEST_VERSION: &str = "select version, snapshot_id from metric_baselines
    where client_id = ? and metric_key = ? and source_label = ? order by version desc limit 1";
/// The database looks once more whether the snapshot is fit: whatever was read before may be another's.
const SET_BASELINE: &str = concat!(
    "insert into metric_baselines
         (client_id, connection_id, metric_key, source_label, version, snapshot_id, set_by, reason, created_at)
     select s.client_id, s.connection_id, s.metric_key, s.source_label, ?, s.id, ?, ?, ",
    now!(),
    " from metric_snapshots s
     where s.id = ? and s.client_id = ? and s.connection_id = ? and s.metric_key = ? and s.source_label = ?
       and s.complete = 1 and s.value is not null"
);

#[async_trait]
impl MetricStore for Store {
    async fn metric_groups(&self, query: &RowQuery, measure: Measure) -> Result<Vec<Group>, StoreError> {
        self.read("read the rows of a metric", async {
            let statement = sqlx::query::<Db>(metric_values::groups_text(query, measure));
            let rows = self.inner.rows(metric_values::bind_rows(statement, query)).await?;
            let table = query.source.table().name;
            rows.iter().map(|row| metric_values::group(&Cells::of(table, row), measure)).collect()
        })
        .await
    }

    async fn metric_runs(&self, query: &RowQuery, limit: u32) -> Result<Vec<RunId>, StoreError> {
        let Some(text) = metric_values::runs_text(query) else { return Ok(Vec::new()) };
        self.read("read the runs of a metric", async {
            let statement = metric_values::bind_rows(sqlx::query::<Db>(text), query).bind(i64::from(limit));
            let rows = self.inner.rows(statement).await?;
            let table = query.source.table().name;
            rows.iter().map(|row| Cells::of(table, row).int("run_id").map(RunId)).collect()
        })
        .await
    }

    async fn job_facts(&self, client: ClientId, connection: ConnectionId) -> Result<Vec<JobFacts>, StoreError> {
        self.read("read what feeds a metric", async {
            let rows = self.inner.rows(metric_values::jobs(client.0, connection.0)).await?;
            rows.iter().map(|row| metric_values::job(&Cells::of("integration_sync_jobs", row))).collect()
        })
        .await
    }

    async fn newest_snapshot(&self, like: &NewSnapshot) -> Result<Option<Snapshot>, StoreError> {
        self.read("read a metric's number", async {
            let row = self.inner.row(newest_of(like)).await?;
            row.map(|row| snapshot(&Cells::of("metric_snapshots", &row))).transpose()
        })
        .await
    }

    async fn take_snapshot(&self, number: &NewSnapshot) -> Result<Snapshot, StoreError> {
        let told = Arc::new(number.clone());
        self.write("keep a metric's number", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                lock(session, told.client_id, told.connection_id).await?;
                if let Some(newest) = newest(session, &told).await?.filter(|newest| says_the_same(newest, &told)) {
                    return Ok(Outcome::RollBack(newest));
                }
                insert(session, &told).await?;
                let kept = newest(session, &told).await?.ok_or(sqlx::Error::RowNotFound)?;
                Ok(Outcome::Commit(kept))
            })
        })
        .await
    }

    async fn baseline(
        &self,
        client: ClientId,
        metric_key: &str,
        source_label: &str,
    ) -> Result<Option<Baseline>, StoreError> {
        self.read("read a baseline", async {
            let query = sqlx::query::<Db>(BASELINE).bind(client.0).bind(metric_key).bind(source_label);
            let row = self.inner.row(query).await?;
            row.map(|row| baseline(&Cells::of("metric_baselines", &row))).transpose()
        })
        .await
    }

    async fn baselines(&self, client: ClientId) -> Result<Vec<Baseline>, StoreError> {
        self.read("list baselines", async {
            let rows = self.inner.rows(sqlx::query::<Db>(BASELINES).bind(client.0)).await?;
            rows.iter().map(|row| baseline(&Cells::of("metric_baselines", row))).collect()
        })
        .await
    }

    async fn set_baseline(
        &self,
        snapshot: &Snapshot,
        reason: &str,
        action: &AdminAction,
    ) -> Result<BaselineSet, StoreError> {
        let told = Arc::new((snapshot.clone(), reason.to_owned(), action.clone()));
        self.write("set a baseline", Patience::Short, move |session, attempt| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let (snapshot, reason, action) = &*told;
                let number = &snapshot.number;
                lock(session, number.client_id, number.connection_id).await?;
                let query = sqlx::query::<Db>(NEWEST_VERSION)
                    .bind(number.client_id.0)
                    .bind(&number.metric_key)
                    .bind(&number.source_label);
                let stands = match query.fetch_optional(&mut *session).await? {
                    None => None,
                    Some(row) => {
                        let cells = Cells::of("metric_baselines", &row);
                        Some((cells.int("version")?, cells.int("snapshot_id")?))
                    }
                };
                if let Some((version, id)) = stands
                    && id == snapshot.id.0
                {
                    // After a lost answer it was this call that added it.
                    let told =
                        if attempt.unsure { BaselineSet::Added { version } } else { BaselineSet::Stands { version } };
                    return Ok(Outcome::RollBack(told));
                }
                let version = stands.map_or(1, |(version, _)| version + 1);
                let added = sqlx::query::<Db>(SET_BASELINE)
                    .bind(version)
                    .bind(&action.actor)
                    .bind(reason)
                    .bind(snapshot.id.0)
                    .bind(number.client_id.0)
                    .bind(number.connection_id.0)
                    .bind(&number.metric_key)
                    .bind(&number.source_label)
                    .execute(&mut *session)
                    .await?;
                if added.rows_affected() == 0 {
                    return Ok(Outcome::RollBack(BaselineSet::NotFit));
                }
                note(session, action).await?;
                Ok(Outcome::Commit(BaselineSet::Added { version }))
            })
        })
        .await
    }
}

/// Waits for others who write numbers of the connection.
///
/// # Errors
/// A refusal when it is not that client's.
pub(super) async fn lock(session: &mut Session, client: ClientId, connection: ConnectionId) -> Result<(), Fault> {
    let query = sqlx::query::<Db>(LOCK).bind(connection.0).bind(client.0);
    match query.fetch_optional(session).await? {
        Some(_) => Ok(()),
        None => Err(Fault::Refused(StoreError::Constraint {
            constraint: "connection and client".to_owned(),
            detail: format!("connection {connection} is not one of client {client}"),
        })),
    }
}

fn says_the_same(stands: &Snapshot, told: &NewSnapshot) -> bool {
    let number = &stands.number;
    (number.value, &number.currency, &number.unit, &number.incomplete_reason, &number.evidence)
        == (told.value, &told.currency, &told.unit, &told.incomplete_reason, &told.evidence)
}

fn newest_of<'q>(told: &NewSnapshot) -> Statement<'q> {
    sqlx::query::<Db>(NEWEST)
        .bind(told.client_id.0)
        .bind(told.connection_id.0)
        .bind(told.metric_key.clone())
        .bind(told.definition.clone())
        .bind(told.source_label.clone())
        .bind(At(told.period_start))
        .bind(At(told.period_end))
        .bind(told.origin.as_str())
}

async fn newest(session: &mut Session, told: &NewSnapshot) -> Result<Option<Snapshot>, Fault> {
    let row = newest_of(told).fetch_optional(session).await?;
    row.map(|row| snapshot(&Cells::of("metric_snapshots", &row))).transpose()
}

async fn insert(session: &mut Session, told: &NewSnapshot) -> Result<(), Fault> {
    let runs: Vec<i64> = told.run_ids.iter().map(|run| run.0).collect();
    sqlx::query::<Db>(INSERT)
        .bind(told.client_id.0)
        .bind(told.connection_id.0)
        .bind(&told.metric_key)
        .bind(&told.definition)
        .bind(&told.source_label)
        .bind(told.period_kind.as_str())
        .bind(At(told.period_start))
        .bind(At(told.period_end))
        .bind(&told.unit)
        .bind(&told.currency)
        .bind(told.value.map(Money))
        .bind(told.rows_counted)
        .bind(i64::from(told.incomplete_reason.is_none()))
        .bind(&told.incomplete_reason)
        .bind(json_text(&serde_json::Value::from(runs)))
        .bind(told.origin.as_str())
        .bind(&told.evidence)
        .bind(At(told.computed_at))
        .execute(session)
        .await?;
    Ok(())
}

pub(super) fn snapshot(cells: &Cells<'_>) -> Result<Snapshot, Fault> {
    let runs = cells.json("run_ids")?;
    let runs = runs.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Snapshot {
        id: SnapshotId(cells.int("id")?),
        number: NewSnapshot {
            client_id: ClientId(cells.int("client_id")?),
            connection_id: ConnectionId(cells.int("connection_id")?),
            metric_key: cells.text("metric_key")?,
            definition: cells.text("definition")?,
            source_label: cells.text("source_label")?,
            period_kind: cells.word("period_kind")?,
            period_start: cells.at("period_start")?,
            period_end: cells.at("period_end")?,
            unit: cells.text("unit")?,
            currency: cells.opt_text("currency")?,
            value: cells.opt_decimal("value")?,
            rows_counted: cells.int("rows_counted")?,
            incomplete_reason: cells.opt_text("incomplete_reason")?,
            run_ids: runs.iter().filter_map(serde_json::Value::as_i64).map(RunId).collect(),
            origin: cells.word("origin")?,
            evidence: cells.opt_text("evidence")?,
            computed_at: cells.at("computed_at")?,
        },
    })
}

fn baseline(cells: &Cells<'_>) -> Result<Baseline, Fault> {
    Ok(Baseline {
        version: cells.int("version")?,
        set_by: cells.text("set_by")?,
        reason: cells.text("reason")?,
        created_at: cells.at("created_at")?,
        snapshot: snapshot(cells)?,
    })
}

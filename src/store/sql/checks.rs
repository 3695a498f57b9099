//! The results of quality checks: written whole, read by connection.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Db,
    cells::Cells,
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::ids::{ConnectionId, RunId},
    store::{
        StoreError,
        checks::{CheckFilter, CheckResult, CheckStore, Evaluation, StoredCheck},
    },
};

const KNOWN: &str = "select count(*) from data_quality_checks where evaluation_id = ?";
const OWN_RUN: &str = "select count(*) from integration_sync_runs where id = ? and connection_id = ? and client_id = ?";
const INSERT: &str = concat!(
    "insert into data_quality_checks (run_id, client_id, connection_id, check_key, severity, status, observed, expected, \
     detail_internal, message_client_safe, evaluation_id, checked_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ",
    now!(),
    ")"
);

macro_rules! select_check {
    ($end:literal) => {
        concat!(
            "select q.*, c.connection_key, cl.client_key
             from data_quality_checks q
             join integration_connections c on c.id = q.connection_id
             join core_clients cl on cl.id = q.client_id ",
            $end
        )
    };
}

/// An evaluation's rows are written in one transaction, so the newest row's evaluation is the newest one.
const LATEST: &str = select_check!(
    "where q.connection_id = ? and q.evaluation_id = (select n.evaluation_id from data_quality_checks n
        where n.connection_id = ? order by n.id desc limit 1)
     order by q.id"
);
const LIST: &str = select_check!(
    "where (? is null or cl.client_key = ?) and (? is null or c.connection_key = ?) and (? is null or q.check_key = ?)
       and (? is null or q.status = ?)
       and (? = 0 or q.evaluation_id = (select n.evaluation_id from data_quality_checks n
            where n.connection_id = q.connection_id order by n.id desc limit 1))
     order by q.id desc limit ?"
);

#[async_trait]
impl CheckStore for Store {
    async fn record_checks(&self, evaluation: &Evaluation) -> Result<(), StoreError> {
        let told = Arc::new(evaluation.clone());
        self.write("record quality checks", Patience::Short, move |session, attempt| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                if attempt.unsure {
                    let query = sqlx::query_scalar::<Db, i64>(KNOWN).bind(&told.evaluation_id);
                    if query.fetch_one(&mut *session).await? > 0 {
                        return Ok(Outcome::RollBack(()));
                    }
                }
                if let Some(run) = told.run_id {
                    let own = sqlx::query_scalar::<Db, i64>(OWN_RUN).bind(run.0);
                    let own = own.bind(told.connection_id.0).bind(told.client_id.0);
                    if own.fetch_one(&mut *session).await? == 0 {
                        return Err(Fault::Refused(StoreError::Constraint {
                            constraint: "an evaluation's run is its connection's".to_owned(),
                            detail: format!("run {run} is not one of connection {}", told.connection_id),
                        }));
                    }
                }
                for result in &told.results {
                    sqlx::query::<Db>(INSERT)
                        .bind(told.run_id.map(|run| run.0))
                        .bind(told.client_id.0)
                        .bind(told.connection_id.0)
                        .bind(&result.check_key)
                        .bind(result.severity.as_str())
                        .bind(result.status.as_str())
                        .bind(&result.observed)
                        .bind(&result.expected)
                        .bind(&result.detail_internal)
                        .bind(&result.message_client_safe)
                        .bind(&told.evaluation_id)
                        .execute(&mut *session)
                        .await?;
                }
                Ok(Outcome::Commit(()))
            })
        })
        .await
    }

    async fn latest_checks(&self, connection: ConnectionId) -> Result<Vec<StoredCheck>, StoreError> {
        self.read("read the latest quality checks", async {
            let rows = self.inner.rows(sqlx::query::<Db>(LATEST).bind(connection.0).bind(connection.0)).await?;
            rows.iter().map(|row| check(&Cells::of("data_quality_checks", row))).collect()
        })
        .await
    }

    async fn checks(&self, filter: &CheckFilter) -> Result<Vec<StoredCheck>, StoreError> {
        self.read("list quality checks", async {
            let status = filter.status.map(|status| status.as_str());
            let query = sqlx::query::<Db>(LIST)
                .bind(&filter.client_key)
                .bind(&filter.client_key)
                .bind(&filter.connection_key)
                .bind(&filter.connection_key)
                .bind(&filter.check_key)
                .bind(&filter.check_key)
                .bind(status)
                .bind(status)
                .bind(i64::from(filter.latest))
                .bind(i64::from(filter.limit));
            let rows = self.inner.rows(query).await?;
            rows.iter().map(|row| check(&Cells::of("data_quality_checks", row))).collect()
        })
        .await
    }
}

fn check(cells: &Cells<'_>) -> Result<StoredCheck, Fault> {
    Ok(StoredCheck {
        id: cells.int("id")?,
        evaluation_id: cells.text("evaluation_id")?,
        connection_key: cells.text("connection_key")?,
        client_key: cells.text("client_key")?,
        run_id: cells.opt_int("run_id")?.map(RunId),
        checked_at: cells.at("checked_at")?,
        result: CheckResult {
            check_key: cells.text("check_key")?,
            severity: cells.word("severity")?,
            status: cells.word("status")?,
            observed: cells.opt_text("observed")?,
            expected: cells.opt_text("expected")?,
            detail_internal: cells.opt_text("detail_internal")?,
            message_client_safe: cells.opt_text("message_client_safe")?,
        },
    })
}

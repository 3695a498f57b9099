//! The files that people brought. A batch is closed where its run is: by `finish`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Connection as Session, Db,
    cells::Cells,
    declare::note,
    dialect,
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::{
        ids::{ClientId, ConnectionId, ImportBatchId, RunId},
        status::ImportStatus,
    },
    store::{
        StoreError,
        catalogue::AdminAction,
        imports::{BatchFilter, ImportBatch, ImportStore, NewBatch},
        lease::Lease,
    },
};

/// Client, connection and stream are the run's; the lease says that the run is ours.
const BEGIN: &str = concat!(
    "insert into data_import_batches
         (connection_id, client_id, stream, run_id, file_name, file_hash, file_bytes, source_label, imported_by, status,
          created_at)
     select r.connection_id, r.client_id, r.stream, r.id, ?, ?, ?, ?, ?, 'running', ",
    now!(),
    "
     from integration_sync_runs r join integration_sync_jobs j on j.id = r.job_id
     where r.id = ? and r.job_id = ? and r.fence = ? and r.status = 'running' and r.origin = 'import'
       and j.fence = r.fence and j.term_id = ? and j.lease_until > ",
    now!()
);
const BEGUN: &str = "select id from data_import_batches where run_id = ?";
macro_rules! batches {
    ($end:literal) => {
        concat!(
            "select b.*, c.connection_key, cl.client_key, r.records_seen, r.records_failed
             from data_import_batches b
             join integration_connections c on c.id = b.connection_id
             join core_clients cl on cl.id = b.client_id
             join integration_sync_runs r on r.id = b.run_id ",
            $end
        )
    };
}
const LIST: &str =
    batches!("where (? is null or c.connection_key = ?) and (? is null or b.stream = ?) order by b.id desc limit ?");
const COMPLETED: &str = batches!(
    "where b.connection_id = ? and b.client_id = ? and b.stream = ? and b.file_hash = ? and b.status = 'completed'
     order by b.id desc limit 1"
);
const OF_RUN: &str = batches!("where b.run_id = ? and b.status = 'running'");
const CLOSE: &str = concat!(
    "update data_import_batches set status = ?, finished_at = ",
    now!(),
    ", rows_read = (select r.records_seen from integration_sync_runs r where r.id = data_import_batches.run_id)
     where run_id = ? and status = 'running'"
);
const IS_IMPORT: &str = "select id from integration_sync_runs where id = ? and origin = 'import'";

#[async_trait]
impl ImportStore for Store {
    async fn begin_import(
        &self,
        lease: &Lease,
        run: RunId,
        batch: &NewBatch,
    ) -> Result<Option<ImportBatchId>, StoreError> {
        let told = Arc::new((lease.clone(), batch.clone()));
        self.write("begin an import", Patience::Outage, move |session, attempt| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let (lease, batch) = &*told;
                if attempt.unsure {
                    let query = sqlx::query_scalar::<Db, i64>(BEGUN).bind(run.0);
                    if let Some(id) = query.fetch_optional(&mut *session).await? {
                        return Ok(Outcome::RollBack(Some(ImportBatchId(id))));
                    }
                }
                let result = sqlx::query::<Db>(BEGIN)
                    .bind(&batch.file_name)
                    .bind(&batch.file_hash)
                    .bind(batch.file_bytes)
                    .bind(&batch.source_label)
                    .bind(&batch.imported_by)
                    .bind(run.0)
                    .bind(lease.job.0)
                    .bind(lease.fence)
                    .bind(&lease.term_id)
                    .execute(session)
                    .await?;
                if result.rows_affected() == 0 {
                    return Ok(Outcome::RollBack(None));
                }
                Ok(Outcome::Commit(Some(ImportBatchId(dialect::first_id(&result, 1)))))
            })
        })
        .await
    }

    async fn import_batches(&self, filter: &BatchFilter) -> Result<Vec<ImportBatch>, StoreError> {
        self.read("list imports", async {
            let query = sqlx::query::<Db>(LIST)
                .bind(&filter.connection_key)
                .bind(&filter.connection_key)
                .bind(&filter.stream)
                .bind(&filter.stream)
                .bind(i64::from(filter.limit));
            self.inner.rows(query).await?.iter().map(batch).collect()
        })
        .await
    }

    async fn completed_import(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        file_hash: &str,
    ) -> Result<Option<ImportBatch>, StoreError> {
        self.read("look for an import of the same file", async {
            let query = sqlx::query::<Db>(COMPLETED).bind(connection.0).bind(client.0).bind(stream).bind(file_hash);
            self.inner.row(query).await?.as_ref().map(batch).transpose()
        })
        .await
    }
}

/// Closes the batch of a run that ends, if it has one, and writes the act down.
pub(super) async fn close(session: &mut Session, run: RunId, status: ImportStatus) -> Result<(), Fault> {
    // Most runs are no imports: they are asked by their key alone.
    if sqlx::query::<Db>(IS_IMPORT).bind(run.0).fetch_optional(&mut *session).await?.is_none() {
        return Ok(());
    }
    let Some(row) = sqlx::query::<Db>(OF_RUN).bind(run.0).fetch_optional(&mut *session).await? else { return Ok(()) };
    let batch = batch(&row)?;
    sqlx::query::<Db>(CLOSE).bind(status.as_str()).bind(run.0).execute(&mut *session).await?;
    let action = AdminAction {
        actor: batch.imported_by,
        action: "import".to_owned(),
        subject_type: "connection".to_owned(),
        subject_key: batch.connection_key,
        reason: Some(format!("{} {status}", batch.file_name).chars().take(190).collect()),
        before: None,
        after: Some(serde_json::json!({
            "batch": batch.id, "run": run, "stream": batch.stream, "file_name": batch.file_name,
            "file_hash": batch.file_hash, "source_label": batch.source_label, "status": status,
            "rows_read": batch.rows_read, "rows_failed": batch.rows_failed,
        })),
    };
    note(session, &action).await
}

fn batch(row: &super::Row) -> Result<ImportBatch, Fault> {
    let cells = Cells::of("data_import_batches", row);
    Ok(ImportBatch {
        id: ImportBatchId(cells.int("id")?),
        connection_key: cells.text("connection_key")?,
        client_key: cells.text("client_key")?,
        stream: cells.text("stream")?,
        file_name: cells.text("file_name")?,
        file_hash: cells.text("file_hash")?,
        file_bytes: cells.int("file_bytes")?,
        source_label: cells.text("source_label")?,
        rows_read: cells.int("records_seen")?,
        rows_failed: cells.int("records_failed")?,
        run_id: RunId(cells.int("run_id")?),
        status: cells.word("status")?,
        imported_by: cells.text("imported_by")?,
        created_at: cells.at("created_at")?,
        finished_at: cells.opt_at("finished_at")?,
    })
}

//! Runs and their story, read; and a run counted anew from its rows.

use async_trait::async_trait;

use super::{Db, cells::Cells, fault::Fault, store::Store};
use crate::{
    domain::{
        ids::{JobId, RunId},
        status::RawStatus,
    },
    store::{
        StoreError,
        runs::{Recount, Run, RunFilter, RunPage, RunStore},
    },
};

macro_rules! select_run {
    ($end:literal) => {
        concat!(
            "select r.*, c.connection_key, cl.client_key
             from integration_sync_runs r
             join integration_connections c on c.id = r.connection_id
             join core_clients cl on cl.id = r.client_id ",
            $end
        )
    };
}

const RUNS: &str = select_run!(
    "where (? is null or c.connection_key = ?) and (? is null or r.stream = ?) and (? is null or r.status = ?)
     order by r.id desc limit ?"
);
const RUN: &str = select_run!("where r.id = ?");
const FIRST_PAGES: &str = "select * from integration_sync_pages where run_id = ? order by page_no limit ?";
const LAST_PAGES: &str =
    "select * from integration_sync_pages where run_id = ? and page_no > ? order by page_no desc limit ?";
const LEDGER: &str = "select cast(coalesce(sum(records_seen), 0) as signed) as records_seen,
    cast(coalesce(sum(records_created), 0) as signed) as records_created,
    cast(coalesce(sum(records_updated), 0) as signed) as records_updated,
    cast(coalesce(sum(records_unchanged), 0) as signed) as records_unchanged,
    cast(coalesce(sum(records_duplicate), 0) as signed) as records_duplicate,
    cast(coalesce(sum(records_ignored), 0) as signed) as records_ignored,
    cast(coalesce(sum(records_failed), 0) as signed) as records_failed
    from integration_sync_pages where run_id = ?";
/// Naming the connection and the client lets the index answer.
const RAW: &str = "select count(*) from integration_sync_runs r join integration_raw_events e
    on e.connection_id = r.connection_id and e.client_id = r.client_id and e.run_id = r.id
    where r.id = ? and e.status = ?";
const LINKS: &str = "select count(*) from integration_object_links where first_run_id = ?";

#[async_trait]
impl RunStore for Store {
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        self.read("list runs", async {
            let status = filter.status.map(|status| status.as_str());
            let query = sqlx::query::<Db>(RUNS)
                .bind(&filter.connection_key)
                .bind(&filter.connection_key)
                .bind(&filter.stream)
                .bind(&filter.stream)
                .bind(status)
                .bind(status)
                .bind(i64::from(filter.limit));
            let rows = self.inner.rows(query).await?;
            rows.iter().map(|row| run(&Cells::of("integration_sync_runs", row))).collect()
        })
        .await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.read("read a run", async {
            let row = self.inner.row(sqlx::query(RUN).bind(id.0)).await?;
            row.map(|row| run(&Cells::of("integration_sync_runs", &row))).transpose()
        })
        .await
    }

    async fn run_pages(&self, id: RunId, head: u32, tail: u32) -> Result<Vec<RunPage>, StoreError> {
        self.read("read the pages of a run", async {
            let first = sqlx::query::<Db>(FIRST_PAGES).bind(id.0).bind(i64::from(head));
            let rows = self.inner.rows(first).await?;
            let mut pages = rows
                .iter()
                .map(|row| page(&Cells::of("integration_sync_pages", row)))
                .collect::<Result<Vec<_>, _>>()?;
            let told = pages.last().map_or(0, |page| page.page_no);
            let last = sqlx::query::<Db>(LAST_PAGES).bind(id.0).bind(told).bind(i64::from(tail));
            for row in self.inner.rows(last).await?.iter().rev() {
                pages.push(page(&Cells::of("integration_sync_pages", row))?);
            }
            Ok(pages)
        })
        .await
    }

    async fn recount(&self, id: RunId) -> Result<Recount, StoreError> {
        self.read("recount a run", async {
            let ledger = self.inner.rows(sqlx::query(LEDGER).bind(id.0)).await?;
            let ledger = ledger.first().ok_or(sqlx::Error::RowNotFound)?;
            let raw = |status: RawStatus| self.inner.number(sqlx::query(RAW).bind(id.0).bind(status.as_str()));
            Ok(Recount {
                ledger: Cells::of("integration_sync_pages", ledger).counts()?,
                raw_normalized: raw(RawStatus::Normalized).await?,
                raw_ignored: raw(RawStatus::Ignored).await?,
                raw_failed: raw(RawStatus::Failed).await?,
                links_created: self.inner.number(sqlx::query(LINKS).bind(id.0)).await?,
            })
        })
        .await
    }
}

fn run(cells: &Cells<'_>) -> Result<Run, Fault> {
    Ok(Run {
        id: RunId(cells.int("id")?),
        job_id: JobId(cells.int("job_id")?),
        connection_key: cells.text("connection_key")?,
        client_key: cells.text("client_key")?,
        provider_key: cells.text("provider_key")?,
        stream: cells.text("stream")?,
        origin: cells.word("origin")?,
        status: cells.word("status")?,
        window_start: cells.opt_at("window_start")?,
        window_end: cells.opt_at("window_end")?,
        cursor_before: cells.opt_json("cursor_before")?,
        cursor_after: cells.opt_json("cursor_after")?,
        started_at: cells.at("started_at")?,
        finished_at: cells.opt_at("finished_at")?,
        pages: cells.int("pages")?,
        traffic: cells.traffic()?,
        counts: cells.counts()?,
        records_repaired: cells.int("records_repaired")?,
        provider_total: cells.opt_int("provider_total")?,
        error_code: cells.opt_text("error_code")?,
        error_internal: cells.opt_text("error_internal")?,
        error_client_safe: cells.opt_text("error_client_safe")?,
        remedy: cells.opt_text("remedy")?,
        worker: cells.opt_text("worker")?,
        fence: cells.int("fence")?,
        mapping_version: cells.opt_text("mapping_version")?,
        unmapped_fields: cells.opt_json("unmapped_fields")?,
    })
}

fn page(cells: &Cells<'_>) -> Result<RunPage, Fault> {
    Ok(RunPage {
        page_no: cells.int("page_no")?,
        story: cells.text("story")?,
        started_at: cells.at("started_at")?,
        committed_at: cells.at("committed_at")?,
        traffic: cells.traffic()?,
        counts: cells.counts()?,
        cursor_after: cells.opt_json("cursor_after")?,
    })
}

//! Launch controls and what proves them, read. Reviews and signatures are written by `launch_write`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Db,
    cells::Cells,
    fault::Fault,
    launch_write,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::ids::{ClientId, ConnectionId, RunId},
    store::{
        StoreError,
        catalogue::AdminAction,
        launch::{
            ConnectionProof, ControlFacts, ControlRow, Evidence, LaunchStore, RefusedDue, Reviewed, Signature,
            TestBatch, Whose,
        },
    },
};

/// The pair is bound, so that another client's connection gives nothing.
const OF_CONNECTION: &str =
    "select * from launch_controls where connection_id = ? and client_id = ? order by control_key";
const OF_INSTALLATION: &str = "select * from launch_controls where connection_id is null order by control_key";
const PROOF: &str = "select c.id, c.identity_account_id, c.identity_checked_at,
        (select count(*) from metric_baselines b where b.connection_id = c.id and b.client_id = c.client_id) as baselines,
        (select max(b.created_at) from metric_baselines b where b.connection_id = c.id and b.client_id = c.client_id)
            as newest_baseline_at
    from integration_connections c where c.id = ? and c.client_id = ?";
const TEST_BATCHES: &str = "select r.id, r.stream, r.status, r.finished_at, r.records_seen, r.records_created,
        r.records_updated, r.records_failed
    from integration_sync_jobs j
    join integration_sync_runs r on r.id = (select max(t.id) from integration_sync_runs t
        where t.job_id = j.id and t.origin = 'test_batch' and t.status <> 'running')
    where j.connection_id = ? and j.client_id = ? order by r.stream";
/// The gate alone keeps these from running: a pause, a revocation or a missing credential is told elsewhere.
const REFUSED_DUE: &str = concat!(
    "select c.connection_key, count(*) as jobs, max(case when c.activated_at is null then 0 else 1 end) as activated
     from integration_sync_jobs j
     join integration_connections c on c.id = j.connection_id
     join core_clients cl on cl.id = c.client_id
     join integration_providers p on p.provider_key = c.provider_key
     where j.status = 'active' and j.next_run_at <= ",
    now!(),
    " and cl.status = 'active' and p.status = 'active' and c.environment = 'production'
       and c.status in ('draft', 'testing', 'connected', 'manual_import')
       and (c.activated_at is null or exists (select 1 from launch_controls l
            where l.connection_slot in (0, c.id) and l.blocks_from <= ",
    now!(),
    "))
     group by c.connection_key order by c.connection_key"
);

#[async_trait]
impl LaunchStore for Store {
    async fn launch_controls(&self, whose: Whose) -> Result<Vec<ControlRow>, StoreError> {
        self.read("list launch controls", async {
            let rows = match whose.ids() {
                Some((connection, client)) => {
                    self.inner.rows(sqlx::query::<Db>(OF_CONNECTION).bind(connection.0).bind(client.0)).await?
                }
                None => self.inner.rows(sqlx::query::<Db>(OF_INSTALLATION)).await?,
            };
            rows.iter().map(|row| control(&Cells::of("launch_controls", row))).collect()
        })
        .await
    }

    async fn connection_proof(
        &self,
        connection: ConnectionId,
        client: ClientId,
    ) -> Result<ConnectionProof, StoreError> {
        self.read("read what proves a connection", async {
            let row = self.inner.row(sqlx::query::<Db>(PROOF).bind(connection.0).bind(client.0)).await?;
            let Some(row) = row else { return Ok(ConnectionProof::default()) };
            let cells = Cells::of("integration_connections", &row);
            let batches = self.inner.rows(sqlx::query::<Db>(TEST_BATCHES).bind(connection.0).bind(client.0)).await?;
            Ok(ConnectionProof {
                identity_account_id: cells.opt_text("identity_account_id")?,
                identity_checked_at: cells.opt_at("identity_checked_at")?,
                test_batches: batches
                    .iter()
                    .map(|row| test_batch(&Cells::of("integration_sync_runs", row)))
                    .collect::<Result<_, _>>()?,
                baselines: cells.int("baselines")?,
                newest_baseline_at: cells.opt_at("newest_baseline_at")?,
            })
        })
        .await
    }

    async fn record_review(&self, whose: Whose, controls: &[Reviewed]) -> Result<(), StoreError> {
        let controls = Arc::new(controls.to_vec());
        self.write("record a launch review", Patience::Short, move |session, _| {
            let controls = Arc::clone(&controls);
            Box::pin(async move {
                launch_write::review(session, whose, &controls).await?;
                Ok(Outcome::Commit(()))
            })
        })
        .await
    }

    async fn sign_controls(&self, signatures: &[Signature], actions: &[AdminAction]) -> Result<(), StoreError> {
        let told = Arc::new((signatures.to_vec(), actions.to_vec()));
        self.write("sign launch controls", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                launch_write::sign(session, &told.0, &told.1).await?;
                Ok(Outcome::Commit(()))
            })
        })
        .await
    }

    async fn refused_due(&self) -> Result<Vec<RefusedDue>, StoreError> {
        self.read("look for due jobs that the gate refuses", async {
            let rows = self.inner.rows(sqlx::query::<Db>(REFUSED_DUE)).await?;
            rows.iter()
                .map(|row| {
                    let cells = Cells::of("integration_connections", row);
                    Ok(RefusedDue {
                        connection_key: cells.text("connection_key")?,
                        jobs: cells.int("jobs")?,
                        activated: cells.flag("activated")?,
                    })
                })
                .collect()
        })
        .await
    }
}

fn control(cells: &Cells<'_>) -> Result<ControlRow, Fault> {
    let evidence = match (cells.opt_text("evidence")?, cells.opt_at("evidence_at")?) {
        (Some(evidence), Some(evidence_at)) => Some(Evidence {
            evidence_kind: cells.opt_text("evidence_kind")?.unwrap_or_default(),
            evidence,
            evidence_at,
        }),
        (Some(_), None) | (None, Some(_)) | (None, None) => None,
    };
    Ok(ControlRow {
        control_key: cells.text("control_key")?,
        title: cells.text("title")?,
        kind: cells.word("kind")?,
        facts: ControlFacts {
            owner: cells.opt_text("owner")?,
            source: cells.opt_text("source")?,
            environment: cells.opt_text("environment")?,
            data_boundary: cells.opt_text("data_boundary")?,
            rollback_path: cells.opt_text("rollback_path")?,
            review_cadence_days: cells.opt_int("review_cadence_days")?,
        },
        evidence,
        signed_by: cells.opt_text("signed_by")?,
        status: cells.word("status")?,
        status_reason: cells.opt_text("status_reason")?,
        checked_at: cells.opt_at("checked_at")?,
        blocks_from: cells.opt_at("blocks_from")?,
    })
}

fn test_batch(cells: &Cells<'_>) -> Result<TestBatch, Fault> {
    Ok(TestBatch {
        stream: cells.text("stream")?,
        run: RunId(cells.int("id")?),
        status: cells.word("status")?,
        finished_at: cells.opt_at("finished_at")?,
        seen: cells.int("records_seen")?,
        created: cells.int("records_created")?,
        updated: cells.int("records_updated")?,
        failed: cells.int("records_failed")?,
    })
}

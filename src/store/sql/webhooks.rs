//! Endpoints, and what waits behind them. Taking deliveries is `webhooks_take`'s, settling them `webhooks_settle`'s.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Connection as Session, Db, Row,
    catalogue::words,
    cells::{Cells, micros},
    declare::note,
    dialect::At,
    fault::Fault,
    store::{Outcome, Patience, Store},
    webhooks_take,
};
use crate::{
    domain::ids::{ClientId, ConnectionId, DeliveryId, EndpointId, JobId, RawEventId, RunId},
    store::{
        StoreError,
        catalogue::AdminAction,
        page::RawEvent,
        webhooks::{
            DeliveryRow, Endpoint, EndpointCounts, EndpointFacts, NewDelivery, Pending, Taken, Waiting, WebhookStore,
        },
    },
};

const ENDPOINTS: &str =
    "select w.id, w.path_hash, w.connection_id, w.client_id, w.secrets, c.connection_key, c.provider_key,
        c.source_label, c.status as connection_status, cl.status as client_status, p.status as provider_status
    from integration_webhook_endpoints w
    join integration_connections c on c.id = w.connection_id and c.client_id = w.client_id
    join core_clients cl on cl.id = w.client_id
    join integration_providers p on p.provider_key = c.provider_key
    where w.path_hash is not null order by w.id";
const FACTS: &str = "select w.*, c.connection_key,
        (select count(*) from event_webhook_events e
         where e.status = 'received' and e.connection_id = w.connection_id and e.client_id = w.client_id) as waiting
    from integration_webhook_endpoints w
    join integration_connections c on c.id = w.connection_id and c.client_id = w.client_id
    where w.connection_id = ? and w.client_id = ?";
const NEW_PATH: &str = concat!(
    "update integration_webhook_endpoints set path_hash = ?, path_created_at = ",
    now!(),
    " where connection_id = ? and client_id = ?"
);
const INSERT_PATH: &str = concat!(
    "insert into integration_webhook_endpoints (secrets, path_hash, connection_id, client_id, path_created_at, created_at)
     values ('[]', ?, ?, ?, ",
    now!(),
    ", ",
    now!(),
    ")"
);
const COUNT: &str = "update integration_webhook_endpoints
    set accepted = accepted + ?, duplicates = duplicates + ?, refused = refused + ?, unreadable = unreadable + ?,
        last_verified_at = case when ? is not null and (last_verified_at is null or last_verified_at < ?) then ?
                                else last_verified_at end,
        first_verified_at = coalesce(first_verified_at, ?)
    where id = ?";
/// What may be worked on: the jobs of runnable connections, and streams without a job.
const WAITING: &str = concat!(
    "select w.connection_id, w.client_id, w.stream, w.records, w.deliveries, w.attempts, c.connection_key,
            c.provider_key, j.id as job_id
     from (select connection_id, client_id, stream, case when raw_event_id is null then 0 else 1 end as records,
                  count(*) as deliveries, max(attempts) as attempts
           from event_webhook_events
           where status = 'received' and (next_attempt_at is null or next_attempt_at <= ",
    now!(),
    ") group by connection_id, client_id, stream, case when raw_event_id is null then 0 else 1 end) w
     join integration_connections c on c.id = w.connection_id and c.client_id = w.client_id
     join core_clients cl on cl.id = w.client_id
     join integration_providers p on p.provider_key = c.provider_key
     left join integration_sync_jobs j on j.connection_id = w.connection_id and j.client_id = w.client_id
          and j.stream = w.stream
     where (j.id is null or j.status = 'active') and ",
    runnable!(),
    " order by w.connection_id, w.stream limit ?"
);
const PENDING: &str =
    "select e.id as delivery, e.received_at as delivered_at, e.source_updated_at, r.id, r.external_id, r.payload,
        r.payload_hash, r.received_at
    from event_webhook_events e
    join integration_raw_events r on r.id = e.raw_event_id and r.connection_id = e.connection_id
    where e.status = 'received' and e.connection_id = ? and e.client_id = ? and e.stream = ? and e.id > ?
    order by e.id limit ?";
const WANT_FETCH: &str = concat!(
    "update integration_sync_jobs set next_run_at = ",
    now_plus_micros!(),
    " where connection_id = ? and client_id = ? and stream = ? and status = 'active'
       -- A provider that fails at present is asked when its back-off is over.
       and consecutive_failures = 0
       and (lease_until is null or lease_until <= ",
    now!(),
    ") and (next_run_at is null or next_run_at > ",
    now_plus_micros!(),
    ")"
);
const GIVE_UP: &str = concat!(
    "update event_webhook_events
     set status = 'failed', reason = ?, attempts = attempts + 1, next_attempt_at = null, settled_at = ",
    now!(),
    " where status = 'received' and connection_id = ? and client_id = ? and stream = ? and raw_event_id is not null
       and attempts + 1 >= ?"
);
const PUT_OFF: &str = concat!(
    "update event_webhook_events set attempts = attempts + 1, next_attempt_at = ",
    now_plus_micros!(),
    " where status = 'received' and connection_id = ? and client_id = ? and stream = ? and raw_event_id is not null"
);
const FAIL_FETCHES: &str = concat!(
    "update event_webhook_events set status = 'failed', reason = ?, settled_at = ",
    now!(),
    " where status = 'received' and connection_id = ? and client_id = ? and stream = ? and raw_event_id is null"
);
const WAITING_BY_PROVIDER: &str = "select provider_key, count(*) as deliveries from event_webhook_events
    where status = 'received' group by provider_key order by provider_key";
const DELIVERIES: &str = "select e.*, c.connection_key from event_webhook_events e
    join integration_connections c on c.id = e.connection_id and c.client_id = e.client_id
    where e.connection_id = ? and e.client_id = ? order by e.id desc limit ?";

const TABLE: &str = "event_webhook_events";
const ENDPOINT_TABLE: &str = "integration_webhook_endpoints";

#[async_trait]
impl WebhookStore for Store {
    async fn webhook_endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.read("list webhook endpoints", async {
            let rows = self.inner.rows(sqlx::query(ENDPOINTS)).await?;
            rows.iter().map(|row| endpoint(&Cells::of(ENDPOINT_TABLE, row))).collect()
        })
        .await
    }

    async fn webhook_endpoint(
        &self,
        connection: ConnectionId,
        client: ClientId,
    ) -> Result<Option<EndpointFacts>, StoreError> {
        self.read("read a webhook endpoint", async {
            let row = self.inner.row(sqlx::query::<Db>(FACTS).bind(connection.0).bind(client.0)).await?;
            row.map(|row| facts(&Cells::of(ENDPOINT_TABLE, &row))).transpose()
        })
        .await
    }

    async fn put_webhook_path(
        &self,
        connection: ConnectionId,
        client: ClientId,
        path_hash: &str,
        action: &AdminAction,
    ) -> Result<(), StoreError> {
        let told = Arc::new((path_hash.to_owned(), action.clone()));
        self.write("make a webhook path", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                for text in [NEW_PATH, INSERT_PATH] {
                    let query = sqlx::query::<Db>(text).bind(told.0.as_str()).bind(connection.0).bind(client.0);
                    if query.execute(&mut *session).await?.rows_affected() > 0 {
                        break;
                    }
                }
                note(session, &told.1).await?;
                Ok(Outcome::Commit(()))
            })
        })
        .await
    }

    async fn count_at_endpoints(&self, counts: &[(EndpointId, EndpointCounts)]) -> Result<(), StoreError> {
        let mut counts = counts.to_vec();
        // In one order, so that two processes that count do not wait for each other in a circle.
        counts.sort_by_key(|(id, _)| *id);
        let counts = Arc::new(counts);
        self.write("count at webhook endpoints", Patience::Short, move |session, _| {
            let counts = Arc::clone(&counts);
            Box::pin(async move {
                for (id, more) in counts.iter() {
                    count(&mut *session, *id, more).await?;
                }
                Ok(Outcome::Commit(()))
            })
        })
        .await
    }

    async fn take_deliveries(&self, deliveries: Arc<Vec<NewDelivery>>) -> Result<Vec<Taken>, StoreError> {
        webhooks_take::take(self, deliveries).await
    }

    async fn waiting_deliveries(&self, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        self.read("look for waiting deliveries", async {
            let rows = self.inner.rows(sqlx::query::<Db>(WAITING).bind(i64::from(limit))).await?;
            rows.iter().map(|row| waiting(&Cells::of(TABLE, row))).collect()
        })
        .await
    }

    async fn pending_deliveries(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Pending>, StoreError> {
        self.read("read waiting deliveries", async {
            let query = sqlx::query::<Db>(PENDING).bind(connection.0).bind(client.0).bind(stream).bind(after);
            let rows = self.inner.rows(query.bind(i64::from(limit))).await?;
            rows.iter().map(pending).collect()
        })
        .await
    }

    async fn want_fetch(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        wait: Duration,
    ) -> Result<bool, StoreError> {
        let stream: Arc<str> = stream.into();
        self.write("make a job due", Patience::Short, move |session, _| {
            let stream = Arc::clone(&stream);
            Box::pin(async move {
                let query = sqlx::query::<Db>(WANT_FETCH).bind(micros(wait)).bind(connection.0).bind(client.0);
                let result = query.bind(stream).bind(micros(wait)).execute(session).await?;
                Ok(Outcome::Commit(result.rows_affected() > 0))
            })
        })
        .await
    }

    async fn put_off_deliveries(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        wait: Duration,
        most: i64,
        reason: &str,
    ) -> Result<u64, StoreError> {
        let told: Arc<(String, String)> = Arc::new((stream.to_owned(), reason.to_owned()));
        self.write("put deliveries off", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let (stream, reason) = (told.0.as_str(), told.1.as_str());
                let query = sqlx::query::<Db>(GIVE_UP).bind(reason).bind(connection.0).bind(client.0);
                let failed = query.bind(stream).bind(most).execute(&mut *session).await?.rows_affected();
                let query = sqlx::query::<Db>(PUT_OFF).bind(micros(wait)).bind(connection.0).bind(client.0);
                query.bind(stream).execute(session).await?;
                Ok(Outcome::Commit(failed))
            })
        })
        .await
    }

    async fn fail_fetches(
        &self,
        connection: ConnectionId,
        client: ClientId,
        stream: &str,
        reason: &str,
    ) -> Result<u64, StoreError> {
        let told: Arc<(String, String)> = Arc::new((stream.to_owned(), reason.to_owned()));
        self.write("fail deliveries that nobody works on", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let query = sqlx::query::<Db>(FAIL_FETCHES).bind(told.1.as_str()).bind(connection.0).bind(client.0);
                let result = query.bind(told.0.as_str()).execute(session).await?;
                Ok(Outcome::Commit(result.rows_affected()))
            })
        })
        .await
    }

    async fn waiting_by_provider(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.read("count waiting deliveries", async {
            let rows = self.inner.rows(sqlx::query(WAITING_BY_PROVIDER)).await?;
            rows.iter()
                .map(|row| {
                    let cells = Cells::of(TABLE, row);
                    Ok((cells.text("provider_key")?, cells.int("deliveries")?))
                })
                .collect()
        })
        .await
    }

    async fn deliveries(
        &self,
        connection: ConnectionId,
        client: ClientId,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        self.read("list deliveries", async {
            let query = sqlx::query::<Db>(DELIVERIES).bind(connection.0).bind(client.0).bind(i64::from(limit));
            let rows = self.inner.rows(query).await?;
            rows.iter().map(|row| delivery(&Cells::of(TABLE, row))).collect()
        })
        .await
    }
}

async fn count(session: &mut Session, id: EndpointId, more: &EndpointCounts) -> Result<(), Fault> {
    let verified = more.last_verified_at.map(At);
    sqlx::query::<Db>(COUNT)
        .bind(more.accepted)
        .bind(more.duplicates)
        .bind(more.refused)
        .bind(more.unreadable)
        .bind(verified)
        .bind(verified)
        .bind(verified)
        .bind(verified)
        .bind(id.0)
        .execute(session)
        .await?;
    Ok(())
}

fn endpoint(cells: &Cells<'_>) -> Result<Endpoint, Fault> {
    Ok(Endpoint {
        id: EndpointId(cells.int("id")?),
        path_hash: cells.text("path_hash")?,
        connection_id: ConnectionId(cells.int("connection_id")?),
        client_id: ClientId(cells.int("client_id")?),
        connection_key: cells.text("connection_key")?,
        provider_key: cells.text("provider_key")?,
        source_label: cells.text("source_label")?,
        connection_status: cells.word("connection_status")?,
        client_status: cells.word("client_status")?,
        provider_status: cells.word("provider_status")?,
        secrets: words(&cells.json("secrets")?),
    })
}

fn facts(cells: &Cells<'_>) -> Result<EndpointFacts, Fault> {
    Ok(EndpointFacts {
        connection_key: cells.text("connection_key")?,
        secrets: words(&cells.json("secrets")?),
        path_created_at: cells.opt_at("path_created_at")?,
        last_verified_at: cells.opt_at("last_verified_at")?,
        accepted: cells.int("accepted")?,
        duplicates: cells.int("duplicates")?,
        refused: cells.int("refused")?,
        unreadable: cells.int("unreadable")?,
        waiting: cells.int("waiting")?,
    })
}

fn waiting(cells: &Cells<'_>) -> Result<Waiting, Fault> {
    Ok(Waiting {
        connection_id: ConnectionId(cells.int("connection_id")?),
        client_id: ClientId(cells.int("client_id")?),
        connection_key: cells.text("connection_key")?,
        provider_key: cells.text("provider_key")?,
        stream: cells.text("stream")?,
        job: cells.opt_int("job_id")?.map(JobId),
        records: cells.flag("records")?,
        deliveries: cells.int("deliveries")?,
        attempts: cells.int("attempts")?,
    })
}

fn pending(row: &Row) -> Result<Pending, Fault> {
    let cells = Cells::of(TABLE, row);
    Ok(Pending {
        id: DeliveryId(cells.int("delivery")?),
        received_at: cells.at("delivered_at")?,
        source_updated_at: cells.opt_at("source_updated_at")?,
        raw: RawEvent {
            id: RawEventId(cells.int("id")?),
            external_id: cells.text("external_id")?,
            payload: cells.text("payload")?,
            payload_hash: cells.text("payload_hash")?,
            received_at: cells.at("received_at")?,
        },
    })
}

fn delivery(cells: &Cells<'_>) -> Result<DeliveryRow, Fault> {
    Ok(DeliveryRow {
        id: DeliveryId(cells.int("id")?),
        connection_key: cells.text("connection_key")?,
        delivery_id: cells.text("delivery_id")?,
        event_name: cells.text("event_name")?,
        payload_summary: cells.text("payload_summary")?,
        status: cells.word("status")?,
        attempts: cells.int("attempts")?,
        received_at: cells.at("received_at")?,
        run_id: cells.opt_int("run_id")?.map(RunId),
        reason: cells.opt_text("reason")?,
    })
}

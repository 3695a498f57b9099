//! Missed deliveries: which records of a page no delivery had brought, and how many there were lately.
//!
//! A page without candidates asks nothing. What is looked at of runs is bounded from the newest back.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{Connection as Session, Db, bulk, cells::Cells, dialect::At, fault::Fault, store::Store};
use crate::{
    domain::{
        clock::Timestamp,
        ids::{ClientId, ConnectionId},
    },
    store::{
        StoreError,
        alerts::Whose,
        page::{PageScope, RecordWrite},
        repairs::{Missed, MissedFact, RepairStore},
    },
};

/// An event that carries no record is dated by its provider's event clock, which is not the one that dates the record.
const CLOCKS_APART: std::time::Duration = std::time::Duration::from_secs(5);

const BROUGHT: &str = "select external_id, max(source_updated_at) as told,
        max(case when source_updated_at is null then coalesce(occurred_at, received_at) end) as happened
    from event_webhook_events where connection_id = ? and client_id = ? and stream = ? and external_id in (";
const COUNT: &str = "update integration_sync_runs set records_repaired = records_repaired + ?
    where id = ? and job_id = ? and fence = ? and status = 'running'";
const DELIVERS_SINCE: &str =
    "select first_verified_at from integration_webhook_endpoints where connection_id = ? and client_id = ?";
const REPAIRED: &str = "select cast(coalesce(sum(r.records_repaired), 0) as signed) as repaired
    from (select records_repaired, started_at from integration_sync_runs where connection_id = ? and client_id = ?
          order by id desc limit 500) r
    where r.started_at >= ?";
const DELIVERED: &str = "select count(*) from event_webhook_events
    where connection_id = ? and client_id = ? and external_id is not null and received_at >= ?";
const MISSED: &str = "select c.id as connection_id, c.client_id, c.connection_key, c.owner, cl.client_key,
       cast(sum(r.records_repaired) as signed) as repaired, min(r.started_at) as since
    from (select connection_id, started_at, records_repaired from integration_sync_runs order by id desc limit 5000) r
    join integration_connections c on c.id = r.connection_id
    join core_clients cl on cl.id = c.client_id
    where r.records_repaired > 0 and r.started_at >= ? and cl.status = 'active' and c.status <> 'revoked'
    group by c.id, c.client_id, c.connection_key, c.owner, cl.client_key order by c.id";

/// The candidates of a page with the time that each record tells of itself.
pub(super) fn candidates(records: &[RecordWrite], repairs: &[usize]) -> Vec<(String, Timestamp)> {
    let of = |at: &usize| records.get(*at).and_then(|r| Some((r.external_id.clone(), r.source_updated_at?)));
    repairs.iter().filter_map(of).collect()
}

/// Counts those of the candidates that no delivery of the same object, at least as new, had announced.
pub(super) async fn count(
    session: &mut Session,
    scope: &PageScope,
    candidates: &[(String, Timestamp)],
) -> Result<(), Fault> {
    let mut brought: HashMap<String, (Option<Timestamp>, Option<Timestamp>)> = HashMap::new();
    for now in candidates.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let mut query = sqlx::query::<Db>(bulk::in_list(BROUGHT, slots, ") group by external_id"))
            .bind(scope.connection_id.0)
            .bind(scope.client_id.0)
            .bind(&scope.stream);
        for (id, _) in bulk::padded(now, slots) {
            query = query.bind(id);
        }
        for row in query.fetch_all(&mut *session).await? {
            let cells = Cells::of("event_webhook_events", &row);
            brought.insert(cells.text("external_id")?, (cells.opt_at("told")?, cells.opt_at("happened")?));
        }
    }
    let announced = |(id, at): &&(String, Timestamp)| {
        brought.get(id).is_some_and(|(told, happened)| {
            told.is_some_and(|told| told >= *at) || happened.is_some_and(|then| then.plus(CLOCKS_APART) >= *at)
        })
    };
    let repaired = candidates.iter().filter(|candidate| !announced(candidate)).count();
    if repaired > 0 {
        sqlx::query::<Db>(COUNT)
            .bind(i64::try_from(repaired).unwrap_or(i64::MAX))
            .bind(scope.run.0)
            .bind(scope.lease.job.0)
            .bind(scope.lease.fence)
            .execute(session)
            .await?;
    }
    Ok(())
}

#[async_trait]
impl RepairStore for Store {
    async fn delivers_since(
        &self,
        connection: ConnectionId,
        client: ClientId,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read("look for a webhook endpoint", async {
            let row = self.inner.row(sqlx::query(DELIVERS_SINCE).bind(connection.0).bind(client.0)).await?;
            match row {
                Some(row) => Cells::of("integration_webhook_endpoints", &row).opt_at("first_verified_at"),
                None => Ok(None),
            }
        })
        .await
    }

    async fn missed_of(
        &self,
        connection: ConnectionId,
        client: ClientId,
        since: Timestamp,
    ) -> Result<Missed, StoreError> {
        self.read("count missed deliveries", async {
            let query = sqlx::query::<Db>(REPAIRED).bind(connection.0).bind(client.0).bind(At(since));
            let repaired = self.inner.number(query).await?;
            Ok(Missed { repaired, delivered: self.delivered(connection.0, client.0, repaired, since).await? })
        })
        .await
    }

    async fn missed(&self, since: Timestamp) -> Result<Vec<MissedFact>, StoreError> {
        self.read("look for missed deliveries", async {
            let rows = self.inner.rows(sqlx::query::<Db>(MISSED).bind(At(since))).await?;
            let mut facts = Vec::with_capacity(rows.len());
            for row in &rows {
                let cells = Cells::of("integration_sync_runs", row);
                let whose = Whose {
                    connection_id: ConnectionId(cells.int("connection_id")?),
                    client_id: ClientId(cells.int("client_id")?),
                    connection_key: cells.text("connection_key")?,
                    client_key: cells.text("client_key")?,
                    owner: cells.opt_text("owner")?,
                };
                let repaired = cells.int("repaired")?;
                let delivered = self.delivered(whose.connection_id.0, whose.client_id.0, repaired, since).await?;
                let missed = Missed { repaired, delivered };
                facts.push(MissedFact { whose, missed, since: cells.at("since")? });
            }
            Ok(facts)
        })
        .await
    }
}

impl Store {
    /// Deliveries of a connection that named an object; not asked where nothing was repaired.
    async fn delivered(&self, connection: i64, client: i64, repaired: i64, since: Timestamp) -> Result<i64, Fault> {
        if repaired == 0 {
            return Ok(0);
        }
        self.inner.number(sqlx::query::<Db>(DELIVERED).bind(connection).bind(client).bind(At(since))).await
    }
}

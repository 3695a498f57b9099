//! What a run wrote and still stands, with what stood before it.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{Db, bulk, cells::Cells, fault::Fault, raw, store::Store};
use crate::{
    domain::ids::{ConnectionId, RawEventId, RunId},
    store::{
        StoreError,
        page::RawEvent,
        void::{VoidStore, Written},
    },
};

/// A raw event that a link names and that is ignored is one that a rule left a stored record out by. The run's raw events through ix_integration_raw_events_run, each link through the unique key of its object.
const WRITTEN: &str = "select r.id, r.external_id, l.first_run_id
    from integration_sync_runs n
    join integration_raw_events r on r.connection_id = n.connection_id and r.client_id = n.client_id and r.run_id = n.id
    join integration_object_links l on l.connection_id = r.connection_id and l.object_type = ? and l.external_id = r.external_id
     and l.raw_event_id = r.id
    where n.id = ? and n.connection_id = ? and n.stream = ? and r.status in ('normalized', 'ignored') and r.id > ? and l.payload_hash <> ''
    order by r.id limit ?";
/// The newest version that another run wrote and that stands to it, and how many there are.
const EARLIER: &str = "select r.external_id, count(*) as versions,
        max(case when r.run_id not in (select cast(a.subject_key as signed) from event_admin_actions a where a.action = 'run.void')
            then r.id end) as good_id
    from integration_raw_events r
    where r.connection_id = ? and r.client_id = (select c.client_id from integration_connections c where c.id = ?)
      and r.stream = ? and r.status = 'normalized' and r.run_id <> ? and r.id < ? and r.external_id in (";
const THESE: &str = "select r.id as position, r.id, r.external_id, r.payload, r.payload_hash, r.received_at
    from integration_raw_events r where r.connection_id = ? and r.id in (";
const WITHOUT_RAW: &str = "select count(*) from integration_object_links l
    where l.connection_id = ? and l.object_type = ? and l.last_run_id = ? and l.payload_hash <> ''
      and not exists (select 1 from integration_raw_events r where r.id = l.raw_event_id and r.connection_id = l.connection_id)";

#[async_trait]
impl VoidStore for Store {
    async fn written_by(
        &self,
        connection: ConnectionId,
        stream: &str,
        object_type: &str,
        run: RunId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Written>, StoreError> {
        self.read("read what a run wrote", async {
            let query = sqlx::query::<Db>(WRITTEN)
                .bind(object_type)
                .bind(run.0)
                .bind(connection.0)
                .bind(stream)
                .bind(after)
                .bind(i64::from(limit));
            let rows = self.inner.rows(query).await?;
            let mut written = Vec::with_capacity(rows.len());
            for row in &rows {
                let cells = Cells::of("integration_raw_events", row);
                written.push(Written {
                    raw: RawEventId(cells.int("id")?),
                    external_id: cells.text("external_id")?,
                    created: cells.int("first_run_id")? == run.0,
                    before: None,
                    all_taken_back: false,
                });
            }
            for now in written.chunks_mut(bulk::MOST_ROWS) {
                self.look_back(connection, stream, run, now).await?;
            }
            Ok(written)
        })
        .await
    }

    async fn written_without_raw(
        &self,
        connection: ConnectionId,
        object_type: &str,
        run: RunId,
    ) -> Result<i64, StoreError> {
        self.read("count what has no raw event", async {
            self.inner.number(sqlx::query(WITHOUT_RAW).bind(connection.0).bind(object_type).bind(run.0)).await
        })
        .await
    }
}

impl Store {
    /// Fills in what stood before.
    async fn look_back(
        &self,
        connection: ConnectionId,
        stream: &str,
        run: RunId,
        written: &mut [Written],
    ) -> Result<(), Fault> {
        let Some(newest) = written.iter().map(|one| one.raw).max() else { return Ok(()) };
        let slots = bulk::slots_for(written.len());
        let mut query = sqlx::query::<Db>(bulk::in_list(EARLIER, slots, ") group by r.external_id"))
            .bind(connection.0)
            .bind(connection.0)
            .bind(stream)
            .bind(run.0)
            .bind(newest.0);
        for one in bulk::padded(written, slots) {
            query = query.bind(one.external_id.clone());
        }
        let mut good: HashMap<String, Option<i64>> = HashMap::new();
        for row in &self.inner.rows(query).await? {
            let cells = Cells::of("integration_raw_events", row);
            good.insert(cells.text("external_id")?, cells.opt_int("good_id")?);
        }
        let ids: Vec<i64> = good.values().flatten().copied().collect();
        let mut events: HashMap<String, RawEvent> = HashMap::new();
        if !ids.is_empty() {
            let slots = bulk::slots_for(ids.len());
            let mut query = sqlx::query::<Db>(bulk::in_list(THESE, slots, ")")).bind(connection.0);
            for id in bulk::padded(&ids, slots) {
                query = query.bind(*id);
            }
            for row in &self.inner.rows(query).await? {
                let (_, event) = raw::event(row)?;
                events.insert(event.external_id.clone(), event);
            }
        }
        for one in written {
            one.all_taken_back = good.get(&one.external_id) == Some(&None);
            one.before = events.remove(&one.external_id);
        }
        Ok(())
    }
}

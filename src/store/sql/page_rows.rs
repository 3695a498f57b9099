//! What a page reads and stages: the records that are known, and its raw events. The rest is `page_records` and
//! `page_letters`.

use std::{collections::HashSet, sync::Arc};

use sqlx::Row as _;

use super::{
    Connection as Session, Db,
    bulk::{self, Insert},
    dialect,
    dialect::At,
    fault::Fault,
    store::Statement,
};
use crate::{
    domain::{
        business::BusinessTable,
        ids::{InternalId, RawEventId, RunId},
        status::RawStatus,
    },
    store::{
        StoreError,
        page::{Known, KnownRecords, PageScope, RawWrite},
    },
};

const KNOWN: &str = "select id, external_id, internal_table, internal_id, payload_hash, record_hash, source_updated_at,
    last_run_id, is_test, raw_event_id from integration_object_links where connection_id = ? and object_type = ? and external_id in (";

const INSERT_RAW: Insert<'_> = Insert {
    table: "integration_raw_events",
    shared: &["connection_id", "client_id", "run_id", "origin", "stream", "source_label", "is_test"],
    own: &["external_id", "payload", "payload_hash", "status", "reason"],
    stamped: &["received_at"],
    rewrite: None,
};
/// A raw event that came in without a run (0) is the run's that decides it first.
const SET_RAW: &str = "update integration_raw_events
    set status = ?, reason = ?, run_id = case when run_id = 0 then ? else run_id end
    where connection_id = ? and id in (";
const RESTAMP: &str = "update integration_object_links set mapping_version = ?
    where connection_id = ? and client_id = ? and coalesce(mapping_version, '') <> ? and id in (";

/// What is stored of some records. `lock` is the dialect's clause for rows that will be written.
pub(super) async fn known(
    session: &mut Session,
    connection: i64,
    object_type: &str,
    external_ids: &[String],
    lock: &'static str,
) -> Result<KnownRecords, Fault> {
    let mut records = KnownRecords::with_capacity(external_ids.len());
    let mut left = external_ids;
    let tail: &'static str = if lock.is_empty() { ")" } else { concat!(")", for_update!()) };
    while !left.is_empty() {
        let slots = bulk::slots_for(left.len());
        let (now, rest) = left.split_at(slots.min(left.len()));
        left = rest;
        let mut query = sqlx::query::<Db>(bulk::in_list(KNOWN, slots, tail)).bind(connection).bind(object_type);
        for id in bulk::padded(now, slots) {
            query = query.bind(id.as_str());
        }
        for row in query.fetch_all(&mut *session).await? {
            let known = Known {
                link_id: row.try_get(0)?,
                internal_table: row.try_get(2)?,
                internal_id: InternalId(row.try_get(3)?),
                payload_hash: row.try_get(4)?,
                record_hash: row.try_get(5)?,
                source_updated_at: row.try_get::<Option<At>, _>(6)?.map(|at| at.0),
                last_run_id: RunId(row.try_get(7)?),
                is_test: row.try_get::<i64, _>(8)? != 0,
                raw: row.try_get::<Option<i64>, _>(9)?.map(RawEventId),
            };
            records.insert(row.try_get(1)?, known);
        }
    }
    Ok(records)
}

/// Texts that each row of a page repeats; counted references instead of copies.
pub(super) struct Shared {
    pub stream: Arc<str>,
    pub source_label: Arc<str>,
    pub provider_key: Arc<str>,
    pub object_type: Arc<str>,
    mapping_version: Option<Arc<str>>,
    is_test: i64,
}

impl Shared {
    pub fn of(scope: &PageScope) -> Self {
        Self {
            stream: scope.stream.as_str().into(),
            source_label: scope.source_label.as_str().into(),
            provider_key: scope.provider_key.as_str().into(),
            object_type: scope.object_type.as_str().into(),
            mapping_version: scope.mapping_version.as_deref().map(Into::into),
            is_test: i64::from(scope.is_test),
        }
    }

    /// In the order of `page_records::RECORD_SHARED`.
    pub fn bind_record<'q>(&self, query: Statement<'q>, scope: &PageScope) -> Statement<'q> {
        query
            .bind(scope.client_id.0)
            .bind(scope.connection_id.0)
            .bind(Arc::clone(&self.provider_key))
            .bind(Arc::clone(&self.source_label))
            .bind(Arc::clone(&self.object_type))
            .bind(scope.run.0)
            .bind(scope.run.0)
    }

    /// In the order of `page_records::LINK_SHARED`.
    pub fn bind_link<'q>(&self, query: Statement<'q>, scope: &PageScope, table: &BusinessTable) -> Statement<'q> {
        query
            .bind(scope.connection_id.0)
            .bind(scope.client_id.0)
            .bind(Arc::clone(&self.object_type))
            .bind(table.name)
            .bind(scope.run.0)
            .bind(scope.run.0)
            .bind(self.mapping_version.clone())
    }
}

/// What became of a raw event, and why.
type Disposition = (RawStatus, Option<String>);

/// Writes raw events; gives their ids in the order given.
pub(super) async fn raw(
    session: &mut Session,
    scope: &PageScope,
    events: Vec<RawWrite>,
) -> Result<Vec<RawEventId>, Fault> {
    let mut ids = vec![RawEventId(0); events.len()];
    let mut fresh = Vec::with_capacity(events.len());
    let mut replayed: Vec<(Disposition, Vec<i64>)> = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        match event {
            RawWrite::New { external_id, payload, payload_hash, status, reason } => {
                fresh.push((index, external_id, payload, payload_hash, status, reason));
            }
            RawWrite::Existing { id, status, reason } => {
                ids[index] = id;
                let end = (status, reason);
                match replayed.iter_mut().find(|(other, _)| *other == end) {
                    Some((_, alike)) => alike.push(id.0),
                    None => replayed.push((end, vec![id.0])),
                }
            }
        }
    }

    let shared = Shared::of(scope);
    let step = if fresh.len() > 1 { dialect::id_step(session).await? } else { 1 };
    let origin = scope.origin.as_str();
    let mut left = fresh.into_iter();
    let next = || {
        if left.len() == 0 {
            return Ok(None);
        }
        let rows = bulk::rows_at_once_by_size(left.as_slice().iter().map(|event| event.2.len()), left.len());
        let mut places = Vec::with_capacity(rows);
        let query = bulk::bind_rows(
            sqlx::query(INSERT_RAW.text(rows)),
            left.by_ref().take(rows),
            |query| {
                query
                    .bind(scope.connection_id.0)
                    .bind(scope.client_id.0)
                    .bind(scope.run.0)
                    .bind(origin)
                    .bind(Arc::clone(&shared.stream))
                    .bind(Arc::clone(&shared.source_label))
                    .bind(shared.is_test)
            },
            |query, (place, external_id, payload, payload_hash, status, reason)| {
                places.push(place);
                let query = query.bind(external_id).bind(payload).bind(payload_hash);
                Ok::<_, Fault>(query.bind(status.as_str()).bind(reason))
            },
        )?;
        Ok(Some((query, places)))
    };
    bulk::run_ahead(session, next, |result, places| {
        let first = dialect::first_id(result, places.len());
        for (place, id) in places.into_iter().zip((0..).map(|n: i64| first + n * step)) {
            ids[place] = RawEventId(id);
        }
    })
    .await?;

    for (end, alike) in replayed {
        replay(session, scope, &end, &alike).await?;
    }
    Ok(ids)
}

/// Gives raw events that are there already a new end; all of them must be the connection's (P15).
async fn replay(
    session: &mut Session,
    scope: &PageScope,
    (status, reason): &Disposition,
    ids: &[i64],
) -> Result<(), Fault> {
    for now in ids.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let mut query = sqlx::query::<Db>(bulk::in_list(SET_RAW, slots, ")"))
            .bind(status.as_str())
            .bind(reason.as_deref())
            .bind(scope.run.0)
            .bind(scope.connection_id.0);
        for id in bulk::padded(now, slots) {
            query = query.bind(*id);
        }
        let matched = query.execute(&mut *session).await?.rows_affected();
        let meant = now.iter().collect::<HashSet<_>>().len();
        if u64::try_from(meant) != Ok(matched) {
            return Err(Fault::Refused(StoreError::Constraint {
                constraint: "a replayed raw event is its connection's".to_owned(),
                detail: format!("{matched} of {meant} raw events are those of connection {}", scope.connection_id),
            }));
        }
    }
    Ok(())
}

/// Notes on links that the page's field map stands behind them now; whatever names another connection's link does nothing (P15).
pub(super) async fn restamp(session: &mut Session, scope: &PageScope, links: &[i64]) -> Result<(), Fault> {
    let Some(version) = scope.mapping_version.as_deref() else { return Ok(()) };
    for now in links.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let mut query = sqlx::query::<Db>(bulk::in_list(RESTAMP, slots, ")"))
            .bind(version)
            .bind(scope.connection_id.0)
            .bind(scope.client_id.0)
            .bind(version);
        for id in bulk::padded(now, slots) {
            query = query.bind(*id);
        }
        query.execute(&mut *session).await?;
    }
    Ok(())
}

/// The id of the raw event that a record or a dead letter names by its place in the page.
pub(super) fn raw_id(raw_ids: &[RawEventId], index: usize) -> Result<i64, Fault> {
    raw_ids.get(index).map(|id| id.0).ok_or_else(|| {
        Fault::Refused(StoreError::Constraint {
            constraint: "each record has its raw event".to_owned(),
            detail: format!("raw event {index} of {} in its page", raw_ids.len()),
        })
    })
}

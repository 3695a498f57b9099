//! Raw events read back, to be normalised again without asking the provider.

use super::{Db, bulk, cells::Cells, fault::Fault, store::Inner};
use crate::{
    domain::ids::{ConnectionId, RawEventId},
    store::page::RawEvent,
};

/// Naming the client as well lets the index give the links in their order.
const OF_LINKS: &str = "select l.id as position, r.id, r.external_id, r.payload, r.payload_hash, r.received_at
    from integration_object_links l join integration_raw_events r on r.id = l.raw_event_id
    where l.connection_id = ? and l.client_id = (select c.client_id from integration_connections c where c.id = ?)
      and l.id > ? and r.stream = ? and r.connection_id = l.connection_id
      -- What was taken back comes back with a pull, not with a replay.
      and l.payload_hash <> ''
    order by l.id limit ?";
macro_rules! of_dead_letters {
    ($($end:expr),+) => {
        concat!(
            "select e.id as position, r.id, r.external_id, r.payload, r.payload_hash, r.received_at
             from integration_sync_errors e join integration_raw_events r on r.id = e.raw_event_id
             where e.connection_id = ? and e.stream = ? and e.open_slot = 1 and e.id > ?
               and r.connection_id = e.connection_id",
            $($end),+
        )
    };
}
/// What is due is few: through ix_integration_sync_errors_due.
const OF_DUE_LETTERS: &str =
    of_dead_letters!(" and e.status = 'retry_scheduled' and e.next_retry_at <= ", now!(), " order by e.id limit ?");
const OF_DEAD_LETTERS: &str = of_dead_letters!(" order by e.id limit ?");
const OF_THESE_DEAD_LETTERS: &str = of_dead_letters!(" and e.id in (");

pub(super) async fn of_links(
    inner: &Inner,
    connection: ConnectionId,
    stream: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, RawEvent)>, Fault> {
    let query = sqlx::query::<Db>(OF_LINKS)
        .bind(connection.0)
        .bind(connection.0)
        .bind(after)
        .bind(stream)
        .bind(i64::from(limit));
    let rows = inner.rows(query).await?;
    rows.iter().map(event).collect()
}

pub(super) async fn of_dead_letters(
    inner: &Inner,
    connection: ConnectionId,
    stream: &str,
    ids: &[i64],
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, RawEvent)>, Fault> {
    if ids.is_empty() {
        let query = sqlx::query::<Db>(OF_DEAD_LETTERS).bind(connection.0).bind(stream).bind(after);
        let rows = inner.rows(query.bind(i64::from(limit))).await?;
        return rows.iter().map(event).collect();
    }
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut events = Vec::new();
    for now in sorted.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let text = bulk::in_list(OF_THESE_DEAD_LETTERS, slots, ") order by e.id limit ?");
        let mut query = sqlx::query::<Db>(text).bind(connection.0).bind(stream).bind(after);
        for id in bulk::padded(now, slots) {
            query = query.bind(*id);
        }
        let rows = inner.rows(query.bind(i64::from(limit))).await?;
        for row in &rows {
            events.push(event(row)?);
        }
        if events.len() >= wanted {
            break;
        }
    }
    events.truncate(wanted);
    Ok(events)
}

pub(super) async fn of_due_letters(
    inner: &Inner,
    connection: ConnectionId,
    stream: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, RawEvent)>, Fault> {
    let query = sqlx::query::<Db>(OF_DUE_LETTERS).bind(connection.0).bind(stream).bind(after);
    let rows = inner.rows(query.bind(i64::from(limit))).await?;
    rows.iter().map(event).collect()
}

pub(super) fn event(row: &super::Row) -> Result<(i64, RawEvent), Fault> {
    let cells = Cells::of("integration_raw_events", row);
    let event = RawEvent {
        id: RawEventId(cells.int("id")?),
        external_id: cells.text("external_id")?,
        payload: cells.text("payload")?,
        payload_hash: cells.text("payload_hash")?,
        received_at: cells.at("received_at")?,
    };
    Ok((cells.int("position")?, event))
}

//! The rows of a page: known records, raw events, business records with their links, dead letters.
//!
//! The hot path: few statements of many rows, values moved rather than copied. Client, connection and label of each row come
//! from the scope (P15, P16).

use std::sync::Arc;

use sqlx::Row as _;

use super::{
    Connection as Session, Db, bulk, dialect,
    dialect::{At, Money},
    fault::Fault,
    store::Statement,
};
use crate::{
    domain::{
        business::BusinessTable,
        ids::{InternalId, RawEventId, RunId},
        record::Cell,
        status::RawStatus,
    },
    store::{
        StoreError,
        page::{DeadLetterWrite, Known, KnownRecords, PageScope, RawWrite, RecordWrite},
    },
};

const KNOWN: &str = "select id, external_id, internal_table, internal_id, payload_hash, record_hash, source_updated_at,
    last_run_id, is_test from integration_object_links where connection_id = ? and object_type = ? and external_id in (";

const INSERT_RAW: &str = "insert into integration_raw_events (connection_id, client_id, run_id, origin, stream,
    external_id, payload, payload_hash, source_label, status, reason, is_test, received_at) values ";
const RAW_ROW: &str = concat!("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ", now!(), ")");
const SET_RAW: &str = "update integration_raw_events set status = ?, reason = ? where connection_id = ? and id in (";

const LINK_ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_LINK: &str = "insert into integration_object_links (connection_id, client_id, object_type, external_id,
    internal_table, internal_id, payload_hash, record_hash, raw_event_id, source_updated_at, first_run_id, last_run_id,
    is_test, mapping_version) values ";
const LINK_ROW_WITH_ID: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const UPDATE_LINK: &str =
    "insert into integration_object_links (id, connection_id, client_id, object_type, external_id,
    internal_table, internal_id, payload_hash, record_hash, raw_event_id, source_updated_at, first_run_id, last_run_id,
    is_test, mapping_version) values ";
const LINK_REWRITTEN: [&str; 7] =
    ["payload_hash", "record_hash", "raw_event_id", "source_updated_at", "last_run_id", "is_test", "mapping_version"];

const INSERT_DEAD_LETTER: &str =
    "insert into integration_sync_errors (run_id, job_id, connection_id, client_id, origin,
    stage, stream, external_id, raw_event_id, fingerprint, error_code, message_internal, message_client_safe, remedy,
    payload_hash, attempts, status, first_seen_at, last_seen_at) values ";
const DEAD_LETTER_ROW: &str =
    concat!("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 'open', ", now!(), ", ", now!(), ")");
/// What makes two failures the same open dead letter.
const DEAD_LETTER_KEY: [&str; 5] = ["connection_id", "stream", "external_id", "payload_hash", "open_slot"];
/// What the newest failure says of it.
const DEAD_LETTER_REWRITTEN: [&str; 12] = [
    "run_id",
    "job_id",
    "origin",
    "stage",
    "raw_event_id",
    "fingerprint",
    "error_code",
    "message_internal",
    "message_client_safe",
    "remedy",
    "last_seen_at",
    "status",
];
const ONE_MORE: &str = ", attempts = integration_sync_errors.attempts + 1, next_retry_at = null";
const RESOLVE: &str = concat!(
    "update integration_sync_errors set status = 'resolved', resolved_at = ",
    now!(),
    ", resolved_by = ?, next_retry_at = null
     where connection_id = ? and stream = ? and external_id = ? and payload_hash = ? and open_slot = 1"
);
const SUPERSEDE: &str = concat!(
    "update integration_sync_errors set status = 'resolved', resolved_at = ",
    now!(),
    ", resolved_by = ?, next_retry_at = null
     where connection_id = ? and stream = ? and open_slot = 1 and external_id in ("
);

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
        for id in now.iter().chain(std::iter::repeat_n(&now[now.len() - 1], slots - now.len())) {
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
            };
            records.insert(row.try_get(1)?, known);
        }
    }
    Ok(records)
}

/// Texts that each row of a page repeats; counted references instead of copies.
struct Shared {
    stream: Arc<str>,
    source_label: Arc<str>,
    provider_key: Arc<str>,
    object_type: Arc<str>,
    mapping_version: Option<Arc<str>>,
    is_test: i64,
}

impl Shared {
    fn of(scope: &PageScope) -> Self {
        Self {
            stream: scope.stream.as_str().into(),
            source_label: scope.source_label.as_str().into(),
            provider_key: scope.provider_key.as_str().into(),
            object_type: scope.object_type.as_str().into(),
            mapping_version: scope.mapping_version.as_deref().map(Into::into),
            is_test: i64::from(scope.is_test),
        }
    }
}

/// Writes raw events; gives their ids in the order given.
pub(super) async fn raw(
    session: &mut Session,
    scope: &PageScope,
    events: Vec<RawWrite>,
) -> Result<Vec<RawEventId>, Fault> {
    let mut ids = vec![RawEventId(0); events.len()];
    let mut fresh = Vec::with_capacity(events.len());
    let mut replayed: Vec<((RawStatus, Option<String>), Vec<i64>)> = Vec::new();
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
    while left.len() > 0 {
        let rows = bulk::rows_at_once_by_size(left.as_slice().iter().map(|event| event.2.len()), left.len());
        let mut query = sqlx::query::<Db>(bulk::insert(INSERT_RAW, RAW_ROW, rows, ""));
        let mut places = Vec::with_capacity(rows);
        for (index, external_id, payload, payload_hash, status, reason) in left.by_ref().take(rows) {
            places.push(index);
            query = query
                .bind(scope.connection_id.0)
                .bind(scope.client_id.0)
                .bind(scope.run.0)
                .bind(origin)
                .bind(Arc::clone(&shared.stream))
                .bind(external_id)
                .bind(payload)
                .bind(payload_hash)
                .bind(Arc::clone(&shared.source_label))
                .bind(status.as_str())
                .bind(reason)
                .bind(shared.is_test);
        }
        let first = dialect::first_id(&query.execute(&mut *session).await?, rows);
        for (place, id) in places.into_iter().zip((0..).map(|n: i64| first + n * step)) {
            ids[place] = RawEventId(id);
        }
    }

    for ((status, reason), alike) in replayed {
        for now in alike.chunks(bulk::MOST_ROWS) {
            let slots = bulk::slots_for(now.len());
            let mut query = sqlx::query::<Db>(bulk::in_list(SET_RAW, slots, ")"))
                .bind(status.as_str())
                .bind(reason.as_deref())
                .bind(scope.connection_id.0);
            for id in now.iter().chain(std::iter::repeat_n(&now[now.len() - 1], slots - now.len())) {
                query = query.bind(*id);
            }
            query.execute(&mut *session).await?;
        }
    }
    Ok(ids)
}

/// Writes business records and their links, new ones and changed ones, table by table.
pub(super) async fn records(
    session: &mut Session,
    scope: &PageScope,
    raw_ids: &[RawEventId],
    records: Vec<RecordWrite>,
) -> Result<(), Fault> {
    let shared = Shared::of(scope);
    let mut left = records;
    while let Some(first) = left.first() {
        let table = first.row.table;
        let (now, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|record| record.row.table.name == table.name);
        left = others;
        let (changed, new): (Vec<_>, Vec<_>) = now.into_iter().partition(|record| record.existing.is_some());
        insert_records(session, scope, &shared, raw_ids, table, new).await?;
        update_records(session, scope, &shared, raw_ids, table, changed).await?;
    }
    Ok(())
}

async fn insert_records(
    session: &mut Session,
    scope: &PageScope,
    shared: &Shared,
    raw_ids: &[RawEventId],
    table: &'static BusinessTable,
    records: Vec<RecordWrite>,
) -> Result<(), Fault> {
    let step = if records.len() > 1 { dialect::id_step(session).await? } else { 1 };
    let mut left = records.into_iter();
    while left.len() > 0 {
        let rows = bulk::rows_at_once(left.len());
        let mut business = sqlx::query::<Db>(bulk::insert_records(table, rows));
        let mut links = Vec::with_capacity(rows);
        for mut record in left.by_ref().take(rows) {
            let cells = std::mem::take(&mut record.row.cells);
            business = bind_record(business, scope, shared, &record, scope.is_test);
            business = bind_cells(business, cells, table, &record)?;
            links.push(record);
        }
        let first = dialect::first_id(&business.execute(&mut *session).await?, rows);

        let mut query = sqlx::query::<Db>(bulk::insert(INSERT_LINK, LINK_ROW, rows, ""));
        for (record, id) in links.into_iter().zip((0..).map(|n: i64| first + n * step)) {
            query = bind_link(query, scope, shared, raw_ids, table, record, id, scope.is_test)?;
        }
        query.execute(&mut *session).await?;
    }
    Ok(())
}

async fn update_records(
    session: &mut Session,
    scope: &PageScope,
    shared: &Shared,
    raw_ids: &[RawEventId],
    table: &'static BusinessTable,
    records: Vec<RecordWrite>,
) -> Result<(), Fault> {
    let tail = dialect::on_conflict(&["id"], &LINK_REWRITTEN);
    let mut left = records.into_iter();
    while left.len() > 0 {
        let rows = bulk::rows_at_once(left.len());
        let mut business = sqlx::query::<Db>(bulk::update_records(table, rows));
        let mut links = sqlx::query::<Db>(bulk::insert(UPDATE_LINK, LINK_ROW_WITH_ID, rows, &tail));
        for mut record in left.by_ref().take(rows) {
            let Some(known) = record.existing.take() else { continue };
            if known.internal_table != table.name {
                return Err(Fault::Refused(StoreError::Constraint {
                    constraint: "one object type, one table".to_owned(),
                    detail: format!(
                        "object type {} is kept in {}, a field map sends it to {}: give it an object type of its own",
                        scope.object_type, known.internal_table, table.name
                    ),
                }));
            }
            // What was real once stays real when a test batch sees it.
            let is_test = scope.is_test && known.is_test;
            let cells = std::mem::take(&mut record.row.cells);
            business = bind_record(business.bind(known.internal_id.0), scope, shared, &record, is_test);
            business = bind_cells(business, cells, table, &record)?;
            let id = known.internal_id.0;
            links = bind_link(links.bind(known.link_id), scope, shared, raw_ids, table, record, id, is_test)?;
        }
        business.execute(&mut *session).await?;
        links.execute(&mut *session).await?;
    }
    Ok(())
}

/// In the order of `bulk::OWNED`.
fn bind_record<'q>(
    query: Statement<'q>,
    scope: &PageScope,
    shared: &Shared,
    record: &RecordWrite,
    is_test: bool,
) -> Statement<'q> {
    query
        .bind(scope.client_id.0)
        .bind(scope.connection_id.0)
        .bind(Arc::clone(&shared.provider_key))
        .bind(Arc::clone(&shared.source_label))
        .bind(Arc::clone(&shared.object_type))
        .bind(record.external_id.clone())
        .bind(scope.run.0)
        .bind(scope.run.0)
        .bind(record.source_updated_at.map(At))
        .bind(i64::from(is_test))
}

fn bind_cells<'q>(
    mut query: Statement<'q>,
    cells: Vec<Cell>,
    table: &'static BusinessTable,
    record: &RecordWrite,
) -> Result<Statement<'q>, Fault> {
    if cells.len() != table.columns.len() {
        return Err(Fault::Refused(StoreError::Constraint {
            constraint: "one cell for each column".to_owned(),
            detail: format!("{} of raw event {} in its page", table.name, record.raw),
        }));
    }
    for cell in cells {
        query = match cell {
            Cell::Null => query.bind(None::<String>),
            Cell::Text(text) | Cell::Json(text) => query.bind(text),
            Cell::Integer(number) => query.bind(number),
            Cell::Decimal(number) => query.bind(Money(number)),
            Cell::Bool(truth) => query.bind(i64::from(truth)),
            Cell::Time(at) => query.bind(At(at)),
        };
    }
    Ok(query)
}

#[expect(clippy::too_many_arguments, reason = "one row of one table, told in the order of its columns")]
fn bind_link<'q>(
    query: Statement<'q>,
    scope: &PageScope,
    shared: &Shared,
    raw_ids: &[RawEventId],
    table: &'static BusinessTable,
    record: RecordWrite,
    internal_id: i64,
    is_test: bool,
) -> Result<Statement<'q>, Fault> {
    let raw = raw_id(raw_ids, record.raw)?;
    Ok(query
        .bind(scope.connection_id.0)
        .bind(scope.client_id.0)
        .bind(Arc::clone(&shared.object_type))
        .bind(record.external_id)
        .bind(table.name)
        .bind(internal_id)
        .bind(record.payload_hash)
        .bind(record.record_hash)
        .bind(raw)
        .bind(record.source_updated_at.map(At))
        .bind(scope.run.0)
        .bind(scope.run.0)
        .bind(i64::from(is_test))
        .bind(shared.mapping_version.clone()))
}

/// Opens dead letters, or raises the attempts of those that are open (N2).
pub(super) async fn dead_letters(
    session: &mut Session,
    scope: &PageScope,
    raw_ids: &[RawEventId],
    letters: Vec<DeadLetterWrite>,
) -> Result<(), Fault> {
    let tail = dialect::on_conflict(&DEAD_LETTER_KEY, &DEAD_LETTER_REWRITTEN) + ONE_MORE;
    let mut left = letters.into_iter();
    while left.len() > 0 {
        let rows = bulk::rows_at_once(left.len());
        let mut query = sqlx::query::<Db>(bulk::insert(INSERT_DEAD_LETTER, DEAD_LETTER_ROW, rows, &tail));
        for letter in left.by_ref().take(rows) {
            let raw = letter.raw.map(|index| raw_id(raw_ids, index)).transpose()?;
            query = query
                .bind(scope.run.0)
                .bind(scope.lease.job.0)
                .bind(scope.connection_id.0)
                .bind(scope.client_id.0)
                .bind(scope.origin.as_str())
                .bind(letter.stage.as_str())
                .bind(scope.stream.clone())
                .bind(letter.external_id)
                .bind(raw)
                .bind(letter.fingerprint)
                .bind(letter.error_code)
                .bind(letter.message_internal)
                .bind(letter.message_client_safe)
                .bind(letter.remedy)
                .bind(letter.payload_hash);
        }
        query.execute(&mut *session).await?;
    }
    Ok(())
}

/// Closes the open dead letters of (external id, payload hash) in the transaction that writes their records (N3).
pub(super) async fn resolve(
    session: &mut Session,
    scope: &PageScope,
    resolved: &[(String, String)],
) -> Result<(), Fault> {
    for (external_id, payload_hash) in resolved {
        sqlx::query::<Db>(RESOLVE)
            .bind(format!("run {}", scope.run))
            .bind(scope.connection_id.0)
            .bind(scope.stream.as_str())
            .bind(external_id)
            .bind(payload_hash)
            .execute(&mut *session)
            .await?;
    }
    Ok(())
}

/// Closes open dead letters of records that a newer payload has written.
pub(super) async fn supersede(session: &mut Session, scope: &PageScope, records: &[RecordWrite]) -> Result<(), Fault> {
    for now in records.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let mut query = sqlx::query::<Db>(bulk::in_list(SUPERSEDE, slots, ")"))
            .bind(format!("superseded by run {}", scope.run))
            .bind(scope.connection_id.0)
            .bind(scope.stream.as_str());
        for record in now.iter().chain(std::iter::repeat_n(&now[now.len() - 1], slots - now.len())) {
            query = query.bind(record.external_id.as_str());
        }
        query.execute(&mut *session).await?;
    }
    Ok(())
}

fn raw_id(raw_ids: &[RawEventId], index: usize) -> Result<i64, Fault> {
    raw_ids.get(index).map(|id| id.0).ok_or_else(|| {
        Fault::Refused(StoreError::Constraint {
            constraint: "each record has its raw event".to_owned(),
            detail: format!("raw event {index} of {} in its page", raw_ids.len()),
        })
    })
}

//! The business records of a page and their object links, new ones and changed ones.
//!
//! The hot path: few statements of many rows, values moved rather than copied. Client, connection and label of each row come
//! from the scope (P15, P16); a record's way is always through its link.

use super::{
    Connection as Session,
    bulk::{self, Insert},
    dialect,
    dialect::{At, Money},
    fault::Fault,
    page_rows::{Shared, raw_id},
    store::Statement,
};
use crate::{
    domain::{
        business::{self, BusinessTable},
        ids::RawEventId,
        record::Cell,
    },
    store::{
        StoreError,
        page::{Known, LeftOut, PageScope, RecordWrite},
    },
};

/// What the pipeline fills of a business table besides the table's own columns.
const RECORD_SHARED: [&str; 7] =
    ["client_id", "connection_id", "provider_key", "source_label", "object_type", "first_run_id", "last_run_id"];
const RECORD_OWN: [&str; 3] = ["external_id", "source_updated_at", "is_test"];
/// What a run took back is good again once it is written anew.
const RECORD_REWRITTEN: [&str; 5] = ["source_label", "last_run_id", "source_updated_at", "is_test", "voided_at"];

const LINK_SHARED: &[&str] =
    &["connection_id", "client_id", "object_type", "internal_table", "first_run_id", "last_run_id", "mapping_version"];
const INSERT_LINK: Insert<'_> = Insert {
    table: "integration_object_links",
    shared: LINK_SHARED,
    own: &["external_id", "internal_id", "payload_hash", "record_hash", "raw_event_id", "source_updated_at", "is_test"],
    stamped: &[],
    rewrite: None,
};
const UPDATE_LINK: Insert<'_> = Insert {
    own: &[
        "id",
        "external_id",
        "internal_id",
        "payload_hash",
        "record_hash",
        "raw_event_id",
        "source_updated_at",
        "is_test",
    ],
    rewrite: Some((
        &["id"],
        &[
            "payload_hash",
            "record_hash",
            "raw_event_id",
            "source_updated_at",
            "last_run_id",
            "is_test",
            "mapping_version",
        ],
        "",
    )),
    ..INSERT_LINK
};

const VOID: &str =
    concat!(" set voided_at = ", now!(), ", last_run_id = ? where connection_id = ? and client_id = ? and id in (");
const FOLLOW_PAYLOAD: &str =
    "update integration_object_links set payload_hash = ?, record_hash = '', source_updated_at = ?,
    raw_event_id = ?, last_run_id = ?, mapping_version = ? where id = ? and connection_id = ? and client_id = ?";
const FORGET_PAYLOAD: &str =
    "update integration_object_links set payload_hash = '', record_hash = '', source_updated_at = null, last_run_id = ?
    where connection_id = ? and client_id = ? and id in (";

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
        let (mut new, mut changed) = (Vec::with_capacity(now.len()), Vec::new());
        for mut record in now {
            match record.existing.take() {
                Some(known) => changed.push((record, known)),
                None => new.push(record),
            }
        }
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
    let own: Vec<&'static str> = RECORD_OWN.into_iter().chain(table.columns.iter().map(|c| c.name)).collect();
    let insert = Insert { table: table.name, shared: &RECORD_SHARED, own: &own, stamped: &[], rewrite: None };
    let mut written = Vec::with_capacity(records.len());
    let mut left = records.into_iter();
    let next = || {
        if left.len() == 0 {
            return Ok(None);
        }
        let rows = bulk::rows_at_once(left.len());
        let mut these = Vec::with_capacity(rows);
        let query = bulk::bind_rows(
            sqlx::query(insert.text(rows)),
            left.by_ref().take(rows),
            |query| shared.bind_record(query, scope),
            |query, mut record| {
                let query = bind_record(query, table, &mut record, scope.is_test)?;
                these.push(record);
                Ok::<_, Fault>(query)
            },
        )?;
        Ok(Some((query, these)))
    };
    bulk::run_ahead(session, next, |result, these: Vec<RecordWrite>| {
        let first = dialect::first_id(result, these.len());
        written.extend(these.into_iter().zip((0..).map(|n: i64| first + n * step)));
    })
    .await?;

    let mut left = written.into_iter();
    let next = || {
        if left.len() == 0 {
            return Ok(None);
        }
        let rows = bulk::rows_at_once(left.len());
        let query = bulk::bind_rows(
            sqlx::query(INSERT_LINK.text(rows)),
            left.by_ref().take(rows),
            |query| shared.bind_link(query, scope, table),
            |query, (record, id)| bind_link(query, raw_ids, record, id, scope.is_test),
        )?;
        Ok(Some((query, ())))
    };
    bulk::run_ahead(session, next, |_, ()| ()).await
}

async fn update_records(
    session: &mut Session,
    scope: &PageScope,
    shared: &Shared,
    raw_ids: &[RawEventId],
    table: &'static BusinessTable,
    records: Vec<(RecordWrite, Known)>,
) -> Result<(), Fault> {
    let own: Vec<&'static str> =
        ["id", "voided_at"].into_iter().chain(RECORD_OWN).chain(table.columns.iter().map(|c| c.name)).collect();
    let rewritten: Vec<&'static str> =
        RECORD_REWRITTEN.into_iter().chain(table.columns.iter().map(|c| c.name)).collect();
    let rewrite = Some((&["id"][..], &rewritten[..], ""));
    let update = Insert { table: table.name, shared: &RECORD_SHARED, own: &own, stamped: &[], rewrite };
    if let Some((_, known)) = records.iter().find(|(_, known)| known.internal_table != table.name) {
        return Err(Fault::Refused(StoreError::Constraint {
            constraint: "one object type, one table".to_owned(),
            detail: format!(
                "object type {} is kept in {}, a field map sends it to {}: give it an object type of its own",
                scope.object_type, known.internal_table, table.name
            ),
        }));
    }
    // What was real once stays real when a test batch sees it.
    let is_test = |known: &Known| scope.is_test && known.is_test;
    let mut left = records.into_iter();
    while left.len() > 0 {
        let rows = bulk::rows_at_once(left.len());
        let mut written = Vec::with_capacity(rows);
        let query = bulk::bind_rows(
            sqlx::query(update.text(rows)),
            left.by_ref().take(rows),
            |query| shared.bind_record(query, scope),
            |query, (mut record, known)| {
                let query = query.bind(known.internal_id.0).bind(None::<At>);
                let query = bind_record(query, table, &mut record, is_test(&known))?;
                written.push((record, known));
                Ok::<_, Fault>(query)
            },
        )?;
        query.execute(&mut *session).await?;

        let query = bulk::bind_rows(
            sqlx::query(UPDATE_LINK.text(rows)),
            written.into_iter(),
            |query| shared.bind_link(query, scope, table),
            |query, (record, known)| {
                bind_link(query.bind(known.link_id), raw_ids, record, known.internal_id.0, is_test(&known))
            },
        )?;
        query.execute(&mut *session).await?;
    }
    Ok(())
}

/// Marks records as taken back. Their links forget the payload, so that the same payload is read as changed when it comes again.
pub(super) async fn void(session: &mut Session, scope: &PageScope, records: Vec<Known>) -> Result<(), Fault> {
    mark(session, scope, records.iter().collect()).await?;
    for now in records.chunks(bulk::MOST_ROWS) {
        let slots = bulk::slots_for(now.len());
        let mut query = sqlx::query::<super::Db>(bulk::in_list(FORGET_PAYLOAD, slots, ")"))
            .bind(scope.run.0)
            .bind(scope.connection_id.0)
            .bind(scope.client_id.0);
        for known in bulk::padded(now, slots) {
            query = query.bind(known.link_id);
        }
        query.execute(&mut *session).await?;
    }
    Ok(())
}

/// Marks records that a rule leaves out. Their links follow what was left out. Few: one statement for each.
pub(super) async fn leave_out(
    session: &mut Session,
    scope: &PageScope,
    raw_ids: &[RawEventId],
    records: Vec<LeftOut>,
) -> Result<(), Fault> {
    mark(session, scope, records.iter().map(|left| &left.known).collect()).await?;
    for left in records {
        let raw = raw_id(raw_ids, left.raw)?;
        sqlx::query::<super::Db>(FOLLOW_PAYLOAD)
            .bind(left.payload_hash)
            .bind(left.source_updated_at.map(At))
            .bind(raw)
            .bind(scope.run.0)
            .bind(scope.mapping_version.clone())
            .bind(left.known.link_id)
            .bind(scope.connection_id.0)
            .bind(scope.client_id.0)
            .execute(&mut *session)
            .await?;
    }
    Ok(())
}

/// Marks rows as voided, table by table.
async fn mark(session: &mut Session, scope: &PageScope, records: Vec<&Known>) -> Result<(), Fault> {
    let mut left = records;
    while let Some(first) = left.first() {
        let name = first.internal_table.clone();
        let table = business::table(&name).ok_or_else(|| {
            Fault::Refused(StoreError::Inconsistent {
                table: "integration_object_links",
                column: "internal_table",
                row: first.link_id.to_string(),
                detail: "is no business table".to_owned(),
            })
        })?;
        let (now, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|known| known.internal_table == name);
        left = others;
        for now in now.chunks(bulk::MOST_ROWS) {
            let slots = bulk::slots_for(now.len());
            let head = ["update ", table.name, VOID].concat();
            let mut query = sqlx::query::<super::Db>(bulk::in_list_of(&head, slots, ")"))
                .bind(scope.run.0)
                .bind(scope.connection_id.0)
                .bind(scope.client_id.0);
            for known in bulk::padded(now, slots) {
                query = query.bind(known.internal_id.0);
            }
            query.execute(&mut *session).await?;
        }
    }
    Ok(())
}

/// In the order of [`RECORD_OWN`] and the table's own columns. Takes the cells out of the record.
fn bind_record<'q>(
    query: Statement<'q>,
    table: &'static BusinessTable,
    record: &mut RecordWrite,
    is_test: bool,
) -> Result<Statement<'q>, Fault> {
    let cells = std::mem::take(&mut record.row.cells);
    if cells.len() != table.columns.len() {
        return Err(Fault::Refused(StoreError::Constraint {
            constraint: "one cell for each column".to_owned(),
            detail: format!("{} of raw event {} in its page", table.name, record.raw),
        }));
    }
    let mut query =
        query.bind(record.external_id.clone()).bind(record.source_updated_at.map(At)).bind(i64::from(is_test));
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

/// In the order of `INSERT_LINK.own`.
fn bind_link<'q>(
    query: Statement<'q>,
    raw_ids: &[RawEventId],
    record: RecordWrite,
    internal_id: i64,
    is_test: bool,
) -> Result<Statement<'q>, Fault> {
    let raw = raw_id(raw_ids, record.raw)?;
    Ok(query
        .bind(record.external_id)
        .bind(internal_id)
        .bind(record.payload_hash)
        .bind(record.record_hash)
        .bind(raw)
        .bind(record.source_updated_at.map(At))
        .bind(i64::from(is_test)))
}

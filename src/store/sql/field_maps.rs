//! Field maps: the text of each version, and the order in which they were put in force.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{
    Connection as Session, Db, bulk,
    cells::Cells,
    declare::note,
    dialect::At,
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::{
        business::{BusinessTable, Column, ColumnType},
        clock::Timestamp,
        ids::{ClientId, ConnectionId, InternalId},
        record::Cell,
    },
    store::{
        StoreError,
        catalogue::{AdminAction, FieldMapVersion},
        field_maps::{Activated, FieldMapState, FieldMapStore, MappedBy, StoredRow},
    },
};

const STATES: &str = "select provider_key, stream, version, checksum, activated_at, activated_by
    from integration_field_mappings where (? is null or provider_key = ?)
    order by activated_at desc, id desc";
const OF_STREAM: &str = concat!(
    "select id, version, checksum, activated_at from integration_field_mappings where provider_key = ? and stream = ?
     order by activated_at desc, id desc",
    for_update!()
);
/// The database's clock, unless it stands before what the last activation read from it.
macro_rules! activation {
    () => {
        concat!("case when ? > ", now!(), " then ? else ", now!(), " end")
    };
}
const INSERT: &str = concat!(
    "insert into integration_field_mappings
         (provider_key, stream, version, checksum, document, activated_by, activated_at)
     values (?, ?, ?, ?, ?, ?, ",
    activation!(),
    ")"
);
const ACTIVATE: &str = concat!(
    "update integration_field_mappings set activated_by = ?, activated_at = ",
    activation!(),
    " where id = ? and provider_key = ? and stream = ?"
);
const WITHOUT_RAW: &str = "select count(*) from integration_object_links l
    where l.connection_id = ? and l.client_id = ? and l.object_type = ?
      and not exists (select 1 from integration_raw_events r where r.id = l.raw_event_id)";
const MAPPED_BY: &str = "select object_type, mapping_version, count(*) as records from integration_object_links
    where connection_id = ? and client_id = ?
    group by object_type, mapping_version order by object_type, mapping_version";

#[async_trait]
impl FieldMapStore for Store {
    async fn field_maps(&self, provider_key: Option<&str>) -> Result<Vec<FieldMapState>, StoreError> {
        self.read("read which field maps are in force", async {
            let rows = self.inner.rows(sqlx::query::<Db>(STATES).bind(provider_key).bind(provider_key)).await?;
            rows.iter()
                .map(|row| {
                    let cells = Cells::of("integration_field_mappings", row);
                    Ok(FieldMapState {
                        provider_key: cells.text("provider_key")?,
                        stream: cells.text("stream")?,
                        version: cells.text("version")?,
                        checksum: cells.text("checksum")?,
                        activated_at: cells.at("activated_at")?,
                        activated_by: cells.text("activated_by")?,
                    })
                })
                .collect()
        })
        .await
    }

    async fn activate_field_map(
        &self,
        map: &FieldMapVersion,
        action: Option<&AdminAction>,
    ) -> Result<Result<Activated, String>, StoreError> {
        let told = Arc::new((map.clone(), action.cloned()));
        self.write("put a field map in force", Patience::Short, move |session, attempt| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let (map, action) = &*told;
                let outcome = activate(session, map).await?;
                if let (Outcome::Commit(_), Some(action)) = (&outcome, action) {
                    note(session, action).await?;
                }
                Ok(match outcome {
                    // After a lost answer it was this call that put it in force.
                    Outcome::RollBack(Ok(Activated::Already)) if attempt.unsure => {
                        Outcome::RollBack(Ok(Activated::Now))
                    }
                    other => other,
                })
            })
        })
        .await
    }

    async fn stored_rows(
        &self,
        client: ClientId,
        connection: ConnectionId,
        table: &'static BusinessTable,
        ids: &[InternalId],
    ) -> Result<Vec<StoredRow>, StoreError> {
        self.read("read stored records", async {
            let mut all = Vec::with_capacity(ids.len());
            for now in ids.chunks(bulk::MOST_ROWS) {
                let slots = bulk::slots_for(now.len());
                let mut query = sqlx::query::<Db>(rows_text(table, slots)).bind(connection.0).bind(client.0);
                for id in bulk::padded(now, slots) {
                    query = query.bind(id.0);
                }
                for row in &self.inner.rows(query).await? {
                    all.push(stored(table, &Cells::of(table.name, row))?);
                }
            }
            Ok(all)
        })
        .await
    }

    async fn records_without_raw(
        &self,
        client: ClientId,
        connection: ConnectionId,
        object_type: &str,
    ) -> Result<i64, StoreError> {
        self.read("count records without a raw event", async {
            let query = sqlx::query::<Db>(WITHOUT_RAW).bind(connection.0).bind(client.0).bind(object_type);
            self.inner.number(query).await
        })
        .await
    }

    async fn mapped_by(&self, client: ClientId, connection: ConnectionId) -> Result<Vec<MappedBy>, StoreError> {
        self.read("count records by field map", async {
            let rows = self.inner.rows(sqlx::query::<Db>(MAPPED_BY).bind(connection.0).bind(client.0)).await?;
            rows.iter()
                .map(|row| {
                    let cells = Cells::of("integration_object_links", row);
                    Ok(MappedBy {
                        object_type: cells.text("object_type")?,
                        version: cells.opt_text("mapping_version")?,
                        records: cells.int("records")?,
                    })
                })
                .collect()
        })
        .await
    }
}

/// Names are constants of `domain::business`; values are bound.
fn rows_text(table: &'static BusinessTable, slots: usize) -> SqlStr {
    let mut text = "select id, voided_at, is_test".to_owned();
    for column in table.columns {
        text.push_str(", ");
        text.push_str(column.name);
    }
    text.push_str(&format!(" from {} where connection_id = ? and client_id = ? and id in (", table.name));
    bulk::repeat(&mut text, "?", slots);
    text.push(')');
    AssertSqlSafe(text).into_sql_str()
}

fn stored(table: &'static BusinessTable, cells: &Cells<'_>) -> Result<StoredRow, Fault> {
    let cell = |column: &Column| -> Result<Cell, Fault> {
        let name = column.name;
        let cell = match column.kind {
            ColumnType::Text => cells.opt_text(name)?.map(Cell::Text),
            ColumnType::Json => cells.opt_text(name)?.map(Cell::Json),
            ColumnType::Integer => cells.opt_int(name)?.map(Cell::Integer),
            ColumnType::Bool => cells.opt_int(name)?.map(|truth| Cell::Bool(truth != 0)),
            ColumnType::Decimal => cells.opt_decimal(name)?.map(Cell::Decimal),
            ColumnType::Time => cells.opt_at(name)?.map(Cell::Time),
        };
        Ok(cell.unwrap_or(Cell::Null))
    };
    Ok(StoredRow {
        id: InternalId(cells.int("id")?),
        counts: cells.opt_at("voided_at")?.is_none() && !cells.flag("is_test")?,
        cells: table.columns.iter().map(cell).collect::<Result<_, _>>()?,
    })
}

async fn activate(session: &mut Session, map: &FieldMapVersion) -> Result<Outcome<Result<Activated, String>>, Fault> {
    let query = sqlx::query::<Db>(OF_STREAM).bind(&map.provider_key).bind(&map.stream);
    let rows = query.fetch_all(&mut *session).await?;
    let mut stands = None;
    for (place, row) in rows.iter().enumerate() {
        let cells = Cells::of("integration_field_mappings", row);
        if cells.text("version")? == map.version {
            stands = Some((place, cells.int("id")?, cells.text("checksum")?));
        }
    }
    let after = match rows.first() {
        Some(row) => Cells::of("integration_field_mappings", row).at("activated_at")?.plus(Duration::from_micros(1)),
        None => Timestamp::from_micros(0).ok_or(sqlx::Error::RowNotFound)?,
    };
    match stands {
        Some((_, _, checksum)) if checksum != map.checksum => Ok(Outcome::RollBack(Err(changed(map)))),
        Some((0, ..)) => Ok(Outcome::RollBack(Ok(Activated::Already))),
        Some((_, id, _)) => {
            sqlx::query::<Db>(ACTIVATE)
                .bind(&map.activated_by)
                .bind(At(after))
                .bind(At(after))
                .bind(id)
                .bind(&map.provider_key)
                .bind(&map.stream)
                .execute(session)
                .await?;
            Ok(Outcome::Commit(Ok(Activated::Now)))
        }
        None => {
            let inserted = sqlx::query::<Db>(INSERT)
                .bind(&map.provider_key)
                .bind(&map.stream)
                .bind(&map.version)
                .bind(&map.checksum)
                .bind(&map.document)
                .bind(&map.activated_by)
                .bind(At(after))
                .bind(At(after))
                .execute(session)
                .await;
            match inserted {
                Ok(_) => Ok(Outcome::Commit(Ok(Activated::Now))),
                // Another run of the same provider was faster: what it wrote is read in the next try.
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(Fault::Again),
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// Why a version whose text has changed is not taken.
fn changed(map: &FieldMapVersion) -> String {
    format!(
        "the field map {}/{} was changed but still calls itself version {}: give it a new version",
        map.provider_key, map.stream, map.version
    )
}

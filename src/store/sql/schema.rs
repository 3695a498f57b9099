//! The schema's state, and bringing it up to date; health; closing.
//!
//! Migrations use sqlx's table `_sqlx_migrations`. What sqlx refuses (a step that was killed half-way) is done
//! here: each step can run again, so its mark is taken away and the step is run anew.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Connection as _, Row as _, SqlSafeStr,
    migrate::{Migrate, MigrateError, Migration as SqlxMigration, MigrationType},
};

use super::{
    Connection as Session, Db,
    cells::Cells,
    dialect,
    fault::{Fault, store_error},
    migration_text,
    store::{Lent, Store},
};
use crate::{
    domain::clock::Timestamp,
    store::{
        StoreError,
        error::DriverError,
        migrations::STEPS,
        schema::{Migration, SchemaState, SchemaStore},
    },
};

const TABLE: &str = "_sqlx_migrations";
/// The longest a migration may take, and the longest wait for another process that migrates.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(3600);
/// The longest wait for open transactions and connections at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

const APPLIED: &str = "select cast(version as signed) as version, cast(success as signed) as success, checksum
    from _sqlx_migrations order by version";
const FORGET: &str = "delete from _sqlx_migrations where version = ? and success = false";
const PING: &str = "select 1";
const TIME: &str = concat!("select ", now!(), " as now_at");

/// A row of `_sqlx_migrations`.
struct Applied {
    success: bool,
    checksum: Vec<u8>,
}

#[async_trait]
impl SchemaStore for Store {
    fn engine(&self) -> &'static str {
        dialect::ENGINE
    }

    async fn server_version(&self) -> Result<String, StoreError> {
        self.read("ask for the server's version", async {
            let row = self.inner.row(sqlx::query(version!())).await?.ok_or(sqlx::Error::RowNotFound)?;
            Ok(dialect::product(&Cells::of("the server", &row).text("version")?))
        })
        .await
    }

    async fn server_time(&self) -> Result<Timestamp, StoreError> {
        self.read("ask for the server's time", async {
            let row = self.inner.row(sqlx::query(TIME)).await?.ok_or(sqlx::Error::RowNotFound)?;
            Cells::of("the server", &row).at("now_at")
        })
        .await
    }

    async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        Ok(state(self.applied().await?.as_ref()))
    }

    async fn migrations(&self) -> Result<Vec<Migration>, StoreError> {
        let applied = self.applied().await?.unwrap_or_default();
        let step = |version: i64, name: &str| Migration {
            version,
            name: name.to_owned(),
            applied: applied.get(&version).is_some_and(|row| row.success),
        };
        Ok(STEPS.iter().map(|known| step(known.version, known.name)).collect())
    }

    async fn migrate(&self) -> Result<Vec<Migration>, StoreError> {
        let during = "migrate the schema";
        let mut lent = Lent::of(&self.inner.writer).await.map_err(|error| store_error(during, &error))?;
        // When it fails, its lock and its open transaction end with the connection.
        match tokio::time::timeout(MIGRATE_TIMEOUT, migrate(lent.session())).await {
            Ok(Ok(applied)) => {
                lent.give_back();
                Ok(applied)
            }
            Ok(Err(Fault::Sql(error))) => Err(store_error(during, &error)),
            Ok(Err(Fault::Refused(error))) => Err(error),
            Ok(Err(Fault::Again)) | Err(_) => Err(StoreError::Schema("the migration did not end in time".to_owned())),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping the database", async {
            self.inner.number(sqlx::query(PING)).await?;
            Ok(())
        })
        .await
    }

    async fn close(&self) {
        self.inner.tasks.close();
        // What does not end in time is rolled back by the server when the process goes.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, async {
            self.inner.tasks.wait().await;
            self.inner.reader.close().await;
            self.inner.writer.close().await;
        })
        .await;
    }
}

impl Store {
    /// `None` when there is no table of migrations.
    async fn applied(&self) -> Result<Option<BTreeMap<i64, Applied>>, StoreError> {
        let rows = self
            .read("read the schema's state", async {
                let rows = self.inner.rows(sqlx::query(APPLIED)).await?;
                rows.iter()
                    .map(|row| {
                        let cells = Cells::of(TABLE, row);
                        let checksum = row.try_get::<Vec<u8>, _>("checksum")?;
                        Ok((cells.int("version")?, Applied { success: cells.flag("success")?, checksum }))
                    })
                    .collect::<Result<BTreeMap<_, _>, Fault>>()
            })
            .await;
        match rows {
            Ok(rows) => Ok(Some(rows)),
            Err(StoreError::Schema(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

fn state(applied: Option<&BTreeMap<i64, Applied>>) -> SchemaState {
    let Some(applied) = applied.filter(|rows| !rows.is_empty()) else { return SchemaState::Empty };
    if let Some((version, _)) = applied.iter().find(|(_, row)| !row.success) {
        let detail = "was interrupted; `tidegate migrate` goes on from there".to_owned();
        return SchemaState::Dirty { version: *version, detail };
    }
    let changed = STEPS
        .iter()
        .find(|step| applied.get(&step.version).is_some_and(|row| row.checksum != migration(step).checksum.as_ref()));
    if let Some(step) = changed {
        let detail = "its text was changed after it was applied".to_owned();
        return SchemaState::Dirty { version: step.version, detail };
    }
    let unknown: Vec<i64> =
        applied.keys().copied().filter(|version| STEPS.iter().all(|step| step.version != *version)).collect();
    if !unknown.is_empty() {
        return SchemaState::Ahead { unknown };
    }
    let missing: Vec<i64> =
        STEPS.iter().map(|step| step.version).filter(|version| !applied.contains_key(version)).collect();
    if missing.is_empty() { SchemaState::Current } else { SchemaState::Behind { missing } }
}

async fn migrate(session: &mut Session) -> Result<Vec<Migration>, Fault> {
    match dialect::BEGIN_MIGRATION {
        Some(begin) => {
            let mut transaction = session.begin_with(begin).await?;
            let applied = steps(&mut transaction).await?;
            transaction.commit().await?;
            Ok(applied)
        }
        None => {
            dialect::lock_migrations(session).await?;
            let applied = steps(session).await?;
            dialect::unlock_migrations(session).await?;
            Ok(applied)
        }
    }
}

async fn steps(session: &mut Session) -> Result<Vec<Migration>, Fault> {
    session.ensure_migrations_table(TABLE).await.map_err(fault)?;
    while let Some(version) = session.dirty_version(TABLE).await.map_err(fault)? {
        sqlx::query::<Db>(FORGET).bind(version).execute(&mut *session).await?;
    }
    let applied: BTreeMap<i64, Applied> = session
        .list_applied_migrations(TABLE)
        .await
        .map_err(fault)?
        .into_iter()
        .map(|row| (row.version, Applied { success: true, checksum: row.checksum.into_owned() }))
        .collect();
    match state(Some(&applied)) {
        SchemaState::Current | SchemaState::Empty | SchemaState::Behind { .. } => {}
        SchemaState::Ahead { unknown } => {
            return Err(Fault::Refused(StoreError::Schema(format!(
                "the database has steps {unknown:?} that this program does not know: use a newer program"
            ))));
        }
        SchemaState::Dirty { version, detail } => {
            return Err(Fault::Refused(StoreError::Schema(format!("migration {version}: {detail}"))));
        }
    }
    let mut done = Vec::new();
    for step in STEPS.iter().filter(|step| !applied.contains_key(&step.version)) {
        session.apply(TABLE, &migration(step)).await.map_err(fault)?;
        done.push(Migration { version: step.version, name: step.name.to_owned(), applied: true });
    }
    Ok(done)
}

fn migration(step: &'static crate::store::migrations::Step) -> SqlxMigration {
    SqlxMigration::new(
        step.version,
        step.name.into(),
        MigrationType::Simple,
        migration_text(step).into_sql_str(),
        false,
    )
}

fn fault(error: MigrateError) -> Fault {
    match error {
        MigrateError::Execute(error) => Fault::Sql(error),
        MigrateError::ExecuteMigration(error, version) => match super::fault::classify("apply a migration", &error) {
            super::fault::Class::Busy(_) | super::fault::Class::Lost(_) => Fault::Sql(error),
            super::fault::Class::Final(cause) => Fault::Refused(StoreError::Schema(format!(
                "migration {version} failed: {cause}{}",
                std::error::Error::source(&cause).map_or_else(String::new, |source| format!(": {source}"))
            ))),
        },
        other => Fault::Refused(StoreError::Database {
            during: "migrate the schema",
            source: Box::new(DriverError(other.to_string())),
        }),
    }
}

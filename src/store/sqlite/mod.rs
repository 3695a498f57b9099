//! SQLite: connecting, and the statements of `sql/` compiled for this engine.
//!
//! One connection writes and a few read (WAL), so a report never waits for a page and a page never for a report.

type Db = sqlx::Sqlite;
type Connection = sqlx::SqliteConnection;
type Row = sqlx::sqlite::SqliteRow;

/// The database's clock, in the one text form of an instant.
macro_rules! now {
    () => {
        "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
    };
}
/// The database's clock, later by one bound number of microseconds.
macro_rules! now_plus_micros {
    () => {
        "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', printf('%+.6f seconds', ? / 1000000.0))"
    };
}
/// The database's clock, later by a bound number of microseconds; null for null. Binds the number twice.
macro_rules! maybe_now_plus_micros {
    () => {
        concat!("case when ? is null then null else ", now_plus_micros!(), " end")
    };
}
/// Microseconds from now until a column's instant.
macro_rules! micros_until {
    ($column:literal) => {
        concat!("cast((unixepoch(", $column, ", 'subsec') - unixepoch('now', 'subsec')) * 1000000 as integer)")
    };
}
/// Microseconds from one instant to another, of columns or bound ones.
macro_rules! micros_between {
    ($from:literal, $to:literal) => {
        concat!("cast((unixepoch(", $to, ", 'subsec') - unixepoch(", $from, ", 'subsec')) * 1000000 as integer)")
    };
}
/// Nothing: a write transaction has the whole file to itself.
macro_rules! for_update {
    () => {
        ""
    };
}
/// Whether a text column stands in the bound JSON list.
macro_rules! listed {
    ($column:literal) => {
        concat!("exists (select 1 from json_each(?) where json_each.value = ", $column, ")")
    };
}
/// The library's version.
macro_rules! version {
    () => {
        "select sqlite_version() as version"
    };
}

mod dialect;
mod rights;

#[path = "../sql/bulk.rs"]
mod bulk;
#[path = "../sql/catalogue.rs"]
mod catalogue;
#[path = "../sql/cells.rs"]
mod cells;
#[path = "../sql/checks.rs"]
mod checks;
#[path = "../sql/credential_refresh.rs"]
mod credential_refresh;
#[path = "../sql/credentials.rs"]
mod credentials;
#[path = "../sql/declare.rs"]
mod declare;
#[path = "../sql/fault.rs"]
mod fault;
#[path = "../sql/field_maps.rs"]
mod field_maps;
#[path = "../sql/finish.rs"]
mod finish;
#[path = "../sql/imports.rs"]
mod imports;
#[path = "../sql/launch.rs"]
mod launch;
#[path = "../sql/launch_write.rs"]
mod launch_write;
#[path = "../sql/metric_values.rs"]
mod metric_values;
#[path = "../sql/metrics.rs"]
mod metrics;
// What may run by schedule is said once, there.
#[macro_use]
#[path = "../sql/lease.rs"]
mod lease;
#[path = "../sql/alert_facts.rs"]
mod alert_facts;
#[path = "../sql/alerts.rs"]
mod alerts;
#[path = "../sql/dead_letters.rs"]
mod dead_letters;
#[path = "../sql/letter_retries.rs"]
mod letter_retries;
#[path = "../sql/page.rs"]
mod page;
#[path = "../sql/page_letters.rs"]
mod page_letters;
#[path = "../sql/page_records.rs"]
mod page_records;
#[path = "../sql/page_refusals.rs"]
mod page_refusals;
#[path = "../sql/page_rows.rs"]
mod page_rows;
#[path = "../sql/quality.rs"]
mod quality;
#[path = "../sql/quality_incident.rs"]
mod quality_incident;
#[path = "../sql/quality_links.rs"]
mod quality_links;
#[path = "../sql/quality_proof.rs"]
mod quality_proof;
#[path = "../sql/quality_rows.rs"]
mod quality_rows;
#[path = "../sql/quality_runs.rs"]
mod quality_runs;
#[path = "../sql/raw.rs"]
mod raw;
#[path = "../sql/repairs.rs"]
mod repairs;
#[path = "../sql/reports.rs"]
mod reports;
#[path = "../sql/retention.rs"]
mod retention;
#[path = "../sql/runs.rs"]
mod runs;
#[path = "../sql/schema.rs"]
mod schema;
#[path = "../sql/store.rs"]
mod store;
#[path = "../sql/void.rs"]
mod void;
#[path = "../sql/webhooks.rs"]
mod webhooks;
#[path = "../sql/webhooks_settle.rs"]
mod webhooks_settle;
#[path = "../sql/webhooks_take.rs"]
mod webhooks_take;

use std::{str::FromStr, sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
pub use store::Store;
use tokio_util::task::TaskTracker;

use self::{fault::store_error, store::Inner};
use super::{OpenOptions, StoreError, migrations};
use crate::domain::clock::Clock;

/// Connections that only read.
const MOST_READERS: u32 = 4;
/// How long a statement waits for another process's write lock before it counts as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept by the writer and by each reader.
const STATEMENT_CACHE: usize = 160;
const READER_STATEMENT_CACHE: usize = 32;
/// Page cache of a connection in KiB; negative is SQLite's way to say so.
const WRITER_CACHE: &str = "-4000";
const READER_CACHE: &str = "-1000";
/// Pages of the write-ahead log between two checkpoints (16 MB). SQLite's own 1000 are full after two or three transactions of
/// a thousand records each.
const CHECKPOINT_PAGES: &str = "4000";

/// The text of one migration for this engine.
fn migration_text(step: &'static migrations::Step) -> &'static str {
    step.sqlite
}

/// Opens the file, making it and its folder when they are not there.
pub(super) async fn connect(options: &OpenOptions, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
    let base = SqliteConnectOptions::from_str(options.url.expose_secret())
        .map_err(|error| dialect::settings_error(&error))?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let file = base.get_filename().to_owned();
    if file.as_os_str().is_empty() || options.url.expose_secret().contains(":memory:") {
        return Err(StoreError::Settings("database.url names no file: sqlite://PATH".to_owned()));
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(folder).await.map_err(|error| {
            StoreError::Settings(format!("the folder {} of the database cannot be made: {error}", folder.display()))
        })?;
    }

    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(0)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(options.acquire_timeout)
        .connect_with(
            base.clone()
                .statement_cache_capacity(STATEMENT_CACHE)
                .pragma("cache_size", WRITER_CACHE)
                .pragma("wal_autocheckpoint", CHECKPOINT_PAGES),
        )
        .await
        .map_err(|error| store_error("open the database file", &error))?;
    let reader = SqlitePoolOptions::new()
        .max_connections(options.max_connections.clamp(1, MOST_READERS))
        .acquire_timeout(options.acquire_timeout)
        .connect_lazy_with(
            base.statement_cache_capacity(READER_STATEMENT_CACHE)
                .pragma("cache_size", READER_CACHE)
                .pragma("query_only", "on"),
        );
    Ok(Store {
        inner: Arc::new(Inner {
            writer,
            reader,
            clock,
            call_timeout: options.call_timeout,
            outage_budget: options.outage_budget,
            tasks: TaskTracker::new(),
        }),
    })
}

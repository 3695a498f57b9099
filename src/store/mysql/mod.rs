//! MySQL and MariaDB: connecting, and the statements of `sql/` compiled for this engine.
//!
//! Each session is put into one known state: UTC, strict, READ COMMITTED, short lock waits.

type Db = sqlx::MySql;
type Connection = sqlx::MySqlConnection;
type Row = sqlx::mysql::MySqlRow;

/// The database's clock.
macro_rules! now {
    () => {
        "utc_timestamp(6)"
    };
}
/// The database's clock, later by one bound number of microseconds.
macro_rules! now_plus_micros {
    () => {
        "date_add(utc_timestamp(6), interval ? microsecond)"
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
        concat!("timestampdiff(microsecond, utc_timestamp(6), ", $column, ")")
    };
}
/// Microseconds from one instant to another, of columns or bound ones.
macro_rules! micros_between {
    ($from:literal, $to:literal) => {
        concat!("timestampdiff(microsecond, ", $from, ", ", $to, ")")
    };
}
/// Keeps the rows that were read from being changed by others until the end of the transaction.
macro_rules! for_update {
    () => {
        " for update"
    };
}
/// Whether a text column stands in the bound JSON list.
macro_rules! listed {
    ($column:literal) => {
        concat!("json_contains(?, json_quote(", $column, "))")
    };
}
/// The server's product and version.
macro_rules! version {
    () => {
        "select version() as version"
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
    ConnectOptions, Connection as _, Executor,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};
pub use store::Store;
use tokio_util::task::TaskTracker;

use self::{
    fault::{store_error, unavailable},
    store::Inner,
};
use super::{OpenOptions, StoreError, error::DriverError, migrations};
use crate::domain::clock::Clock;

/// Prepared statements kept by each session.
const STATEMENT_CACHE: usize = 160;
/// How long the ROLLBACK that proves an idle connection may take.
const PROOF_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest time after which the server ends a session that idles inside a transaction.
const SHORTEST_IDLE: Duration = Duration::from_secs(5);

/// MariaDB turns IN lists of a thousand into temporary tables; ours are looked up in an index.
const SESSION: &str = "set session time_zone = '+00:00', session innodb_lock_wait_timeout = 5, session sql_mode = \
    'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION' \
    /*M!100203 , session in_predicate_conversion_threshold = 0 */";

/// The text of one migration for this engine.
fn migration_text(step: &'static migrations::Step) -> &'static str {
    step.mysql
}

/// Connects once to prove the settings, then gives a store that connects as needed.
pub(super) async fn connect(options: &OpenOptions, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
    let url = options.url.expose_secret().replacen("mariadb:", "mysql:", 1);
    let connect = MySqlConnectOptions::from_str(&url)
        .map_err(|error| dialect::settings_error(&error))?
        .charset("utf8mb4")
        .collation("utf8mb4_bin")
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .statement_cache_capacity(STATEMENT_CACHE)
        .disable_statement_logging();
    if connect.get_database().is_none() {
        return Err(StoreError::Settings("database.url names no schema: mysql://user@host/SCHEMA".to_owned()));
    }

    let idle = options.idle_transaction.max(SHORTEST_IDLE);
    let during = "connect to the database";
    let proof = tokio::time::timeout(options.acquire_timeout, async {
        let mut connection = connect.connect().await?;
        prepare_session(&mut connection, idle).await?;
        connection.close().await
    });
    match proof.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(store_error(during, &error)),
        Err(_) => return Err(unavailable(DriverError(format!("{during}: no answer")))),
    }

    let pool = MySqlPoolOptions::new()
        .max_connections(options.max_connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        // The ROLLBACK below is the test, and more: a connection whose BEGIN was cut off by a cancelled caller sits inside
        // a transaction that nobody will commit. Without it the next statement would be answered OK, and lost.
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                let proof = tokio::time::timeout(PROOF_TIMEOUT, connection.execute("rollback"));
                Ok(matches!(proof.await, Ok(Ok(_))))
            })
        })
        // MySQL ends what idles, in a transaction or not: the pool comes first.
        .idle_timeout(idle / 2)
        .after_connect(move |connection, _| Box::pin(prepare_session(connection, idle)))
        .connect_lazy_with(connect);
    Ok(Store {
        inner: Arc::new(Inner {
            reader: pool.clone(),
            writer: pool,
            clock,
            call_timeout: options.call_timeout,
            outage_budget: options.outage_budget,
            tasks: TaskTracker::new(),
        }),
    })
}

async fn prepare_session(connection: &mut Connection, idle: Duration) -> Result<(), sqlx::Error> {
    connection.execute(SESSION).await?;
    connection.execute("set session transaction isolation level read committed").await?;
    // MariaDB knows a bound for transactions that idle; MySQL only one for sessions.
    let mariadb: bool = sqlx::query_scalar("select version() like '%MariaDB%'").fetch_one(&mut *connection).await?;
    let bound = if mariadb { "set session idle_transaction_timeout = ?" } else { "set session wait_timeout = ?" };
    sqlx::query(bound).bind(idle.as_secs()).execute(connection).await?;
    Ok(())
}

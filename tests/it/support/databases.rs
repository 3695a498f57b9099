//! A database for each test: a file for SQLite, a schema of its own for MySQL and MariaDB, removed at the end.
//!
//! MySQL tests need `TIDEGATE_TEST_MYSQL_URL`, a server URL with the right to create schemas, and fail without it. Where that user may also
//! make users and grant, whole programs run as a runtime user of the test's own, as they do in production.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Column as _, Executor as _, Row as _,
    mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions},
};
use tidegate::{
    domain::clock::{Clock, Sleep, Timestamp},
    store::{OpenOptions, SharedStore, open, rights::users},
};

/// Names the server that MySQL tests use.
pub const SERVER: &str = "TIDEGATE_TEST_MYSQL_URL";

/// Real time: stores wait in milliseconds, and paused time lies about databases.
#[derive(Debug, Default)]
pub struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock of the tests")]
    fn now(&self) -> Timestamp {
        Timestamp::new(sqlx::types::chrono::Utc::now())
    }

    fn monotonic(&self) -> Duration {
        static BEGUN: std::sync::OnceLock<tokio::time::Instant> = std::sync::OnceLock::new();
        BEGUN.get_or_init(tokio::time::Instant::now).elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Plain SQL past the store, to arrange and to look.
pub enum Sql {
    MySql(MySqlPool),
    Sqlite(SqlitePool),
}

/// A row as text; `None` is NULL.
pub type TextRow = Vec<Option<String>>;

impl Sql {
    /// Runs statements.
    pub async fn run(&self, text: &str) -> Result<u64, sqlx::Error> {
        Ok(match self {
            Self::MySql(pool) => pool.execute(AssertSqlSafe(text.to_owned())).await?.rows_affected(),
            Self::Sqlite(pool) => pool.execute(AssertSqlSafe(text.to_owned())).await?.rows_affected(),
        })
    }

    /// Runs statements that must work.
    pub async fn ok(&self, text: &str) -> u64 {
        self.run(text).await.unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// All rows of a query.
    pub async fn rows(&self, text: &str) -> Vec<TextRow> {
        macro_rules! fetch {
            ($pool:expr) => {
                $pool
                    .fetch_all(AssertSqlSafe(text.to_owned()))
                    .await
                    .unwrap_or_else(|error| panic!("{error}\n{text}"))
                    .iter()
                    .map(|row| {
                        row.columns()
                            .iter()
                            .map(|column| row.try_get_unchecked::<Option<String>, _>(column.ordinal()).expect("text"))
                            .collect()
                    })
                    .collect()
            };
        }
        match self {
            Self::MySql(pool) => fetch!(pool),
            Self::Sqlite(pool) => fetch!(pool),
        }
    }

    /// The one number that a query gives.
    pub async fn number(&self, text: &str) -> i64 {
        let rows = self.rows(text).await;
        rows[0][0].as_deref().expect("a value").parse().unwrap_or_else(|_| panic!("{text} gives no number: {rows:?}"))
    }
}

/// A database of one test.
pub struct TestDatabase {
    url: String,
    store: Option<SharedStore>,
    pub sql: Sql,
    schema: Option<String>,
    /// Users that were made for this test, to be dropped with it.
    users: Mutex<Vec<String>>,
    runtime: OnceLock<String>,
    _folder: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// A migrated SQLite file.
    pub async fn sqlite() -> Self {
        Self::empty_sqlite().await.migrated().await
    }

    /// A migrated schema on the server of `TIDEGATE_TEST_MYSQL_URL`.
    pub async fn mysql() -> Self {
        Self::empty_mysql().await.migrated().await
    }

    /// A SQLite file without tables.
    pub async fn empty_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("tidegate.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true).foreign_keys(true);
        let options = options.busy_timeout(Duration::from_secs(10)).journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.expect("a database file");
        Self {
            url: format!("sqlite://{}", file.display()),
            store: None,
            sql: Sql::Sqlite(pool),
            schema: None,
            users: Mutex::default(),
            runtime: OnceLock::new(),
            _folder: Some(folder),
        }
    }

    /// A schema without tables.
    pub async fn empty_mysql() -> Self {
        let server = std::env::var(SERVER).unwrap_or_else(|_| {
            panic!("set {SERVER} to a MySQL or MariaDB server URL with the right to create schemas")
        });
        // Names that begin with `test` are open to everybody on a stock MariaDB.
        let schema = format!("tg_{}", uuid::Uuid::new_v4().simple());
        let (base, query) = server.split_once('?').map_or((server.as_str(), None), |(base, query)| (base, Some(query)));
        let with_query = |path: &str| match query {
            Some(query) => format!("{}/{path}?{query}", base.trim_end_matches('/')),
            None => format!("{}/{path}", base.trim_end_matches('/')),
        };
        let options: MySqlConnectOptions = with_query("").parse().expect("a MySQL URL");
        let creator = MySqlPoolOptions::new().max_connections(1).connect_with(options).await.expect("the MySQL server");
        creator.execute(AssertSqlSafe(format!("create database {schema}"))).await.expect("the right to create schemas");
        creator.close().await;
        let url = with_query(&schema);
        let options: MySqlConnectOptions = url.parse().expect("a MySQL URL");
        let pool = MySqlPoolOptions::new().max_connections(3).connect_lazy_with(options);
        Self {
            url,
            store: None,
            sql: Sql::MySql(pool),
            schema: Some(schema),
            users: Mutex::default(),
            runtime: OnceLock::new(),
            _folder: None,
        }
    }

    /// Makes the schema as the server's user, and opens the test's own store as a daemon would: as a runtime user. Leaves nothing
    /// behind when that fails.
    async fn migrated(mut self) -> Self {
        let store = open_url(&self.url).await;
        if let Err(error) = store.migrate().await {
            self.remove().await;
            panic!("the migrations failed: {error:?}");
        }
        store.close().await;
        self.store = Some(open_url(&self.runtime_url().await).await);
        self
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The schema on the server, for MySQL.
    pub fn schema(&self) -> &str {
        self.schema.as_deref().expect("a schema of a server")
    }

    /// Fills in what `tidegate grants` printed for users that begin with `prefix`, runs it, and gives the users' password. The users
    /// are dropped with the database.
    pub async fn make_users(&self, sql: &str, prefix: &str) -> Result<&'static str, sqlx::Error> {
        // For an hour, on a server of a test.
        const PASSWORD: &str = "for-a-test-only";
        self.users.lock().unwrap().extend(users::names(prefix));
        let mut filled = sql.replace("<host>", "'%'");
        for name in users::names(prefix) {
            filled = filled.replace(&format!("<password-of-{name}>"), &format!("'{PASSWORD}'"));
        }
        self.sql.run(&filled).await?;
        Ok(PASSWORD)
    }

    /// A prefix for users that nobody else has.
    pub fn user_prefix() -> String {
        format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..16])
    }

    /// The URL of this database for another user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let (scheme, rest) = self.url.split_once("://").expect("a URL");
        let (_, place) = rest.rsplit_once('@').expect("a user in the URL");
        format!("{scheme}://{user}:{password}@{place}")
    }

    /// The URL that a daemon has in production: a runtime user made by our own SQL. On SQLite, and where the test's server user
    /// may not grant, the test's own URL.
    pub async fn runtime_url(&self) -> String {
        if !self.is_mysql() {
            return self.url.clone();
        }
        if let Some(known) = self.runtime.get() {
            return known.clone();
        }
        let prefix = Self::user_prefix();
        let runtime = format!("{prefix}_runtime");
        let sql = users::users_sql(self.schema(), &prefix) + &users::tables_sql(self.schema(), &prefix);
        let its_own: String =
            sql.lines().filter(|line| line.contains(&runtime)).map(|line| format!("{line}\n")).collect();
        let url = match self.make_users(&its_own, &prefix).await {
            Ok(password) => self.url_as(&runtime, password),
            Err(_) => self.url.clone(),
        };
        self.runtime.get_or_init(|| url).clone()
    }

    pub fn is_mysql(&self) -> bool {
        matches!(self.sql, Sql::MySql(_))
    }

    /// The store, opened and migrated.
    pub fn store(&self) -> &SharedStore {
        self.store.as_ref().expect("a migrated database")
    }

    /// One more store on the same database, as another process would have it: once the schema is made, as the runtime user.
    pub async fn open(&self) -> SharedStore {
        open_url(self.runtime.get().unwrap_or(&self.url)).await
    }

    /// A store as the user that may change the schema, as `tidegate migrate` has it.
    pub async fn owner(&self) -> SharedStore {
        open_url(&self.url).await
    }

    /// Runs a test, and removes the database also when it fails.
    pub async fn run(self, test: impl AsyncFnOnce(&Self)) {
        use futures_util::FutureExt as _;
        let outcome = std::panic::AssertUnwindSafe(test(&self)).catch_unwind().await;
        self.remove().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }

    /// Closes everything and removes the database.
    pub async fn remove(self) {
        if let Some(store) = &self.store {
            store.close().await;
        }
        match self.sql {
            Sql::MySql(pool) => {
                for user in self.users.into_inner().unwrap() {
                    let _ = pool.execute(AssertSqlSafe(format!("drop user if exists '{user}'@'%'"))).await;
                }
                if let Some(schema) = self.schema {
                    let _ = pool.execute(AssertSqlSafe(format!("drop database {schema}"))).await;
                }
                pool.close().await;
            }
            Sql::Sqlite(pool) => pool.close().await,
        }
    }
}

/// A store with the defaults but short waits.
pub async fn open_url(url: &str) -> SharedStore {
    let options = OpenOptions { outage_budget: Duration::from_secs(20), ..OpenOptions::new(url) };
    open(&options, Arc::new(RealClock)).await.unwrap_or_else(|error| panic!("{error:?}"))
}

/// Makes a test for each engine: `name::sqlite` and `name::mysql`.
///
/// `on_both_engines!(a_fact, |db| { db.store().ping().await.expect("an answer"); });`
macro_rules! on_both_engines {
    ($name:ident, |$db:ident| $body:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "a test may need nothing of its file")]
            use super::*;

            async fn test($db: &$crate::support::databases::TestDatabase) {
                $body
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $crate::support::databases::TestDatabase::sqlite().await.run(test).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                $crate::support::databases::TestDatabase::mysql().await.run(test).await;
            }
        }
    };
}

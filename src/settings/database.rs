//! `[database]`: where everything is kept.

use std::time::Duration;

use secrecy::SecretString;

use super::{key::Key, values::Values};

const URL: Key = Key::secret("database.url", "sqlite://var/tidegate.db");
const MAX_CONNECTIONS: Key = Key::integer("database.max_connections", 10);
const ACQUIRE_TIMEOUT_MS: Key = Key::integer("database.acquire_timeout_ms", 5_000);
const OUTAGE_SECONDS: Key = Key::integer("database.outage_seconds", 75);
const REQUIRE_NARROW_USER: Key = Key::text("database.require_narrow_user", "auto");
pub(super) const KEYS: &[Key] = &[URL, MAX_CONNECTIONS, ACQUIRE_TIMEOUT_MS, OUTAGE_SECONDS, REQUIRE_NARROW_USER];

const EXPECTED: &str = "a URL such as sqlite://var/tidegate.db or mysql://user:password@host/database is expected";

/// Which database the URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    /// MySQL and MariaDB.
    Mysql,
}

/// Whether the program refuses to run as a database user that could change the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NarrowUser {
    /// When any connection is `production`.
    Auto,
    Yes,
    /// It is only warned of.
    No,
}

impl NarrowUser {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "yes" => Some(Self::Yes),
            "no" => Some(Self::No),
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// May hold a password. A relative SQLite path is relative to the working directory.
    pub url: SecretString,
    pub engine: Engine,
    pub max_connections: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
    /// How long the database may be away before a run gives up.
    pub outage: Duration,
    pub require_narrow_user: NarrowUser,
}

impl DatabaseSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let url = values.text(&URL);
        let engine = values.parsed(&URL, EXPECTED, "correct scheme, host and database name", engine);
        Self {
            url: url.into(),
            engine: engine.unwrap_or(Engine::Sqlite),
            max_connections: values.count(&MAX_CONNECTIONS, 1..=1_000),
            acquire_timeout: values.millis(&ACQUIRE_TIMEOUT_MS, 10..=600_000),
            outage: values.seconds(&OUTAGE_SECONDS, 0..=86_400),
            require_narrow_user: values
                .parsed(&REQUIRE_NARROW_USER, "auto, yes or no is expected", "use one of the three", NarrowUser::parse)
                .unwrap_or(NarrowUser::Auto),
        }
    }
}

fn engine(url: &str) -> Option<Engine> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return (!path.is_empty()).then_some(Engine::Sqlite);
    }
    let parsed = url::Url::parse(url).ok()?;
    let named = parsed.host_str().is_some() && parsed.path().len() > 1;
    (matches!(parsed.scheme(), "mysql" | "mariadb") && named).then_some(Engine::Mysql)
}

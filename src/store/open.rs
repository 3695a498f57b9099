//! Opening a store from its URL.
//!
//! Owns the choice of the engine and the plain values that bound it. Texts never hold the URL: it may hold a password.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{SharedStore, StoreError, mysql, sqlite};
use crate::domain::clock::Clock;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// `sqlite://PATH` or `mysql://USER:PASSWORD@HOST:PORT/SCHEMA?ssl-mode=...`.
    pub url: SecretString,
    /// The most connections held at once; SQLite writes through one of them.
    pub max_connections: u32,
    /// The longest wait for a connection of the pool, and for connecting.
    pub acquire_timeout: Duration,
    /// The longest that one read, or one attempt at a transaction, may take.
    pub call_timeout: Duration,
    /// For how long a page and the end of a run are tried again while the database is away.
    pub outage_budget: Duration,
    /// How long a session may sit in a transaction without a word before the server ends it. A process that is frozen inside
    /// a transaction keeps its row locks until then. SQLite has no server: there the lock is kept until the process goes on.
    pub idle_transaction: Duration,
}

impl OpenOptions {
    /// Defaults for everything but the URL.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            max_connections: 8,
            acquire_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(60),
            outage_budget: Duration::from_secs(75),
            idle_transaction: Duration::from_secs(60),
        }
    }
}

/// Connects once, so that a wrong URL is told at once, and gives the store. Applies no migration.
///
/// # Errors
/// [`StoreError::Settings`] when the URL cannot work as it is, [`StoreError::Unavailable`] when nobody answers.
pub async fn open(options: &OpenOptions, clock: Arc<dyn Clock>) -> Result<SharedStore, StoreError> {
    let url = options.url.expose_secret();
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Arc::new(sqlite::connect(options, clock).await?)),
        Some("mysql" | "mariadb") => Ok(Arc::new(mysql::connect(options, clock).await?)),
        Some(_) | None => Err(StoreError::Settings(
            "database.url must begin with sqlite:// (a file) or mysql:// (MySQL and MariaDB)".to_owned(),
        )),
    }
}

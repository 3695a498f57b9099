//! Where secrets come from, and how Tidegate keeps them.
//!
//! ```text
//!  reference   env:NAME, file:PATH: read at each use, kept by somebody else
//!  keys, transit, keyring   the keys that wrap: a 0400 file, a systemd credential, a transit service
//!  envelope    a data key per version, bound to client, connection, credential, version and column
//!  stored      set, rotate, rewrap, revoke over the store's port
//!  source      what a connector gets: vault:KEY, opened at each use
//!  oauth       renewing tokens: one refresh in the fleet, the new pair durable before it is used
//! ```
//! Owns secrets at rest and on their way to a header. Refuses to log, print or serialise one: a secret is a `SecretString` from
//! the moment it is opened, and no type here that holds one has `Debug` or `Serialize`.

mod envelope;
mod error;
mod keyring;
mod keys;
pub mod oauth;
pub mod reference;
mod source;
mod stored;
mod transit;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use envelope::DataKey;
pub use error::VaultError;
pub use keyring::Keyring;
pub use keys::{KeyEncryptionKey, KeySource, LocalKey};
pub use source::Owner;
pub use stored::{Change, Rewrapped};
use tokio::sync::OnceCell;

use crate::{connector::http::HttpGate, domain::clock::Clock, store::SharedStore};

/// What the settings say, as plain values.
#[derive(Debug, Clone)]
pub struct VaultOptions {
    /// The key that wraps.
    pub current: Option<KeySource>,
    /// Keys that only open.
    pub others: Vec<KeySource>,
    /// systemd's `$CREDENTIALS_DIRECTORY`.
    pub credentials_directory: Option<PathBuf>,
    /// A token is renewed so long before it ends, or in the last quarter of its life where that is shorter.
    pub refresh_early: Duration,
    /// The first wait after a failed refresh; doubled with each further failure, an hour at most.
    pub cool_down: Duration,
    /// Longest wait for a database that is away while a secret is read.
    pub outage: Duration,
}

impl Default for VaultOptions {
    fn default() -> Self {
        Self {
            current: None,
            others: Vec::new(),
            credentials_directory: None,
            refresh_early: Duration::from_secs(120),
            cool_down: Duration::from_secs(60),
            outage: Duration::from_secs(75),
        }
    }
}

/// In whose name leases are held.
#[derive(Clone)]
pub struct Holding {
    /// This process, as its leases name it.
    pub name: String,
    /// Whether a holder is known to be gone.
    pub is_dead: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Holding {
    /// A name about whose death nothing is known: leases run out.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), is_dead: Arc::new(|_| false) }
    }
}

/// The credentials of this process's store, and the keys to open them.
pub struct Vault {
    store: SharedStore,
    gate: Arc<HttpGate>,
    options: VaultOptions,
    holding: Holding,
    keys: OnceCell<Keyring>,
    /// One refresh at a time for each credential; who waits reads the winner's token.
    flights: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<()>>>>,
    /// This process's own share of the early renewal, so that not all come at once.
    share: f64,
}

impl Vault {
    /// Reads no key and opens nothing yet.
    pub fn new(store: SharedStore, gate: Arc<HttpGate>, options: VaultOptions, holding: Holding) -> Arc<Self> {
        // In front, so that the rest still tells machine, process and birth.
        let name = format!("{}:{}", &uuid::Uuid::new_v4().simple().to_string()[..8], holding.name);
        Arc::new(Self {
            store,
            gate,
            options,
            holding: Holding { name, ..holding },
            keys: OnceCell::new(),
            flights: Mutex::default(),
            share: rand::random_range(0.5..1.0),
        })
    }

    /// The keys, read once.
    ///
    /// # Errors
    /// [`VaultError::Key`], with what is missing.
    pub async fn keys(&self) -> Result<&Keyring, VaultError> {
        let read = async || {
            let options = &self.options;
            let directory = options.credentials_directory.as_deref();
            Keyring::read(options.current.as_ref(), &options.others, directory, &self.gate)
        };
        self.keys.get_or_try_init(read).await
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.gate.clock()
    }

    /// The gate of a credential, held while it is renewed.
    fn flight(&self, id: i64) -> Arc<tokio::sync::Mutex<()>> {
        // The map stays whole whatever panicked while holding it.
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(flights.entry(id).or_default())
    }

    /// Waits until no renewal is under way in this process, so that an ending process does not lose what a provider has just given.
    pub async fn settled(&self) {
        let flights: Vec<_> = {
            let flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.values().map(Arc::clone).collect()
        };
        for flight in flights {
            drop(flight.lock().await);
        }
    }
}

//! A provider to try Tidegate against: a CRM in HubSpot's shape, over real HTTP on loopback, with faults by script.
//!
//! Owns synthetic accounts, their edits over time, the fault script and the log of every request. It is part of the binary
//! because `tidegate demo` pulls from it; tests drive the same one. Refuses to listen on anything but loopback. Nobody in
//! it exists: addresses end in `example.test`, numbers lie in the range kept for fiction.
//!
//! One invariant: without a fault, a record's bytes depend on (seed, id, number of edits) and on nothing else.

pub mod accounts;
pub mod faults;
pub mod oracle;
pub mod tokens;

mod answers;
mod bulk;
mod crm_routes;
mod gate;
mod people;
mod search;
mod wire;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::{
    accounts::{Account, AccountOptions, Bad, CallLimit, ObjectKind},
    faults::{Fault, FaultKind, Gate},
    oracle::{Call, Oracle},
};
use crate::domain::clock::Clock;

/// How a simulator is to be started.
#[derive(Clone)]
pub struct SimulatorOptions {
    /// Stamps edits and the log, and waits out latency.
    pub clock: Arc<dyn Clock>,
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    pub accounts: Vec<AccountOptions>,
    /// How long each answer takes, on top of the work itself.
    pub latency: Duration,
}

impl SimulatorOptions {
    /// No account, no latency, any free port of 127.0.0.1.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: Vec::new(),
            latency: Duration::ZERO,
        }
    }

    #[must_use]
    pub fn account(mut self, account: AccountOptions) -> Self {
        self.accounts.push(account);
        self
    }

    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    #[must_use]
    pub fn listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("the simulator listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    #[error("two simulated accounts share a token or the portal id {0}")]
    SameAccountTwice(String),
    #[error("the simulator cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// What every request of one simulator sees.
pub(crate) struct Shared {
    clock: Arc<dyn Clock>,
    base_url: String,
    accounts: Vec<Arc<Account>>,
    faults: faults::Script,
    oracle: Oracle,
    tokens: tokens::TokenService,
    latency_us: AtomicU64,
    /// The last good page by account and path, for faults that repeat one.
    last_pages: Mutex<HashMap<(String, String), Bytes>>,
    bulk: bulk::Cache,
    stop: CancellationToken,
}

/// Starts simulators.
pub struct Simulator;

impl Simulator {
    /// Binds, serves in the background and returns at once.
    ///
    /// # Errors
    /// [`SimulatorError`]: not a loopback address, two accounts alike, or the port is taken.
    pub async fn start(options: SimulatorOptions) -> Result<SimulatorHandle, SimulatorError> {
        if !options.listen.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback(options.listen));
        }
        for (n, a) in options.accounts.iter().enumerate() {
            if options.accounts.iter().take(n).any(|b| a.token == b.token || a.portal_id == b.portal_id) {
                return Err(SimulatorError::SameAccountTwice(a.portal_id.clone()));
            }
        }
        let failed = |source| SimulatorError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let clock = Arc::clone(&options.clock);
        let shared = Arc::new(Shared {
            base_url: format!("http://{address}"),
            accounts: options.accounts.into_iter().map(|a| Arc::new(Account::new(a, Arc::clone(&clock)))).collect(),
            faults: faults::Script::default(),
            oracle: Oracle::new(Arc::clone(&clock)),
            tokens: tokens::TokenService::default(),
            latency_us: AtomicU64::new(micros(options.latency)),
            last_pages: Mutex::default(),
            bulk: bulk::Cache::default(),
            stop: CancellationToken::new(),
            clock,
        });
        let app = Router::new()
            .merge(crm_routes::routes())
            .merge(bulk::routes())
            .merge(tokens::routes())
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), gate::pass))
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<wire::Wire>();
        let stop = shared.stop.clone();
        let server = tokio::spawn(async move {
            let served = axum::serve(wire::BreakableListener(listener), app)
                .with_graceful_shutdown(async move { stop.cancelled().await })
                .await;
            if let Err(error) = served {
                tracing::warn!(error = %error, "the simulator ended");
            }
        });
        Ok(SimulatorHandle { shared, address, server })
    }
}

/// A running simulator. Dropping it stops it without waiting.
pub struct SimulatorHandle {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl SimulatorHandle {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.shared.base_url.clone()
    }

    /// The base URL of a source of `total` generated flat records, for measuring. Needs no token.
    pub fn bulk_url(&self, total: u64) -> String {
        format!("{}/bulk/{total}", self.shared.base_url)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account with that portal id.
    ///
    /// # Panics
    /// When no such account was declared in the options: the script that drives the simulator is wrong.
    pub fn account(&self, portal_id: &str) -> Arc<Account> {
        let found = self.shared.accounts.iter().find(|a| a.portal_id() == portal_id);
        Arc::clone(found.unwrap_or_else(|| panic!("no simulated account {portal_id} was declared")))
    }

    /// Adds a step to the fault script; it counts requests from now on.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// Forgets all faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    pub fn set_latency(&self, latency: Duration) {
        self.shared.latency_us.store(micros(latency), Ordering::Relaxed);
    }

    /// What was asked, by whom, when.
    pub fn oracle(&self) -> &Oracle {
        &self.shared.oracle
    }

    /// The provider's token service.
    pub fn tokens(&self) -> &tokens::TokenService {
        &self.shared.tokens
    }

    /// Refuses new connections, ends waiting answers, and returns when the last one is out (at most five seconds).
    pub async fn stop(mut self) {
        const LAST_ANSWERS: Duration = Duration::from_secs(5);
        self.shared.stop.cancel();
        tokio::select! {
            _ = &mut self.server => {}
            () = self.shared.clock.sleep(LAST_ANSWERS) => self.server.abort(),
        }
    }
}

impl Drop for SimulatorHandle {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A panic of another request while it held the lock leaves plain data behind; go on with it.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

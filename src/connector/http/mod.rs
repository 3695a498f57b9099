//! The only place that talks to a provider: network policy, rate limits, retries, budgets, counting.
//!
//! Owns the one HTTP client of the process and the loop around each request. Refuses to know streams, manifests or
//! records: a caller says what to ask, and gets a whole body within bounds or an error that can be decided upon.
//! No request goes to an address that the network policy forbids, and no error text holds a query, a body or a secret.

mod answer;
mod body;
mod budget;
mod discreet;
mod exchange;
mod hosts;
mod limits;
mod pace;
mod policy;
#[cfg(test)]
mod policy_tests;
mod redirect;
mod retry;
mod ruling;
mod send;
mod wait;

#[cfg(test)]
pub(crate) mod testing;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use answer::Answer;
pub use body::Spool;
pub use budget::CallBudget;
pub use exchange::{Reply, Unanswered};
pub use hosts::AllowedHosts;
pub use limits::LimitKey;
use limits::Limits;
pub use pace::Pace;
pub use policy::NetworkPolicy;
pub use ruling::{Action, Judge, Ruling, Seen, TakenFor};
pub use send::{Body, Call, Fetch, Method};

use crate::domain::clock::Clock;

/// Plain values that bound what one request may cost.
#[derive(Debug, Clone, PartialEq)]
pub struct GateOptions {
    /// Longest wait for a connection (name, TCP, TLS).
    pub connect_timeout: Duration,
    /// Longest silence inside an answer.
    pub read_timeout: Duration,
    /// Longest time for one attempt, from the first byte sent to the last received.
    pub total_timeout: Duration,
    /// Largest body, counted after decompression.
    pub max_body_bytes: usize,
    /// Largest download, which is written to a file, as it comes.
    pub max_download_bytes: u64,
    /// How often a failed request is repeated, at most.
    pub max_retries: u32,
    /// Longest time that one request may spend on attempts and the waits between them, limits not counted.
    pub retry_budget: Duration,
    /// Longest time that one request may wait because of a limit; a longer one ends as `rate_limited`.
    pub longest_limit_wait: Duration,
    /// Pace per provider account where the manifest names none.
    pub requests_per_second: f64,
    /// Requests that may go out at once before the pace holds, where the manifest names none.
    pub burst: u32,
    /// Requests of one provider account that may be under way at once; a manifest may want fewer.
    pub max_concurrency: u32,
    /// Bodies that a pull may hold of pages that it fetched ahead.
    pub ahead_bytes: usize,
    /// Networks (`127.0.0.0/8`, `::1/128`) that may be reached although private, also without TLS. Empty in production.
    pub allow_private: Vec<String>,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(120),
            max_body_bytes: 32 * 1024 * 1024,
            max_download_bytes: 4 * 1024 * 1024 * 1024,
            max_retries: 5,
            retry_budget: Duration::from_secs(120),
            longest_limit_wait: Duration::from_secs(60),
            requests_per_second: 5.0,
            burst: 5,
            max_concurrency: 8,
            ahead_bytes: 4 * 1024 * 1024,
            allow_private: Vec::new(),
        }
    }
}

/// The gate could not be built.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error("http.allow_private: '{0}' is not a network such as 127.0.0.0/8 or ::1/128")]
    NotANetwork(String),
    #[error("the HTTP client could not be built")]
    Client(#[source] reqwest::Error),
}

/// Shared by all connectors of the process: one client, one policy, one set of limits.
pub struct HttpGate {
    /// Speaks TLS only; built when it is first needed, for the system's certificates cost megabytes. `None` inside: this
    /// machine has none, so nobody could be told from anybody.
    tls_client: OnceLock<Option<reqwest::Client>>,
    /// Speaks without TLS, and reaches nothing but what `allow_private` names.
    plain_client: reqwest::Client,
    policy: Arc<NetworkPolicy>,
    limits: Limits,
    options: GateOptions,
    clock: Arc<dyn Clock>,
}

impl HttpGate {
    /// Holds an account back for so long, for all who use the gate.
    pub fn hold_back(&self, limit: &LimitKey, wait: Duration) {
        self.limits.block(limit, wait);
    }

    /// Builds the client. Installs ring as the process's TLS provider when none is installed yet.
    ///
    /// A machine without CA certificates gets a gate that reaches what `allow_private` names without TLS (a demo, a test, a
    /// proxy on the same host) and refuses every `https` address with the remedy.
    ///
    /// # Errors
    /// A network in `allow_private` cannot be read, or the client cannot be built.
    pub fn new(options: GateOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>, GateError> {
        // An error only says that somebody else was first; that provider is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = Arc::new(NetworkPolicy::new(&options.allow_private)?);
        let plain_client = client_without_tls(&options, &policy).map_err(GateError::Client)?;
        let limits =
            Limits::new(Arc::clone(&clock), options.requests_per_second, options.burst, options.max_concurrency);
        Ok(Arc::new(Self { tls_client: OnceLock::new(), plain_client, policy, limits, options, clock }))
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Whether CA certificates were found, so that `https` addresses can be asked.
    pub fn speaks_tls(&self) -> bool {
        self.tls_client().is_some()
    }

    /// Requests that one pull of the account may have under way at once, from 1.
    pub fn at_once(&self, key: &LimitKey) -> usize {
        usize::try_from(key.at_once.unwrap_or(1).min(self.options.max_concurrency)).unwrap_or(1).max(1)
    }

    /// Bytes of bodies that one pull may hold of pages that it fetched ahead.
    pub fn ahead_bytes(&self) -> usize {
        self.options.ahead_bytes
    }

    /// The client for `https`, if this machine has certificates to trust.
    fn tls_client(&self) -> Option<&reqwest::Client> {
        let build = || {
            // The options are good, the other client was built with them: what can fail here is the loading of the roots.
            client(&self.options, policy::GuardedResolver::new(Arc::clone(&self.policy), policy::Reach::Permitted))
                .https_only(true)
                .build()
                .inspect_err(|error| {
                    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(cause, "no CA certificates could be loaded: https addresses will be refused");
                })
                .ok()
        };
        self.tls_client.get_or_init(build).as_ref()
    }

    /// The rules by which addresses are refused.
    pub fn policy(&self) -> &NetworkPolicy {
        &self.policy
    }
}

/// What both clients have in common: no redirects of their own, no proxy, no hidden retries, every wait bounded.
fn client(options: &GateOptions, resolver: policy::GuardedResolver) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .timeout(options.total_timeout)
        .dns_resolver(Arc::new(resolver))
}

fn client_without_tls(options: &GateOptions, policy: &Arc<NetworkPolicy>) -> reqwest::Result<reqwest::Client> {
    // It never speaks TLS, so it trusts nobody; by that it needs no certificates of the system.
    client(options, policy::GuardedResolver::new(Arc::clone(policy), policy::Reach::Excepted))
        .tls_certs_only([])
        .build()
}

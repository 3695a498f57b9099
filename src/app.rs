//! The one file that knows every concrete type and wires them together.
//!
//! Owns the order in which parts come to life: settings, store, catalogue, gate, vault, worker. Refuses to print and to decide.

use std::sync::Arc;

use crate::{
    connector::{
        http::{GateOptions, HttpGate},
        registry::{Catalogue, LoadProblem},
    },
    domain::clock::{Clock, Timestamp},
    pipeline::{Limits, budget::ErrorBudget},
    scheduler::{
        holder::Holder,
        worker::{Worker, WorkerOptions},
    },
    settings::{Settings, VaultKey},
    store::{
        SharedStore, StoreError,
        open::{OpenOptions, open},
    },
    system_clock::SystemClock,
    vault::{Holding, KeySource, Vault, VaultOptions},
};

/// Settings and clock of this process; opens the rest on demand.
pub struct App {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
}

impl App {
    pub fn new(settings: Settings) -> Self {
        Self { settings, clock: Arc::new(SystemClock::new()) }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who acts, for the audit: the person's login name, as far as the system tells.
    pub fn actor(&self) -> String {
        ["TIDEGATE_ACTOR", "SUDO_USER", "USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .unwrap_or_else(|| "operator".to_owned())
    }

    /// Opens the database as it is, whatever its schema.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Settings`].
    pub async fn open_store(&self) -> Result<SharedStore, StoreError> {
        let database = &self.settings.database;
        let options = OpenOptions {
            max_connections: database.max_connections,
            acquire_timeout: database.acquire_timeout,
            outage_budget: database.outage,
            // What idles longer than a lease would be refused by the fence anyway.
            idle_transaction: self.settings.scheduler.lease,
            ..OpenOptions::new(database.url.clone())
        };
        open(&options, Arc::clone(&self.clock)).await
    }

    /// All connector folders, and what is wrong with the others.
    pub fn load_catalogue(&self) -> (Catalogue, Vec<LoadProblem>) {
        Catalogue::read(&self.settings.connectors.dirs)
    }

    /// Policy, limits and counting for everything that leaves this process.
    ///
    /// # Errors
    /// When `http.allow_private` or the system's TLS roots cannot be used; the text says which.
    pub fn gate(&self) -> Result<Arc<HttpGate>, String> {
        let http = &self.settings.http;
        let options = GateOptions {
            connect_timeout: http.connect_timeout,
            read_timeout: http.request_timeout,
            total_timeout: http.request_timeout,
            max_body_bytes: http.max_body_bytes,
            max_retries: http.max_retries,
            retry_budget: http.retry_budget,
            longest_limit_wait: http.longest_wait,
            requests_per_second: http.requests_per_second,
            burst: http.burst,
            allow_private: http.allow_private.iter().map(ToString::to_string).collect(),
        };
        HttpGate::new(options, Arc::clone(&self.clock)).map_err(|e| e.to_string())
    }

    /// The credentials of a store. No key is read before the first secret is used.
    pub fn vault(&self, store: SharedStore, gate: Arc<HttpGate>) -> Arc<Vault> {
        let vault = &self.settings.vault;
        let options = VaultOptions {
            current: vault.current.clone().map(key_source),
            others: vault.others.iter().cloned().map(key_source).collect(),
            credentials_directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into),
            refresh_early: vault.refresh_early,
            cool_down: vault.cool_down,
            outage: self.settings.database.outage,
        };
        let holder = Holder::current();
        let holding = Holding { name: holder.name().to_owned(), is_dead: Arc::new(move |owner| holder.is_dead(owner)) };
        Vault::new(store, gate, options, holding)
    }

    /// A worker over an open store.
    ///
    /// # Errors
    /// As [`App::gate`].
    pub fn worker(&self, store: SharedStore) -> Result<(Arc<Worker>, Vec<LoadProblem>), String> {
        let (catalogue, problems) = self.load_catalogue();
        let gate = self.gate()?;
        let worker = Worker {
            vault: self.vault(Arc::clone(&store), Arc::clone(&gate)),
            store,
            clock: Arc::clone(&self.clock),
            catalogue: Arc::new(catalogue),
            gate,
            holder: Holder::current(),
            options: self.worker_options(),
        };
        Ok((Arc::new(worker), problems))
    }

    fn worker_options(&self) -> WorkerOptions {
        let (pipeline, scheduler) = (&self.settings.pipeline, &self.settings.scheduler);
        WorkerOptions {
            limits: Limits {
                lease_ttl: scheduler.lease,
                error_budget: ErrorBudget {
                    count: pipeline.error_budget_count.into(),
                    share: pipeline.error_budget_share,
                    min_seen: pipeline.error_budget_min_seen.into(),
                },
                max_pages: pipeline.max_pages_per_run.into(),
                max_duration: pipeline.max_run,
            },
            quarantine_after: scheduler.quarantine_after.into(),
            stalled_after: scheduler.stalled_after_runs.into(),
            jitter_share: scheduler.jitter_share,
        }
    }
}

fn key_source(key: VaultKey) -> KeySource {
    match key {
        VaultKey::File(path) => KeySource::File(path),
        VaultKey::SystemdCredential(name) => KeySource::SystemdCredential(name),
        VaultKey::Transit { url, mount, key, token } => KeySource::Transit { url, mount, key, token },
    }
}

//! The one file that knows every concrete type and wires them together.
//!
//! Owns the order in which parts come to life: settings, store, catalogue, gate, vault, worker. Refuses to print and to decide.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    alerts::{self, Sender},
    connector::{
        http::{GateOptions, HttpGate},
        registry::{Catalogue, LoadProblem},
    },
    domain::clock::{Clock, Timestamp},
    intake::{Door, DoorOptions, DoorParts},
    metrics::{Definitions, Feeds, MapFacts, MetricProblem, ProviderFacts},
    pipeline::{Limits, budget::ErrorBudget, gatekeeper::Gatekeeper},
    quality::{Rules, RulesProblem},
    scheduler::{
        alarm::Alarm,
        holder::Holder,
        repairs::RepairOptions,
        retention::{self, Retention},
        turns::Turns,
        webhook_out::WebhookOut,
        worker::{Worker, WorkerOptions},
    },
    settings::{Settings, VaultKey},
    store::{
        SharedStore, StoreError,
        open::{OpenOptions, open},
        retention::Kind,
    },
    system_clock::SystemClock,
    telemetry::recorder::Recorder,
    vault::{self, Holding, KeySource, Vault, VaultOptions},
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

    /// All metrics and who feeds them, and what is wrong with the others.
    ///
    /// # Errors
    /// Everything that is wrong with `metrics.files`: without them it is not known what any number means.
    pub fn load_metrics(&self, catalogue: &Catalogue) -> Result<(Definitions, Feeds, Vec<MetricProblem>), Vec<String>> {
        let mut texts = Vec::new();
        let mut wrong = Vec::new();
        for file in &self.settings.metrics.files {
            match std::fs::read_to_string(file) {
                Ok(text) => texts.push((file.display().to_string(), text)),
                Err(error) => wrong.push(format!("{}: cannot be read: {error}; correct metrics.files", file.display())),
            }
        }
        let loaded =
            Definitions::load(&texts).map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mut definitions = match loaded {
            Ok(definitions) if wrong.is_empty() => definitions,
            Ok(_) => return Err(wrong),
            Err(found) => {
                wrong.extend(found);
                return Err(wrong);
            }
        };
        let providers = catalogue
            .folders()
            .map(|folder| ProviderFacts {
                provider_key: folder.provider_key.clone(),
                names: folder.client_unsafe_names(),
                file: folder.dir.join("metrics.yaml").display().to_string(),
                metrics: folder.metrics.clone(),
                maps_broken: !folder.broken_maps.is_empty(),
                maps: folder
                    .maps
                    .iter()
                    .map(|map| MapFacts {
                        stream: map.stream.clone(),
                        version: map.version.clone(),
                        table: map.table.name,
                        columns: map.columns().map(str::to_owned).collect(),
                    })
                    .collect(),
            })
            .collect();
        let (feeds, problems) = Feeds::assemble(&mut definitions, providers);
        Ok((definitions, feeds, problems))
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
            max_download_bytes: http.max_download_bytes,
            max_retries: http.max_retries,
            retry_budget: http.retry_budget,
            longest_limit_wait: http.longest_wait,
            requests_per_second: http.requests_per_second,
            burst: http.burst,
            max_concurrency: http.max_concurrency,
            ahead_bytes: http.ahead_bytes,
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
    /// As [`App::gate`] and [`App::gatekeeper`], as one text.
    pub fn worker(&self, store: SharedStore) -> Result<(Arc<Worker>, Vec<LoadProblem>), String> {
        let (catalogue, problems) = self.load_catalogue();
        let gate = self.gate()?;
        let (gatekeeper, _) = self.gatekeeper(Arc::clone(&store), &catalogue).map_err(|wrong| wrong.join("\n"))?;
        let worker = Worker {
            gatekeeper: Arc::new(gatekeeper),
            vault: self.vault(Arc::clone(&store), Arc::clone(&gate)),
            turns: Turns::default(),
            store,
            clock: Arc::clone(&self.clock),
            catalogue: Arc::new(catalogue),
            gate,
            holder: Holder::current(),
            options: self.worker_options(),
        };
        Ok((Arc::new(worker), problems))
    }

    /// What checks connections and publishes their numbers, and what is wrong with single connector folders' metrics.
    ///
    /// # Errors
    /// Everything that is wrong with the files of `[quality]` and `[metrics]`, a line each.
    pub fn gatekeeper(
        &self,
        store: SharedStore,
        catalogue: &Catalogue,
    ) -> Result<(Gatekeeper, Vec<MetricProblem>), Vec<String>> {
        let (rules, metrics) = (self.quality_rules(), self.load_metrics(catalogue));
        let (rules, (definitions, feeds, problems)) = match (rules, metrics) {
            (Ok(rules), Ok(metrics)) => (rules, metrics),
            (rules, metrics) => {
                return Err([rules.err(), metrics.err()].into_iter().flatten().flatten().collect());
            }
        };
        let gatekeeper = Gatekeeper {
            store,
            clock: Arc::clone(&self.clock),
            rules,
            definitions,
            feeds,
            environments: self.settings.metrics.environments.clone(),
            recheck: self.settings.quality.recheck,
        };
        Ok((gatekeeper, problems))
    }

    /// The quality checks: the built-in ones, with the operator's file laid over them.
    ///
    /// # Errors
    /// Everything that is wrong, each a line with file, place and remedy.
    pub fn quality_rules(&self) -> Result<Rules, Vec<String>> {
        let told = |problems: Vec<RulesProblem>| problems.iter().map(ToString::to_string).collect();
        let Some(path) = &self.settings.quality.file else { return Rules::built_in().map_err(told) };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![format!("{name}: cannot be read: {error} (correct quality.file)")])?;
        // A broken folder may be the one that is named: then nobody knows which providers there are.
        let (catalogue, problems) = self.load_catalogue();
        let known = catalogue.folders().filter(|_| problems.is_empty()).map(|folder| folder.provider_key.clone());
        Rules::parse(Some((&name, &text)), &known.collect::<Vec<_>>()).map_err(told)
    }

    /// The alert rules: built in, changed by the file of `alerts.file`.
    ///
    /// # Errors
    /// All that is wrong with the file, a line each.
    pub fn alert_rules(&self) -> Result<alerts::Rules, Vec<String>> {
        let Some(path) = &self.settings.alerts.file else {
            return alerts::Rules::read(None).map_err(|found| found.iter().map(ToString::to_string).collect());
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![format!("{name}: cannot be read: {error}; name a file that this user may read")])?;
        alerts::Rules::read(Some((&name, &text))).map_err(|found| found.iter().map(ToString::to_string).collect())
    }

    /// What looks for alerts and tells them.
    ///
    /// # Errors
    /// As [`App::alert_rules`], and when the reference of `alerts.webhook_secret` has no form that is known.
    pub fn alarm(
        &self,
        store: SharedStore,
        gate: Arc<HttpGate>,
        recorder: Arc<Recorder>,
    ) -> Result<Alarm, Vec<String>> {
        let rules = Arc::new(self.alert_rules()?);
        let clock = Arc::clone(&self.clock);
        let sender = match &self.settings.alerts.webhook {
            None => None,
            Some(webhook) => {
                let secret = vault::reference::resolve(Some(&webhook.secret)).map_err(|error| vec![error.message])?;
                let url = webhook.url.expose_secret().parse();
                let url = url.map_err(|_| vec!["alerts.webhook_url is no address".to_owned()])?;
                let clock = Arc::clone(&clock);
                Some(Arc::new(WebhookOut { gate, clock, url, secret }) as Arc<dyn Sender>)
            }
        };
        Ok(Alarm { store, clock, rules, sender, recorder })
    }

    /// Where webhooks come in, with the task that writes them.
    pub fn door(&self, worker: &Worker, recorder: Arc<Recorder>, wake: Arc<Notify>) -> (Arc<Door>, JoinHandle<()>) {
        let (server, webhooks) = (&self.settings.server, &self.settings.webhooks);
        Door::open(DoorParts {
            store: Arc::clone(&worker.store),
            clock: Arc::clone(&self.clock),
            catalogue: Arc::clone(&worker.catalogue),
            vault: Arc::clone(&worker.vault),
            recorder,
            wake,
            options: DoorOptions {
                public_url: server.public_url.clone().unwrap_or_default(),
                max_body_bytes: usize::try_from(webhooks.max_body_bytes).unwrap_or(usize::MAX),
                requests_per_second: webhooks.requests_per_second,
                burst: webhooks.burst,
            },
        })
    }

    /// What takes away old rows.
    pub fn retention(&self, store: SharedStore) -> Retention {
        let days = &self.settings.retention;
        let keep = [
            (Kind::Raw, days.raw),
            (Kind::Deliveries, days.webhooks),
            (Kind::DeadLetters, days.dead_letters),
            (Kind::Runs, days.runs),
            (Kind::Checks, days.checks),
            (Kind::ArchivedRaw, days.archived_clients),
            (Kind::ArchivedDeliveries, days.archived_clients),
        ];
        let keep = keep.into_iter().filter_map(|(kind, keep)| Some((kind, keep?))).collect();
        Retention { store, clock: Arc::clone(&self.clock), rules: retention::Rules { keep } }
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
            repairs: RepairOptions {
                grace: self.settings.repairs.grace,
                tighten_share: self.settings.repairs.tighten_share,
                window: self.settings.repairs.window,
            },
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

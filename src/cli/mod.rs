//! The command line: one file per command family; printing lives in `print/` and nowhere else.
//!
//! Owns the dispatch, standard output and error, and the exit code. Refuses to know SQL or HTTP.

pub mod alerts;
pub mod apply;
pub mod args;
pub mod conformance;
mod connection;
pub mod credential;
pub mod demo;
pub mod doctor;
pub mod errors;
pub mod exit;
pub mod failure;
mod field_maps;
pub mod gate;
pub mod grants;
pub mod import;
pub mod jobs;
pub mod launch;
mod manual;
pub mod metrics;
pub mod migrate;
pub mod names;
pub mod normalize;
mod options;
pub mod portal;
pub mod print;
pub mod provider;
pub mod quality;
pub mod retention;
pub mod run;
pub mod run_once;
pub mod runs;
pub mod safety;
mod scaffold;
mod secret_input;
pub mod simulator;
pub mod source;
pub mod validate;
mod webhook;

use std::{path::Path, sync::Arc};

use args::{Cli, Command};
use exit::Exit;
use failure::Failure;
use print::{Output, View, notices};
use serde::Serialize;
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    alerts::Rules as AlertRules,
    app,
    connector::{
        http::HttpGate,
        registry::{Catalogue, LoadProblem},
    },
    domain::clock::{Clock, Timestamp},
    intake::Door,
    metrics::{Definitions, Feeds},
    pipeline::gatekeeper::Gatekeeper,
    quality::Rules,
    scheduler::{alarm::Alarm, retention::Retention, worker::Worker},
    settings::{Settings, SettingsErrors},
    store::{SharedStore, StoreError, schema::SchemaState},
    telemetry::{self, recorder::Recorder},
    vault::Vault,
};

/// How a command ends.
pub type Done = Result<Exit, Failure>;

/// What commands work with: the wired parts, and what they need of them with the right errors.
pub struct App {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    inner: app::App,
}

impl App {
    pub fn new(settings: Settings) -> Self {
        let inner = app::App::new(settings.clone());
        Self { settings, clock: Arc::clone(&inner.clock), inner }
    }

    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    pub fn actor(&self) -> String {
        self.inner.actor()
    }

    /// Answers on standard output.
    pub fn show<T: Serialize + ?Sized>(&self, out: Output, value: &T, text: impl FnOnce(&View) -> String) -> Done {
        out.show(self.now(), value, text)?;
        Ok(Exit::Done)
    }

    /// Opens the database whatever its schema: for `migrate` alone.
    pub async fn open_store(&self) -> Result<SharedStore, StoreError> {
        self.inner.open_store().await
    }

    /// Opens the database and refuses a schema that is not this program's.
    pub async fn store(&self) -> Result<SharedStore, Failure> {
        self.store_migrating(false).await
    }

    /// As [`App::store`]; with `migrate`, and on SQLite only, brings the schema up to date first.
    pub async fn store_migrating(&self, migrate: bool) -> Result<SharedStore, Failure> {
        let store = self.open_store().await?;
        if migrate {
            if store.engine() != "sqlite" {
                return Err(Failure::usage("--migrate is for SQLite only")
                    .remedy("run tidegate migrate with the migration user's database.url"));
            }
            if !matches!(store.schema_state().await?, SchemaState::Ahead { .. }) {
                store.migrate().await?;
            }
        }
        match migrate::refusal(&store.schema_state().await?) {
            None => Ok(store),
            Some(refusal) => Err(refusal),
        }
    }

    /// A gate with other settings and another clock than the process's, for a reading by hand.
    pub fn gate_of(settings: Settings, clock: Arc<dyn Clock>) -> Result<Arc<HttpGate>, Failure> {
        app::App { settings, clock }.gate().map_err(Failure::usage)
    }

    pub fn load_catalogue(&self) -> (Catalogue, Vec<LoadProblem>) {
        self.inner.load_catalogue()
    }

    /// All metrics and who feeds them. A file of a folder that is wrong is told on standard error; the others work.
    pub fn metrics(&self) -> Result<(Definitions, Feeds), Failure> {
        let (catalogue, broken) = self.load_catalogue();
        let loaded = self.inner.load_metrics(&catalogue);
        let (definitions, feeds, problems) = loaded.map_err(|wrong| {
            Failure::usage(wrong.join("\n")).remedy("correct the files of metrics.files; tidegate validate checks them")
        })?;
        for problem in broken.iter().map(ToString::to_string).chain(problems.iter().map(ToString::to_string)) {
            notices::warn(&problem);
        }
        Ok((definitions, feeds))
    }

    /// What checks connections and publishes. A file of a folder that is wrong is told on standard error; the others work.
    pub fn gatekeeper(&self, store: SharedStore) -> Result<Gatekeeper, Failure> {
        let (catalogue, broken) = self.load_catalogue();
        let (gatekeeper, problems) = self.inner.gatekeeper(store, &catalogue).map_err(|wrong| {
            Failure::usage(wrong.join("\n"))
                .remedy("correct the files of quality.file and metrics.files; tidegate validate checks them")
        })?;
        for problem in broken.iter().map(ToString::to_string).chain(problems.iter().map(ToString::to_string)) {
            notices::warn(&problem);
        }
        Ok(gatekeeper)
    }

    /// What is wrong with metrics and feeds, for `validate`.
    pub fn metric_problems(&self, catalogue: &Catalogue) -> Vec<String> {
        match self.inner.load_metrics(catalogue) {
            Ok((_, _, problems)) => problems.iter().map(ToString::to_string).collect(),
            Err(wrong) => wrong,
        }
    }

    /// The quality checks with the operator's file; what is wrong with it, line by line.
    pub fn quality_rules(&self) -> Result<Rules, Vec<String>> {
        self.inner.quality_rules()
    }

    /// The credentials of an open store.
    pub fn vault(&self, store: SharedStore) -> Result<Arc<Vault>, Failure> {
        let gate =
            self.inner.gate().map_err(|text| Failure::usage(text).remedy("mend the [http] section of the settings"))?;
        Ok(self.inner.vault(store, gate))
    }

    /// Whether this machine has certificates to trust.
    ///
    /// # Errors
    /// What is wrong with the `[http]` settings.
    pub fn speaks_tls(&self) -> Result<bool, String> {
        Ok(self.inner.gate()?.speaks_tls())
    }

    /// A worker over an open store. Broken connector folders are told on standard error; the others work.
    pub fn worker(&self, store: SharedStore) -> Result<Arc<Worker>, Failure> {
        let (worker, problems) = self.inner.worker(store).map_err(|text| {
            Failure::usage(text).remedy("mend the settings or the files they name; tidegate validate checks them")
        })?;
        for problem in &problems {
            notices::warn(&problem.to_string());
        }
        Ok(worker)
    }

    /// Where webhooks come in, with the task that writes them.
    pub fn door(&self, worker: &Worker, recorder: Arc<Recorder>, wake: Arc<Notify>) -> (Arc<Door>, JoinHandle<()>) {
        self.inner.door(worker, recorder, wake)
    }

    /// What takes away old rows.
    pub fn retention(&self, store: SharedStore) -> Retention {
        self.inner.retention(store)
    }

    /// The alert rules, or all that is wrong with them.
    pub fn alert_rules(&self) -> Result<AlertRules, Failure> {
        self.inner.alert_rules().map_err(|lines| wrong_rules(&lines))
    }

    /// What looks for alerts and tells them.
    pub fn alarm(&self, store: SharedStore, gate: Arc<HttpGate>, recorder: Arc<Recorder>) -> Result<Alarm, Failure> {
        self.inner.alarm(store, gate, recorder).map_err(|lines| wrong_rules(&lines))
    }
}

fn wrong_rules(lines: &[String]) -> Failure {
    Failure::usage(lines.join("\n"))
        .remedy("mend the file of alerts.file or the [alerts] section; tidegate validate checks both")
}

/// Does what the command line says.
pub async fn dispatch(cli: &Cli, settings: Settings) -> Done {
    let out = Output { json: cli.json };
    let app = App::new(settings);
    match &cli.command {
        Command::Demo(args) => demo::run(args, out).await,
        Command::Run(args) => run::run(&app, args).await,
        Command::RunOnce(args) => run_once::run(&app, args, out).await,
        Command::Migrate(args) => migrate::run(&app, args, out).await,
        Command::Grants(args) => grants::run(&app, args, out),
        Command::Apply(args) => apply::apply(&app, args, out).await,
        Command::Export => apply::export(&app, out).await,
        Command::Source(command) => source::run(&app, command).await,
        Command::Provider(command) => provider::run(&app, command, out).await,
        Command::Connector(command) => scaffold::run(&app, command, out),
        Command::Connection(command) => connection::run(&app, command, out).await,
        Command::Credential(command) => credential::run(&app, command, out).await,
        Command::Jobs(command) => jobs::run(&app, command, out).await,
        Command::Runs(command) => runs::run(&app, command, out).await,
        Command::Alerts(command) => alerts::run(&app, command, out).await,
        Command::Errors(command) => errors::run(&app, command, out).await,
        Command::Launch(command) => launch::run(&app, command, out).await,
        Command::Import(args) => import::run(&app, args, out).await,
        Command::Normalize(args) => normalize::run(&app, args, out).await,
        Command::Metrics(command) => metrics::run(&app, command, out).await,
        Command::Portal(command) => portal::run(&app, command, out).await,
        Command::Quality(command) => quality::run(&app, command, out).await,
        Command::Retention(args) => retention::run(&app, args, out).await,
        Command::Doctor => doctor::run(&app, out).await,
        Command::Healthcheck => healthcheck(&app, out).await,
        Command::Validate(args) if args.conformance => conformance::run(&app, args, out).await,
        Command::Validate(args) => validate::run(&app, args, None, out),
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { out } => manual::pages(out.as_deref()),
        Command::Simulator(args) => simulator::run(args).await,
    }
}

async fn healthcheck(app: &App, out: Output) -> Done {
    let store = app.store().await?;
    store.ping().await?;
    let document = serde_json::json!({"healthy": true, "database": store.server_version().await?});
    app.show(out, &document, |_| "healthy".to_owned())
}

/// Tells on standard error why a command was not done; gives its exit code.
pub fn refuse(failure: &Failure) -> Exit {
    notices::tell(&failure.text());
    failure.exit
}

/// A program that was installed by itself has no file of settings to look into.
const SETTINGS_REMEDY: &str = "correct it where it stands; a variable is TIDEGATE_SECTION__KEY, e.g. TIDEGATE_HTTP__ALLOW_PRIVATE=127.0.0.0/8 for allow_private of [http]; \
     config/tidegate.toml of the source explains every key; tidegate validate checks them";

/// Reads the settings for a command line: files, then variables; all errors at once.
pub fn settings(config: Option<&Path>) -> Result<Settings, SettingsErrors> {
    Settings::load(config, std::env::vars(), Path::new("."))
}

/// What a command does whose settings are wrong: it is refused, but `validate` goes on to tell what else is wrong.
pub fn without_settings(cli: &Cli, errors: &SettingsErrors) -> Done {
    let out = Output { json: cli.json };
    if matches!(cli.command, Command::Validate(_) | Command::Doctor)
        && let Ok(defaults) = Settings::load(None, std::iter::empty(), Path::new("no such folder"))
    {
        let app = App::new(defaults);
        return match &cli.command {
            Command::Validate(args) => validate::run(&app, args, Some(errors), out),
            _ => doctor::without_settings(&app, errors, out),
        };
    }
    Err(Failure::usage(errors.to_string()).remedy(SETTINGS_REMEDY))
}

/// Starts logging to standard error.
pub fn start_logging(format: telemetry::LogFormat, level: &str) -> Result<(), Failure> {
    telemetry::init(format, level).map_err(|e| Failure::usage(e.to_string()))
}

//! The command line as people type it. Help texts, completions and the man page come from these definitions.
//!
//! Owns names and help texts. Refuses to do anything.

mod alerts;
mod connector;
mod credential;
mod errors;
pub mod import;
pub mod launch;
mod metrics;
pub mod quality;
mod runs;
mod safety;
mod source;

use std::path::PathBuf;

pub use alerts::AlertsCommand;
use clap::{Args, Parser, Subcommand};
pub use connector::{AuthFamily, ConnectorCommand, NewConnectorArgs, PagingFamily};
pub use credential::CredentialCommand;
pub use errors::{ErrorFilterArgs, ErrorsCommand};
use quality::QualityCommand;
pub use runs::{JobArgs, JobsCommand, RunsCommand};
pub use safety::GrantsArgs;
pub use source::{ManifestArgs, SourceArgs, SourceCommand};

pub use self::metrics::{ApproveArgs, BaselineArgs, MetricsCommand, PortalCommand, PublishArgs, SnapshotArgs};

/// Connector sync worker: pulls, stages, normalises, checks; only what is safe passes.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, propagate_version = true, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Cli {
    /// Settings file, read after config/tidegate.toml and config/tidegate.<environment>.toml.
    #[allow(rustdoc::invalid_html_tags, reason = "people read it in a terminal")]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    pub config: Option<PathBuf>,
    /// One JSON document on standard output, nothing else there.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The settings file that is meant. The `--config` of `source` is the source's own configuration, as the protocol has it.
    pub fn settings_file(&self) -> Option<&std::path::Path> {
        if matches!(self.command, Command::Source(_)) { None } else { self.config.as_deref() }
    }
}

/// Heading of the options that every command has.
const EVERYWHERE: &str = "Options of every command";

const EXIT_CODES: &str = "Exit codes: 0 all done, 1 internal error, 2 usage or settings, 3 a run ended partial or has dead letters, \
4 a run failed, 5 refused by a gate, 6 refused for safety, 75 try again later.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole way of a record in a minute, on an embedded database, against a provider simulator over real HTTP.
    Demo(DemoArgs),
    /// The daemon: claims due jobs and runs them until it is told to stop.
    Run(RunArgs),
    /// Do what is due, or what is named, and exit.
    RunOnce(RunOnceArgs),
    /// Apply, check or print the database schema. The only command that changes it.
    Migrate(MigrateArgs),
    /// Print the SQL that makes the four narrow database users (MySQL, MariaDB); run nothing.
    Grants(GrantsArgs),
    /// Declare clients, providers, connections and jobs from YAML. Applying twice changes nothing.
    Apply(ApplyArgs),
    /// Print what is declared, as a declaration file.
    Export,
    /// Speak the Airbyte protocol on standard output: one manifest as a source for any platform.
    #[command(subcommand)]
    Source(SourceCommand),
    /// The connector catalogue.
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Connector folders of one's own.
    #[command(subcommand)]
    Connector(ConnectorCommand),
    /// Clients' accounts at providers.
    #[command(subcommand)]
    Connection(ConnectionCommand),
    /// Secrets that Tidegate keeps, sealed. They come from standard input, never from an argument.
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Declared streams with their schedules and cursors.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// What was attempted, and what came of it.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Dead letters: items that failed, waiting to be worked off.
    #[command(subcommand)]
    Errors(ErrorsCommand),
    /// Launch controls: what production waits for.
    #[command(subcommand)]
    Launch(launch::LaunchCommand),
    /// Take a file of records (CSV, JSON lines) that somebody brings: the manual path.
    Import(import::ImportArgs),
    /// Map again from raw events, without asking the provider.
    Normalize(NormalizeArgs),
    /// Clients' numbers: take them, set baselines, publish what the gate lets through.
    #[command(subcommand)]
    Metrics(MetricsCommand),
    /// What clients see.
    #[command(subcommand)]
    Portal(PortalCommand),
    /// Quality checks: what is looked at before a number reaches a client.
    #[command(subcommand)]
    Quality(QualityCommand),
    /// What somebody has to look at, once for as long as it lasts.
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Take away what is old and nobody needs, as the daemon does once an hour (section `retention` of the settings).
    Retention(RetentionArgs),
    /// Check settings, connector folders, field maps, checks, metrics, controls, alert rules and declarations: all errors at once.
    Validate(ValidateArgs),
    /// Look at everything an installation needs: database, schema, rights, clock, connectors, network, listener, key, log.
    Doctor,
    /// Say whether the database answers and has the schema that this program needs. For containers without a shell.
    Healthcheck,
    /// Print shell completions.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page; or write one for each command into a folder.
    Man {
        /// The folder, which must be there.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// A provider simulator over HTTP, for trying and for benchmarks.
    #[command(hide = true)]
    Simulator(SimulatorArgs),
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the demo keeps its files; var/demo when not given. What an earlier demo left there is made anew.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// On SQLite only: bring the schema up to date first.
    #[arg(long)]
    pub migrate: bool,
    /// Take only the I-th of N parts of the jobs; 0/N is the same as N/N, for launchers that count from 0.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
}

#[derive(Debug, Args)]
pub struct RunOnceArgs {
    /// Do all jobs that are due (what happens without arguments).
    #[arg(long, conflicts_with_all = ["connections", "streams"])]
    pub due: bool,
    /// Run this connection's jobs now, due or not. Repeatable.
    #[arg(long = "connection", value_name = "KEY")]
    pub connections: Vec<String>,
    /// Run only this stream. Repeatable.
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Read everything again; the cursor is not moved back.
    #[arg(long)]
    pub full: bool,
    /// Take only the I-th of N parts of the jobs; 0/N is the same as N/N, for launchers that count from 0.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// On SQLite only: bring the schema up to date first.
    #[arg(long)]
    pub migrate: bool,
}

#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Say whether the schema is what this program needs; change nothing. Exit code 2 when it is not.
    #[arg(long, conflicts_with = "print")]
    pub check: bool,
    /// Print the SQL of all steps; ask no database.
    #[arg(long)]
    pub print: bool,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Declaration file. Repeatable.
    #[arg(short, long = "file", value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// Show what would change; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// On SQLite only: bring the schema up to date first.
    #[arg(long)]
    pub migrate: bool,
}

#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Each provider with its streams.
    List,
    /// One provider: streams, auth, limits, field maps.
    Show {
        /// The provider's key.
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConnectionCommand {
    /// Each connection with its state.
    List,
    /// What is declared, its state, its jobs, and the payload fields that no map uses.
    Show {
        /// The provider's key.
        key: String,
    },
    /// Ask the provider who we are.
    Check { key: String },
    /// Let a person authorise an oauth2 connection in a browser; the tokens are stored as its credential.
    Authorize {
        /// The connection's key.
        key: String,
        /// Port of the listener on 127.0.0.1, for providers that want the redirect address named; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// How long to wait for the person.
        #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(5..=3600))]
        wait: u32,
    },
    /// Show records as they come, as they are mapped, and what is to be seen in them; write nothing.
    Preview {
        /// The connection's key.
        key: String,
        /// Only this stream; else each declared one.
        #[arg(long)]
        stream: Option<String>,
        /// How many records of each stream; at most 100.
        #[arg(long, default_value_t = 5, value_parser = at_least_one())]
        count: usize,
        /// Show each record as it came; else the first one.
        #[arg(long)]
        raw: bool,
    },
    /// Run a few records of each stream, marked as a test; no cursor moves.
    TestBatch {
        /// The connection's key.
        key: String,
        /// Only this stream; else each declared one.
        #[arg(long)]
        stream: Option<String>,
        /// How many records of each stream; the default is pipeline.test_batch_records.
        #[arg(long, value_parser = at_least_one())]
        count: Option<usize>,
    },
    /// Run nothing of this connection until it is resumed.
    Pause {
        /// The connection's key.
        key: String,
        /// Why; kept in event_admin_actions.
        #[arg(long, value_parser = reason)]
        reason: String,
    },
    /// End a pause, or a wait for a new credential.
    Resume {
        /// The connection's key.
        key: String,
        /// Why; kept in event_admin_actions.
        #[arg(long, value_parser = reason)]
        reason: Option<String>,
    },
    /// Show where its webhooks come in, or make the address that a provider is to call.
    Webhook {
        /// The connection's key.
        key: String,
        /// Make a new address and print it once; the former one leads nowhere from then on.
        #[arg(long)]
        new_path: bool,
    },
    /// Let a production connection go live, or say what is missing.
    Activate { key: String },
    /// End a connection for good.
    Revoke {
        /// The connection's key.
        key: String,
        /// Why; kept in event_admin_actions.
        #[arg(long, value_parser = reason)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub struct NormalizeArgs {
    /// Only this connection. Repeatable.
    #[arg(long = "connection", value_name = "KEY")]
    pub connections: Vec<String>,
    /// Only this stream. Repeatable.
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Map every stored record again (what is meant when a field map has changed), and its open dead letters.
    #[arg(long, conflicts_with_all = ["diff", "activate"])]
    pub replay: bool,
    /// Show what another version of the field map would change, records and clients' numbers; write nothing.
    #[arg(long, conflicts_with = "activate")]
    pub diff: bool,
    /// Put a version of a provider's field map in force, also a former one, and map all stored records through it.
    #[arg(long, requires_all = ["map_version", "reason"])]
    pub activate: bool,
    /// Which version. --diff takes the highest that is not in force when it is not named.
    #[arg(long, value_name = "VERSION")]
    pub map_version: Option<String>,
    /// Whose field maps are activated: a version is in force for all connections of a provider.
    #[arg(long, value_name = "KEY", requires = "activate", conflicts_with = "connections")]
    pub provider: Option<String>,
    /// Why a version is activated; kept in event_admin_actions.
    #[arg(long, value_parser = reason, requires = "activate")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct RetentionArgs {
    /// Tell what would go; take nothing away.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Connector folders, manifests, field maps, settings files (.toml), alert rules (alerts.yaml) or declarations; without any:
    /// the settings, what they name, and all connector folders.
    pub paths: Vec<PathBuf>,
    /// Run the conformance kit over the connector folders: static checks, their fixtures, and each stream against a simulated provider.
    #[arg(long)]
    pub conformance: bool,
    /// Keep what becomes of the fixtures (expected.json) and the score (conformance.json) in each folder.
    #[arg(long, requires = "conformance")]
    pub write: bool,
}

#[derive(Debug, Args)]
pub struct SimulatorArgs {
    /// Says that only the bulk source is meant; it is always there.
    #[arg(long)]
    pub bulk: bool,
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
}

/// A reason is kept for whoever asks later: a blank one is none.
pub(super) fn reason(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() { Err("a reason is expected; it is kept for whoever asks later") } else { Ok(text.to_owned()) }
}

fn at_least_one() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..)
}

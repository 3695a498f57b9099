//! `tidegate errors …` as it is typed.

use clap::{Args, Subcommand};

use super::reason;

#[derive(Debug, Args)]
pub struct ErrorFilterArgs {
    /// Only this connection's.
    #[arg(long, value_name = "KEY")]
    pub connection: Option<String>,
    /// Only this stream's.
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<String>,
    /// Alike failures share a fingerprint; errors list --group tells them.
    #[arg(long)]
    pub fingerprint: Option<String>,
    /// Only what failed since then: a time such as 2026-01-31T08:00:00Z, or how long ago, such as 2h or 7d.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ErrorsCommand {
    /// Those that wait for somebody (open, retry_scheduled, exhausted) unless --status or --all says otherwise.
    List {
        #[command(flatten)]
        filter: ErrorFilterArgs,
        /// open, retry_scheduled, resolved, discarded, exhausted
        #[arg(long, conflicts_with = "all", value_name = "STATUS")]
        status: Option<String>,
        /// Closed ones too.
        #[arg(long)]
        all: bool,
        /// Alike failures together over all connections and runs, largest group first, each with the command that retries it.
        #[arg(long)]
        group: bool,
        /// Most that are shown.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One dead letter: what failed, where, and what to do; of the payload only its shape, with every value masked.
    Show {
        /// The dead letter's number.
        id: i64,
    },
    /// Map again from the raw event, through the field map in force, in a run of its own; a page is fetched again by its job. Exhausted ones too.
    Retry {
        /// Ids; or a filter; or --all.
        ids: Vec<i64>,
        #[command(flatten)]
        filter: ErrorFilterArgs,
        /// The group of this fingerprint; the same as --fingerprint.
        #[arg(long, value_name = "FINGERPRINT", conflicts_with = "fingerprint")]
        group: Option<String>,
        /// All that wait.
        #[arg(long)]
        all: bool,
    },
    /// Close without a record, with a reason that is kept.
    Discard {
        /// Ids; or a filter.
        ids: Vec<i64>,
        #[command(flatten)]
        filter: ErrorFilterArgs,
        /// Why; kept in event_admin_actions.
        #[arg(long, value_parser = reason)]
        reason: String,
    },
}

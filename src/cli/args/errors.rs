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
    /// Alike failures share a fingerprint; see --group.
    #[arg(long)]
    pub fingerprint: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ErrorsCommand {
    /// Open ones unless --status or --all says otherwise.
    List {
        #[command(flatten)]
        filter: ErrorFilterArgs,
        /// open, retry_scheduled, resolved, discarded, exhausted
        #[arg(long, conflicts_with = "all", value_name = "STATUS")]
        status: Option<String>,
        /// Closed ones too.
        #[arg(long)]
        all: bool,
        /// Alike failures together, largest group first.
        #[arg(long)]
        group: bool,
        /// Most that are shown.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One dead letter: what failed, where, and what to do. The payload is not shown.
    Show {
        /// The run's number.
        id: i64,
    },
    /// Map again from the raw event, through the current field map.
    Retry {
        /// Ids; or a filter; or --all.
        ids: Vec<i64>,
        #[command(flatten)]
        filter: ErrorFilterArgs,
        /// All open ones.
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

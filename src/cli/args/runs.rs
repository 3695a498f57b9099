//! `tidegate jobs …` and `tidegate runs …` as they are typed.

use clap::{Args, Subcommand};

use super::reason;

/// Which job is meant.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// The job's connection.
    #[arg(long, value_name = "KEY")]
    pub connection: String,
    /// The job's stream.
    #[arg(long, value_name = "STREAM")]
    pub stream: String,
    /// Why; kept in event_admin_actions.
    #[arg(long, value_parser = reason)]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// Each job: when it runs next, how far it has got, what is wrong with it.
    List {
        /// Only this connection's.
        #[arg(long, value_name = "KEY")]
        connection: Option<String>,
    },
    /// Run this job no more until it is resumed; others of the connection go on.
    Pause(JobArgs),
    /// End a pause; also ends a quarantine.
    Resume(JobArgs),
    /// Forget the cursor: the next run reads everything. Writes an audit row.
    ResetCursor(JobArgs),
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Newest first.
    List {
        /// Only this connection's.
        #[arg(long, value_name = "KEY")]
        connection: Option<String>,
        /// Only this stream's.
        #[arg(long, value_name = "STREAM")]
        stream: Option<String>,
        /// running, succeeded, partial, failed, cancelled, abandoned
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Most runs that are shown.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// A run's story: pages, waits, retries, commits; and its counts, counted again from rows.
    Show {
        /// The run's number.
        id: i64,
    },
    /// Take back what a run wrote: what it created is marked as voided and leaves every number, what it changed is put back. Nothing is deleted;
    /// the next pull that brings a voided record brings it back.
    Void {
        /// The run's number.
        id: i64,
        /// Why; kept in event_admin_actions.
        #[arg(long, value_parser = reason)]
        reason: String,
        /// Say what would be taken back; change nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

//! `tidegate alerts …` as people type it.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Open ones, the newest first: rule, subject, owner, since when, what to do.
    List {
        /// Also those that are over, and those that have not lasted long enough to be told.
        #[arg(long)]
        all: bool,
        /// Only of this rule; see config/alerts.yaml.
        #[arg(long, value_name = "KEY")]
        rule: Option<String>,
        /// Only of this connection.
        #[arg(long, value_name = "KEY")]
        connection: Option<String>,
        /// Most that are shown.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
}

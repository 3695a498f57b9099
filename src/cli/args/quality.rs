//! `tidegate quality …` as people type it.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum QualityCommand {
    /// Make all checks now and keep the results. Exit code 5 when one that holds publication is not passed.
    Run {
        /// Only this connection. Repeatable. Without any: all that are not revoked.
        #[arg(long = "connection", value_name = "KEY")]
        connections: Vec<String>,
    },
    /// What the checks saw: the newest evaluation of each connection.
    List {
        /// Only this client's.
        #[arg(long, value_name = "KEY")]
        client: Option<String>,
        /// Only this connection's.
        #[arg(long, value_name = "KEY")]
        connection: Option<String>,
        /// Only this check, e.g. freshness.
        #[arg(long, value_name = "CHECK")]
        check: Option<String>,
        /// passed, failed, errored, unknown
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Earlier evaluations too.
        #[arg(long)]
        all: bool,
        /// Only the newest evaluation of each connection (what happens without --all).
        #[arg(long, conflicts_with = "all")]
        latest: bool,
        /// Most results that are shown.
        #[arg(long, default_value_t = 500)]
        limit: u32,
    },
}

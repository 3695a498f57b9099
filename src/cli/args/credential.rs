//! `tidegate credential ...` as people type it.

use std::path::PathBuf;

use clap::Subcommand;

use super::reason;

#[derive(Debug, Subcommand)]
pub enum CredentialCommand {
    /// Store a secret for a connection; it is read from standard input, or asked for without echo. Declare it as `credential: vault:KEY`.
    Set {
        /// The credential's key.
        key: String,
        /// The connection that the secret belongs to.
        #[arg(long, value_name = "CONNECTION")]
        connection: String,
    },
    /// What is stored, without any secret.
    List {
        /// Only this connection's.
        #[arg(long, value_name = "CONNECTION")]
        connection: Option<String>,
    },
    /// Seal a secret with a new data key, as a new version.
    Rotate {
        /// The credential's key.
        key: String,
        /// A new secret is read from standard input; else the secret stays.
        #[arg(long)]
        new_secret: bool,
    },
    /// Forget a secret for good. End it at the provider too.
    Revoke {
        /// The credential's key.
        key: String,
        /// Why; kept in event_admin_actions.
        #[arg(long, value_parser = reason)]
        reason: String,
    },
    /// Wrap all data keys with the current key, after it was changed. Can be interrupted and run again.
    Rewrap {
        /// Those that are under the current key too: after a transit service has rotated it.
        #[arg(long)]
        all: bool,
        /// Show what would be done; change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Make a key for vault.key_file: a new file that only its owner can read.
    Key {
        /// A file that is not there yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

//! What people type for `grants` and `doctor`.

use clap::Args;

#[derive(Debug, Args)]
pub struct GrantsArgs {
    /// First part of the users' names: PREFIX_migrate, PREFIX_runtime, PREFIX_report, PREFIX_portal.
    #[arg(long, default_value = "tidegate", value_parser = crate::cli::grants::prefix)]
    pub prefix: String,
    /// Only the rights on tables: what is to be run again after a migration.
    #[arg(long)]
    pub tables: bool,
}

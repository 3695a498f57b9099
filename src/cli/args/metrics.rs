//! `tidegate metrics` and `tidegate portal` as people type them.
//!
//! Owns names and help texts. Refuses to do anything.

use clap::{Args, Subcommand};
use rust_decimal::Decimal;

use super::reason;

#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// Each metric: what it means, how it is made, and who feeds it.
    List,
    /// Compute the numbers of a period and keep them. Computing the same again keeps nothing.
    Snapshot(SnapshotArgs),
    /// Say what a client started from: a new version, by your act. The number must be complete and checked.
    Baseline(BaselineArgs),
    /// Take the numbers of the last ended period and publish what the gate lets through. Exit code 5 when something was held.
    Publish(PublishArgs),
    /// Let a number through that waits for approval, if the gate still passes.
    Approve(ApproveArgs),
    /// What a client sees, why a number is not newer, and its baselines.
    Show {
        /// The client's key.
        #[arg(long, value_name = "KEY")]
        client: String,
    },
}

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// Only this client's.
    #[arg(long, value_name = "KEY")]
    pub client: Option<String>,
    /// Only this connection's.
    #[arg(long, value_name = "KEY")]
    pub connection: Option<String>,
    /// Only this metric.
    #[arg(long, value_name = "KEY")]
    pub metric: Option<String>,
    /// In the form of the metric's period: 2026-09, 2026-W40, 2026-Q3, 2026-10-01; or last.
    #[arg(long, value_name = "PERIOD", default_value = "last")]
    pub period: String,
}

#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// The client's key.
    #[arg(long, value_name = "KEY")]
    pub client: String,
    /// The metric's key.
    #[arg(long, value_name = "KEY")]
    pub metric: String,
    /// Under which source label; needed when several feed the metric.
    #[arg(long, value_name = "LABEL")]
    pub source: Option<String>,
    /// In the form of the metric's period: 2026-09, 2026-W40, 2026-Q3, 2026-10-01; or last.
    #[arg(long, value_name = "PERIOD", default_value = "last")]
    pub period: String,
    /// A number that is known from before the connection, instead of a computed one.
    #[arg(long, value_name = "NUMBER", requires = "evidence", allow_hyphen_values = true)]
    pub value: Option<Decimal>,
    /// ISO code of --value, for money.
    #[arg(long, value_name = "CODE", requires = "value")]
    pub currency: Option<String>,
    /// Where --value stands and who counted it.
    #[arg(long, value_name = "TEXT", requires = "value", value_parser = reason)]
    pub evidence: Option<String>,
    /// Why; kept with the version and in event_admin_actions.
    #[arg(long, value_parser = reason)]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct PublishArgs {
    /// Only this client's.
    #[arg(long, value_name = "KEY")]
    pub client: Option<String>,
    /// Only this metric.
    #[arg(long, value_name = "KEY")]
    pub metric: Option<String>,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The client's key.
    #[arg(long, value_name = "KEY")]
    pub client: String,
    /// The metric's key.
    #[arg(long, value_name = "KEY")]
    pub metric: String,
    /// Under which source label; needed when several feed the metric.
    #[arg(long, value_name = "LABEL")]
    pub source: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum PortalCommand {
    /// A client's cards, as the portal's database user reads them.
    Cards {
        /// The client's key.
        #[arg(long, value_name = "KEY")]
        client: String,
    },
}

//! `tidegate launch …` as people type it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum LaunchCommand {
    /// Review all controls: what is ready, what is missing, and what supplies it.
    Status {
        /// Only this connection's, and those of the installation.
        #[arg(long, value_name = "KEY")]
        connection: Option<String>,
        /// Write what the controls become (admin tasks, SOP notes, launch items, incident steps, report notes), as Markdown and JSON.
        #[arg(long, value_name = "DIR")]
        export: Option<PathBuf>,
    },
    /// Keep evidence for a control without signing it; it counts once an owner has signed.
    Evidence {
        /// The control's key.
        control: String,
        #[command(flatten)]
        facts: ControlFactArgs,
    },
    /// Sign controls as their owner, one or a file of them.
    Sign {
        /// The control's key; or --file.
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        control: Option<String>,
        /// Who answers for the control.
        #[arg(long, value_name = "NAME", required_unless_present = "file", conflicts_with = "file")]
        owner: Option<String>,
        #[command(flatten)]
        facts: ControlFactArgs,
        /// Many signatures at once; config/examples/launch-controls.yaml shows how.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["connection", "kind", "evidence", "date", "source", "environment", "data_boundary", "rollback_path", "cadence_days"])]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct ControlFactArgs {
    /// The connection, for a control of a connection.
    #[arg(long, value_name = "KEY")]
    pub connection: Option<String>,
    /// environment_status, screenshot, row_count, checklist_result, backup_manifest, restore_result, incident_note, access_review,
    /// portal_summary, document
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// What was seen, or where it lies; never a secret.
    #[arg(long, value_name = "TEXT")]
    pub evidence: Option<String>,
    /// The day on which it was seen; today when not given.
    #[arg(long, value_name = "DATE")]
    pub date: Option<String>,
    /// What was looked at: a system, a place, a document.
    #[arg(long)]
    pub source: Option<String>,
    /// production, staging, sandbox, all
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// Which data it is about, and which not.
    #[arg(long, value_name = "TEXT")]
    pub data_boundary: Option<String>,
    /// The way back when it turns out wrong.
    #[arg(long, value_name = "TEXT")]
    pub rollback_path: Option<String>,
    /// Review it sooner than its definition says.
    #[arg(long, value_name = "N")]
    pub cadence_days: Option<i64>,
}

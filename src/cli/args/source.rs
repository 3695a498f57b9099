//! `tidegate source …` as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct ManifestArgs {
    /// The manifest: YAML or JSON.
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,
}

#[derive(Debug, Args)]
pub struct SourceArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// The source's configuration, a JSON object; it may hold secrets.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Read as if it were that time (RFC 3339), so that a reading is the same each time.
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// Skip every wait; each is still told.
    #[arg(long)]
    pub no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// The options that a configuration may hold.
    Spec(ManifestArgs),
    /// Whether the streams that the manifest names can be read.
    Check(SourceArgs),
    /// The streams.
    Discover(SourceArgs),
    /// Records and states of the streams of a catalogue.
    Read {
        #[command(flatten)]
        source: SourceArgs,
        /// The configured catalogue, JSON; without it all streams are read whole.
        #[arg(long, value_name = "FILE")]
        catalog: Option<PathBuf>,
        /// The states that an earlier reading gave, JSON.
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
    },
}

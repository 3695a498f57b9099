//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use tidegate::cli::{
    self,
    args::{Cli, Command},
    exit::Exit,
    failure::Failure,
};

/// A page is many small texts that live for a moment; what it keeps back is bounded in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Everything that can fail without a runtime comes first: a wrong argument or setting must not start anything.
    let arguments = Cli::parse();
    let settings = match cli::settings(arguments.settings_file()) {
        Ok(settings) => settings,
        Err(errors) => {
            return cli::without_settings(&arguments, &errors).unwrap_or_else(|failure| cli::refuse(&failure)).into();
        }
    };
    // The demo tells its own story; its runs' log lines would only talk into it.
    let level = if matches!(arguments.command, Command::Demo(_)) { "off" } else { &settings.log.level };
    if let Err(failure) = cli::start_logging(settings.log.format, level) {
        return cli::refuse(&failure).into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::new(Exit::Internal, format!("the runtime cannot be started: {error}"));
            return cli::refuse(&failure).into();
        }
    };
    match runtime.block_on(cli::dispatch(&arguments, settings)) {
        Ok(exit) => exit.into(),
        Err(failure) => cli::refuse(&failure).into(),
    }
}

//! `tidegate run`: the daemon.

use std::sync::Arc;

use super::{App, Done, args::RunArgs, exit::Exit, run_once::parse_shard, safety};
use crate::{
    lifecycle,
    scheduler::due::{self, DaemonOptions},
};

/// Runs until it is told to stop.
///
/// # Errors
/// See [`super::failure::Failure`]: only what keeps it from starting. A database that goes away later is waited for.
pub async fn run(app: &App, args: &RunArgs) -> Done {
    let shard = args.shard.as_deref().map(parse_shard).transpose()?;
    let stop = lifecycle::stop_on_signals()?;
    let store = app.store_migrating(args.migrate).await?;
    safety::prove_narrow_user(app, &store).await?;
    let worker = app.worker(Arc::clone(&store))?;
    if !app.settings.http.allow_private.is_empty() {
        tracing::warn!("http.allow_private is not empty: private networks may be called, also without TLS");
    }
    let scheduler = &app.settings.scheduler;
    let options = DaemonOptions {
        workers: usize::try_from(scheduler.workers).unwrap_or(1),
        per_client: usize::try_from(scheduler.per_client).unwrap_or(1),
        poll: scheduler.poll,
        shutdown: scheduler.shutdown,
        shard,
    };
    tracing::info!(
        worker = worker.holder.name(),
        workers = options.workers,
        engine = store.engine(),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    due::daemon(worker, options, stop).await;
    store.close().await;
    tracing::info!("stopped");
    Ok(Exit::Done)
}

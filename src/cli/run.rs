//! `tidegate run`: the daemon, the look for alerts beside it, and the listener that says how both are.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{App, Done, args::RunArgs, credential, exit::Exit, failure::Failure, gate, run_once::parse_shard, safety};
use crate::{
    lifecycle,
    scheduler::{
        due::{self, DaemonOptions},
        retention,
    },
    server,
    telemetry::{chain, recorder::Recorder},
};

/// Runs until it is told to stop.
///
/// # Errors
/// See [`Failure`]: only what keeps it from starting. A database that goes away later is waited for.
pub async fn run(app: &App, args: &RunArgs) -> Done {
    let shard = args.shard.as_deref().map(parse_shard).transpose()?;
    let stop = lifecycle::stop_on_signals()?;
    let store = app.store_migrating(args.migrate).await?;
    safety::prove_narrow_user(app, &store).await?;
    let worker = app.worker(Arc::clone(&store))?;
    // A wrong file of controls keeps it from starting, not from being noticed.
    gate::Gate::open(app)?;
    let recorder = Arc::new(Recorder::new(app.settings.server.connection_labels));
    let alarm = app.alarm(Arc::clone(&store), Arc::clone(&worker.gate), Arc::clone(&recorder))?;
    // It answers until the last run has ended.
    let ended = CancellationToken::new();
    let listening = match app.settings.server.listen {
        None => None,
        Some(address) => {
            let facts = server::Facts {
                store: Arc::clone(&store),
                clock: Arc::clone(&app.clock),
                rules: Arc::clone(&alarm.rules),
                recorder: Arc::clone(&recorder),
            };
            let listening = server::listen(address, facts, ended.clone()).await;
            Some(listening.map_err(|error| {
                Failure::usage(chain(&error).to_string()).remedy("name a free address of this machine in server.listen")
            })?)
        }
    };
    credential::ready(&worker.vault, &store).await?;
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
    let (vault, patience) = (Arc::clone(&worker.vault), options.shutdown);
    let alarm = tokio::spawn(alarm.run(app.settings.alerts.every, stop.clone()));
    let retention = tokio::spawn(app.retention(Arc::clone(&store)).run(retention::EVERY, stop.clone()));
    tokio::join!(due::daemon(worker, options, recorder, stop.clone()), gate::keep_reviewing(app, &store, &stop));
    if let Err(error) = alarm.await {
        tracing::error!(error = %error, "the look for alerts ended abnormally");
    }
    if let Err(error) = retention.await {
        tracing::error!(error = %error, "taking away old rows ended abnormally");
    }
    ended.cancel();
    if let Some(listening) = listening {
        listening.ended().await;
    }
    // A token that a provider has just given is written before this process ends.
    tokio::select! {
        () = vault.settled() => {}
        () = app.clock.sleep(patience) => tracing::warn!("a credential is still being renewed; its new token may be lost"),
    }
    store.close().await;
    tracing::info!("stopped");
    Ok(Exit::Done)
}

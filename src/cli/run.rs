//! `tidegate run`: the daemon, the look for alerts beside it, the listener that says how both are, and what the service manager hears.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{App, Done, args::RunArgs, credential, exit::Exit, failure::Failure, gate, run_once::parse_shard, safety};
use crate::{
    lifecycle,
    scheduler::{
        due::{self, DaemonOptions},
        intake, retention,
    },
    server,
    service_manager::ServiceManager,
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
    let wake = Arc::new(Notify::new());
    let mut writer = None;
    let listening = match app.settings.server.listen {
        None => None,
        Some(address) => {
            let (door, task) = app.door(&worker, Arc::clone(&recorder), Arc::clone(&wake));
            writer = Some(task);
            let facts = server::Facts {
                store: Arc::clone(&store),
                clock: Arc::clone(&app.clock),
                rules: Arc::clone(&alarm.rules),
                recorder: Arc::clone(&recorder),
                door: Some(door),
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
    let manager = Arc::new(ServiceManager::of_environment(Arc::clone(&app.clock)));
    warn_of_impatience(app, &manager);
    let scheduler = &app.settings.scheduler;
    let options = DaemonOptions {
        workers: usize::try_from(scheduler.workers).unwrap_or(1),
        per_client: usize::try_from(scheduler.per_client).unwrap_or(1),
        poll: manager.longest_sleep(scheduler.poll),
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
    manager.ready();
    let (vault, patience) = (Arc::clone(&worker.vault), options.shutdown);
    let alarm = tokio::spawn(alarm.run(app.settings.alerts.every, stop.clone()));
    let retention = tokio::spawn(app.retention(Arc::clone(&store)).run(retention::EVERY, stop.clone()));
    let pulse = Arc::clone(&manager);
    tokio::join!(
        intake::daemon(Arc::clone(&worker), Arc::clone(&recorder), wake, shard, options.shutdown, stop.clone()),
        due::daemon(worker, options, recorder, pulse, stop.clone()),
        gate::keep_reviewing(app, &store, &stop),
        async {
            stop.cancelled().await;
            manager.stopping();
        }
    );
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
    // With the listener the door is gone, and with it what the last counters wait for.
    if let Some(writer) = writer {
        tokio::select! {
            _ = writer => {}
            () = app.clock.sleep(patience) => tracing::warn!("the webhook endpoints' last counters were not written"),
        }
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

/// A loop that waits for the database does not beat: a watchdog that is less patient than the outage budget turns an outage that would
/// have been waited out into restarts.
fn warn_of_impatience(app: &App, manager: &ServiceManager) {
    if manager.watchdog().is_some_and(|silence| silence < app.settings.database.outage * 2) {
        tracing::warn!(
            "the service manager's watchdog is shorter than twice database.outage_seconds: a database that is away would look like a hang; raise WatchdogSec"
        );
    }
}

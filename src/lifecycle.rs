//! Being asked to stop: SIGTERM and SIGINT become one token, a second signal ends the process.
//!
//! Owns signals and nothing else. What stopping means is each loop's matter: no new claim, finish or roll back the
//! open page, give the lease back (P10).

use tokio_util::sync::CancellationToken;

/// Exit status of a process that a second signal ended, as shells report an interrupt.
const INTERRUPTED: i32 = 130;

/// Gives a token that the first SIGTERM or SIGINT cancels. A second signal exits at once: the lease runs out by itself.
///
/// # Errors
/// When the process may not listen for signals.
pub fn stop_on_signals() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        let first = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = first, "asked to stop: finishing the open pages, claiming nothing new");
        token.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("asked twice: exiting at once; leases run out by themselves");
        std::process::exit(INTERRUPTED);
    });
    Ok(stop)
}

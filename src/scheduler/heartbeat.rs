//! The heartbeat beside a run: keeps the lease, hears the shutdown, notices a pause.
//!
//! Owns how long we trust our own lease without an answer: shorter than the lease, counted from before we asked, so that a
//! worker stops calling the provider before anybody else may begin. Refuses to write anything but the lease.

use std::{convert::Infallible, time::Duration};

use tokio_util::sync::CancellationToken;

use super::worker::Worker;
use crate::{
    domain::status::ConnectionStatus,
    pipeline::{Stop, StopReason},
    store::lease::Lease,
    telemetry::chain,
};

/// Longest interval between two beats; also how soon a pause is noticed.
const HEARTBEAT: Duration = Duration::from_secs(5);

impl Worker {
    /// Renews the lease, hears the shutdown, notices a pause. Never completes; dropped with the run.
    pub(super) async fn heartbeat(
        &self,
        lease: &Lease,
        connection_key: &str,
        asked: Duration,
        stop: &Stop,
        shutdown: &CancellationToken,
    ) -> Infallible {
        let ttl = self.options.limits.lease_ttl;
        let every = (ttl / 3).min(HEARTBEAT);
        // Counted from before the claim was sent, so that a slow answer never lengthens our trust in it.
        let mut trusted_until = asked + ttl - ttl / 10;
        loop {
            tokio::select! {
                () = self.clock.sleep(every) => {}
                () = shutdown.cancelled(), if stop.stopped().is_none() => {
                    stop.stop(StopReason::Shutdown);
                    continue;
                }
            }
            let sent = self.clock.monotonic();
            let left = trusted_until.saturating_sub(sent);
            let renewed = tokio::select! {
                renewed = self.store.renew(lease, ttl) => Some(renewed),
                () = self.clock.sleep(left) => None,
            };
            match renewed {
                Some(Ok(true)) => trusted_until = sent + ttl - ttl / 10,
                Some(Ok(false)) => stop.stop(StopReason::LeaseLost),
                Some(Err(error)) => {
                    tracing::warn!(error = %chain(&error), "the lease could not be renewed");
                    if self.clock.monotonic() >= trusted_until {
                        stop.stop(StopReason::LeaseLost);
                    }
                }
                None => stop.stop(StopReason::LeaseLost),
            }
            if let Ok(Some(connection)) = self.store.connection(connection_key).await
                && matches!(connection.status, ConnectionStatus::Paused | ConnectionStatus::Revoked)
            {
                stop.stop(StopReason::Paused);
            }
        }
    }
}

//! What the service manager (systemd) is told: ready, alive, stopping.
//!
//! Owns the three messages and how often the second goes out. Refuses to beat by itself: a beat is asked for by the loop whose life
//! it stands for, so that a loop that hangs is not kept alive by a task that does not. Without a manager all of it is nothing.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;

use crate::{domain::clock::Clock, scheduler::due::Pulse, telemetry::chain};

/// The service manager that started this process, if one did: `NOTIFY_SOCKET`, `WATCHDOG_USEC`.
pub struct ServiceManager {
    clock: Arc<dyn Clock>,
    /// Silence after which the manager kills this process.
    watchdog: Option<Duration>,
    /// When it was last told, by the monotonic clock.
    beaten: Mutex<Option<Duration>>,
    failed: AtomicBool,
}

impl ServiceManager {
    /// As the environment of this process names it.
    pub fn of_environment(clock: Arc<dyn Clock>) -> Self {
        let watchdog = sd_notify::watchdog_enabled().filter(|silence| !silence.is_zero());
        Self { clock, watchdog, beaten: Mutex::new(None), failed: AtomicBool::new(false) }
    }

    /// Silence after which the manager kills this process; `None` when it does not watch.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The longest sleep of a loop that beats once each turn: half of the watchdog's patience, or `wanted` if that is shorter.
    pub fn longest_sleep(&self, wanted: Duration) -> Duration {
        self.watchdog.map_or(wanted, |silence| wanted.min(silence / 2))
    }

    /// `READY=1`: jobs are looked for from now on.
    pub fn ready(&self) {
        self.tell(NotifyState::Ready);
    }

    /// `STOPPING=1`: nothing new is claimed; open pages end.
    pub fn stopping(&self) {
        self.tell(NotifyState::Stopping);
    }

    /// Work goes on whether or not it can be told: a manager that is deaf will act by itself.
    fn tell(&self, state: NotifyState<'_>) {
        if let Err(error) = sd_notify::notify(&[state])
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(error = %chain(&error), "the service manager could not be told; this is said once");
        }
    }
}

impl Pulse for ServiceManager {
    /// `WATCHDOG=1`, at most four times in the watchdog's patience.
    fn turned(&self) {
        let Some(silence) = self.watchdog else { return };
        let now = self.clock.monotonic();
        let mut beaten = self.beaten.lock().unwrap_or_else(PoisonError::into_inner);
        if beaten.is_none_or(|at| now.saturating_sub(at) >= silence / 4) {
            *beaten = Some(now);
            self.tell(NotifyState::Watchdog);
        }
    }
}

//! Looking for alerts beside the runs: a sweep every so often, and its notices on their way.
//!
//! Owns when. Refuses to stop anything: what goes wrong here is a line in the log, and the next look sees the same.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    alerts::{self, Rules, Sender},
    domain::clock::Clock,
    store::SharedStore,
    telemetry::{chain, recorder::Recorder},
};

/// Looks for alerts, tells them, counts them.
pub struct Alarm {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub rules: Arc<Rules>,
    /// `None`: nobody listens but the log and the scrape.
    pub sender: Option<Arc<dyn Sender>>,
    pub recorder: Arc<Recorder>,
}

impl Alarm {
    /// One look, and one pass over the notices that are due.
    pub async fn once(&self) {
        match alerts::sweep(&self.store, &self.rules, &*self.clock, self.sender.is_some()).await {
            Ok(changes) => {
                for change in &changes {
                    self.recorder.alert_changed(&change.alert.row.rule_key, change.news.as_str());
                }
                self.recorder.swept(self.clock.now());
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "alerts could not be looked for; the next look tries again")
            }
        }
        let Some(sender) = &self.sender else { return };
        match alerts::deliver(&self.store, &**sender, &*self.clock).await {
            Ok(done) => self.recorder.notices(done.taken, done.failed),
            Err(error) => tracing::error!(error = %chain(&error), "alert notices could not be worked off"),
        }
    }

    /// Looks at once and then every so often, until `stop`.
    pub async fn run(self, every: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.once() => {}
                // What was claimed goes out again under the same id when the claim runs out.
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = self.clock.sleep(every) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

//! Taking away what is old, beside the runs: a walk over each kind, a few rows at a time, with pauses.
//!
//! Owns when and how much at once. Refuses to stop anything: what goes wrong here is a line in the log, and the next look goes on. Two
//! processes at once are harmless.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    domain::clock::Clock,
    store::{
        SharedStore, StoreError,
        retention::{Kind, Place, Step},
    },
    telemetry::chain,
};

/// Between two looks of the daemon.
pub const EVERY: Duration = Duration::from_secs(60 * 60);
/// Rows that one transaction looks at.
const BATCH: u32 = 500;
/// Between two transactions, so that pages come first.
const PAUSE: Duration = Duration::from_millis(50);
/// Transactions of one look at one kind; what is left comes with the next look.
const MOST_STEPS: u32 = 1_000;

/// How long each kind is kept; what is not named is kept for ever.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub keep: HashMap<Kind, Duration>,
}

/// What a look at a kind came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Taken {
    pub kind: Kind,
    pub table: &'static str,
    pub rows: u64,
    /// Every old row was looked at; `false`: more comes with the next look.
    pub whole: bool,
}

/// Walks over what is old.
pub struct Retention {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub rules: Rules,
}

impl Retention {
    /// One look at everything that has a rule; `dry` only counts. Goes on in each kind where the places say, and leaves there where it
    /// stopped. `bounded`: no more than what one look of the daemon may do.
    ///
    /// # Errors
    /// Those of the store; what was taken away until then stays away.
    pub async fn once(
        &self,
        places: &mut HashMap<Kind, Place>,
        dry: bool,
        bounded: bool,
        stop: &CancellationToken,
    ) -> Result<Vec<Taken>, StoreError> {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            let Some(keep) = self.rules.keep.get(&kind) else { continue };
            let mut taken = Taken { kind, table: kind.table(), rows: 0, whole: false };
            let mut left = if bounded { MOST_STEPS } else { u32::MAX };
            while !stop.is_cancelled() && left > 0 {
                left -= 1;
                let step = Step { kind, keep: *keep, after: places.remove(&kind), limit: BATCH, dry };
                let swept = self.store.sweep(&step).await?;
                taken.rows += swept.rows;
                let Some(place) = swept.place else {
                    taken.whole = true;
                    break;
                };
                places.insert(kind, place);
                if !dry {
                    self.clock.sleep(PAUSE).await;
                }
            }
            all.push(taken);
        }
        Ok(all)
    }

    /// Looks every so often, until `stop`; the first time after one pause, so that a start is not busy with it.
    pub async fn run(self, every: Duration, stop: CancellationToken) {
        let mut places = HashMap::new();
        loop {
            tokio::select! {
                () = self.clock.sleep(every) => {}
                () = stop.cancelled() => return,
            }
            match self.once(&mut places, false, true, &stop).await {
                Ok(all) => {
                    for taken in all.iter().filter(|taken| taken.rows > 0) {
                        tracing::info!("{}: {} old rows taken away", taken.table, taken.rows);
                    }
                }
                Err(error) => {
                    tracing::error!(error = %chain(&error), "old rows could not be taken away; the next look goes on");
                }
            }
        }
    }
}

//! An answer that is used again for a moment, and asked for by one at a time.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::domain::clock::Clock;

/// The last answer and when it was given, on the monotonic clock.
pub(super) struct Cached<T> {
    used_for: Duration,
    last: Mutex<Option<(Duration, T)>>,
}

impl<T: Clone> Cached<T> {
    pub(super) fn new(used_for: Duration) -> Self {
        Self { used_for, last: Mutex::new(None) }
    }

    /// The last answer while it is young, otherwise a new one. Others who ask meanwhile wait for it.
    pub(super) async fn get(&self, clock: &dyn Clock, ask: impl Future<Output = T>) -> T {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && clock.monotonic().saturating_sub(*at) < self.used_for
        {
            return answer.clone();
        }
        let answer = ask.await;
        *last = Some((clock.monotonic(), answer.clone()));
        answer
    }
}

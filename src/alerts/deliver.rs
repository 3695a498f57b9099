//! Notices on their way out: each is claimed by one of all who try, sent, and closed or put off.
//!
//! At least once, under an id that stays the same. Refuses to hold a run up: one pass ends at the first notice that nobody takes, and
//! the next sweep goes on.

use std::time::Duration;

use async_trait::async_trait;

use super::notice::{Notice, SendFault};
use crate::{
    domain::clock::{Clock, Timestamp},
    store::{SharedStore, StoreError, alerts::Alert},
};

/// Notices of one pass; more wait for the next.
const AT_ONCE: u32 = 50;
/// How long a claimed notice is left to who claimed it: longer than a sender may take.
const CLAIMED_FOR: Duration = Duration::from_secs(120);
/// First wait after a try in vain; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// A notice that nobody took for so long is given up: the alert itself still stands, and its next reminder is a new one.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3 * 86_400);

/// Port: carries one notice to whoever listens.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Sends once, within a minute and a half.
    ///
    /// # Errors
    /// [`SendFault`]: nobody took it.
    async fn send(&self, notice: &Notice) -> Result<(), SendFault>;
}

/// What came of a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    pub taken: u64,
    pub failed: u64,
}

/// Sends what is due.
///
/// # Errors
/// Of the store; a notice that was sent and could not be closed goes out again, under the same id.
pub async fn deliver(store: &SharedStore, sender: &dyn Sender, clock: &dyn Clock) -> Result<Delivered, StoreError> {
    let mut done = Delivered::default();
    for alert in store.due_notices(clock.now(), AT_ONCE).await? {
        let Some(notice) = Notice::of(&alert) else { continue };
        if !store.claim_notice(&alert, clock.now().plus(CLAIMED_FOR)).await? {
            continue;
        }
        match sender.send(&notice).await {
            Ok(()) => {
                store.notice_told(&alert, clock.now()).await?;
                done.taken += 1;
            }
            Err(fault) => {
                let again_at = again_at(&alert, clock.now());
                store.notice_failed(&alert, again_at).await?;
                let failures = alert.row.notify_failures + 1;
                let (rule, subject) = (&alert.row.rule_key, &alert.row.subject_key);
                match again_at {
                    Some(at) => {
                        tracing::warn!(%rule, %subject, failures, again_at = %at, "alert webhook: {fault}; tried again");
                    }
                    None => tracing::error!(%rule, %subject, failures, "alert webhook: {fault}; given up"),
                }
                done.failed += 1;
                break;
            }
        }
    }
    Ok(done)
}

/// When a notice that was not taken is tried again; `None`: no more.
fn again_at(alert: &Alert, now: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(alert.row.notify_failures.clamp(0, 16)).unwrap_or_default();
    let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_WAIT);
    let waited = alert.row.told_at.map_or(Duration::ZERO, |told_at| now.since(told_at));
    (waited < GIVEN_UP_AFTER).then(|| now.plus(wait))
}

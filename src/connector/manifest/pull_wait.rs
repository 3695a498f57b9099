//! What a pull waits for before its first request.
//!
//! Owns the one wait that no provider asks for. Limits and retries are `http`'s.

use super::{Manner, plan::Strategy, pull::Pull};

/// In microseconds.
const SECOND: i64 = 1_000_000;

impl Pull<'_> {
    /// Waits until the second is over in which the pull's time ends, where pages are found by counting. Many providers write whole
    /// seconds: what is edited while it is read would keep its place in the window with the last of them, and go to the listing's end;
    /// what lies behind moves up, and no count falls. One second later it leaves the window.
    pub(super) async fn let_the_second_pass(&self) {
        let counted = self
            .plan
            .paginator
            .as_ref()
            .is_some_and(|paginator| matches!(paginator.strategy, Strategy::Offset { .. } | Strategy::Page { .. }));
        let (Some(plan), Some(cut), true, Manner::Daemon) =
            (&self.plan.cursor, &self.cut, counted, self.connector.manner)
        else {
            return;
        };
        if plan.counts || !plan.format.tells_seconds() {
            return;
        }
        let clock = self.connector.gate.clock();
        let over = cut.upto.micros().div_euclid(SECOND).saturating_add(1).saturating_mul(SECOND);
        let left = over.saturating_sub(clock.now().micros());
        if let Some(left) = u64::try_from(left).ok().filter(|left| (1..=SECOND.unsigned_abs()).contains(left)) {
            clock.sleep(std::time::Duration::from_micros(left)).await;
        }
    }
}

//! How many bad records a run may have before it stops (P12).
//!
//! Owns the arithmetic of the budget. A count bounds the damage of a long run; a share notices a field map that fits nothing.

use crate::domain::counts::Counts;

/// Bounds on failed records of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorBudget {
    /// More failed records than this stop the run.
    pub count: i64,
    /// A larger share of failed among seen stops the run, once `min_seen` were seen.
    pub share: f64,
    pub min_seen: i64,
}

impl ErrorBudget {
    pub fn is_spent(&self, counts: &Counts) -> bool {
        if counts.failed > self.count {
            return true;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of counts far below 2^52")]
        let share = counts.failed as f64 / counts.seen.max(1) as f64;
        counts.seen >= self.min_seen && counts.failed > 0 && share > self.share
    }

    /// How many of the records that went through may still turn out as failed without spending the budget.
    pub fn failures_left(&self, counts: &Counts) -> i64 {
        let spent = |more: i64| self.is_spent(&Counts { failed: counts.failed + more, ..*counts });
        if spent(0) {
            return 0;
        }
        // Spending never falls with more failures, so halving finds the last one that passes.
        let (mut fits, mut beyond) = (0, counts.created + counts.updated + 1);
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            *(if spent(middle) { &mut beyond } else { &mut fits }) = middle;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bad_in_a_thousand_pass_and_three_hundred_do_not() {
        let budget = ErrorBudget { count: 1000, share: 0.1, min_seen: 100 };
        let counts = |seen, failed| Counts { seen, failed, ..Counts::default() };
        for (seen, failed, spent) in [
            (1000, 3, false),
            (1000, 100, false),
            (1000, 101, true),
            (1000, 300, true),
            // Too little seen to judge by share.
            (99, 99, false),
            (100, 100, true),
            (1_000_000, 1000, false),
            (1_000_000, 1001, true),
            (0, 0, false),
        ] {
            assert_eq!(budget.is_spent(&counts(seen, failed)), spent, "{failed} of {seen}");
        }
    }

    #[test]
    fn what_is_left_of_a_budget_is_the_last_number_that_does_not_spend_it() {
        let budget = ErrorBudget { count: 1000, share: 0.1, min_seen: 100 };
        for (seen, failed, left) in [(1000, 3, 97), (1000, 100, 0), (1000, 300, 0), (99, 9, 90), (20_000, 990, 10)] {
            let counts = Counts { seen, failed, created: seen - failed, ..Counts::default() };
            assert_eq!(budget.failures_left(&counts), left, "{failed} of {seen}");
        }
    }
}

//! Where a listing cannot be read as it is: it begins anew, with smaller pages, or in halves.
//!
//! Owns the manifest's rules for that and the counters that keep a detour from going on for ever; they stand in the place, so that
//! a later page knows them. Refuses to ask: `pull_detours` does.

use serde::{Deserialize, Serialize};

use super::duration::Duration;
use crate::connector::{ConnectorError, ErrorKind};

/// A window that is refused even after so many halvings is not halved again.
const MOST_HALVINGS: u32 = 10;

/// What a retriever says of detours.
#[derive(Default)]
pub(super) struct DetourPlan {
    pub reset: Option<ResetPlan>,
    pub smaller: Option<SmallerPlan>,
    pub split: Option<SplitPlan>,
}

/// `pagination_reset`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResetPlan {
    /// The listing goes on from the latest cursor value, else it begins where it began.
    pub by_cursor: bool,
    /// It begins anew after so many records.
    pub limit: Option<u64>,
}

/// `page_size_reduction`.
pub(super) struct SmallerPlan {
    pub factor: f64,
    pub least: u64,
    /// Reductions in a row.
    pub most_in_a_row: u32,
    pub pause_seconds: f64,
    pub retries_at_least: u32,
    /// A page that was read gives the configured size back.
    pub restored: bool,
    pub words: Option<String>,
}

/// `request_window_splitting`.
pub(super) struct SplitPlan {
    pub least: Option<Duration>,
    pub words: Option<String>,
}

/// What a place remembers of detours in its slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Detour {
    /// Records since the listing last began.
    pub records: u64,
    /// The latest cursor value in the slice, in microseconds.
    pub latest: Option<i64>,
    /// Where the slice began, if it begins later now.
    pub began: Option<i64>,
    /// Times that it began anew where it had begun.
    same: u32,
    /// Why it cannot go on, which is told when the page before is safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The page size that is configured, while a smaller one is asked for.
    pub configured: Option<u64>,
    reductions: u32,
    at_least: u32,
    /// Halves that are still to be read, the next one last, each with the times it was halved.
    pub pending: Vec<(i64, i64, u32)>,
    halvings: u32,
}

impl Detour {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The listing begins anew, at the same beginning or at another; it is stuck where that was tried before.
    pub fn begin_anew(&mut self, at_same: bool, by_cursor: bool) {
        self.records = 0;
        self.same = if at_same { self.same + 1 } else { 0 };
        if self.same >= if by_cursor { 1 } else { 2 } {
            let message = "the listing has to begin anew where it had begun, and cannot be read to its end";
            self.failure = Some(message.to_owned());
        }
    }

    /// Nothing, or why the listing cannot go on.
    ///
    /// # Errors
    /// [`ErrorKind::Stuck`]
    pub fn goes_on(&self) -> Result<(), ConnectorError> {
        self.failure.as_ref().map_or(Ok(()), |message| Err(ConnectorError::new(ErrorKind::Stuck, message.clone())))
    }

    /// The size of a smaller page, and how many seconds to wait before it is asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when no smaller page helps, [`ErrorKind::Settings`] when there is none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "page sizes are small and not negative"
    )]
    pub fn smaller(&mut self, plan: &SmallerPlan, size: Option<u64>) -> Result<(u64, f64), ConnectorError> {
        let Some(size) = size else {
            let message = "a smaller page is to be asked for, but the paginator names no page size";
            return Err(ConnectorError::new(ErrorKind::Settings, message));
        };
        let gave_up = |message: String| {
            let words = plan.words.as_deref().map(str::trim).filter(|words| !words.is_empty());
            let message = words.map_or(message.clone(), |words| format!("{message} {words}"));
            Err(ConnectorError::new(ErrorKind::Unavailable, message))
        };
        let reduced = plan.least.max((size as f64 / plan.factor).floor() as u64);
        if reduced >= size {
            if self.at_least < plan.retries_at_least {
                self.at_least += 1;
                return Ok((size, plan.pause_seconds * f64::from(self.at_least)));
            }
            if self.configured.is_none() && plan.least > 1 {
                let message = format!("the page size of {size} is not above the least of {}", plan.least);
                return Err(ConnectorError::new(ErrorKind::Settings, message));
            }
            return gave_up(format!("pages are refused even with {size} records, the fewest that may be asked for"));
        }
        self.reductions += 1;
        if self.reductions > plan.most_in_a_row {
            return gave_up(format!("pages are refused in every size, down to {size} records"));
        }
        self.configured.get_or_insert(size);
        Ok((reduced, plan.pause_seconds * f64::from(self.reductions)))
    }

    /// A page was read: its size, for the next one.
    pub fn page_was_read(&mut self, plan: Option<&SmallerPlan>, size: Option<u64>) -> Option<u64> {
        (self.reductions, self.at_least) = (0, 0);
        match (plan, self.configured) {
            (Some(plan), Some(configured)) if plan.restored => {
                self.configured = None;
                Some(configured)
            }
            _ => size,
        }
    }

    /// The first half of a window in microseconds; the second is kept for later.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the window cannot be halved any more.
    pub fn halve(
        &mut self,
        plan: &SplitPlan,
        window: (i64, i64),
        granularity: Duration,
    ) -> Result<(i64, i64), ConnectorError> {
        let gave_up = |message: &str| {
            let words = plan.words.as_deref().map(str::trim).filter(|words| !words.is_empty());
            let message = words.map_or(message.to_owned(), |words| format!("{message} {words}"));
            ConnectorError::new(ErrorKind::Unavailable, message)
        };
        if self.halvings >= MOST_HALVINGS {
            return Err(gave_up("the provider refuses the window even after many halvings"));
        }
        let (first, second) = halves(window, granularity, plan.least)
            .ok_or_else(|| gave_up("the provider refuses the smallest window that the cursor allows"))?;
        self.pending.push((second.0, second.1, self.halvings + 1));
        let (halvings, pending) = (self.halvings + 1, std::mem::take(&mut self.pending));
        *self = Self { halvings, pending, ..Self::default() };
        Ok(first)
    }

    /// The next half, if one is left.
    pub fn next_half(&mut self) -> Option<(i64, i64)> {
        let (start, end, halvings) = self.pending.pop()?;
        *self = Self { halvings, pending: std::mem::take(&mut self.pending), ..Self::default() };
        Some((start, end))
    }
}

fn halves(window: (i64, i64), granularity: Duration, least: Option<Duration>) -> Option<((i64, i64), (i64, i64))> {
    let (start, end) = window;
    let granule = granularity.micros().filter(|granule| *granule > 0)?;
    if start >= end || least.and_then(Duration::micros).is_some_and(|least| end - start <= least) {
        return None;
    }
    let units = (end - start) / granule + 1;
    if units <= 1 {
        return None;
    }
    let first_end = start + (units / 2) * granule - granule;
    let second_start = first_end + granule;
    (start <= first_end && second_start <= end).then_some(((start, first_end), (second_start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn windows_are_halved_down_to_a_granule_without_gap_or_overlap() {
        let second = Duration::parse("PT1S").unwrap();
        for (window, least, expected) in [
            ((0, 9 * SECOND), None, Some(((0, 4 * SECOND), (5 * SECOND, 9 * SECOND)))),
            ((0, 2 * SECOND), None, Some(((0, 0), (SECOND, 2 * SECOND)))),
            ((0, SECOND), None, Some(((0, 0), (SECOND, SECOND)))),
            ((0, 0), None, None),
            ((0, 9 * SECOND), Some("PT9S"), None),
            ((0, 9 * SECOND), Some("PT8S"), Some(((0, 4 * SECOND), (5 * SECOND, 9 * SECOND)))),
        ] {
            assert_eq!(halves(window, second, least.and_then(Duration::parse)), expected, "{window:?}");
        }
        assert_eq!(halves((0, SECOND), Duration::default(), None), None);
    }

    #[test]
    fn pages_shrink_as_planned_and_the_run_of_failures_ends() {
        let plan = |restored, retries_at_least| SmallerPlan {
            factor: 2.0,
            least: 2,
            most_in_a_row: 2,
            pause_seconds: 0.5,
            retries_at_least,
            restored,
            words: Some("call us".into()),
        };
        let mut detour = Detour::default();
        assert_eq!(detour.smaller(&plan(false, 0), Some(9)).unwrap(), (4, 0.5));
        assert_eq!(detour.smaller(&plan(false, 0), Some(4)).unwrap(), (2, 1.0));
        let error = detour.smaller(&plan(false, 0), Some(2)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.ends_with("call us"), "{}", error.message);
        assert_eq!(detour.page_was_read(Some(&plan(false, 0)), Some(2)), Some(2));
        assert_eq!(detour.smaller(&plan(true, 1), Some(2)).unwrap(), (2, 0.5));
        assert_eq!(detour.page_was_read(Some(&plan(true, 1)), Some(2)), Some(9));
        assert_eq!(Detour::default().smaller(&plan(true, 0), Some(2)).unwrap_err().kind, ErrorKind::Settings);
    }
}

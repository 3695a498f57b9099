//! The fault script: what goes wrong, on which request.
//!
//! Owns the steps and their counting. Refuses chance: a step strikes on a number, so that a test that failed fails again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::locked;

/// Holds an answer back until a test opens it. Clones share the gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Lets everything through from now on.
    pub fn open(&self) {
        self.0.close();
    }

    pub(super) async fn passed(&self) {
        // No permit is ever issued, so the only way out is the closing of the semaphore, and that is the point.
        drop(self.0.acquire().await);
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum FaultKind {
    /// 429, with `Retry-After` in seconds when given.
    TooManyRequests {
        retry_after: Option<u64>,
    },
    /// 500 in the provider's shape.
    ServerError,
    Unauthorized,
    Forbidden,
    /// 400 in the provider's shape.
    Rejected,
    /// 200 with an HTML page.
    NotJson,
    /// 200 with the provider's error body.
    ErrorBody,
    /// The head and half of the body, then the connection ends.
    CutBody,
    /// A TCP reset instead of an answer.
    Reset,
    /// The answer comes this much later.
    Slow(Duration),
    /// The answer comes when the gate is opened.
    Hold(Gate),
    /// What was asked is done, and the answer comes when the gate is opened.
    Late(Gate),
    /// The records of the page before, with this page's own `paging`: a listing that shifted under the reader.
    RepeatedPage,
    /// The page before, unchanged, with its `paging`: a provider that will never end.
    StuckPage,
    /// No records, but a `next` that leads to the page that was asked for.
    EmptyPageWithNext,
}

impl FaultKind {
    /// The name in the log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::ServerError => "server_error",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Rejected => "rejected",
            Self::NotJson => "not_json",
            Self::ErrorBody => "error_body",
            Self::CutBody => "cut_body",
            Self::Reset => "reset",
            Self::Slow(_) => "slow",
            Self::Hold(_) => "hold",
            Self::Late(_) => "late",
            Self::RepeatedPage => "repeated_page",
            Self::StuckPage => "stuck_page",
            Self::EmptyPageWithNext => "empty_page_with_next",
        }
    }
}

/// One step of the script: strikes on the n-th fitting request after it was added, and on the following `times - 1`.
#[derive(Debug, Clone)]
pub struct Fault {
    kind: FaultKind,
    on: u64,
    times: u64,
    path: Option<String>,
    account: Option<String>,
}

impl Fault {
    /// Strikes once, on the `request`-th request (counted from 1) that fits.
    pub fn on(request: u64, kind: FaultKind) -> Self {
        Self { kind, on: request.max(1), times: 1, path: None, account: None }
    }

    /// Strikes on every request that fits.
    pub fn always(kind: FaultKind) -> Self {
        Self::on(1, kind).times(u64::MAX)
    }

    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Only requests whose path contains this.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Only requests with this account's token, by portal id.
    #[must_use]
    pub fn account(mut self, portal_id: &str) -> Self {
        self.account = Some(portal_id.to_owned());
        self
    }

    fn fits(&self, account: Option<&str>, path: &str) -> bool {
        self.path.as_deref().is_none_or(|part| path.contains(part))
            && self.account.as_deref().is_none_or(|id| account == Some(id))
    }
}

/// The steps that are waiting, each with the number of fitting requests it has seen.
#[derive(Default)]
pub(super) struct Script(Mutex<Vec<(Fault, u64)>>);

impl Script {
    pub(super) fn add(&self, fault: Fault) {
        locked(&self.0).push((fault, 0));
    }

    pub(super) fn clear(&self) {
        locked(&self.0).clear();
    }

    /// Counts the request in every step; gives the first that strikes.
    pub(super) fn strike(&self, account: Option<&str>, path: &str) -> Option<FaultKind> {
        let mut steps = locked(&self.0);
        let mut struck = None;
        for (fault, seen) in steps.iter_mut() {
            if fault.fits(account, path) {
                *seen += 1;
                if struck.is_none() && *seen >= fault.on && *seen - fault.on < fault.times {
                    struck = Some(fault.kind.clone());
                }
            }
        }
        steps.retain(|(fault, seen)| *seen < fault.on || *seen - fault.on < fault.times.saturating_sub(1));
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_strikes_on_its_number_and_only_where_it_fits() {
        let script = Script::default();
        script.add(Fault::on(2, FaultKind::ServerError).times(2).path("/search").account("1"));
        let asked = [
            (Some("1"), "/contacts/search"),
            (Some("2"), "/contacts/search"),
            (Some("1"), "/contacts"),
            (Some("1"), "/contacts/search"),
            (Some("1"), "/deals/search"),
            (Some("1"), "/deals/search"),
        ];
        let struck: Vec<_> = asked.iter().map(|(account, path)| script.strike(*account, path).is_some()).collect();
        assert_eq!(struck, [false, false, false, true, true, false]);
    }
}

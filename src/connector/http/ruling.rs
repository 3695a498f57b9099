//! What a caller's own rules say of an answer, before the gate's rules are asked.
//!
//! Owns the vocabulary between a manifest's error handler and the request loop. Refuses to wait or to send: it is told what was
//! seen and says what is to be done. Pace, budgets and the network policy stay the gate's.

use std::{collections::BTreeMap, time::Duration};

use super::{Answer, CallBudget, answer, send::Failure};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::clock::Timestamp,
};

/// What came of one attempt.
#[derive(Clone, Copy)]
pub enum Seen<'a> {
    /// An answer with any status but a redirect.
    Answer { status: u16, headers: &'a BTreeMap<String, String>, body: &'a [u8] },
    /// No answer: not reached, broken off, timed out.
    Trouble,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A good answer, whatever its status.
    Accept,
    /// The answer counts as one without records.
    Ignore,
    /// No further attempt.
    Fail,
    Retry,
    /// As `Retry`, and everybody who asks for this account waits.
    RateLimited,
    /// The listing is to begin anew.
    ResetPagination,
    /// The same page is to be asked for with fewer records.
    SmallerPage,
    /// The query is to be asked in two halves.
    SplitWindow,
    /// The credential is to be read anew first.
    RefreshToken,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    pub action: Action,
    /// How long to wait before the next attempt; `None`: the gate's own pauses.
    pub wait: Option<Duration>,
    /// The manifest's own words for an operator, already rendered. Shown scrubbed.
    pub message: Option<String>,
    /// The error is transient, or somebody has to change something; `None`: the status says it.
    pub of_config: Option<bool>,
}

impl Ruling {
    pub fn of(action: Action) -> Self {
        Self { action, wait: None, message: None, of_config: None }
    }
}

/// A caller's rules for one kind of request.
pub trait Judge: Send + Sync {
    /// What the rules say; `None` leaves it to the gate. `attempt` counts from 1.
    fn rule(&self, seen: Seen<'_>, attempt: u32, now: Timestamp) -> Option<Ruling>;

    /// The budget that each attempt takes a call from.
    fn budget(&self) -> Option<&dyn CallBudget> {
        None
    }

    /// Attempts after the first, at most; `None`: the gate's own number.
    fn max_retries(&self) -> Option<u32> {
        None
    }

    /// Longest time over all attempts and the waits between them; `None`: the gate's own.
    fn max_time(&self) -> Option<Duration> {
        None
    }
}

/// What a good answer was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TakenFor {
    #[default]
    Answer,
    /// Nothing to read; no error either.
    Nothing,
    /// The listing begins anew.
    Reset,
    /// The page is too big.
    Smaller,
    /// The query is too wide.
    Split,
}

/// What the rules make of a request without an answer.
pub(super) fn ruled_trouble(ruling: Ruling, error: ConnectorError) -> Failure {
    match ruling.action {
        Action::Fail => Failure::Final(error),
        Action::RateLimited => Failure::Limited(error, ruling.wait),
        Action::Accept
        | Action::Ignore
        | Action::Retry
        | Action::ResetPagination
        | Action::SmallerPage
        | Action::SplitWindow
        | Action::RefreshToken => Failure::Again { error, wait: ruling.wait, fresh_secret: false },
    }
}

/// The error of an answer that the rules refuse: the status's own, with the manifest's words.
pub(super) fn refused(answer: &Answer, ruling: &Ruling, hold_back: Option<Duration>) -> ConnectorError {
    let wait = ruling.wait.max(hold_back);
    let mut error = answer::refusal(answer.status, &answer.asked, &answer.body, wait);
    if answer.status < 400 {
        error.message = format!("{} answered {}, which the manifest refuses", answer.asked, answer.status);
    }
    match ruling.action {
        Action::RateLimited => error.kind = ErrorKind::RateLimited { retry_after: wait },
        Action::Retry | Action::RefreshToken => error.kind = ErrorKind::Unavailable,
        Action::Fail if ruling.of_config == Some(false) => error.kind = ErrorKind::Unavailable,
        Action::Fail
        | Action::Accept
        | Action::Ignore
        | Action::ResetPagination
        | Action::SmallerPage
        | Action::SplitWindow => {}
    }
    if let Some(words) = &ruling.message {
        error.message = format!("{}: {}", error.message, crate::telemetry::redact::scrub(words));
    }
    error
}

//! The one table from how a run ended to what follows: status, error code, remedy, when next.
//!
//! Owns every retry decision between runs. (Retries within a request are `connector::http`'s; there is no third loop.)
//! Each match is exhaustive: a new class of error does not compile until somebody has decided about it.

use std::time::Duration;

use crate::{
    connector::ErrorKind,
    domain::{
        clock::Timestamp,
        status::{ConnectionStatus, RunStatus},
    },
    pipeline::{Ending, StopReason},
    store::StoreError,
};

/// First wait after a failure that time may heal; doubled with each further failure.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// Longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// When the job is due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At its schedule's next time.
    Scheduled,
    /// At once: there is more to do and nothing is wrong.
    AtOnce,
    /// After a growing wait, or at the schedule's next time if that is sooner ([`retry_at`]). Never sooner than `at_least`.
    BackOff { at_least: Duration },
}

/// What follows from an ending.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    pub status: RunStatus,
    /// `None` for a run that went well.
    pub code: Option<&'static str>,
    /// What an operator can do.
    pub remedy: Option<String>,
    pub next: Next,
    /// `Some(true)` counts as one more failure in a row, `Some(false)` ends the row, `None` says nothing about the provider.
    pub failure: Option<bool>,
    pub connection: Option<ConnectionStatus>,
    /// The run can no longer be finished by us: whoever takes over closes it.
    pub lost: bool,
}

/// Decides. `progressed` says whether at least one page was committed.
pub fn decide(ending: &Ending, progressed: bool) -> Decision {
    match ending {
        Ending::Complete => Decision {
            status: RunStatus::Succeeded,
            code: None,
            remedy: None,
            next: Next::Scheduled,
            failure: Some(false),
            connection: None,
            lost: false,
        },
        Ending::RunBudget => interrupted(
            RunStatus::Partial,
            "run_budget",
            "nothing to do: the next run goes on from here (pipeline.max_pages_per_run, pipeline.max_run_seconds)",
            Next::AtOnce,
        ),
        Ending::ErrorBudget => broken(
            RunStatus::Failed,
            "error_budget_exceeded",
            "see: tidegate errors list --group; mend the field map or the source, then run again: the cursor has not moved past them",
            Next::Scheduled,
        ),
        Ending::Stopped(StopReason::Shutdown) => interrupted(
            partial_or(RunStatus::Cancelled, progressed),
            "shutdown",
            "nothing to do: the job is due again at once",
            Next::AtOnce,
        ),
        Ending::Stopped(StopReason::Paused) => interrupted(
            partial_or(RunStatus::Cancelled, progressed),
            "paused",
            "tidegate connection resume KEY goes on from here",
            Next::Scheduled,
        ),
        Ending::Stopped(StopReason::LeaseLost) => lost("lease_lost", "nothing to do: whoever took over goes on"),
        Ending::Connector(error) => connector(&error.kind, progressed),
        Ending::Store(error) => store(error, progressed),
    }
}

/// The remedy of a cursor that does not fit; [`named`] fills in whose it is.
const CURSOR_UNFIT: &str = "forget the cursor, and the next run reads everything: tidegate jobs reset-cursor --connection KEY --stream STREAM --reason WHY";

/// A remedy with the job that it is about in its command.
pub fn named(remedy: &str, connection: &str, stream: &str) -> String {
    remedy.replace("--connection KEY --stream STREAM", &format!("--connection {connection} --stream {stream}"))
}

fn connector(kind: &ErrorKind, progressed: bool) -> Decision {
    let status = partial_or(RunStatus::Failed, progressed);
    let soon = Next::BackOff { at_least: Duration::ZERO };
    match kind {
        ErrorKind::Unauthorized => Decision {
            connection: Some(ConnectionStatus::NeedsAuth),
            ..broken(
                status,
                kind.code(),
                "renew the credential, then: tidegate connection check KEY; tidegate connection resume KEY",
                Next::Scheduled,
            )
        },
        ErrorKind::Forbidden => broken(
            status,
            kind.code(),
            "grant the scopes that the connector's README names, or correct what `config` names (an account, a folder, a location): it may not exist, or \
             not be this credential's; then: tidegate connection check KEY",
            Next::Scheduled,
        ),
        ErrorKind::RateLimited { retry_after } => broken(
            status,
            kind.code(),
            "nothing to do: the job goes on when the provider's limit allows it; lower http.requests_per_second if it repeats",
            Next::BackOff { at_least: retry_after.unwrap_or_default() },
        ),
        ErrorKind::Unavailable => broken(
            status,
            kind.code(),
            "nothing to do at first: it is tried again with growing waits; if it lasts, check base_url and the provider's status page",
            soon,
        ),
        ErrorKind::Rejected => broken(
            status,
            kind.code(),
            "the provider refuses the question itself: check the connection's config and the connector, then: tidegate connection preview KEY",
            Next::Scheduled,
        ),
        ErrorKind::Decode => broken(
            status,
            kind.code(),
            "the page (or file) is not what the connector expects: mend the file or check base_url, then: tidegate connection preview KEY",
            soon,
        ),
        ErrorKind::PositionExpired => {
            broken(status, kind.code(), "nothing to do: the next run begins the listing again", soon)
        }
        ErrorKind::Settings => broken(
            status,
            kind.code(),
            "mend what the message names in the declaration or the connector folder, then: tidegate apply -f FILE",
            Next::Scheduled,
        ),
        ErrorKind::CursorUnfit => broken(status, kind.code(), CURSOR_UNFIT, Next::Scheduled),
        ErrorKind::Policy => broken(
            status,
            kind.code(),
            "the message names the address; if a provider sent us there, treat it as an incident. Meant: http.allow_private, or base_url",
            Next::Scheduled,
        ),
        ErrorKind::Vault => broken(
            status,
            kind.code(),
            "give the key back (vault.key_file, or the key service) or store the secret again: tidegate credential set KEY --connection CONNECTION; then: tidegate connection check CONNECTION",
            soon,
        ),
        ErrorKind::Stuck => broken(
            status,
            kind.code(),
            "the provider repeats itself instead of paging on: check the connector's paginator, then: tidegate connection preview KEY",
            Next::Scheduled,
        ),
        ErrorKind::AccountMismatch => Decision {
            connection: Some(ConnectionStatus::Paused),
            ..broken(
                status,
                kind.code(),
                "use the credential of the declared account, or correct provider_account_id and apply again; then: tidegate connection check KEY; tidegate connection resume KEY",
                Next::Scheduled,
            )
        },
    }
}

fn store(error: &StoreError, progressed: bool) -> Decision {
    let status = partial_or(RunStatus::Failed, progressed);
    match error {
        StoreError::Fenced { .. } => lost("lease_lost", "nothing to do: whoever took over goes on"),
        StoreError::Unavailable(_) => lost(
            "database_unavailable",
            "bring the database back; the run is closed as abandoned and the job goes on by itself",
        ),
        StoreError::NoSpace { .. } => broken(
            status,
            "disk_full",
            "free space where the database lives; the job goes on from its last committed page",
            Next::BackOff { at_least: Duration::ZERO },
        ),
        StoreError::CursorBack { .. } => broken(
            status,
            "cursor_would_move_back",
            "the connector gave a cursor before the stored one: report it; tidegate jobs reset-cursor is the explicit way back",
            Next::Scheduled,
        ),
        StoreError::Schema(_) => {
            broken(status, "schema_mismatch", "tidegate migrate --check, then tidegate migrate", Next::Scheduled)
        }
        StoreError::Denied { .. } => broken(
            status,
            "rights_missing",
            "an administrator runs what `tidegate grants` prints; the job goes on from its last committed page",
            Next::BackOff { at_least: Duration::ZERO },
        ),
        StoreError::Inconsistent { .. }
        | StoreError::Constraint { .. }
        | StoreError::Settings(_)
        | StoreError::Database { .. } => broken(
            status,
            "write_refused",
            "see the internal message: the database refused the write; the job goes on from its last committed page",
            Next::BackOff { at_least: Duration::ZERO },
        ),
    }
}

const fn partial_or(otherwise: RunStatus, progressed: bool) -> RunStatus {
    if progressed { RunStatus::Partial } else { otherwise }
}

fn broken(status: RunStatus, code: &'static str, remedy: &str, next: Next) -> Decision {
    Decision {
        status,
        code: Some(code),
        remedy: Some(remedy.to_owned()),
        next,
        failure: Some(true),
        connection: None,
        lost: false,
    }
}

fn interrupted(status: RunStatus, code: &'static str, remedy: &str, next: Next) -> Decision {
    Decision { failure: None, ..broken(status, code, remedy, next) }
}

fn lost(code: &'static str, remedy: &str) -> Decision {
    Decision { lost: true, failure: None, ..broken(RunStatus::Abandoned, code, remedy, Next::AtOnce) }
}

/// When a job that failed is tried again: after [`back_off`], or in its next slot where that comes first. Never sooner than the
/// first wait, since a slot that happens to be near, or an interval of seconds, would make a struggling provider struggle more.
pub fn retry_at(
    now: Timestamp,
    scheduled: Option<Timestamp>,
    failures: i64,
    at_least: Duration,
    spread: f64,
) -> Timestamp {
    let wait = now.plus(back_off(failures, at_least, spread));
    let soonest = now.plus(at_least.max(FIRST_WAIT));
    scheduled.map_or(wait, |slot| slot.max(soonest).min(wait))
}

/// When a stream whose deliveries get lost is polled next: half-way to its slot, not within a minute, never later than the slot.
pub fn sooner(now: Timestamp, slot: Timestamp) -> Timestamp {
    now.plus((slot.since(now) / 2).max(FIRST_WAIT)).min(slot)
}

/// How long to wait after `failures` failures in a row: 1, 2, 4 … minutes, an hour at most, never less than `at_least`.
/// `spread` (0 to 1) makes it longer by that share, so that jobs that failed together do not come back together.
pub fn back_off(failures: i64, at_least: Duration, spread: f64) -> Duration {
    let doublings = u32::try_from(failures.clamp(0, 16)).unwrap_or_default();
    let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_WAIT).max(at_least);
    wait + wait.mul_f64(spread.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::ConnectorError;

    fn ending(kind: ErrorKind) -> Ending {
        Ending::Connector(ConnectorError::new(kind, "x"))
    }

    #[test]
    fn what_time_cannot_heal_waits_for_its_schedule_and_what_it_can_backs_off() {
        for (kind, backs_off) in [
            (ErrorKind::Unauthorized, false),
            (ErrorKind::Forbidden, false),
            (ErrorKind::RateLimited { retry_after: None }, true),
            (ErrorKind::Unavailable, true),
            (ErrorKind::Rejected, false),
            (ErrorKind::Decode, true),
            (ErrorKind::PositionExpired, true),
            (ErrorKind::Settings, false),
            (ErrorKind::CursorUnfit, false),
            (ErrorKind::Policy, false),
            (ErrorKind::Stuck, false),
            (ErrorKind::AccountMismatch, false),
        ] {
            let decision = decide(&ending(kind.clone()), false);
            assert_eq!(matches!(decision.next, Next::BackOff { .. }), backs_off, "{kind:?}");
            assert_eq!(decision.status, RunStatus::Failed, "{kind:?}");
            assert!(decision.remedy.is_some_and(|r| !r.is_empty()), "{kind:?}");
            assert_eq!(decide(&ending(kind), true).status, RunStatus::Partial);
        }
    }

    #[test]
    fn only_a_refused_credential_makes_a_connection_need_auth() {
        assert_eq!(decide(&ending(ErrorKind::Unauthorized), false).connection, Some(ConnectionStatus::NeedsAuth));
        let forbidden = decide(&ending(ErrorKind::Forbidden), false);
        assert_eq!(forbidden.connection, None);
        // Some providers answer 403 for what is not there, so that nobody learns what is.
        assert!(forbidden.remedy.is_some_and(|text| text.contains("scopes") && text.contains("may not exist")));
    }

    #[test]
    fn p15_a_credential_of_another_account_pauses_the_connection() {
        let unfit = decide(&ending(ErrorKind::CursorUnfit), false).remedy.unwrap();
        let command = "tidegate jobs reset-cursor --connection acme --stream leads --reason ";
        assert!(named(&unfit, "acme", "leads").contains(command), "{unfit}");
        let decision = decide(&ending(ErrorKind::AccountMismatch), false);
        assert_eq!((decision.connection, decision.code), (Some(ConnectionStatus::Paused), Some("account_mismatch")));
    }

    #[test]
    fn a_lost_lease_is_never_finished_by_us() {
        assert!(decide(&Ending::Stopped(StopReason::LeaseLost), true).lost);
        assert!(decide(&Ending::Store(StoreError::Fenced { job: 1 }), true).lost);
        assert!(!decide(&Ending::Stopped(StopReason::Shutdown), true).lost);
    }

    #[test]
    fn waits_grow_to_an_hour_and_honour_the_providers_own() {
        assert_eq!(back_off(0, Duration::ZERO, 0.0), Duration::from_secs(60));
        assert_eq!(back_off(3, Duration::ZERO, 0.0), Duration::from_secs(480));
        assert_eq!(back_off(1000, Duration::ZERO, 0.0), Duration::from_secs(3600));
        assert_eq!(back_off(0, Duration::from_secs(7200), 0.0), Duration::from_secs(7200));
        assert_eq!(back_off(0, Duration::ZERO, 0.1), Duration::from_secs(66));
    }

    #[test]
    fn a_stream_that_loses_deliveries_is_polled_at_half_its_interval_and_not_within_a_minute() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (slot, next) in [(900, 450), (120, 60), (90, 60), (60, 60), (30, 30), (0, 0)] {
            assert_eq!(sooner(now, now.plus(Duration::from_secs(slot))).since(now).as_secs(), next, "{slot}");
        }
    }

    #[test]
    fn a_failed_job_is_tried_in_its_next_slot_but_never_sooner_than_the_first_wait() {
        let now: Timestamp = "2026-03-01T11:59:30Z".parse().unwrap();
        let at = |scheduled: Option<u64>, failures, at_least| {
            let slot = scheduled.map(|s| now.plus(Duration::from_secs(s)));
            retry_at(now, slot, failures, Duration::from_secs(at_least), 0.0).since(now).as_secs()
        };
        assert_eq!(at(None, 0, 0), 60);
        assert_eq!(at(Some(7200), 0, 0), 60);
        // A slot that is near, and an interval of seconds.
        assert_eq!(at(Some(42), 0, 0), 60);
        assert_eq!(at(Some(1), 9, 0), 60);
        // Later failures wait longer, up to the slot.
        assert_eq!(at(Some(900), 9, 0), 900);
        assert_eq!(at(Some(900), 3, 0), 480);
        // The provider's own wait comes before any slot.
        assert_eq!(at(Some(900), 0, 1200), 1200);
    }
}

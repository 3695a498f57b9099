//! Jobs: what runs when, how far it has got, and what is wrong with it.

use std::time::Duration;

use super::{
    View,
    table::{Grid, narrow, number, text, word},
    words::{NONE, age, count_of, maybe_time, or_none, roughly, time},
};
use crate::{
    domain::{
        clock::Timestamp,
        status::{ConnectionStatus, JobStatus},
    },
    store::catalogue::Job,
};

/// `tidegate jobs list`
pub fn job_list(view: &View, jobs: &[Job]) -> String {
    let columns = [
        number("job"),
        word("connection"),
        word("stream"),
        word("mode"),
        text("schedule"),
        word("status"),
        text("next run"),
        text("last complete"),
        number("dead letters"),
        text("note"),
    ];
    let when = |at: Option<Timestamp>| match at {
        Some(at) if narrow(view) => age(at, view.now),
        at => maybe_time(at, view.now),
    };
    let next = |job: &Job| match job.next_run_at {
        Some(at) if at <= view.now => {
            let late = overdue(job, at, view.now);
            if narrow(view) { late } else { format!("{} ({late})", time(at)) }
        }
        at => when(at),
    };
    let mut grid = Grid::new(view, &columns);
    for job in jobs {
        grid.row([
            job.id.to_string(),
            job.spec.connection_key.clone(),
            job.spec.stream.clone(),
            job.spec.sync_mode.to_string(),
            or_none(job.spec.schedule.as_deref()),
            job.status.to_string(),
            next(job),
            when(job.last_complete_at),
            job.open_dead_letters.to_string(),
            note(job, view.now),
        ]);
    }
    grid.or("no jobs are declared; see: tidegate apply --help")
}

/// A time that has come, in words: a job is not run "27m ago" when it has not run yet.
fn overdue(job: &Job, at: Timestamp, now: Timestamp) -> String {
    const AT_ONCE: Duration = Duration::from_secs(60);
    if job.lease_until.is_some_and(|until| until > now) {
        return "running".to_owned();
    }
    let held = matches!(
        job.connection_status,
        ConnectionStatus::Paused | ConnectionStatus::NeedsAuth | ConnectionStatus::Revoked
    );
    match now.since(at) {
        late if job.status != JobStatus::Active || held => format!("waits, was due {} ago", roughly(late)),
        late if late < AT_ONCE => "due now".to_owned(),
        late => format!("due, {} late", roughly(late)),
    }
}

/// What an operator should know of the job now, the weightiest first.
fn note(job: &Job, now: Timestamp) -> String {
    let mut notes = Vec::new();
    match job.status {
        JobStatus::Quarantined => notes.push(format!("killed its worker {} times", job.attempts)),
        JobStatus::Paused | JobStatus::Active => {}
    }
    match job.connection_status {
        ConnectionStatus::Connected | ConnectionStatus::Testing | ConnectionStatus::ManualImport => {}
        held @ (ConnectionStatus::Draft
        | ConnectionStatus::Paused
        | ConnectionStatus::NeedsAuth
        | ConnectionStatus::Revoked) => notes.push(format!("connection is {held}")),
    }
    if job.consecutive_failures > 0 {
        notes.push(format!("{} in a row", count_of(job.consecutive_failures, "failure", "failures")));
    }
    if let (Some(last), Some(limit)) = (job.last_complete_at, stale_after(job))
        && now.since(last) > limit
    {
        notes.push(format!("stale for {}", roughly(now.since(last.plus(limit)))));
    }
    if let (Some(owner), Some(until)) = (&job.lease_owner, job.lease_until) {
        if until > now {
            notes.push(format!("held by {owner}"));
        } else {
            notes.push(format!("lease of {owner} ran out {}", age(until, now)));
        }
    }
    if notes.is_empty() { NONE.to_owned() } else { notes.join("; ") }
}

fn stale_after(job: &Job) -> Option<Duration> {
    job.spec.stale_after_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::print::samples;

    #[test]
    fn a_job_list_says_what_is_late_held_and_failing() {
        let mut stale = samples::job();
        stale.last_complete_at = Some(samples::now().minus(Duration::from_secs(3 * 3_600)));
        stale.consecutive_failures = 2;
        stale.open_dead_letters = 3;
        let mut held = samples::job();
        held.lease_owner = Some("host-1:77:abc".to_owned());
        held.lease_until = Some(samples::now().plus(Duration::from_secs(40)));
        let mut quarantined = samples::job();
        quarantined.status = JobStatus::Quarantined;
        quarantined.attempts = 5;
        quarantined.connection_status = ConnectionStatus::NeedsAuth;
        quarantined.next_run_at = None;
        insta::assert_snapshot!(job_list(&samples::view(), &[samples::job(), stale, held, quarantined]));
        assert_eq!(job_list(&samples::view(), &[]), "no jobs are declared; see: tidegate apply --help\n");
    }

    #[test]
    fn a_job_whose_time_has_come_is_due_and_not_past() {
        let ago = |seconds: u64| Some(samples::now().minus(Duration::from_secs(seconds)));
        let of = |job: Job| overdue(&job, job.next_run_at.unwrap(), samples::now());
        assert_eq!(of(Job { next_run_at: ago(27 * 60), ..samples::job() }), "due, 27m late");
        assert_eq!(of(Job { next_run_at: ago(59), ..samples::job() }), "due now");
        assert_eq!(of(Job { next_run_at: ago(0), ..samples::job() }), "due now");
        let paused = Job { status: JobStatus::Paused, next_run_at: ago(3_600), ..samples::job() };
        assert_eq!(of(paused), "waits, was due 1h ago");
        let until = Some(samples::now().plus(Duration::from_secs(5)));
        assert_eq!(of(Job { lease_until: until, next_run_at: ago(90), ..samples::job() }), "running");
        let list = job_list(&samples::view(), &[Job { next_run_at: ago(27 * 60), ..samples::job() }]);
        assert!(list.contains("2026-11-22 06:03:12Z (due, 27m late)"), "{list}");
    }

    #[test]
    fn on_a_narrow_terminal_no_line_is_longer_than_it() {
        let view = View { width: Some(100), ..samples::view() };
        let text = job_list(&view, &[samples::job()]);
        assert!(text.lines().count() > 2 && text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}

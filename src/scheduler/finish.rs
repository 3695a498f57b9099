//! The end of a run: its one final status, when the job is due next, what is told and logged.
//!
//! Owns the step from a policy's decision to the row. Refuses to decide: that is `policy`'s one table.

use std::time::Duration;

use super::{
    import,
    policy::{self, Decision, Next},
    worker::{Assignment, Prepared, RunReport, Task, Worker},
};
use crate::{
    connector::ErrorKind,
    domain::{
        clock::Timestamp,
        record::{EXTERNAL_ID_CHARS, text_hash},
        schedule::{Schedule, spread_seed},
        status::{ConnectionStatus, RunOrigin, RunStatus, Stage, SyncMode},
        wording::client_safe,
    },
    pipeline::{Ending, Outcome, StopReason, replay::Selection},
    store::lease::{Held, PageLetter, RunEnd},
    telemetry::{chain, redact::scrub},
};

/// What time alone does not heal waits as long as after so many failures.
const FEWEST_UNSCHEDULED_FAILURES: i64 = 6;
/// Longest internal error text that a run row keeps, in characters.
const ERROR_TEXT_CHARS: usize = 2000;

impl Worker {
    /// Writes the end of a run, unless it was lost; tells what came of it.
    pub(super) async fn finish(
        &self,
        held: &Held,
        prepared: &Prepared,
        assignment: &Assignment,
        outcome: Outcome,
        began: Duration,
    ) -> RunReport {
        let mut decision = policy::decide(&outcome.ending, outcome.pages > 0);
        let test = matches!(assignment.task, Task::TestBatch { .. });
        let pull = matches!(assignment.task, Task::Pull { .. });
        let listing = pull && held.sync_mode == SyncMode::FullRefresh && !outcome.resumed;
        let mut message = internal_text(&outcome.ending);
        let complete = matches!(outcome.ending, Ending::Complete);
        if complete && listing && outcome.counts.seen == 0 && held.last_complete_seen.is_some_and(|seen| seen > 0) {
            // Green needs evidence (P6): a listing that had records and now has none is not a success.
            decision = Decision {
                status: RunStatus::Partial,
                code: Some("no_rows_where_expected"),
                remedy: Some("look at the account at the provider: an empty listing is accepted by hand with tidegate jobs reset-cursor --connection KEY --stream STREAM --reason WHY".to_owned()),
                failure: Some(true),
                ..decision
            };
            message = Some(format!(
                "the listing was empty, the last complete one had {} records",
                held.last_complete_seen.unwrap_or_default()
            ));
        }
        if let (Task::Import(_), Some(code)) = (&assignment.task, decision.code) {
            decision.remedy = Some(import::remedy(code, decision.remedy.as_deref().unwrap_or_default()));
        }
        let job = &prepared.job.spec;
        decision.remedy = decision.remedy.map(|remedy| policy::named(&remedy, &job.connection_key, &job.stream));
        let green = decision.status == RunStatus::Succeeded;
        let next = self.next_run(&decision, prepared, assignment);
        let next = if pull { self.tightened(next, decision.next, held, prepared).await } else { next };
        let end = RunEnd {
            status: decision.status,
            error_code: decision.code.map(str::to_owned),
            error_internal: message.clone(),
            error_client_safe: decision.code.map(|c| client_safe(c).to_owned()),
            remedy: decision.remedy.clone(),
            next_run_at: next,
            complete: green && pull,
            listed: (green && listing).then_some(outcome.counts.seen),
            failure: if pull { decision.failure } else { None },
            connection: connection_status(&decision, prepared, &assignment.task),
            tested: green && test && outcome.counts.seen > 0 && outcome.counts.failed == 0,
            unmapped_fields: (!outcome.unmapped.is_empty()).then(|| serde_json::json!(outcome.unmapped)),
            letter: if pull { page_letter(&outcome.ending, &decision, message.as_deref()) } else { None },
            due_letters: match &assignment.task {
                Task::Replay { selections } => selections.contains(&Selection::DueLetters).then_some(green),
                _ => None,
            },
            traffic: outcome.traffic,
            window: outcome.window,
            provider_total: outcome.provider_total,
        };
        let mut report = RunReport {
            run: held.run,
            connection_key: prepared.job.spec.connection_key.clone(),
            stream: held.stream.clone(),
            status: decision.status,
            counts: outcome.counts,
            pages: outcome.pages,
            code: end.error_code.clone(),
            message,
            remedy: decision.remedy,
            took: Duration::ZERO,
        };
        if !decision.lost {
            match self.store.finish_run(&held.lease, held.run, &end).await {
                Ok(Some(counts)) => report.counts = counts,
                Ok(None) => {
                    lose(&mut report, "lease_lost", "the lease was gone when the run was to be finished".to_owned())
                }
                Err(error) => lose(&mut report, "database_unavailable", scrub(&chain(&error).to_string()).into_owned()),
            }
        }
        if let (Task::Import(_), RunStatus::Abandoned, Some(code)) = (&assignment.task, report.status, &report.code) {
            report.remedy = Some(import::remedy(code, ""));
        }
        report.took = self.clock.monotonic().saturating_sub(began);
        self.log(&report, prepared);
        report
    }

    fn next_run(&self, decision: &Decision, prepared: &Prepared, assignment: &Assignment) -> Option<Timestamp> {
        // What a person starts by hand leaves the schedule as it is.
        if assignment.origin != RunOrigin::Schedule {
            return None;
        }
        let now = self.clock.now();
        let seed = spread_seed(&prepared.job.spec.connection_key, &prepared.job.spec.stream);
        let scheduled = prepared
            .job
            .spec
            .schedule
            .as_deref()
            .and_then(|text| text.parse::<Schedule>().ok())
            .and_then(|schedule| schedule.next_after(now, seed));
        match decision.next {
            // A job without a schedule ran because deliveries asked for it: it comes back while they wait for an answer.
            Next::Scheduled if scheduled.is_none() && decision.status != RunStatus::Succeeded => {
                let failures = prepared.job.consecutive_failures.max(FEWEST_UNSCHEDULED_FAILURES);
                Some(policy::retry_at(now, None, failures, Duration::ZERO, 0.0))
            }
            Next::Scheduled => scheduled,
            Next::AtOnce => Some(now),
            Next::BackOff { at_least } => {
                let spread = self.options.jitter_share * rand::random::<f64>();
                Some(policy::retry_at(now, scheduled, prepared.job.consecutive_failures, at_least, spread))
            }
        }
    }

    fn log(&self, report: &RunReport, prepared: &Prepared) {
        let c = &report.counts;
        let took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX);
        match &report.code {
            None => tracing::info!(
                status = %report.status, pages = report.pages, seen = c.seen, created = c.created, updated = c.updated,
                unchanged = c.unchanged, duplicate = c.duplicate, ignored = c.ignored, failed = c.failed, took_ms, "run ended"
            ),
            Some(code) => tracing::warn!(
                status = %report.status, code = %code, pages = report.pages, seen = c.seen, failed = c.failed, took_ms,
                error = report.message.as_deref().unwrap_or_default(), remedy = report.remedy.as_deref().unwrap_or_default(),
                "run ended"
            ),
        }
        let failures = prepared.job.consecutive_failures + 1;
        if report.code.is_some() && failures >= self.options.stalled_after && report.pages == 0 {
            tracing::error!(failures, "job does not move: {failures} runs in a row without a page");
        }
    }
}

fn lose(report: &mut RunReport, code: &str, message: String) {
    report.status = RunStatus::Abandoned;
    report.code = Some(code.to_owned());
    report.message = Some(message);
    report.remedy = Some("nothing to do: the run is closed as abandoned and the job goes on by itself".to_owned());
}

/// The whole cause chain, without secrets, bounded.
fn internal_text(ending: &Ending) -> Option<String> {
    let text = match ending {
        Ending::Complete => return None,
        Ending::RunBudget => "as many pages or seconds as one run may take".to_owned(),
        Ending::ErrorBudget => "too many records failed".to_owned(),
        Ending::Stopped(StopReason::Shutdown) => "the worker was asked to stop".to_owned(),
        Ending::Stopped(StopReason::Paused) => "the connection was paused".to_owned(),
        Ending::Stopped(StopReason::LeaseLost) => "the lease ran out or moved on".to_owned(),
        Ending::Connector(error) => chain(error).to_string(),
        Ending::Store(error) => chain(error).to_string(),
    };
    Some(scrub(&text).chars().take(ERROR_TEXT_CHARS).collect())
}

/// A page that could not be fetched or read is something to work off; an outage, a limit or a refused credential is the run's alone.
fn page_letter(ending: &Ending, decision: &Decision, message: Option<&str>) -> Option<PageLetter> {
    let Ending::Connector(error) = ending else { return None };
    let place = error.place.as_deref()?;
    let stage = match error.kind {
        ErrorKind::Decode => Stage::Decode,
        ErrorKind::Rejected | ErrorKind::Stuck => Stage::Fetch,
        _ => return None,
    };
    let code = error.kind.code();
    Some(PageLetter {
        stage,
        place: place.chars().take(EXTERNAL_ID_CHARS).collect(),
        place_hash: text_hash(place),
        fingerprint: format!("{stage}:{code}"),
        error_code: code.to_owned(),
        message_internal: format!("{place}: {}", message.unwrap_or_default()),
        message_client_safe: client_safe(code).to_owned(),
        remedy: decision.remedy.clone().unwrap_or_default(),
    })
}

fn connection_status(decision: &Decision, prepared: &Prepared, task: &Task) -> Option<(ConnectionStatus, String)> {
    if let Some(status) = decision.connection {
        let why = match status {
            ConnectionStatus::Paused => "the credential belongs to another account than the declared one",
            _ => "the provider refused the credential",
        };
        return Some((status, why.to_owned()));
    }
    if decision.status != RunStatus::Succeeded {
        return None;
    }
    match (task, prepared.connection.status) {
        (Task::TestBatch { .. }, ConnectionStatus::Draft) => {
            Some((ConnectionStatus::Testing, "a test batch ran".to_owned()))
        }
        (Task::Pull { .. }, ConnectionStatus::Draft | ConnectionStatus::Testing) => {
            Some((ConnectionStatus::Connected, "the first run succeeded".to_owned()))
        }
        _ => None,
    }
}

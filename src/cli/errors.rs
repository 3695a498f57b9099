//! `tidegate errors …`: dead letters as a queue to work off.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::json;

use super::{
    App, Done,
    args::{ErrorFilterArgs, ErrorsCommand},
    connection,
    exit::Exit,
    failure::Failure,
    gate, names,
    print::{self, Output, masked::Line, notices},
    run_once,
};
use crate::{
    domain::{
        clock::Timestamp,
        ids::{DeadLetterId, JobId},
        schedule::parse_duration,
        status::{DeadLetterStatus, RunOrigin},
    },
    pipeline::replay::Selection,
    scheduler::worker::{Assignment, Task},
    store::{
        SharedStore,
        catalogue::{AdminAction, Declaration},
        dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterGroup},
    },
};

/// Most dead letters that one retry or discard takes.
const MOST_AT_ONCE: u32 = 100_000;

/// Does an `errors` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &ErrorsCommand, out: Output) -> Done {
    let store = app.store().await?;
    match command {
        ErrorsCommand::List { filter, status, all, group, limit } => {
            let status = status.as_deref().map(names::word::<DeadLetterStatus>).transpose()?;
            names::known(&store, filter.connection.as_slice(), filter.stream.as_slice()).await?;
            let waiting = status.is_none() && !*all;
            let filter = DeadLetterFilter { status, waiting, limit: *limit, ..from_args(app, filter)? };
            if *group {
                let groups = store.dead_letter_groups(&filter).await?;
                let told: Vec<Group<'_>> =
                    groups.iter().map(|group| Group { group, retry: print::errors::retry_command(group) }).collect();
                return app.show(out, &told, |view| print::errors::dead_letter_groups(view, &groups));
            }
            let letters = store.dead_letters(&filter).await?;
            app.show(out, &letters, |view| print::errors::dead_letter_list(view, &letters))
        }
        ErrorsCommand::Show { id } => {
            let id = DeadLetterId(*id);
            let letter = store.dead_letter(id).await?.ok_or_else(|| {
                Failure::usage(format!("there is no dead letter {id}"))
                    .remedy("tidegate errors list shows those that wait")
            })?;
            let payload = store.dead_letter_payload(id).await?;
            let shape = payload.map(|payload| print::masked::shape(&payload, &letter.message_internal));
            let told = Told { letter: &letter, payload: shape.as_deref() };
            app.show(out, &told, |view| print::errors::dead_letter_show(view, &letter, shape.as_deref()))
        }
        ErrorsCommand::Retry { ids, filter, group, all } => {
            let filter = DeadLetterFilter {
                fingerprint: group.clone().or_else(|| filter.fingerprint.clone()),
                ..from_args(app, filter)?
            };
            let found = select(&store, ids, filter, *all).await?;
            retry(app, store, found.into_iter().filter(waits).collect(), out).await
        }
        ErrorsCommand::Discard { ids, filter, reason } => {
            let found = select(&store, ids, from_args(app, filter)?, false).await?;
            let closed: Vec<String> = found
                .iter()
                .filter(|letter| !waits(letter) && ids.contains(&letter.id.0))
                .map(|l| format!("dead letter {} is {} already, by {}", l.id, l.status, by(l)))
                .collect();
            if !closed.is_empty() {
                return Err(Failure::usage(closed.join("\n")).remedy(
                    "leave them out: what is closed stays as it is. tidegate errors list shows those that wait",
                ));
            }
            let letters: Vec<DeadLetter> = found.into_iter().filter(waits).collect();
            discard(app, &store, &letters, reason, out).await
        }
    }
}

/// A group, and how it is tried again.
#[derive(Serialize)]
struct Group<'g> {
    #[serde(flatten)]
    group: &'g DeadLetterGroup,
    retry: String,
}

/// A dead letter, and its payload with every value masked.
#[derive(Serialize)]
struct Told<'l> {
    #[serde(flatten)]
    letter: &'l DeadLetter,
    payload: Option<&'l [Line]>,
}

/// Whether somebody, or a retry, has to act on it.
fn waits(letter: &DeadLetter) -> bool {
    matches!(letter.status, DeadLetterStatus::Open | DeadLetterStatus::RetryScheduled | DeadLetterStatus::Exhausted)
}

fn by(letter: &DeadLetter) -> &str {
    letter.resolved_by.as_deref().unwrap_or("nobody that is known")
}

fn from_args(app: &App, args: &ErrorFilterArgs) -> Result<DeadLetterFilter, Failure> {
    Ok(DeadLetterFilter {
        connection_key: args.connection.clone(),
        stream: args.stream.clone(),
        fingerprint: args.fingerprint.clone(),
        since: args.since.as_deref().map(|text| since(text, app.now())).transpose()?,
        ..DeadLetterFilter::default()
    })
}

/// A time, or how long before now.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let span = parse_duration(text);
    span.map(|span| now.minus(span)).map_err(|_| {
        Failure::usage(format!("--since '{text}' is no time"))
            .remedy("use a time such as 2026-01-31T08:00:00Z, or how long ago, such as 2h or 7d")
    })
}

/// The dead letters that ids, a filter or `--all` mean, closed ones among them.
async fn select(
    store: &SharedStore,
    ids: &[i64],
    filter: DeadLetterFilter,
    all: bool,
) -> Result<Vec<DeadLetter>, Failure> {
    let named = !ids.is_empty() || filter != DeadLetterFilter::default();
    if !named && !all {
        return Err(Failure::usage("which dead letters are meant?").remedy(
            "name ids, or --connection, --stream, --fingerprint, --since, or (retry) --group FINGERPRINT or --all",
        ));
    }
    names::known(store, filter.connection_key.as_slice(), filter.stream.as_slice()).await?;
    let filter = DeadLetterFilter {
        ids: ids.iter().copied().map(DeadLetterId).collect(),
        // Named ones are told about whatever became of them.
        waiting: ids.is_empty(),
        limit: MOST_AT_ONCE,
        ..filter
    };
    let found = store.dead_letters(&filter).await?;
    let absent: Vec<String> =
        ids.iter().filter(|id| !found.iter().any(|l| l.id.0 == **id)).map(ToString::to_string).collect();
    if !absent.is_empty() {
        return Err(Failure::usage(format!("there is no dead letter {}", absent.join(", ")))
            .remedy("tidegate errors list shows those that wait"));
    }
    Ok(found)
}

/// Records are replayed from raw; pages are fetched again by a run of their job, when it may run.
async fn retry(app: &App, store: SharedStore, letters: Vec<DeadLetter>, out: Output) -> Done {
    if letters.is_empty() {
        return app.show(out, &json!({"runs": []}), |_| "nothing open to retry".to_owned());
    }
    let (records, pages): (Vec<_>, Vec<_>) = letters.into_iter().partition(|l| l.raw_event_id.is_some());
    let mut by_job: BTreeMap<JobId, Vec<i64>> = BTreeMap::new();
    for letter in &records {
        by_job.entry(letter.job_id).or_default().push(letter.id.0);
    }
    let mut assignments: Vec<Assignment> = Vec::new();
    let mut actions: Vec<AdminAction> = Vec::new();
    for (job, ids) in by_job {
        actions.push(retried(app, job, ids.len()));
        let task = Task::Replay { selections: vec![Selection::DeadLetters(ids)] };
        assignments.push(Assignment { job, origin: RunOrigin::Replay, task });
    }
    let mut refused = Vec::new();
    let mut fetched: BTreeMap<JobId, Vec<&DeadLetter>> = BTreeMap::new();
    for letter in &pages {
        fetched.entry(letter.job_id).or_default().push(letter);
    }
    for (job, letters) in fetched {
        let key = &letters[0].connection_key;
        let connection = connection::find(&store, key).await?;
        if let Some(lines) = gate::refusal(app, &store, &connection).await? {
            refused
                .push(format!("{key} may not run, so its pages are not fetched again:\n  - {}", lines.join("\n  - ")));
            continue;
        }
        actions.push(retried(app, job, letters.len()));
        assignments.push(Assignment { job, origin: RunOrigin::Manual, task: Task::Pull { full: false } });
    }
    if assignments.is_empty() {
        return Err(Failure::new(Exit::Refused, refused.join("\n")));
    }
    for line in &refused {
        notices::warn(line);
    }
    store.declare(&Declaration { actions, ..Declaration::default() }).await?;
    let exit = run_once::assignments(app, Arc::clone(&store), assignments, out).await?;
    Ok(if refused.is_empty() { exit } else { exit.worse(Exit::Refused) })
}

fn retried(app: &App, job: JobId, letters: usize) -> AdminAction {
    AdminAction {
        actor: app.actor(),
        action: "dead_letter.retry".to_owned(),
        subject_type: "job".to_owned(),
        subject_key: job.to_string(),
        reason: None,
        before: Some(json!({"open": letters})),
        after: None,
    }
}

async fn discard(app: &App, store: &SharedStore, letters: &[DeadLetter], reason: &str, out: Output) -> Done {
    let ids: Vec<DeadLetterId> = letters.iter().map(|l| l.id).collect();
    let act = AdminAction {
        actor: app.actor(),
        action: "dead_letter.discard".to_owned(),
        subject_type: "dead_letter".to_owned(),
        subject_key: ids.iter().take(20).map(ToString::to_string).collect::<Vec<_>>().join(","),
        reason: Some(reason.to_owned()),
        before: Some(json!({"open": ids.len()})),
        after: Some(json!({"status": "discarded"})),
    };
    let discarded = if ids.is_empty() { 0 } else { store.discard(&ids, &app.actor(), &act).await? };
    app.show(out, &json!({"discarded": discarded}), |_| format!("{discarded} discarded"))
}

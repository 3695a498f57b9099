//! `tidegate errors …`: dead letters as a queue to work off.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

use super::{
    App, Done,
    args::{ErrorFilterArgs, ErrorsCommand},
    failure::Failure,
    names,
    print::{self, Output, notices},
    run_once,
};
use crate::{
    domain::{
        ids::{DeadLetterId, JobId},
        status::{DeadLetterStatus, RunOrigin},
    },
    pipeline::replay::Selection,
    scheduler::worker::{Assignment, Task},
    store::{
        SharedStore,
        catalogue::{AdminAction, Declaration},
        dead_letters::{DeadLetter, DeadLetterFilter},
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
            let status = match status {
                Some(word) => Some(names::word::<DeadLetterStatus>(word)?),
                None if *all => None,
                None => Some(DeadLetterStatus::Open),
            };
            names::known(&store, filter.connection.as_slice(), filter.stream.as_slice()).await?;
            let filter = DeadLetterFilter { status, limit: *limit, ..from_args(filter) };
            if *group {
                let groups = store.dead_letter_groups(&filter).await?;
                return app.show(out, &groups, |view| print::errors::dead_letter_groups(view, &groups));
            }
            let letters = store.dead_letters(&filter).await?;
            app.show(out, &letters, |view| print::errors::dead_letter_list(view, &letters))
        }
        ErrorsCommand::Show { id } => {
            let letter = store.dead_letter(DeadLetterId(*id)).await?.ok_or_else(|| {
                Failure::usage(format!("there is no dead letter {id}"))
                    .remedy("tidegate errors list shows the open ones")
            })?;
            app.show(out, &letter, |view| print::errors::dead_letter_show(view, &letter))
        }
        ErrorsCommand::Retry { ids, filter, all } => {
            let letters = select(&store, ids, filter, *all).await?;
            retry(app, store, letters, out).await
        }
        ErrorsCommand::Discard { ids, filter, reason } => {
            let letters = select(&store, ids, filter, false).await?;
            discard(app, &store, &letters, reason, out).await
        }
    }
}

fn from_args(args: &ErrorFilterArgs) -> DeadLetterFilter {
    DeadLetterFilter {
        connection_key: args.connection.clone(),
        stream: args.stream.clone(),
        fingerprint: args.fingerprint.clone(),
        ..DeadLetterFilter::default()
    }
}

/// The open dead letters that ids, a filter or `--all` mean.
async fn select(
    store: &SharedStore,
    ids: &[i64],
    args: &ErrorFilterArgs,
    all: bool,
) -> Result<Vec<DeadLetter>, Failure> {
    let filter = from_args(args);
    let named = !ids.is_empty() || filter != DeadLetterFilter::default();
    if !named && !all {
        return Err(Failure::usage("which dead letters are meant?")
            .remedy("name ids, or --connection, --stream, --fingerprint, or (retry) --all"));
    }
    names::known(store, args.connection.as_slice(), args.stream.as_slice()).await?;
    let filter = DeadLetterFilter {
        ids: ids.iter().copied().map(DeadLetterId).collect(),
        status: None,
        limit: MOST_AT_ONCE,
        ..filter
    };
    let found = store.dead_letters(&filter).await?;
    let absent: Vec<String> =
        ids.iter().filter(|id| !found.iter().any(|l| l.id.0 == **id)).map(ToString::to_string).collect();
    if !absent.is_empty() {
        return Err(Failure::usage(format!("there is no dead letter {}", absent.join(", ")))
            .remedy("tidegate errors list shows the open ones"));
    }
    Ok(found
        .into_iter()
        .filter(|l| matches!(l.status, DeadLetterStatus::Open | DeadLetterStatus::RetryScheduled))
        .collect())
}

async fn retry(app: &App, store: SharedStore, letters: Vec<DeadLetter>, out: Output) -> Done {
    let (mappable, pages): (Vec<_>, Vec<_>) = letters.into_iter().partition(|l| l.raw_event_id.is_some());
    if !pages.is_empty() {
        notices::tell(&format!(
            "{} dead letters have no raw event: they come back with the next run of their job",
            pages.len()
        ));
    }
    if mappable.is_empty() {
        return app.show(out, &json!({"runs": []}), |_| "nothing open to retry".to_owned());
    }
    let mut by_job: BTreeMap<JobId, Vec<i64>> = BTreeMap::new();
    for letter in &mappable {
        by_job.entry(letter.job_id).or_default().push(letter.id.0);
    }
    let actions = by_job
        .iter()
        .map(|(job, ids)| AdminAction {
            actor: app.actor(),
            action: "dead_letter.retry".to_owned(),
            subject_type: "job".to_owned(),
            subject_key: job.to_string(),
            reason: None,
            before: Some(json!({"open": ids.len()})),
            after: None,
        })
        .collect();
    store.declare(&Declaration { actions, ..Declaration::default() }).await?;
    let assignments = by_job
        .into_iter()
        .map(|(job, ids)| Assignment {
            job,
            origin: RunOrigin::Replay,
            task: Task::Replay { selections: vec![Selection::DeadLetters(ids)] },
        })
        .collect();
    run_once::assignments(app, Arc::clone(&store), assignments, out).await
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

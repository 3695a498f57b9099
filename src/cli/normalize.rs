//! `tidegate normalize …`: map again from raw, without asking the provider.

use super::{App, Done, args::NormalizeArgs, failure::Failure, names, print::Output, run_once};
use crate::{
    domain::status::RunOrigin,
    pipeline::replay::Selection,
    scheduler::worker::{Assignment, Task},
    store::catalogue::JobFilter,
};

/// Replays the named streams: with `--replay` every stored record, else only what is waiting as a dead letter.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, args: &NormalizeArgs, out: Output) -> Done {
    let store = app.store().await?;
    names::known(&store, &args.connections, &args.streams).await?;
    let filter = JobFilter { connection_keys: args.connections.clone(), streams: args.streams.clone() };
    let jobs = store.jobs(&filter).await?;
    if jobs.is_empty() {
        return Err(Failure::usage("no declared job matches").remedy("tidegate jobs list shows all"));
    }
    let selections = if args.replay {
        vec![Selection::Stored, Selection::DeadLetters(Vec::new())]
    } else {
        vec![Selection::DeadLetters(Vec::new())]
    };
    let assignments = jobs
        .iter()
        .map(|job| Assignment {
            job: job.id,
            origin: RunOrigin::Replay,
            task: Task::Replay { selections: selections.clone() },
        })
        .collect();
    run_once::assignments(app, store, assignments, out).await
}

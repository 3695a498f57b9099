//! `tidegate normalize …`: map again from raw, without asking the provider; compare and activate versions of field maps.

mod activate;
pub mod diff;

use super::{App, Done, args::NormalizeArgs, failure::Failure, names, print::Output, run_once};
use crate::{
    domain::status::RunOrigin,
    pipeline::replay::Selection,
    scheduler::worker::{Assignment, Task},
    store::{
        SharedStore,
        catalogue::{Job, JobFilter},
    },
};

/// Replays the named streams: with `--replay` every stored record, else only what is waiting as a dead letter. `--diff` and `--activate`
/// are about versions of field maps.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, args: &NormalizeArgs, out: Output) -> Done {
    let store = app.store().await?;
    if args.activate {
        return activate::run(app, store, args, out).await;
    }
    if args.map_version.is_some() && !args.diff {
        return Err(Failure::usage("--map-version says which version is compared or activated")
            .remedy("add --diff, or --activate with --reason"));
    }
    let jobs = jobs(&store, &args.connections, &args.streams).await?;
    if args.diff {
        return diff::run(app, &store, &jobs, args.map_version.as_deref(), out).await;
    }
    let selections = if args.replay { everything() } else { vec![Selection::DeadLetters(Vec::new())] };
    run_once::assignments(app, store, replays(&jobs, &selections), out).await
}

/// The declared jobs of the named connections and streams.
async fn jobs(store: &SharedStore, connections: &[String], streams: &[String]) -> Result<Vec<Job>, Failure> {
    names::known(store, connections, streams).await?;
    let filter = JobFilter { connection_keys: connections.to_vec(), streams: streams.to_vec() };
    let jobs = store.jobs(&filter).await?;
    if jobs.is_empty() {
        return Err(Failure::usage("no declared job matches").remedy("tidegate jobs list shows all"));
    }
    Ok(jobs)
}

/// Every stored record, and then what waits as a dead letter.
fn everything() -> Vec<Selection> {
    vec![Selection::Stored, Selection::DeadLetters(Vec::new())]
}

fn replays(jobs: &[Job], selections: &[Selection]) -> Vec<Assignment> {
    let replay = |job: &Job| Assignment {
        job: job.id,
        origin: RunOrigin::Replay,
        task: Task::Replay { selections: selections.to_vec() },
    };
    jobs.iter().map(replay).collect()
}

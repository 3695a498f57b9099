//! `tidegate runs …`: what was attempted, what came of it, and taking it back.

use serde::Serialize;
use serde_json::json;

use super::{
    App, Done,
    args::RunsCommand,
    connection,
    exit::Exit,
    failure::Failure,
    names,
    print::{self, Output},
    run_once,
};
use crate::{
    domain::{
        ids::RunId,
        status::{RunOrigin, RunStatus},
    },
    pipeline::in_force,
    scheduler::worker::{Assignment, Task},
    store::{
        SharedStore,
        catalogue::{AdminAction, Declaration},
        runs::{Run, RunFilter},
    },
};

/// Pages of a run that are shown from its beginning and from its end.
const PAGES_SHOWN: u32 = 15;
/// Records of a run that are looked at together.
const READ_AT_ONCE: u32 = 500;
/// External ids that are named when a run cannot be taken back.
const LOST_SHOWN: usize = 20;

/// Does a `runs` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &RunsCommand, out: Output) -> Done {
    let store = app.store().await?;
    match command {
        RunsCommand::List { connection, stream, status, limit } => {
            let status = status.as_deref().map(names::word::<RunStatus>).transpose()?;
            names::known(&store, connection.as_slice(), stream.as_slice()).await?;
            let filter =
                RunFilter { connection_key: connection.clone(), stream: stream.clone(), status, limit: *limit };
            let runs = store.runs(&filter).await?;
            app.show(out, &runs, |view| print::runs::run_list(view, &runs))
        }
        RunsCommand::Show { id } => {
            let id = RunId(*id);
            let run = store.run(id).await?.ok_or_else(|| {
                Failure::usage(format!("there is no run {id}")).remedy("tidegate runs list shows the latest")
            })?;
            let pages = store.run_pages(id, PAGES_SHOWN, PAGES_SHOWN).await?;
            let recount = Some(store.recount(id).await?);
            let story = print::runs::RunStory { run, pages, recount };
            app.show(out, &story, |view| print::runs::run_show(view, &story))
        }
        RunsCommand::Void { id, reason, dry_run } => void(app, store, RunId(*id), reason, *dry_run, out).await,
    }
}

/// What taking back a run would come to.
#[derive(Debug, Default, Serialize)]
struct Plan {
    run: RunId,
    connection: String,
    stream: String,
    /// Records that leave every number.
    voided: u64,
    /// Records whose former version is written again.
    put_back: u64,
    /// Changed by the run, and what stood before is gone by its retention: external ids, the first of them.
    without_way_back: Vec<String>,
    /// How many those are in all.
    lost: u64,
}

async fn void(app: &App, store: SharedStore, id: RunId, reason: &str, dry_run: bool, out: Output) -> Done {
    let run = store
        .run(id)
        .await?
        .ok_or_else(|| Failure::usage(format!("there is no run {id}")).remedy("tidegate runs list shows the latest"))?;
    if run.status == RunStatus::Running {
        return Err(Failure::new(
            Exit::Refused,
            format!("run {id} is running: what it wrote cannot be taken back yet"),
        )
        .remedy("wait for its end, or stop the worker that does it; tidegate runs show tells"));
    }
    if run.origin == RunOrigin::Replay {
        let what = format!("run {id} was a replay: it brought nothing in, it mapped again what other runs had brought");
        return Err(Failure::usage(what)
            .remedy("put the former version of the field map back, then: tidegate normalize --replay --connection KEY; or void the run that brought the records"));
    }
    let plan = plan(app, &store, &run).await?;
    if plan.lost > 0 {
        let what = format!(
            "{} records that run {id} wrote cannot be put back: what stood before is gone by its retention. Nothing was changed.\n  {}",
            plan.lost,
            plan.without_way_back.join(", ")
        );
        return Err(Failure::new(Exit::Refused, what)
            .remedy("mend them at the source and read them again: tidegate run-once --connection KEY --full"));
    }
    let nothing = plan.voided + plan.put_back == 0;
    if dry_run || nothing {
        return app.show(out, &plan, |_| match nothing {
            true => format!("nothing stands as run {id} wrote it: later runs wrote it anew, or it was taken back"),
            false => format!(
                "run {id} of {} {}: {} records would be voided, {} put back as they were",
                plan.connection, plan.stream, plan.voided, plan.put_back
            ),
        });
    }
    let action = AdminAction {
        actor: app.actor(),
        action: "run.void".to_owned(),
        subject_type: "run".to_owned(),
        subject_key: id.to_string(),
        reason: Some(reason.to_owned()),
        before: Some(json!({"stand": plan.voided + plan.put_back})),
        after: Some(json!({"voided": plan.voided, "put_back": plan.put_back})),
    };
    store.declare(&Declaration { actions: vec![action], ..Declaration::default() }).await?;
    let task = Task::Void { run: id };
    let assignment = Assignment { job: run.job_id, origin: RunOrigin::Replay, task };
    run_once::assignments(app, store, vec![assignment], out).await
}

async fn plan(app: &App, store: &SharedStore, run: &Run) -> Result<Plan, Failure> {
    let (catalogue, _) = app.load_catalogue();
    let folder = catalogue.folder(&run.provider_key);
    let states = store.field_maps(Some(&run.provider_key)).await?;
    let map = folder.map(|folder| in_force::in_force(folder, &run.stream, &states)).transpose();
    let map =
        map.map_err(|error| Failure::usage(error.to_string()))?.flatten().map(|entry| entry.map).ok_or_else(|| {
            Failure::usage(format!("stream '{}' has no field map to put records back through", run.stream))
                .remedy("tidegate provider show KEY lists the maps")
        })?;
    let connection = connection::find(store, &run.connection_key).await?.id;
    let mut plan =
        Plan { run: run.id, connection: run.connection_key.clone(), stream: run.stream.clone(), ..Plan::default() };
    let without_raw = store.written_without_raw(connection, &map.object_type, run.id).await?;
    plan.lost = u64::try_from(without_raw).unwrap_or_default();
    let mut after = 0;
    loop {
        let written = store.written_by(connection, &run.stream, &map.object_type, run.id, after, READ_AT_ONCE).await?;
        let Some(last) = written.last() else { return Ok(plan) };
        after = last.raw.0;
        for one in written {
            if !one.has_way_back() {
                plan.lost += 1;
                if plan.without_way_back.len() < LOST_SHOWN {
                    plan.without_way_back.push(one.external_id);
                }
            } else if one.before.is_some() {
                plan.put_back += 1;
            } else {
                plan.voided += 1;
            }
        }
    }
}

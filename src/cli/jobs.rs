//! `tidegate jobs …`: list, pause, resume, and the explicit way back of a cursor.

use serde_json::json;

use super::{
    App, Done,
    args::{JobArgs, JobsCommand},
    connection,
    exit::Exit,
    failure::Failure,
    names,
    print::{self, Output},
};
use crate::{
    domain::status::JobStatus,
    store::{
        SharedStore,
        catalogue::{AdminAction, Job, JobFilter},
    },
};

/// Does a `jobs` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &JobsCommand, out: Output) -> Done {
    let store = app.store().await?;
    match command {
        JobsCommand::List { connection: key } => {
            if let Some(key) = key {
                connection::find(&store, key).await?;
            }
            let filter = JobFilter { connection_keys: key.iter().cloned().collect(), streams: Vec::new() };
            let jobs = store.jobs(&filter).await?;
            app.show(out, &jobs, |view| print::jobs::job_list(view, &jobs))
        }
        JobsCommand::Pause(args) => set(app, &store, args, JobStatus::Paused, "job.pause", out).await,
        JobsCommand::Resume(args) => set(app, &store, args, JobStatus::Active, "job.resume", out).await,
        JobsCommand::ResetCursor(args) => reset(app, &store, args, out).await,
    }
}

async fn find(store: &SharedStore, args: &JobArgs) -> Result<Job, Failure> {
    let (connection_keys, streams) = (vec![args.connection.clone()], vec![args.stream.clone()]);
    names::known(store, &connection_keys, &streams).await?;
    let jobs = store.jobs(&JobFilter { connection_keys, streams }).await?;
    jobs.into_iter().next().ok_or_else(|| Failure::new(Exit::TryLater, "the job was taken away meanwhile"))
}

fn act(
    app: &App,
    job: &Job,
    action: &str,
    args: &JobArgs,
    before: serde_json::Value,
    after: serde_json::Value,
) -> AdminAction {
    AdminAction {
        actor: app.actor(),
        action: action.to_owned(),
        subject_type: "job".to_owned(),
        subject_key: format!("{}/{}", job.spec.connection_key, job.spec.stream),
        reason: Some(args.reason.clone()),
        before: Some(before),
        after: Some(after),
    }
}

async fn set(app: &App, store: &SharedStore, args: &JobArgs, status: JobStatus, action: &str, out: Output) -> Done {
    let job = find(store, args).await?;
    let act = act(app, &job, action, args, json!({"status": job.status}), json!({"status": status}));
    store.set_job_status(job.id, status, &act).await?;
    let document =
        json!({"connection": args.connection, "stream": args.stream, "before": job.status, "status": status});
    app.show(out, &document, |_| format!("{} {}: {} -> {status}", args.connection, args.stream, job.status))
}

async fn reset(app: &App, store: &SharedStore, args: &JobArgs, out: Output) -> Done {
    let job = find(store, args).await?;
    let act = act(
        app,
        &job,
        "job.reset_cursor",
        args,
        json!({"cursor_state": job.cursor_state}),
        json!({"cursor_state": null}),
    );
    if !store.reset_cursor(job.id, &act).await? {
        return Err(Failure::new(Exit::TryLater, "the job is running; its cursor cannot be reset now")
            .remedy("wait for the run to end, or pause the job first"));
    }
    let document =
        json!({"connection": args.connection, "stream": args.stream, "before": job.cursor_state, "cursor_state": null});
    app.show(out, &document, |_| {
        format!("{} {}: the cursor is forgotten; the next run reads everything", args.connection, args.stream)
    })
}

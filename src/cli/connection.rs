//! `tidegate connection …`: ask, preview, test, pause, resume, activate, revoke.

use std::sync::Arc;

use serde_json::json;

use super::{
    App, Done,
    args::ConnectionCommand,
    credential,
    exit::Exit,
    failure::Failure,
    field_maps, gate, launch, names,
    print::{self, Output, notices},
    run_once, webhook,
};
use crate::{
    connector::{
        ConnectorError, ErrorKind, TrafficMeter,
        manifest::trial::Paging,
        registry::{Kind, ProviderFolder},
    },
    domain::status::{ConnectionStatus, Environment, RunOrigin},
    launch::halted,
    pipeline::{
        in_force::in_force,
        preview::{self, preview},
    },
    scheduler::worker::{Assignment, Task},
    store::{
        SharedStore,
        catalogue::{AdminAction, Connection, Job, JobFilter},
        imports::BatchFilter,
        quality::Whose,
    },
    telemetry::{chain, redact::scrub},
};

/// Most records of a stream that a preview shows.
const MOST_PREVIEWED: usize = 100;

/// Latest imported files that `show` tells.
const IMPORTS_SHOWN: u32 = 5;

/// Does a `connection` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &ConnectionCommand, out: Output) -> Done {
    let store = app.store().await?;
    match command {
        ConnectionCommand::List => {
            let connections = store.connections().await?;
            app.show(out, &connections, |view| print::catalogue::connection_list(view, &connections))
        }
        ConnectionCommand::Show { key } => show(app, &store, key, out).await,
        ConnectionCommand::Check { key } => check(app, &store, key, out).await,
        ConnectionCommand::Authorize { key, port, wait } => {
            let wait = std::time::Duration::from_secs((*wait).into());
            credential::authorize(app, &store, key, *port, wait, out).await
        }
        ConnectionCommand::Preview { key, stream, count, raw } => {
            let (count, raw) = (*count, *raw);
            if count > MOST_PREVIEWED {
                return Err(Failure::usage(format!(
                    "a preview shows at most {MOST_PREVIEWED} records of a stream, and {count} are asked for"
                ))
                .remedy(format!(
                    "ask for fewer, or write more of them, marked as a test: tidegate connection test-batch {key} --count {count}"
                )));
            }
            show_preview(app, &store, key, stream.as_deref(), Preview { count, raw }, out).await
        }
        ConnectionCommand::TestBatch { key, stream, count } => {
            test_batch(app, &store, key, stream.as_deref(), *count, out).await
        }
        ConnectionCommand::Pause { key, reason } => {
            set(app, &store, key, ConnectionStatus::Paused, "connection.pause", Some(reason), out).await
        }
        ConnectionCommand::Revoke { key, reason } => {
            set(app, &store, key, ConnectionStatus::Revoked, "connection.revoke", Some(reason), out).await
        }
        ConnectionCommand::Resume { key, reason } => resume(app, &store, key, reason.as_deref(), out).await,
        ConnectionCommand::Webhook { key, new_path } => webhook::run(app, &store, key, *new_path, out).await,
        ConnectionCommand::Activate { key } => launch::activate(app, &store, key, out).await,
    }
}

/// The connection of that key, or what to do about a wrong one.
pub async fn find(store: &SharedStore, key: &str) -> Result<Connection, Failure> {
    if let Some(connection) = store.connection(key).await? {
        return Ok(connection);
    }
    let keys: Vec<String> = store.connections().await?.into_iter().map(|c| c.spec.connection_key).collect();
    let near = notices::nearest(key, keys.iter().map(String::as_str)).map(|k| format!("; did you mean '{k}'?"));
    Err(Failure::usage(format!("there is no connection '{key}'{}", near.unwrap_or_default()))
        .remedy("tidegate connection list shows all; tidegate apply -f FILE declares one"))
}

async fn jobs_of(store: &SharedStore, key: &str, stream: Option<&str>) -> Result<Vec<Job>, Failure> {
    let filter =
        JobFilter { connection_keys: vec![key.to_owned()], streams: stream.map(str::to_owned).into_iter().collect() };
    names::known(store, &filter.connection_keys, &filter.streams).await?;
    let jobs = store.jobs(&filter).await?;
    if jobs.is_empty() {
        return Err(Failure::usage(format!("connection '{key}' has no job"))
            .remedy("declare it under `jobs:` and run tidegate apply -f FILE"));
    }
    Ok(jobs)
}

async fn show(app: &App, store: &SharedStore, key: &str, out: Output) -> Done {
    let connection = find(store, key).await?;
    let jobs = store.jobs(&JobFilter { connection_keys: vec![key.to_owned()], streams: Vec::new() }).await?;
    let mut last_runs = Vec::new();
    for job in &jobs {
        if let Some(run) = job.last_run_id {
            last_runs.extend(store.run(run).await?);
        }
    }
    let refusal = gate::refusal(app, store, &connection).await?.unwrap_or_default();
    let filter = BatchFilter { connection_key: Some(key.to_owned()), limit: IMPORTS_SHOWN, ..BatchFilter::default() };
    let imports = store.import_batches(&filter).await?;
    let endpoint = store.webhook_endpoint(connection.id, connection.client_id).await?;
    let maps = field_maps::of_connection(app, store, &connection, &jobs).await?;
    let document = json!({
        "connection": connection, "jobs": jobs, "last_runs": last_runs, "field_maps": maps, "webhook": endpoint,
        "keeps_from_running": refusal, "imports": imports,
    });
    app.show(out, &document, |view| {
        let mut text = print::catalogue::connection_show(view, &connection, &jobs, &last_runs);
        text.push_str(&field_maps::table(view, &maps));
        text.push_str(&webhook::shown(view, endpoint.as_ref()));
        if !imports.is_empty() {
            text.push_str(&format!("\nlatest imports\n\n{}", print::imports::batch_list(view, &imports)));
        }
        if !refusal.is_empty() {
            text.push_str("\nkeeps it from running\n\n");
            for line in &refusal {
                text.push_str(&format!("  - {line}\n"));
            }
        }
        text
    })
}

/// A provider's answer as the person in front of the terminal reads it.
pub fn connector_failure(error: &ConnectorError) -> Failure {
    let message = scrub(&chain(error).to_string()).into_owned();
    let decision = crate::scheduler::policy::decide(
        &crate::pipeline::Ending::Connector(ConnectorError::new(error.kind.clone(), "")),
        false,
    );
    let exit = match &error.kind {
        ErrorKind::Settings | ErrorKind::CursorUnfit => Exit::Usage,
        ErrorKind::Policy | ErrorKind::Vault => Exit::Unsafe,
        ErrorKind::RateLimited { .. } | ErrorKind::Unavailable => Exit::TryLater,
        ErrorKind::Unauthorized
        | ErrorKind::Forbidden
        | ErrorKind::Rejected
        | ErrorKind::Decode
        | ErrorKind::PositionExpired
        | ErrorKind::Stuck => Exit::Failed,
        ErrorKind::AccountMismatch => Exit::Refused,
    };
    Failure::new(exit, message).remedy(decision.remedy.unwrap_or_default())
}

async fn check(app: &App, store: &SharedStore, key: &str, out: Output) -> Done {
    let (document, line) = identify(app, store, key).await?;
    app.show(out, &document, |_| line)
}

/// Asks the provider whose account a connection's credential opens, and keeps the answer; gives it for a machine and for a person.
///
/// # Errors
/// Another account than the declared one; what the connector and the store meet.
pub async fn identify(app: &App, store: &SharedStore, key: &str) -> Result<(serde_json::Value, String), Failure> {
    let connection = find(store, key).await?;
    let worker = app.worker(Arc::clone(store))?;
    let connector = worker.connector(&connection).map_err(|e| connector_failure(&e))?;
    let identity = connector.check(Arc::new(TrafficMeter::default())).await.map_err(|error| {
        let failure = connector_failure(&error);
        match error.kind {
            // No page was asked for: the credential is looked at first.
            ErrorKind::Decode => failure.remedy(format!(
                "look at the credential and how it is sent, then at base_url and at `identity` in the manifest, then: tidegate connection check {key}"
            )),
            _ => failure,
        }
    })?;
    let declared = &connection.spec.provider_account_id;
    if let Some(theirs) = &identity.account_id {
        let whose = Whose { connection: connection.id, client: connection.client_id };
        store.record_identity(whose, theirs).await?;
    }
    if let Some(theirs) = &identity.account_id
        && theirs != declared
    {
        return Err(Failure::new(
            Exit::Refused,
            format!("the credential of '{key}' belongs to account '{theirs}', declared is '{declared}'"),
        )
        .remedy("use the credential of the declared account, or correct provider_account_id and apply again"));
    }
    let line = match &identity.account_id {
        Some(account) => format!("{key}: the provider answers as account {account}, as declared"),
        None => format!("{key}: {} (the provider does not tell an account id)", identity.detail),
    };
    let document =
        json!({"connection": key, "identity": identity, "matches_declaration": identity.account_id.is_some()});
    Ok((document, line))
}

/// What of a preview is wanted.
struct Preview {
    count: usize,
    /// Each record as it came, not only the first.
    raw: bool,
}

async fn show_preview(
    app: &App,
    store: &SharedStore,
    key: &str,
    stream: Option<&str>,
    wanted: Preview,
    out: Output,
) -> Done {
    let connection = find(store, key).await?;
    let jobs = jobs_of(store, key, stream).await?;
    let worker = app.worker(Arc::clone(store))?;
    let connector = worker.connector(&connection).map_err(|e| connector_failure(&e))?;
    let mut text = String::new();
    let mut document = serde_json::Map::new();
    for job in &jobs {
        let name = &job.spec.stream;
        let folder = worker.catalogue.folder(&job.provider_key);
        let states = store.field_maps(Some(&job.provider_key)).await?;
        let entry = folder.map_or(Ok(None), |f| in_force(f, name, &states)).map_err(|e| connector_failure(&e))?;
        let mut shown = preview(
            connector.as_ref(),
            entry.as_ref().map(|entry| entry.map.as_ref()),
            &connection.spec.provider_account_id,
            &worker.clock,
            name,
            wanted.count,
        )
        .await
        .map_err(|e| connector_failure(&e))?;
        shown.full_and_last &= folder.is_some_and(|folder| is_led_on(folder, name));
        let view = print::View::of_stdout(app.now());
        text.push_str(&print::preview::previewed(&view, name, &shown.records, wanted.raw));
        text.push_str(&print::preview::asked(&shown.asked));
        let map = entry.as_ref().map(|entry| entry.map.as_ref());
        text.push_str(&print::preview::looked(&preview::looked_at(&shown, map, app.now())));
        document.insert(name.clone(), json!(shown.records));
    }
    text.push_str("nothing was written\n");
    app.show(out, &document, |_| text)
}

/// Whether the stream asks for pages of a size and its answers lead on to the next one. Elsewhere a full page says nothing.
fn is_led_on(folder: &ProviderFolder, stream: &str) -> bool {
    let Kind::Manifest(manifest) = &folder.kind else { return false };
    manifest.profiles().iter().any(|profile| {
        profile.spec.name == stream && profile.size_sent && matches!(profile.paging, Paging::Token | Paging::Link)
    })
}

async fn test_batch(
    app: &App,
    store: &SharedStore,
    key: &str,
    stream: Option<&str>,
    count: Option<usize>,
    out: Output,
) -> Done {
    let assignments = test_assignments(app, store, key, stream, count).await?;
    run_once::assignments(app, Arc::clone(store), assignments, out).await
}

/// The test batches of a connection's jobs, or of one.
///
/// # Errors
/// The connection is paused or revoked, or has no such job.
pub async fn test_assignments(
    app: &App,
    store: &SharedStore,
    key: &str,
    stream: Option<&str>,
    count: Option<usize>,
) -> Result<Vec<Assignment>, Failure> {
    let connection = find(store, key).await?;
    if matches!(connection.status, ConnectionStatus::Revoked | ConnectionStatus::Paused) {
        return Err(Failure::new(Exit::Refused, halted(&connection).unwrap_or_default().join("\n")));
    }
    let records = count.unwrap_or(usize::try_from(app.settings.pipeline.test_batch_records).unwrap_or(usize::MAX));
    let jobs = jobs_of(store, key, stream).await?;
    let batch = |job: &Job| Assignment { job: job.id, origin: RunOrigin::TestBatch, task: Task::TestBatch { records } };
    Ok(jobs.iter().map(batch).collect())
}

async fn set(
    app: &App,
    store: &SharedStore,
    key: &str,
    status: ConnectionStatus,
    action: &str,
    reason: Option<&str>,
    out: Output,
) -> Done {
    let before = find(store, key).await?;
    let act = act(app, action, &before, json!({"status": status}), reason);
    store.set_connection_status(key, status, reason, &act).await?;
    let document = json!({"connection": key, "before": before.status, "status": status});
    app.show(out, &document, |_| format!("{key}: {} -> {status}", before.status))
}

/// A human act on a connection.
pub fn act(
    app: &App,
    action: &str,
    before: &Connection,
    after: serde_json::Value,
    reason: Option<&str>,
) -> AdminAction {
    AdminAction {
        actor: app.actor(),
        action: action.to_owned(),
        subject_type: "connection".to_owned(),
        subject_key: before.spec.connection_key.clone(),
        reason: reason.map(str::to_owned),
        before: Some(json!({"status": before.status})),
        after: Some(after),
    }
}

async fn resume(app: &App, store: &SharedStore, key: &str, reason: Option<&str>, out: Output) -> Done {
    let before = find(store, key).await?;
    let status = match before.status {
        ConnectionStatus::Revoked => {
            return Err(Failure::new(
                Exit::Refused,
                format!("{key} is revoked; a revoked connection does not come back"),
            )
            .remedy("declare a new connection"));
        }
        // What it was before is not kept: it has to prove itself again, in production through what let it go live.
        ConnectionStatus::Paused | ConnectionStatus::NeedsAuth => {
            if before.spec.environment == Environment::Production && before.activated_at.is_some() {
                ConnectionStatus::Connected
            } else {
                ConnectionStatus::Draft
            }
        }
        ConnectionStatus::Draft
        | ConnectionStatus::Testing
        | ConnectionStatus::Connected
        | ConnectionStatus::ManualImport => {
            let document = json!({"connection": key, "status": before.status});
            return app.show(out, &document, |_| format!("{key} is {}: nothing to resume", before.status));
        }
    };
    set(app, store, key, status, "connection.resume", reason, out).await
}

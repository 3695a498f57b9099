//! `tidegate import`: a file that a person brings, and the list of those.
//!
//! Owns what is asked before anything is written: whether the connection may run, whether the job is there, whether the file fits and
//! whether it was imported before. Refuses a source label that names another source than the connection's (P16).

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};

use super::{
    App, Done,
    args::import::{FileArgs, ImportArgs, ImportCommand},
    connection,
    exit::Exit,
    failure::Failure,
    gate, names,
    print::{
        self, Output, notices,
        progress::{JobProgress, ProgressBoard},
    },
    run_once, safety,
};
use crate::{
    connector::{
        StreamSpec,
        file::import::{FileFrom, HeaderProblems, ImportFile, Refused, Said},
    },
    domain::status::{JobStatus, RunOrigin},
    lifecycle,
    mapping::FieldMap,
    pipeline::{Ending, OnProgress, rehearsal::Rehearsal},
    scheduler::{
        due,
        import::FileTask,
        worker::{Assignment, Report, Task, Worker},
    },
    store::{
        SharedStore,
        catalogue::{Connection, Job, JobFilter},
        imports::{BatchFilter, NewBatch},
    },
};

/// Longest name of a person and of a label that a batch keeps.
const LONGEST_TEXT: usize = 190;

/// Does an `import` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, args: &ImportArgs, out: Output) -> Done {
    match &args.command {
        Some(ImportCommand::List { connection, stream, limit }) => {
            let store = app.store().await?;
            names::known(&store, connection.as_slice(), stream.as_slice()).await?;
            let filter = BatchFilter { connection_key: connection.clone(), stream: stream.clone(), limit: *limit };
            let batches = store.import_batches(&filter).await?;
            app.show(out, &batches, |view| print::imports::batch_list(view, &batches))
        }
        None => file(app, &args.file, out).await,
    }
}

/// What an import needs besides the file.
struct Ground {
    store: SharedStore,
    worker: Arc<Worker>,
    connection: Connection,
    job: Job,
    map: Arc<FieldMap>,
    spec: StreamSpec,
    label: String,
}

async fn file(app: &App, args: &FileArgs, out: Output) -> Done {
    let store = app.store().await?;
    if !args.dry_run {
        safety::prove_narrow_user(app, &store).await?;
    }
    let ground = ground(app, store, args).await?;
    let refusal = refusal(app, &ground).await?;
    if let Some(lines) = &refusal {
        let head = format!("{} may not run:", ground.connection.spec.connection_key);
        if !args.dry_run {
            return Err(gate::refused(
                &head,
                lines,
                "nothing was read; tidegate import --dry-run reads and writes nothing",
            ));
        }
        notices::warn(&format!("{head}\n{}", lines.join("\n")));
    }
    let opened = open(&ground, args).await?;
    let opened = Arc::new(opened);
    tell_columns(&opened);
    if args.dry_run {
        return rehearse(app, &ground, args, &opened, out).await;
    }
    let (connection, stream) = (&ground.connection, &ground.job.spec.stream);
    let known = ground.store.completed_import(connection.id, connection.client_id, stream, &opened.hash).await?;
    if let Some(known) = known.filter(|_| !args.again) {
        let document = json!({"import": known, "known": true, "run": null});
        return app.show(out, &document, |view| print::imports::known(view, &opened.name, &known));
    }
    import(app, &ground, &opened, out).await
}

async fn ground(app: &App, store: SharedStore, args: &FileArgs) -> Result<Ground, Failure> {
    let (key, stream) = (args.connection.clone().unwrap_or_default(), args.stream.clone().unwrap_or_default());
    let connection = connection::find(&store, &key).await?;
    let worker = app.worker(Arc::clone(&store))?;
    let provider = &connection.spec.provider_key;
    let folder = worker.catalogue.folder(provider).cloned().ok_or_else(|| {
        Failure::usage(format!("provider '{provider}' has no usable folder in connectors.dirs"))
            .remedy("tidegate validate says what is wrong with it")
    })?;
    let Some(spec) = folder.streams.iter().find(|spec| spec.name == stream).cloned() else {
        let all: Vec<&str> = folder.streams.iter().map(|spec| spec.name.as_str()).collect();
        let near = notices::nearest(&stream, all.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        return Err(Failure::usage(format!("provider '{provider}' has no stream '{stream}'{near}"))
            .remedy(format!("its streams: {}", all.join(", "))));
    };
    let filter = JobFilter { connection_keys: vec![key.clone()], streams: vec![stream.clone()] };
    let Some(job) = store.jobs(&filter).await?.pop() else {
        return Err(Failure::usage(format!("{key} has no job for stream '{stream}'")).remedy(format!(
            "declare it under the connection's `jobs:` as {{ stream: {stream}, schedule: manual }}, then: tidegate apply -f FILE"
        )));
    };
    let map =
        worker.field_map(job.id).await?.map_err(|error| connection::connector_failure(&error))?.ok_or_else(|| {
            Failure::usage(format!(
                "stream '{stream}' of provider '{provider}' has no field map: its rows could not be mapped"
            ))
            .remedy(format!("write {}", folder.dir.join(format!("mappings/{stream}.yaml")).display()))
        })?;
    let label = label(&store, &connection, args.source_label.as_deref()).await?;
    Ok(Ground { store, worker, connection, job, map, spec, label })
}

/// What the file is called as a source. A label stands for one source: an object of another one must not become this one's record.
async fn label(store: &SharedStore, connection: &Connection, said: Option<&str>) -> Result<String, Failure> {
    let own = connection.spec.source_label.trim();
    let label = said.map_or_else(|| format!("{own} (file)"), str::to_owned);
    let addition = label.strip_prefix(own).map(str::trim);
    let same = addition.is_some_and(|rest| rest.is_empty() || rest.starts_with('(') && rest.ends_with(')'));
    if same {
        return Ok(label.chars().take(LONGEST_TEXT).collect());
    }
    let of_client = store.connections().await?.into_iter().filter(|other| other.client_id == connection.client_id);
    let fitting: Vec<String> = of_client
        .filter(|other| other.spec.source_label.trim() == label)
        .map(|other| other.spec.connection_key)
        .collect();
    let remedy = match fitting.as_slice() {
        [] => format!(
            "declare a connection of its own with source_label: {label} and import the file there; or say \"{own} (...)\""
        ),
        keys => format!("import it into {}, whose source label that is", keys.join(" or ")),
    };
    let key = &connection.spec.connection_key;
    Err(Failure::usage(format!(
        "'{label}' names another source than '{own}', which is that of {key}: two sources are never merged"
    ))
    .remedy(remedy))
}

/// Why nothing may be imported now; `None` when it may.
async fn refusal(app: &App, ground: &Ground) -> Result<Option<Vec<String>>, Failure> {
    if let Some(lines) = gate::refusal(app, &ground.store, &ground.connection).await? {
        return Ok(Some(lines));
    }
    let spec = &ground.job.spec;
    Ok(match ground.job.status {
        JobStatus::Active => None,
        JobStatus::Paused | JobStatus::Quarantined => Some(vec![format!(
            "its job {} is {}: tidegate jobs resume --connection {} --stream {} --reason TEXT",
            spec.stream, ground.job.status, spec.connection_key, spec.stream
        )]),
    })
}

async fn open(ground: &Ground, args: &FileArgs) -> Result<ImportFile, Failure> {
    let path = args.file.clone().unwrap_or_default();
    let from = if path == Path::new("-") { FileFrom::StandardInput } else { FileFrom::Path(path) };
    let said = Said {
        json: args.format.as_deref().map(|format| format == "jsonl"),
        delimiter: args.delimiter,
        encoding: args.encoding,
        columns: args.columns.clone(),
    };
    let (spec, map) = (ground.spec.clone(), Arc::clone(&ground.map));
    let opened = tokio::task::spawn_blocking(move || ImportFile::open(&from, &said, &spec, &map)).await;
    let opened = opened.map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
    opened.map_err(|refused| match refused {
        Refused::File { message, remedy } => Failure::usage(message).remedy(remedy),
        Refused::Header(problems) => header(args, &ground.job.spec.stream, &problems),
    })
}

fn header(args: &FileArgs, stream: &str, problems: &HeaderProblems) -> Failure {
    let name = args.file.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let lines = |lines: &[String]| lines.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n");
    let found: Vec<String> = problems.found.iter().map(|name| format!("\"{name}\"")).collect();
    Failure::usage(format!(
        "{} does not fit stream '{stream}'; nothing was written\n{}\nfound: {}\nexpected, each by any of its names:\n{}",
        name.unwrap_or_else(|| "stdin".to_owned()),
        lines(&problems.problems),
        found.join(", "),
        lines(&problems.expected),
    ))
    .remedy("name the columns so, or say which is which, e.g. --map \"Record ID=id\"; another delimiter: --delimiter \";\"")
}

/// Once, before anything is read: what no field takes, and what no column brings.
fn tell_columns(file: &ImportFile) {
    let quoted = |names: &[String]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    if !file.columns.unmatched.is_empty() {
        notices::tell(&format!("note: no field takes {}; kept with the raw rows", quoted(&file.columns.unmatched)));
    }
    if !file.columns.absent.is_empty() {
        notices::tell(&format!(
            "note: no column brings {}; empty in each row of this file",
            quoted(&file.columns.absent)
        ));
    }
}

fn columns(file: &ImportFile) -> Value {
    let told = file.columns.told().into_iter().map(|(column, place)| (column, Value::from(place)));
    json!({"places": Value::Object(told.collect()), "unmatched": file.columns.unmatched, "absent": file.columns.absent})
}

/// Draws how far the file has been read.
fn watch(
    app: &App,
    ground: &Ground,
    file: &Arc<ImportFile>,
    board: &Arc<ProgressBoard<std::io::Stderr>>,
) -> OnProgress {
    let (board, clock, file) = (Arc::clone(board), Arc::clone(&app.clock), Arc::clone(file));
    let (connection_key, stream) = (ground.job.spec.connection_key.clone(), ground.job.spec.stream.clone());
    let began = clock.monotonic();
    Arc::new(move |progress| {
        let now = clock.monotonic();
        let news = JobProgress {
            connection_key: connection_key.clone(),
            stream: stream.clone(),
            page: i64::try_from(progress.pages).unwrap_or(i64::MAX),
            counts: progress.counts,
            elapsed: now.saturating_sub(began),
            read: Some((file.read_so_far(), file.bytes)),
            end: None,
        };
        board.update(now, news);
    })
}

async fn rehearse(app: &App, ground: &Ground, args: &FileArgs, file: &Arc<ImportFile>, out: Output) -> Done {
    let rehearsed = ground.worker.rehearsed(ground.job.id, Arc::clone(file), Arc::clone(&ground.map)).await?;
    let board = Arc::new(ProgressBoard::of_stderr());
    let rehearsal = rehearsed.run(args.errors, &watch(app, ground, file, &board)).await.map_err(ending)?;
    let Rehearsal { counts, errors, over_budget } = &rehearsal;
    let document = json!({
        "dry_run": true, "file_name": file.name, "file_hash": file.hash, "encoding": file.encoding.name(),
        "records_seen": counts.seen, "records_created": counts.created, "records_updated": counts.updated,
        "records_unchanged": counts.unchanged, "records_duplicate": counts.duplicate,
        "records_ignored": counts.ignored, "records_failed": counts.failed,
        "errors": errors, "over_budget": over_budget, "columns": columns(file),
    });
    app.show(out, &document, |_| print::imports::rehearsal(&file.name, &rehearsal))?;
    Ok(if counts.failed > 0 { Exit::Partial } else { Exit::Done })
}

fn ending(ending: Ending) -> Failure {
    match ending {
        Ending::Store(error) => error.into(),
        Ending::Connector(error) => connection::connector_failure(&error),
        other => Failure::new(Exit::Internal, format!("{other:?}")),
    }
}

async fn import(app: &App, ground: &Ground, file: &Arc<ImportFile>, out: Output) -> Done {
    let stop = lifecycle::stop_on_signals()?;
    // What a killed import has left is closed first.
    due::recover(&ground.worker).await;
    let batch = NewBatch {
        file_name: file.name.clone(),
        file_hash: file.hash.clone(),
        file_bytes: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        source_label: ground.label.clone(),
        imported_by: app.actor().chars().take(LONGEST_TEXT).collect(),
    };
    let task = FileTask { file: Arc::clone(file), batch, map_version: ground.map.version.clone() };
    let assignment = Assignment { job: ground.job.id, origin: RunOrigin::Import, task: Task::Import(Box::new(task)) };
    let board = Arc::new(ProgressBoard::of_stderr());
    let report = ground.worker.run(&assignment, &stop, watch(app, ground, file, &board)).await;
    if let Ok(Report::Ran(report)) = &report {
        board.update(app.clock.monotonic(), run_once::ended(report));
    }
    let (exit, document) = run_once::outcome(&report);
    let batch = match &report {
        Ok(Report::Ran(ran)) => {
            let key = Some(ground.connection.spec.connection_key.clone());
            let filter = BatchFilter { connection_key: key, stream: Some(ground.job.spec.stream.clone()), limit: 20 };
            ground.store.import_batches(&filter).await?.into_iter().find(|batch| batch.run_id == ran.run)
        }
        _ => None,
    };
    let document = json!({"import": batch, "known": false, "run": document, "columns": columns(file)});
    if out.json || batch.is_some() {
        app.show(out, &document, |_| batch.as_ref().map(print::imports::imported).unwrap_or_default())?;
    }
    Ok(exit)
}

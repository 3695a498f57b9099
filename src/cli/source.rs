//! `tidegate source …`: one manifest as a source for any platform.

use std::{io, path::Path, sync::Arc};

use serde_json::Value;

use super::{
    App, Done,
    args::{SourceArgs, SourceCommand},
    exit::Exit,
    failure::Failure,
};
use crate::{
    connector::manifest::Manifest,
    domain::{
        clock::{Clock, Timestamp},
        status::SyncMode,
    },
    source::{self, ConfiguredCatalog, Out, Source, SourceClock},
};

/// Nobody shares the account with a reading by hand: what holds it back is the manifest's own pace.
const REQUESTS_PER_SECOND: f64 = 10_000.0;
/// A reading waits for a limit as long as the manifest's error handling lets it.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// Does a `source` command.
///
/// # Errors
/// See [`Failure`]: files that cannot be read, a manifest that is refused. What a provider answers is told by messages.
pub async fn run(app: &App, command: &SourceCommand) -> Done {
    let out = Out::new(io::BufWriter::new(io::stdout()));
    match command {
        SourceCommand::Spec(args) => {
            source::spec(&manifest(&args.manifest)?, &out).map_err(closed)?;
            Ok(Exit::Done)
        }
        SourceCommand::Check(args) => {
            // The answer is the message; the protocol has no other.
            open(app, args)?.0.check(&out).await.map_err(closed)?;
            Ok(Exit::Done)
        }
        SourceCommand::Discover(args) => {
            open(app, args)?.0.discover(&out).map_err(closed)?;
            Ok(Exit::Done)
        }
        SourceCommand::Read { source, catalog, state } => {
            let loaded = manifest(&source.manifest.manifest)?;
            let catalog = match catalog {
                Some(file) => ConfiguredCatalog::parse(&json(file)?)
                    .map_err(|wrong| Failure::usage(format!("{}: {}", file.display(), wrong.join("; "))))?,
                None => ConfiguredCatalog {
                    streams: loaded.streams().iter().map(|s| (s.name.clone(), SyncMode::FullRefresh)).collect(),
                    schemas: serde_json::Map::new(),
                },
            };
            let states = state.as_deref().map(json).transpose()?.map(|document| source::states(&document));
            let (opened, clock) = bind(app, loaded, source)?;
            let read = opened.read(&catalog, &states.unwrap_or_default(), &clock, &out).await.map_err(closed)?;
            Ok(if read.failed.is_empty() { Exit::Done } else { Exit::Failed })
        }
    }
}

fn open(app: &App, args: &SourceArgs) -> Result<(Source, Arc<SourceClock>), Failure> {
    bind(app, manifest(&args.manifest.manifest)?, args)
}

fn bind(app: &App, manifest: Manifest, args: &SourceArgs) -> Result<(Source, Arc<SourceClock>), Failure> {
    let now = args.now.as_deref().map(|text| {
        text.parse::<Timestamp>().map_err(|_| {
            Failure::usage(format!("--now: '{text}' is no time")).remedy("write e.g. 2026-01-31T08:00:00Z")
        })
    });
    let clock = Arc::new(SourceClock::new(Arc::clone(&app.clock), now.transpose()?, args.no_wait));
    let mut settings = app.settings.clone();
    settings.http.requests_per_second = REQUESTS_PER_SECOND;
    settings.http.burst = u32::MAX;
    settings.http.longest_wait = LONGEST_WAIT;
    let gate = App::gate_of(settings, Arc::clone(&clock) as Arc<dyn Clock>)?;
    let source = Source::new(manifest, json(&args.config)?, gate)
        .map_err(|error| Failure::usage(format!("{}: {}", args.config.display(), error.message)))?;
    Ok((source, clock))
}

fn text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("{}: cannot be read: {error}", file.display())).remedy("name a file that you may read")
    })
}

fn json(file: &Path) -> Result<Value, Failure> {
    serde_json::from_str(&text(file)?).map_err(|error| {
        Failure::usage(format!("{}:{}: not readable as JSON", file.display(), error.line())).remedy("correct the file")
    })
}

fn manifest(file: &Path) -> Result<Manifest, Failure> {
    Manifest::load(&text(file)?).map_err(|problems| {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| {
                let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
                let place = if problem.field.is_empty() { String::new() } else { format!("{}: ", problem.field) };
                format!("{}{line}: {place}{} ({})", file.display(), problem.message, problem.remedy)
            })
            .collect();
        Failure::usage(lines.join("\n")).remedy("correct the manifest")
    })
}

/// Whoever reads our output went away.
fn closed(error: io::Error) -> Failure {
    Failure::usage(format!("the output cannot be written: {error}"))
}

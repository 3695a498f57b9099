//! `tidegate normalize --diff`: what a version of a field map would change, before it is in force.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{
    App, Done,
    connection::{connector_failure, find},
    exit::Exit,
    failure::Failure,
    print::{Output, diff, notices},
};
use crate::{
    connector::registry::ProviderFolder,
    lifecycle,
    mapping::FieldMap,
    metrics::shadow::{Shift, watch},
    pipeline::{
        Stop, StopReason,
        in_force::in_force,
        shadow::{Changes, Shadow},
    },
    store::{SharedStore, catalogue::Job},
};

/// What one version would do to one stream of a connection.
pub struct StreamDiff {
    pub stream: String,
    /// `None`: no version is in force.
    pub in_force: Option<String>,
    pub version: String,
    pub changes: Changes,
}

/// What the compared versions would do to a connection.
pub struct ConnectionDiff {
    pub connection_key: String,
    pub client_key: String,
    pub streams: Vec<StreamDiff>,
    /// All streams together, of the windows that clients see or start from.
    pub shifts: Vec<Shift>,
}

/// Compares the versions and tells what would change.
///
/// # Errors
/// See [`Failure`]: no such version, or what the store meets.
pub async fn run(app: &App, store: &SharedStore, jobs: &[Job], version: Option<&str>, out: Output) -> Done {
    let compared = compared(app, store, jobs, version).await?;
    if compared.is_empty() {
        let document = diff::document(&[]);
        return app.show(out, &document, |_| "no stream has another version of its field map\n".to_owned());
    }
    let diffs = diffs(app, store, &compared).await?;
    app.show(out, &diff::document(&diffs), |view| diff::text(view, &diffs) + "nothing was written\n")?;
    let stopped = diffs.iter().flat_map(|diff| &diff.streams).any(|stream| stream.changes.stopped);
    Ok(if stopped { Exit::TryLater } else { Exit::Done })
}

/// A job with the version that is held against its records.
pub struct Compared<'j> {
    pub job: &'j Job,
    pub in_force: Option<String>,
    pub map: Arc<FieldMap>,
}

/// Which version is compared for each job: the named one, or the highest that is not in force. Jobs without one are left out.
async fn compared<'j>(
    app: &App,
    store: &SharedStore,
    jobs: &'j [Job],
    version: Option<&str>,
) -> Result<Vec<Compared<'j>>, Failure> {
    let (catalogue, problems) = app.load_catalogue();
    for problem in &problems {
        notices::warn(&problem.to_string());
    }
    let states = store.field_maps(None).await?;
    let mut compared = Vec::new();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for job in jobs {
        let Some(folder) = catalogue.folder(&job.provider_key) else { continue };
        let stream = &job.spec.stream;
        let entry = in_force(folder, stream, &states).map_err(|error| connector_failure(&error))?;
        let in_force = entry.map(|entry| entry.map.version.clone());
        let known = folder.maps_of(stream).map(|map| map.version.clone());
        versions.insert(format!("{}/{stream}", job.provider_key), known.collect());
        let map = match version {
            Some(version) => folder.maps_of(stream).find(|map| map.version == version),
            None => folder.maps_of(stream).filter(|map| Some(&map.version) != in_force.as_ref()).last(),
        };
        compared.extend(map.map(|map| Compared { job, in_force, map: Arc::clone(map) }));
    }
    match version.filter(|_| compared.is_empty()) {
        Some(version) => Err(no_version(version, &versions)),
        None => Ok(compared),
    }
}

/// The refusal of a version that stands in no folder.
pub fn no_version(version: &str, versions: &BTreeMap<String, Vec<String>>) -> Failure {
    let known: Vec<String> =
        versions.iter().map(|(stream, versions)| format!("{stream}: {}", versions.join(", "))).collect();
    let known = if known.is_empty() { "there are no field maps".to_owned() } else { known.join("; ") };
    Failure::usage(format!("no field map has the version '{version}'"))
        .remedy(format!("versions in connectors.dirs: {known}"))
}

/// The version of each of a folder's streams that are meant.
pub fn versions_of(folder: &ProviderFolder) -> BTreeMap<String, Vec<String>> {
    let of = |stream: &str| folder.maps_of(stream).map(|map| map.version.clone()).collect::<Vec<_>>();
    folder.streams.iter().map(|stream| (format!("{}/{}", folder.provider_key, stream.name), of(&stream.name))).collect()
}

/// Walks over the raw events of all jobs. Streams of one connection move the same numbers, so they are taken together.
///
/// # Errors
/// Those of the store.
pub async fn diffs(app: &App, store: &SharedStore, compared: &[Compared<'_>]) -> Result<Vec<ConnectionDiff>, Failure> {
    let gatekeeper = app.gatekeeper(SharedStore::clone(store))?;
    let (stop, asked) = (Stop::new(), lifecycle::stop_on_signals()?);
    let mut by_connection: BTreeMap<&str, Vec<&Compared<'_>>> = BTreeMap::new();
    for one in compared {
        by_connection.entry(&one.job.spec.connection_key).or_default().push(one);
    }
    let mut diffs = Vec::new();
    for (key, compared) in by_connection {
        let connection = find(store, key).await?;
        let tables: Vec<&str> = compared.iter().map(|one| one.map.table.name).collect();
        let mut watched = watch(&gatekeeper.desk(), &connection, &tables).await?;
        let mut streams = Vec::new();
        let mut told = true;
        for one in compared {
            let shadow = Shadow { store, connection: &connection, map: Arc::clone(&one.map), stop: stop.clone() };
            let walk = shadow.walk(&mut watched);
            tokio::pin!(walk);
            let changes = tokio::select! {
                changes = &mut walk => changes?,
                () = asked.cancelled() => {
                    stop.stop(StopReason::Shutdown);
                    walk.await?
                }
            };
            told &= !changes.stopped && !changes.too_many;
            streams.push(StreamDiff {
                stream: one.job.spec.stream.clone(),
                in_force: one.in_force.clone(),
                version: one.map.version.clone(),
                changes,
            });
        }
        let mut shifts = Vec::new();
        for mut one in watched {
            if !told {
                one.untellable();
            }
            shifts.push(one.shift(store).await?);
        }
        let client_key = connection.spec.client_key.clone();
        diffs.push(ConnectionDiff { connection_key: key.to_owned(), client_key, streams, shifts });
    }
    Ok(diffs)
}

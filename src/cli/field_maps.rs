//! Which field maps a connection's records go through: what `connection show` tells of them.

use serde::Serialize;

use super::{
    App,
    failure::Failure,
    print::{View, catalogue::field_map_list},
};
use crate::{
    domain::clock::Timestamp,
    pipeline::in_force::{in_force, waiting},
    store::{
        SharedStore,
        catalogue::{Connection, Job},
        field_maps::standing,
    },
};

/// The field map of one stream of a connection.
#[derive(Debug, Serialize)]
pub struct FieldMapView {
    pub stream: String,
    /// `None`: nothing maps the stream, or what is wrong with its map stands in `problem`.
    pub in_force: Option<String>,
    pub activated_at: Option<Timestamp>,
    pub activated_by: Option<String>,
    /// Higher versions in the folder, which wait to be activated.
    pub waiting: Vec<String>,
    pub records: i64,
    /// Records that another version has written last.
    pub records_of_other_versions: i64,
    pub problem: Option<String>,
}

/// One view for each job, in the order of the jobs.
///
/// # Errors
/// Those of the store.
pub async fn of_connection(
    app: &App,
    store: &SharedStore,
    connection: &Connection,
    jobs: &[Job],
) -> Result<Vec<FieldMapView>, Failure> {
    let provider = &connection.spec.provider_key;
    let (catalogue, _) = app.load_catalogue();
    let states = store.field_maps(Some(provider)).await?;
    let written = store.mapped_by(connection.client_id, connection.id).await?;
    let view = |job: &Job| {
        let stream = &job.spec.stream;
        let folder = catalogue.folder(provider);
        let (map, problem) = match folder.map(|folder| in_force(folder, stream, &states)) {
            None => (None, Some("the provider has no usable folder in connectors.dirs".to_owned())),
            Some(Err(error)) => (None, Some(error.message)),
            Some(Ok(entry)) => (entry.map(|entry| entry.map), None),
        };
        let of_type = |wanted: &str| written.iter().filter(move |by| by.object_type == wanted).collect::<Vec<_>>();
        let records = map.as_ref().map(|map| of_type(&map.object_type)).unwrap_or_default();
        let version = map.as_ref().map(|map| map.version.clone());
        let state = standing(&states, provider, stream).filter(|state| Some(&state.version) == version.as_ref());
        FieldMapView {
            stream: stream.clone(),
            activated_at: state.map(|state| state.activated_at),
            activated_by: state.map(|state| state.activated_by.clone()),
            waiting: folder
                .zip(version.as_ref())
                .map(|(folder, version)| waiting(folder, stream, version))
                .unwrap_or_default()
                .iter()
                .map(|map| map.version.clone())
                .collect(),
            records: records.iter().map(|by| by.records).sum(),
            records_of_other_versions: records.iter().filter(|by| by.version != version).map(|by| by.records).sum(),
            in_force: version,
            problem,
        }
    };
    Ok(jobs.iter().map(view).collect())
}

/// The views as a table with its heading; nothing where there are none.
pub fn table(view: &View, maps: &[FieldMapView]) -> String {
    if maps.is_empty() { String::new() } else { format!("\nfield maps\n\n{}", field_map_list(view, maps)) }
}

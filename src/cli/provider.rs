//! `tidegate provider …`: the connector catalogue. What is in the folders is what there is; the database is asked only which of several
//! versions of a field map is in force, and is not needed for anything else.

use super::{
    App, Done,
    args::ProviderCommand,
    failure::Failure,
    print::{
        Output,
        catalogue::{ProviderStreamView, ProviderView, provider_list, provider_show},
        conformance::checks,
        notices,
    },
};
use crate::{
    conformance::score::{self, Known},
    connector::registry::ProviderFolder,
    pipeline::in_force::{in_force, waiting},
    store::field_maps::FieldMapState,
};

/// Does a `provider` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &ProviderCommand, out: Output) -> Done {
    let (catalogue, problems) = app.load_catalogue();
    for problem in &problems {
        notices::warn(&problem.to_string());
    }
    match command {
        ProviderCommand::List => {
            let without_checks =
                |folder: &std::sync::Arc<ProviderFolder>| ProviderView { checks: Vec::new(), ..view(folder, &[]) };
            let views: Vec<ProviderView> = catalogue.folders().map(without_checks).collect();
            app.show(out, &views, |v| provider_list(v, &views))
        }
        ProviderCommand::Show { key } => {
            let folder = catalogue.folder(key).ok_or_else(|| {
                let near = notices::nearest(key, catalogue.folders().map(|f| f.provider_key.as_str()));
                let near = near.map(|k| format!("; did you mean '{k}'?")).unwrap_or_default();
                Failure::usage(format!("there is no provider '{key}'{near}"))
                    .remedy("tidegate provider list shows all; connectors.dirs names the folders")
            })?;
            let shown = view(folder, &states(app, folder).await);
            app.show(out, &shown, |v| {
                let mut text = provider_show(v, &shown);
                if !shown.checks.is_empty() {
                    text.push_str("\nconformance\n\n");
                    text.push_str(&checks(v, &shown.checks));
                }
                text
            })
        }
    }
}

/// What was activated, where a stream has several versions to choose from.
async fn states(app: &App, folder: &ProviderFolder) -> Vec<FieldMapState> {
    if folder.streams.iter().all(|stream| folder.maps_of(&stream.name).count() < 2) {
        return Vec::new();
    }
    let read = async { Ok::<_, Failure>(app.store().await?.field_maps(Some(&folder.provider_key)).await?) };
    read.await.unwrap_or_else(|failure| {
        notices::warn(&format!("which field maps are in force cannot be read: {}", failure.message));
        Vec::new()
    })
}

fn view(folder: &ProviderFolder, states: &[FieldMapState]) -> ProviderView {
    let in_force = |stream: &str| in_force(folder, stream, states).ok().flatten().map(|entry| entry.map);
    let streams = folder.streams.iter().map(|stream| ProviderStreamView {
        name: stream.name.clone(),
        primary_key: stream.primary_key.iter().map(|path| path.join(".")).collect::<Vec<_>>().join(", "),
        sync_modes: stream.sync_modes.iter().map(ToString::to_string).collect(),
        cursor_field: stream.cursor_field.clone(),
        field_map: in_force(&stream.name).map(|map| format!("{} -> {}", map.version, map.table.name)),
        waiting: in_force(&stream.name)
            .map(|map| waiting(folder, &stream.name, &map.version).iter().map(|map| map.version.clone()).collect())
            .unwrap_or_default(),
    });
    let known = score::read(&folder.dir);
    ProviderView {
        provider_key: folder.provider_key.clone(),
        name: folder.name.clone(),
        category: folder.category.clone(),
        auth_type: folder.auth_type.clone(),
        status: "active".to_owned(),
        owner: None,
        reason: None,
        limits: folder.limits.clone(),
        streams: streams.collect(),
        webhook: folder.webhook.as_ref().map(|webhook| webhook.lines()).unwrap_or_default(),
        conformance: Some(known.word()),
        checks: match known {
            Known::Score(score) => score.report.checks,
            Known::Stale | Known::None => Vec::new(),
        },
    }
}

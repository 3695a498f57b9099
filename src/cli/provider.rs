//! `tidegate provider …`: the connector catalogue. Needs no database: what is in the folders is what there is.

use super::{
    App, Done,
    args::ProviderCommand,
    failure::Failure,
    print::{
        Output,
        catalogue::{ProviderStreamView, ProviderView, provider_list, provider_show},
        notices,
    },
};
use crate::connector::registry::ProviderFolder;

/// Does a `provider` command.
///
/// # Errors
/// See [`Failure`].
pub fn run(app: &App, command: &ProviderCommand, out: Output) -> Done {
    let (catalogue, problems) = app.load_catalogue();
    for problem in &problems {
        notices::warn(&problem.to_string());
    }
    match command {
        ProviderCommand::List => {
            let views: Vec<ProviderView> = catalogue.folders().map(|f| view(f)).collect();
            app.show(out, &views, |v| provider_list(v, &views))
        }
        ProviderCommand::Show { key } => {
            let folder = catalogue.folder(key).ok_or_else(|| {
                let near = notices::nearest(key, catalogue.folders().map(|f| f.provider_key.as_str()));
                let near = near.map(|k| format!("; did you mean '{k}'?")).unwrap_or_default();
                Failure::usage(format!("there is no provider '{key}'{near}"))
                    .remedy("tidegate provider list shows all; connectors.dirs names the folders")
            })?;
            let shown = view(folder);
            app.show(out, &shown, |v| provider_show(v, &shown))
        }
    }
}

fn view(folder: &ProviderFolder) -> ProviderView {
    let streams = folder.streams.iter().map(|stream| ProviderStreamView {
        name: stream.name.clone(),
        primary_key: stream.primary_key.iter().map(|path| path.join(".")).collect::<Vec<_>>().join(", "),
        sync_modes: stream.sync_modes.iter().map(ToString::to_string).collect(),
        cursor_field: stream.cursor_field.clone(),
        field_map: folder.map(&stream.name).map(|map| format!("{} -> {}", map.version, map.table.name)),
    });
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
        conformance: None,
    }
}

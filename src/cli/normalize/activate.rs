//! `tidegate normalize --activate`: puts a version of a field map in force and maps what is stored through it.
//!
//! The activation is one transaction; the replay behind it is runs like any other. A process that dies between them leaves records of the
//! older version, which `connection show` counts and `normalize --replay` maps.

use std::sync::Arc;

use serde_json::json;

use super::{
    super::{
        App, Done,
        args::NormalizeArgs,
        connection::{connector_failure, find},
        exit::Exit,
        failure::Failure,
        print::{Output, diff as print_diff, notices},
        run_once,
    },
    diff::{Compared, diffs, no_version, versions_of},
    everything, replays,
};
use crate::{
    connector::registry::{Catalogue, ProviderFolder},
    mapping::FieldMap,
    pipeline::in_force::{self, in_force},
    store::{
        SharedStore,
        catalogue::{AdminAction, Job, JobFilter},
        field_maps::{Activated, FieldMapState},
    },
};

/// A stream whose version is activated.
struct Target {
    map: Arc<FieldMap>,
    /// What was in force before.
    before: Option<String>,
}

/// Tells what would change, activates, and replays.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, store: SharedStore, args: &NormalizeArgs, out: Output) -> Done {
    let (catalogue, problems) = app.load_catalogue();
    for problem in &problems {
        notices::warn(&problem.to_string());
    }
    let folder = folder(&store, &catalogue, args).await?;
    let version = args.map_version.as_deref().unwrap_or_default();
    let states = store.field_maps(Some(&folder.provider_key)).await?;
    let (targets, standing) = targets(folder, version, &args.streams, &states)?;
    for stream in &standing {
        notices::tell(&format!("version {version} of {}/{stream} is in force already", folder.provider_key));
    }
    if targets.is_empty() {
        let document = json!({"activated": [], "in_force_already": standing, "runs": []});
        return app.show(out, &document, |_| "nothing was changed\n".to_owned());
    }
    let jobs: Vec<Job> = store
        .jobs(&JobFilter {
            connection_keys: Vec::new(),
            streams: targets.iter().map(|t| t.map.stream.clone()).collect(),
        })
        .await?
        .into_iter()
        .filter(|job| job.provider_key == folder.provider_key)
        .collect();
    let compared: Vec<Compared<'_>> = jobs
        .iter()
        .filter_map(|job| {
            let target = targets.iter().find(|target| target.map.stream == job.spec.stream)?;
            Some(Compared { job, in_force: target.before.clone(), map: Arc::clone(&target.map) })
        })
        .collect();
    let diffs = diffs(app, &store, &compared).await?;
    if diffs.iter().flat_map(|diff| &diff.streams).any(|stream| stream.changes.stopped) {
        return Err(Failure::new(Exit::TryLater, "stopped before anything was activated"));
    }
    if !out.json {
        app.show(out, &(), |view| print_diff::text(view, &diffs) + "this is put in force now\n")?;
    }
    let mut activated = Vec::new();
    for target in &targets {
        activated.push(activate(app, &store, target, args.reason.as_deref()).await?);
    }
    let (exit, runs) = run_once::done(app, store, replays(&jobs, &everything())).await?;
    if exit == Exit::TryLater {
        notices::warn(
            "the version is in force, but not everything was mapped again; tidegate normalize --replay completes it, and tidegate \
             connection show counts what is left",
        );
    }
    if out.json {
        let document = json!({"diff": print_diff::document(&diffs), "activated": activated, "in_force_already": standing,
            "runs": runs});
        app.show(out, &document, |_| String::new())?;
    }
    Ok(exit)
}

/// The folder that is meant, by its provider or by one of its connections.
async fn folder<'c>(
    store: &SharedStore,
    catalogue: &'c Catalogue,
    args: &NormalizeArgs,
) -> Result<&'c Arc<ProviderFolder>, Failure> {
    let provider = match (&args.provider, args.connections.as_slice()) {
        (Some(provider), _) => provider.clone(),
        (None, [key]) => {
            let provider = find(store, key).await?.spec.provider_key;
            notices::tell(&format!("a version is in force for all connections of {provider}"));
            provider
        }
        (None, _) => {
            return Err(Failure::usage("whose field map is activated?")
                .remedy("name --provider KEY, or one --connection KEY of it"));
        }
    };
    catalogue.folder(&provider).ok_or_else(|| {
        let near = notices::nearest(&provider, catalogue.folders().map(|folder| folder.provider_key.as_str()));
        let near = near.map(|key| format!("; did you mean '{key}'?")).unwrap_or_default();
        Failure::usage(format!("there is no provider '{provider}'{near}"))
            .remedy("tidegate provider list shows all; connectors.dirs names the folders")
    })
}

/// The streams that get the version, and those that have it already.
fn targets(
    folder: &ProviderFolder,
    version: &str,
    streams: &[String],
    states: &[FieldMapState],
) -> Result<(Vec<Target>, Vec<String>), Failure> {
    let names: Vec<&str> = folder.streams.iter().map(|stream| stream.name.as_str()).collect();
    if let Some(wrong) = streams.iter().find(|stream| !names.contains(&stream.as_str())) {
        let near = notices::nearest(wrong, names.iter().copied());
        let near = near.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default();
        return Err(Failure::usage(format!("{} has no stream '{wrong}'{near}", folder.provider_key))
            .remedy(format!("streams: {}", names.join(", "))));
    }
    let (mut targets, mut standing) = (Vec::new(), Vec::new());
    for stream in names.into_iter().filter(|name| streams.is_empty() || streams.iter().any(|wanted| wanted == name)) {
        let Some(map) = folder.maps_of(stream).find(|map| map.version == version) else {
            if streams.is_empty() {
                continue;
            }
            return Err(no_version(version, &versions_of(folder)));
        };
        let entry = in_force(folder, stream, states).map_err(|error| connector_failure(&error))?;
        match entry {
            Some(entry) if entry.stands && entry.map.version == version => standing.push(stream.to_owned()),
            entry => {
                let before = entry.filter(|entry| entry.stands).map(|entry| entry.map.version.clone());
                targets.push(Target { map: Arc::clone(map), before });
            }
        }
    }
    if targets.is_empty() && standing.is_empty() {
        return Err(no_version(version, &versions_of(folder)));
    }
    Ok((targets, standing))
}

async fn activate(
    app: &App,
    store: &SharedStore,
    target: &Target,
    reason: Option<&str>,
) -> Result<serde_json::Value, Failure> {
    let map = &target.map;
    let subject = format!("{}/{}", map.provider_key, map.stream);
    let action = AdminAction {
        actor: app.actor(),
        action: "field_map.activate".to_owned(),
        subject_type: "field_map".to_owned(),
        subject_key: subject.clone(),
        reason: reason.map(str::to_owned),
        before: Some(json!({"version": target.before})),
        after: Some(json!({"version": map.version})),
    };
    let activation = in_force::activate(store, map, Some(&action)).await?.map_err(Failure::usage)?;
    match activation.activated {
        Activated::Now => notices::tell(&format!("version {} of {subject} is in force", map.version)),
        Activated::Already => {
            notices::tell(&format!("version {} of {subject} was put in force meanwhile", map.version));
        }
    }
    if activation.released > 0 {
        notices::tell(&format!("{} dead letters of other versions are due", activation.released));
    }
    Ok(json!({"provider": map.provider_key, "stream": map.stream, "version": map.version, "before": target.before,
        "dead_letters_released": activation.released}))
}

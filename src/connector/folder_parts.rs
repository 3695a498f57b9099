//! What stands in a connector folder beside its manifest: metrics, the webhook declaration, field maps.
//!
//! Owns reading those files, each by itself: one that is broken hides no other, and everything that is wrong is told.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{manifest::Outline, registry::LoadProblem};
use crate::{
    domain::map_version,
    mapping::FieldMap,
    metrics::ProviderMetrics,
    webhook::{StreamFacts, WebhookDeclaration},
};

/// A larger file is no manifest and no field map.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;
const METRICS: &str = "metrics.yaml";
const WEBHOOK: &str = "webhook.yaml";

/// A file's text; what keeps it from being read is told.
pub(super) fn text(file: &Path, problems: &mut Vec<LoadProblem>) -> Option<String> {
    let size = fs::metadata(file).map(|facts| facts.len()).unwrap_or(0);
    if size > MAX_FILE_BYTES {
        problems.push(LoadProblem::new(
            file,
            format!("the file is larger than {MAX_FILE_BYTES} bytes"),
            "make it smaller",
        ));
        return None;
    }
    let text = fs::read_to_string(file);
    if text.is_err() {
        problems.push(LoadProblem::new(
            file,
            "the file cannot be read as UTF-8 text",
            "correct its rights or its encoding",
        ));
    }
    text.ok()
}

/// What `metrics.yaml` says; nothing where there is none.
pub(super) fn metrics(dir: &Path, provider_names: &[String], problems: &mut Vec<LoadProblem>) -> ProviderMetrics {
    let file = dir.join(METRICS);
    if !file.is_file() {
        return ProviderMetrics::default();
    }
    let Some(text) = text(&file, problems) else { return ProviderMetrics::default() };
    ProviderMetrics::parse(&text, provider_names).unwrap_or_else(|found| {
        problems.extend(found.into_iter().map(|problem| LoadProblem::of(&file, problem)));
        ProviderMetrics::default()
    })
}

/// What `webhook.yaml` says, held against the streams.
pub(super) fn webhook(
    dir: &Path,
    streams: &[Outline],
    problems: &mut Vec<LoadProblem>,
) -> Option<Arc<WebhookDeclaration>> {
    let file = dir.join(WEBHOOK);
    if !file.is_file() {
        return None;
    }
    let text = text(&file, problems)?;
    let facts = streams.iter().map(|(name, primary_key)| StreamFacts { name, primary_key });
    match WebhookDeclaration::parse_for(&text, &facts.collect::<Vec<_>>()) {
        Ok(declaration) => Some(Arc::new(declaration)),
        Err(found) => {
            problems.extend(found.into_iter().map(|problem| LoadProblem::of(&file, problem)));
            None
        }
    }
}

/// The field maps under `mappings/`, in the order of their file names; and the files that hold none.
pub(super) fn maps(
    dir: &Path,
    provider_key: &str,
    problems: &mut Vec<LoadProblem>,
) -> (Vec<Arc<FieldMap>>, Vec<PathBuf>) {
    let mappings = dir.join("mappings");
    let entries = match fs::read_dir(&mappings) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (Vec::new(), Vec::new()),
        Err(_) => {
            problems.push(LoadProblem::new(&mappings, "the directory cannot be read", "correct its rights"));
            return (Vec::new(), Vec::new());
        }
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    files.sort();
    let mut maps: Vec<Arc<FieldMap>> = Vec::new();
    let mut broken = Vec::new();
    for file in files {
        let before = problems.len();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = text(&file, problems).unwrap_or_default();
        if problems.len() > before {
            broken.push(file);
            continue;
        }
        match FieldMap::parse(provider_key, &name, &text) {
            Ok(map) if maps.iter().any(|other| other.stream == map.stream && other.version == map.version) => {
                let what = format!("version {} of the map of {} stands in two files", map.version, map.stream);
                problems.push(LoadProblem::new(&file, what, "give one of them another version"));
            }
            Ok(map) => match maps.iter().find(|other| other.stream == map.stream && kind(other) != kind(&map)) {
                None => maps.push(Arc::new(map)),
                Some(other) => {
                    let (table, object_type) = kind(other);
                    let what = format!(
                        "versions {} and {} of the map of {} do not write the same",
                        other.version, map.version, map.stream
                    );
                    let remedy = format!(
                        "keep `table: {table}` and `object_type: {object_type}`, or give it a stream of its own"
                    );
                    problems.push(LoadProblem::new(&file, what, &remedy));
                }
            },
            Err(found) => problems.extend(found.into_iter().map(|problem| LoadProblem::of(&file, problem))),
        }
        if problems.len() > before {
            broken.push(file);
        }
    }
    maps.sort_by(|a, b| a.stream.cmp(&b.stream).then_with(|| map_version::compare(&a.version, &b.version)));
    (maps, broken)
}

/// What the versions of a map have in common: records keep their table.
fn kind(map: &FieldMap) -> (&'static str, &str) {
    (map.table.name, &map.object_type)
}

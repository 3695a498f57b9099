//! What `tidegate validate` tells of a connector folder beyond what keeps it from being loaded.
//!
//! Owns the look at fixtures (pages that cannot be read, pages of no stream, streams without a page) and the manifest's advice.
//! A daemon never asks for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    manifest::Manifest,
    registry::{LoadProblem, ProviderFolder},
};
use crate::yaml::nearest;

/// Folders of fixtures that belong to no stream: a provider's deliveries, and its errors.
const BESIDE_STREAMS: [&str; 2] = ["webhook", "errors"];

/// Found in a folder.
#[derive(Debug, Default)]
pub struct Advice {
    /// What is wrong.
    pub problems: Vec<LoadProblem>,
    /// What is allowed and most likely not meant.
    pub warnings: Vec<LoadProblem>,
}

/// Looks at a folder; `loaded` where it could be loaded.
pub fn advice(dir: &Path, loaded: Option<&ProviderFolder>) -> Advice {
    let mut advice = Advice::default();
    let file = dir.join("manifest.yaml");
    let Ok(text) = fs::read_to_string(&file) else { return advice };
    advice.warnings.extend(Manifest::advice(&text).into_iter().map(|problem| LoadProblem::of(&file, problem)));
    let streams: Option<Vec<String>> = match loaded {
        Some(folder) => Some(folder.streams.iter().map(|stream| stream.name.clone()).collect()),
        None => Manifest::outline(&text).map(|streams| streams.into_iter().map(|(name, _)| name).collect()),
    };
    fixtures(&dir.join("fixtures"), streams.as_deref(), &mut advice);
    advice
}

fn fixtures(dir: &Path, streams: Option<&[String]>, advice: &mut Advice) {
    let folders = entries(dir);
    for folder in folders.iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known = streams.is_none_or(|streams| streams.contains(&name));
        if !known && !BESIDE_STREAMS.contains(&name.as_str()) {
            let names = streams.unwrap_or_default().iter().map(String::as_str).chain(BESIDE_STREAMS);
            let remedy = nearest(&name, names.clone()).map_or_else(
                || format!("name it after what its pages are of: {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean '{near}'?"),
            );
            advice.warnings.push(LoadProblem::new(folder, "the pages belong to no stream", &remedy));
        }
        for page in entries(folder).iter().filter(|page| page.extension().is_some_and(|of| of == "json")) {
            advice.problems.extend(unreadable(page));
        }
    }
    for stream in streams.unwrap_or_default() {
        let has_page =
            |folder: &PathBuf| folder.file_name().is_some_and(|name| *name == **stream) && !entries(folder).is_empty();
        if !folders.iter().any(has_page) {
            let what = format!("the stream '{stream}' has no page to be tried with");
            let remedy = format!("put an invented answer of the provider into {stream}/page_1.json below it");
            advice.warnings.push(LoadProblem::new(dir, what, &remedy));
        }
    }
}

/// What keeps a page from being read as JSON.
fn unreadable(page: &Path) -> Option<LoadProblem> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let error = serde_json::from_str::<serde::de::IgnoredAny>(&text).err()?;
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(sentence, _)| sentence);
    let mut problem = LoadProblem::new(
        page,
        format!("not readable as JSON at column {}: {said}", error.column()),
        "correct the page; it is an answer of the provider, as its documentation shows it, with invented values",
    );
    problem.line = u64::try_from(error.line()).ok();
    Some(problem)
}

/// In the order of their names.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

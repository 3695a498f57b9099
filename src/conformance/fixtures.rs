//! The pages that a connector folder keeps: `fixtures/<stream>/*`, as the provider's documentation shows them.
//!
//! Owns which files are pages, and what of them a simulated provider is made of. Refuses to judge.

use std::path::Path;

use serde_json::Value;

use crate::connector::manifest::trial::Trial;

/// The file beside a stream's pages that says what becomes of them.
pub const EXPECTED: &str = "expected.json";
/// Largest fixture that is read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// One file of a stream's fixtures.
#[derive(Debug, Clone)]
pub struct Page {
    pub name: String,
    pub bytes: Vec<u8>,
    /// The document, where it is JSON.
    pub body: Option<Value>,
}

/// A stream's pages in the order of their names.
pub fn pages(dir: &Path, stream: &str) -> Vec<Page> {
    let Ok(entries) = std::fs::read_dir(dir.join("fixtures").join(stream)) else { return Vec::new() };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let small = |path: &std::path::PathBuf| std::fs::metadata(path).is_ok_and(|facts| facts.len() <= MAX_BYTES);
    let files = files.into_iter().filter(small).filter_map(|path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        if name == EXPECTED || name.starts_with('.') {
            return None;
        }
        let bytes = std::fs::read(&path).ok()?;
        let body = serde_json::from_slice(&bytes).ok();
        Some(Page { name, bytes, body })
    });
    files.collect()
}

/// The pages of a stream that hold records, by its own manifest.
pub fn readable(pages: &[Page], trial: &Trial) -> Vec<Value> {
    let bodies = pages.iter().filter_map(|page| page.body.clone());
    bodies.filter(|body| trial.records(body).is_ok_and(|records| !records.is_empty())).collect()
}

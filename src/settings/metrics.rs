//! `[metrics]`: files with definitions besides the built-in ones.

use std::path::PathBuf;

use super::{key::Key, values::Values};

const FILES: Key = Key::list("metrics.files", &[]);
pub(super) const KEYS: &[Key] = &[FILES];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSettings {
    /// Relative to the working directory; each adds to what stands before it, or replaces an entry by its key.
    pub files: Vec<PathBuf>,
}

impl MetricSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        Self { files: values.list(&FILES).into_iter().map(PathBuf::from).collect() }
    }
}

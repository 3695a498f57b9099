//! `[quality]`: the operator's own checks, laid over the built-in ones.

use std::path::PathBuf;

use super::{key::Key, values::Values};

const FILE: Key = Key::text("quality.file", "");
pub(super) const KEYS: &[Key] = &[FILE];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualitySettings {
    /// A file of the shape of `config/quality.yaml`; `None`: the built-in checks alone.
    pub file: Option<PathBuf>,
}

impl QualitySettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let file = values.text(&FILE);
        Self { file: (!file.trim().is_empty()).then(|| PathBuf::from(file.trim())) }
    }
}

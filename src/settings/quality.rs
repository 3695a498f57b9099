//! `[quality]`: the operator's own checks, laid over the built-in ones, and how long an evaluation stands.

use std::{path::PathBuf, time::Duration};

use super::{key::Key, values::Values};

const FILE: Key = Key::text("quality.file", "");
const RECHECK_SECONDS: Key = Key::integer("quality.recheck_seconds", 900);
pub(super) const KEYS: &[Key] = &[FILE, RECHECK_SECONDS];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualitySettings {
    /// A file of the shape of `config/quality.yaml`; `None`: the built-in checks alone.
    pub file: Option<PathBuf>,
    /// How long an evaluation stands for runs that bring nothing new.
    pub recheck: Duration,
}

impl QualitySettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let file = values.text(&FILE);
        let recheck = values.seconds(&RECHECK_SECONDS, 0..=86_400);
        Self { recheck, file: (!file.trim().is_empty()).then(|| PathBuf::from(file.trim())) }
    }
}

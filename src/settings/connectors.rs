//! `[connectors]`: where the provider folders are.

use std::path::PathBuf;

use super::{key::Key, values::Values};

const DIRS: Key = Key::list("connectors.dirs", &["connectors"]);
pub(super) const KEYS: &[Key] = &[DIRS];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorSettings {
    /// Folders of provider folders, relative to the working directory.
    pub dirs: Vec<PathBuf>,
}

impl ConnectorSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        Self { dirs: values.list(&DIRS).into_iter().map(PathBuf::from).collect() }
    }
}

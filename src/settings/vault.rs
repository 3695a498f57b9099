//! `[vault]`: the key that stored credentials are wrapped with. Taken and kept; unused until credentials are stored.

use std::path::PathBuf;

use super::{key::Key, values::Values};

const KEY_FILE: Key = Key::text("vault.key_file", "");
pub(super) const KEYS: &[Key] = &[KEY_FILE];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSettings {
    /// `None`: not set.
    pub key_file: Option<PathBuf>,
}

impl VaultSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        Self { key_file: Some(values.text(&KEY_FILE)).filter(|path| !path.is_empty()).map(PathBuf::from) }
    }
}

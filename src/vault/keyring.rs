//! The keys that this process may use: one wraps, all open.
//!
//! Owns the choice of a key by the id that a row names. Keys are read when the first secret is used, never at start.

use std::{path::Path, sync::Arc};

use super::{
    VaultError,
    keys::{KeyEncryptionKey, KeySource, LocalKey},
    reference,
    transit::TransitKey,
};
use crate::connector::http::HttpGate;

/// Keys by their ids.
pub struct Keyring {
    current: Arc<dyn KeyEncryptionKey>,
    others: Vec<Arc<dyn KeyEncryptionKey>>,
}

impl Keyring {
    /// Reads all keys.
    ///
    /// # Errors
    /// [`VaultError::Key`]: no source is named, or one of them gives no key.
    pub fn read(
        current: Option<&KeySource>,
        others: &[KeySource],
        credentials_directory: Option<&Path>,
        gate: &Arc<HttpGate>,
    ) -> Result<Self, VaultError> {
        let read = |source: &KeySource| -> Result<Arc<dyn KeyEncryptionKey>, VaultError> {
            Ok(match source {
                KeySource::File(path) => Arc::new(LocalKey::from_file(path)?),
                KeySource::SystemdCredential(name) => Arc::new(LocalKey::from_systemd(name, credentials_directory)?),
                KeySource::Transit { url, mount, key, token } => {
                    let token = reference::resolve(Some(token)).map_err(|error| {
                        VaultError::key(format!("vault.transit_token: {error}"), "use env:NAME or file:PATH")
                    })?;
                    Arc::new(TransitKey::new(url, mount, key, token, Arc::clone(gate))?)
                }
            })
        };
        let Some(current) = current else {
            return Err(VaultError::key(
                "there is no key for stored credentials",
                "name one in vault.key_file, vault.systemd_credential or vault.transit_url; tidegate credential key --out FILE makes one",
            ));
        };
        Ok(Self { current: read(current)?, others: others.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// The key that wraps.
    pub fn current(&self) -> &dyn KeyEncryptionKey {
        self.current.as_ref()
    }

    /// Whether a key of that id is here.
    pub fn knows(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    fn find(&self, id: &str) -> Option<&dyn KeyEncryptionKey> {
        std::iter::once(&self.current).chain(&self.others).find(|key| key.id() == id).map(Arc::as_ref)
    }

    /// The key of that id, for a credential.
    ///
    /// # Errors
    /// [`VaultError::Closed`], naming the key that is needed and the one that is here.
    pub fn get(&self, id: &str, credential_key: &str) -> Result<&dyn KeyEncryptionKey, VaultError> {
        self.find(id).ok_or_else(|| {
            VaultError::closed(
                format!("credential {credential_key} was wrapped with key {id}; here is {}", self.current.id()),
                "give the old key back (vault.key_file, or vault.previous_key_files and tidegate credential rewrap), or store the \
                 secret again: tidegate credential set",
            )
        })
    }
}

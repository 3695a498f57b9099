//! Credentials as people handle them: stored, sealed anew, wrapped anew, revoked.
//!
//! Owns the steps between a secret and its row. Each is a compare-and-set, so that an operator and a refresh in flight never
//! write over each other unseen. Refuses to give a secret to anybody but `source`.

use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;

use super::{
    Vault, VaultError,
    envelope::{self, Binding, Prepared},
};
use crate::store::{
    catalogue::{AdminAction, Connection},
    credentials::{NewVersion, StoredCredential},
};

/// How many rows a rewrap takes at once.
const BATCH: u32 = 100;
/// Longest key of a credential, in characters.
const LONGEST_KEY: usize = 190;

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub credential_key: String,
    pub version: i64,
    pub key_id: String,
}

/// What a rewrap came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rewrapped {
    /// Under the current key now (or, in a dry run, to be).
    pub rewrapped: Vec<String>,
    /// Were there already.
    pub current: u64,
    /// Could not be opened, with the reason; they stay as they are.
    pub failed: Vec<(String, String)>,
}

impl Vault {
    /// Stores a secret under a key, as the first version or the next.
    ///
    /// # Errors
    /// [`VaultError::Refused`]: the key is another connection's, or somebody was faster; those of the keys.
    pub async fn set(
        &self,
        key: &str,
        connection: &Connection,
        secret: &SecretString,
        expires_in: Option<Duration>,
        action: &AdminAction,
    ) -> Result<Change, VaultError> {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if key.is_empty() || key.len() > LONGEST_KEY || !key.chars().all(good) {
            return Err(VaultError::refused(
                "the credential's key is not usable",
                "use letters, digits, '-', '_' and '.', at most 190",
            ));
        }
        let seen = self.store.credential(key).await?;
        if seen.as_ref().is_some_and(|row| (row.connection_id, row.client_id) != (connection.id, connection.client_id))
        {
            return Err(VaultError::refused(
                format!("credential {key} belongs to another connection"),
                "choose another key; tidegate credential list shows all",
            ));
        }
        let binding = Binding {
            client: connection.client_id,
            connection: connection.id,
            credential_key: key.to_owned(),
            version: seen.as_ref().map_or(1, |row| row.version + 1),
        };
        self.store_version(binding, seen.as_ref(), secret, expires_in, action).await
    }

    /// Seals a credential with a new data key: its own secret, or a new one.
    ///
    /// # Errors
    /// [`VaultError::Refused`] when there is no such credential; [`VaultError::Closed`] when it does not open.
    pub async fn rotate(
        &self,
        key: &str,
        secret: Option<(&SecretString, Option<Duration>)>,
        action: &AdminAction,
    ) -> Result<Change, VaultError> {
        let row = self.store.credential(key).await?.filter(|row| !row.revoked).ok_or_else(|| unknown(key))?;
        let binding = Binding::of(&row).next();
        match secret {
            Some((secret, expires_in)) => self.store_version(binding, Some(&row), secret, expires_in, action).await,
            None => {
                let secret = self.open(&row).await?;
                self.store_version(binding, Some(&row), &secret, row.expires_in, action).await
            }
        }
    }

    /// Forgets a secret for good. The row stays, without ciphertext.
    ///
    /// # Errors
    /// [`VaultError::Refused`] when there is no such credential, or it was revoked before.
    pub async fn revoke(&self, key: &str, action: &AdminAction) -> Result<(), VaultError> {
        if self.store.revoke_credential(key, action).await? { Ok(()) } else { Err(unknown(key)) }
    }

    /// Wraps every data key with the current key; `all` also those that are under it already (after a transit service has
    /// rotated its key). Row by row: what was interrupted goes on where it was.
    ///
    /// # Errors
    /// Those of the keys and of the store. A row that does not open is no error; it is told.
    pub async fn rewrap(&self, all: bool, dry_run: bool) -> Result<Rewrapped, VaultError> {
        let keys = self.keys().await?;
        let current = keys.current();
        let mut done = Rewrapped::default();
        let mut after = 0;
        loop {
            let rows = self.store.sealed_credentials(after, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(done) };
            after = last.id;
            for row in &rows {
                if row.sealed.key_id == current.id() && !all {
                    done.current += 1;
                    continue;
                }
                match self.rewrapped(row, dry_run).await {
                    Ok(true) => done.rewrapped.push(row.credential_key.clone()),
                    // Stored anew meanwhile, by the current key.
                    Ok(false) => done.current += 1,
                    Err(error @ (VaultError::Closed { .. } | VaultError::Refused { .. })) => {
                        done.failed.push((row.credential_key.clone(), error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn rewrapped(&self, row: &StoredCredential, dry_run: bool) -> Result<bool, VaultError> {
        let keys = self.keys().await?;
        let from = keys.get(&row.sealed.key_id, &row.credential_key)?;
        let wrapped = envelope::rewrap(from, keys.current(), &Binding::of(row), &row.sealed).await?;
        Ok(dry_run || self.store.rewrap_credential(row, &wrapped, keys.current().id()).await?)
    }

    /// Opens a row.
    pub(super) async fn open(&self, row: &StoredCredential) -> Result<SecretString, VaultError> {
        let keys = self.keys().await?;
        let kek = keys.get(&row.sealed.key_id, &row.credential_key)?;
        envelope::open(kek, &Binding::of(row), &row.sealed).await
    }

    /// A data key for a version that is to come.
    pub(super) async fn prepare(&self, binding: Binding) -> Result<Prepared, VaultError> {
        Prepared::new(self.keys().await?.current(), binding).await
    }

    async fn store_version(
        &self,
        binding: Binding,
        seen: Option<&StoredCredential>,
        secret: &SecretString,
        expires_in: Option<Duration>,
        action: &AdminAction,
    ) -> Result<Change, VaultError> {
        let prepared = self.prepare(binding).await?;
        self.store_prepared(&prepared, seen, secret, expires_in, action).await
    }

    /// Seals into a version that was prepared, and stores it.
    pub(super) async fn store_prepared(
        &self,
        prepared: &Prepared,
        seen: Option<&StoredCredential>,
        secret: &SecretString,
        expires_in: Option<Duration>,
        action: &AdminAction,
    ) -> Result<Change, VaultError> {
        let binding = prepared.binding().clone();
        let sealed = prepared.seal(secret)?;
        let change = Change {
            credential_key: binding.credential_key.clone(),
            version: binding.version,
            key_id: sealed.key_id.clone(),
        };
        let version = NewVersion {
            credential_key: binding.credential_key,
            connection_id: binding.connection,
            client_id: binding.client,
            version: binding.version,
            replaces: seen.map(|row| (row.version, row.fence)),
            sealed,
            expires_in,
        };
        if self.store.put_credential(&version, action).await? {
            return Ok(change);
        }
        Err(VaultError::refused(
            format!("credential {} was changed by somebody else at the same moment", change.credential_key),
            "look at it (tidegate credential list) and try again",
        ))
    }
}

pub(super) fn unknown(key: &str) -> VaultError {
    VaultError::refused(
        format!("there is no credential {key}, or it was revoked"),
        format!("tidegate credential list shows all; tidegate credential set {key} --connection CONNECTION stores one"),
    )
}

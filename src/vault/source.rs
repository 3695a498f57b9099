//! What a connector gets of a stored credential: the secret, opened at each use.
//!
//! Owns the way from `vault:KEY` to a `SecretString`. The row is looked up by key, connection and client together, so a
//! reference to another client's credential leads nowhere. Of an OAuth credential only the access token is given out.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use secrecy::SecretString;

use super::{Vault, VaultError, oauth::refresh::Want, reference, stored::unknown};
use crate::{
    connector::{ConnectorError, ErrorKind, credential::CredentialSource},
    domain::ids::{ClientId, ConnectionId},
    store::{StoreError, catalogue::Connection, credentials::StoredCredential},
};

/// The first wait for a database that is away; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: std::time::Duration = std::time::Duration::from_millis(250);
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(4);

/// Whose secret is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub credential_key: String,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
}

impl Vault {
    /// The source behind a connection's `credential` reference; none is for providers that need no secret.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when the reference has no form that this version knows.
    pub fn source(self: &Arc<Self>, connection: &Connection) -> Result<Arc<dyn CredentialSource>, ConnectorError> {
        let spec = &connection.spec;
        let reference = spec.credential_ref.as_deref().map(str::trim);
        let oauth2 = spec.refresh_policy.as_deref() == Some("oauth2");
        let Some(key) = reference.and_then(|reference| reference.strip_prefix("vault:")).map(str::trim) else {
            if oauth2 {
                return Err(ConnectorError::new(
                    ErrorKind::Settings,
                    "refresh_policy oauth2 needs a credential that Tidegate keeps; use credential: vault:KEY",
                ));
            }
            return reference::resolve(reference);
        };
        let owner =
            Owner { credential_key: key.to_owned(), connection_id: connection.id, client_id: connection.client_id };
        let vault = Arc::clone(self);
        Ok(if oauth2 {
            Arc::new(OAuthSource { vault, owner, given: AtomicI64::new(0) })
        } else {
            Arc::new(StoredSource { vault, owner })
        })
    }

    /// The source behind a reference to what a connection's webhook deliveries are signed with.
    ///
    /// # Errors
    /// As [`Vault::source`].
    pub fn signing_secret(
        self: &Arc<Self>,
        reference: &str,
        connection_id: ConnectionId,
        client_id: ClientId,
    ) -> Result<Arc<dyn CredentialSource>, ConnectorError> {
        let Some(key) = reference.trim().strip_prefix("vault:") else { return reference::resolve(Some(reference)) };
        let owner = Owner { credential_key: key.trim().to_owned(), connection_id, client_id };
        Ok(Arc::new(StoredSource { vault: Arc::clone(self), owner }))
    }

    /// The row of an owner; a database that is away is waited for.
    pub(super) async fn row(&self, owner: &Owner) -> Result<StoredCredential, VaultError> {
        let begun = self.clock().monotonic();
        let mut wait = FIRST_WAIT;
        loop {
            let found = self.store.credential_of(&owner.credential_key, owner.connection_id, owner.client_id).await;
            match found {
                Ok(row) => return row.filter(|row| !row.revoked).ok_or_else(|| unknown(&owner.credential_key)),
                Err(StoreError::Unavailable(_))
                    if self.clock().monotonic().saturating_sub(begun) + wait < self.options.outage =>
                {
                    self.clock().sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A secret as it was stored.
struct StoredSource {
    vault: Arc<Vault>,
    owner: Owner,
}

#[async_trait]
impl CredentialSource for StoredSource {
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError> {
        let row = self.vault.row(&self.owner).await?;
        Ok(Some(self.vault.open(&row).await?))
    }
}

/// The access token of an OAuth credential, renewed in time.
struct OAuthSource {
    vault: Arc<Vault>,
    owner: Owner,
    /// The version that was last given out.
    given: AtomicI64,
}

impl OAuthSource {
    async fn token(&self, want: Want) -> Result<Option<SecretString>, ConnectorError> {
        let (token, version) = self.vault.token(&self.owner, want).await?;
        self.given.store(version, Ordering::Relaxed);
        Ok(Some(token))
    }
}

#[async_trait]
impl CredentialSource for OAuthSource {
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError> {
        self.token(Want::Good).await
    }

    /// The provider took the token no more: a newer one is wanted, whatever the clock says of the old one.
    async fn refresh(&self) -> Result<Option<SecretString>, ConnectorError> {
        self.token(Want::NewerThan(self.given.load(Ordering::Relaxed))).await
    }
}

//! Port: sealed credentials, and the lease under which one of them is renewed.
//!
//! Owns the row as it is stored: ciphertext only. Refuses to know a key or a secret; sealing and opening are `crate::vault`'s.
//! Every lookup on behalf of a connection binds connection and client, so that one client's context never meets another's row.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::{StoreError, catalogue::AdminAction};
use crate::domain::{
    clock::Timestamp,
    ids::{ClientId, ConnectionId},
    status::RefreshState,
};

/// An encrypted secret with its wrapped data key, all as text. Empty once revoked.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub algorithm: String,
    /// Which key-encryption key wrapped the data key: a fingerprint or a name.
    pub key_id: String,
    pub wrapped_key: String,
    pub nonce: String,
    pub ciphertext: String,
}

/// A row of `integration_credentials`. Spans of time were told by the database's clock when the row was read.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCredential {
    pub id: i64,
    pub credential_key: String,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    pub version: i64,
    pub sealed: Sealed,
    /// How long the access token is still good; zero when it has ended, `None` when the provider never said.
    pub expires_in: Option<Duration>,
    /// How long the access token was good for when it was stored.
    pub lifetime: Option<Duration>,
    pub refresh_state: RefreshState,
    /// Refreshes of this version that began and never told how they ended.
    pub refresh_attempts: i64,
    pub refresh_failures: i64,
    /// How long nobody is to ask again; `None` when nothing holds back.
    pub cooling: Option<Duration>,
    pub last_error: Option<String>,
    pub fence: i64,
    /// Who renews it, and for how long the lease still holds.
    pub lease: Option<(String, Duration)>,
    pub revoked: bool,
}

/// What may be shown of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialFacts {
    pub credential_key: String,
    pub connection_key: String,
    pub client_key: String,
    pub version: i64,
    pub algorithm: String,
    pub key_id: String,
    pub expires_at: Option<Timestamp>,
    pub refresh_state: RefreshState,
    pub refresh_failures: i64,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    pub stored_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A version that is to be stored in place of another, or first of all.
#[derive(Clone)]
pub struct NewVersion {
    pub credential_key: String,
    pub connection_id: ConnectionId,
    pub client_id: ClientId,
    /// What the secret was sealed as.
    pub version: i64,
    /// The version and fence that were read; `None` for a credential that is new.
    pub replaces: Option<(i64, i64)>,
    pub sealed: Sealed,
    pub expires_in: Option<Duration>,
}

/// A wish to renew a credential.
#[derive(Debug, Clone)]
pub struct RefreshClaim {
    pub id: i64,
    pub version: i64,
    pub seen_fence: i64,
    pub owner: String,
    /// An owner that is known to be gone, whose lease may be taken at once.
    pub dead_owner: Option<String>,
    /// Longer than the longest call to a token service.
    pub ttl: Duration,
}

/// How a refresh ended. Everything is written only while the fence is still ours.
#[derive(Clone)]
pub enum RefreshEnd {
    /// The provider gave a new token.
    Renewed { version: i64, sealed: Sealed, expires_in: Option<Duration> },
    /// Time may heal it: nobody asks again for so long.
    CoolDown { wait: Duration, reason: String },
    /// A person must authorise anew; the connection becomes `needs_auth` in the same transaction.
    NeedsAuth { reason: String },
}

#[async_trait]
pub trait CredentialStore: Send + Sync {
    /// By key alone: for people at a terminal.
    async fn credential(&self, key: &str) -> Result<Option<StoredCredential>, StoreError>;

    /// Only if it belongs to that connection and that client.
    async fn credential_of(
        &self,
        key: &str,
        connection: ConnectionId,
        client: ClientId,
    ) -> Result<Option<StoredCredential>, StoreError>;

    /// What may be shown of all credentials, or of one connection's.
    async fn credential_facts(&self, connection_key: Option<&str>) -> Result<Vec<CredentialFacts>, StoreError>;

    /// Rows that hold a secret, with an id greater than `after`, in order of id.
    async fn sealed_credentials(&self, after: i64, limit: u32) -> Result<Vec<StoredCredential>, StoreError>;

    /// Stores a version and writes the act. `false`: somebody was faster, or the row is another connection's; nothing is
    /// written. The fence grows, so that a refresh in flight cannot write over it.
    ///
    /// # Errors
    /// [`StoreError::Constraint`] when client and connection disagree (P15).
    async fn put_credential(&self, version: &NewVersion, action: &AdminAction) -> Result<bool, StoreError>;

    /// Wraps the data key of one version anew. `false`: the row has changed meanwhile; nothing is written.
    async fn rewrap_credential(&self, seen: &StoredCredential, wrapped: &str, key_id: &str)
    -> Result<bool, StoreError>;

    /// Forgets the secret for good and writes the act. `false`: there is no such credential, or it was revoked before.
    async fn revoke_credential(&self, key: &str, action: &AdminAction) -> Result<bool, StoreError>;

    /// Takes the lease and writes the intent in one statement; the new fence, or `None` when somebody else has it.
    async fn claim_refresh(&self, claim: &RefreshClaim) -> Result<Option<i64>, StoreError>;

    /// Writes how a refresh ended and gives the lease back. `false`: the fence was no longer ours; nothing is written.
    async fn end_refresh(&self, id: i64, fence: i64, end: &RefreshEnd) -> Result<bool, StoreError>;
}

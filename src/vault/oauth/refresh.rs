//! When a token is renewed, and by whom: once, in the whole fleet.
//!
//! 1. In this process one renewal of a credential at a time; who waits reads what the winner stored.
//! 2. Among processes a lease by compare-and-set on the row's fence, longer than the longest call, on the database's clock.
//! 3. The claim is the intent (`refreshing`, since when): durable before the provider is asked.
//! 4. The new data key is wrapped before the provider is asked; what comes after its answer needs the database alone.
//! 5. The new pair is durable, `where fence = ?`, before anybody uses it.
//! 6. `invalid_grant`: the row is read once more. A newer version: the race was lost, its token is taken. The same: revoked.
//! 7. A refresh that died between answer and write left `refreshing` behind: the old token is tried once, then a person is asked.
//!
//! The renewal runs in a task of its own: a caller who stops waiting never cuts it between answer and write.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;

use super::{
    Tokens,
    grant::{self, Grant, Refusal},
};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::status::RefreshState,
    store::{
        StoreError,
        credentials::{RefreshClaim, RefreshEnd, StoredCredential},
    },
    vault::{
        Vault, VaultError,
        envelope::{Binding, Prepared},
        source::Owner,
    },
};

/// Added to the longest call: for the database's part of a refresh.
const LEASE_MARGIN: Duration = Duration::from_secs(20);
/// How often a waiting process looks whether the holder is done.
const POLL: Duration = Duration::from_millis(50);
const LONGEST_POLL: Duration = Duration::from_secs(1);
/// Longest wait after failures.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(3600);
/// Refreshes of one version that may die without a word: the first, and the one try to recover.
const MOST_UNTOLD: i64 = 2;
/// How often a new pair is written again when the database is away for longer than a call waits.
const WRITE_ROUNDS: u32 = 10;

/// Which token is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Good,
    /// The provider refused the token of this version.
    NewerThan(i64),
}

impl Want {
    fn takes(self, version: i64) -> bool {
        match self {
            Self::Good => true,
            Self::NewerThan(refused) => version > refused,
        }
    }
}

/// A token, and the version it stands in.
type Token = (SecretString, i64);

fn unavailable(message: String) -> ConnectorError {
    ConnectorError::new(ErrorKind::Unavailable, message)
}

impl Vault {
    /// The access token, renewed when that is due.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`]: a person must authorise anew. [`ErrorKind::Unavailable`]: the token service or the database
    /// does not answer, or is left alone for a while. [`ErrorKind::Vault`]: the row does not open.
    pub(crate) async fn token(self: &Arc<Self>, owner: &Owner, want: Want) -> Result<Token, ConnectorError> {
        let row = self.row(owner).await?;
        let current = self.usable(&row, want).await?;
        if !self.is_due(&row)
            && let Some(token) = current
        {
            return Ok(token);
        }
        let flight = self.flight(row.id);
        let flight = match (Arc::clone(&flight).try_lock_owned(), current) {
            (Ok(flight), _) => flight,
            // Good for a while yet, and somebody is at it: a slow token service does not hold up a token that is good.
            (Err(_), Some(token)) => return Ok(token),
            (Err(_), None) => flight.lock_owned().await,
        };
        let (vault, owner) = (Arc::clone(self), owner.clone());
        let renewal = tokio::spawn(async move {
            let _flight = flight;
            vault.renew(&owner, want).await
        });
        renewal
            .await
            .map_err(|broken| unavailable("the renewal of a credential broke off".to_owned()).caused_by(broken))?
    }

    /// Whether a token is near its end.
    fn is_due(&self, row: &StoredCredential) -> bool {
        let Some(left) = row.expires_in else { return false };
        let early = row.lifetime.map_or(self.options.refresh_early, |life| self.options.refresh_early.min(life / 4));
        left <= early.mul_f64(self.share)
    }

    /// The row's access token, if it is one that is wanted and has not ended.
    async fn usable(&self, row: &StoredCredential, want: Want) -> Result<Option<Token>, VaultError> {
        if !want.takes(row.version) || row.expires_in == Some(Duration::ZERO) {
            return Ok(None);
        }
        let (tokens, _) = Tokens::parse(&self.open(row).await?)?;
        Ok(tokens.access_token.map(|token| (token, row.version)))
    }

    async fn renew(&self, owner: &Owner, want: Want) -> Result<Token, ConnectorError> {
        let key = &owner.credential_key;
        let ttl = self.gate.longest_exchange() + LEASE_MARGIN;
        let begun = self.clock().monotonic();
        let mut poll = POLL;
        loop {
            let row = self.row(owner).await?;
            let current = self.usable(&row, want).await?;
            if !self.is_due(&row)
                && let Some(token) = current
            {
                return Ok(token);
            }
            if row.refresh_state == RefreshState::NeedsAuth {
                let why = row.last_error.unwrap_or_default();
                return Err(ConnectorError::new(ErrorKind::Unauthorized, format!("credential {key}: {why}")));
            }
            if let Some(left) = row.cooling {
                let why = row.last_error.unwrap_or_default();
                return current.ok_or_else(|| {
                    unavailable(format!(
                        "credential {key}: the last refresh failed ({why}); the next is in {} s at the soonest",
                        left.as_secs() + 1
                    ))
                });
            }
            let mut dead_owner = None;
            if let Some((holder, _)) = &row.lease {
                if (self.holding.is_dead)(holder) {
                    dead_owner = Some(holder.clone());
                } else if let Some(token) = current {
                    // Good for a while yet, and somebody is at it.
                    return Ok(token);
                } else if self.clock().monotonic().saturating_sub(begun) > ttl * 2 {
                    return Err(unavailable(format!(
                        "credential {key} is being renewed by {holder}, and it does not end"
                    )));
                } else {
                    self.clock().sleep(poll).await;
                    poll = (poll * 2).min(LONGEST_POLL);
                    continue;
                }
            }
            let prepared = self.prepare(Binding::of(&row).next()).await?;
            let claim = RefreshClaim {
                id: row.id,
                version: row.version,
                seen_fence: row.fence,
                owner: self.holding.name.clone(),
                dead_owner,
                ttl,
            };
            // Somebody was faster: look what came of it.
            let Some(fence) = self.store.claim_refresh(&claim).await.map_err(VaultError::from)? else { continue };
            if let Some(token) = self.ask(owner, &row, fence, &prepared, current).await? {
                return Ok(token);
            }
        }
    }

    /// Asks the provider under our lease and writes what came of it. `None`: the row has moved on, read it again.
    async fn ask(
        &self,
        owner: &Owner,
        row: &StoredCredential,
        fence: i64,
        prepared: &Prepared,
        current: Option<Token>,
    ) -> Result<Option<Token>, ConnectorError> {
        let key = &owner.credential_key;
        let (tokens, _) = match self.open(row).await.and_then(|secret| Tokens::parse(&secret)) {
            Ok(tokens) => tokens,
            Err(error) => {
                self.give_back(row, fence, "the credential could not be read", None).await?;
                return Err(error.into());
            }
        };
        let rotates = tokens.refresh_token.is_some();
        if rotates && row.refresh_attempts >= MOST_UNTOLD {
            let reason = "a refresh died between the provider's answer and our write, and so did the try to recover; authorise again";
            return self.needs_auth(owner, row, fence, reason).await;
        }
        if row.refresh_attempts > 0 {
            tracing::warn!(credential = %key, "an earlier refresh died without a word; its token is tried once more");
        }
        match grant::ask(&self.gate, &tokens, Grant::Refresh).await {
            Ok(granted) => {
                let expires_in = granted.expires_in;
                let next = tokens.renewed(granted);
                let sealed = prepared.seal(&next.document())?;
                let end = RefreshEnd::Renewed { version: prepared.version(), sealed, expires_in };
                if self.write_new(row.id, fence, &end).await? {
                    tracing::info!(credential = %key, version = prepared.version(), "credential renewed");
                    return Ok(next.access_token.map(|token| (token, prepared.version())));
                }
                tracing::warn!(credential = %key, "the lease was gone when the new token came; the stored one is used");
                Ok(None)
            }
            Err(Refusal::InvalidGrant) => {
                if self.row(owner).await?.version != row.version {
                    tracing::info!(credential = %key, "lost the race for a refresh: the winner's token is used");
                    return Ok(None);
                }
                let reason = match (rotates, row.refresh_attempts > 0) {
                    (true, true) => {
                        "the provider takes the refresh token no more (invalid_grant): an earlier refresh died before its answer was \
                         written; authorise again"
                    }
                    (true, false) => {
                        "the provider takes the refresh token no more (invalid_grant): it was revoked or ran out; authorise again"
                    }
                    (false, _) => "the provider refuses the client credentials (invalid_grant); store new ones",
                };
                self.needs_auth(owner, row, fence, reason).await
            }
            Err(Refusal::Refused(word)) => {
                let reason = format!("the token service refuses the client or the question: {word}");
                self.needs_auth(owner, row, fence, &reason).await
            }
            Err(Refusal::Later { reason, wait }) => {
                self.give_back(row, fence, &reason, wait).await?;
                tracing::warn!(credential = %key, reason, "a credential could not be renewed");
                current.map(Some).ok_or_else(|| unavailable(format!("credential {key}: {reason}")))
            }
            Err(Refusal::Forbidden(error)) => {
                self.give_back(row, fence, &error.to_string(), None).await?;
                Err(error)
            }
        }
    }

    /// A new pair exists nowhere but here: it is written again until the database takes it, or says that the lease is gone.
    async fn write_new(&self, id: i64, fence: i64, end: &RefreshEnd) -> Result<bool, ConnectorError> {
        let mut rounds = 0;
        loop {
            match self.store.end_refresh(id, fence, end).await {
                Ok(ours) => return Ok(ours),
                Err(StoreError::Unavailable(_)) if rounds < WRITE_ROUNDS => {
                    rounds += 1;
                    tracing::error!(rounds, "a renewed credential cannot be written: the database is away");
                    self.clock().sleep(LONGEST_POLL).await;
                }
                Err(error) => return Err(VaultError::from(error).into()),
            }
        }
    }

    async fn give_back(
        &self,
        row: &StoredCredential,
        fence: i64,
        reason: &str,
        wait: Option<Duration>,
    ) -> Result<(), ConnectorError> {
        let doublings = u32::try_from(row.refresh_failures.clamp(0, 10)).unwrap_or(0);
        let own = (self.options.cool_down * 2_u32.pow(doublings)).min(LONGEST_COOL_DOWN);
        let end = RefreshEnd::CoolDown { wait: wait.unwrap_or_default().max(own), reason: reason.to_owned() };
        self.store.end_refresh(row.id, fence, &end).await.map_err(VaultError::from)?;
        Ok(())
    }

    async fn needs_auth(
        &self,
        owner: &Owner,
        row: &StoredCredential,
        fence: i64,
        reason: &str,
    ) -> Result<Option<Token>, ConnectorError> {
        let end = RefreshEnd::NeedsAuth { reason: reason.to_owned() };
        if !self.store.end_refresh(row.id, fence, &end).await.map_err(VaultError::from)? {
            return Ok(None);
        }
        tracing::error!(credential = %owner.credential_key, reason, "a credential needs a person");
        Err(ConnectorError::new(ErrorKind::Unauthorized, format!("credential {}: {reason}", owner.credential_key)))
    }
}

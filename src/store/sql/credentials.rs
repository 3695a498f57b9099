//! Sealed credentials: read, replaced by compare-and-set on version and fence, wrapped anew, revoked.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Connection as Session, Db, Row,
    cells::{Cells, micros},
    credential_refresh,
    declare::note,
    fault::Fault,
    store::{Attempt, Outcome, Patience, Store},
};
use crate::{
    domain::ids::{ClientId, ConnectionId},
    store::{
        StoreError,
        catalogue::AdminAction,
        credentials::{
            CredentialFacts, CredentialStore, NewVersion, RefreshClaim, RefreshEnd, Sealed, StoredCredential,
        },
    },
};

const TABLE: &str = "integration_credentials";

macro_rules! select_sealed {
    ($end:literal) => {
        concat!(
            "select k.*, ",
            micros_until!("k.expires_at"),
            " as expires_in, ",
            micros_until!("k.cooling_until"),
            " as cooling_in, ",
            micros_until!("k.lease_until"),
            " as lease_in from integration_credentials k ",
            $end
        )
    };
}

const BY_KEY: &str = select_sealed!("where k.credential_key = ?");
const BY_OWNER: &str = select_sealed!("where k.credential_key = ? and k.connection_id = ? and k.client_id = ?");
const SEALED_AFTER: &str = select_sealed!("where k.id > ? and k.revoked_at is null order by k.id limit ?");
const FACTS: &str = "select k.*, c.connection_key, cl.client_key from integration_credentials k
    join integration_connections c on c.id = k.connection_id and c.client_id = k.client_id
    join core_clients cl on cl.id = k.client_id
    where (? is null or c.connection_key = ?) order by k.credential_key";
const STANDS: &str =
    "select count(*) from integration_credentials where credential_key = ? and version = ? and nonce = ?";
const TAKEN: &str = "select count(*) from integration_credentials where credential_key = ?";
const INSERT: &str = concat!(
    "insert into integration_credentials (credential_key, connection_id, client_id, version, algorithm, key_id, wrapped_key, \
     nonce, ciphertext, expires_at, created_at, stored_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ",
    maybe_now_plus_micros!(),
    ", ",
    now!(),
    ", ",
    now!(),
    ")"
);
const REPLACE: &str = concat!(
    "update integration_credentials set version = ?, algorithm = ?, key_id = ?, wrapped_key = ?, nonce = ?, ciphertext = ?, \
     expires_at = ",
    maybe_now_plus_micros!(),
    ", stored_at = ",
    now!(),
    ", fence = fence + 1, lease_owner = null, lease_until = null, refresh_state = 'idle', refresh_attempts = 0, \
     refresh_failures = 0, cooling_until = null, last_error = null, revoked_at = null \
     where credential_key = ? and connection_id = ? and client_id = ? and version = ? and fence = ?"
);
const REWRAP: &str = "update integration_credentials set wrapped_key = ?, key_id = ?
    where id = ? and version = ? and wrapped_key = ? and revoked_at is null";
const REVOKE: &str = concat!(
    "update integration_credentials set wrapped_key = '', nonce = '', ciphertext = '', expires_at = null, \
     fence = fence + 1, lease_owner = null, lease_until = null, refresh_state = 'idle', cooling_until = null, revoked_at = ",
    now!(),
    " where credential_key = ? and revoked_at is null"
);

#[async_trait]
impl CredentialStore for Store {
    async fn credential(&self, key: &str) -> Result<Option<StoredCredential>, StoreError> {
        self.read("read a credential", async {
            let row = self.inner.row(sqlx::query::<Db>(BY_KEY).bind(key)).await?;
            row.as_ref().map(sealed).transpose()
        })
        .await
    }

    async fn credential_of(
        &self,
        key: &str,
        connection: ConnectionId,
        client: ClientId,
    ) -> Result<Option<StoredCredential>, StoreError> {
        self.read("read a connection's credential", async {
            let query = sqlx::query::<Db>(BY_OWNER).bind(key).bind(connection.0).bind(client.0);
            self.inner.row(query).await?.as_ref().map(sealed).transpose()
        })
        .await
    }

    async fn credential_facts(&self, connection_key: Option<&str>) -> Result<Vec<CredentialFacts>, StoreError> {
        self.read("list credentials", async {
            let rows = self.inner.rows(sqlx::query::<Db>(FACTS).bind(connection_key).bind(connection_key)).await?;
            rows.iter().map(|row| facts(&Cells::of(TABLE, row))).collect()
        })
        .await
    }

    async fn sealed_credentials(&self, after: i64, limit: u32) -> Result<Vec<StoredCredential>, StoreError> {
        self.read("read sealed credentials", async {
            let rows = self.inner.rows(sqlx::query::<Db>(SEALED_AFTER).bind(after).bind(i64::from(limit))).await?;
            rows.iter().map(sealed).collect()
        })
        .await
    }

    async fn put_credential(&self, version: &NewVersion, action: &AdminAction) -> Result<bool, StoreError> {
        let told = Arc::new((version.clone(), action.clone()));
        self.write("store a credential", Patience::Short, move |session, attempt| {
            let told = Arc::clone(&told);
            Box::pin(async move { put(session, &told.0, &told.1, attempt).await })
        })
        .await
    }

    async fn rewrap_credential(
        &self,
        seen: &StoredCredential,
        wrapped: &str,
        key_id: &str,
    ) -> Result<bool, StoreError> {
        let (id, version, before) = (seen.id, seen.version, seen.sealed.wrapped_key.clone());
        let after: Arc<(String, String)> = Arc::new((wrapped.to_owned(), key_id.to_owned()));
        let before: Arc<str> = before.into();
        self.write("wrap a credential's key anew", Patience::Short, move |session, _| {
            let (after, before) = (Arc::clone(&after), Arc::clone(&before));
            Box::pin(async move {
                let query = sqlx::query::<Db>(REWRAP)
                    .bind(after.0.as_str())
                    .bind(after.1.as_str())
                    .bind(id)
                    .bind(version)
                    .bind(before.as_ref());
                Ok(Outcome::Commit(query.execute(session).await?.rows_affected() == 1))
            })
        })
        .await
    }

    async fn revoke_credential(&self, key: &str, action: &AdminAction) -> Result<bool, StoreError> {
        let told = Arc::new((key.to_owned(), action.clone()));
        self.write("revoke a credential", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                let query = sqlx::query::<Db>(REVOKE).bind(told.0.as_str());
                if query.execute(&mut *session).await?.rows_affected() == 0 {
                    return Ok(Outcome::RollBack(false));
                }
                note(session, &told.1).await?;
                Ok(Outcome::Commit(true))
            })
        })
        .await
    }

    async fn claim_refresh(&self, claim: &RefreshClaim) -> Result<Option<i64>, StoreError> {
        let claim = Arc::new(claim.clone());
        self.write("claim a refresh", Patience::Short, move |session, attempt| {
            let claim = Arc::clone(&claim);
            Box::pin(async move { credential_refresh::claim(session, &claim, attempt).await })
        })
        .await
    }

    async fn end_refresh(&self, id: i64, fence: i64, end: &RefreshEnd) -> Result<bool, StoreError> {
        let end = Arc::new(end.clone());
        // A new token that the provider has given exists nowhere else: it is worth waiting for the database.
        self.write("end a refresh", Patience::Outage, move |session, attempt| {
            let end = Arc::clone(&end);
            Box::pin(async move { credential_refresh::end(session, id, fence, &end, attempt).await })
        })
        .await
    }
}

async fn put(
    session: &mut Session,
    new: &NewVersion,
    action: &AdminAction,
    attempt: Attempt,
) -> Result<Outcome<bool>, Fault> {
    if attempt.unsure {
        let query =
            sqlx::query_scalar::<Db, i64>(STANDS).bind(&new.credential_key).bind(new.version).bind(&new.sealed.nonce);
        if query.fetch_one(&mut *session).await? > 0 {
            return Ok(Outcome::RollBack(true));
        }
    }
    let expires = new.expires_in.map(micros);
    let sealed = &new.sealed;
    let written = match new.replaces {
        Some((version, fence)) => sqlx::query::<Db>(REPLACE)
            .bind(new.version)
            .bind(&sealed.algorithm)
            .bind(&sealed.key_id)
            .bind(&sealed.wrapped_key)
            .bind(&sealed.nonce)
            .bind(&sealed.ciphertext)
            .bind(expires)
            .bind(expires)
            .bind(&new.credential_key)
            .bind(new.connection_id.0)
            .bind(new.client_id.0)
            .bind(version)
            .bind(fence)
            .execute(&mut *session)
            .await?
            .rows_affected(),
        None => {
            let taken = sqlx::query_scalar::<Db, i64>(TAKEN).bind(&new.credential_key);
            if taken.fetch_one(&mut *session).await? > 0 {
                return Ok(Outcome::RollBack(false));
            }
            sqlx::query::<Db>(INSERT)
                .bind(&new.credential_key)
                .bind(new.connection_id.0)
                .bind(new.client_id.0)
                .bind(new.version)
                .bind(&sealed.algorithm)
                .bind(&sealed.key_id)
                .bind(&sealed.wrapped_key)
                .bind(&sealed.nonce)
                .bind(&sealed.ciphertext)
                .bind(expires)
                .bind(expires)
                .execute(&mut *session)
                .await?
                .rows_affected()
        }
    };
    if written == 0 {
        return Ok(Outcome::RollBack(false));
    }
    note(session, action).await?;
    Ok(Outcome::Commit(true))
}

/// A span until an instant that may have passed.
fn span(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn sealed(row: &Row) -> Result<StoredCredential, Fault> {
    let cells = Cells::of(TABLE, row);
    let lease = match (cells.opt_text("lease_owner")?, cells.opt_int("lease_in")?) {
        (Some(owner), Some(left)) if left > 0 => Some((owner, span(left))),
        _ => None,
    };
    let stored_at = cells.at("stored_at")?;
    Ok(StoredCredential {
        id: cells.int("id")?,
        credential_key: cells.text("credential_key")?,
        connection_id: ConnectionId(cells.int("connection_id")?),
        client_id: ClientId(cells.int("client_id")?),
        version: cells.int("version")?,
        sealed: Sealed {
            algorithm: cells.text("algorithm")?,
            key_id: cells.text("key_id")?,
            wrapped_key: cells.text("wrapped_key")?,
            nonce: cells.text("nonce")?,
            ciphertext: cells.text("ciphertext")?,
        },
        expires_in: cells.opt_int("expires_in")?.map(span),
        lifetime: cells.opt_at("expires_at")?.map(|end| end.since(stored_at)),
        refresh_state: cells.word("refresh_state")?,
        refresh_attempts: cells.int("refresh_attempts")?,
        refresh_failures: cells.int("refresh_failures")?,
        cooling: cells.opt_int("cooling_in")?.filter(|left| *left > 0).map(span),
        last_error: cells.opt_text("last_error")?,
        fence: cells.int("fence")?,
        lease,
        revoked: cells.opt_at("revoked_at")?.is_some(),
    })
}

fn facts(cells: &Cells<'_>) -> Result<CredentialFacts, Fault> {
    Ok(CredentialFacts {
        credential_key: cells.text("credential_key")?,
        connection_key: cells.text("connection_key")?,
        client_key: cells.text("client_key")?,
        version: cells.int("version")?,
        algorithm: cells.text("algorithm")?,
        key_id: cells.text("key_id")?,
        expires_at: cells.opt_at("expires_at")?,
        refresh_state: cells.word("refresh_state")?,
        refresh_failures: cells.int("refresh_failures")?,
        last_error: cells.opt_text("last_error")?,
        created_at: cells.at("created_at")?,
        stored_at: cells.at("stored_at")?,
        revoked_at: cells.opt_at("revoked_at")?,
    })
}

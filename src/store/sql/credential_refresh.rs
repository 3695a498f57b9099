//! The lease on a credential's renewal: compare-and-set on the fence, on the database's clock; what came of it is written only
//! while the fence is still ours.

use super::{
    Connection as Session, Db,
    cells::micros,
    declare::note,
    fault::Fault,
    store::{Attempt, Outcome},
};
use crate::store::{
    catalogue::AdminAction,
    credentials::{RefreshClaim, RefreshEnd},
};

/// Lease and intent in one statement: nobody asks the provider before this is durable.
const CLAIM: &str = concat!(
    "update integration_credentials
     set fence = fence + 1, lease_owner = ?, lease_until = ",
    now_plus_micros!(),
    ", refresh_state = 'refreshing', refresh_attempts = refresh_attempts + 1, refresh_started_at = ",
    now!(),
    " where id = ? and version = ? and fence = ? and revoked_at is null
       and (lease_until is null or lease_until <= ",
    now!(),
    " or lease_owner = ?)"
);
/// The fence after ours, and our own name on it: the claim had arrived although its answer was lost.
const CLAIMED: &str = "select count(*) from integration_credentials where id = ? and fence = ? and lease_owner = ?";
const RENEWED: &str = concat!(
    "update integration_credentials
     set version = ?, algorithm = ?, key_id = ?, wrapped_key = ?, nonce = ?, ciphertext = ?, expires_at = ",
    maybe_now_plus_micros!(),
    ", stored_at = ",
    now!(),
    ", lease_owner = null, lease_until = null, refresh_state = 'idle', refresh_attempts = 0, refresh_failures = 0,
       cooling_until = null, last_error = null
     where id = ? and fence = ? and version = ? and revoked_at is null"
);
const STANDS: &str = "select count(*) from integration_credentials where id = ? and version = ? and nonce = ?";
const COOL_DOWN: &str = concat!(
    "update integration_credentials
     set lease_owner = null, lease_until = null, refresh_state = 'cooling_down', refresh_attempts = 0,
         refresh_failures = refresh_failures + 1, last_error = ?, cooling_until = ",
    now_plus_micros!(),
    " where id = ? and fence = ?"
);
const NEEDS_AUTH: &str = "update integration_credentials
    set lease_owner = null, lease_until = null, refresh_state = 'needs_auth', refresh_failures = refresh_failures + 1,
        cooling_until = null, last_error = ?
    where id = ? and fence = ?";
const CONNECTION_OF: &str = "select c.connection_key from integration_credentials k
    join integration_connections c on c.id = k.connection_id and c.client_id = k.client_id where k.id = ?";
/// A paused or revoked connection stays what a person made it.
const CONNECTION_NEEDS_AUTH: &str = "update integration_connections set status = 'needs_auth', status_reason = ?
    where connection_key = ? and status in ('draft', 'testing', 'connected')";

pub(super) async fn claim(
    session: &mut Session,
    claim: &RefreshClaim,
    attempt: Attempt,
) -> Result<Outcome<Option<i64>>, Fault> {
    let matched = sqlx::query::<Db>(CLAIM)
        .bind(&claim.owner)
        .bind(micros(claim.ttl))
        .bind(claim.id)
        .bind(claim.version)
        .bind(claim.seen_fence)
        .bind(&claim.dead_owner)
        .execute(&mut *session)
        .await?
        .rows_affected();
    let ours = claim.seen_fence + 1;
    if matched == 1 {
        return Ok(Outcome::Commit(Some(ours)));
    }
    let arrived = attempt.unsure && {
        let query = sqlx::query_scalar::<Db, i64>(CLAIMED).bind(claim.id).bind(ours).bind(&claim.owner);
        query.fetch_one(session).await? > 0
    };
    Ok(Outcome::RollBack(arrived.then_some(ours)))
}

pub(super) async fn end(
    session: &mut Session,
    id: i64,
    fence: i64,
    end: &RefreshEnd,
    attempt: Attempt,
) -> Result<Outcome<bool>, Fault> {
    let matched = match end {
        RefreshEnd::Renewed { version, sealed, expires_in } => {
            if attempt.unsure {
                let query = sqlx::query_scalar::<Db, i64>(STANDS).bind(id).bind(*version).bind(&sealed.nonce);
                if query.fetch_one(&mut *session).await? > 0 {
                    return Ok(Outcome::RollBack(true));
                }
            }
            sqlx::query::<Db>(RENEWED)
                .bind(*version)
                .bind(&sealed.algorithm)
                .bind(&sealed.key_id)
                .bind(&sealed.wrapped_key)
                .bind(&sealed.nonce)
                .bind(&sealed.ciphertext)
                .bind(expires_in.map(micros))
                .bind(expires_in.map(micros))
                .bind(id)
                .bind(fence)
                .bind(*version - 1)
                .execute(&mut *session)
                .await?
                .rows_affected()
        }
        RefreshEnd::CoolDown { wait, reason } => sqlx::query::<Db>(COOL_DOWN)
            .bind(reason)
            .bind(micros(*wait))
            .bind(id)
            .bind(fence)
            .execute(&mut *session)
            .await?
            .rows_affected(),
        RefreshEnd::NeedsAuth { reason } => {
            let query = sqlx::query::<Db>(NEEDS_AUTH).bind(reason).bind(id).bind(fence);
            let matched = query.execute(&mut *session).await?.rows_affected();
            if matched == 1 {
                connection_needs_auth(session, id, reason).await?;
            }
            matched
        }
    };
    Ok(if matched == 1 { Outcome::Commit(true) } else { Outcome::RollBack(false) })
}

async fn connection_needs_auth(session: &mut Session, id: i64, reason: &str) -> Result<(), Fault> {
    let key: String = sqlx::query_scalar::<Db, String>(CONNECTION_OF).bind(id).fetch_one(&mut *session).await?;
    let query = sqlx::query::<Db>(CONNECTION_NEEDS_AUTH).bind(reason).bind(&key);
    if query.execute(&mut *session).await?.rows_affected() == 0 {
        return Ok(());
    }
    let action = AdminAction {
        actor: "tidegate".to_owned(),
        action: "connection.needs_auth".to_owned(),
        subject_type: "connection".to_owned(),
        subject_key: key,
        reason: Some(reason.to_owned()),
        before: None,
        after: Some(serde_json::json!({"status": "needs_auth"})),
    };
    note(session, &action).await
}

//! Whose account a credential opens, written down; and an isolation incident: pause, act and incident step in one transaction.

use std::sync::Arc;

use super::{
    Connection as Session, Db,
    declare::note,
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::status::{ConnectionStatus, ControlKind, ControlScope, ControlStatus},
    store::{
        StoreError,
        catalogue::AdminAction,
        quality::{ISOLATION_INCIDENT, IsolationIncident, Whose},
    },
};

/// What a person reads in the list of controls.
const TITLE: &str = "Account isolation incident: find out whose data it is before the connection runs again";

const IDENTITY: &str = concat!(
    "update integration_connections set identity_account_id = ?, identity_checked_at = ",
    now!(),
    " where id = ? and client_id = ?"
);
const STATUS: &str =
    concat!("select status from integration_connections where id = ? and client_id = ?", for_update!());
const PAUSE: &str =
    "update integration_connections set status = 'paused', status_reason = ? where id = ? and client_id = ?";
const KNOWN: &str = "select id from launch_controls where control_key = ? and connection_id = ? and client_id = ?";
const INSERT: &str = concat!(
    "insert into launch_controls
         (scope, connection_id, client_id, control_key, title, kind, owner, status, status_reason, checked_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ",
    now!(),
    ")"
);
const RENEW: &str =
    concat!("update launch_controls set status = ?, status_reason = ?, checked_at = ", now!(), " where id = ?");

pub(super) async fn record_identity(store: &Store, of: Whose, account_id: &str) -> Result<(), StoreError> {
    let account_id: Arc<str> = account_id.into();
    store
        .write("keep whose account a credential opens", Patience::Short, move |session, _| {
            let account_id = Arc::clone(&account_id);
            Box::pin(async move {
                let query = sqlx::query::<Db>(IDENTITY).bind(account_id).bind(of.connection.0).bind(of.client.0);
                query.execute(session).await?;
                Ok(Outcome::Commit(()))
            })
        })
        .await
}

pub(super) async fn raise(store: &Store, of: Whose, incident: &IsolationIncident) -> Result<(), StoreError> {
    let told = Arc::new(incident.clone());
    store
        .write("raise an isolation incident", Patience::Short, move |session, _| {
            let told = Arc::clone(&told);
            Box::pin(async move { raise_within(session, of, &told).await })
        })
        .await
}

async fn raise_within(session: &mut Session, of: Whose, told: &IsolationIncident) -> Result<Outcome<()>, Fault> {
    let status = sqlx::query_scalar::<Db, String>(STATUS).bind(of.connection.0).bind(of.client.0);
    let Some(status) = status.fetch_optional(&mut *session).await? else {
        // Not this client's connection: nothing is changed.
        return Ok(Outcome::RollBack(()));
    };
    let held = [ConnectionStatus::Paused, ConnectionStatus::Revoked].iter().any(|held| held.as_str() == status);
    if !held {
        let pause = sqlx::query::<Db>(PAUSE).bind(&told.reason).bind(of.connection.0).bind(of.client.0);
        pause.execute(&mut *session).await?;
        let action = AdminAction {
            actor: "tidegate".to_owned(),
            action: "connection.pause".to_owned(),
            subject_type: "connection".to_owned(),
            subject_key: told.connection_key.clone(),
            reason: Some(told.reason.clone()),
            before: Some(serde_json::json!({"status": status})),
            after: Some(serde_json::json!({"status": ConnectionStatus::Paused})),
        };
        note(session, &action).await?;
    }
    let known = sqlx::query_scalar::<Db, i64>(KNOWN).bind(ISOLATION_INCIDENT).bind(of.connection.0).bind(of.client.0);
    let failed = ControlStatus::Failed.as_str();
    match known.fetch_optional(&mut *session).await? {
        Some(id) => {
            sqlx::query::<Db>(RENEW).bind(failed).bind(&told.reason).bind(id).execute(session).await?;
        }
        None => {
            sqlx::query::<Db>(INSERT)
                .bind(ControlScope::Connection.as_str())
                .bind(of.connection.0)
                .bind(of.client.0)
                .bind(ISOLATION_INCIDENT)
                .bind(TITLE)
                .bind(ControlKind::IncidentStep.as_str())
                .bind(&told.owner)
                .bind(failed)
                .bind(&told.reason)
                .execute(session)
                .await?;
        }
    }
    Ok(Outcome::Commit(()))
}

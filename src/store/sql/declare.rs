//! Writing a declaration: upserts by key, told apart by reading first, so that no other unique key can be hit by accident.

use std::collections::HashMap;

use super::{
    Connection as Session, Db,
    cells::{Cells, json_text},
    dialect::At,
    fault::Fault,
};
use crate::{
    domain::status::ClientStatus,
    store::{
        StoreError,
        catalogue::{AdminAction, ConnectionSpec, Declaration, JobSpec, Provider},
    },
};

const CLIENT_ID: &str = concat!("select id from core_clients where client_key = ?", for_update!());
const INSERT_CLIENT: &str = "insert into core_clients (name, status, client_key) values (?, ?, ?)";
const UPDATE_CLIENT: &str = "update core_clients set name = ?, status = ? where client_key = ?";
/// Whoever is archived stays so since then.
const ARCHIVED_SINCE: &str = concat!(
    "update core_clients set archived_at = case when status = 'archived' then coalesce(archived_at, ",
    now!(),
    ") end where client_key = ?"
);
const PROVIDER_ID: &str = concat!("select id from integration_providers where provider_key = ?", for_update!());
const INSERT_PROVIDER: &str = "insert into integration_providers
    (name, category, auth_type, status, owner, reason, provider_key) values (?, ?, ?, ?, ?, ?, ?)";
const UPDATE_PROVIDER: &str = "update integration_providers
    set name = ?, category = ?, auth_type = ?, status = ?, owner = ?, reason = ? where provider_key = ?";
const CONNECTION_ID: &str =
    concat!("select id, client_id from integration_connections where connection_key = ?", for_update!());
/// A new connection has never been tested, whatever it declares.
const INSERT_CONNECTION: &str = "insert into integration_connections
    (provider_key, provider_account_id, environment, owner, reason, source_label, auth_type, scopes, credential_ref,
     refresh_policy, revocation_path, failure_path, rollback_path, config, connection_key, client_id, status)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'draft')";
const UPDATE_CONNECTION: &str = "update integration_connections
    set provider_key = ?, provider_account_id = ?, environment = ?, owner = ?, reason = ?, source_label = ?,
        auth_type = ?, scopes = ?, credential_ref = ?, refresh_policy = ?, revocation_path = ?, failure_path = ?,
        rollback_path = ?, config = ?
    where connection_key = ? and client_id = ?";
/// Another credential, account or address: what the provider said of us no longer counts.
const FORGET_IDENTITY: &str =
    "update integration_connections set identity_checked_at = null, identity_account_id = null
    where connection_key = ? and client_id = ?
      and (provider_account_id <> ? or config <> ? or coalesce(credential_ref, '') <> coalesce(?, ''))";
const JOB_ID: &str = concat!(
    "select id, schedule, next_run_at from integration_sync_jobs where connection_id = ? and stream = ?",
    for_update!()
);
const INSERT_JOB: &str = "insert into integration_sync_jobs
    (connection_id, client_id, stream, sync_mode, schedule, stale_after_seconds, next_run_at, status)
    values (?, ?, ?, ?, ?, ?, ?, 'active')";
/// Never touches cursor, lease or status.
const UPDATE_JOB: &str = "update integration_sync_jobs
    set sync_mode = ?, schedule = ?, stale_after_seconds = ?, next_run_at = case when ? = 1 then ? else next_run_at end
    where id = ?";
const NOTE: &str = concat!(
    "insert into event_admin_actions (actor, action, subject_type, subject_key, reason, `before`, `after`, created_at)
     values (?, ?, ?, ?, ?, ?, ?, ",
    now!(),
    ")"
);

const ENDPOINT_ID: &str =
    concat!("select id from integration_webhook_endpoints where connection_id = ? and client_id = ?", for_update!());
const INSERT_ENDPOINT: &str = concat!(
    "insert into integration_webhook_endpoints (secrets, connection_id, client_id, created_at) values (?, ?, ?, ",
    now!(),
    ")"
);
const UPDATE_ENDPOINT: &str =
    "update integration_webhook_endpoints set secrets = ? where connection_id = ? and client_id = ?";

/// Connection id and client id.
type Owner = (i64, i64);

pub(super) async fn declare(session: &mut Session, declaration: &Declaration) -> Result<(), Fault> {
    for (key, name, status) in &declaration.clients {
        client(session, key, name, *status).await?;
    }
    for declared in &declaration.providers {
        provider(session, declared).await?;
    }
    let mut owners: HashMap<&str, Owner> = HashMap::new();
    for spec in &declaration.connections {
        let owner = connection(session, spec).await?;
        webhook_secrets(session, owner, &spec.webhook_secrets).await?;
        owners.insert(&spec.connection_key, owner);
    }
    for (spec, first_due) in &declaration.jobs {
        let owner = match owners.get(spec.connection_key.as_str()) {
            Some(owner) => *owner,
            None => owner_of(session, &spec.connection_key).await?.ok_or_else(|| {
                missing("connection", &spec.connection_key, format!("the job of stream {}", spec.stream))
            })?,
        };
        job(session, owner, spec, first_due.map(At)).await?;
    }
    for action in &declaration.actions {
        note(session, action).await?;
    }
    Ok(())
}

/// Writes down what a person did.
pub(super) async fn note(session: &mut Session, action: &AdminAction) -> Result<(), Fault> {
    sqlx::query::<Db>(NOTE)
        .bind(&action.actor)
        .bind(&action.action)
        .bind(&action.subject_type)
        .bind(&action.subject_key)
        .bind(&action.reason)
        .bind(action.before.as_ref().map(json_text))
        .bind(action.after.as_ref().map(json_text))
        .execute(session)
        .await?;
    Ok(())
}

async fn client(session: &mut Session, key: &str, name: &str, status: ClientStatus) -> Result<(), Fault> {
    let text = if id_of(session, CLIENT_ID, key).await?.is_some() { UPDATE_CLIENT } else { INSERT_CLIENT };
    sqlx::query::<Db>(text).bind(name).bind(status.as_str()).bind(key).execute(&mut *session).await?;
    sqlx::query::<Db>(ARCHIVED_SINCE).bind(key).execute(session).await?;
    Ok(())
}

async fn provider(session: &mut Session, declared: &Provider) -> Result<(), Fault> {
    let known = id_of(session, PROVIDER_ID, &declared.provider_key).await?.is_some();
    sqlx::query::<Db>(if known { UPDATE_PROVIDER } else { INSERT_PROVIDER })
        .bind(&declared.name)
        .bind(&declared.category)
        .bind(&declared.auth_type)
        .bind(declared.status.as_str())
        .bind(&declared.owner)
        .bind(&declared.reason)
        .bind(&declared.provider_key)
        .execute(session)
        .await?;
    Ok(())
}

async fn connection(session: &mut Session, spec: &ConnectionSpec) -> Result<Owner, Fault> {
    let client = id_of(session, CLIENT_ID, &spec.client_key)
        .await?
        .ok_or_else(|| missing("client", &spec.client_key, format!("connection {}", spec.connection_key)))?;
    let known = owner_of(session, &spec.connection_key).await?;
    if let Some((_, owner)) = known
        && owner != client
    {
        return Err(Fault::Refused(StoreError::Constraint {
            constraint: "one connection, one client".to_owned(),
            detail: format!(
                "connection {} belongs to another client than {}; its rows cannot change hands, so declare a new \
                 connection",
                spec.connection_key, spec.client_key
            ),
        }));
    }
    if known.is_some() {
        sqlx::query::<Db>(FORGET_IDENTITY)
            .bind(&spec.connection_key)
            .bind(client)
            .bind(&spec.provider_account_id)
            .bind(json_text(&spec.config))
            .bind(&spec.credential_ref)
            .execute(&mut *session)
            .await?;
    }
    let result = sqlx::query::<Db>(if known.is_some() { UPDATE_CONNECTION } else { INSERT_CONNECTION })
        .bind(&spec.provider_key)
        .bind(&spec.provider_account_id)
        .bind(spec.environment.as_str())
        .bind(&spec.owner)
        .bind(&spec.reason)
        .bind(&spec.source_label)
        .bind(&spec.auth_type)
        .bind(json_text(&serde_json::Value::from(spec.scopes.as_slice())))
        .bind(&spec.credential_ref)
        .bind(&spec.refresh_policy)
        .bind(&spec.revocation_path)
        .bind(&spec.failure_path)
        .bind(&spec.rollback_path)
        .bind(json_text(&spec.config))
        .bind(&spec.connection_key)
        .bind(client)
        .execute(session)
        .await?;
    Ok(known.unwrap_or((super::dialect::first_id(&result, 1), client)))
}

/// What is signed with stands beside the path, which a person makes later or has made before.
async fn webhook_secrets(
    session: &mut Session,
    (connection, client): Owner,
    references: &[String],
) -> Result<(), Fault> {
    let known = sqlx::query_scalar::<Db, i64>(ENDPOINT_ID).bind(connection).bind(client);
    let text = match known.fetch_optional(&mut *session).await? {
        Some(_) => UPDATE_ENDPOINT,
        None if references.is_empty() => return Ok(()),
        None => INSERT_ENDPOINT,
    };
    let list = json_text(&serde_json::Value::from(references));
    sqlx::query::<Db>(text).bind(list).bind(connection).bind(client).execute(session).await?;
    Ok(())
}

async fn job(
    session: &mut Session,
    (connection, client): Owner,
    spec: &JobSpec,
    first_due: Option<At>,
) -> Result<(), Fault> {
    let row = sqlx::query::<Db>(JOB_ID).bind(connection).bind(&spec.stream).fetch_optional(&mut *session).await?;
    let Some(row) = row else {
        sqlx::query::<Db>(INSERT_JOB)
            .bind(connection)
            .bind(client)
            .bind(&spec.stream)
            .bind(spec.sync_mode.as_str())
            .bind(&spec.schedule)
            .bind(spec.stale_after_seconds)
            .bind(first_due)
            .execute(session)
            .await?;
        return Ok(());
    };
    let cells = Cells::of("integration_sync_jobs", &row);
    // The due time follows the schedule; declaring the same schedule again moves nothing.
    let rescheduled = cells.opt_text("schedule")? != spec.schedule;
    sqlx::query::<Db>(UPDATE_JOB)
        .bind(spec.sync_mode.as_str())
        .bind(&spec.schedule)
        .bind(spec.stale_after_seconds)
        .bind(i64::from(rescheduled))
        .bind(first_due)
        .bind(cells.int("id")?)
        .execute(session)
        .await?;
    Ok(())
}

async fn id_of(session: &mut Session, text: &'static str, key: &str) -> Result<Option<i64>, Fault> {
    Ok(sqlx::query_scalar::<Db, i64>(text).bind(key).fetch_optional(session).await?)
}

async fn owner_of(session: &mut Session, key: &str) -> Result<Option<Owner>, Fault> {
    let row = sqlx::query::<Db>(CONNECTION_ID).bind(key).fetch_optional(session).await?;
    row.map(|row| {
        let cells = Cells::of("integration_connections", &row);
        Ok((cells.int("id")?, cells.int("client_id")?))
    })
    .transpose()
}

fn missing(what: &str, key: &str, needed_by: String) -> Fault {
    Fault::Refused(StoreError::Constraint {
        constraint: format!("{what} exists"),
        detail: format!("there is no {what} '{key}', which {needed_by} names"),
    })
}

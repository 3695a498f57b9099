//! What is declared, read; and the acts of people on it. Writing a declaration is `declare`'s.

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::{
    Connection as Session, Db,
    cells::{Cells, json_text},
    declare::{self, note},
    fault::Fault,
    store::{Outcome, Patience, Store},
};
use crate::{
    domain::{
        ids::{ClientId, ConnectionId, JobId, RunId},
        status::{ConnectionStatus, JobStatus},
    },
    store::{
        StoreError,
        catalogue::{
            AdminAction, CatalogueStore, Client, Connection, ConnectionSpec, Declaration, Job, JobFilter, JobSpec,
            Provider,
        },
    },
};

macro_rules! select_connection {
    ($end:literal) => {
        concat!(
            "select c.*, cl.client_key, w.secrets as webhook_secrets
             from integration_connections c join core_clients cl on cl.id = c.client_id
             left join integration_webhook_endpoints w on w.connection_id = c.id and w.client_id = c.client_id ",
            $end
        )
    };
}

macro_rules! select_job {
    ($end:expr) => {
        concat!(
            "select j.*, c.connection_key, c.provider_key, c.environment, c.status as connection_status, cl.client_key,
                    (select max(r.id) from integration_sync_runs r where r.job_id = j.id) as last_run_id,
                    -- What somebody has to act on.
                    (select count(*) from integration_sync_errors e
                     where e.job_id = j.id and e.status in ('open', 'retry_scheduled', 'exhausted')) as open_dead_letters
             from integration_sync_jobs j
             join integration_connections c on c.id = j.connection_id
             join core_clients cl on cl.id = j.client_id ",
            $end
        )
    };
}

const CLIENTS: &str = "select * from core_clients order by client_key";
const PROVIDERS: &str = "select * from integration_providers order by provider_key";
const CONNECTIONS: &str = select_connection!("order by c.connection_key");
const CONNECTION: &str = select_connection!("where c.connection_key = ?");
/// A null list means all.
const JOBS: &str = select_job!(concat!(
    "where (? is null or ",
    listed!("c.connection_key"),
    ") and (? is null or ",
    listed!("j.stream"),
    ") order by c.connection_key, j.stream"
));
const JOB: &str = select_job!("where j.id = ?");
/// Who ends a pause, or a wait for a credential, may have given another one: the provider is asked anew who we are. MySQL assigns
/// in the order that is written, so this reads the old status only where it stands first.
const SET_CONNECTION_STATUS: &str = "update integration_connections
    set identity_checked_at = case when status in ('paused', 'needs_auth') and ? not in ('paused', 'needs_auth') then null
                                   else identity_checked_at end,
        status = ?, status_reason = ? where connection_key = ?";
/// What has passed its test batch is connected from now on; a pause or a revocation stays.
const ACTIVATE: &str = concat!(
    "update integration_connections
     set status = case when status in ('draft', 'testing') then 'connected' else status end, activated_at = ",
    now!(),
    " where connection_key = ?"
);
const SET_JOB_STATUS: &str = "update integration_sync_jobs
    set attempts = case when status = 'quarantined' and ? <> 'quarantined' then 0 else attempts end, status = ?
    where id = ?";
const RESET_CURSOR: &str = concat!(
    "update integration_sync_jobs set cursor_state = null, cursor_order = null, resume_position = null
     where id = ? and (lease_until is null or lease_until <= ",
    now!(),
    ")"
);
const ADMIN_ACTIONS: &str = "select * from event_admin_actions order by id desc limit ?";

#[async_trait]
impl CatalogueStore for Store {
    async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        self.read("list clients", async {
            let rows = self.inner.rows(sqlx::query(CLIENTS)).await?;
            rows.iter().map(|row| client(&Cells::of("core_clients", row))).collect()
        })
        .await
    }

    async fn providers(&self) -> Result<Vec<Provider>, StoreError> {
        self.read("list providers", async {
            let rows = self.inner.rows(sqlx::query(PROVIDERS)).await?;
            rows.iter().map(|row| provider(&Cells::of("integration_providers", row))).collect()
        })
        .await
    }

    async fn connections(&self) -> Result<Vec<Connection>, StoreError> {
        self.read("list connections", async {
            let rows = self.inner.rows(sqlx::query(CONNECTIONS)).await?;
            rows.iter().map(|row| connection(&Cells::of("integration_connections", row))).collect()
        })
        .await
    }

    async fn connection(&self, key: &str) -> Result<Option<Connection>, StoreError> {
        self.read("read a connection", async {
            let row = self.inner.row(sqlx::query(CONNECTION).bind(key)).await?;
            row.map(|row| connection(&Cells::of("integration_connections", &row))).transpose()
        })
        .await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
        let (keys, streams) = (json_list(&filter.connection_keys), json_list(&filter.streams));
        self.read("list jobs", async {
            let query = sqlx::query::<Db>(JOBS).bind(keys.clone()).bind(keys).bind(streams.clone()).bind(streams);
            let rows = self.inner.rows(query).await?;
            rows.iter().map(|row| job(&Cells::of("integration_sync_jobs", row))).collect()
        })
        .await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.read("read a job", async {
            let row = self.inner.row(sqlx::query(JOB).bind(id.0)).await?;
            row.map(|row| job(&Cells::of("integration_sync_jobs", &row))).transpose()
        })
        .await
    }

    async fn declare(&self, declaration: &Declaration) -> Result<(), StoreError> {
        let declaration = std::sync::Arc::new(declaration.clone());
        self.write("write a declaration", Patience::Short, move |session, _| {
            let declaration = std::sync::Arc::clone(&declaration);
            Box::pin(async move { declare::declare(session, &declaration).await.map(Outcome::Commit) })
        })
        .await
    }

    async fn set_connection_status(
        &self,
        key: &str,
        status: ConnectionStatus,
        reason: Option<&str>,
        action: &AdminAction,
    ) -> Result<bool, StoreError> {
        let (key, reason) = (key.to_owned(), reason.map(str::to_owned));
        self.act("set a connection's status", action, move |session| {
            let (key, reason) = (key.clone(), reason.clone());
            Box::pin(async move {
                let word = status.as_str();
                let query = sqlx::query::<Db>(SET_CONNECTION_STATUS).bind(word).bind(word).bind(reason).bind(key);
                Ok(query.execute(session).await?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn activate_connection(&self, key: &str, action: &AdminAction) -> Result<bool, StoreError> {
        let key = key.to_owned();
        self.act("activate a connection", action, move |session| {
            let key = key.clone();
            Box::pin(
                async move { Ok(sqlx::query::<Db>(ACTIVATE).bind(key).execute(session).await?.rows_affected() == 1) },
            )
        })
        .await
    }

    async fn set_job_status(&self, id: JobId, status: JobStatus, action: &AdminAction) -> Result<bool, StoreError> {
        self.act("set a job's status", action, move |session| {
            Box::pin(async move {
                let word = status.as_str();
                let query = sqlx::query::<Db>(SET_JOB_STATUS).bind(word).bind(word).bind(id.0);
                Ok(query.execute(session).await?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn reset_cursor(&self, id: JobId, action: &AdminAction) -> Result<bool, StoreError> {
        self.act("reset a cursor", action, move |session| {
            Box::pin(async move {
                Ok(sqlx::query::<Db>(RESET_CURSOR).bind(id.0).execute(session).await?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn admin_actions(
        &self,
        limit: u32,
    ) -> Result<Vec<(crate::domain::clock::Timestamp, AdminAction)>, StoreError> {
        self.read("list admin actions", async {
            let rows = self.inner.rows(sqlx::query(ADMIN_ACTIONS).bind(i64::from(limit))).await?;
            rows.iter()
                .map(|row| {
                    let cells = Cells::of("event_admin_actions", row);
                    let action = AdminAction {
                        actor: cells.text("actor")?,
                        action: cells.text("action")?,
                        subject_type: cells.text("subject_type")?,
                        subject_key: cells.text("subject_key")?,
                        reason: cells.opt_text("reason")?,
                        before: cells.opt_json("before")?,
                        after: cells.opt_json("after")?,
                    };
                    Ok((cells.at("created_at")?, action))
                })
                .collect()
        })
        .await
    }
}

impl Store {
    /// One change of a person's, with its act in the same transaction; no act is written when nothing was changed.
    async fn act<F>(&self, during: &'static str, action: &AdminAction, change: F) -> Result<bool, StoreError>
    where
        F: for<'t> Fn(&'t mut Session) -> BoxFuture<'t, Result<bool, Fault>> + Send + Sync + 'static,
    {
        let shared = std::sync::Arc::new((action.clone(), change));
        self.write(during, Patience::Short, move |session, _| {
            let shared = std::sync::Arc::clone(&shared);
            Box::pin(async move {
                let (action, change) = &*shared;
                if !change(&mut *session).await? {
                    return Ok(Outcome::RollBack(false));
                }
                note(session, action).await?;
                Ok(Outcome::Commit(true))
            })
        })
        .await
    }
}

/// `None` for an empty list, which means all.
fn json_list(items: &[String]) -> Option<String> {
    (!items.is_empty()).then(|| json_text(&serde_json::Value::from(items)))
}

fn client(cells: &Cells<'_>) -> Result<Client, Fault> {
    Ok(Client {
        id: ClientId(cells.int("id")?),
        client_key: cells.text("client_key")?,
        name: cells.text("name")?,
        status: cells.word("status")?,
    })
}

fn provider(cells: &Cells<'_>) -> Result<Provider, Fault> {
    Ok(Provider {
        provider_key: cells.text("provider_key")?,
        name: cells.text("name")?,
        category: cells.text("category")?,
        auth_type: cells.text("auth_type")?,
        status: cells.word("status")?,
        owner: cells.opt_text("owner")?,
        reason: cells.opt_text("reason")?,
    })
}

fn connection(cells: &Cells<'_>) -> Result<Connection, Fault> {
    let scopes = cells.json("scopes")?;
    Ok(Connection {
        id: ConnectionId(cells.int("id")?),
        client_id: ClientId(cells.int("client_id")?),
        status: cells.word("status")?,
        status_reason: cells.opt_text("status_reason")?,
        last_tested_at: cells.opt_at("last_tested_at")?,
        activated_at: cells.opt_at("activated_at")?,
        identity_account_id: cells.opt_text("identity_account_id")?,
        identity_checked_at: cells.opt_at("identity_checked_at")?,
        spec: ConnectionSpec {
            connection_key: cells.text("connection_key")?,
            client_key: cells.text("client_key")?,
            provider_key: cells.text("provider_key")?,
            provider_account_id: cells.text("provider_account_id")?,
            environment: cells.word("environment")?,
            owner: cells.opt_text("owner")?,
            reason: cells.opt_text("reason")?,
            source_label: cells.text("source_label")?,
            auth_type: cells.text("auth_type")?,
            scopes: words(&scopes),
            credential_ref: cells.opt_text("credential_ref")?,
            refresh_policy: cells.opt_text("refresh_policy")?,
            revocation_path: cells.opt_text("revocation_path")?,
            failure_path: cells.opt_text("failure_path")?,
            rollback_path: cells.opt_text("rollback_path")?,
            webhook_secrets: cells.opt_json("webhook_secrets")?.as_ref().map(words).unwrap_or_default(),
            config: cells.json("config")?,
        },
    })
}

/// The texts of a JSON list.
pub(super) fn words(list: &serde_json::Value) -> Vec<String> {
    list.as_array()
        .map(|words| words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect())
        .unwrap_or_default()
}

fn job(cells: &Cells<'_>) -> Result<Job, Fault> {
    Ok(Job {
        id: JobId(cells.int("id")?),
        connection_id: ConnectionId(cells.int("connection_id")?),
        client_id: ClientId(cells.int("client_id")?),
        client_key: cells.text("client_key")?,
        provider_key: cells.text("provider_key")?,
        spec: JobSpec {
            connection_key: cells.text("connection_key")?,
            stream: cells.text("stream")?,
            sync_mode: cells.word("sync_mode")?,
            schedule: cells.opt_text("schedule")?,
            stale_after_seconds: cells.opt_int("stale_after_seconds")?,
        },
        status: cells.word("status")?,
        cursor_state: cells.opt_json("cursor_state")?,
        next_run_at: cells.opt_at("next_run_at")?,
        last_complete_at: cells.opt_at("last_complete_at")?,
        consecutive_failures: cells.int("consecutive_failures")?,
        fence: cells.int("fence")?,
        lease_owner: cells.opt_text("lease_owner")?,
        lease_until: cells.opt_at("lease_until")?,
        attempts: cells.int("attempts")?,
        connection_status: cells.word("connection_status")?,
        environment: cells.word("environment")?,
        last_run_id: cells.opt_int("last_run_id")?.map(RunId),
        open_dead_letters: cells.int("open_dead_letters")?,
    })
}

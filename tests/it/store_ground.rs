//! Common ground of the store's tests: two clients with connections and jobs, and pages as the pipeline would make them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tidegate::{
    domain::{
        business::{CRM_LEADS, Column, ColumnType},
        clock::Timestamp,
        counts::{Counts, Traffic},
        cursor::Cursor,
        ids::{JobId, RunId},
        record::{Cell, MappedRow, payload_hash, text_hash},
        status::{ClientStatus, Environment, Origin, ProviderStatus, RawStatus, RunOrigin, RunStatus, Stage, SyncMode},
    },
    store::{
        SharedStore,
        catalogue::{AdminAction, ConnectionSpec, Declaration, JobFilter, JobSpec, Provider},
        lease::{Claim, Claimed, Held, RunEnd},
        page::{DeadLetterWrite, Decide, PageHead, PageReceipt, PageScope, PageWrites, RawWrite, RecordWrite},
    },
};

use crate::support::databases::TestDatabase;

pub const TTL: Duration = Duration::from_secs(60);

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A time that both engines have passed already.
pub fn long_ago() -> Timestamp {
    at("2020-01-01T00:00:00Z")
}

pub fn connection(key: &str, client: &str) -> ConnectionSpec {
    ConnectionSpec {
        connection_key: key.to_owned(),
        client_key: client.to_owned(),
        provider_key: "hubspot".to_owned(),
        provider_account_id: format!("account of {key}"),
        environment: Environment::Sandbox,
        owner: Some("integration@example.test".to_owned()),
        reason: None,
        source_label: "CRM".to_owned(),
        auth_type: "token".to_owned(),
        scopes: vec!["contacts.read".to_owned()],
        credential_ref: Some("env:TOKEN".to_owned()),
        refresh_policy: None,
        revocation_path: None,
        failure_path: None,
        rollback_path: None,
        webhook_secrets: Vec::new(),
        config: json!({"start_date": "2026-01-01T00:00:00Z"}),
    }
}

pub fn job_spec(connection: &str, stream: &str) -> JobSpec {
    JobSpec {
        connection_key: connection.to_owned(),
        stream: stream.to_owned(),
        sync_mode: SyncMode::Incremental,
        schedule: Some("every 15m".to_owned()),
        stale_after_seconds: Some(7200),
    }
}

pub fn act(action: &str) -> AdminAction {
    AdminAction {
        actor: "ada".to_owned(),
        action: action.to_owned(),
        subject_type: "connection".to_owned(),
        subject_key: "acme-hubspot".to_owned(),
        reason: Some("a test".to_owned()),
        before: Some(json!({"a": 1})),
        after: None,
    }
}

/// Clients `acme` and `bolt`, each with a connection `<client>-hubspot` and the jobs `contacts` and `deals`, all due.
pub fn two_clients() -> Declaration {
    let connections = vec![connection("acme-hubspot", "acme"), connection("bolt-hubspot", "bolt")];
    let jobs = connections
        .iter()
        .flat_map(|c| ["contacts", "deals"].map(|stream| (job_spec(&c.connection_key, stream), Some(long_ago()))))
        .collect();
    Declaration {
        clients: ["acme", "bolt"].map(|key| (key.to_owned(), key.to_uppercase(), ClientStatus::Active)).to_vec(),
        providers: vec![Provider {
            provider_key: "hubspot".to_owned(),
            name: "HubSpot".to_owned(),
            category: "crm".to_owned(),
            auth_type: "token".to_owned(),
            status: ProviderStatus::Active,
            owner: None,
            reason: None,
        }],
        connections,
        jobs,
        actions: vec![act("declare")],
    }
}

pub async fn lay(store: &SharedStore) {
    store.declare(&two_clients()).await.expect("the declaration");
}

pub async fn job_id(store: &SharedStore, connection: &str, stream: &str) -> JobId {
    let filter = JobFilter { connection_keys: vec![connection.to_owned()], streams: vec![stream.to_owned()] };
    let jobs = store.jobs(&filter).await.expect("jobs");
    assert_eq!(jobs.len(), 1, "one job of {connection}/{stream}");
    jobs[0].id
}

pub fn claim_of(job: JobId, seen_fence: i64, worker: &str) -> Claim {
    Claim {
        job,
        seen_fence,
        worker: worker.to_owned(),
        ttl: TTL,
        origin: RunOrigin::Schedule,
        mapping_version: Some("v1".to_owned()),
        dead_owner: None,
        quarantine_after: 3,
    }
}

/// Claims a job that must be free.
pub async fn hold(store: &SharedStore, job: JobId) -> Held {
    let fence = store.job(job).await.expect("a job").expect("the job").fence;
    match store.claim(&claim_of(job, fence, "worker")).await.expect("a claim") {
        Claimed::Held(held) => *held,
        other => panic!("not held: {other:?}"),
    }
}

/// Lets a lease run out, by the database's clock: its end is moved into the past.
pub async fn expire(db: &TestDatabase, job: JobId) {
    let past = if db.is_mysql() { "2020-01-01 00:00:00" } else { "2020-01-01T00:00:00.000000Z" };
    let text =
        format!("update integration_sync_jobs set lease_until = '{past}' where id = {job} and lease_until is not null");
    db.sql.ok(&text).await;
}

/// Lays the ground and claims `acme-hubspot/contacts`.
pub async fn held(store: &SharedStore) -> Held {
    lay(store).await;
    hold(store, job_id(store, "acme-hubspot", "contacts").await).await
}

pub fn scope(held: &Held) -> PageScope {
    PageScope {
        lease: held.lease.clone(),
        run: held.run,
        connection_id: held.connection_id,
        client_id: held.client_id,
        provider_key: held.provider_key.clone(),
        source_label: held.source_label.clone(),
        stream: held.stream.clone(),
        object_type: "contact".to_owned(),
        origin: Origin::Pull,
        is_test: false,
        mapping_version: Some("v1".to_owned()),
    }
}

pub fn cursor(order: i64) -> Cursor {
    Cursor { state: json!({"updatedAt": order}), order: Some(order) }
}

/// What a provider gave: `ok: false` cannot be mapped.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    pub id: String,
    pub version: i64,
    pub ok: bool,
}

impl Given {
    pub fn new(id: impl ToString, version: i64) -> Self {
        Self { id: id.to_string(), version, ok: true }
    }

    pub fn broken(id: impl ToString, version: i64) -> Self {
        Self { id: id.to_string(), version, ok: false }
    }

    pub fn payload(&self) -> Value {
        json!({"id": self.id, "version": self.version, "email": format!("{}@example.test", self.id), "ok": self.ok})
    }

    pub fn hash(&self) -> String {
        payload_hash(&self.payload())
    }
}

pub fn head(page_no: i64, given: &[Given]) -> PageHead {
    let mut seen = HashSet::new();
    let look_up = given.iter().filter(|g| seen.insert(g.id.clone())).map(|g| g.id.clone()).collect();
    PageHead {
        page_no,
        page_hash: text_hash(&format!("{page_no} {given:?}")),
        started_at: at("2026-03-01T08:00:00.123456Z"),
        cursor: None,
        resume: None,
        traffic: Traffic { requests: 1, retries: 2, rate_limited_ms: 3, bytes_in: 4 },
        window: None,
        story: format!("page {page_no}"),
        lease_ttl: TTL,
        look_up,
        close_superseded: false,
    }
}

/// A row of `crm_leads` that says where it came from.
pub fn lead(given: &Given) -> MappedRow {
    let cell = |column: &Column| match (column.name, column.kind) {
        ("contact_name", _) => Cell::Text(format!("Name {} v{}", given.id, given.version)),
        ("email", _) => Cell::Text(format!("{}@example.test", given.id)),
        ("consent", _) => Cell::Text("granted".to_owned()),
        (_, ColumnType::Time) => Cell::Time(at("2026-02-03T04:05:06.000007Z")),
        _ => Cell::Null,
    };
    MappedRow { table: &CRM_LEADS, cells: CRM_LEADS.columns.iter().map(cell).collect() }
}

/// Decides as the pipeline does: created, updated, unchanged, duplicate or failed.
pub fn decide(given: Vec<Given>, run: RunId) -> Decide {
    Arc::new(move |known| {
        let mut writes = PageWrites::default();
        let mut in_page: HashSet<(&str, i64)> = HashSet::new();
        for item in &given {
            let hash = item.hash();
            writes.counts.seen += 1;
            let stored = known.get(&item.id);
            let raw = writes.raw.len();
            let status = if !item.ok {
                writes.counts.failed += 1;
                writes.dead_letters.push(DeadLetterWrite {
                    raw: Some(raw),
                    stage: Stage::Map,
                    external_id: item.id.clone(),
                    payload_hash: hash.clone(),
                    fingerprint: "unknown_enum:stage:v1".to_owned(),
                    error_code: "unknown_enum".to_owned(),
                    message_internal: "field stage: not one of the map's words".to_owned(),
                    message_client_safe: "A record could not be read.".to_owned(),
                    remedy: "add the word to the field map, then replay".to_owned(),
                });
                RawStatus::Failed
            } else if !in_page.insert((&item.id, item.version)) {
                writes.counts.duplicate += 1;
                RawStatus::Duplicate
            } else if let Some(stored) = stored.filter(|stored| stored.payload_hash == hash) {
                if stored.last_run_id == run {
                    writes.counts.duplicate += 1;
                    RawStatus::Duplicate
                } else {
                    writes.counts.unchanged += 1;
                    RawStatus::Unchanged
                }
            } else {
                if stored.is_some() {
                    writes.counts.updated += 1;
                } else {
                    writes.counts.created += 1;
                }
                let row = lead(item);
                writes.records.push(RecordWrite {
                    raw,
                    external_id: item.id.clone(),
                    record_hash: row.fingerprint(),
                    row,
                    payload_hash: hash.clone(),
                    source_updated_at: Some(at("2026-02-03T00:00:00Z")),
                    existing: stored.cloned(),
                });
                RawStatus::Normalized
            };
            // As in the pipeline, what is unchanged or seen twice is counted and not staged again.
            if matches!(status, RawStatus::Normalized | RawStatus::Failed) {
                writes.raw.push(RawWrite::New {
                    external_id: item.id.clone(),
                    payload: item.payload().to_string(),
                    payload_hash: hash,
                    status,
                    reason: None,
                });
            }
        }
        writes
    })
}

/// Commits a page that must go through.
pub async fn commit(store: &SharedStore, held: &Held, head: PageHead, given: &[Given]) -> PageReceipt {
    store
        .commit_page(Arc::new(scope(held)), Arc::new(head), decide(given.to_vec(), held.run))
        .await
        .unwrap_or_else(|error| panic!("{error:?}"))
}

pub fn end(status: RunStatus) -> RunEnd {
    RunEnd {
        status,
        error_code: None,
        error_internal: None,
        error_client_safe: None,
        remedy: None,
        next_run_at: None,
        complete: status == RunStatus::Succeeded,
        listed: None,
        failure: Some(status == RunStatus::Failed),
        connection: None,
        tested: false,
        unmapped_fields: None,
        letter: None,
        due_letters: None,
        traffic: Traffic::default(),
        window: None,
        provider_total: None,
    }
}

pub fn counts(seen: i64, created: i64, updated: i64, unchanged: i64, duplicate: i64, failed: i64) -> Counts {
    Counts { seen, created, updated, unchanged, duplicate, ignored: 0, failed }
}

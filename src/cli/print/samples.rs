//! Rows for the tests of printing.

use std::time::Duration;

use serde_json::json;

use super::View;
use crate::{
    domain::{
        clock::Timestamp,
        counts::{Counts, Traffic},
        ids::{ClientId, ConnectionId, DeadLetterId, JobId, RawEventId, RunId},
        status::{
            ConnectionStatus, DeadLetterStatus, Environment, JobStatus, Origin, RunOrigin, RunStatus, Stage, SyncMode,
        },
    },
    store::{
        catalogue::{Connection, ConnectionSpec, Job, JobSpec},
        dead_letters::DeadLetter,
        runs::{Run, RunPage},
    },
};

pub(super) fn now() -> Timestamp {
    "2026-11-22T06:30:12Z".parse().expect("a fixed time is a time")
}

pub(super) fn view() -> View {
    View { now: now(), width: None }
}

fn ago(seconds: u64) -> Timestamp {
    now().minus(Duration::from_secs(seconds))
}

pub(super) fn connection() -> Connection {
    Connection {
        id: ConnectionId(1),
        client_id: ClientId(1),
        status: ConnectionStatus::Connected,
        status_reason: None,
        last_tested_at: Some(ago(86_400)),
        activated_at: Some(ago(3_600)),
        identity_account_id: Some("4711".to_owned()),
        identity_checked_at: Some(ago(3_600)),
        spec: ConnectionSpec {
            connection_key: "acme-hubspot".to_owned(),
            client_key: "acme".to_owned(),
            provider_key: "hubspot".to_owned(),
            provider_account_id: "4711".to_owned(),
            environment: Environment::Production,
            owner: Some("integration@example.test".to_owned()),
            reason: Some("lead pull for the weekly report".to_owned()),
            source_label: "CRM".to_owned(),
            auth_type: "bearer".to_owned(),
            scopes: vec!["crm.objects.contacts.read".to_owned()],
            credential_ref: Some("env:ACME_TOKEN".to_owned()),
            refresh_policy: None,
            revocation_path: Some("private app settings, revoke".to_owned()),
            failure_path: None,
            rollback_path: Some("tidegate runs void".to_owned()),
            webhook_secrets: Vec::new(),
            config: json!({ "start_date": "2026-01-01T00:00:00Z" }),
        },
    }
}

pub(super) fn job() -> Job {
    Job {
        id: JobId(7),
        connection_id: ConnectionId(1),
        client_id: ClientId(1),
        client_key: "acme".to_owned(),
        provider_key: "hubspot".to_owned(),
        spec: JobSpec {
            connection_key: "acme-hubspot".to_owned(),
            stream: "contacts".to_owned(),
            sync_mode: SyncMode::Incremental,
            schedule: Some("every 15m".to_owned()),
            stale_after_seconds: Some(7_200),
        },
        status: JobStatus::Active,
        cursor_state: Some(json!({ "updatedAt": "2026-11-22T06:15:00.000Z" })),
        next_run_at: Some(now().plus(Duration::from_secs(600))),
        last_complete_at: Some(ago(300)),
        consecutive_failures: 0,
        fence: 3,
        lease_owner: None,
        lease_until: None,
        attempts: 0,
        connection_status: ConnectionStatus::Connected,
        environment: Environment::Production,
        last_run_id: Some(RunId(42)),
        open_dead_letters: 0,
    }
}

pub(super) fn run() -> Run {
    Run {
        id: RunId(42),
        job_id: JobId(7),
        connection_key: "acme-hubspot".to_owned(),
        client_key: "acme".to_owned(),
        provider_key: "hubspot".to_owned(),
        stream: "contacts".to_owned(),
        origin: RunOrigin::Schedule,
        status: RunStatus::Succeeded,
        window_start: Some(ago(86_400)),
        window_end: Some(ago(185)),
        cursor_before: None,
        cursor_after: Some(json!({ "updatedAt": "2026-11-22T06:15:00.000Z" })),
        started_at: ago(185),
        finished_at: Some(ago(183)),
        pages: 12,
        traffic: Traffic { requests: 14, retries: 2, rate_limited_ms: 1_500, bytes_in: 748_000 },
        counts: Counts { seen: 1_200, created: 1_180, updated: 0, unchanged: 17, duplicate: 0, ignored: 0, failed: 3 },
        error_code: None,
        error_internal: None,
        error_client_safe: None,
        remedy: None,
        worker: Some("host-1:77:abc".to_owned()),
        fence: 3,
        mapping_version: Some("2026-11-01".to_owned()),
        unmapped_fields: None,
        records_repaired: 0,
        provider_total: None,
    }
}

pub(super) fn pages() -> Vec<RunPage> {
    [1, 2, 12]
        .map(|page_no| RunPage {
            page_no,
            story: format!("2026-11-21 to now, page {page_no}"),
            started_at: ago(185),
            committed_at: ago(185).plus(Duration::from_millis(170)),
            traffic: Traffic { requests: 1, retries: i64::from(page_no == 2), rate_limited_ms: 0, bytes_in: 62_000 },
            counts: Counts { seen: 100, created: 97, unchanged: 2, failed: 1, ..Counts::default() },
            cursor_after: (page_no == 12).then(|| json!({ "updatedAt": "2026-11-22T06:15:00.000Z" })),
        })
        .to_vec()
}

pub(super) fn dead_letter() -> DeadLetter {
    DeadLetter {
        id: DeadLetterId(5),
        run_id: RunId(42),
        job_id: JobId(7),
        connection_id: ConnectionId(1),
        connection_key: "acme-hubspot".to_owned(),
        client_key: "acme".to_owned(),
        origin: Origin::Pull,
        stage: Stage::Map,
        stream: "contacts".to_owned(),
        external_id: "17".to_owned(),
        raw_event_id: Some(RawEventId(99)),
        fingerprint: "0123456789abcdef0123456789abcdef".to_owned(),
        error_code: "unknown_enum".to_owned(),
        message_internal: "properties.lifecyclestage: not one of the 8 words of the map".to_owned(),
        message_client_safe: "One record needs a review.".to_owned(),
        remedy: "add the word to the field map, then: tidegate errors retry".to_owned(),
        payload_hash: "a".repeat(64),
        attempts: 2,
        retries: 0,
        first_seen_at: ago(3_600),
        last_seen_at: ago(185),
        next_retry_at: None,
        status: DeadLetterStatus::Open,
        resolved_at: None,
        resolved_by: None,
    }
}

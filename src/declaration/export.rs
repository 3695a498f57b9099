//! What stands, written as a declaration: reading it again changes nothing.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::CurrentState;
use crate::{
    domain::{
        schedule::{Schedule, format_duration},
        status::{ClientStatus, Environment, ProviderStatus, SyncMode},
    },
    store::catalogue::{Connection, Job},
    yaml,
};

#[derive(Serialize)]
struct File<'a> {
    clients: Vec<ClientOut<'a>>,
    providers: Vec<ProviderOut<'a>>,
    connections: Vec<ConnectionOut<'a>>,
}

#[derive(Serialize)]
struct ClientOut<'a> {
    key: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "is_active_client")]
    status: ClientStatus,
}

#[derive(Serialize)]
struct ProviderOut<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    status: ProviderStatus,
}

#[derive(Serialize)]
struct ConnectionOut<'a> {
    key: &'a str,
    client: &'a str,
    provider: &'a str,
    provider_account_id: &'a str,
    environment: Environment,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    source_label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    scopes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback_path: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    webhook_secrets: &'a [String],
    #[serde(skip_serializing_if = "is_nothing")]
    config: &'a Value,
    jobs: Vec<JobOut<'a>>,
}

#[derive(Serialize)]
struct JobOut<'a> {
    stream: &'a str,
    sync_mode: SyncMode,
    schedule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_after: Option<String>,
}

fn is_active_client(status: &ClientStatus) -> bool {
    *status == ClientStatus::Active
}

fn is_nothing(config: &Value) -> bool {
    config.as_object().is_none_or(serde_json::Map::is_empty)
}

/// Writes the catalogue as one declaration file.
///
/// # Errors
/// The serializer's text; not for anything that `super::parse` took.
pub fn to_yaml(current: &CurrentState) -> Result<String, String> {
    let file = File {
        clients: current
            .clients
            .iter()
            .map(|client| ClientOut { key: &client.client_key, name: &client.name, status: client.status })
            .collect(),
        providers: current
            .providers
            .iter()
            .map(|provider| ProviderOut {
                key: &provider.provider_key,
                owner: provider.owner.as_deref(),
                reason: provider.reason.as_deref(),
                status: provider.status,
            })
            .collect(),
        connections: current.connections.iter().map(|known| connection(known, &current.jobs)).collect(),
    };
    yaml::to_yaml(&file)
}

fn connection<'a>(known: &'a Connection, jobs: &'a [Job]) -> ConnectionOut<'a> {
    let spec = &known.spec;
    ConnectionOut {
        key: &spec.connection_key,
        client: &spec.client_key,
        provider: &spec.provider_key,
        provider_account_id: &spec.provider_account_id,
        environment: spec.environment,
        owner: spec.owner.as_deref(),
        reason: spec.reason.as_deref(),
        source_label: &spec.source_label,
        credential: spec.credential_ref.as_deref(),
        scopes: &spec.scopes,
        refresh_policy: spec.refresh_policy.as_deref(),
        revocation_path: spec.revocation_path.as_deref(),
        failure_path: spec.failure_path.as_deref(),
        rollback_path: spec.rollback_path.as_deref(),
        webhook_secrets: &spec.webhook_secrets,
        config: &spec.config,
        jobs: jobs.iter().filter(|job| job.spec.connection_key == spec.connection_key).map(job).collect(),
    }
}

fn job(known: &Job) -> JobOut<'_> {
    let stale = known.spec.stale_after_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    JobOut {
        stream: &known.spec.stream,
        sync_mode: known.spec.sync_mode,
        schedule: known.spec.schedule.clone().unwrap_or_else(|| Schedule::Manual.to_string()),
        stale_after: stale.map(|seconds| format_duration(Duration::from_secs(seconds))),
    }
}

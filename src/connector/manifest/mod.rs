//! The declarative engine: reads `manifest.yaml` in the low-code format and pulls by it.
//!
//! Owns what the format means. The way of a manifest: `crate::yaml` (text to tree) → `resolve` (`$ref`) → `load*` (tree to plans,
//! all refusals at once) → `pull` (one page: `slices`, `request`, `paginate`, `select`, `place`). Templates are compiled at
//! load (`template`, `macros`, `json_view`) and follow the format's type rules (`python`, `literal`)
//! and time formats (`datetime`, `duration`).
//! Refuses components in Python, and whatever this version does not support, at load and by name.

pub mod datetime;
pub mod duration;
mod hosts;
mod json_view;
pub mod literal;
mod load;
mod load_request;
mod load_slicing;
mod macros;
mod paginate;
mod place;
mod plan;
mod pull;
pub mod python;
mod reader;
mod request;
mod resolve;
mod select;
mod settings;
mod slices;
mod template;

use std::sync::Arc;

use async_trait::async_trait;
use load::Loaded;
pub use load::{Facts, Manifest};
use secrecy::SecretString;
use serde_json::Value;
use template::Scope;

use super::{
    Connector, ConnectorError, ErrorKind, Identity, Page, PullRequest, StreamSpec, TrafficMeter,
    credential::CredentialSource,
    http::{AllowedHosts, Body, Call, Fetch, HttpGate, LimitKey, Method},
    registry::ConnectionFacts,
};
use crate::domain::{cursor::Position, status::SyncMode};

/// One connection's connector by a manifest.
pub struct ManifestConnector {
    loaded: Arc<Loaded>,
    /// Without the secret.
    config: Arc<Value>,
    credential: Arc<dyn CredentialSource>,
    gate: Arc<HttpGate>,
    limit: LimitKey,
    /// All that may be asked, whatever the provider answers.
    hosts: AllowedHosts,
}

impl ManifestConnector {
    /// Binds a manifest to a connection.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when the connection's options are not what the manifest asks for, [`ErrorKind::Policy`] when
    /// they lead out of the domain that the manifest names.
    pub fn new(manifest: &Manifest, provider_key: &str, facts: ConnectionFacts) -> Result<Self, ConnectorError> {
        let loaded = Arc::clone(&manifest.0);
        settings::check(&loaded.specification, loaded.credential.as_deref(), &facts.config)?;
        let limit = LimitKey {
            account: format!("{provider_key}/{}", facts.provider_account_id),
            requests_per_second: loaded.facts.requests_per_second,
            burst: loaded.facts.burst,
        };
        let config = Arc::new(facts.config);
        let scope = Scope::new(facts.gate.clock().now(), &config);
        let hosts = hosts::allowed(&loaded, &scope, config.get("base_url").and_then(Value::as_str))?;
        Ok(Self { loaded, config, credential: facts.credential, gate: facts.gate, limit, hosts })
    }

    fn config_with(&self, secret: Option<&SecretString>) -> Result<Arc<Value>, ConnectorError> {
        settings::with_secret(&self.config, self.loaded.credential.as_deref(), secret)
    }
}

#[async_trait]
impl Connector for ManifestConnector {
    fn streams(&self) -> &[StreamSpec] {
        &self.loaded.specs
    }

    fn tells_account(&self) -> bool {
        self.loaded.identity.as_ref().is_some_and(|identity| identity.account_id.is_some())
    }

    fn place(&self, position: Option<&Position>) -> String {
        let place = position.and_then(|position| place::Place::read(position).ok());
        place.map_or_else(|| "first page".to_owned(), |place| place.told())
    }

    async fn check(&self, traffic: Arc<TrafficMeter>) -> Result<Identity, ConnectorError> {
        let now = self.gate.clock().now();
        let Some(identity) = &self.loaded.identity else {
            let plan = &self.loaded.streams[self.loaded.check_stream];
            let request = PullRequest {
                stream: plan.spec.name.clone(),
                mode: SyncMode::FullRefresh,
                cursor: None,
                position: None,
                started_at: now,
                limit: Some(1),
                traffic,
            };
            let page = self.pull(&request).await?;
            let detail = format!("read the first page of {} ({} records)", plan.spec.name, page.items.len());
            return Ok(Identity { account_id: None, detail });
        };
        let plan = &self.loaded.streams[identity.stream].request;
        let engine = &self.loaded.engine;
        let call = |secret: Option<&SecretString>| {
            let scope = Scope::new(now, &self.config_with(secret)?);
            let path = engine.text(&identity.path, &scope)?;
            let base = match &plan.url {
                plan::UrlPlan::Whole(url) => engine.text(url, &scope)?,
                plan::UrlPlan::Joined { base, .. } => engine.text(base, &scope)?,
            };
            let url = request::join(&base, &path).parse().map_err(|_| {
                ConnectorError::new(ErrorKind::Settings, "the identity request has no readable address")
            })?;
            let asked = Call { method: Method::Get, url, headers: Vec::new(), body: Body::None };
            request::authenticated(engine, plan, &scope, asked)
        };
        let fetch = Fetch {
            limit: &self.limit,
            hosts: &self.hosts,
            credential: self.credential.as_ref(),
            traffic: &traffic,
            call: &call,
            safe_to_repeat: true,
            max_retries: plan.max_retries,
        };
        let answer = self.gate.fetch(&fetch).await?;
        let body = answer.json()?;
        let account_id = match &identity.account_id {
            None => None,
            Some(path) => {
                let found = path.iter().try_fold(&body, |at, step| at.get(step));
                let id = found.filter(|id| id.is_string() || id.is_number()).map(python::to_text);
                if id.is_none() {
                    let message = format!("{}: the answer has no account id at '{}'", answer.asked, path.join("."));
                    return Err(ConnectorError::new(ErrorKind::Decode, message));
                }
                id
            }
        };
        let named = account_id.as_ref().map(|id| format!(": account {id}")).unwrap_or_default();
        Ok(Identity { account_id, detail: format!("{} was answered{named}", answer.asked) })
    }

    async fn pull(&self, request: &PullRequest) -> Result<Page, ConnectorError> {
        let plan = self.loaded.streams.iter().find(|plan| plan.spec.name == request.stream).ok_or_else(|| {
            ConnectorError::new(ErrorKind::Settings, format!("the connector has no stream '{}'", request.stream))
        })?;
        pull::Pull::new(self, plan, request)?.page().await
    }
}

#[cfg(test)]
mod hubspot_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod simulator_tests;
#[cfg(test)]
mod tests;

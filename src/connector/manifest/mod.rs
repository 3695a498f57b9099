//! The declarative engine: reads `manifest.yaml` in the low-code format and pulls by it.
//!
//! Owns what the format means. The way of a manifest: `crate::yaml` (text to tree) → `resolve` (`$ref`) → `propagate` (types, `$parameters`) → `load*` (tree to plans,
//! all refusals at once) → `pull` (one page: `slices`, `request`, `paginate`, `select`, `place`). Templates are compiled at
//! load (`engine` over `template/`) and follow the format's type rules (`python`, `literal`) and time
//! formats (`datetime`, `strptime`, `duration`).
//! Refuses components in Python, and whatever this version does not support, at load and by name.

mod address;
mod auth;
mod body;
#[allow(dead_code, reason = "the reader core calls these; each is tested by itself")]
mod budget;
mod config_rules;
pub mod datetime;
mod decode;
pub mod detour;
mod dpath;
pub mod duration;
mod engine;
mod errors;
mod extract;
mod hosts;
pub mod literal;
mod literal_number;
mod literal_reader;
mod load;
mod load_auth;
mod load_errors;
mod load_partitions;
mod load_request;
mod load_selector;
mod load_slicing;
mod normalise;
mod paginate;
mod parents;
mod partition;
mod place;
mod plan;
mod propagate;
#[allow(dead_code, reason = "the reader core calls these; each is tested by itself")]
mod properties;
mod pull;
mod pull_answer;
mod pull_partitions;
pub mod python;
mod reader;
mod request;
mod resolve;
#[allow(dead_code, reason = "the reader core calls these; each is tested by itself")]
mod schema;
mod select;
mod settings;
mod slices;
#[allow(dead_code, reason = "the reader core calls these; each is tested by itself")]
mod source_plan;
pub mod strptime;
pub mod template;
mod transform;
pub mod trial;

use std::sync::Arc;

use async_trait::async_trait;
use engine::Scope;
use load::Loaded;
pub use load::{Facts, Manifest};
use secrecy::SecretString;
use serde_json::Value;

use super::{
    Connector, ConnectorError, ErrorKind, Identity, Page, PullRequest, StreamSpec, TrafficMeter,
    credential::CredentialSource,
    http::{AllowedHosts, Answer, Body, Call, Fetch, HttpGate, LimitKey, Method},
    registry::ConnectionFacts,
};
use crate::domain::{clock::Timestamp, cursor::Position, status::SyncMode};

/// Makes a request from the connection's secret and the token that was fetched for it.
type MakeCall<'a> =
    dyn Fn(Option<&SecretString>, Option<&SecretString>) -> Result<Call, ConnectorError> + Send + Sync + 'a;

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
    /// Pages of parent streams that are in use.
    parents: parents::Kept,
    tokens: auth::tokens::Tokens,
    /// The configuration with tokens that were renewed, for whoever keeps it.
    renewals: std::sync::Mutex<Option<Value>>,
    manner: Manner,
    /// Another place that is asked instead, when the manifest is tried out.
    detour: Option<detour::Detour>,
}

/// Whose rules hold where the format leaves room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The daemon's: a doubtful page fails, providers' headers are heeded, nobody is asked in circles.
    Daemon,
    /// The reference implementation's, to the letter.
    Reference,
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
        let (now, rules) = (facts.gate.clock().now(), &loaded.declared.spec.rules);
        let migrated = rules.migrate(&loaded.engine, facts.config, now)?;
        let config = Arc::new(rules.transform(&loaded.engine, migrated, now)?);
        let scope = Scope::new(now, &config);
        let hosts = hosts::allowed(&loaded, &scope, config.get("base_url").and_then(Value::as_str))?;
        let (parents, tokens, manner) = (parents::Kept::default(), auth::tokens::Tokens::default(), Manner::Daemon);
        Ok(Self {
            loaded,
            config,
            credential: facts.credential,
            gate: facts.gate,
            limit,
            hosts,
            parents,
            tokens,
            renewals: std::sync::Mutex::default(),
            manner,
            detour: None,
        })
    }

    /// A token service gave a new pair. What is kept of it is the vault's; here it stays in memory.
    fn renewed(&self, updates: &auth::Updates, access: &str, refresh: Option<&Value>, until: Option<Timestamp>) {
        let mut told = self.renewals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut config = told.take().unwrap_or_else(|| (*self.config).clone());
        let until = until.map(|until| until.to_string());
        let changes = [
            (&updates.access_token, Some(Value::String(access.to_owned()))),
            (&updates.refresh_token, refresh.cloned()),
            (&updates.expiry, until.map(Value::String)),
        ];
        for (path, value) in changes {
            if let Some(value) = value {
                put_at(&mut config, path, value);
            }
        }
        *told = Some(config);
    }

    fn strictness(&self) -> select::Strictness {
        match self.manner {
            Manner::Daemon => select::Strictness::Daemon,
            Manner::Reference => select::Strictness::Reference,
        }
    }

    fn waits(&self) -> errors::Waits {
        match self.manner {
            Manner::Daemon => errors::Waits::Polite,
            Manner::Reference => errors::Waits::Reference,
        }
    }

    /// A connector of a manifest alone, with the reference implementation's manner: the configuration holds the secrets, any public
    /// host may be asked.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when the configuration lacks what the manifest requires.
    pub fn as_reference(manifest: &Manifest, config: Value, gate: Arc<HttpGate>) -> Result<Self, ConnectorError> {
        let loaded = Arc::clone(&manifest.0);
        settings::check_required(&loaded.specification, &config)?;
        let config = loaded.declared.spec.rules.prepare(&loaded.engine, config, gate.clock().now())?;
        let limit = LimitKey {
            account: "source".to_owned(),
            requests_per_second: loaded.facts.requests_per_second,
            burst: loaded.facts.burst,
        };
        Ok(Self {
            loaded,
            config: Arc::new(config),
            credential: Arc::new(crate::connector::credential::NoCredential),
            gate,
            limit,
            hosts: AllowedHosts::any(),
            parents: parents::Kept::default(),
            tokens: auth::tokens::Tokens::default(),
            renewals: std::sync::Mutex::default(),
            manner: Manner::Reference,
            detour: None,
        })
    }

    /// The configuration as renewed tokens changed it since the last call; `None`: nothing changed.
    pub fn take_renewed_config(&self) -> Option<Value> {
        self.renewals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    /// Sends a request of a plan: with a token that is fetched first where the authenticator needs one, and once more with a fresh
    /// one when it was refused.
    async fn send(
        &self,
        plan: &plan::RequestPlan,
        traffic: &Arc<TrafficMeter>,
        make: &MakeCall<'_>,
        scope: &Scope,
    ) -> Result<Answer, ConnectorError> {
        let mut refused: Option<SecretString> = None;
        loop {
            let session = self.session(plan, traffic, scope, refused.as_ref()).await?;
            let call = |secret: Option<&SecretString>| self.spelt(make(secret, session.as_ref())?);
            let judge =
                errors::ManifestJudge { engine: &self.loaded.engine, plan: &plan.errors, scope, waits: self.waits() };
            let fetch = Fetch {
                limit: &self.limit,
                hosts: &self.hosts,
                credential: self.credential.as_ref(),
                traffic,
                call: &call,
                // A retriever only reads, also where the provider wants its questions posted.
                safe_to_repeat: true,
                max_retries: None,
                judge: Some(&judge),
            };
            match self.gate.fetch(&fetch).await {
                Err(error) if error.kind == ErrorKind::Unauthorized && session.is_some() && refused.is_none() => {
                    refused = session;
                }
                answered => return answered,
            }
        }
    }

    fn spelt(&self, call: Call) -> Result<Call, ConnectorError> {
        let call = if self.manner == Manner::Reference { body::as_reference(call) } else { call };
        match &self.detour {
            None => Ok(call),
            Some(detour) => detour.take(call),
        }
    }

    /// The token that the plan's authenticator needs fetched, if any.
    async fn session(
        &self,
        plan: &plan::RequestPlan,
        traffic: &Arc<TrafficMeter>,
        scope: &Scope,
        refused: Option<&SecretString>,
    ) -> Result<Option<SecretString>, ConnectorError> {
        if !plan.auth.fetches() {
            return Ok(None);
        }
        let secret = self.credential.read().await?;
        let config = self.config_with(secret.as_ref())?;
        let scope = scope.clone().with("config", &config);
        let asking = auth::tokens::Asking { connector: self, scope: &scope, config: &config, traffic, refused };
        self.tokens.of(&plan.auth, &asking).await
    }

    fn config_with(&self, secret: Option<&SecretString>) -> Result<Arc<Value>, ConnectorError> {
        let config = settings::with_secret(&self.config, self.loaded.credential.as_deref(), secret)?;
        let rules = &self.loaded.declared.spec.rules;
        if rules.is_empty() {
            return Ok(config);
        }
        let now = self.gate.clock().now();
        rules.prepare(&self.loaded.engine, Arc::unwrap_or_clone(config), now).map(Arc::new)
    }
}

/// Puts a value into a configuration, making the tables on the way.
fn put_at(at: &mut Value, path: &[String], value: Value) {
    let Some((part, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    if !at.is_object() {
        *at = Value::Object(serde_json::Map::new());
    }
    if let Some(fields) = at.as_object_mut() {
        put_at(fields.entry(part.clone()).or_insert(Value::Null), rest, value);
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
        let make = |secret: Option<&SecretString>, session: Option<&SecretString>| {
            let config = self.config_with(secret)?;
            let scope = Scope::new(now, &config);
            let path = engine.text(&identity.path, &scope)?;
            let base = match &plan.url {
                plan::UrlPlan::Whole(url) => engine.text(url, &scope)?,
                plan::UrlPlan::Joined { base, .. } => engine.text(base, &scope)?,
            };
            let url = address::join(&base, &path).parse().map_err(|_| {
                ConnectorError::new(ErrorKind::Settings, "the identity request has no readable address")
            })?;
            let asked = Call { method: Method::Get, url, headers: Vec::new(), body: Body::None };
            let proof = request::Proof { config: &config, session, now };
            request::authenticated(engine, plan, &scope, proof, asked)
        };
        let answer = self.send(plan, &traffic, &make, &Scope::new(now, &self.config)).await?;
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

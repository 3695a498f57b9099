//! The declarative engine: reads `manifest.yaml` in the low-code format and pulls by it.
//!
//! Owns what the format means. The way of a manifest: `crate::yaml` (text to tree) → `resolve` (`$ref`) → `propagate` (types, `$parameters`) → `load*` (tree to plans,
//! all refusals at once) → `pull` (one page: `slices`, `request`, `paginate`, `select`, `place`). Templates are compiled at
//! load (`engine` over `template/`) and follow the format's type rules (`python`, `literal`) and time
//! formats (`datetime`, `strptime`, `duration`).
//! Refuses components in Python, and whatever this version does not support, at load and by name.

mod address;
mod advice;
mod ahead;
mod asked;
mod assemble;
mod auth;
mod body;
mod budget;
mod calls;
mod clamp;
mod complaint;
mod config_rules;
pub mod datetime;
mod decode;
mod delegate;
mod detour;
mod dpath;
pub mod duration;
mod dynamic_streams;
mod engine;
mod errors;
mod extract;
mod fits;
mod hosts;
mod job;
pub mod literal;
mod literal_number;
mod literal_reader;
mod load;
mod load_auth;
mod load_detours;
mod load_errors;
mod load_fields;
mod load_names;
mod load_partitions;
mod load_properties;
mod load_request;
mod load_retriever;
mod load_selector;
mod load_slicing;
mod load_streams;
mod normalise;
mod paginate;
mod parents;
mod partition;
mod place;
mod plan;
mod propagate;
mod properties;
mod pull;
mod pull_answer;
mod pull_ask;
mod pull_detours;
mod pull_partitions;
mod pull_properties;
mod pull_wait;
pub mod python;
mod reach;
mod reader;
mod request;
mod request_body;
pub mod reroute;
mod resolve;
mod schema;
mod select;
mod settings;
mod slices;
mod source_plan;
pub mod strptime;
pub mod template;
mod transform;
pub mod trial;
mod trial_grant;
mod trial_paging;
mod trial_stamps;

use std::sync::Arc;

use async_trait::async_trait;
use engine::Scope;
use load::Loaded;
pub use load::{Facts, Manifest};
pub use load_names::Outline;
pub use reach::Checked;
use secrecy::SecretString;
use serde_json::Value;
pub use trial_grant::Grant;

use super::{
    Connector, ConnectorError, ErrorKind, Identity, Page, PullRequest, StreamSpec, TrafficMeter,
    credential::CredentialSource,
    http::{AllowedHosts, Body, Call, CallBudget, HttpGate, LimitKey, Method},
    registry::ConnectionFacts,
};
use crate::domain::{clock::Timestamp, cursor::Position, status::SyncMode};

/// One connection's connector by a manifest.
pub struct ManifestConnector {
    loaded: Arc<Loaded>,
    /// Without the secret.
    config: Arc<Value>,
    credential: Arc<dyn CredentialSource>,
    gate: Arc<HttpGate>,
    limit: LimitKey,
    /// `api_budget`; one for all connectors of the account.
    budget: Option<Arc<dyn CallBudget>>,
    /// All that may be asked, whatever the provider answers.
    hosts: AllowedHosts,
    /// Pages of parent streams that are in use.
    parents: Arc<parents::Kept>,
    /// Schemas that do not stand in the manifest.
    schemas: Arc<schema::Told>,
    tokens: Arc<auth::tokens::Tokens>,
    /// The configuration with tokens that were renewed, for whoever keeps it.
    renewals: Arc<std::sync::Mutex<Option<Value>>>,
    ahead: ahead::Ahead,
    /// Downloads of jobs that are being read, and how many jobs there may be.
    downloads: Arc<job::Downloads>,
    room: Arc<job::Room>,
    manner: Manner,
    /// Another place that is asked instead, when the manifest is tried out.
    /// Where requests go in place of the provider, on trial.
    reroute: Option<Arc<reroute::Reroute>>,
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
        let (now, rules) = (facts.gate.clock().now(), &loaded.declared.spec.rules);
        let migrated = rules.migrate(&loaded.engine, facts.config, now)?;
        let config = Arc::new(rules.transform(&loaded.engine, migrated, now)?);
        let scope = Scope::new(now, &config);
        let loaded = assemble::decided(&loaded, &scope)?;
        let limit = loaded.limit(format!("{provider_key}/{}", facts.provider_account_id), &scope)?;
        let budget = loaded.budget(&facts.gate, &limit, &scope)?;
        let room = Arc::new(loaded.room(&scope));
        let hosts = hosts::allowed(&loaded, &scope, config.get("base_url").and_then(Value::as_str))?;
        Ok(Self {
            loaded,
            config,
            credential: facts.credential,
            gate: facts.gate,
            limit,
            budget,
            hosts,
            parents: Arc::default(),
            schemas: Arc::default(),
            tokens: Arc::default(),
            renewals: Arc::default(),
            ahead: ahead::Ahead::default(),
            downloads: Arc::default(),
            room,
            manner: Manner::Daemon,
            reroute: None,
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
        let now = gate.clock().now();
        let config = Arc::new(loaded.declared.spec.rules.prepare(&loaded.engine, config, now)?);
        let scope = Scope::new(now, &config);
        let limit = loaded.limit("source".to_owned(), &scope)?;
        let budget = loaded.budget(&gate, &limit, &scope)?;
        let room = Arc::new(loaded.room(&scope));
        Ok(Self {
            loaded,
            config,
            credential: Arc::new(crate::connector::credential::NoCredential),
            gate,
            limit,
            budget,
            hosts: AllowedHosts::any(),
            parents: Arc::default(),
            schemas: Arc::default(),
            tokens: Arc::default(),
            renewals: Arc::default(),
            ahead: ahead::Ahead::default(),
            downloads: Arc::default(),
            room,
            manner: Manner::Reference,
            reroute: None,
        })
    }

    /// The schema that a platform's catalogue wants of a stream: fields that it leaves out are not asked for, where the manifest says
    /// so.
    pub fn want_schema(&self, stream: &str, schema: Value) {
        self.parents.want_schema(stream, schema);
    }

    /// The configuration as renewed tokens changed it since the last call; `None`: nothing changed.
    pub fn take_renewed_config(&self) -> Option<Value> {
        self.renewals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn config_with(&self, secret: Option<&SecretString>) -> Result<Arc<Value>, ConnectorError> {
        let config = settings::with_secret(&self.config, self.loaded.credential.as_deref(), secret)?;
        let rules = &self.loaded.declared.spec.rules;
        // A source's configuration holds the secrets from the beginning, and was prepared with them.
        if self.manner == Manner::Reference {
            return Ok(config);
        }
        if rules.is_empty() {
            settings::check_parts(&self.loaded.specification, self.loaded.credential.as_deref(), &config, secret)?;
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
        let place = position.and_then(|position| place::Place::read(&delegate::inner(position)).ok());
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
            let proof = request::Proof { config: &config, session, now, may_lack: self.manner == Manner::Reference };
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
                    let message = format!(
                        "{}: the answer has no account id at '{}'; the credential may not have been recognised (some providers answer this to anybody), or the id stands elsewhere",
                        answer.asked,
                        path.join(".")
                    );
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
        Ok(delegate::placed_page(self, plan, request, Some(&self.ahead)).await?.1)
    }
}

#[cfg(test)]
mod hubspot_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod shift_tests;
#[cfg(test)]
mod simulator_tests;
#[cfg(test)]
mod streams_tests;
#[cfg(test)]
mod tests;

//! How an account is asked, as the manifest says: by which loop, how many requests at once, and within which call budget.
//!
//! Owns the counts while the process lives; all pulls of the account share them. Which policy holds, and what is left, is `budget`'s.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::SecretString;

use super::{
    ManifestConnector, Manner, asked,
    auth::tokens::Asking,
    body,
    budget::{Asked, Budget},
    engine::Scope,
    errors::ManifestJudge,
    job::Room,
    load::{Loaded, Manifest},
    plan::RequestPlan,
};
use crate::{
    connector::{
        ConnectorError, ErrorKind, TrafficMeter,
        http::{Answer, Call, CallBudget, Fetch, HttpGate, LimitKey, Spool},
    },
    domain::clock::Timestamp,
};

/// Makes a request from the connection's secret and the token that was fetched for it.
type MakeCall<'a> =
    dyn Fn(Option<&SecretString>, Option<&SecretString>) -> Result<Call, ConnectorError> + Send + Sync + 'a;

impl Manifest {
    /// The group of streams that are not read together with that one, and its streams.
    pub fn group_of(&self, stream: &str) -> Option<(&str, &[String])> {
        let group = self.0.declared.groups.iter().find(|group| group.streams.iter().any(|name| name == stream))?;
        Some((&group.name, &group.streams))
    }
}

impl Loaded {
    /// How an account is asked: as the manifest says, by the configuration in `scope`.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when its concurrency is no number.
    pub fn limit(&self, account: String, scope: &Scope) -> Result<LimitKey, ConnectorError> {
        let level = self.declared.concurrency.as_ref().map(|level| level.level(&self.engine, scope)).transpose()?;
        Ok(LimitKey {
            account,
            requests_per_second: self.facts.requests_per_second,
            burst: self.facts.burst,
            at_once: level.map(|level| u32::try_from(level).unwrap_or(u32::MAX)),
        })
    }

    /// How many jobs may be at the provider at once: one, where the manifest says nothing that can be counted.
    pub fn room(&self, scope: &Scope) -> Room {
        let jobs = self.declared.jobs.as_ref().and_then(|jobs| self.engine.value(jobs, scope).ok());
        Room::new(jobs.and_then(|jobs| jobs.as_u64()).unwrap_or(1))
    }

    /// The account's call budget, where the manifest has one.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when a limit is no number.
    pub fn budget(
        &self,
        gate: &HttpGate,
        account: &LimitKey,
        scope: &Scope,
    ) -> Result<Option<Arc<dyn CallBudget>>, ConnectorError> {
        let Some(plan) = &self.declared.budget else { return Ok(None) };
        let make = || -> Result<Arc<dyn CallBudget>, ConnectorError> {
            Ok(Arc::new(Calls::new(Budget::new(plan, &self.engine, scope)?)))
        };
        gate.budget(account, make).map(Some)
    }
}

impl ManifestConnector {
    /// Sends a request of a plan: with a token that is fetched first where the authenticator needs one, and once more with a fresh
    /// one when it was refused.
    pub(super) async fn send(
        &self,
        plan: &RequestPlan,
        traffic: &Arc<TrafficMeter>,
        make: &MakeCall<'_>,
        scope: &Scope,
    ) -> Result<Answer, ConnectorError> {
        self.send_into(plan, traffic, make, scope, None).await
    }

    /// As `send`; the body of a good answer goes into `spool`, where there is one.
    pub(super) async fn send_into(
        &self,
        plan: &RequestPlan,
        traffic: &Arc<TrafficMeter>,
        make: &MakeCall<'_>,
        scope: &Scope,
        spool: Option<&Spool>,
    ) -> Result<Answer, ConnectorError> {
        let mut refused: Option<SecretString> = None;
        loop {
            let session = self.session(plan, traffic, scope, refused.as_ref()).await?;
            let call = |secret: Option<&SecretString>| {
                let call = self.spelt(make(secret, session.as_ref())?)?;
                traffic.asks(|| asked::line(&call, &[secret, session.as_ref()]));
                Ok(call)
            };
            let judge = ManifestJudge {
                engine: &self.loaded.engine,
                plan: &plan.errors,
                scope,
                waits: self.waits(),
                budget: self.budget.as_deref(),
            };
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
                spool,
            };
            match self.gate.fetch(&fetch).await {
                Err(error) if error.kind == ErrorKind::Unauthorized && session.is_some() && refused.is_none() => {
                    refused = session;
                }
                answered => return answered,
            }
        }
    }

    pub(super) fn spelt(&self, call: Call) -> Result<Call, ConnectorError> {
        let call = if self.manner == Manner::Reference { body::as_reference(call) } else { call };
        match &self.reroute {
            None => Ok(call),
            Some(reroute) => reroute.take(call),
        }
    }

    /// The token that the plan's authenticator needs fetched, if any.
    pub(super) async fn session(
        &self,
        plan: &RequestPlan,
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
        let asking = Asking { connector: self, scope: &scope, config: &config, traffic, refused };
        self.tokens.of(&plan.auth, &asking).await
    }
}

/// A budget that requests side by side take from.
pub(super) struct Calls(Mutex<Budget>);

impl Calls {
    pub fn new(budget: Budget) -> Self {
        Self(Mutex::new(budget))
    }

    fn with<T>(&self, call: &Call, what: impl FnOnce(&mut Budget, Asked<'_>) -> T) -> T {
        let headers: Vec<(String, String)> =
            call.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        let asked = Asked { method: call.method.as_str(), url: &call.url, headers: &headers };
        // The counts stay whole whatever panicked while holding them.
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), asked)
    }
}

impl CallBudget for Calls {
    fn take(&self, call: &Call, now: Timestamp) -> Result<Option<Duration>, ConnectorError> {
        self.with(call, |budget, asked| budget.take(asked, now))
    }

    fn learn(&self, call: &Call, status: u16, headers: &BTreeMap<String, String>, now: Timestamp) {
        self.with(call, |budget, asked| budget.learn(asked, status, &|name| headers.get(name).cloned(), now));
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;

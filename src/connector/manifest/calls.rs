//! How an account is asked, as the manifest says: how many requests at once, and the call budget as the request loop asks it.
//!
//! Owns the counts while the process lives; all pulls of the account share them. Which policy holds, and what is left, is `budget`'s.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    budget::{Asked, Budget},
    engine::Scope,
    load::{Loaded, Manifest},
};
use crate::{
    connector::{
        ConnectorError,
        http::{Call, CallBudget, HttpGate, LimitKey},
    },
    domain::clock::Timestamp,
};

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
    /// [`ErrorKind::Settings`](crate::connector::ErrorKind::Settings) when its concurrency is no number.
    pub fn limit(&self, account: String, scope: &Scope) -> Result<LimitKey, ConnectorError> {
        let level = self.declared.concurrency.as_ref().map(|level| level.level(&self.engine, scope)).transpose()?;
        Ok(LimitKey {
            account,
            requests_per_second: self.facts.requests_per_second,
            burst: self.facts.burst,
            at_once: level.map(|level| u32::try_from(level).unwrap_or(u32::MAX)),
        })
    }

    /// The account's call budget, where the manifest has one.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::connector::ErrorKind::Settings) when a limit is no number.
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

//! What a manifest's `check` asks: whether the streams that it names can be reached.
//!
//! Owns which streams those are, also among the ones that are made, and the options that hold while a check runs. A stream can be
//! reached when its first slice is answered; it may have no record.

use std::sync::Arc;

use serde_json::Value;

use super::{
    ManifestConnector, assemble,
    auth::Auth,
    delegate,
    load::Loaded,
    plan::StreamPlan,
    source_plan::{CheckPlan, CheckWhat, DynamicCheck},
};
use crate::{connector::PullRequest, domain::record::Item};

/// An option that names other streams to check than the manifest does.
const CHECK_NAMES: &str = "__airbyte_check_stream_names";
/// Options that begin so are a platform's.
const RESERVED: &str = "__airbyte";

/// What came of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Why it failed; `None`: all that was asked answered.
    pub failure: Option<String>,
    /// The configuration with tokens that were renewed on the way.
    pub renewed: Option<Value>,
}

impl ManifestConnector {
    /// Does what the manifest's `check` says. Not to be used for reading afterwards: options of the check hold from here on.
    pub async fn checked(mut self) -> Checked {
        let loaded = Arc::clone(&self.loaded);
        let failure = match &loaded.declared.check {
            None => Some("the manifest has no 'check'".to_owned()),
            Some(plan) => self.check_by(&loaded, plan).await.err(),
        };
        Checked { failure, renewed: self.take_renewed_config() }
    }

    async fn check_by(&mut self, loaded: &Loaded, plan: &CheckPlan) -> Result<(), String> {
        self.override_options(loaded, plan)?;
        match &plan.what {
            CheckWhat::Streams { names, dynamic } => {
                let names = self.names_to_check(names)?;
                // Streams are made only where one of them is meant.
                let known = self.static_names().map_err(|error| error.message)?;
                let make = !dynamic.is_empty() || names.is_empty() || !names.iter().all(|name| known.contains(name));
                self.assemble(make).await.map_err(|error| format!("the streams cannot be told: {}", error.message))?;
                self.any()?;
                for name in &names {
                    self.reach(name).await?;
                }
                for one in dynamic {
                    self.reach_made(loaded, one).await?;
                }
                Ok(())
            }
            CheckWhat::Dynamic { count, use_availability } => {
                self.assemble(true).await.map_err(|error| format!("the streams cannot be told: {}", error.message))?;
                self.any()?;
                let count = if *use_availability { usize::try_from(*count).unwrap_or(usize::MAX) } else { 0 };
                for plan in self.loaded.streams.iter().take(count) {
                    self.reach_plan(plan).await?;
                }
                Ok(())
            }
        }
    }

    fn override_options(&mut self, loaded: &Loaded, plan: &CheckPlan) -> Result<(), String> {
        if plan.config_overrides.is_empty() {
            return Ok(());
        }
        if let Some(reserved) = plan.config_overrides.keys().find(|key| key.starts_with(RESERVED)) {
            return Err(format!("check.config_overrides sets '{reserved}', which is a platform's own option"));
        }
        if loaded.streams.iter().any(writes_back) {
            let message = "check.config_overrides would be kept with a renewed token (refresh_token_updater)";
            return Err(message.to_owned());
        }
        if let Value::Object(options) = Arc::make_mut(&mut self.config) {
            options.extend(plan.config_overrides.clone());
        }
        Ok(())
    }

    fn names_to_check(&self, declared: &[String]) -> Result<Vec<String>, String> {
        let Some(given) = self.config.get(CHECK_NAMES).filter(|given| **given != Value::Array(Vec::new())) else {
            return Ok(declared.to_vec());
        };
        let names = given
            .as_array()
            .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
        names.ok_or_else(|| format!("{CHECK_NAMES} is not a list of names"))
    }

    fn any(&self) -> Result<(), String> {
        if self.loaded.streams.is_empty() { Err("there is no stream to connect to".to_owned()) } else { Ok(()) }
    }

    async fn reach(&self, name: &str) -> Result<(), String> {
        let plan = self.loaded.streams.iter().find(|plan| plan.spec.name == name);
        self.reach_plan(plan.ok_or_else(|| format!("the source has no stream '{name}'"))?).await
    }

    async fn reach_made(&self, declared: &Loaded, check: &DynamicCheck) -> Result<(), String> {
        // What is fixed was made when the manifest was loaded.
        let made = self.loaded.made.iter().chain(&declared.made).find(|(maker, _)| *maker == check.name);
        let (_, names) = made.ok_or_else(|| format!("the manifest has no dynamic stream '{}'", check.name))?;
        let count = check.count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
        for name in names.iter().take(count) {
            self.reach(name).await?;
        }
        Ok(())
    }

    async fn reach_plan(&self, plan: &StreamPlan) -> Result<(), String> {
        let name = &plan.spec.name;
        let mut request: PullRequest = assemble::listing(name.clone(), self.gate.clock().now());
        loop {
            let (place, page) = delegate::placed_page(self, plan, &request, None)
                .await
                .map_err(|error| format!("stream {name} cannot be read: {}", error.message))?;
            if place.is_none() {
                return Err(format!("stream {name} cannot be read: it has no partition"));
            }
            let found = page.items.iter().any(|item| matches!(item, Item::Record(_)));
            match page.next {
                Some(next) if !found && !delegate::begins_slice(&next) => request.position = Some(next),
                _ => return Ok(()),
            }
        }
    }
}

fn writes_back(plan: &StreamPlan) -> bool {
    fn any(auth: &Auth) -> bool {
        match auth {
            Auth::Granted(oauth) => oauth.updates.is_some(),
            Auth::Chosen { among, .. } => among.iter().any(|(_, auth)| any(auth)),
            _ => false,
        }
    }
    plan.ways().any(|plan| any(&plan.request.auth))
}

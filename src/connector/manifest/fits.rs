//! Whether the options of a connection are what a manifest asks for, before anybody is asked anything.
//!
//! Owns the question for `tidegate validate`; the answer is made by the same rules as at the connector's own start.

use std::sync::Arc;

use serde_json::Value;

use super::{engine::Scope, hosts, load::Manifest, settings};
use crate::{connector::ConnectorError, domain::clock::Timestamp, yaml::nearest};

impl Manifest {
    /// Holds a connection's `config` against the specification and the hosts of the manifest.
    ///
    /// # Errors
    /// [`crate::connector::ErrorKind::Settings`] for options that are missing or of another kind, and
    /// [`crate::connector::ErrorKind::Policy`] for one that leads out of the manifest's domain.
    pub fn fits(&self, config: &Value, now: Timestamp) -> Result<(), ConnectorError> {
        let loaded = &self.0;
        settings::check(&loaded.specification, loaded.credential.as_deref(), config)?;
        let rules = &loaded.declared.spec.rules;
        let migrated = rules.migrate(&loaded.engine, config.clone(), now)?;
        let config = Arc::new(rules.transform(&loaded.engine, migrated, now)?);
        hosts::allowed(loaded, &Scope::new(now, &config), config.get("base_url").and_then(Value::as_str)).map(drop)
    }

    /// Options that the manifest does not know, each with the nearest that it does.
    pub fn strange_options(&self, config: &Value) -> Vec<(String, Option<String>)> {
        let known = self.0.specification.get("properties").and_then(Value::as_object);
        let (Some(known), Some(config)) = (known.filter(|known| !known.is_empty()), config.as_object()) else {
            return Vec::new();
        };
        let strange = config.keys().filter(|name| *name != "base_url" && !known.contains_key(*name));
        strange
            .map(|name| {
                let free = known.keys().filter(|known| !config.contains_key(*known)).map(String::as_str);
                (name.clone(), nearest(name, free).map(str::to_owned))
            })
            .collect()
    }
}

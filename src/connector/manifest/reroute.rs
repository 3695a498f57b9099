//! A connector that asks a simulated provider in place of the real one.
//!
//! Owns the rewriting of addresses: `https://api.example.com/v1?x` goes to `http://127.0.0.1:PORT/https/api.example.com/v1?x`. Which
//! hosts may be asked is checked before, against the manifest's own: what would be refused in earnest is refused on trial.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::{Manifest, ManifestConnector, delegate, place::Place, pull::Pull, pull_partitions::Closed};
use crate::{
    connector::{
        ConnectorError, ErrorKind, PullRequest,
        http::{AllowedHosts, Call},
        registry::ConnectionFacts,
    },
    domain::clock::Timestamp,
};

/// Where requests go instead.
pub(super) struct Reroute {
    to: Url,
    /// The hosts that may be asked in earnest.
    own: AllowedHosts,
}

/// What a page is asked with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Null for the first page of a listing.
    pub token: Value,
    pub size: Option<u64>,
    pub window: Option<(Timestamp, Timestamp)>,
    /// The fields of the partition that is read.
    pub partition: serde_json::Map<String, Value>,
}

impl Reroute {
    /// The call, with its address on the other way.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`] when the address is none that the connector may ask.
    pub fn take(&self, mut call: Call) -> Result<Call, ConnectorError> {
        self.own.check(&call.url)?;
        let host = call.url.host_str().unwrap_or_default().to_owned();
        let host = call.url.port().map_or(host.clone(), |port| format!("{host}:{port}"));
        let mut to = self.to.clone();
        to.set_path(&format!("/{}/{host}{}", call.url.scheme(), call.url.path()));
        to.set_query(call.url.query());
        call.url = to;
        Ok(call)
    }
}

impl ManifestConnector {
    /// As [`ManifestConnector::new`], with all requests going to `to`.
    ///
    /// # Errors
    /// As [`ManifestConnector::new`].
    pub fn rerouted(
        manifest: &Manifest,
        provider_key: &str,
        facts: ConnectionFacts,
        to: &Url,
    ) -> Result<Self, ConnectorError> {
        let mut connector = Self::new(manifest, provider_key, facts)?;
        let own = std::mem::replace(&mut connector.hosts, AllowedHosts::of([to]));
        connector.reroute = Some(Arc::new(Reroute { to: to.clone(), own }));
        Ok(connector)
    }

    /// What the page of a request is asked with; `None`: there is no such page, the stream has no partition. May ask for parents.
    ///
    /// # Errors
    /// Those of a pull.
    pub async fn told(&self, request: &PullRequest) -> Result<Option<Told>, ConnectorError> {
        let plan = self.loaded.streams.iter().find(|plan| plan.spec.name == request.stream);
        let plan = plan.ok_or_else(|| ConnectorError::new(ErrorKind::Settings, "there is no such stream"))?;
        let pull = Pull::new(self, plan, request)?;
        let place = match &request.position {
            Some(position) => Some(Place::read(&delegate::inner(position))?),
            None => pull.first_place(&mut Closed::new()).await?,
        };
        Ok(place.map(|place| Told {
            token: place.token.clone(),
            size: place.size,
            window: place.window().map(|window| (window.start, window.end)),
            partition: place.partition().map(|partition| partition.fields.clone()).unwrap_or_default(),
        }))
    }
}

//! One manifest as a source for any platform: the Airbyte protocol on standard output.
//!
//! Owns the commands `spec`, `check`, `discover` and `read` as the protocol has them, on top of the connector of a manifest in the
//! reference implementation's manner. Refuses a database: state comes in and goes out as messages. Configuration and state hold
//! secrets and persons; nothing of them is logged.

mod catalog;
mod clock;
mod message;
mod read;

use std::{io::Write, sync::Arc};

use serde_json::{Value, json};

pub use self::{
    catalog::ConfiguredCatalog,
    clock::SourceClock,
    message::{Out, states},
    read::Read,
};
use crate::connector::{
    Connector as _, ConnectorError, PullRequest, TrafficMeter,
    http::HttpGate,
    manifest::{Manifest, ManifestConnector},
};
use crate::domain::status::SyncMode;

/// A manifest with a configuration.
pub struct Source {
    manifest: Manifest,
    connector: Arc<ManifestConnector>,
    gate: Arc<HttpGate>,
}

/// `spec`: the options that a configuration may hold.
pub fn spec(manifest: &Manifest, out: &Out<impl Write>) -> std::io::Result<()> {
    out.line(&json!({"type": "SPEC", "spec": manifest.spec()}))
}

impl Source {
    /// Binds a manifest to a configuration.
    ///
    /// # Errors
    /// When the configuration lacks what the manifest requires.
    pub fn new(manifest: Manifest, config: Value, gate: Arc<HttpGate>) -> Result<Self, ConnectorError> {
        let connector = Arc::new(ManifestConnector::as_reference(&manifest, config, Arc::clone(&gate))?);
        Ok(Self { manifest, connector, gate })
    }

    /// Tells what was left out of the manifest, as log messages of the protocol.
    ///
    /// # Errors
    /// Only of the output.
    pub fn tell_notices(&self, out: &Out<impl Write>) -> std::io::Result<()> {
        self.manifest.notices().iter().try_for_each(|notice| out.line(&message::log("WARN", &notice.to_string())))
    }

    /// `check`: whether the first records of the streams that the manifest names can be read. `false`: they cannot.
    ///
    /// # Errors
    /// Only of the output.
    pub async fn check(&self, out: &Out<impl Write + Send>) -> std::io::Result<bool> {
        let mut failed = None;
        for index in self.manifest.checked() {
            let Some(stream) = self.manifest.streams().get(*index) else { continue };
            let mut request = PullRequest {
                stream: stream.name.clone(),
                mode: SyncMode::FullRefresh,
                cursor: None,
                position: None,
                started_at: self.gate.clock().now(),
                limit: None,
                traffic: Arc::new(TrafficMeter::default()),
            };
            // The first record proves that the stream can be read; a stream may have none.
            loop {
                match self.connector.pull(&request).await {
                    Ok(page) if page.items.is_empty() && page.next.is_some() => request.position = page.next,
                    Ok(_) => break,
                    Err(error) => {
                        failed = Some(format!("stream {} cannot be read: {}", stream.name, error.message));
                        break;
                    }
                }
            }
            if failed.is_some() {
                break;
            }
        }
        let status = match &failed {
            None => json!({"status": "SUCCEEDED"}),
            Some(message) => json!({"status": "FAILED", "message": message}),
        };
        out.line(&json!({"type": "CONNECTION_STATUS", "connectionStatus": status}))?;
        Ok(failed.is_none())
    }

    /// `discover`: the streams.
    ///
    /// # Errors
    /// Only of the output.
    pub fn discover(&self, out: &Out<impl Write>) -> std::io::Result<()> {
        let streams: Vec<Value> = self.manifest.streams().iter().map(catalog::describe).collect();
        out.line(&json!({"type": "CATALOG", "catalog": {"streams": streams}}))
    }
}

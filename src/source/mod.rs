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
    Connector as _, ConnectorError,
    http::HttpGate,
    manifest::{Manifest, ManifestConnector},
};

/// A manifest with a configuration.
pub struct Source {
    connector: ManifestConnector,
    gate: Arc<HttpGate>,
}

/// `spec`: the options that a configuration may hold.
pub fn spec(manifest: &Manifest, out: &Out<impl Write>) -> std::io::Result<()> {
    out.line(&json!({"type": "SPEC", "spec": manifest.spec()}))
}

/// Tells what is odd in the manifest and was left out, as log messages of the protocol.
///
/// # Errors
/// Only of the output.
pub fn tell_notices(manifest: &Manifest, out: &Out<impl Write>) -> std::io::Result<()> {
    manifest.notices().iter().try_for_each(|notice| out.line(&message::log("WARN", &notice.to_string())))
}

impl Source {
    /// Binds a manifest to a configuration.
    ///
    /// # Errors
    /// When the configuration lacks what the manifest requires.
    pub fn new(manifest: &Manifest, config: Value, gate: Arc<HttpGate>) -> Result<Self, ConnectorError> {
        let connector = ManifestConnector::as_reference(manifest, config, Arc::clone(&gate))?;
        Ok(Self { connector, gate })
    }

    /// `check`: whether the streams that the manifest names can be reached. `false`: they cannot.
    ///
    /// # Errors
    /// Only of the output.
    pub async fn check(self, out: &Out<impl Write + Send>) -> std::io::Result<bool> {
        let at = self.now();
        let checked = self.connector.checked().await;
        if let Some(config) = &checked.renewed {
            out.line(&message::control(config, at))?;
        }
        let status = match &checked.failure {
            None => json!({"status": "SUCCEEDED"}),
            Some(message) => json!({"status": "FAILED", "message": message}),
        };
        out.line(&json!({"type": "CONNECTION_STATUS", "connectionStatus": status}))?;
        Ok(checked.failure.is_none())
    }

    /// `discover`: the streams, with their schemas. `false`: they cannot be told.
    ///
    /// # Errors
    /// Only of the output.
    pub async fn discover(mut self, out: &Out<impl Write + Send>) -> std::io::Result<bool> {
        if !self.assemble(out).await? {
            return Ok(false);
        }
        let mut streams = Vec::new();
        for spec in self.connector.streams() {
            let told = self.connector.schema(&spec.name).await;
            self.renewed(out)?;
            match told {
                Ok(schema) => streams.push(catalog::describe(spec, &schema.unwrap_or_default())),
                Err(error) => {
                    let text = format!("the schema of stream '{}' cannot be told: {}", spec.name, error.message);
                    out.line(&message::failed(&text, read::failure(&error.kind), self.now()))?;
                    return Ok(false);
                }
            }
        }
        out.line(&json!({"type": "CATALOG", "catalog": {"streams": streams}}))?;
        Ok(true)
    }

    /// Has the connector find out which streams there are; `false`: it could not, and that was told.
    async fn assemble(&mut self, out: &Out<impl Write + Send>) -> std::io::Result<bool> {
        let assembled = self.connector.assemble(true).await;
        self.renewed(out)?;
        if let Err(error) = &assembled {
            let text = format!("the streams cannot be told: {}", error.message);
            out.line(&message::failed(&text, read::failure(&error.kind), self.now()))?;
        }
        Ok(assembled.is_ok())
    }

    /// Tells the configuration where tokens in it were renewed.
    fn renewed(&self, out: &Out<impl Write>) -> std::io::Result<()> {
        self.connector.take_renewed_config().map_or(Ok(()), |config| out.line(&message::control(&config, self.now())))
    }

    fn now(&self) -> i64 {
        self.gate.clock().now().micros() / 1000
    }
}

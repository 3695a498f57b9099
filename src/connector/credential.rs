//! The port through which a connector gets its secret.
//!
//! Owns the port only; references (`env:NAME`, `file:PATH`, `vault:KEY`) are resolved by `crate::vault`. A secret is read
//! when it is used, never when a run is queued.

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::ConnectorError;

/// Where one connection's secret comes from.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// The secret as stored: either one token, or a JSON object of named parts. `None`: the connection needs none.
    ///
    /// # Errors
    /// [`super::ErrorKind::Unauthorized`] when the reference leads nowhere; the text names the reference, never the value.
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError>;

    /// Called once after a 401: reads anew past any cache. The default is a plain read.
    ///
    /// # Errors
    /// As [`CredentialSource::read`].
    async fn refresh(&self) -> Result<Option<SecretString>, ConnectorError> {
        self.read().await
    }
}

/// Hands over each text that a secret is made of: the parts of a JSON object that are texts, and the whole.
pub fn each_text(secret: &SecretString, mut to: impl FnMut(&str)) {
    let whole = secret.expose_secret().trim();
    let parts = serde_json::from_str::<Map<String, Value>>(whole).ok();
    parts.iter().flat_map(Map::values).filter_map(Value::as_str).for_each(&mut to);
    to(whole);
}

/// No secret at all: what is secret stands in the configuration that somebody gave by hand.
pub struct NoCredential;

#[async_trait]
impl CredentialSource for NoCredential {
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError> {
        Ok(None)
    }
}

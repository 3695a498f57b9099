//! A key that a HashiCorp-Vault-compatible transit service keeps: it wraps and unwraps, and never gives the key away.
//!
//! Owns the two calls. The binding to the row is sent along as `associated_data`, and stands once more, hashed, inside of what is
//! wrapped, so that it also holds with a service that does not know that option. Unwrapped data keys are kept for minutes, for a
//! page must not cost a call to the service. Refuses to know the HTTP client: calls go through the gate and its network policy.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{
    ExposeSecret as _,
    zeroize::{Zeroize as _, Zeroizing},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    VaultError,
    envelope::{DataKey, KEY_BYTES},
    keys::{KeyEncryptionKey, moved_or_changed},
};
use crate::connector::{
    ConnectorError, ErrorKind,
    credential::CredentialSource,
    http::{Body, Call, HttpGate, Method},
};

/// How long an unwrapped data key may be used again; what the service takes back holds after that.
const KEPT: Duration = Duration::from_secs(300);
const REMEDY: &str = "check vault.transit_url, vault.transit_mount, vault.transit_key and vault.transit_token";

/// A named key of a transit service.
pub struct TransitKey {
    id: String,
    /// Up to the mount, with a slash at the end.
    base: Url,
    key: String,
    token: Arc<dyn CredentialSource>,
    gate: Arc<HttpGate>,
    /// By a hash of what was unwrapped and for which row; until when, on the monotonic clock.
    kept: Mutex<HashMap<[u8; 32], (DataKey, Duration)>>,
}

impl TransitKey {
    /// # Errors
    /// [`VaultError::Key`]: the address, the mount or the key's name cannot be used.
    pub fn new(
        url: &str,
        mount: &str,
        key: &str,
        token: Arc<dyn CredentialSource>,
        gate: Arc<HttpGate>,
    ) -> Result<Self, VaultError> {
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        };
        if !plain(mount) || !plain(key) || key.contains('/') {
            return Err(VaultError::key(
                "vault.transit_mount and vault.transit_key are names of letters, digits, '-', '_' and '.'",
                REMEDY,
            ));
        }
        let base = format!("{}/v1/{}/", url.trim_end_matches('/'), mount.trim_matches('/'))
            .parse::<Url>()
            .map_err(|_| VaultError::key("vault.transit_url is no address", REMEDY))?;
        Ok(Self {
            id: format!("transit:{}/{key}", mount.trim_matches('/')),
            base,
            key: key.to_owned(),
            token,
            gate,
            kept: Mutex::default(),
        })
    }

    /// Asks the service; gives the text under `data.<answer>`.
    async fn ask(&self, verb: &str, body: Value, answer: &str) -> Result<Zeroizing<String>, VaultError> {
        let away = |error: ConnectorError| VaultError::Away {
            message: format!("the key service does not answer ({})", self.id),
            source: Some(error),
        };
        let token = match self.token.read().await {
            Ok(Some(token)) => token,
            Ok(None) => return Err(VaultError::key("vault.transit_token names no token", REMEDY)),
            Err(error) => return Err(VaultError::key(format!("vault.transit_token: {error}"), REMEDY)),
        };
        let url = self
            .base
            .join(&format!("{verb}/{}", self.key))
            .map_err(|_| VaultError::key("vault.transit_url is no address", REMEDY))?;
        let call = Call {
            method: Method::Post,
            url,
            headers: vec![("X-Vault-Token".to_owned(), token.expose_secret().to_owned())],
            body: Body::Json(body),
        };
        let reply = self.gate.exchange(call).await.map_err(|none| match none.error.kind {
            ErrorKind::Policy | ErrorKind::Settings => VaultError::key(none.error.to_string(), REMEDY),
            _ => away(none.error),
        })?;
        match reply.status {
            200 => {}
            // The service says 400 to what its key did not wrap, or not for this row.
            400 | 422 if verb == "decrypt" => return Err(moved_or_changed(&self.id)),
            429 | 500.. => {
                let message = format!("{} answered {}", reply.asked, reply.status);
                return Err(away(ConnectorError::new(ErrorKind::Unavailable, message)));
            }
            status => {
                return Err(VaultError::key(
                    format!("the key service refuses: {} answered {status}", reply.asked),
                    REMEDY,
                ));
            }
        }
        let mut document: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match document.get_mut("data").and_then(|data| data.get_mut(answer)).map(Value::take) {
            Some(Value::String(text)) => Ok(Zeroizing::new(text)),
            _ => Err(VaultError::key(format!("{} is no transit service: no data.{answer}", reply.asked), REMEDY)),
        }
    }

    fn kept(&self, print: &[u8; 32]) -> Option<DataKey> {
        let now = self.gate.clock().monotonic();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (_, until)| *until > now);
        kept.get(print).map(|(key, _)| key.clone())
    }
}

fn print(wrapped: &str, aad: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update((wrapped.len() as u64).to_be_bytes());
    digest.update(wrapped);
    digest.update(aad);
    digest.finalize().into()
}

#[async_trait]
impl KeyEncryptionKey for TransitKey {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, key: &DataKey, aad: &[u8]) -> Result<String, VaultError> {
        let bound = Zeroizing::new([key.as_slice(), &Sha256::digest(aad)].concat());
        let mut plaintext = STANDARD.encode(bound.as_slice());
        let body = json!({"plaintext": plaintext, "associated_data": STANDARD.encode(aad)});
        plaintext.zeroize();
        Ok(self.ask("encrypt", body, "ciphertext").await?.as_str().to_owned())
    }

    async fn unwrap(&self, wrapped: &str, aad: &[u8]) -> Result<DataKey, VaultError> {
        let print = print(wrapped, aad);
        if let Some(key) = self.kept(&print) {
            return Ok(key);
        }
        let body = json!({"ciphertext": wrapped, "associated_data": STANDARD.encode(aad)});
        let text = self.ask("decrypt", body, "plaintext").await?;
        let bytes = Zeroizing::new(STANDARD.decode(text.as_bytes()).unwrap_or_default());
        let key = match bytes.split_at_checked(KEY_BYTES) {
            Some((key, bound)) if bound == Sha256::digest(aad).as_slice() => <[u8; KEY_BYTES]>::try_from(key).ok(),
            _ => None,
        };
        let key = key.map(Zeroizing::new).ok_or_else(|| moved_or_changed(&self.id))?;
        let until = self.gate.clock().monotonic() + KEPT;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(print, (key.clone(), until));
        Ok(key)
    }
}

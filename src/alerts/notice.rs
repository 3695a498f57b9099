//! What goes out by webhook: the body, the id that stays the same over all tries, and the signature over both.
//!
//! Owns the form, after the Standard Webhooks convention. Refuses anything but the listed fields: no payload, no error text of a
//! provider, no secret.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::{
    domain::{clock::Timestamp, status::AlertNews},
    store::alerts::Alert,
};

/// In front of a secret that is written in base64.
const ENCODED: &str = "whsec_";

/// A message, ready to be signed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The same for every try: a receiver that has seen it drops it.
    pub id: String,
    pub body: String,
}

/// Why a notice was not taken. The text goes into the log: host and reason, never the address' path or the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SendFault(pub String);

impl Notice {
    /// What there is to tell of an alert; `None` when there is nothing.
    pub fn of(alert: &Alert) -> Option<Self> {
        let row = &alert.row;
        let ((news, _), told_at) = (row.notice?, row.told_at?);
        let id = format!("alert-{}-{news}-{}", alert.id, told_at.micros());
        let resolved_at = (news == AlertNews::Resolved).then_some(row.resolved_at).flatten();
        let body = json!({
            "type": format!("alert.{news}"),
            "timestamp": told_at,
            "delivery_id": id,
            "state": news,
            "rule": row.rule_key,
            "severity": row.severity,
            "subject_type": row.subject_type,
            "subject": row.subject_key,
            "connection_key": alert.connection_key,
            "client_key": alert.client_key,
            "owner": row.owner,
            "since": row.first_seen_at,
            "resolved_at": resolved_at,
            "message": row.message_internal,
            "remedy": row.remedy,
            "runbook": format!("deploy/runbook.md#{}", row.runbook),
        });
        Some(Self { id, body: body.to_string() })
    }

    /// The headers that go with it, signed at that moment.
    pub fn headers(&self, secret: &str, at: Timestamp) -> Vec<(String, String)> {
        let seconds = at.utc().timestamp().to_string();
        let signature = format!("v1,{}", sign(secret, &self.id, &seconds, &self.body));
        [
            ("content-type", "application/json".to_owned()),
            ("webhook-id", self.id.clone()),
            ("webhook-timestamp", seconds),
            ("webhook-signature", signature),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// HMAC-SHA256 over `id.timestamp.body`, in base64. A secret with `whsec_` in front is base64 itself; any other counts as it stands.
pub fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let decoded = secret.strip_prefix(ENCODED).and_then(|text| BASE64_STANDARD.decode(text).ok());
    let key = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length is taken");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_convention() {
        // The example of the convention's own libraries.
        let body = r#"{"test": 2432232314}"#;
        let signature =
            sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_ne!(sign("plain", "a", "1", body), sign("plain", "b", "1", body));
    }
}

//! Asking a token service: one request, one answer, sorted by what it means for the token that was sent.
//!
//! Owns the form of the request (RFC 6749) and which answers leave a refresh token good. Refuses to ask twice: whether and when
//! to ask again is `refresh`'s, for a rotating token that is sent twice may be taken for a stolen one.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::{ClientAuth, Tokens, seconds, wipe};
use crate::connector::{
    ConnectorError, ErrorKind,
    http::{Body, Call, HttpGate, Method, Reply},
};

/// What a token service gave.
pub(super) struct Granted {
    pub access_token: SecretString,
    pub refresh_token: Option<SecretString>,
    pub expires_in: Option<Duration>,
}

/// What is sent for a token.
pub(super) enum Grant<'a> {
    Refresh,
    Code { code: &'a SecretString, verifier: &'a SecretString, redirect: &'a str },
}

/// Why there is no token.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The refresh token (or the code) is not good: never was, ran out, was used, or was taken back.
    InvalidGrant,
    /// The service refuses the client or the question; a person must help. The word is the service's own.
    Refused(String),
    /// Time may heal it. `wait`: how long the service asked to be left alone.
    Later { reason: String, wait: Option<Duration> },
    /// The address must not be asked, or cannot be.
    Forbidden(ConnectorError),
}

/// Asks once.
pub(super) async fn ask(gate: &HttpGate, tokens: &Tokens, grant: Grant<'_>) -> Result<Granted, Refusal> {
    let reply = gate.exchange(call(tokens, &grant)).await.map_err(|none| match none.error.kind {
        ErrorKind::Policy | ErrorKind::Settings => Refusal::Forbidden(none.error),
        _ if none.arrived => {
            Refusal::Later { reason: format!("{}; the answer may have been lost", none.error), wait: None }
        }
        _ => Refusal::Later { reason: none.error.to_string(), wait: None },
    })?;
    read(&reply)
}

fn call(tokens: &Tokens, grant: &Grant<'_>) -> Call {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
    match (grant, &tokens.refresh_token) {
        (Grant::Code { code, verifier, redirect }, _) => {
            put("grant_type", "authorization_code");
            put("code", code.expose_secret());
            put("code_verifier", verifier.expose_secret());
            put("redirect_uri", redirect);
        }
        (Grant::Refresh, Some(token)) => {
            put("grant_type", "refresh_token");
            put("refresh_token", token.expose_secret());
        }
        (Grant::Refresh, None) => {
            put("grant_type", "client_credentials");
            if let Some(scope) = &tokens.scope {
                put("scope", scope);
            }
        }
    }
    let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
    let secret = tokens.client_secret.as_ref().map_or("", |secret| secret.expose_secret());
    match tokens.client_auth {
        ClientAuth::Body => {
            put("client_id", &tokens.client_id);
            if !secret.is_empty() {
                put("client_secret", secret);
            }
        }
        ClientAuth::Basic => {
            // Both parts are form-encoded before they are joined (RFC 6749, 2.3.1).
            let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = STANDARD.encode(format!("{}:{}", encoded(&tokens.client_id), encoded(secret)));
            headers.push(("authorization".to_owned(), format!("Basic {pair}")));
        }
    }
    Call { method: Method::Post, url: tokens.token_url.clone(), headers, body: Body::Form(fields) }
}

fn read(reply: &Reply) -> Result<Granted, Refusal> {
    let document: Option<Map<String, Value>> = serde_json::from_slice(&reply.body).ok();
    let asked = &reply.asked;
    match reply.status {
        200..=299 => {}
        408 | 425 | 429 | 500.. => {
            let reason = format!("{asked} answered {}", reply.status);
            return Err(Refusal::Later { reason, wait: reply.hold_back });
        }
        status => {
            let word = document.as_ref().and_then(|parts| parts.get("error")?.as_str()).filter(|word| is_word(word));
            return Err(match word {
                Some("invalid_grant") => Refusal::InvalidGrant,
                // RFC 6749, 4.1.2.1; some services use them here too.
                Some("temporarily_unavailable" | "server_error" | "slow_down") => Refusal::Later {
                    reason: format!("{asked} answered {status} ({})", word.unwrap_or_default()),
                    wait: reply.hold_back,
                },
                Some(word) => Refusal::Refused(format!("{asked} answered {status} ({word})")),
                None => Refusal::Refused(format!("{asked} answered {status}")),
            });
        }
    }
    let mut parts = document.unwrap_or_default();
    let mut secret = |name: &str| match parts.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(SecretString::from(text)),
        _ => None,
    };
    let (access_token, refresh_token) = (secret("access_token"), secret("refresh_token"));
    let expires_in = parts.get("expires_in").and_then(seconds);
    wipe(parts);
    match access_token {
        Some(access_token) => Ok(Granted { access_token, refresh_token, expires_in }),
        None => Err(Refusal::Later {
            reason: format!("{asked} answered {} without an access_token", reply.status),
            wait: reply.hold_back,
        }),
    }
}

/// An identifier, not a sentence: those may repeat what was sent.
fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

//! A provider's answer, read whole within its bound, and what a refusal means.
//!
//! Owns the way from a status to an [`ErrorKind`] and the one form of error text: method, host, path, status, and the
//! provider's own error word. Refuses to echo bodies: only short words of well-known keys are taken over.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

use super::{Method, TakenFor};
use crate::connector::{ConnectorError, ErrorKind};

/// A larger error body is not looked into.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// Longest error word taken over from a provider.
const MAX_WORD: usize = 64;
/// Where providers put their error words, the telling ones first.
const WORD_KEYS: [&str; 9] =
    ["category", "errorType", "policyName", "code", "error_code", "errorCode", "type", "error", "status"];

/// A successful answer. Its `Debug` form tells neither headers nor body.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case; a repeated header keeps its last value.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
    /// Method, host and path, for messages.
    pub asked: String,
    /// What the caller's rules took it for.
    pub taken_for: TakenFor,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} answered {} with {} bytes", self.asked, self.status, self.body.len())
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] without any of the body.
    pub fn json(&self) -> Result<Value, ConnectorError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = format!(
                "{} answered {} with {} bytes that are not JSON (line {}, column {})",
                self.asked,
                self.status,
                self.body.len(),
                error.line(),
                error.column()
            );
            ConnectorError::new(ErrorKind::Decode, message)
        })
    }
}

pub(super) fn header_map(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers.iter().filter_map(|(n, v)| Some((n.as_str().to_owned(), v.to_str().ok()?.to_owned()))).collect()
}

/// `GET api.hubapi.com/crm/v3/objects/contacts`: never the query, which may hold a key.
pub(super) fn asked(method: Method, url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{} {}{port}{}", method.as_str(), url.host_str().unwrap_or(""), url.path())
}

/// A word that is an identifier, not a sentence: those may repeat what was sent.
fn word(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    (!text.is_empty() && text.len() <= MAX_WORD && text.chars().all(plain)).then_some(text)
}

/// The provider's own error word, if its body is JSON with a key that is usual for one.
fn error_word(body: &[u8]) -> Option<String> {
    if body.len() > MAX_ERROR_BODY {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(&body);
    let nested = ["error", "Fault", "errors"].iter().find_map(|key| match body.get(key) {
        Some(Value::Array(list)) => list.first(),
        other => other.filter(|inner| inner.is_object()),
    });
    [Some(body), nested].into_iter().flatten().find_map(|at| WORD_KEYS.iter().find_map(|key| word(at.get(key)?)))
}

/// What a status that is no success means, when no further attempt is to be made.
pub(super) fn refusal(status: u16, asked: &str, body: &[u8], wait: Option<Duration>) -> ConnectorError {
    let (kind, what) = match status {
        401 => (ErrorKind::Unauthorized, "the credential is refused"),
        403 => (ErrorKind::Forbidden, "the credential lacks a right"),
        429 => (ErrorKind::RateLimited { retry_after: wait }, "a limit is used up"),
        503 if wait.is_some() => (ErrorKind::RateLimited { retry_after: wait }, "asked to come back later"),
        408 | 500.. => (ErrorKind::Unavailable, "the provider failed"),
        300..=399 => (ErrorKind::Rejected, "such an answer was not asked for"),
        _ => (ErrorKind::Rejected, "the request is refused"),
    };
    // A bare number beside a status would look like another one.
    let word = error_word(body).map(|word| format!(" (its own code: {word})")).unwrap_or_default();
    ConnectorError::new(kind, format!("{asked} answered {status}{word}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_words_are_taken_over_and_sentences_are_not() {
        for (body, expected) in [
            (
                r#"{"status":"error","category":"VALIDATION_ERROR","message":"a@b.example is bad"}"#,
                Some("VALIDATION_ERROR"),
            ),
            (r#"{"errorType":"RATE_LIMIT","policyName":"DAILY"}"#, Some("RATE_LIMIT")),
            (r#"{"error":{"code":190,"message":"secret abc"}}"#, Some("190")),
            (r#"{"error":"invalid_grant"}"#, Some("invalid_grant")),
            (r#"[{"errorCode":"INVALID_FIELD"}]"#, Some("INVALID_FIELD")),
            (r#"{"errors":[{"code":"x1"}]}"#, Some("x1")),
            (r#"{"code":"token abc is not known"}"#, None),
            (r#"{"message":"nothing"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(error_word(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_providers_own_code_is_told_as_its_own() {
        let error = refusal(404, "GET h/p", br#"{"code":400,"errno":111}"#, None);
        assert_eq!(error.message, "GET h/p answered 404 (its own code: 400): the request is refused");
        assert_eq!(refusal(404, "GET h/p", b"", None).message, "GET h/p answered 404: the request is refused");
    }

    #[test]
    fn each_status_has_one_meaning() {
        let kinds: Vec<_> = [400, 401, 403, 404, 410, 422, 302, 429, 500, 503]
            .map(|status| refusal(status, "GET h/p", b"", None).kind.code())
            .to_vec();
        assert_eq!(
            kinds,
            [
                "request_rejected",
                "auth_failed",
                "permission_missing",
                "request_rejected",
                "request_rejected",
                "request_rejected",
                "request_rejected",
                "rate_limited",
                "provider_unavailable",
                "provider_unavailable"
            ]
        );
    }
}

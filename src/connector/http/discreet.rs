//! Keeps a request's own credential out of everything that comes back from it.
//!
//! Providers repeat what they were sent: in an error's words, in a header, in the address of the next page, even in a record.
//! Owns the exact texts of the secrets of one request, and takes them out of its answer and of its error before anybody else
//! sees either. Refuses to guess: what merely looks like a secret is `telemetry::redact`'s.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

use super::Answer;
use crate::{
    connector::{ConnectorError, credential::each_text},
    telemetry::redact::REMOVED,
};

/// A shorter text is a word; taking it out would break answers.
const SHORTEST: usize = 8;

/// The secrets that a request was made with.
#[derive(Default)]
pub(super) struct Discreet(Vec<SecretString>);

impl Discreet {
    /// Remembers a secret, and each text of one that is a JSON object, until the request is over.
    pub(super) fn keep(&mut self, secret: Option<&SecretString>) {
        let Some(secret) = secret else { return };
        each_text(secret, |text| {
            if text.len() >= SHORTEST && !self.0.iter().any(|known| known.expose_secret() == text) {
                self.0.push(SecretString::from(text));
            }
        });
    }

    /// The error without them; also where an address has made them small.
    pub(super) fn error(&self, mut error: ConnectorError) -> ConnectorError {
        self.clean(&mut error.message);
        error
    }

    /// One of our own texts without them, whatever their capitals.
    fn clean(&self, text: &mut String) {
        for secret in &self.0 {
            let small = secret.expose_secret().to_ascii_lowercase();
            let mut from = 0;
            while let Some(at) = text[from..].to_ascii_lowercase().find(&small).map(|at| from + at) {
                text.replace_range(at..at + small.len(), REMOVED);
                from = at + REMOVED.len();
            }
        }
    }

    /// The answer without them: headers and body, and what was asked, which later messages begin with.
    pub(super) fn answer(&self, mut answer: Answer) -> Answer {
        self.clean(&mut answer.asked);
        for secret in &self.0 {
            let secret = secret.expose_secret();
            if let Some(body) = without(&answer.body, secret) {
                answer.body = body;
            }
            let headers: &mut BTreeMap<String, String> = &mut answer.headers;
            for value in headers.values_mut().filter(|value| value.contains(secret)) {
                *value = value.replace(secret, REMOVED);
            }
        }
        answer
    }
}

/// `None` when it is not in there, which is nearly always.
fn without(body: &[u8], secret: &str) -> Option<Bytes> {
    let text: Cow<'_, str> = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        // Looked into all the same; only what holds a secret is changed by it.
        Err(_) => String::from_utf8_lossy(body),
    };
    text.contains(secret).then(|| Bytes::from(text.replace(secret, REMOVED)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::ErrorKind;

    #[test]
    fn p18_what_a_provider_repeats_of_the_credential_is_taken_out() {
        let mut discreet = Discreet::default();
        discreet.keep(Some(&SecretString::from(r#"{"key":"Opaque7Kq2vX","user":"bob","n":1}"#)));
        let error = ConnectorError::new(
            ErrorKind::Rejected,
            "GET h/botOpaque7Kq2vX/x (OPAQUE7kq2vx) at opaque7kq2vx.test: bob",
        );
        assert_eq!(discreet.error(error).message, "GET h/bot[removed]/x ([removed]) at [removed].test: bob");
        let answer = Answer {
            status: 200,
            headers: [("link".to_owned(), "</x?key=Opaque7Kq2vX>".to_owned())].into(),
            body: Bytes::from_static(br#"{"next":"/x?key=Opaque7Kq2vX","user":"bob"}"#),
            asked: "GET h/Opaque7Kq2vX/things".to_owned(),
            taken_for: Default::default(),
        };
        let answer = discreet.answer(answer);
        assert_eq!(answer.body, r#"{"next":"/x?key=[removed]","user":"bob"}"#);
        assert_eq!(answer.asked, "GET h/[removed]/things");
        assert_eq!(answer.headers["link"], "</x?key=[removed]>");
        let mut odd = Discreet::default();
        odd.keep(Some(&SecretString::from("removed]")));
        assert_eq!(odd.error(ConnectorError::new(ErrorKind::Rejected, "a removed] b")).message, "a [removed] b");
        assert!(without(b"\xff Opaque7Kq2vX", "Opaque7Kq2vX").is_some());
        assert!(without(b"nothing", "Opaque7Kq2vX").is_none());
    }
}

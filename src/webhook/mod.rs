//! What providers send on their own: `connectors/<provider>/webhook.yaml`.
//!
//! Owns the declaration, the check of a request's signature over its raw bytes, and the reading of deliveries out of a body
//! that passed it. Pure: refuses to know a listener, a database or a clock. Nothing of a body is read before
//! [`WebhookDeclaration::verify`] let it pass, and no reason for a refusal is meant for the one who called.
//!
//! ```yaml
//! signature: { scheme: standard_webhooks }
//! deliveries: { items: events }            # absent: the body is one event, or a list of them
//! delivery_id: { header: webhook-id }      # or a path, or several; an event without one goes by its hash
//! event_name: type
//! occurred_at: { path: timestamp, formats: [rfc3339] }
//! events:
//!   contact.updated: { stream: contacts, record: data, id: id, updated_at: updated_at }
//!   deal.updated: { stream: deals, fetch: true, id: data.id }
//!   contact.deleted: { ignore: deleted records stay as they last were }
//! summary: [source]
//! ```

mod compile;
mod compile_signature;
mod read;
#[cfg(test)]
mod read_tests;
mod scheme;
mod summary;
mod verify;
#[cfg(test)]
mod verify_tests;

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::Value;

pub use self::{read::Unreadable, verify::Refused};
use self::{
    read::{EventRule, Identified, Named, TimeAt},
    scheme::Scheme,
};
use crate::{domain::clock::Timestamp, mapping::Path, yaml::Problem};

/// A request as it arrived, before anything about it is believed.
#[derive(Debug, Clone, Copy)]
pub struct Received<'r> {
    pub method: &'r str,
    /// As the provider called it: our public base address, path and query.
    pub url: &'r str,
    /// Names in lower case.
    pub headers: &'r [(String, Vec<u8>)],
    pub body: &'r [u8],
}

/// One event of a request that passed the check.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The same for each copy of the event, at most 190 characters.
    pub delivery_id: String,
    pub event_name: String,
    /// A line for an operator: bounded, allowlisted fields, no person's data.
    pub summary: String,
    pub occurred_at: Option<Timestamp>,
    /// The object that the event speaks of, known as a pull would know it; `None` where the event names none.
    pub object_id: Option<String>,
    pub carries: Carries,
}

/// What an event brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Carries {
    /// The object itself, in the shape that the stream's field map reads.
    Record { stream: String, external_id: String, payload: Value, source_updated_at: Option<Timestamp> },
    /// Only word that something of the stream changed.
    Fetch { stream: String },
    /// Nothing for us: not declared, or declared as ignored.
    Nothing { reason: String },
}

/// How a stream is fed by deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// At least one event carries its records.
    Record,
    /// Events only ask for a fetch.
    Fetch,
}

/// What a declaration has to know of a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamFacts<'s> {
    pub name: &'s str,
    /// Paths of the parts of its records' key; empty where it is not known, and then each carrying event says `id`.
    pub primary_key: &'s [Vec<String>],
}

/// A compiled `webhook.yaml`.
#[derive(Debug)]
pub struct WebhookDeclaration {
    scheme_name: String,
    scheme: Scheme,
    format: BodyFormat,
    /// Where the events stand; `None`: the body is one, or a list of them.
    items: Option<Path>,
    delivery_id: Identified,
    event_name: Named,
    occurred_at: Option<TimeAt>,
    events: BTreeMap<String, EventRule>,
    summary: Vec<Path>,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyFormat {
    Json,
    /// `application/x-www-form-urlencoded`: one event, its fields as texts.
    Form,
}

impl WebhookDeclaration {
    /// Compiles a document for streams of which only the names are known.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the lines.
    pub fn parse(text: &str, streams: &[&str]) -> Result<Self, Vec<Problem>> {
        let streams: Vec<_> = streams.iter().map(|name| StreamFacts { name, primary_key: &[] }).collect();
        Self::parse_for(text, &streams)
    }

    /// Compiles a document for a folder's streams: a carried record is known by the stream's own key where the event says no `id`.
    ///
    /// # Errors
    /// As [`WebhookDeclaration::parse`].
    pub fn parse_for(text: &str, streams: &[StreamFacts<'_>]) -> Result<Self, Vec<Problem>> {
        compile::compile(text, streams)
    }

    /// Checks the signature over the raw bytes, in constant time, and the age where the scheme signs one. Several secrets are
    /// those of a rotation: one that fits is enough.
    ///
    /// # Errors
    /// [`Refused`], for counting and logs; the caller is told nothing but that it was refused.
    pub fn verify(&self, received: &Received<'_>, secrets: &[SecretString], now: Timestamp) -> Result<(), Refused> {
        verify::verify(&self.scheme, received, secrets, now)
    }

    /// Reads the events of a request that [`WebhookDeclaration::verify`] let pass, in the order of the body.
    ///
    /// # Errors
    /// [`Unreadable`] when the body is not what the declaration says. One event that is odd never hides the others.
    pub fn read(&self, received: &Received<'_>) -> Result<Vec<Delivery>, Unreadable> {
        read::read(self, received)
    }

    /// The scheme's name in the document.
    pub fn scheme_name(&self) -> &str {
        &self.scheme_name
    }

    /// Whether a connection has to bring a secret.
    pub fn needs_secret(&self) -> bool {
        !self.is_open()
    }

    /// Whether whoever knows the path may deliver: nothing is signed.
    pub fn is_open(&self) -> bool {
        matches!(self.scheme, Scheme::None)
    }

    /// How a stream is fed; `None` when no event is about it.
    pub fn feeds(&self, stream: &str) -> Option<Feed> {
        let about = self.events.values().filter_map(|rule| match rule {
            EventRule::Record { stream: of, .. } => (of == stream).then_some(Feed::Record),
            EventRule::Fetch { stream: of, .. } => (of == stream).then_some(Feed::Fetch),
            EventRule::Ignore { .. } => None,
        });
        about.min_by_key(|feed| u8::from(*feed == Feed::Fetch))
    }

    /// Whether each event about a stream names its object: only then can be told which object was not delivered.
    pub fn names_objects(&self, stream: &str) -> bool {
        let names = |rule: &EventRule| match rule {
            EventRule::Record { stream: of, .. } if of == stream => Some(true),
            EventRule::Fetch { stream: of, id } if of == stream => Some(!id.is_empty()),
            EventRule::Record { .. } | EventRule::Fetch { .. } | EventRule::Ignore { .. } => None,
        };
        let mut about = self.events.values().filter_map(names).peekable();
        about.peek().is_some() && about.all(|named| named)
    }

    /// Lines for `provider show`: the scheme, and each event with what becomes of it.
    pub fn lines(&self) -> Vec<String> {
        let guard = match (&self.scheme, self.scheme.tolerance()) {
            (Scheme::None, _) => "no signature: whoever knows the path may deliver".to_owned(),
            (_, Some(tolerance)) => format!("signed, at most {} seconds old", tolerance.as_secs()),
            (_, None) => "signed, of any age".to_owned(),
        };
        let mut lines = vec![format!("{}: {guard}", self.scheme_name)];
        lines.extend(self.events.iter().map(|(name, rule)| match rule {
            EventRule::Record { stream, .. } => format!("{name}: carries a record of {stream}"),
            EventRule::Fetch { stream, .. } => format!("{name}: asks for a fetch of {stream}"),
            EventRule::Ignore { reason } => format!("{name}: ignored ({reason})"),
        }));
        lines
    }
}

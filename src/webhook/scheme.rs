//! Signature schemes as data for one verifier.
//!
//! Owns the table of the schemes that go by a name: what is signed, where the signature stands and how it is written, how a
//! secret becomes a key, which time and id belong to it. Facts are those of each provider's public documentation. A new provider
//! is a row here, or `hmac` with options; never code of its own.

use std::time::Duration;

/// Age that a signed time may have, and how far it may lie ahead, unless the document says otherwise.
pub(super) const TOLERANCE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A piece of the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Method,
    Url,
    /// The address with the characters decoded that HubSpot's documentation lists.
    UrlDecoded,
    /// The parameters of a form body, sorted, each name followed by its value.
    Form,
    Body,
    Timestamp,
    Id,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Base64,
}

/// How a secret becomes the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Text,
    Base64,
    Hex,
    /// What follows `whsec_` is base64; a secret without it counts as it stands.
    Whsec,
}

/// How the header holds signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Syntax {
    /// One, after this.
    One { prefix: String },
    /// Several items between these; those that begin with the prefix are signatures, others are of schemes that we do not know.
    List { separator: char, prefix: String },
}

/// Where the signed time stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimeIn {
    Header(String),
    /// An item of the signature's own list, after this.
    List {
        prefix: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedTime {
    pub(super) at: TimeIn,
    pub(super) unit: Unit,
    pub(super) tolerance: Duration,
}

/// A keyed hash over parts of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) hash: Hash,
    pub(super) signed: Vec<Part>,
    pub(super) header: String,
    pub(super) syntax: Syntax,
    pub(super) encoding: Encoding,
    pub(super) key: Key,
    pub(super) time: Option<SignedTime>,
    /// Header of the id that is signed.
    pub(super) id: Option<String>,
    /// Parameter of the address that holds the body's SHA-256, where the body itself is not signed.
    pub(super) body_hash: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scheme {
    Signature(Signature),
    /// The secret itself in a header, after the prefix.
    Token {
        header: String,
        prefix: String,
    },
    /// Only the path is secret.
    None,
}

impl Scheme {
    /// How old a request may be, where the scheme signs a time.
    pub(super) fn tolerance(&self) -> Option<Duration> {
        match self {
            Self::Signature(signature) => signature.time.as_ref().map(|time| time.tolerance),
            Self::Token { .. } | Self::None => None,
        }
    }
}

/// Schemes that a document builds from options.
pub(super) const BUILT: [&str; 3] = ["hmac", "token", "none"];

/// One row of the table. `{prefix}` in a header's name is the document's `header_prefix`.
pub(super) struct Row {
    pub(super) name: &'static str,
    hash: Hash,
    signed: &'static [Piece],
    header: &'static str,
    list: Option<char>,
    prefix: &'static str,
    encoding: Encoding,
    key: Key,
    time: Option<(Clock, Unit)>,
    id: Option<&'static str>,
    body_hash: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Clock {
    Header(&'static str),
    List(&'static str),
}

#[derive(Clone, Copy)]
enum Piece {
    Dot,
    Method,
    Url,
    UrlDecoded,
    Form,
    Body,
    Timestamp,
    Id,
}

const PLAIN: Row = Row {
    name: "",
    hash: Hash::Sha256,
    signed: &[Piece::Body],
    header: "",
    list: None,
    prefix: "",
    encoding: Encoding::Base64,
    key: Key::Text,
    time: None,
    id: None,
    body_hash: None,
};

pub(super) const TABLE: [Row; 7] = [
    Row {
        name: "standard_webhooks",
        signed: &[Piece::Id, Piece::Dot, Piece::Timestamp, Piece::Dot, Piece::Body],
        header: "{prefix}-signature",
        list: Some(' '),
        prefix: "v1,",
        key: Key::Whsec,
        time: Some((Clock::Header("{prefix}-timestamp"), Unit::Seconds)),
        id: Some("{prefix}-id"),
        ..PLAIN
    },
    Row {
        name: "stripe",
        signed: &[Piece::Timestamp, Piece::Dot, Piece::Body],
        header: "stripe-signature",
        list: Some(','),
        prefix: "v1=",
        encoding: Encoding::Hex,
        time: Some((Clock::List("t="), Unit::Seconds)),
        ..PLAIN
    },
    Row { name: "github", header: "x-hub-signature-256", prefix: "sha256=", encoding: Encoding::Hex, ..PLAIN },
    Row { name: "shopify", header: "x-shopify-hmac-sha256", ..PLAIN },
    Row {
        name: "hubspot_v3",
        signed: &[Piece::Method, Piece::UrlDecoded, Piece::Body, Piece::Timestamp],
        header: "x-hubspot-signature-v3",
        time: Some((Clock::Header("x-hubspot-request-timestamp"), Unit::Milliseconds)),
        ..PLAIN
    },
    Row {
        name: "twilio",
        hash: Hash::Sha1,
        signed: &[Piece::Url, Piece::Form],
        header: "x-twilio-signature",
        body_hash: Some("bodySHA256"),
        ..PLAIN
    },
    Row { name: "intuit", header: "intuit-signature", ..PLAIN },
];

impl Row {
    /// Whether a document may say another beginning of its headers.
    pub(super) fn takes_header_prefix(&self) -> bool {
        self.header.starts_with("{prefix}")
    }

    /// The scheme with a document's options.
    pub(super) fn build(&self, header_prefix: &str, tolerance: Option<Duration>) -> Signature {
        let header = |name: &str| name.replace("{prefix}", header_prefix);
        let prefix = self.prefix.to_owned();
        Signature {
            hash: self.hash,
            signed: self.signed.iter().map(|piece| piece.part()).collect(),
            header: header(self.header),
            syntax: match self.list {
                Some(separator) => Syntax::List { separator, prefix },
                None => Syntax::One { prefix },
            },
            encoding: self.encoding,
            key: self.key,
            time: self.time.map(|(clock, unit)| SignedTime {
                at: match clock {
                    Clock::Header(name) => TimeIn::Header(header(name)),
                    Clock::List(prefix) => TimeIn::List { prefix: prefix.to_owned() },
                },
                unit,
                tolerance: tolerance.unwrap_or(TOLERANCE),
            }),
            id: self.id.map(header),
            body_hash: self.body_hash,
        }
    }

    pub(super) const fn signs_a_time(&self) -> bool {
        self.time.is_some()
    }
}

impl Piece {
    fn part(self) -> Part {
        match self {
            Self::Dot => Part::Text(".".to_owned()),
            Self::Method => Part::Method,
            Self::Url => Part::Url,
            Self::UrlDecoded => Part::UrlDecoded,
            Self::Form => Part::Form,
            Self::Body => Part::Body,
            Self::Timestamp => Part::Timestamp,
            Self::Id => Part::Id,
        }
    }
}

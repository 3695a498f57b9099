//! The one verifier: a scheme, a request and the live secrets.
//!
//! Owns how what is signed is put together from raw bytes and compared, in constant time by `hmac`, over every secret and every
//! signature that was sent. Refuses whatever is ambiguous: a header that comes twice, a time that is no whole number, an empty secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::{
    Received,
    scheme::{Encoding, Hash, Key, Part, Scheme, Signature, SignedTime, Syntax, TimeIn, Unit},
};
use crate::domain::clock::Timestamp;

/// Signatures of one request that are looked at; a rotation sends two.
const MOST_SIGNATURES: usize = 16;
/// What HubSpot's documentation says to decode in the address before it is signed; nothing else.
const HUBSPOT_DECODED: [(&str, char); 12] = [
    ("3A", ':'),
    ("2F", '/'),
    ("3F", '?'),
    ("40", '@'),
    ("21", '!'),
    ("24", '$'),
    ("27", '\''),
    ("28", '('),
    ("29", ')'),
    ("2A", '*'),
    ("2C", ','),
    ("3B", ';'),
];

/// Why a request was not let in. For counting and logs: the caller is told nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("a header of the signature is missing")]
    Missing,
    #[error("a header of the signature comes more than once")]
    Doubled,
    #[error("the signature or its time is not written as the scheme says")]
    Malformed,
    #[error("the signed time is too old")]
    TooOld,
    #[error("the signed time lies too far ahead")]
    TooNew,
    #[error("the signature does not cover the body")]
    BodyNotCovered,
    #[error("no signature fits one of the secrets")]
    Mismatch,
    #[error("the connection has no secret that can be used; set one")]
    NoSecret,
}

impl Refused {
    /// A stable word, for a counter's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::Malformed => "malformed",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::BodyNotCovered => "body_not_covered",
            Self::Mismatch => "mismatch",
            Self::NoSecret => "no_secret",
        }
    }
}

pub(super) fn verify(
    scheme: &Scheme,
    received: &Received<'_>,
    secrets: &[SecretString],
    now: Timestamp,
) -> Result<(), Refused> {
    match scheme {
        Scheme::None => Ok(()),
        Scheme::Token { header, prefix } => token(header, prefix, received, secrets),
        Scheme::Signature(signature) => signed(signature, received, secrets, now),
    }
}

fn token(header: &str, prefix: &str, received: &Received<'_>, secrets: &[SecretString]) -> Result<(), Refused> {
    let given = one(received, header)?.strip_prefix(prefix).ok_or(Refused::Malformed)?;
    // Hashes have one length: how long a secret is does not show in the time either.
    let given = Sha256::digest(given.as_bytes());
    let usable = secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty());
    let mut any = false;
    let mut fits = subtle::Choice::from(0);
    for secret in usable {
        any = true;
        fits |= given.ct_eq(&Sha256::digest(secret.as_bytes()));
    }
    match (any, bool::from(fits)) {
        (false, _) => Err(Refused::NoSecret),
        (true, true) => Ok(()),
        (true, false) => Err(Refused::Mismatch),
    }
}

fn signed(
    signature: &Signature,
    received: &Received<'_>,
    secrets: &[SecretString],
    now: Timestamp,
) -> Result<(), Refused> {
    let header = one(received, &signature.header)?;
    let time = match &signature.time {
        Some(time) => {
            let text = signed_time(time, signature, header, received)?;
            in_window(time, text, now)?;
            text
        }
        None => "",
    };
    let id = match &signature.id {
        Some(name) => one(received, name)?,
        None => "",
    };
    let given = given(signature, header)?;
    let pieces = pieces(signature, received, time, id)?;
    let mut any = false;
    let mut fits = false;
    for secret in secrets {
        let Some(key) = key(signature.key, secret.expose_secret()) else { continue };
        any = true;
        fits |= match signature.hash {
            Hash::Sha1 => one_fits::<Hmac<Sha1>>(&key, &pieces, &given),
            Hash::Sha256 => one_fits::<Hmac<Sha256>>(&key, &pieces, &given),
            Hash::Sha512 => one_fits::<Hmac<Sha512>>(&key, &pieces, &given),
        };
    }
    match (any, fits) {
        (false, _) => Err(Refused::NoSecret),
        (true, true) => Ok(()),
        (true, false) => Err(Refused::Mismatch),
    }
}

/// Looks at every signature, also behind one that fits.
fn one_fits<M: Mac + KeyInit + Clone>(key: &[u8], pieces: &[Vec<u8>], given: &[Vec<u8>]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
    for piece in pieces {
        mac.update(piece);
    }
    given.iter().fold(false, |fits, one| mac.clone().verify_slice(one).is_ok() | fits)
}

/// The header's text, when it is there exactly once.
fn one<'r>(received: &Received<'r>, name: &str) -> Result<&'r str, Refused> {
    let mut found = received.headers.iter().filter(|(header, _)| header == name);
    let (_, value) = found.next().ok_or(Refused::Missing)?;
    if found.next().is_some() {
        return Err(Refused::Doubled);
    }
    match std::str::from_utf8(value).map(str::trim) {
        Ok("") => Err(Refused::Missing),
        Ok(text) => Ok(text),
        Err(_) => Err(Refused::Malformed),
    }
}

/// The signed time as it was sent: what is signed are its characters.
fn signed_time<'r>(
    time: &SignedTime,
    signature: &Signature,
    header: &'r str,
    received: &Received<'r>,
) -> Result<&'r str, Refused> {
    let prefix = match &time.at {
        TimeIn::Header(name) => return one(received, name),
        TimeIn::List { prefix } => prefix.as_str(),
    };
    let mut found = items(signature, header).filter_map(|item| item.strip_prefix(prefix));
    let text = found.next().ok_or(Refused::Missing)?;
    if found.next().is_some() { Err(Refused::Doubled) } else { Ok(text) }
}

fn items<'h>(signature: &Signature, header: &'h str) -> impl Iterator<Item = &'h str> {
    let separator = match signature.syntax {
        Syntax::List { separator, .. } => Some(separator),
        Syntax::One { .. } => None,
    };
    header.split(move |char| Some(char) == separator).map(str::trim)
}

fn in_window(time: &SignedTime, text: &str, now: Timestamp) -> Result<(), Refused> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refused::Malformed);
    }
    let micros_per_unit = match time.unit {
        Unit::Seconds => 1_000_000,
        Unit::Milliseconds => 1_000,
    };
    let micros = text.parse::<i64>().ok().and_then(|units| units.checked_mul(micros_per_unit));
    let at = micros.and_then(Timestamp::from_micros).ok_or(Refused::Malformed)?;
    if now.since(at) > time.tolerance {
        Err(Refused::TooOld)
    } else if at.since(now) > time.tolerance {
        Err(Refused::TooNew)
    } else {
        Ok(())
    }
}

/// The signatures that were sent, as bytes of the hash's length.
fn given(signature: &Signature, header: &str) -> Result<Vec<Vec<u8>>, Refused> {
    let texts: Vec<&str> = match &signature.syntax {
        Syntax::One { prefix } => header.strip_prefix(prefix.as_str()).into_iter().collect(),
        Syntax::List { prefix, .. } => items(signature, header)
            .filter_map(|item| item.strip_prefix(prefix.as_str()))
            .take(MOST_SIGNATURES)
            .collect(),
    };
    let decoded: Vec<Vec<u8>> = texts
        .into_iter()
        .filter_map(|text| match signature.encoding {
            Encoding::Hex => hex(text),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        })
        .filter(|bytes| bytes.len() == signature.hash.bytes())
        .collect();
    if decoded.is_empty() { Err(Refused::Malformed) } else { Ok(decoded) }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn key(rule: Key, secret: &str) -> Option<Vec<u8>> {
    let key = match rule {
        Key::Text => secret.as_bytes().to_vec(),
        Key::Base64 => STANDARD.decode(secret).ok()?,
        Key::Hex => hex(secret)?,
        Key::Whsec => match secret.strip_prefix("whsec_") {
            Some(text) => STANDARD.decode(text).ok()?,
            None => secret.as_bytes().to_vec(),
        },
    };
    // With an empty key anybody could sign.
    (!key.is_empty()).then_some(key)
}

/// What is signed, piece by piece.
fn pieces(signature: &Signature, received: &Received<'_>, time: &str, id: &str) -> Result<Vec<Vec<u8>>, Refused> {
    signature
        .signed
        .iter()
        .map(|part| {
            Ok(match part {
                Part::Text(text) => text.as_bytes().to_vec(),
                Part::Method => received.method.as_bytes().to_vec(),
                Part::Url => received.url.as_bytes().to_vec(),
                Part::UrlDecoded => hubspot_decoded(received.url).into_bytes(),
                Part::Form => form(signature, received)?,
                Part::Body => received.body.to_vec(),
                Part::Timestamp => time.as_bytes().to_vec(),
                Part::Id => id.as_bytes().to_vec(),
            })
        })
        .collect()
}

fn hubspot_decoded(url: &str) -> String {
    let mut decoded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3);
        let known = HUBSPOT_DECODED.iter().find(|(hex, _)| code.is_some_and(|code| code.eq_ignore_ascii_case(hex)));
        let (char, length) = known.map_or(('%', 1), |(_, char)| (*char, 3));
        decoded.push(char);
        rest = &rest[at + length..];
    }
    decoded.push_str(rest);
    decoded
}

/// The form's parameters sorted, names and values one behind the other; empty where the address holds the body's hash instead.
fn form(signature: &Signature, received: &Received<'_>) -> Result<Vec<u8>, Refused> {
    let query = received.url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let hash = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| Some(&**name) == signature.body_hash);
    if let Some((_, hash)) = hash {
        let given = hex(&hash).ok_or(Refused::Malformed)?;
        let covered = Sha256::digest(received.body).as_slice().ct_eq(&given);
        return if bool::from(covered) { Ok(Vec::new()) } else { Err(Refused::BodyNotCovered) };
    }
    if received.body.is_empty() {
        return Ok(Vec::new());
    }
    let kind = one(received, "content-type").map_err(|_| Refused::BodyNotCovered)?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refused::BodyNotCovered);
    }
    let mut pairs: Vec<_> = url::form_urlencoded::parse(received.body).collect();
    pairs.sort();
    pairs.dedup();
    Ok(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect::<String>().into_bytes())
}

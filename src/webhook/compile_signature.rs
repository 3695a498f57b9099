//! The `signature` of a `webhook.yaml`: a scheme of the table, or one built from options.
//!
//! Owns the options and what they must not allow: a scheme that leaves the body or its own time unsigned is refused here, not
//! discovered later.

use std::time::Duration;

use super::{
    compile::header,
    scheme::{BUILT, Encoding, Hash, Key, Part, Scheme, Signature, SignedTime, Syntax, TABLE, TOLERANCE, TimeIn, Unit},
};
use crate::yaml::{Problem, Table, nearest};

/// No request stays good for longer.
const LONGEST_TOLERANCE: i64 = 3600;

/// The scheme's name with the scheme.
pub(super) fn read(top: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<(String, Scheme)> {
    const REMEDY: &str = "name the scheme, e.g. signature: { scheme: standard_webhooks }";
    let Some(node) = top.get("signature") else {
        problems.push(Problem::new(top.line, "signature", "is required", REMEDY));
        return None;
    };
    let mut table = Table::open(node, "signature", problems)?;
    let name = table.required_text("scheme", REMEDY, problems)?;
    let scheme = match name.as_str() {
        "hmac" => hmac(&mut table, problems).map(Scheme::Signature),
        "token" => token(&mut table, problems),
        "none" => Some(Scheme::None),
        _ => named(&name, &mut table, problems).map(Scheme::Signature),
    };
    // Of a scheme that is not known, no key is known either.
    if scheme.is_some() || BUILT.contains(&name.as_str()) {
        table.finish(problems);
    }
    Some((name, scheme?))
}

fn named(name: &str, table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Signature> {
    let Some(row) = TABLE.iter().find(|row| row.name == name) else {
        let known: Vec<&str> = TABLE.iter().map(|row| row.name).chain(BUILT).collect();
        let remedy = nearest(name, known.iter().copied())
            .map_or_else(|| format!("use one of: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        let message = format!("there is no scheme `{name}`");
        problems.push(Problem::new(table.line_of("scheme"), "signature.scheme", message, remedy));
        return None;
    };
    let mut prefix = "webhook".to_owned();
    if row.takes_header_prefix()
        && let Some(own) = table.text("header_prefix", problems)
    {
        prefix = own.to_ascii_lowercase();
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let message = format!("`{own}` begins no header");
            let remedy = "write what stands before -id, e.g. webhook";
            problems.push(Problem::new(table.line_of("header_prefix"), "signature.header_prefix", message, remedy));
        }
    }
    let tolerance = if row.signs_a_time() { tolerance(table, problems) } else { None };
    Some(row.build(&prefix, tolerance))
}

fn token(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Scheme> {
    let header = required_header(table, problems);
    let prefix = table.text("prefix", problems).unwrap_or_default();
    Some(Scheme::Token { header: header?, prefix })
}

fn hmac(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Signature> {
    let hash =
        word(table, "hash", &[("sha256", Hash::Sha256), ("sha1", Hash::Sha1), ("sha512", Hash::Sha512)], problems);
    let encoding = word(table, "encoding", &[("hex", Encoding::Hex), ("base64", Encoding::Base64)], problems);
    let key = word(table, "key", &[("text", Key::Text), ("base64", Key::Base64), ("hex", Key::Hex)], problems);
    let header = required_header(table, problems);
    let prefix = table.text("prefix", problems).unwrap_or_default();
    let syntax = match table.text("separator", problems) {
        None => Some(Syntax::One { prefix }),
        Some(text) => {
            let mut chars = text.chars();
            let separator = chars.next().filter(|_| chars.next().is_none());
            if separator.is_none() {
                let remedy = "write the one character between several signatures, in quotes";
                let message = "one character is expected";
                problems.push(Problem::new(table.line_of("separator"), "signature.separator", message, remedy));
            }
            separator.map(|separator| Syntax::List { separator, prefix })
        }
    };
    let time = signed_time(table, problems);
    let id = table.text("id_header", problems).map(|name| name.to_ascii_lowercase());
    let signed = signed(table, problems);
    let pieces = signed.as_deref().unwrap_or_default();
    let mut both = |part: &Part, there: bool, key: &str| {
        if pieces.is_empty() || pieces.contains(part) == there {
            return;
        }
        let name = if *part == Part::Id { "id" } else { "timestamp" };
        let (message, remedy) = if there {
            (
                format!("is not signed: `signed` has no {{{name}}}"),
                format!("put {{{name}}} into `signed`: unsigned it protects nothing"),
            )
        } else {
            (format!("is required: `signed` has {{{name}}}"), "name the header that holds it".to_owned())
        };
        problems.push(Problem::new(table.line, &format!("signature.{key}"), message, remedy));
    };
    both(&Part::Timestamp, time.is_some(), "timestamp");
    both(&Part::Id, id.is_some(), "id_header");
    Some(Signature {
        hash: hash?,
        signed: signed?,
        header: header?,
        syntax: syntax?,
        encoding: encoding?,
        key: key?,
        time,
        id,
        body_hash: None,
    })
}

/// One of the words; the first when nothing is said.
fn word<T: Copy>(
    table: &mut Table<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let Some(text) = table.text(key, problems) else { return words.first().map(|(_, value)| *value) };
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let remedy = format!("use one of: {}", known.join(", "));
        problems.push(Problem::new(
            table.line_of(key),
            &table.path(key),
            format!("`{text}` is not known here"),
            remedy,
        ));
    }
    found
}

fn required_header(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let before = problems.len();
    let name = header(table, problems);
    if name.is_none() && problems.len() == before {
        let remedy = "name the header, e.g. X-Signature";
        problems.push(Problem::new(table.line, &table.path("header"), "is required", remedy));
    }
    name
}

fn signed_time(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<SignedTime> {
    let mut inner = Table::open(table.get("timestamp")?, "signature.timestamp", problems)?;
    let header = required_header(&mut inner, problems);
    let unit = word(&mut inner, "unit", &[("seconds", Unit::Seconds), ("milliseconds", Unit::Milliseconds)], problems);
    let tolerance = tolerance(&mut inner, problems).unwrap_or(TOLERANCE);
    inner.finish(problems);
    Some(SignedTime { at: TimeIn::Header(header?), unit: unit?, tolerance })
}

fn tolerance(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Duration> {
    let text = table.text("tolerance_seconds", problems)?;
    let seconds = text.parse::<i64>().ok().filter(|seconds| (1..=LONGEST_TOLERANCE).contains(seconds));
    if seconds.is_none() {
        let remedy = format!("give whole seconds from 1 to {LONGEST_TOLERANCE}; 300 is usual");
        let line = table.line_of("tolerance_seconds");
        problems.push(Problem::new(line, &table.path("tolerance_seconds"), "is out of its bounds", remedy));
    }
    seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
}

/// The template of the signed text.
fn signed(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Vec<Part>> {
    const REMEDY: &str = "write what is signed with {timestamp}, {id}, {method}, {url}, {form} and {body}";
    let text = table.text("signed", problems).unwrap_or_else(|| "{body}".to_owned());
    let mut parts = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('{') {
        if at > 0 {
            parts.push(Part::Text(rest[..at].to_owned()));
        }
        let end = rest[at..].find('}').map(|end| at + end);
        let part = match end.map(|end| &rest[at + 1..end]) {
            Some("timestamp") => Part::Timestamp,
            Some("id") => Part::Id,
            Some("method") => Part::Method,
            Some("url") => Part::Url,
            Some("form") => Part::Form,
            Some("body") => Part::Body,
            Some(_) | None => {
                let message = format!("`{}` is no part of a request", &rest[at..end.map_or(rest.len(), |end| end + 1)]);
                problems.push(Problem::new(table.line_of("signed"), "signature.signed", message, REMEDY));
                return None;
            }
        };
        parts.push(part);
        rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    if !parts.iter().any(|part| matches!(part, Part::Body | Part::Form)) {
        let message = "leaves the body unsigned";
        problems.push(Problem::new(table.line_of("signed"), "signature.signed", message, REMEDY));
    }
    Some(parts)
}

//! The last net: takes what looks like a secret or a person out of a text that is about to be logged or kept.
//!
//! Owns the patterns. Refuses to be relied on: texts are made without secrets in the first place. Ten bare digits
//! stay, since they are more often an id than a phone number.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands where something was taken out.
pub const REMOVED: &str = "[removed]";

/// Parts of names whose values are nobody's business.
const SECRET_NAMES: [&str; 8] =
    ["token", "secret", "password", "passwd", "api_key", "apikey", "api-key", "private_key"];

/// Whether a field of that name holds a secret, by its name.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// A value with `mark` in place of each field, at any depth, that is a secret by its name and value.
pub fn without_fields(value: &Value, mark: &str, is_secret: &dyn Fn(&str, &Value) -> bool) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let kept = || without_fields(value, mark, is_secret);
                (name.clone(), if is_secret(name, value) { Value::from(mark) } else { kept() })
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(items) => items.iter().map(|item| without_fields(item, mark, is_secret)).collect(),
        other => other.clone(),
    }
}

/// One alternation, so that a text is walked through once. No pattern takes a quote or a backslash with it: a line of JSON stays one.
static PATTERNS: LazyLock<Regex> = LazyLock::new(|| {
    let alternatives = [
        // scheme://user:password@host
        r#"(?P<user>[a-z][a-z0-9+.-]*://[^\s:/?#@"'\\]*:)[^\s/?#"'\\]*@"#,
        // the query of an address: keys and values may both be secret
        r#"(?P<query>[a-z][a-z0-9+.-]*://[^\s?#"'\\<>]+\?)[^\s"'\\<>]+"#,
        r#"(?P<scheme>\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{6,}"#,
        // key: value and key=value, also inside JSON, escaped JSON and the colours of a terminal
        r#"(?P<key>(?:\b|<ansi>)(?:api[_-]?key|hapikey|(?:access|refresh|id|auth|private[_-]app)[_-]?token|token|client[_-]?secret|secret|passwd|password|authorization|x-api-key)\b<ansi>*\\?["']?\s*[:=]<ansi>*\s*\\?["']?(?:(?:bearer|basic|token)\s+)?)[^\s"'\\,;&}\x1b]+"#,
        r"\bpat-[a-z0-9]+-[a-z0-9-]{8,}",
        r"\b(?:sk|rk|pk|whsec|xox[abp]|gh[pousr])[_-][a-z0-9_-]{10,}",
        r"\beyJ[a-z0-9_-]{5,}\.[a-z0-9_-]{5,}\.[a-z0-9_-]*",
        r#"[^\s"'\\<>(),;:=@\[\]]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+"#,
        r"\+[0-9](?:[ ().-]{0,2}[0-9]){7,14}\b",
        r"\(?\b[0-9]{3}\)?[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}\b",
    ];
    let pattern = format!("(?i){}", alternatives.join("|")).replace("<ansi>", r"(?:\x1b\[[0-9;]*m)");
    Regex::new(&pattern).expect("the patterns are fixed and a test compiles them")
});

/// The text without tokens, passwords, queries of addresses, e-mail addresses and phone numbers.
pub fn scrub(text: &str) -> Cow<'_, str> {
    PATTERNS.replace_all(text, |found: &Captures<'_>| {
        if let Some(before) = found.name("user") {
            format!("{}{REMOVED}@", before.as_str())
        } else if let Some(before) = ["query", "scheme", "key"].iter().find_map(|name| found.name(name)) {
            format!("{}{REMOVED}", before.as_str())
        } else {
            REMOVED.to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_people_are_taken_out() {
        for (text, expected) in [
            ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [removed]"),
            ("sent bearer AbCdEf123456", "sent bearer [removed]"),
            ("pat-na1-0a1b2c3d-4e5f-6789", "[removed]"),
            ("pat-eu1-aaaaaaaa-bbbb refused", "[removed] refused"),
            ("key sk_live_abcdefghijkl", "key [removed]"),
            ("eyJhbGciOi.eyJzdWIiOi.abc-_def", "[removed]"),
            ("mysql://tidegate:hunter2@db.example.test/x", "mysql://tidegate:[removed]@db.example.test/x"),
            ("mysql://tidegate:p@ss@db/x", "mysql://tidegate:[removed]@db/x"),
            ("GET https://api.example.test/a?hapikey=1&q=x: 400", "GET https://api.example.test/a?[removed] 400"),
            (r#"{"access_token":"abc","n":1}"#, r#"{"access_token":"[removed]","n":1}"#),
            (r#""{\"password\":\"abc\"}""#, r#""{\"password\":\"[removed]\"}""#),
            (
                "\u{1b}[3mtoken\u{1b}[0m\u{1b}[2m=\u{1b}[0mabc\u{1b}[0m",
                "\u{1b}[3mtoken\u{1b}[0m\u{1b}[2m=\u{1b}[0m[removed]\u{1b}[0m",
            ),
            ("client_secret=abc&grant=x", "client_secret=[removed]&grant=x"),
            ("lead ada.pfeiffer+x@mail.example.test failed", "lead [removed] failed"),
            ("call +1-212-555-0100 or (212) 555-0101 or 212.555.0102", "call [removed] or [removed] or [removed]"),
            ("call +12125550100", "call [removed]"),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }

    #[test]
    fn what_an_operator_needs_stays() {
        for text in [
            "run 4711 of acme-hubspot/contacts: page 12 at 2026-01-31T08:00:00.000000Z",
            "https://api.example.test/crm/v3/objects/contacts answered 503",
            "mysql://127.0.0.1:3306/tidegate",
            "id 2125550100, hash 0a1b2c3d4e5f, 67108864 bytes, 2026-01-31 08:00:00",
            "lease 60 s, fence 12, sqlite://var/tidegate.db",
            "credential env:HUBSPOT_TOKEN leads nowhere",
        ] {
            assert!(matches!(scrub(text), Cow::Borrowed(same) if same == text), "{}", scrub(text));
        }
    }
}

//! What must never stand in a text that a client reads: names of providers, ids, pieces of payloads, addresses (P18).
//!
//! Owns the detection. Refuses to correct a text: what leaks is held back, and a person writes it anew.

use std::{fmt, sync::LazyLock};

use regex::Regex;

/// What kind of thing a client would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leak {
    ProviderName,
    RawId,
    PayloadFragment,
    EmailAddress,
    PhoneNumber,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProviderName => "the name of a provider",
            Self::RawId => "an id",
            Self::PayloadFragment => "a piece of a payload",
            Self::EmailAddress => "an e-mail address",
            Self::PhoneNumber => "a phone number",
        })
    }
}

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static EMAIL: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"[^\s@]+@[^\s@]+\.[^\s@]+"));
/// A run of digits with what people put between them; dates are taken out first.
static PHONE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"\+?\(?\d[\d\s().\-/]{6,}\d"));
static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"\b\d{4}-\d{2}(-\d{2})?\b"));
static ID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b\d{6,}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-|\b[0-9a-f]{16,}\b|\b(pat|sk|key|tok|cus|inv|acct)[-_][a-z0-9]*\d",
    )
});
static PAYLOAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"[{}\[\]<>]|"\s*:|\\[nrtu"]|(?i)\b(bearer|https?://|www\.)|\b[a-z]+_[a-z_]+\b|\b[a-z]+\.[a-z]+_[a-z]+|\w=\S"#,
    )
});

fn hits(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// What of a text must not be read by a client; empty when it may be. Names of providers count in any spelling: letters and
/// digits alone are compared, at the beginning of words.
pub fn leaks(text: &str, provider_names: &[String]) -> Vec<Leak> {
    let mut found = Vec::new();
    let bare =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let starts: Vec<String> = text
        .char_indices()
        .filter(|(at, c)| c.is_alphanumeric() && !text[..*at].chars().next_back().is_some_and(char::is_alphanumeric))
        .map(|(at, _)| bare(&text[at..]))
        .collect();
    if provider_names
        .iter()
        .map(|name| bare(name))
        .any(|name| name.len() >= 3 && starts.iter().any(|rest| rest.starts_with(&name)))
    {
        found.push(Leak::ProviderName);
    }
    let undated = DATE.as_ref().map_or_else(|| text.to_owned(), |date| date.replace_all(text, " ").into_owned());
    for (pattern, leak) in [
        (&EMAIL, Leak::EmailAddress),
        (&PHONE, Leak::PhoneNumber),
        (&ID, Leak::RawId),
        (&PAYLOAD, Leak::PayloadFragment),
    ] {
        if hits(pattern, &undated) {
            found.push(leak);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p18_what_a_client_must_not_read_is_found() {
        let names = ["hubspot".to_owned(), "Search Console".to_owned()];
        for (text, leak) in [
            ("Leads from HubSpot", Leak::ProviderName),
            ("Leads from hub-spot's list", Leak::ProviderName),
            ("SearchConsole clicks", Leak::ProviderName),
            ("Deal 48211093", Leak::RawId),
            ("Run 123e4567-e89b-12d3-a456-426614174000", Leak::RawId),
            ("Token pat-na1-0001", Leak::RawId),
            ("Write to ada@example.test", Leak::EmailAddress),
            ("Call +1 (202) 555-0143", Leak::PhoneNumber),
            ("Call 202.555.0143", Leak::PhoneNumber),
            ("{\"id\": 1}", Leak::PayloadFragment),
            ("Field properties.hs_lead_status", Leak::PayloadFragment),
            ("stage=won", Leak::PayloadFragment),
        ] {
            assert!(leaks(text, &names).contains(&leak), "{text}: {:?}", leaks(text, &names));
        }
    }

    #[test]
    fn what_people_write_passes() {
        let names = ["hubspot".to_owned(), "csv".to_owned()];
        for text in [
            "New leads",
            "People and companies that asked for work in the period.",
            "2026-10-01 to 2026-10-31",
            "Up 12.5% against 1,240 in the 28 days before; nothing to do.",
            "CRM",
            "Follow up within 15 minutes (about 3 of 4 calls).",
        ] {
            assert_eq!(leaks(text, &names), [], "{text}");
        }
    }
}

//! What must never stand in a text that a client reads: provider names, addresses, phone numbers, raw ids, secrets, payload pieces.
//!
//! Owns the detector, a pure function. Refuses to mend a text, and never hands back what it found but for a provider's name:
//! a refusal that repeats an address would be a leak of its own (P18).

use std::{fmt, sync::LazyLock};

use regex::Regex;

/// What kind of thing leaked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeakKind {
    ProviderName,
    EmailAddress,
    PhoneNumber,
    /// A number of a provider's, a UUID.
    RawId,
    /// Looks like a key, a token or a hash.
    Token,
    /// A piece of JSON or markup, a path of fields, an address of the web.
    Payload,
}

impl LeakKind {
    /// The kind in a few words, for whoever mends the text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderName => "a provider's name",
            Self::EmailAddress => "an e-mail address",
            Self::PhoneNumber => "a phone number",
            Self::RawId => "a raw id",
            Self::Token => "something like a token",
            Self::Payload => "a piece of a payload or an address of the web",
        }
    }
}

impl fmt::Display for LeakKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that must not stand in a client's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    pub kind: LeakKind,
    /// Where it begins, in characters from 0.
    pub at: usize,
    /// The provider as it was given to [`leaks`]; `None` for every other kind, whose value is not repeated.
    pub provider: Option<String>,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            Some(name) => write!(f, "{} ({name}) at character {}", self.kind, self.at + 1),
            None => write!(f, "{} at character {}", self.kind, self.at + 1),
        }
    }
}

/// Shorter names are usual words or initials.
const SHORTEST_NAME: usize = 3;

/// Patterns in the order in which they are tried: what one has taken, a later one does not see.
static PATTERNS: LazyLock<Vec<(LeakKind, Regex)>> = LazyLock::new(|| {
    [
        (LeakKind::EmailAddress, r"(?i)[a-z0-9._%+'-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*"),
        (LeakKind::Payload, r#"(?i)\bhttps?://\S+|\bwww\.\S+|["']?\w+["']?\s*:\s*["{\[]|[{}]|</?[a-z][^>]*>"#),
        (LeakKind::RawId, r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
        (
            LeakKind::Token,
            r"(?i)\b(?:pat|sk|pk|rk|xox[a-z]|ghp|gho|shpat)[-_][a-z0-9_-]{6,}|\beyJ[a-z0-9_-]{8,}|\bbearer\s+\S+|\bAKIA[0-9A-Z]{12,}",
        ),
        // A plus and eight digits; three groups that a dialled number has; seven digits as they are dialled at home.
        (
            LeakKind::PhoneNumber,
            r"\+\d(?:[\s().-]{0,2}\d){7,}|\(\d{2,5}\)[\s.-]{0,2}\d{2,5}(?:[\s./-]?\d{2,6})+|\b\d{3}[\s.-]\d{3}[\s.-]\d{4}\b|\b\d{3}[.-]\d{4}\b|\b0\d{2,5}[\s./-]\d{4,}",
        ),
        // Letters with a point, an underscore or a capital inside: a field's own name.
        (LeakKind::Payload, r"\b[a-z]+(?:_[a-z0-9]+)+\b|\b[a-z]+(?:\.[a-z_]+){2,}\b|\bproperties\.\w+"),
        (LeakKind::RawId, r"\b\d{7,}\b|(?i:\bid\s*[:=#]?\s*\d{3,})|#\d{4,}\b"),
    ]
    .into_iter()
    // Each pattern is one of ours: a test compiles them all.
    .filter_map(|(kind, pattern)| Regex::new(pattern).ok().map(|regex| (kind, regex)))
    .collect()
});
/// Words of letters and digits that are long enough to be a secret or a hash.
static LONG_WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9_+/=-]{16,}").ok());
/// Dates are no phone numbers and no ids.
static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b(?:19|20)\d{2}-\d{2}-\d{2}\b").ok());

/// Everything in a text that a client must not read, in its order. `provider_names` are the names and keys of providers; they
/// are found whatever their case and however their words are joined.
pub fn leaks(text: &str, provider_names: &[String]) -> Vec<Leak> {
    let mut left = text.to_owned();
    if let Some(date) = &*DATE {
        blank_all(&mut left, date, |_| true);
    }
    let mut found = Vec::new();
    let mut tell = |kind, byte: usize| {
        let at = text.get(..byte).map_or(0, |before| before.chars().count());
        found.push(Leak { kind, at, provider: None });
    };
    for (kind, pattern) in PATTERNS.iter() {
        for byte in blank_all(&mut left, pattern, |_| true) {
            tell(*kind, byte);
        }
    }
    if let Some(word) = &*LONG_WORD {
        for byte in blank_all(&mut left, word, is_secret_like) {
            tell(LeakKind::Token, byte);
        }
    }
    for name in provider_names {
        let Some(pattern) = name_pattern(name) else { continue };
        // In the whole text: a name inside an address is told as well.
        for hit in pattern.find_iter(text) {
            let at = text.get(..hit.start()).map_or(0, |before| before.chars().count());
            if !found.iter().any(|leak| leak.kind == LeakKind::ProviderName && leak.at == at) {
                found.push(Leak { kind: LeakKind::ProviderName, at, provider: Some(name.clone()) });
            }
        }
    }
    found.sort_by_key(|leak| (leak.at, leak.kind));
    found
}

/// Overwrites the matches that count with spaces, byte for byte, and says where they began.
fn blank_all(text: &mut String, pattern: &Regex, counts: impl Fn(&str) -> bool) -> Vec<usize> {
    let hits: Vec<_> = pattern.find_iter(text).filter(|hit| counts(hit.as_str())).map(|hit| hit.range()).collect();
    for hit in &hits {
        text.replace_range(hit.clone(), &" ".repeat(hit.len()));
    }
    hits.into_iter().map(|hit| hit.start).collect()
}

/// Letters and digits mixed, as words of a language are not.
fn is_secret_like(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    digits >= 3 && letters >= 3
}

/// The name as whole words, whatever joins them.
fn name_pattern(name: &str) -> Option<Regex> {
    // `HubSpot` is also written `Hub Spot`.
    let mut spaced = String::with_capacity(name.len() + 4);
    let mut small = false;
    for c in name.chars() {
        if small && c.is_uppercase() {
            spaced.push(' ');
        }
        small = c.is_lowercase();
        spaced.push(c);
    }
    let words: Vec<String> =
        spaced.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(regex::escape).collect();
    if words.iter().map(|word| word.chars().count()).sum::<usize>() < SHORTEST_NAME {
        return None;
    }
    Regex::new(&format!(r"(?i)\b{}(?:'s)?\b", words.join(r"[\s._-]*"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<LeakKind> {
        let names = ["hubspot", "HubSpot", "Google Business Profile", "csv"].map(str::to_owned);
        leaks(text, &names).into_iter().map(|leak| leak.kind).collect()
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), 7);
        assert!(LONG_WORD.is_some() && DATE.is_some());
    }

    #[test]
    fn p18_what_a_client_must_not_read_is_found() {
        use LeakKind::{EmailAddress, Payload, PhoneNumber, ProviderName, RawId, Token};
        for (text, kind) in [
            ("Leads from HubSpot", ProviderName),
            ("the hub spot's count", ProviderName),
            ("google-business-profile visits", ProviderName),
            ("as in the CSV", ProviderName),
            ("ask ada@example.test", EmailAddress),
            ("call +1 415 555 0132 back", PhoneNumber),
            ("call (415) 555-0132", PhoneNumber),
            ("call 415-555-0132", PhoneNumber),
            ("call 415.555.0132", PhoneNumber),
            ("call 555-0132", PhoneNumber),
            ("call 030 1234567", PhoneNumber),
            ("+14155550132", PhoneNumber),
            ("contact 48151623", RawId),
            ("lead #4711", RawId),
            ("record id 4711", RawId),
            ("see 123e4567-e89b-12d3-a456-426614174000", RawId),
            ("with pat-na1-abcdef012345", Token),
            ("Bearer abcdefgh", Token),
            ("hash 9f86d081884c7d659a2feaa0c55ad015", Token),
            ("eyJhbGciOiJIUzI1NiJ9", Token),
            ("{\"name\": \"x\"}", Payload),
            ("the field hs_analytics_source", Payload),
            ("properties.email is empty", Payload),
            ("see https://example.test/x", Payload),
            ("<b>more</b>", Payload),
        ] {
            assert!(kinds(text).contains(&kind), "{text}: {:?}", kinds(text));
        }
    }

    #[test]
    fn usual_sentences_with_dates_and_numbers_pass() {
        for text in [
            "New leads",
            "People who asked for work, counted once.",
            "From 2026-02-01 to 2026-02-28",
            "1 Mar 2026 to 31 Mar 2026",
            "CRM",
            "12,345.50 USD in 2026",
            "Up 12% against the 28 days before",
            "Answer missed calls within 15 minutes; 3 of 10 were later.",
            "Invoiced 1 234 567 EUR",
            "Search visits (organic): 10-20 a day",
            "24/7 phone line",
            "Follow-up within one hour, e.g. by phone.",
            "This source answers slowly. Your numbers stay as they were.",
            "",
        ] {
            assert_eq!(kinds(text), [], "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_place_and_never_the_value() {
        let found = leaks("é ada@example.test", &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "an e-mail address at character 3");
        let found = leaks("as HubSpot says", &["HubSpot".to_owned()]);
        assert_eq!(found[0].to_string(), "a provider's name (HubSpot) at character 4");
    }
}

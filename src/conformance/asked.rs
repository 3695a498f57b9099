//! A request as the simulated provider saw it.

use serde_json::Value;
use url::Url;

use super::sample::{get, leaves};
use crate::{connector::manifest::python, domain::clock::Timestamp};

/// What was asked, at the address that was meant.
#[derive(Debug, Clone)]
pub struct Asked {
    pub at: Timestamp,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Headers that the client adds by itself or that prove who asks.
const NOT_COMPARED: [&str; 8] = [
    "authorization",
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "content-length",
    "content-type",
    "connection",
];

impl Asked {
    /// Every single text of the request: parameters, headers, fields of the body, and the address.
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        texts.extend(self.headers.iter().map(|(_, value)| value.clone()));
        match serde_json::from_str::<Value>(&self.body) {
            Ok(body) => texts.extend(leaves(&body).iter().filter_map(|leaf| get(&body, leaf)).map(python::to_text)),
            Err(_) => {
                texts.extend(url::form_urlencoded::parse(self.body.as_bytes()).map(|(_, value)| value.into_owned()));
            }
        }
        texts.push(self.url.to_string());
        texts.push(format!("{}?{}", self.url.path(), self.url.query().unwrap_or_default()));
        texts
    }

    /// Whether a token stands in the request: as a value, within one, or as its address.
    pub fn holds(&self, token: &str) -> bool {
        let whole = token.len() < 5;
        let is_address = token.starts_with("http") || token.contains('?');
        if is_address {
            // What is added to each request stands behind the address.
            let query = token.split_once('?').map_or("", |(_, query)| query);
            let wanted: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let have: Vec<_> = self.url.query_pairs().into_owned().collect();
            return wanted.iter().all(|pair| have.contains(pair));
        }
        self.texts().iter().any(|text| text == token || !whole && text.contains(token))
            || whole
                && self.texts().iter().any(|text| text.split(|c: char| !c.is_ascii_digit()).any(|part| part == token))
    }

    /// The first parameter that says nothing, is there twice, or was never filled in.
    pub fn needless(&self) -> Option<String> {
        let pairs: Vec<(String, String)> = self.url.query_pairs().into_owned().collect();
        let twice = |name: &str, value: &str| pairs.iter().filter(|(n, v)| n == name && v == value).count() > 1;
        let form = self
            .body
            .starts_with(|c: char| c.is_ascii_alphabetic())
            .then(|| url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect::<Vec<_>>());
        let json: Option<Value> = serde_json::from_str(&self.body).ok();
        let fields = json.iter().flat_map(|body| {
            leaves(body)
                .into_iter()
                .map(|leaf| (leaf.join("."), get(body, &leaf).map(python::to_text).unwrap_or_default()))
        });
        let empty =
            |value: &str| ["", "None", "null", "undefined", "{}", "[]"].contains(&value.trim()) || value.contains("{{");
        let sent = pairs.iter().cloned().chain(form.into_iter().flatten()).chain(fields);
        sent.into_iter().find(|(name, value)| empty(value) || twice(name, value)).map(|(name, _)| name)
    }

    /// The instants that stand in the request.
    pub fn times(&self) -> impl Iterator<Item = Timestamp> {
        let texts = self.texts();
        texts.into_iter().flat_map(|text| times(&text)).map(|(at, _)| at)
    }

    /// The request without what differs from one to the next anyway.
    pub fn compared(&self) -> (String, Vec<(String, String)>, String) {
        let headers = self.headers.iter().filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str())).cloned();
        (self.url.to_string(), headers.collect(), self.body.clone())
    }
}

/// The instants that stand in a text, in the forms that providers ask for; true: it is a whole day.
pub fn times(text: &str) -> Vec<(Timestamp, bool)> {
    static FORMS: std::sync::LazyLock<Option<regex::Regex>> = std::sync::LazyLock::new(|| {
        regex::Regex::new(
            r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?|\b\d{13}\b|\b\d{10}\b",
        )
        .ok()
    });
    let Some(forms) = FORMS.as_ref() else { return Vec::new() };
    let read = |found: &str| -> Option<(Timestamp, bool)> {
        match found.len() {
            13 if !found.contains('-') => Some((Timestamp::from_micros(found.parse::<i64>().ok()? * 1_000)?, false)),
            10 if !found.contains('-') => {
                Some((Timestamp::from_micros(found.parse::<i64>().ok()? * 1_000_000)?, false))
            }
            10 => Some((format!("{found}T00:00:00Z").parse().ok()?, true)),
            _ => {
                let found = found.replace(' ', "T");
                let whole = [found.clone(), format!("{found}Z"), format!("{found}:00Z")];
                let zoned = found.len() > 5 && found.is_char_boundary(found.len() - 2);
                let colon = zoned.then(|| format!("{}:{}", &found[..found.len() - 2], &found[found.len() - 2..]));
                let at = whole.into_iter().chain(colon).find_map(|text| text.parse().ok())?;
                Some((at, false))
            }
        }
    };
    forms.find_iter(text).filter_map(|found| read(found.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_a_request_are_found_in_every_usual_form() {
        let at: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
        for text in [
            "2026-06-15T12:00:00Z",
            "where updated > '2026-06-15 12:00:00' and x",
            "updated_at:>=2026-06-15T12:00:00.000+00:00",
            "2026-06-15T12:00:00+0000",
            "2026-06-15T12:00",
            "1781524800",
            "1781524800000",
        ] {
            assert_eq!(times(text), [(at, false)], "{text}");
        }
        assert_eq!(times("2026-06-15"), [("2026-06-15T00:00:00Z".parse().unwrap(), true)]);
        assert_eq!(times("12125550100 and 7"), []);
    }
}

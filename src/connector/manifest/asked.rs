//! A request in the words of a provider's documentation, for a person to hold against it.
//!
//! Owns the line: method, address with its query decoded, and the body. Refuses headers, which prove who asks, and takes out of the
//! rest what is a secret: by the secret's own texts, and by the names that secrets have.

use secrecy::SecretString;
use serde_json::Value;

use crate::{
    connector::{
        credential::each_text,
        http::{Body, Call},
    },
    telemetry::redact::{REMOVED, is_secret_name, without_fields},
};

/// Longest body that is told, in characters.
const MOST_OF_A_BODY: usize = 400;

/// The line of a request that is about to be sent with these secrets.
pub(super) fn line(call: &Call, secrets: &[Option<&SecretString>]) -> String {
    let mut address = call.url.clone();
    address.set_query(None);
    let pairs: Vec<(String, String)> =
        call.url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let mut line = format!("{} {address}", call.method.as_str());
    if !pairs.is_empty() {
        line = format!("{line}?{}", told(&pairs));
    }
    let body = match &call.body {
        Body::None => None,
        Body::Json(json) => Some(without_fields(json, REMOVED, &is_secret).to_string()),
        Body::Form(fields) => Some(told(fields)),
        Body::Text(text) => Some(text.clone()),
    };
    if let Some(body) = body {
        let cut: String = body.chars().take(MOST_OF_A_BODY).collect();
        let rest = if cut.len() < body.len() { "…" } else { "" };
        line = format!("{line}  {cut}{rest}");
    }
    without(line, secrets)
}

/// Tokens of pages have names like secrets, and are what a person looks for.
const OF_PAGES: [&str; 4] = ["page", "next", "cursor", "continu"];

fn is_secret(name: &str, value: &Value) -> bool {
    is_secret_text(name, value.as_str().unwrap_or_default())
}

fn is_secret_text(name: &str, text: &str) -> bool {
    let small = name.to_ascii_lowercase();
    let signed = text.starts_with("eyJ") && text.matches('.').count() == 2;
    signed || is_secret_name(name) && !OF_PAGES.iter().any(|part| small.contains(part))
}

fn told(pairs: &[(String, String)]) -> String {
    let one = |(name, value): &(String, String)| {
        let value = if is_secret_text(name, value) { REMOVED } else { value };
        format!("{name}={value}")
    };
    pairs.iter().map(one).collect::<Vec<_>>().join("&")
}

/// The line without the secrets' texts, whole or by parts, as they are and as an address has them.
fn without(mut line: String, secrets: &[Option<&SecretString>]) -> String {
    for secret in secrets.iter().flatten() {
        each_text(secret, |text| {
            if text.is_empty() {
                return;
            }
            let spelt: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            for form in [text, &spelt, &spelt.replace('+', "%20")] {
                line = line.replace(form, REMOVED);
            }
        });
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connector::http::Method;

    #[test]
    fn p18_a_request_is_told_without_what_proves_who_asks() {
        let call = |url: &str, body: Body| Call {
            method: Method::Post,
            url: url.parse().unwrap(),
            headers: vec![("X-Key".to_owned(), "k".to_owned())],
            body,
        };
        let secret = SecretString::from(r#"{"user": "bob", "pin": "a b/c"}"#);
        let session = SecretString::from("s-1");
        let secrets = [Some(&secret), None, Some(&session)];
        for (url, body, expected) in [
            (
                "https://h.test/a/a%20b%2Fc?since=2026-01-01T00%3A00%3A00Z&filter[x]=1",
                Body::None,
                "POST https://h.test/a/[removed]?since=2026-01-01T00:00:00Z&filter[x]=1",
            ),
            (
                "https://h.test/a?api_key=zz&q=bob&s=s-1&page_token=p2&as=eyJh.eyJz.x",
                Body::None,
                "POST https://h.test/a?api_key=[removed]&q=[removed]&s=[removed]&page_token=p2&as=[removed]",
            ),
            (
                "https://h.test/a",
                Body::Json(json!({"page": 2, "auth": {"password": 7, "who": "bob"}})),
                r#"POST https://h.test/a  {"page":2,"auth":{"password":"[removed]","who":"[removed]"}}"#,
            ),
            (
                "https://h.test/a",
                Body::Form(vec![("token".to_owned(), "zz".to_owned()), ("n".to_owned(), "1".to_owned())]),
                "POST https://h.test/a  token=[removed]&n=1",
            ),
        ] {
            assert_eq!(line(&call(url, body), &secrets), expected);
        }
        let long = line(&call("https://h.test/a", Body::Text("é".repeat(500))), &[]);
        assert!(
            long.ends_with("é…") && long.chars().count() == "POST https://h.test/a  …".chars().count() + 400,
            "{long}"
        );
    }
}

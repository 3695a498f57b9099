//! OAuth2: tokens that are renewed, and a first authorisation by a person.
//!
//! Owns the document that is sealed as an OAuth credential. `grant` speaks to token services, `refresh` decides when and who,
//! `authorize` is the authorization-code grant with PKCE. Refuses unknown parts, for a mistyped `refresh_token` would only show
//! when the access token has ended.

pub mod authorize;
mod grant;
pub(super) mod refresh;

use std::time::Duration;

use secrecy::{
    ExposeSecret as _, SecretString,
    zeroize::{Zeroize as _, Zeroizing},
};
use serde_json::{Map, Value};
use url::Url;

use super::VaultError;

const PARTS: [&str; 9] = [
    "access_token",
    "refresh_token",
    "client_id",
    "client_secret",
    "token_url",
    "authorize_url",
    "scope",
    "client_auth",
    "expires_in",
];

/// Where the client's own secret stands in a token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientAuth {
    Body,
    Basic,
}

/// The sealed document, opened. Holds secrets: it has neither `Debug` nor `Serialize`.
#[derive(Clone)]
pub struct Tokens {
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    client_id: String,
    client_secret: Option<SecretString>,
    token_url: Url,
    authorize_url: Option<Url>,
    scope: Option<String>,
    client_auth: ClientAuth,
}

impl Tokens {
    /// Reads the document; gives also how long its access token is good, where it says so.
    ///
    /// # Errors
    /// [`VaultError::Refused`], naming every part that is missing, unknown or of the wrong kind, and no value.
    pub fn parse(secret: &SecretString) -> Result<(Self, Option<Duration>), VaultError> {
        let refuse = |what: String| {
            VaultError::refused(
                format!("the secret of an oauth2 connection {what}"),
                "store a JSON object: {\"client_id\", \"client_secret\", \"token_url\", \"refresh_token\", \"access_token\", \"expires_in\", \
                 \"authorize_url\", \"scope\", \"client_auth\": \"body\" or \"basic\"}; client_id and token_url are needed, without a \
                 refresh_token the client credentials grant is used",
            )
        };
        let Ok(mut parts) = serde_json::from_str::<Map<String, Value>>(secret.expose_secret()) else {
            return Err(refuse("is no JSON object".to_owned()));
        };
        let mut wrong = Vec::new();
        for name in parts.keys().filter(|name| !PARTS.contains(&name.as_str())) {
            // A name may be the secret itself, when somebody pasted the wrong thing.
            let plain = name.len() <= 40 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            wrong.push(if plain { format!("has an unknown part {name}") } else { "has an unknown part".to_owned() });
        }
        let mut text = |name: &str| match parts.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            Some(_) => {
                wrong.push(format!("has a {name} that is no text"));
                None
            }
        };
        let (access_token, refresh_token) = (text("access_token"), text("refresh_token"));
        let (client_id, client_secret) = (text("client_id"), text("client_secret"));
        let (token_url, authorize_url) = (text("token_url"), text("authorize_url"));
        let (scope, client_auth) = (text("scope"), text("client_auth"));
        let expires_in = match parts.remove("expires_in") {
            None | Some(Value::Null) => None,
            Some(value) => seconds(&value).or_else(|| {
                wrong.push("has an expires_in that is no number of seconds".to_owned());
                None
            }),
        };
        let mut address = |name: &str, value: Option<&String>| {
            let parsed = value.map(|text| text.parse::<Url>());
            if matches!(parsed, Some(Err(_))) {
                wrong.push(format!("has a {name} that is no address"));
            }
            parsed.and_then(Result::ok)
        };
        let token_address = address("token_url", token_url.as_ref());
        let authorize_url = address("authorize_url", authorize_url.as_ref());
        if token_url.is_none() {
            wrong.push("has no token_url".to_owned());
        }
        if client_id.is_none() {
            wrong.push("has no client_id".to_owned());
        }
        let client_auth = match client_auth.as_deref() {
            None | Some("body") => ClientAuth::Body,
            Some("basic") => ClientAuth::Basic,
            Some(_) => {
                wrong.push("has a client_auth that is neither body nor basic".to_owned());
                ClientAuth::Body
            }
        };
        wipe(parts);
        let secret = |text: Option<String>| text.map(SecretString::from);
        match (client_id, token_address) {
            (Some(client_id), Some(token_url)) if wrong.is_empty() => Ok((
                Self {
                    access_token: secret(access_token),
                    refresh_token: secret(refresh_token),
                    client_id,
                    client_secret: secret(client_secret),
                    token_url,
                    authorize_url,
                    scope,
                    client_auth,
                },
                expires_in,
            )),
            _ => Err(refuse(wrong.join(", "))),
        }
    }

    /// The document as it is sealed.
    pub fn document(&self) -> SecretString {
        let mut parts = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                parts.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        };
        put("access_token", self.access_token.as_ref().map(|secret| secret.expose_secret()));
        put("refresh_token", self.refresh_token.as_ref().map(|secret| secret.expose_secret()));
        put("client_id", Some(&self.client_id));
        put("client_secret", self.client_secret.as_ref().map(|secret| secret.expose_secret()));
        put("token_url", Some(self.token_url.as_str()));
        put("authorize_url", self.authorize_url.as_ref().map(Url::as_str));
        put("scope", self.scope.as_deref());
        put("client_auth", (self.client_auth == ClientAuth::Basic).then_some("basic"));
        let text = Zeroizing::new(Value::Object(parts.clone()).to_string());
        wipe(parts);
        SecretString::from(text.as_str())
    }

    /// With what a token service gave. A service that gives no new refresh token leaves the old one good.
    #[must_use]
    fn renewed(&self, granted: grant::Granted) -> Self {
        Self {
            access_token: Some(granted.access_token),
            refresh_token: granted.refresh_token.or_else(|| self.refresh_token.clone()),
            ..self.clone()
        }
    }
}

/// Seconds as a number, or as a text that is one, as some providers write it.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(number).ok().filter(|length| *length <= LONGEST_LIFE)
}

/// A token that claims to live longer is taken for one that does not say.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Forgets the texts of a document.
fn wipe(parts: Map<String, Value>) {
    for (_, value) in parts {
        if let Value::String(mut text) = value {
            text.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Tokens, Option<Duration>), VaultError> {
        Tokens::parse(&SecretString::from(text))
    }

    #[test]
    fn a_document_comes_back_as_it_was_and_what_is_wrong_is_told_at_once_without_a_value() {
        let whole = r#"{"access_token":"at-1","refresh_token":"rt-1","client_id":"id","client_secret":"cs","token_url":"https://p.example.test/t","authorize_url":"https://p.example.test/a","scope":"a b","client_auth":"basic"}"#;
        let (tokens, expires) = parse(whole).ok().unwrap();
        assert_eq!((tokens.document().expose_secret(), expires), (whole, None));
        let (_, expires) =
            parse(r#"{"client_id":"i","token_url":"https://p.example.test/t","expires_in":"90"}"#).ok().unwrap();
        assert_eq!(expires, Some(Duration::from_secs(90)));
        for (text, expected) in [
            ("hush", vec!["is no JSON object"]),
            (r#"["hush"]"#, vec!["is no JSON object"]),
            (r#"{"refresh":"hush"}"#, vec!["unknown part refresh", "no token_url", "no client_id"]),
            (
                r#"{"Hush-hush":1,"client_id":"i","token_url":"hush","expires_in":"hush","client_auth":"hush","access_token":7}"#,
                vec![
                    "an unknown part",
                    "token_url that is no address",
                    "expires_in that is no number",
                    "neither body nor basic",
                    "access_token that is no text",
                ],
            ),
        ] {
            let Err(error) = parse(text) else { panic!("{text}") };
            for part in expected {
                assert!(error.to_string().contains(part), "{error}");
            }
            assert!(!error.to_string().to_lowercase().contains("hush"), "{error}");
        }
    }
}

//! Tokens that are signed here.
//!
//! Owns what is put into them; the signing is a library's. Refuses to keep keys.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use crate::{
    connector::{
        ConnectorError, ErrorKind,
        manifest::{
            engine::{Engine, Scope, Template},
            plan::RequestOption,
        },
    },
    domain::clock::Timestamp,
};

/// What the text of a shared key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connector::manifest) enum Spelling {
    /// Itself.
    Text,
    /// Bytes, two digits each.
    Hex,
    Base64,
}

pub(in crate::connector::manifest) struct Jwt {
    pub algorithm: Algorithm,
    pub key: Template,
    pub spelling: Spelling,
    pub key_in_base64: Option<Template>,
    pub seconds: u64,
    pub prefix: Option<Template>,
    /// `kid`, `typ`, `cty`, and what else is to stand in the header.
    pub header: Vec<(String, Template)>,
    /// `iss`, `sub`, `aud`.
    pub claims: Vec<(String, Template)>,
    pub more_header: Vec<(Template, Template)>,
    pub more_claims: Vec<(Template, Template)>,
    pub option: Option<RequestOption>,
}

fn settings(message: String) -> ConnectorError {
    ConnectorError::new(ErrorKind::Settings, message)
}

/// The algorithm of that name.
pub(in crate::connector::manifest) fn algorithm(name: &str) -> Option<Algorithm> {
    // Those that the library signs; the others are refused at load by name.
    name.parse().ok()
}

/// Whether both sides sign with the same key.
pub(in crate::connector::manifest) fn is_shared(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

impl Jwt {
    /// A signed token, good from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when the key is not one of the algorithm, without anything of the key.
    pub fn sign(&self, engine: &Engine, scope: &Scope, now: Timestamp) -> Result<SecretString, ConnectorError> {
        let seconds = now.micros().div_euclid(1_000_000);
        let mut claims = Map::new();
        for (name, value) in &self.more_claims {
            claims.insert(engine.text(name, scope)?, engine.value(value, scope)?);
        }
        for (name, value) in &self.claims {
            claims.insert(name.clone(), engine.value(value, scope)?);
        }
        let until = seconds.saturating_add(i64::try_from(self.seconds).unwrap_or(0));
        for (name, at) in [("iat", seconds), ("exp", until), ("nbf", seconds)] {
            claims.insert(name.to_owned(), json!(at));
        }
        let mut header = Header::new(self.algorithm);
        let mut more = Map::new();
        for (name, value) in &self.more_header {
            more.insert(engine.text(name, scope)?, engine.value(value, scope)?);
        }
        for (name, value) in &self.header {
            more.insert(name.clone(), Value::String(engine.text(value, scope)?));
        }
        for (name, value) in more {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match name.as_str() {
                "kid" => header.kid = Some(text),
                "typ" => header.typ = Some(text),
                "cty" => header.cty = Some(text),
                "jku" => header.jku = Some(text),
                "x5u" => header.x5u = Some(text),
                "x5t" => header.x5t = Some(text),
                _ => return Err(settings(format!("the header field '{name}' of a signed token cannot be set"))),
            }
        }
        let key = SecretString::from(engine.text(&self.key, scope)?);
        let encoded = match &self.key_in_base64 {
            Some(wanted) => engine.truth(wanted, scope)?,
            None => false,
        };
        let signed = jsonwebtoken::encode(&header, &claims, &self.encoding_key(&key, encoded)?);
        signed.map(SecretString::from).map_err(|_| settings("the token cannot be signed with this key".to_owned()))
    }

    fn encoding_key(&self, key: &SecretString, encoded: bool) -> Result<EncodingKey, ConnectorError> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let bytes = key.expose_secret().as_bytes();
        let wrong = |_| settings(format!("the key of the connection is none for {:?}", self.algorithm));
        match self.algorithm {
            algorithm if is_shared(algorithm) => {
                let no = |what: &str| settings(format!("the key of the connection is no {what}: secret_key_encoding"));
                let meant = match self.spelling {
                    Spelling::Text => bytes.to_owned(),
                    Spelling::Hex => hex::decode(key.expose_secret().trim()).map_err(|_| no("hexadecimal text"))?,
                    Spelling::Base64 => STANDARD.decode(key.expose_secret().trim()).map_err(|_| no("Base64"))?,
                };
                let meant = if encoded { STANDARD.encode(meant).into_bytes() } else { meant };
                Ok(EncodingKey::from_secret(&meant))
            }
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(bytes).map_err(wrong),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(bytes).map_err(wrong),
            _ => EncodingKey::from_rsa_pem(bytes).map_err(wrong),
        }
    }

    /// The token with its prefix.
    ///
    /// # Errors
    /// As [`Jwt::sign`].
    pub fn token(&self, engine: &Engine, scope: &Scope, now: Timestamp) -> Result<SecretString, ConnectorError> {
        let signed = self.sign(engine, scope, now)?;
        let prefix = self.prefix.as_ref().map(|prefix| engine.text(prefix, scope)).transpose()?;
        Ok(match prefix.filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => SecretString::from(format!("{prefix} {}", signed.expose_secret())),
            None => signed,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc};

    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    /// What the token says, if it was signed with that key.
    fn read(token: &SecretString, key: &[u8]) -> Option<(Header, Value)> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.required_spec_claims = HashSet::new();
        validation.validate_aud = false;
        let read = jsonwebtoken::decode(token.expose_secret(), &DecodingKey::from_secret(key), &validation).ok()?;
        Some((read.header, read.claims))
    }

    #[test]
    fn a_shared_key_is_its_text_or_the_bytes_that_the_text_stands_for() {
        let mut engine = Engine::new();
        let none = Arc::new(json!({}));
        let now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        // The id and the key in one text, as some providers hand them out.
        let config = Arc::new(json!({"key": "64a1f0:00ff10", "based": "AP8Q", "odd": "x:zz"}));
        let scope = Scope::new(now, &config);
        let mut jwt = |key: &str, spelling: Spelling| Jwt {
            algorithm: Algorithm::HS256,
            key: engine.compile(key, "key", &none).unwrap(),
            spelling,
            key_in_base64: None,
            seconds: 300,
            prefix: None,
            header: vec![(
                "kid".to_owned(),
                engine.compile("{{ config['key'].split(':')[0] }}", "kid", &none).unwrap(),
            )],
            claims: vec![("aud".to_owned(), engine.compile("/admin/", "aud", &none).unwrap())],
            more_header: Vec::new(),
            more_claims: Vec::new(),
            option: None,
        };
        let half = "{{ config['key'].split(':')[1] }}";
        let made = [
            (jwt(half, Spelling::Hex), &[0, 255, 16][..]),
            (jwt("{{ config['based'] }}", Spelling::Base64), &[0, 255, 16]),
            (jwt(half, Spelling::Text), b"00ff10"),
        ];
        let wrong = jwt("{{ config['odd'].split(':')[1] }}", Spelling::Hex);
        for (jwt, key) in made {
            let token = jwt.sign(&engine, &scope, now).unwrap();
            let (header, claims) = read(&token, key).unwrap();
            assert_eq!((header.kid.as_deref(), &claims["aud"]), (Some("64a1f0"), &json!("/admin/")));
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
            assert!(read(&token, b"another").is_none());
        }
        let error = wrong.sign(&engine, &scope, now).unwrap_err().message;
        assert!(error.contains("hexadecimal") && !error.contains("zz"), "{error}");
    }
}

//! The connection that a connector is tried with: made up from `connection_specification`, or as `fixtures/connection.json` says.
//!
//! Owns values that fit the specification, and the secret's form. Nothing here is anybody's: the secret is a fixed text that the
//! simulated provider asks for.
//!
//! ```json
//! {"config": {"shop": "acme"}, "secret": {"client_id": "id", "client_secret": "not-a-secret"}}
//! ```

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::{
    connector::{
        ConnectorError,
        credential::CredentialSource,
        manifest::{Manifest, trial::Profile},
    },
    domain::clock::Timestamp,
};

/// What a made-up secret option holds that has no example.
pub const SECRET: &str = "conformance-secret-0001";
/// How long before the records the configured start lies.
const DAYS_BEFORE: i64 = 4;

/// A connection to try with.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Without the secret.
    pub config: Value,
    /// One text, or a JSON object of several.
    pub secret: String,
}

impl Connection {
    /// Makes one up; what `fixtures/connection.json` names stands in its place. The configured start lies a few days before `now`.
    ///
    /// # Errors
    /// The file is not readable, or holds something else.
    pub fn of(dir: &Path, manifest: &Manifest, profile: &Profile, now: Timestamp) -> Result<Self, String> {
        let specification = manifest.specification();
        let properties = specification.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let required: Vec<&str> = specification
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (mut config, mut secrets) = (Map::new(), Map::new());
        for (name, property) in &properties {
            let secret = property.get("airbyte_secret") == Some(&Value::Bool(true))
                || manifest.credential_option() == Some(name.as_str());
            if secret {
                secrets.insert(name.clone(), json!(example(property).unwrap_or(SECRET)));
            } else if profile.start_options.contains(name) {
                config.insert(name.clone(), start(property, now));
            } else if required.contains(&name.as_str()) || property.get("default").is_some() {
                config.insert(name.clone(), made_up(name, property));
            }
        }
        for option in &profile.start_options {
            config.entry(option.clone()).or_insert_with(|| start(&Value::Null, now));
        }
        let file = dir.join("fixtures").join("connection.json");
        if file.is_file() {
            let told = |what: &str| format!("{}: {what}", file.display());
            let text = std::fs::read_to_string(&file).map_err(|_| told("cannot be read"))?;
            let given: Value = serde_json::from_str(&text).map_err(|error| told(&error.to_string()))?;
            let part = |name: &str| given.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            // The start moves with the trial's clock.
            config.extend(part("config").into_iter().filter(|(name, _)| !profile.start_options.contains(name)));
            secrets.extend(part("secret"));
            if let Some(secret) = given.get("secret").and_then(Value::as_str) {
                return Ok(Self { config: Value::Object(config), secret: secret.to_owned() });
            }
        }
        let one = manifest.credential_option().and_then(|name| secrets.get(name)).and_then(Value::as_str);
        let secret = match (secrets.len(), one) {
            (0 | 1, Some(one)) => one.to_owned(),
            (0, None) => SECRET.to_owned(),
            _ => Value::Object(secrets).to_string(),
        };
        Ok(Self { config: Value::Object(config), secret })
    }

    /// The configuration as templates see it: with the secret in it.
    pub fn whole(&self, manifest: &Manifest) -> Value {
        let mut whole = self.config.clone();
        if let Some(fields) = whole.as_object_mut() {
            match serde_json::from_str::<Map<String, Value>>(&self.secret) {
                Ok(parts) => fields.extend(parts),
                Err(_) => {
                    if let Some(name) = manifest.credential_option() {
                        fields.insert(name.to_owned(), json!(self.secret));
                    }
                }
            }
        }
        whole
    }

    /// The texts of which a provider knows whom it talks to.
    pub fn proofs(&self) -> Vec<String> {
        match serde_json::from_str::<Map<String, Value>>(&self.secret) {
            Ok(parts) => parts.values().filter_map(Value::as_str).map(str::to_owned).collect(),
            Err(_) => vec![self.secret.clone()],
        }
    }
}

/// The first example of a secret: it may be of parts, or have to be a number in disguise. A short one is a word that proves nothing.
fn example(property: &Value) -> Option<&str> {
    property.get("examples")?.get(0)?.as_str().filter(|text| text.len() >= SECRET.len() / 2)
}

/// A start in the form that the specification wants.
fn start(property: &Value, now: Timestamp) -> Value {
    let day = now.utc() - chrono::Duration::days(DAYS_BEFORE);
    let likes = [property.get("examples").and_then(|e| e.get(0)), property.get("default"), property.get("examples")];
    let like = likes.into_iter().flatten().find_map(Value::as_str).unwrap_or_default();
    let pattern = property.get("pattern").and_then(Value::as_str).unwrap_or_default();
    let dated = property.get("format").and_then(Value::as_str) == Some("date")
        || like.len() == 10 && like.contains('-')
        || !pattern.is_empty() && !pattern.contains('T');
    if property.get("type").and_then(Value::as_str) == Some("integer") {
        json!(day.timestamp())
    } else if dated {
        json!(day.format("%Y-%m-%d").to_string())
    } else {
        json!(day.format("%Y-%m-%dT00:00:00Z").to_string())
    }
}

/// A value that fits: what the specification itself gives, else one of its type.
fn made_up(name: &str, property: &Value) -> Value {
    let given = [
        property.get("default"),
        property.get("const"),
        property.get("examples").and_then(|examples| examples.get(0)),
        property.get("enum").and_then(|words| words.get(0)),
    ];
    if let Some(given) = given.into_iter().flatten().next() {
        return given.clone();
    }
    match property.get("type").and_then(Value::as_str).unwrap_or("string") {
        "integer" | "number" => property.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(false),
        "array" => {
            let item = property.get("items").map_or(json!("one"), |items| made_up(name, items));
            json!([item])
        }
        "object" => {
            let properties = property.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            Value::Object(properties.iter().map(|(name, inner)| (name.clone(), made_up(name, inner))).collect())
        }
        _ if name.contains("url") => json!("https://provider.example.test"),
        _ if property.get("format").and_then(Value::as_str) == Some("date") => json!("2026-01-01"),
        _ if property.get("format").and_then(Value::as_str) == Some("date-time") => json!("2026-01-01T00:00:00Z"),
        _ => json!("4711"),
    }
}

/// Gives the same secret each time.
pub struct Kept(SecretString);

impl Kept {
    pub fn of(secret: &str) -> Arc<Self> {
        Arc::new(Self(SecretString::from(secret.to_owned())))
    }
}

#[async_trait]
impl CredentialSource for Kept {
    async fn read(&self) -> Result<Option<SecretString>, ConnectorError> {
        Ok(Some(self.0.clone()))
    }
}

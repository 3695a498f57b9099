//! A connection's configuration, as templates see it.
//!
//! Owns the check of required options and the joining of the secret. The secret is joined only for building requests;
//! what reads answers sees the configuration without it.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::connector::{ConnectorError, ErrorKind};

fn settings(message: String) -> ConnectorError {
    ConnectorError::new(ErrorKind::Settings, message)
}

/// Holds a configuration against `connection_specification`. `secret_option` may be missing: the credential brings it.
///
/// # Errors
/// [`ErrorKind::Settings`], naming each option that is missing or of another kind.
pub(super) fn check(specification: &Value, secret_option: Option<&str>, config: &Value) -> Result<(), ConnectorError> {
    let Some(options) = config.as_object() else {
        return Err(settings("the connection's config is not a map of options".to_owned()));
    };
    let properties = specification.get("properties").and_then(Value::as_object);
    let property = |name: &str| properties.and_then(|properties| properties.get(name));
    let secret = |name: &str| {
        Some(name) == secret_option
            || property(name).is_some_and(|p| p.get("airbyte_secret") == Some(&Value::Bool(true)))
    };
    let required =
        specification.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<_> = required.filter(|name| !secret(name) && !options.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(settings(format!("the connection's config lacks: {}", missing.join(", "))));
    }
    if let Some((name, _)) = options.iter().find(|(name, _)| secret(name)) {
        return Err(settings(format!("'{name}' is a secret and must not stand in config; give it as the credential")));
    }
    let wrong: Vec<_> = options
        .iter()
        .filter_map(|(name, value)| {
            let wanted = property(name)?.get("type")?.as_str()?;
            let fits = match wanted {
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                _ => true,
            };
            (!fits && !value.is_null()).then(|| format!("'{name}' must be of type {wanted}"))
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(settings(format!("the connection's config: {}", wrong.join(", ")))) }
}

/// Holds a configuration that brings its own secrets against what the manifest requires.
///
/// # Errors
/// [`ErrorKind::Settings`], naming each option that is missing.
pub(super) fn check_required(specification: &Value, config: &Value) -> Result<(), ConnectorError> {
    let Some(options) = config.as_object() else {
        return Err(settings("the config is not a map of options".to_owned()));
    };
    let required = specification.get("required").and_then(Value::as_array).into_iter().flatten();
    let missing: Vec<_> = required.filter_map(Value::as_str).filter(|name| !options.contains_key(*name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(settings(format!("the config lacks: {}", missing.join(", ")))) }
}

/// The configuration with the secret: the parts of a JSON object are merged, a plain text becomes `secret_option`.
///
/// # Errors
/// [`ErrorKind::Settings`] when a plain text has no option to go to.
pub(super) fn with_secret(
    config: &Value,
    secret_option: Option<&str>,
    secret: Option<&SecretString>,
) -> Result<Arc<Value>, ConnectorError> {
    let mut options = config.as_object().cloned().unwrap_or_default();
    if let Some(secret) = secret {
        let text = secret.expose_secret().trim();
        match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(parts) => options.extend(parts),
            Err(_) => {
                let name = secret_option.ok_or_else(|| {
                    settings(
                        "the secret is one text, but the manifest has several secret options; give a JSON object"
                            .to_owned(),
                    )
                })?;
                options.insert(name.to_owned(), Value::String(text.to_owned()));
            }
        }
    }
    Ok(Arc::new(Value::Object(options)))
}

/// Holds the configuration with the secret in it against what the manifest takes from a secret of several parts; tells names, never values.
///
/// # Errors
/// [`ErrorKind::Unauthorized`], naming each part that is missing and those that were given.
pub(super) fn check_parts(
    specification: &Value,
    secret_option: Option<&str>,
    config: &Value,
    secret: Option<&SecretString>,
) -> Result<(), ConnectorError> {
    let property = |name: &str| specification.get("properties").and_then(|properties| properties.get(name));
    let marked = |name: &str| property(name).is_some_and(|p| p.get("airbyte_secret") == Some(&Value::Bool(true)));
    let required = specification.get("required").and_then(Value::as_array).into_iter().flatten();
    let required = required.filter_map(Value::as_str).filter(|name| marked(name));
    let mut missing: Vec<&str> = required.chain(secret_option).filter(|name| config.get(*name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let parts =
        secret.and_then(|secret| serde_json::from_str::<Map<String, Value>>(secret.expose_secret().trim()).ok());
    let Some(parts) = parts else { return Ok(()) };
    missing.sort_unstable();
    missing.dedup();
    let given: Vec<&str> = parts.keys().map(String::as_str).collect();
    let given = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
    let message =
        format!("the credential lacks: {}; the JSON object that is stored names: {given}", missing.join(", "));
    Err(ConnectorError::new(ErrorKind::Unauthorized, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_and_misplaced_options_are_named() {
        let specification = json!({
            "required": ["access_token", "start_date", "shop"],
            "properties": {"access_token": {"type": "string", "airbyte_secret": true}, "pages": {"type": "integer"}}
        });
        let check = |config| check(&specification, Some("access_token"), &config).map_err(|error| error.message);
        assert_eq!(check(json!({"shop": "x", "start_date": "2026-01-01"})), Ok(()));
        assert!(check(json!({})).unwrap_err().ends_with("lacks: start_date, shop"));
        let misplaced = check(json!({"shop": "x", "start_date": "y", "access_token": "hush"})).unwrap_err();
        assert!(misplaced.contains("access_token") && !misplaced.contains("hush"), "{misplaced}");
        let wrong = check(json!({"shop": "x", "start_date": "y", "pages": "7"})).unwrap_err();
        assert!(wrong.contains("'pages' must be of type integer"), "{wrong}");
        assert!(check(json!([])).is_err());
    }

    #[test]
    fn a_part_of_the_secret_that_is_missing_is_named_beside_those_that_were_given_and_no_value() {
        let secret = |text: &str| Some(SecretString::from(text.to_owned()));
        let marked = json!({"type": "string", "airbyte_secret": true});
        let one = json!({"required": ["api_key"], "properties": {"api_key": marked}});
        let told = |secret: Option<SecretString>| {
            let config = with_secret(&json!({}), Some("api_key"), secret.as_ref()).unwrap();
            check_parts(&one, Some("api_key"), &config, secret.as_ref()).map_err(|error| error.message)
        };
        let wrong = told(secret(r#"{"token": "hush", "user": "u-1"}"#)).unwrap_err();
        assert!(wrong.contains("lacks: api_key;") && wrong.ends_with("names: token, user"), "{wrong}");
        assert!(!wrong.contains("hush") && !wrong.contains("u-1"), "{wrong}");
        assert_eq!(
            [told(secret(r#"{"api_key": "hush"}"#)), told(secret("hush")), told(None)],
            [Ok(()), Ok(()), Ok(())]
        );
        assert!(told(secret("{}")).unwrap_err().ends_with("names: nothing"));

        let several = json!({"required": ["id", "key"], "properties": {"id": marked, "key": marked, "other": marked}});
        let told = |text: &str| {
            let config = with_secret(&json!({}), None, secret(text).as_ref()).unwrap();
            check_parts(&several, None, &config, secret(text).as_ref())
        };
        assert!(told(r#"{"id": "1"}"#).unwrap_err().message.contains("lacks: key;"));
        assert!(told(r#"{"id": "1", "key": "2"}"#).is_ok(), "what is not required may be missing");
    }

    #[test]
    fn a_secret_is_one_option_or_several() {
        let config = json!({"a": 1});
        let secret = |text: &str| SecretString::from(text.to_owned());
        let joined = with_secret(&config, Some("token"), Some(&secret("abc\n"))).unwrap();
        assert_eq!(*joined, json!({"a": 1, "token": "abc"}));
        let joined = with_secret(&config, None, Some(&secret(r#"{"user":"u","key":"k"}"#))).unwrap();
        assert_eq!(*joined, json!({"a": 1, "user": "u", "key": "k"}));
        assert!(with_secret(&config, None, Some(&secret("abc"))).is_err());
        assert_eq!(*with_secret(&config, None, None).unwrap(), config);
    }
}

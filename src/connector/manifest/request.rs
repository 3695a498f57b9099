//! Putting a request together.
//!
//! Owns the order and the rules: options of the slice, the paginator, the requester and the authenticator are laid
//! together; two of them giving the same name is an error, because which one would win is nobody's intention. What
//! renders to nothing (`None`) is not sent. Refuses to send anything.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use url::Url;

use super::{
    literal,
    plan::{Auth, BodyPlan, CursorPlan, Inject, Nested, Paginator, RequestOption, RequestPlan, TokenOption, UrlPlan},
    python,
    template::{Engine, Scope, Template},
};
use crate::{
    connector::{
        ConnectorError, ErrorKind,
        http::{Body, Call, Method},
    },
    telemetry::redact::REMOVED,
};

/// What varies from page to page.
pub(super) struct PageFacts<'a> {
    /// The slice's bounds as text, where the stream has a cursor.
    pub bounds: Option<(&'a str, &'a str)>,
    pub token: &'a Value,
    pub size: Option<u64>,
}

/// Parts of a request, gathered.
#[derive(Default)]
struct Parts {
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    json: Map<String, Value>,
    form: Vec<(String, String)>,
}

fn settings(message: String) -> ConnectorError {
    ConnectorError::new(ErrorKind::Settings, message)
}

impl Parts {
    fn pair(to: &mut Vec<(String, String)>, name: String, value: &Value, what: &str) -> Result<(), ConnectorError> {
        if to.iter().any(|(have, _)| *have == name) {
            return Err(settings(format!("the {what} '{name}' is given twice")));
        }
        match value {
            Value::Null => {}
            Value::Array(items) => to.extend(items.iter().map(|item| (name.clone(), python::to_text(item)))),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                to.push((name, python::to_text(value)));
            }
        }
        Ok(())
    }

    fn inject(
        &mut self,
        engine: &Engine,
        option: &RequestOption,
        scope: &Scope,
        value: &Value,
    ) -> Result<(), ConnectorError> {
        let path = option.field.iter().map(|part| engine.text(part, scope)).collect::<Result<Vec<_>, _>>()?;
        let name = path.first().cloned().unwrap_or_default();
        match option.inject {
            Inject::Parameter => Self::pair(&mut self.query, name, value, "parameter"),
            Inject::Header => Self::pair(&mut self.headers, name, value, "header"),
            Inject::BodyData => Self::pair(&mut self.form, name, value, "form field"),
            Inject::BodyJson if value.is_null() => Ok(()),
            Inject::BodyJson => put(&mut self.json, &path, value),
        }
    }
}

fn put(map: &mut Map<String, Value>, path: &[String], value: &Value) -> Result<(), ConnectorError> {
    let Some((name, rest)) = path.split_first() else { return Ok(()) };
    let twice = || settings(format!("the body's field '{name}' is given twice"));
    if rest.is_empty() {
        return match map.insert(name.clone(), value.clone()) {
            Some(had) if had != *value => Err(twice()),
            _ => Ok(()),
        };
    }
    let inner = map.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
    put(inner.as_object_mut().ok_or_else(twice)?, rest, value)
}

/// Makes the request for one page. `scope` holds the configuration with the secret.
///
/// # Errors
/// [`ErrorKind::Settings`] for a template that fails or a name given twice; [`ErrorKind::Policy`] for a next page that
/// leads away from the provider.
pub(super) fn build(
    engine: &Engine,
    plan: &RequestPlan,
    cursor: Option<&CursorPlan>,
    paginator: Option<&Paginator>,
    scope: &Scope,
    page: &PageFacts<'_>,
) -> Result<Call, ConnectorError> {
    let mut parts = Parts::default();
    if let (Some(cursor), Some((start, end))) = (cursor, page.bounds) {
        let options = [(&cursor.start_option, start), (&cursor.end_option, end)];
        for (option, bound) in options.into_iter().filter_map(|(option, bound)| Some((option.as_ref()?, bound))) {
            parts.inject(engine, option, scope, &literal::guess(bound.to_owned()))?;
        }
    }
    let mut next_url = None;
    if let Some(paginator) = paginator {
        if let (Some(option), Some(size)) = (&paginator.size_option, page.size) {
            parts.inject(engine, option, scope, &Value::from(size))?;
        }
        match &paginator.token_option {
            Some(TokenOption::Path) => next_url = page.token.as_str(),
            Some(TokenOption::Option(option)) => parts.inject(engine, option, scope, page.token)?,
            None => {}
        }
    }
    for (name, value) in &plan.parameters {
        let (name, value) = (engine.text(name, scope)?, engine.value(value, scope)?);
        Parts::pair(&mut parts.query, name, &value, "parameter")?;
    }
    for (name, value) in &plan.headers {
        let (name, value) = (engine.text(name, scope)?, engine.value(value, scope)?);
        Parts::pair(&mut parts.headers, name, &value, "header")?;
    }
    authenticate(engine, &plan.auth, scope, &mut parts)?;
    let body = body(engine, &plan.body, scope, &mut parts)?;

    let own = address(engine, &plan.url, scope)?;
    let mut url = match next_url {
        None => own,
        Some(next) => {
            let next = own.join(next).map_err(|_| settings("the next page's address cannot be read".to_owned()))?;
            if next.origin() != own.origin() {
                let message = format!(
                    "the next page leads from {} to {}, where the credential does not belong",
                    own.host_str().unwrap_or(""),
                    next.host_str().unwrap_or("")
                );
                return Err(ConnectorError::new(ErrorKind::Policy, message));
            }
            next
        }
    };
    drop_removed(&mut url);
    // A next page's address already holds most of what is added to each request.
    let there: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let fresh: Vec<_> = parts.query.iter().filter(|(name, _)| !there.contains(name)).collect();
    if !fresh.is_empty() {
        url.query_pairs_mut().extend_pairs(fresh);
    }
    let method = if plan.post { Method::Post } else { Method::Get };
    Ok(Call { method, url, headers: parts.headers, body })
}

/// A next page's address may repeat the credential, which the gate has taken out: it is put in anew.
fn drop_removed(url: &mut Url) {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs.iter().any(|(_, value)| value == REMOVED) {
        url.query_pairs_mut().clear().extend_pairs(pairs.iter().filter(|(_, value)| value != REMOVED));
    }
}

fn body(engine: &Engine, plan: &BodyPlan, scope: &Scope, parts: &mut Parts) -> Result<Body, ConnectorError> {
    match plan {
        BodyPlan::None => {}
        BodyPlan::Json(nested) => match render(engine, nested, scope)? {
            Some(Value::Object(fields)) => {
                for (name, value) in fields {
                    put(&mut parts.json, &[name], &value)?;
                }
            }
            Some(other) if parts.json.is_empty() => return Ok(Body::Json(other)),
            Some(_) => {
                return Err(settings("request_body_json gives no object, but fields are to be put into it".to_owned()));
            }
            None => {}
        },
        BodyPlan::Form(fields) => {
            for (name, value) in fields {
                let (name, value) = (engine.text(name, scope)?, engine.value(value, scope)?);
                Parts::pair(&mut parts.form, name, &value, "form field")?;
            }
        }
        BodyPlan::Text(text) => return Ok(Body::Text(engine.text(text, scope)?)),
    }
    match (parts.json.is_empty(), parts.form.is_empty()) {
        (true, true) => Ok(Body::None),
        (false, true) => Ok(Body::Json(Value::Object(std::mem::take(&mut parts.json)))),
        (true, false) => Ok(Body::Form(std::mem::take(&mut parts.form))),
        (false, false) => Err(settings("both a JSON body and form fields are given".to_owned())),
    }
}

/// `None` for what renders to null: a field without a value is not sent.
fn render(engine: &Engine, nested: &Nested, scope: &Scope) -> Result<Option<Value>, ConnectorError> {
    let value = match nested {
        Nested::Leaf(template) => engine.value(template, scope)?,
        Nested::Fixed(value) => value.clone(),
        Nested::List(items) => {
            let items = items.iter().map(|item| Ok(render(engine, item, scope)?.unwrap_or(Value::Null)));
            Value::Array(items.collect::<Result<_, ConnectorError>>()?)
        }
        Nested::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                if let Some(value) = render(engine, value, scope)? {
                    map.insert(engine.text(key, scope)?, value);
                }
            }
            Value::Object(map)
        }
    };
    Ok((!value.is_null()).then_some(value))
}

fn authenticate(engine: &Engine, auth: &Auth, scope: &Scope, parts: &mut Parts) -> Result<(), ConnectorError> {
    // A token is a text as it is: guessing would turn 1e5 into a number.
    let header = |parts: &mut Parts, value: String| {
        Parts::pair(&mut parts.headers, "Authorization".to_owned(), &Value::String(value), "header")
    };
    let token = |template: &Template| -> Result<String, ConnectorError> {
        let token = engine.text(template, scope)?;
        if token.is_empty() {
            return Err(ConnectorError::new(ErrorKind::Unauthorized, "no secret is stored for this connection"));
        }
        Ok(token)
    };
    match auth {
        Auth::None => Ok(()),
        Auth::Bearer(template) => header(parts, format!("Bearer {}", token(template)?)),
        Auth::Key { token: template, option } => parts.inject(engine, option, scope, &Value::String(token(template)?)),
        Auth::Basic { username, password } => {
            let password = password.as_ref().map(|password| engine.text(password, scope)).transpose()?;
            let pair = format!("{}:{}", engine.text(username, scope)?, password.unwrap_or_default());
            header(parts, format!("Basic {}", STANDARD.encode(pair)))
        }
    }
}

/// Adds what the requester's authenticator adds to a request of its own.
///
/// # Errors
/// [`ErrorKind::Settings`], [`ErrorKind::Unauthorized`] when there is no secret.
pub(super) fn authenticated(
    engine: &Engine,
    plan: &RequestPlan,
    scope: &Scope,
    mut call: Call,
) -> Result<Call, ConnectorError> {
    let mut parts = Parts::default();
    authenticate(engine, &plan.auth, scope, &mut parts)?;
    call.headers.extend(parts.headers);
    if !parts.query.is_empty() {
        call.url.query_pairs_mut().extend_pairs(parts.query);
    }
    Ok(call)
}

/// The address without what varies: base and path, or the whole.
///
/// # Errors
/// [`ErrorKind::Settings`] when it is no address.
pub(super) fn address(engine: &Engine, plan: &UrlPlan, scope: &Scope) -> Result<Url, ConnectorError> {
    let text = match plan {
        UrlPlan::Whole(url) => engine.text(url, scope)?,
        UrlPlan::Joined { base, path } => {
            let path = path.as_ref().map(|path| engine.text(path, scope)).transpose()?;
            join(&engine.text(base, scope)?, &path.unwrap_or_default())
        }
    };
    let source = match plan {
        UrlPlan::Whole(url) => url.source(),
        UrlPlan::Joined { base, .. } => base.source(),
    };
    Url::parse(text.trim())
        .map_err(|_| settings(format!("'{source}' gives no address such as https://api.example.com/")))
}

/// A path belongs below the base, also when it begins with a slash; a whole address replaces it.
pub(super) fn join(base: &str, path: &str) -> String {
    if path.starts_with("https://") || path.starts_with("http://") {
        return path.to_owned();
    }
    if path.is_empty() {
        return base.to_owned();
    }
    format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_to_the_base_and_whole_addresses_replace_it() {
        for (base, path, whole) in [
            ("https://x.example/v1", "things", "https://x.example/v1/things"),
            ("https://x.example/v1/", "/things", "https://x.example/v1/things"),
            ("https://x.example/v1/", "", "https://x.example/v1/"),
            ("https://x.example/v1", "https://y.example/z", "https://y.example/z"),
            ("https://x.example/v1/", "a?b=c", "https://x.example/v1/a?b=c"),
        ] {
            assert_eq!(join(base, path), whole);
        }
    }
}

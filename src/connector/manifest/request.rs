//! Putting a request together.
//!
//! Owns the order and the rules: options of the slice, the paginator, the requester and the authenticator are laid
//! together; two of them giving the same name is an error, because which one would win is nobody's intention. What
//! renders to nothing (`None`) is not sent. Refuses to send anything.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, map::Entry};

use super::{
    address::{address, drop_removed},
    auth::{self, Auth, Placed},
    engine::{Engine, Scope, Template},
    paginate,
    partition::{Partition, Router},
    plan::{CursorPlan, Inject, Paginator, RequestOption, RequestPlan, TokenOption},
    python, request_body,
};
use crate::{
    connector::{
        ConnectorError, ErrorKind,
        http::{Body, Call, Method},
    },
    domain::clock::Timestamp,
};

/// What varies from page to page.
pub(super) struct PageFacts<'a> {
    /// The slice's bounds, where the stream has a cursor.
    pub bounds: Option<(&'a Value, &'a Value)>,
    /// The fields that are asked for, where the requester names them.
    pub properties: Option<&'a [String]>,
    pub token: &'a Value,
    pub size: Option<u64>,
    /// The partition, and what says where its values go.
    pub partition: Option<(&'a Router, &'a Partition)>,
    pub proof: Proof<'a>,
    /// A next page may lie anywhere.
    pub any_origin: bool,
}

/// Parts of a request, gathered.
#[derive(Default)]
pub(super) struct Parts {
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub json: Map<String, Value>,
    pub form: Vec<(String, String)>,
}

pub(super) fn settings(message: String) -> ConnectorError {
    ConnectorError::new(ErrorKind::Settings, message)
}

impl Parts {
    /// Adds what one name gives: a list is the name several times, nothing is nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when the name is there already.
    pub fn pair(to: &mut Vec<(String, String)>, name: String, value: &Value, what: &str) -> Result<(), ConnectorError> {
        if to.iter().any(|(have, _)| *have == name) {
            return Err(settings(format!("the {what} '{name}' is given twice")));
        }
        match value {
            Value::Null => {}
            Value::Array(items) => to.extend(items.iter().map(|item| (name.clone(), python::to_text(item)))),
            Value::Object(_) if what == "parameter" => {
                return Err(settings(format!("the parameter '{name}' is an object, which cannot be sent")));
            }
            // A form takes an object for the list of its keys.
            Value::Object(fields) if what == "form field" => {
                to.extend(fields.keys().map(|key| (name.clone(), key.clone())));
            }
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

impl Parts {
    /// What was gathered, as one body.
    fn body(&mut self) -> Result<Body, ConnectorError> {
        match (self.json.is_empty(), self.form.is_empty()) {
            (true, true) => Ok(Body::None),
            (false, true) => Ok(Body::Json(Value::Object(std::mem::take(&mut self.json)))),
            (true, false) => Ok(Body::Form(std::mem::take(&mut self.form))),
            (false, false) => Err(settings("both a JSON body and form fields are given".to_owned())),
        }
    }

    /// Puts a partition's values where its router wants them.
    fn partition(
        &mut self,
        engine: &Engine,
        router: &Router,
        scope: &Scope,
        partition: &Partition,
    ) -> Result<(), ConnectorError> {
        let mut place = |field: &Template, option: Option<&RequestOption>| -> Result<(), ConnectorError> {
            let Some(option) = option else { return Ok(()) };
            let value = partition.fields.get(&engine.text(field, scope)?).filter(|value| paginate::is_filled(value));
            value.map_or(Ok(()), |value| self.inject(engine, option, scope, value))
        };
        match router {
            Router::List { field, option, .. } => place(field, option.as_ref()),
            Router::Parents(parents) => {
                parents.iter().try_for_each(|parent| place(&parent.field, parent.option.as_ref()))
            }
            Router::Product(routers) => {
                routers.iter().try_for_each(|router| self.partition(engine, router, scope, partition))
            }
            // Groups and unions send nothing by themselves: their requests name the values.
            Router::Groups { .. } | Router::Union { .. } => Ok(()),
        }
    }
}

/// Puts a value at a path into an object, making the objects on the way.
///
/// # Errors
/// [`ErrorKind::Settings`] when another value stands there.
pub(super) fn put(map: &mut Map<String, Value>, path: &[String], value: &Value) -> Result<(), ConnectorError> {
    let Some((name, rest)) = path.split_first() else { return Ok(()) };
    let twice = || settings(format!("the body's field '{name}' is given twice"));
    if rest.is_empty() {
        // Two objects of one name are laid together; a value that is given twice must be the same.
        if let (Some(Value::Object(have)), Value::Object(more)) = (map.get_mut(name), value) {
            return more.iter().try_for_each(|(key, value)| put(have, std::slice::from_ref(key), value));
        }
        return match map.entry(name.clone()) {
            Entry::Occupied(had) if had.get() != value => Err(twice()),
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(place) => {
                place.insert(value.clone());
                Ok(())
            }
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
    request_body::parameters(engine, &plan.parameters, scope, &mut parts)?;
    if let (Some(name), Some(asked)) = (plan.properties.as_ref().and_then(|plan| plan.key.as_ref()), page.properties) {
        parts.query.retain(|(have, _)| have != name);
        parts.query.push((name.clone(), asked.join(",")));
    }
    request_body::headers(engine, &plan.headers, scope, &mut parts)?;
    let whole = request_body::own_body(engine, &plan.body, scope, &mut parts)?;
    authenticate(engine, &plan.auth, scope, page.proof, &mut parts)?;
    let mut next_url = None;
    if let Some(paginator) = paginator {
        match &paginator.token_option {
            Some(TokenOption::Path) => next_url = page.token.as_str(),
            Some(TokenOption::Option(option)) => parts.inject(engine, option, scope, page.token)?,
            None => {}
        }
        if let (Some(option), Some(size)) = (&paginator.size_option, page.size) {
            parts.inject(engine, option, scope, &Value::from(size))?;
        }
    }
    if let Some((router, partition)) = page.partition {
        parts.partition(engine, router, scope, partition)?;
    }
    if let (Some(cursor), Some((start, end))) = (cursor, page.bounds) {
        let options = [(&cursor.start_option, start), (&cursor.end_option, end)];
        for (option, bound) in options.into_iter().filter_map(|(option, bound)| Some((option.as_ref()?, bound))) {
            parts.inject(engine, option, scope, bound)?;
        }
    }
    let body = match whole {
        Some(_) if !parts.json.is_empty() || !parts.form.is_empty() => {
            return Err(settings("the body is one text, and fields are to be put into it".to_owned()));
        }
        Some(body) => body,
        None => parts.body()?,
    };

    let own = address(engine, &plan.url, scope)?;
    let mut url = match next_url {
        None => own,
        Some(next) => {
            let next = own.join(next).map_err(|_| settings("the next page's address cannot be read".to_owned()))?;
            if next.origin() != own.origin() && !page.any_origin {
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
    let there: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let is_there = |name: &String, value: &String| match there.iter().find(|(have, _)| have == name) {
        // The format's own reader sends what differs beside what is there.
        Some((_, have)) => !page.any_origin || have == value,
        None => false,
    };
    let fresh: Vec<_> = parts.query.iter().filter(|(name, value)| !is_there(name, value)).collect();
    if !fresh.is_empty() {
        url.query_pairs_mut().extend_pairs(fresh);
    }
    let method = if plan.post { Method::Post } else { Method::Get };
    Ok(Call { method, url, headers: parts.headers, body })
}

/// What an authenticator needs besides the scope.
#[derive(Clone, Copy)]
pub(super) struct Proof<'a> {
    /// With the secret.
    pub config: &'a Value,
    /// The token that was fetched for this authenticator, where it needs one.
    pub session: Option<&'a SecretString>,
    pub now: Timestamp,
    /// Whether a secret that the configuration lacks is asked without, as the reference does; the provider says what it thinks.
    pub may_lack: bool,
}

fn authenticate(
    engine: &Engine,
    auth: &Auth,
    scope: &Scope,
    proof: Proof<'_>,
    parts: &mut Parts,
) -> Result<(), ConnectorError> {
    // A token is a text as it is: guessing would turn 1e5 into a number.
    let header = |parts: &mut Parts, value: String| {
        Parts::pair(&mut parts.headers, "Authorization".to_owned(), &Value::String(value), "header")
    };
    let missing = || ConnectorError::new(ErrorKind::Unauthorized, "no secret is stored for this connection");
    let token = |template: &Template| -> Result<String, ConnectorError> {
        let token = engine.text(template, scope)?;
        if token.is_empty() && !proof.may_lack { Err(missing()) } else { Ok(token) }
    };
    let session = || proof.session.map(|token| token.expose_secret()).ok_or_else(missing);
    match auth::chosen(auth, engine, scope, proof.config)? {
        Auth::None | Auth::Chosen { .. } => Ok(()),
        Auth::Bearer(template) => header(parts, format!("Bearer {}", token(template)?)),
        Auth::Key { token: template, option } => parts.inject(engine, option, scope, &Value::String(token(template)?)),
        Auth::Basic { username, password } => {
            let password = password.as_ref().map(|password| engine.text(password, scope)).transpose()?;
            let pair = format!("{}:{}", engine.text(username, scope)?, password.unwrap_or_default());
            header(parts, format!("Basic {}", STANDARD.encode(pair)))
        }
        Auth::Granted(oauth) => {
            let token = match (&oauth.endpoint, &oauth.access_token_value) {
                (None, Some(value)) => token(value)?,
                _ => session()?.to_owned(),
            };
            header(parts, format!("Bearer {token}"))
        }
        Auth::Session(plan) => match &plan.placed {
            Placed::Bearer => header(parts, format!("Bearer {}", session()?)),
            Placed::Option { token, option } => {
                let given = Value::String(session()?.to_owned());
                let value = match token {
                    None => given,
                    Some(token) => {
                        let scope = scope.clone().with("session_token", &std::sync::Arc::new(given));
                        Value::String(engine.text(token, &scope)?)
                    }
                };
                parts.inject(engine, option, scope, &value)
            }
        },
        Auth::LegacySession(plan) => {
            let name = engine.text(&plan.header, scope)?;
            Parts::pair(&mut parts.headers, name, &Value::String(session()?.to_owned()), "header")
        }
        Auth::Jwt(jwt) => {
            let token = jwt.token(engine, scope, proof.now)?.expose_secret().to_owned();
            match &jwt.option {
                None => header(parts, token),
                Some(option) => parts.inject(engine, option, scope, &Value::String(token)),
            }
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
    proof: Proof<'_>,
    mut call: Call,
) -> Result<Call, ConnectorError> {
    let mut parts = Parts::default();
    authenticate(engine, &plan.auth, scope, proof, &mut parts)?;
    call.headers.extend(parts.headers);
    if !parts.query.is_empty() {
        call.url.query_pairs_mut().extend_pairs(parts.query);
    }
    Ok(call)
}

//! Tokens that have to be fetched before a request: by a login, or from a token service.
//!
//! Owns the tokens in memory, one for each authenticator, and when a new one is due. Two requests that need one at the same moment
//! fetch it once. Refuses to store: what a provider rotates is the vault's, by `refresh_policy: oauth2`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use super::{Auth, LegacySession, OAuth, Session};
use crate::{
    connector::{
        ConnectorError, ErrorKind, TrafficMeter,
        http::{Body, Call, Fetch, Method},
        manifest::{
            ManifestConnector,
            engine::{Scope, Template},
            errors::ManifestJudge,
            python,
            request::{self, PageFacts, Proof},
        },
    },
    domain::clock::Timestamp,
};

/// A token is renewed so long before its end.
const EARLY: Duration = Duration::from_secs(30);
/// How long a token is good that does not say so.
const UNSAID: Duration = Duration::from_secs(3600);
/// How deep a token may lie in an answer.
const DEPTH: usize = 5;

/// A token and how long it is good; `None`: as long as it is not refused.
struct Held {
    token: SecretString,
    until: Option<Timestamp>,
}

/// The tokens of one connection.
#[derive(Default)]
pub(in crate::connector::manifest) struct Tokens(Mutex<HashMap<String, Held>>);

/// What a token is fetched with.
pub(in crate::connector::manifest) struct Asking<'a> {
    pub connector: &'a ManifestConnector,
    /// With the secret in the configuration.
    pub scope: &'a Scope,
    pub config: &'a Value,
    pub traffic: &'a Arc<TrafficMeter>,
    /// The token that was refused just now, if one was: it is not given again.
    pub refused: Option<&'a SecretString>,
}

impl Tokens {
    /// The token for an authenticator; `None` for those that need none fetched.
    ///
    /// # Errors
    /// Those of a request, and [`ErrorKind::Unauthorized`] when the provider gives no token.
    pub async fn of(&self, auth: &Auth, asking: &Asking<'_>) -> Result<Option<SecretString>, ConnectorError> {
        let auth = super::chosen(auth, &asking.connector.loaded.engine, asking.scope, asking.config)?;
        let key = match auth {
            Auth::Granted(oauth) => match &oauth.endpoint {
                Some(endpoint) => asking.text(endpoint)?,
                None => return Ok(None),
            },
            Auth::Session(session) => session.login.name(),
            Auth::LegacySession(session) => asking.text(&session.login_url)?,
            Auth::None
            | Auth::Bearer(_)
            | Auth::Key { .. }
            | Auth::Basic { .. }
            | Auth::Jwt(_)
            | Auth::Chosen { .. } => {
                return Ok(None);
            }
        };
        let now = asking.connector.gate.clock().now();
        // Held while asking: whoever comes meanwhile takes the same token.
        let mut tokens = self.0.lock().await;
        if let Some(held) = tokens.get(&key)
            && held.until.is_none_or(|until| now < until)
            && asking.refused.is_none_or(|refused| refused.expose_secret() != held.token.expose_secret())
        {
            return Ok(Some(held.token.clone()));
        }
        let fresh = match auth {
            Auth::Granted(oauth) => asking.grant(oauth, now).await?,
            Auth::Session(session) => asking.login(session, now).await?,
            Auth::LegacySession(session) => asking.legacy(session).await?,
            Auth::None
            | Auth::Bearer(_)
            | Auth::Key { .. }
            | Auth::Basic { .. }
            | Auth::Jwt(_)
            | Auth::Chosen { .. } => {
                return Ok(None);
            }
        };
        let token = fresh.token.clone();
        tokens.insert(key, fresh);
        Ok(Some(token))
    }
}

impl Asking<'_> {
    fn text(&self, template: &Template) -> Result<String, ConnectorError> {
        self.connector.loaded.engine.text(template, self.scope)
    }

    fn url(&self, text: &str) -> Result<Url, ConnectorError> {
        text.trim().parse().map_err(|_| ConnectorError::new(ErrorKind::Settings, "the token's address cannot be read"))
    }

    fn pairs(&self, pairs: &[(Template, Template)]) -> Result<Vec<(String, String)>, ConnectorError> {
        let pair = |(name, value): &(Template, Template)| Ok((self.text(name)?, self.text(value)?));
        pairs.iter().map(pair).collect()
    }

    async fn grant(&self, oauth: &OAuth, now: Timestamp) -> Result<Held, ConnectorError> {
        let Some(endpoint) = &oauth.endpoint else { return Err(no_token("the configuration holds no access token")) };
        let engine = &self.connector.loaded.engine;
        // A token of the configuration is used until it ends.
        let known = oauth.access_token_value.as_ref().map(|value| self.text(value)).transpose()?;
        let until = oauth.known_until.as_ref().map(|until| self.text(until)).transpose()?;
        let until = until.and_then(|text| text.parse::<Timestamp>().ok());
        if let (Some(token), Some(until)) = (known.filter(|token| !token.is_empty()), until)
            && now < until
            && self.refused.is_none()
        {
            return Ok(Held { token: SecretString::from(token), until: Some(until) });
        }
        let headers = self.pairs(&oauth.headers)?;
        let mut fields: Vec<(String, String)> = Vec::new();
        let grant = (self.text(&oauth.grant_type.0)?, self.text(&oauth.grant_type.1)?);
        if let Some(jwt) = &oauth.assertion {
            fields.push(grant);
            fields.push(("assertion".to_owned(), jwt.sign(engine, self.scope, now)?.expose_secret().to_owned()));
        } else {
            fields.push(grant);
            if !headers.iter().any(|(name, _)| name == "Authorization") {
                for (name, value) in [&oauth.client_id, &oauth.client_secret] {
                    if let Some(value) = value {
                        fields.push((self.text(name)?, self.text(value)?));
                    }
                }
            }
            if let Some(value) = &oauth.refresh_token.1 {
                fields.push((self.text(&oauth.refresh_token.0)?, self.text(value)?));
            }
            fields.extend(oauth.scopes.iter().map(|scope| ("scopes".to_owned(), scope.clone())));
            for (name, value) in self.pairs(&oauth.body)? {
                if !fields.iter().any(|(have, _)| *have == name) {
                    fields.push((name, value));
                }
            }
        }
        let mut url = self.url(&self.text(endpoint)?)?;
        let body = if oauth.in_query {
            url.query_pairs_mut().extend_pairs(&fields);
            Body::None
        } else {
            Body::Form(fields)
        };
        let answer = self.ask(&Call { method: Method::Post, url, headers, body }).await?;
        let name = self.text(&oauth.access_token)?;
        let token = find(&answer, &name, 0).and_then(Value::as_str).filter(|token| !token.is_empty());
        let Some(token) = token else { return Err(no_token("the token service gave no access token")) };
        let ends = find(&answer, &self.text(&oauth.expires_in)?, 0);
        let until = match ends {
            Some(ends) if oauth.expires_at => python::to_text(ends).parse::<Timestamp>().ok(),
            Some(ends) => seconds(ends).map(|good| now.plus(good.saturating_sub(EARLY))),
            None => Some(now.plus(UNSAID)),
        };
        if let Some(updates) = &oauth.updates {
            self.connector.renewed(updates, token, find(&answer, &updates.refresh_token_name, 0), until);
        }
        Ok(Held { token: SecretString::from(token.to_owned()), until })
    }

    async fn login(&self, session: &Session, now: Timestamp) -> Result<Held, ConnectorError> {
        let engine = &self.connector.loaded.engine;
        let proof = Proof { config: self.config, session: None, now, may_lack: false };
        let facts = PageFacts {
            bounds: None,
            properties: None,
            token: &Value::Null,
            size: None,
            partition: None,
            proof,
            any_origin: false,
        };
        let call = request::build(engine, &session.login, None, None, self.scope, &facts)?;
        let judge = ManifestJudge {
            engine,
            plan: &session.login.errors,
            scope: self.scope,
            waits: self.connector.waits(),
            budget: self.connector.budget.as_deref(),
        };
        let answer = self.send(&call, Some(&judge)).await?;
        let path = session.path.iter().map(|part| self.text(part)).collect::<Result<Vec<_>, _>>()?;
        let found = path.iter().try_fold(&answer, |at, part| match at {
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => at.get(part),
        });
        let Some(token) = found.filter(|found| !found.is_null()).map(python::to_text) else {
            return Err(no_token("the login gave no token"));
        };
        let until = session.good_for.as_ref().map(|good| good.after(now));
        Ok(Held { token: SecretString::from(token), until })
    }

    async fn legacy(&self, session: &LegacySession) -> Result<Held, ConnectorError> {
        let base = self.text(&session.base)?;
        let given = session.token.as_ref().map(|token| self.text(token)).transpose()?.filter(|token| !token.is_empty());
        if let Some(token) = given.filter(|_| self.refused.is_none()) {
            let url = self.url(&format!("{base}{}", self.text(&session.validate_url)?))?;
            let headers = vec![(self.text(&session.header)?, token.clone())];
            match self.ask(&Call { method: Method::Get, url, headers, body: Body::None }).await {
                Ok(_) => return Ok(Held { token: SecretString::from(token), until: None }),
                Err(error) if error.kind == ErrorKind::Unauthorized => {}
                Err(error) => return Err(error),
            }
        }
        let text = |template: &Option<Template>| template.as_ref().map(|template| self.text(template)).transpose();
        let (username, password) =
            (text(&session.username)?.unwrap_or_default(), text(&session.password)?.unwrap_or_default());
        if username.is_empty() || password.is_empty() {
            return Err(no_token("the session's token is refused, and there is no user name with a password"));
        }
        let url = self.url(&format!("{base}{}", self.text(&session.login_url)?))?;
        let body = Map::from_iter([
            ("username".to_owned(), Value::String(username)),
            ("password".to_owned(), Value::String(password)),
        ]);
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        let answer =
            self.ask(&Call { method: Method::Post, url, headers, body: Body::Json(Value::Object(body)) }).await?;
        let token = answer.get(self.text(&session.response_key)?).map(python::to_text);
        let token = token.ok_or_else(|| no_token("the login gave no token"))?;
        Ok(Held { token: SecretString::from(token), until: None })
    }

    async fn ask(&self, call: &Call) -> Result<Value, ConnectorError> {
        self.send(call, None).await
    }

    /// Logins and grants have an effect, but only one of their own: a second one is as good as the first.
    async fn send(&self, call: &Call, judge: Option<&ManifestJudge<'_>>) -> Result<Value, ConnectorError> {
        let connector = self.connector;
        let fetch = Fetch {
            limit: &connector.limit,
            hosts: &connector.hosts,
            credential: connector.credential.as_ref(),
            traffic: self.traffic,
            call: &|_| connector.spelt(call.clone()),
            safe_to_repeat: true,
            max_retries: None,
            judge: judge.map(|judge| judge as &dyn crate::connector::http::Judge),
            spool: None,
        };
        match connector.gate.fetch(&fetch).await {
            Ok(answer) => answer.json(),
            // Whoever asks for a token and is refused is not authorised, whatever the word.
            Err(error) if matches!(error.kind, ErrorKind::Rejected | ErrorKind::Forbidden) => {
                Err(ConnectorError { kind: ErrorKind::Unauthorized, ..error })
            }
            Err(error) => Err(error),
        }
    }
}

fn no_token(message: &str) -> ConnectorError {
    ConnectorError::new(ErrorKind::Unauthorized, message)
}

/// The value of that name, however deep it lies.
fn find<'v>(value: &'v Value, name: &str, depth: usize) -> Option<&'v Value> {
    if depth > DEPTH {
        return None;
    }
    match value {
        Value::Object(fields) => {
            fields.get(name).or_else(|| fields.values().find_map(|inner| find(inner, name, depth + 1)))
        }
        Value::Array(items) => items.iter().find_map(|inner| find(inner, name, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    let seconds: f64 = python::to_text(value).trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e9).floor()))
}

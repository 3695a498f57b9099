//! Authenticators: what proves to a provider who asks.
//!
//! Owns their plans and how a token gets into a request. Tokens that have to be fetched first (a login, an OAuth grant) are `tokens`',
//! those that are signed here are `jwt`'s. Secrets come in with the configuration, are rendered when a request is made, and are kept
//! nowhere but in memory.

pub(super) mod jwt;
pub(super) mod tokens;

use serde_json::Value;

use super::{
    engine::{Engine, Scope, Template},
    plan::{RequestOption, RequestPlan},
    python,
};
use crate::connector::{ConnectorError, ErrorKind};

pub(super) enum Auth {
    None,
    Bearer(Template),
    Key {
        token: Template,
        option: RequestOption,
    },
    Basic {
        username: Template,
        password: Option<Template>,
    },
    Granted(Box<OAuth>),
    Session(Box<Session>),
    LegacySession(Box<LegacySession>),
    Jwt(Box<jwt::Jwt>),
    /// One of several, chosen by an option of the connection.
    Chosen {
        path: Vec<Template>,
        among: Vec<(String, Auth)>,
    },
}

/// A token from a token service, renewed by what the configuration holds.
pub(super) struct OAuth {
    /// `None`: the access token stands in the configuration.
    pub endpoint: Option<Template>,
    pub client_id: (Template, Option<Template>),
    pub client_secret: (Template, Option<Template>),
    pub refresh_token: (Template, Option<Template>),
    pub grant_type: (Template, Template),
    pub access_token: Template,
    pub access_token_value: Option<Template>,
    pub expires_in: Template,
    /// `expires_in` is a moment instead of seconds.
    pub expires_at: bool,
    pub scopes: Vec<String>,
    pub body: Vec<(Template, Template)>,
    pub headers: Vec<(Template, Template)>,
    pub in_query: bool,
    pub known_until: Option<Template>,
    /// The grant is made by a signed assertion.
    pub assertion: Option<jwt::Jwt>,
    /// Where the new tokens belong in the configuration; a refresh token that is used once.
    pub updates: Option<Updates>,
}

/// Paths of the configuration that a renewal changes.
pub(super) struct Updates {
    pub refresh_token_name: String,
    pub access_token: Vec<String>,
    pub refresh_token: Vec<String>,
    pub expiry: Vec<String>,
}

/// A token that a login gives.
pub(super) struct Session {
    pub login: RequestPlan,
    pub path: Vec<Template>,
    /// ISO 8601; without it the token is good for the run.
    pub good_for: Option<super::duration::Duration>,
    pub placed: Placed,
}

/// Where a session's token goes.
pub(super) enum Placed {
    Bearer,
    /// `token` is a template over `session_token`.
    Option {
        token: Option<Template>,
        option: RequestOption,
    },
}

/// A session in the format's older form: a token of the configuration, else one from a login by name and password.
pub(super) struct LegacySession {
    /// The requester's base, below which the addresses lie.
    pub base: Template,
    pub header: Template,
    pub login_url: Template,
    pub validate_url: Template,
    pub token: Option<Template>,
    pub response_key: Template,
    pub username: Option<Template>,
    pub password: Option<Template>,
}

impl Auth {
    /// Whether a token may have to be fetched before a request.
    pub fn fetches(&self) -> bool {
        match self {
            Self::None | Self::Bearer(_) | Self::Key { .. } | Self::Basic { .. } | Self::Jwt(_) => false,
            Self::Granted(_) | Self::Session(_) | Self::LegacySession(_) => true,
            Self::Chosen { among, .. } => among.iter().any(|(_, auth)| auth.fetches()),
        }
    }

    /// The word for lists.
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer(_) => "bearer_token",
            Self::Key { .. } => "api_key",
            Self::Basic { .. } => "basic",
            Self::Granted(_) => "oauth2",
            Self::Session(_) | Self::LegacySession(_) => "session_token",
            Self::Jwt(_) => "jwt",
            Self::Chosen { among, .. } => among.first().map_or("none", |(_, first)| first.word()),
        }
    }
}

/// The authenticator that the configuration chooses.
///
/// # Errors
/// [`ErrorKind::Settings`] when it names none.
pub(super) fn chosen<'a>(
    auth: &'a Auth,
    engine: &Engine,
    scope: &Scope,
    config: &Value,
) -> Result<&'a Auth, ConnectorError> {
    let mut auth = auth;
    while let Auth::Chosen { path, among } = auth {
        let path = path.iter().map(|part| engine.text(part, scope)).collect::<Result<Vec<_>, _>>()?;
        let word = path.iter().try_fold(config, |at, part| at.get(part)).map(python::to_text);
        let found = word.as_ref().and_then(|word| among.iter().find(|(name, _)| name == word));
        auth = match found {
            Some((_, auth)) => auth,
            None => {
                let names: Vec<_> = among.iter().map(|(name, _)| name.as_str()).collect();
                let what = format!("the option '{}' must be one of: {}", path.join("."), names.join(", "));
                return Err(ConnectorError::new(ErrorKind::Settings, what));
            }
        };
    }
    Ok(auth)
}

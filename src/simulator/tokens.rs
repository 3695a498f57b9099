//! The provider's token service: refresh tokens that are void the moment they are used, and a family that dies with a reuse.
//!
//! Owns simulated clients and what was issued to them. It is as strict as the strictest real one, so that two refreshes where one
//! was due cannot go unseen. Every token is synthetic and says so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Shared, locked};

/// Where tokens are asked for.
pub const TOKEN_PATH: &str = "/oauth/token";

/// A client of the provider, and the one grant it has.
#[derive(Debug, Clone)]
struct Client {
    secret: String,
    portal_id: String,
    lifetime: Duration,
    /// Each pair has a number; only the newest is good.
    issued: u64,
    /// No pair is good any more, until a person authorises anew.
    revoked: bool,
    /// The former refresh token still answers, with the pair that replaced it.
    grace: bool,
    /// A refresh token that comes a second time ends the grant.
    reuse_ends_it: bool,
    refused: u64,
    /// Code, challenge and redirect address of an authorisation that was said yes to.
    code: Option<(String, String, String)>,
}

impl Client {
    fn pair(&self, id: &str) -> (String, String) {
        (format!("sim-access-{id}-{:06}", self.issued), format!("sim-refresh-{id}-{:06}", self.issued))
    }

    fn former_refresh(&self, id: &str) -> String {
        format!("sim-refresh-{id}-{:06}", self.issued.saturating_sub(1))
    }
}

/// All clients of one simulator.
#[derive(Default)]
pub struct TokenService(Mutex<HashMap<String, Client>>);

impl TokenService {
    /// Makes a client, whose access tokens open the account of `portal_id`; gives its first access and refresh token.
    pub fn client(&self, id: &str, secret: &str, portal_id: &str, lifetime: Duration) -> (String, String) {
        let client = Client {
            secret: secret.to_owned(),
            portal_id: portal_id.to_owned(),
            lifetime,
            issued: 1,
            revoked: false,
            grace: false,
            reuse_ends_it: true,
            refused: 0,
            code: None,
        };
        let pair = client.pair(id);
        locked(&self.0).insert(id.to_owned(), client);
        pair
    }

    /// How many pairs were issued, and how many wishes were refused.
    pub fn counts(&self, id: &str) -> (u64, u64) {
        locked(&self.0).get(id).map_or((0, 0), |client| (client.issued, client.refused))
    }

    /// The pair that is good now; `None` when the grant was revoked.
    pub fn live(&self, id: &str) -> Option<(String, String)> {
        locked(&self.0).get(id).filter(|client| !client.revoked).map(|client| client.pair(id))
    }

    /// Takes the grant back, as a client does in the provider's settings.
    pub fn revoke(&self, id: &str) {
        self.change(id, |client| client.revoked = true);
    }

    /// Whether a refresh token that was used once still answers, with the pair that it was used for.
    pub fn set_grace(&self, id: &str, grace: bool) {
        self.change(id, |client| client.grace = grace);
    }

    /// Whether a refresh token that comes a second time ends the whole grant, as with the strictest providers.
    pub fn set_reuse_ends_it(&self, id: &str, ends: bool) {
        self.change(id, |client| client.reuse_ends_it = ends);
    }

    /// How long the next access tokens live.
    pub fn set_lifetime(&self, id: &str, lifetime: Duration) {
        self.change(id, |client| client.lifetime = lifetime);
    }

    /// What the provider's page does when a person says yes: a code for this challenge and redirect address.
    pub fn say_yes(&self, id: &str, challenge: &str, redirect: &str) -> String {
        let code = format!("sim-code-{id}");
        self.change(id, |client| client.code = Some((code.clone(), challenge.to_owned(), redirect.to_owned())));
        code
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Client)) {
        if let Some(client) = locked(&self.0).get_mut(id) {
            change(client);
        }
    }

    /// Whose account an access token opens.
    pub(super) fn portal_of(&self, access: &str) -> Option<String> {
        let clients = locked(&self.0);
        let found = clients.iter().find(|(id, client)| !client.revoked && client.pair(id).0 == access);
        found.map(|(_, client)| client.portal_id.clone())
    }

    fn answer(&self, fields: &HashMap<String, String>, basic: Option<(String, String)>) -> Response {
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let (id, secret) = basic.unwrap_or_else(|| (field("client_id").to_owned(), field("client_secret").to_owned()));
        let mut clients = locked(&self.0);
        let Some(client) = clients.get_mut(&id).filter(|client| client.secret == secret) else {
            return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"}))).into_response();
        };
        let good = match field("grant_type") {
            "refresh_token" => {
                let (shown, former) = (field("refresh_token"), client.former_refresh(&id));
                if client.grace && !client.revoked && shown == former {
                    return issue(client, &id);
                }
                if shown == former && client.reuse_ends_it {
                    // Used twice: somebody may have stolen it.
                    client.revoked = true;
                }
                !client.revoked && shown == client.pair(&id).1
            }
            "authorization_code" => client.code.take().is_some_and(|(code, challenge, redirect)| {
                let shown = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier")));
                code == field("code") && challenge == shown && redirect == field("redirect_uri")
            }),
            "client_credentials" => true,
            _ => return (StatusCode::BAD_REQUEST, Json(json!({"error": "unsupported_grant_type"}))).into_response(),
        };
        if !good {
            client.refused += 1;
            let said = json!({"error": "invalid_grant", "error_description": format!("{} is not good", field("refresh_token"))});
            return (StatusCode::BAD_REQUEST, Json(said)).into_response();
        }
        client.revoked = false;
        client.issued += 1;
        issue(client, &id)
    }
}

fn issue(client: &Client, id: &str) -> Response {
    let (access, refresh) = client.pair(id);
    let said = json!({
        "access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": client.lifetime.as_secs(),
    });
    Json(said).into_response()
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route(TOKEN_PATH, post(token))
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = url::form_urlencoded::parse(&body).into_owned().collect();
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| STANDARD.decode(value.to_str().ok()?.strip_prefix("Basic ")?).ok())
        .and_then(|pair| String::from_utf8(pair).ok()?.split_once(':').map(|(id, secret)| (id.into(), secret.into())));
    shared.tokens.answer(&fields, basic)
}

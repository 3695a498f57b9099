//! Reading authenticators.

use super::{
    auth::{Auth, LegacySession, OAuth, Placed, Session, Updates, jwt},
    duration::Duration,
    engine::Template,
    load::{fixed_text, names},
    load_fields::templates,
    load_request::{pairs, request_option, requester},
    plan::{Inject, RequestOption},
    reader::Component,
};
use crate::yaml::{Node, NodeValue};

pub(super) const AUTHENTICATORS: [&str; 9] = [
    "NoAuth",
    "BearerAuthenticator",
    "ApiKeyAuthenticator",
    "BasicHttpAuthenticator",
    "OAuthAuthenticator",
    "SessionTokenAuthenticator",
    "LegacySessionTokenAuthenticator",
    "JwtAuthenticator",
    "SelectiveAuthenticator",
];

/// The authenticator of a requester; `base` is the requester's, for those whose addresses lie below it.
pub(super) fn auth(kind: &str, component: &Component<'_>, base: Option<&Template>) -> Option<Auth> {
    let auth = match kind {
        "BearerAuthenticator" => component.template("api_token", true).map(Auth::Bearer),
        "BasicHttpAuthenticator" => {
            let password = component.template("password", false);
            component.template("username", true).map(|username| Auth::Basic { username, password })
        }
        "ApiKeyAuthenticator" => api_key(component),
        "OAuthAuthenticator" => oauth(component).map(|oauth| Auth::Granted(Box::new(oauth))),
        "SessionTokenAuthenticator" => session(component).map(|session| Auth::Session(Box::new(session))),
        "LegacySessionTokenAuthenticator" => {
            legacy(component, base).map(|legacy| Auth::LegacySession(Box::new(legacy)))
        }
        "JwtAuthenticator" => signed(component).map(|jwt| Auth::Jwt(Box::new(jwt))),
        "SelectiveAuthenticator" => chosen(component, base),
        _ => Some(Auth::None),
    };
    component.finish(&[]);
    auth
}

fn api_key(component: &Component<'_>) -> Option<Auth> {
    let token = component.template("api_token", false);
    let header = component.template("header", false).filter(|header| !header.source().is_empty());
    let option = match (header, component.child("inject_into", &["RequestOption"], false)) {
        // Both may stand there in a manifest of the older form; the place of the newer one holds.
        (_, Some((_, option))) => request_option(&option),
        (Some(header), None) => Some(RequestOption { inject: Inject::Header, field: vec![header] }),
        (None, None) => {
            component.refuse("inject_into", "one of 'header' and 'inject_into' is expected", "");
            None
        }
    };
    let token = token.or_else(|| component.constant(""));
    token.zip(option).map(|(token, option)| Auth::Key { token, option })
}

fn chosen(component: &Component<'_>, base: Option<&Template>) -> Option<Auth> {
    let path = templates(component, "authenticator_selection_path");
    if path.is_empty() {
        component.refuse("authenticator_selection_path", "the path of an option of the connection is expected", "");
    }
    let node = component.field("authenticators");
    let Some(NodeValue::Table(entries)) = node.map(|node| &node.value) else {
        component.refuse("authenticators", "a map of words to authenticators is expected", "");
        return None;
    };
    let mut among = Vec::new();
    for (name, node) in entries {
        let path = format!("{}.{name}", component.at("authenticators"));
        if let Some((kind, inner)) = component.open(node, path, &AUTHENTICATORS)
            && let Some(found) = auth(kind, &inner, base)
        {
            among.push((name.clone(), found));
        }
    }
    Some(Auth::Chosen { path, among })
}

fn oauth(component: &Component<'_>) -> Option<OAuth> {
    let named = |key: &'static str, usual: &str| component.template(key, false).or_else(|| component.constant(usual));
    let assertion = component.child("profile_assertion", &["JwtAuthenticator"], false).and_then(|(_, jwt)| {
        let found = signed(&jwt);
        jwt.finish(&[]);
        found
    });
    let asserts = component.field("use_profile_assertion").is_some_and(|node| {
        matches!(&node.value, NodeValue::Bool(true))
            || node.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    });
    let usual_grant = if asserts { "urn:ietf:params:oauth:grant-type:jwt-bearer" } else { "refresh_token" };
    let grant_type = if asserts { component.constant(usual_grant) } else { named("grant_type", usual_grant) };
    component.field("grant_type");
    let updates = component.child("refresh_token_updater", &["RefreshTokenUpdater"], false).map(|(_, updater)| {
        let path = |key: &'static str, usual: &str| {
            names(&updater, key).unwrap_or_else(|| vec!["credentials".to_owned(), usual.to_owned()])
        };
        let updates = Updates {
            refresh_token_name: updater.text("refresh_token_name").unwrap_or("refresh_token").to_owned(),
            access_token: path("access_token_config_path", "access_token"),
            refresh_token: path("refresh_token_config_path", "refresh_token"),
            expiry: path("token_expiry_date_config_path", "token_expiry_date"),
        };
        updater.finish(&["refresh_token_error_status_codes", "refresh_token_error_key", "refresh_token_error_values"]);
        updates
    });
    let pair = |name: Option<Template>, value: Option<Template>| name.map(|name| (name, value));
    let oauth = OAuth {
        endpoint: component.template("token_refresh_endpoint", false),
        client_id: pair(named("client_id_name", "client_id"), component.template("client_id", false))?,
        client_secret: pair(named("client_secret_name", "client_secret"), component.template("client_secret", false))?,
        refresh_token: pair(named("refresh_token_name", "refresh_token"), component.template("refresh_token", false))?,
        grant_type: (named("grant_type_name", "grant_type")?, grant_type?),
        access_token: named("access_token_name", "access_token")?,
        access_token_value: component.template("access_token_value", false),
        expires_in: named("expires_in_name", "expires_in")?,
        expires_at: component.text("token_expiry_date_format").is_some(),
        scopes: component.list("scopes").into_iter().filter_map(|node| node.text().map(str::to_owned)).collect(),
        body: pairs(component, "refresh_request_body"),
        headers: pairs(component, "refresh_request_headers"),
        in_query: component.truth("send_refresh_request_as_query_params"),
        known_until: component.template("token_expiry_date", false),
        assertion: assertion.filter(|_| asserts),
        updates,
    };
    // What a refused renewal looks like: every refusal of a token service asks for a person here.
    for key in ["refresh_token_error_status_codes", "refresh_token_error_key", "refresh_token_error_values"] {
        component.field(key);
    }
    Some(oauth)
}

fn session(component: &Component<'_>) -> Option<Session> {
    let login = component.child("login_requester", &["HttpRequester"], true).and_then(|(_, login)| requester(&login));
    let path = templates(component, "session_token_path");
    let good_for = fixed_text(component, "expiration_duration", false).and_then(|text| {
        let parsed = Duration::parse(&text);
        if parsed.is_none() {
            component.refuse("expiration_duration", "an ISO 8601 duration such as PT1H is expected", "");
        }
        parsed
    });
    if let Some((_, decoder)) = component.child("decoder", &["JsonDecoder"], false) {
        decoder.finish(&[]);
    }
    let ways = ["Bearer", "ApiKey"];
    let placed = component.child("request_authentication", &ways, true).and_then(|(kind, way)| {
        let placed = if kind == "Bearer" {
            Some(Placed::Bearer)
        } else {
            let token = way.template("api_token", false);
            let option =
                way.child("inject_into", &["RequestOption"], true).and_then(|(_, option)| request_option(&option));
            option.map(|option| Placed::Option { token, option })
        };
        way.finish(&[]);
        placed
    });
    Some(Session { login: login?, path, good_for, placed: placed? })
}

fn legacy(component: &Component<'_>, base: Option<&Template>) -> Option<LegacySession> {
    let base = base.cloned().or_else(|| component.constant(""));
    Some(LegacySession {
        base: base?,
        header: component.template("header", true)?,
        login_url: component.template("login_url", true)?,
        validate_url: component.template("validate_session_url", true)?,
        token: component.template("session_token", false),
        response_key: component.template("session_token_response_key", true)?,
        username: component.template("username", false),
        password: component.template("password", false),
    })
}

/// What `x-tidegate` of a signing authenticator says of its key.
fn spelling(component: &Component<'_>, node: &Node) -> jwt::Spelling {
    let Some((_, ours)) = component.open(node, component.at("x-tidegate"), &["x-tidegate"]) else {
        return jwt::Spelling::Text;
    };
    let word = ours.text("secret_key_encoding");
    ours.close();
    match word {
        Some("hex") => jwt::Spelling::Hex,
        Some("base64") => jwt::Spelling::Base64,
        _ => {
            ours.refuse("secret_key_encoding", "what a shared key's text stands for is expected", "'hex' or 'base64'");
            jwt::Spelling::Text
        }
    }
}

fn signed(component: &Component<'_>) -> Option<jwt::Jwt> {
    let algorithm = component.text("algorithm").and_then(|name| {
        let found = jwt::algorithm(name);
        if found.is_none() {
            let remedy = "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA";
            component.refuse("algorithm", &format!("tokens are not signed with '{name}' here"), remedy);
        }
        found
    });
    let key = component.template("secret_key", true);
    let key_in_base64 = component.template("base64_encode_secret_key", false);
    let spelling = component.node.get("x-tidegate").map_or(jwt::Spelling::Text, |node| spelling(component, node));
    if spelling != jwt::Spelling::Text && algorithm.is_some_and(|found| !jwt::is_shared(found)) {
        component.refuse(
            "x-tidegate",
            "secret_key_encoding is of shared keys (HS256 and its like)",
            "leave it out: private keys are PEM text",
        );
    }
    let seconds = component.count("token_duration").unwrap_or(1200);
    let prefix = component.template("header_prefix", false);
    let table = |key: &'static str, kind: &'static str, fields: &[&'static str]| -> Vec<(String, Template)> {
        let Some((_, inner)) = component.child(key, &[kind], false) else { return Vec::new() };
        let found = fields.iter().filter_map(|name| Some(((*name).to_owned(), inner.template(name, false)?))).collect();
        inner.finish(&[]);
        found
    };
    let header = table("jwt_headers", "JwtHeaders", &["kid", "typ", "cty"]);
    let claims = table("jwt_payload", "JwtPayload", &["iss", "sub", "aud"]);
    let more_header = pairs(component, "additional_jwt_headers");
    let more_claims = pairs(component, "additional_jwt_payload");
    if component.field("passphrase").is_some() {
        let remedy = "store the key without a passphrase: the vault seals it";
        component.refuse("passphrase", "keys with a passphrase are not opened here", remedy);
    }
    let option =
        component.child("request_option", &["RequestOption"], false).and_then(|(_, option)| request_option(&option));
    Some(jwt::Jwt {
        algorithm: algorithm?,
        key: key?,
        spelling,
        key_in_base64,
        seconds,
        prefix,
        header,
        claims,
        more_header,
        more_claims,
        option,
    })
}

//! `tidegate connection webhook`: the address that a provider is to call, and what has come in there.
//!
//! Owns the making of a path: 32 random bytes, printed once. Refuses to keep or print it again: what is kept is its SHA-256.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::{
    App, Done,
    connection::{act, find},
    exit::Exit,
    failure::Failure,
    print::{self, Output},
};
use crate::{
    domain::{record::text_hash, status::ConnectionStatus},
    store::{SharedStore, catalogue::Connection, webhooks::EndpointFacts},
};

/// Shows the endpoint, or gives the connection a new path.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, store: &SharedStore, key: &str, new_path: bool, out: Output) -> Done {
    let connection = find(store, key).await?;
    if new_path {
        return make(app, store, &connection, out).await;
    }
    let facts = store.webhook_endpoint(connection.id, connection.client_id).await?;
    let document = json!({"connection": key, "webhook": facts});
    app.show(out, &document, |view| match &facts {
        Some(facts) => print::webhook::endpoint(view, facts),
        None => format!("{key} takes no webhooks; tidegate connection webhook {key} --new-path makes an address"),
    })
}

async fn make(app: &App, store: &SharedStore, connection: &Connection, out: Output) -> Done {
    let spec = &connection.spec;
    let key = &spec.connection_key;
    let mut missing = Vec::new();
    if connection.status == ConnectionStatus::Revoked {
        missing.push(format!("{key} is revoked; declare a new connection"));
    }
    let (catalogue, _) = app.load_catalogue();
    match catalogue.folder(&spec.provider_key).map(|folder| folder.webhook.clone()) {
        Some(Some(declaration)) if declaration.needs_secret() && spec.webhook_secrets.is_empty() => {
            missing.push(format!(
                "{key} declares no signing secret: tidegate credential set {key}-webhook --connection {key}, then declare \
                 `webhook_secrets: [vault:{key}-webhook]` and run tidegate apply"
            ));
        }
        Some(Some(_)) => {}
        Some(None) | None => missing.push(format!(
            "the folder of provider {} has no usable webhook.yaml; tidegate validate tells what is wrong with it",
            spec.provider_key
        )),
    }
    let Some(public_url) = app.settings.server.public_url.as_ref().filter(|_| missing.is_empty()) else {
        if app.settings.server.public_url.is_none() {
            missing.push("server.public_url is not set: it is the address under which providers reach you".to_owned());
        }
        return Err(Failure::new(Exit::Refused, missing.join("\n")));
    };
    let before = store.webhook_endpoint(connection.id, connection.client_id).await?;
    let had_one = before.is_some_and(|facts| facts.path_created_at.is_some());
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let mut action = act(app, "connection.webhook_path", connection, json!({"webhook_path": "new"}), None);
    action.before = Some(json!({"webhook_path": if had_one { "another" } else { "none" }}));
    store.put_webhook_path(connection.id, connection.client_id, &text_hash(&token), &action).await?;
    let address = format!("{public_url}/webhooks/{token}");
    let document = json!({"connection": key, "address": address, "replaces": had_one});
    app.show(out, &document, |_| {
        let former = if had_one { "\nThe former address leads nowhere from now on." } else { "" };
        format!(
            "{address}\nEnter it at the provider now: it is not shown again, and only its SHA-256 is kept. Who knows it can knock, so \
             treat it as a secret.{former}"
        )
    })
}

/// A piece of `connection show`.
pub fn shown(view: &print::View, facts: Option<&EndpointFacts>) -> String {
    facts.map_or_else(String::new, |facts| format!("\nwebhooks\n\n{}", print::webhook::endpoint(view, facts)))
}

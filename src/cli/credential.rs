//! `tidegate credential …`: set, list, rotate, revoke, rewrap, and a key to wrap with. Also `connection authorize`.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use serde_json::json;

use super::{
    App, Done,
    args::CredentialCommand,
    connection,
    exit::Exit,
    failure::Failure,
    print::{self, Output, notices},
    secret_input,
};
use crate::{
    store::{
        SharedStore,
        catalogue::{AdminAction, Connection},
    },
    vault::{Change, LocalKey, Vault, oauth::Tokens},
};

/// Does a `credential` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &CredentialCommand, out: Output) -> Done {
    if let CredentialCommand::Key { out: file } = command {
        let id = LocalKey::generate(file)?;
        let document = json!({"file": file, "key_id": id});
        return app.show(out, &document, |_| {
            format!(
                "{} holds the new key {id}; set vault.key_file to it, and keep a copy where the database's backups are not",
                file.display()
            )
        });
    }
    let store = app.store().await?;
    match command {
        CredentialCommand::Set { key, connection } => {
            let connection = connection::find(&store, connection).await?;
            set(app, &store, key, &connection, out).await
        }
        CredentialCommand::List { connection: key } => {
            if let Some(key) = key {
                connection::find(&store, key).await?;
            }
            let facts = store.credential_facts(key.as_deref()).await?;
            app.show(out, &facts, |view| print::credentials::credential_list(view, &facts))
        }
        CredentialCommand::Rotate { key, new_secret } => rotate(app, &store, key, *new_secret, out).await,
        CredentialCommand::Revoke { key, reason } => revoke(app, &store, key, reason, out).await,
        CredentialCommand::Rewrap { all, dry_run } => rewrap(app, &store, *all, *dry_run, out).await,
        // Needs no database; done above.
        CredentialCommand::Key { .. } => Ok(Exit::Done),
    }
}

fn act(app: &App, action: &str, key: &str, reason: Option<&str>, after: serde_json::Value) -> AdminAction {
    AdminAction {
        actor: app.actor(),
        action: action.to_owned(),
        subject_type: "credential".to_owned(),
        subject_key: key.to_owned(),
        reason: reason.map(str::to_owned),
        before: None,
        after: Some(after),
    }
}

fn is_oauth2(connection: &Connection) -> bool {
    connection.spec.refresh_policy.as_deref() == Some("oauth2")
}

/// Whether the connection's webhook deliveries are signed with it.
fn signs(key: &str, connection: &Connection) -> bool {
    connection.spec.webhook_secrets.iter().any(|reference| reference.strip_prefix("vault:") == Some(key))
}

/// The secret from standard input, looked at before it is stored: an OAuth document has a form.
async fn given(key: &str, connection: &Connection) -> Result<(SecretString, Option<Duration>), Failure> {
    // What deliveries are signed with is never an OAuth document.
    let oauth2 = is_oauth2(connection) && !signs(key, connection);
    let what = if oauth2 { "OAuth client and tokens, as one line of JSON" } else { "secret" };
    let secret = secret_input::read(&format!("{what} of {}", connection.spec.connection_key)).await?;
    if oauth2 {
        let (tokens, expires_in) = Tokens::parse(&secret)?;
        return Ok((tokens.document(), expires_in));
    }
    Ok((secret, None))
}

async fn set(app: &App, store: &SharedStore, key: &str, connection: &Connection, out: Output) -> Done {
    let vault = app.vault(Arc::clone(store))?;
    // Before the person types: a secret must not be asked for that cannot be kept.
    vault.keys().await?;
    let (secret, expires_in) = given(key, connection).await?;
    let name = &connection.spec.connection_key;
    let action = act(app, "credential.set", key, None, json!({"connection": name}));
    let change = vault.set(key, connection, &secret, expires_in, &action).await?;
    let reference = format!("vault:{key}");
    if connection.spec.credential_ref.as_deref() != Some(reference.as_str()) && !signs(key, connection) {
        notices::tell(&format!(
            "note: {name} does not use it yet; declare `credential: {reference}` (or `webhook_secrets: [{reference}]`) and run tidegate apply"
        ));
    }
    app.show(out, &change, |_| told(&change, "stored"))
}

fn told(change: &Change, what: &str) -> String {
    format!("{} {what} as version {}, under key {}", change.credential_key, change.version, change.key_id)
}

async fn rotate(app: &App, store: &SharedStore, key: &str, new_secret: bool, out: Output) -> Done {
    let vault = app.vault(Arc::clone(store))?;
    vault.keys().await?;
    let action = act(app, "credential.rotate", key, None, json!({"new_secret": new_secret}));
    let change = if new_secret {
        let connection = connection_of(store, key).await?;
        let (secret, expires_in) = given(key, &connection).await?;
        vault.rotate(key, Some((&secret, expires_in)), &action).await?
    } else {
        vault.rotate(key, None, &action).await?
    };
    app.show(out, &change, |_| told(&change, "sealed anew"))
}

async fn connection_of(store: &SharedStore, key: &str) -> Result<Connection, Failure> {
    let facts = store.credential_facts(None).await?;
    let Some(found) = facts.iter().find(|fact| fact.credential_key == key) else {
        let near = notices::nearest(key, facts.iter().map(|fact| fact.credential_key.as_str()));
        let near = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        return Err(Failure::usage(format!("there is no credential '{key}'{near}"))
            .remedy("tidegate credential list shows all"));
    };
    connection::find(store, &found.connection_key).await
}

async fn revoke(app: &App, store: &SharedStore, key: &str, reason: &str, out: Output) -> Done {
    let connection = connection_of(store, key).await?;
    // No key is needed to forget.
    let vault = app.vault(Arc::clone(store))?;
    let action = act(app, "credential.revoke", key, Some(reason), json!({"revoked": true}));
    vault.revoke(key, &action).await?;
    let path = connection.spec.revocation_path.clone();
    let document = json!({"credential": key, "revoked": true, "revocation_path": path});
    app.show(out, &document, |_| {
        let path = path.unwrap_or_else(|| "see the provider's settings".to_owned());
        format!("{key} is forgotten here; end it at the provider too: {path}")
    })
}

async fn rewrap(app: &App, store: &SharedStore, all: bool, dry_run: bool, out: Output) -> Done {
    let vault = app.vault(Arc::clone(store))?;
    let done = vault.rewrap(all, dry_run).await?;
    if !dry_run && !done.rewrapped.is_empty() {
        let after = json!({"rewrapped": done.rewrapped.len(), "key_id": vault.keys().await?.current().id()});
        let actions = vec![act(app, "credential.rewrap", "all", None, after)];
        let declaration = crate::store::catalogue::Declaration { actions, ..Default::default() };
        store.declare(&declaration).await?;
    }
    let exit = app.show(out, &done, |_| print::credentials::rewrapped(&done, dry_run))?;
    if done.failed.is_empty() { Ok(exit) } else { Ok(Exit::Unsafe) }
}

/// `tidegate connection authorize KEY`.
///
/// # Errors
/// See [`Failure`].
pub async fn authorize(app: &App, store: &SharedStore, key: &str, port: u16, wait: Duration, out: Output) -> Done {
    let connection = connection::find(store, key).await?;
    if !is_oauth2(&connection) {
        return Err(Failure::usage(format!(
            "{key} has refresh_policy {}",
            connection.spec.refresh_policy.as_deref().unwrap_or("none")
        ))
        .remedy("declare refresh_policy: oauth2 and credential: vault:KEY, and apply"));
    }
    let vault = app.vault(Arc::clone(store))?;
    let waiting = vault.begin_authorization(&connection, port).await?;
    notices::tell(&format!(
        "open this address in a browser on this machine within {} s, and say yes as the client:\n\n{}\n",
        wait.as_secs(),
        waiting.url
    ));
    let action = act(app, "credential.authorize", key, None, json!({"connection": key}));
    let change = vault.finish_authorization(waiting, &connection, wait, &action).await?;
    app.show(out, &change, |_| {
        format!(
            "{}\nnext: tidegate connection check {key}; if it waits for this: tidegate connection resume {key}",
            told(&change, "authorised")
        )
    })
}

/// Refuses to start without the key that live connections need; what only some rows need is left to their runs.
///
/// # Errors
/// [`Exit::Unsafe`]: a connection uses `vault:`, and there is no key, or it is none of those that the rows were wrapped with.
pub async fn ready(vault: &Vault, store: &SharedStore) -> Result<(), Failure> {
    let connections = store.connections().await?;
    let uses = |connection: &Connection| {
        connection.spec.credential_ref.as_deref().is_some_and(|reference| reference.starts_with("vault:"))
    };
    if !connections.iter().any(uses) {
        return Ok(());
    }
    let keys = vault.keys().await?;
    let facts = store.credential_facts(None).await?;
    let mut live = facts.iter().filter(|fact| fact.revoked_at.is_none()).peekable();
    if live.peek().is_some() && live.clone().all(|fact| !keys.knows(&fact.key_id)) {
        let ids: std::collections::BTreeSet<_> = live.map(|fact| fact.key_id.as_str()).collect();
        let ids = ids.into_iter().collect::<Vec<_>>().join(", ");
        let here = keys.current().id();
        return Err(Failure::new(Exit::Unsafe, format!("the vault's key is {here}; the stored credentials were wrapped with {ids}"))
            .remedy("give the old key back in vault.key_file, or name it in vault.previous_key_files and run tidegate credential rewrap"));
    }
    Ok(())
}

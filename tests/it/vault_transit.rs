//! P18: keys that a transit service keeps, against a double of one over real HTTP.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tidegate::vault::{Holding, KeySource, Vault, VaultError, VaultOptions};

use crate::{
    store_ground::act,
    vault::{SECRET, connection, gate, key, lay},
};

const TOKEN: &str = "sim-transit-token";

/// What the double was given and asked.
#[derive(Default)]
struct Kept {
    /// By the text that was given out: what was wrapped, and for what.
    wrapped: HashMap<String, (String, String)>,
    asked: usize,
    /// As an older service, which does not know `associated_data`.
    forgetful: bool,
    /// The status of every answer, when one is set.
    refuses: Option<u16>,
}

type Shared = Arc<Mutex<Kept>>;

async fn answer(
    State(kept): State<Shared>,
    Path((verb, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut kept = kept.lock().unwrap();
    kept.asked += 1;
    if let Some(status) = kept.refuses {
        return (StatusCode::from_u16(status).unwrap(), Json(json!({"errors": ["no"]})));
    }
    if headers.get("x-vault-token").is_none_or(|token| token != TOKEN) || name != "tidegate" {
        return (StatusCode::FORBIDDEN, Json(json!({"errors": ["permission denied"]})));
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    if verb == "encrypt" {
        let given = format!("vault:v1:{:04}", kept.wrapped.len());
        let pair = (text("plaintext"), text("associated_data"));
        kept.wrapped.insert(given.clone(), pair);
        return (StatusCode::OK, Json(json!({"data": {"ciphertext": given}})));
    }
    match kept.wrapped.get(&text("ciphertext")) {
        Some((plaintext, bound)) if kept.forgetful || *bound == text("associated_data") => {
            (StatusCode::OK, Json(json!({"data": {"plaintext": plaintext}})))
        }
        _ => (StatusCode::BAD_REQUEST, Json(json!({"errors": ["cipher: message authentication failed"]}))),
    }
}

async fn service() -> (String, Shared) {
    let kept = Shared::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/v1/transit/{verb}/{name}", post(answer)).with_state(Arc::clone(&kept));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, kept)
}

on_both_engines!(p18_a_transit_service_wraps_and_unwraps_and_a_moved_key_does_not_open_whatever_it_checks, |db| {
    lay(db, "none").await;
    let (folder, store) = (tempfile::tempdir().unwrap(), db.store());
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let (url, kept) = service().await;
    let source = KeySource::Transit {
        url,
        mount: "transit".to_owned(),
        key: "tidegate".to_owned(),
        token: format!("file:{}", token.display()),
    };
    let vault = |current: KeySource, others: Vec<KeySource>| {
        let options = VaultOptions { current: Some(current), others, ..VaultOptions::default() };
        Vault::new(Arc::clone(store), gate(), options, Holding::named("a test"))
    };
    let (acme, bolt) = (connection(store, "acme-hubspot").await, connection(store, "bolt-hubspot").await);
    let transit = vault(source.clone(), Vec::new());
    for (of, secret) in [(&acme, SECRET), (&bolt, "another")] {
        let key = &of.spec.connection_key;
        transit.set(key, of, &SecretString::from(secret), None, &act("credential.set")).await.unwrap();
    }
    let read = async |vault: &Arc<Vault>| {
        let secret = vault.source(&acme).unwrap().read().await.map_err(|error| error.kind.code())?;
        Ok::<_, &str>(secret.unwrap().expose_secret().to_owned())
    };
    assert_eq!(read(&transit).await, Ok(SECRET.to_owned()));
    let asked = kept.lock().unwrap().asked;
    assert_eq!(read(&transit).await, Ok(SECRET.to_owned()));
    assert_eq!(kept.lock().unwrap().asked, asked, "a data key is kept for minutes: a page costs no call");

    let keep = "create table kept as select * from integration_credentials";
    db.sql.ok(keep).await;
    db.sql.ok("update integration_credentials set wrapped_key = (select k.wrapped_key from kept k where k.credential_key = 'bolt-hubspot') \
               where credential_key = 'acme-hubspot'").await;
    for forgetful in [false, true] {
        kept.lock().unwrap().forgetful = forgetful;
        assert_eq!(read(&vault(source.clone(), Vec::new())).await, Err("vault_closed"), "forgetful: {forgetful}");
    }
    db.sql.ok("update integration_credentials set wrapped_key = (select k.wrapped_key from kept k where k.credential_key = 'acme-hubspot') \
               where credential_key = 'acme-hubspot'").await;
    db.sql.ok("drop table kept").await;

    // Away is another thing than wrong: time may help.
    kept.lock().unwrap().refuses = Some(503);
    assert_eq!(read(&vault(source.clone(), Vec::new())).await, Err("provider_unavailable"));
    let told = vault(source.clone(), Vec::new()).rotate("acme-hubspot", None, &act("x")).await;
    assert!(matches!(told, Err(VaultError::Away { .. })), "{told:?}");
    kept.lock().unwrap().refuses = Some(403);
    assert_eq!(read(&vault(source.clone(), Vec::new())).await, Err("vault_closed"));
    kept.lock().unwrap().refuses = None;

    // To a key of our own and back again.
    let own = KeySource::File(key(folder.path(), "kek"));
    let moved = vault(own.clone(), vec![source.clone()]).rewrap(false, false).await.unwrap();
    assert_eq!((moved.rewrapped.len(), moved.failed.len()), (2, 0));
    assert_eq!(read(&vault(own.clone(), Vec::new())).await, Ok(SECRET.to_owned()));
    vault(source.clone(), vec![own]).rewrap(false, false).await.unwrap();
    assert_eq!(read(&vault(source.clone(), Vec::new())).await, Ok(SECRET.to_owned()));
    // After the service has rotated its key, everything can be wrapped once more.
    assert_eq!(vault(source, Vec::new()).rewrap(true, false).await.unwrap().rewrapped.len(), 2);
});

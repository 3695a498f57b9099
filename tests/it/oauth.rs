//! P13: OAuth tokens that renew themselves: once, durable before use, and a state instead of a loop when a person is needed.
//!
//! Against the simulator's token service, which voids a refresh token the moment it is used.

use std::{path::PathBuf, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tempfile::TempDir;
use tidegate::{
    connector::{ConnectorError, ErrorKind, credential::CredentialSource},
    simulator::{
        AccountOptions, Fault, FaultKind, Gate, Simulator, SimulatorHandle, SimulatorOptions, tokens::TOKEN_PATH,
    },
    store::{SharedStore, catalogue::Connection},
    system_clock::SystemClock,
    vault::{Vault, VaultError},
};

use crate::{
    store_ground::act,
    support::{daemon::eventually, databases::TestDatabase},
    vault::{connection, dump, key, lay, vault},
};

const CLIENT: &str = "acme-app";
const CLIENT_SECRET: &str = "sim-client-secret-0001";
const HOUR: Duration = Duration::from_secs(3600);

/// A provider with one client of acme's, whose first pair is stored as `vault:acme-hubspot`.
struct Scene {
    simulator: SimulatorHandle,
    _folder: TempDir,
    kek: PathBuf,
    connection: Connection,
    store: SharedStore,
}

impl Scene {
    async fn new(db: &TestDatabase) -> Self {
        let options =
            SimulatorOptions::new(Arc::new(SystemClock::new())).account(AccountOptions::new("4711", "pat-sim-unused"));
        let simulator = Simulator::start(options).await.unwrap();
        lay(db, "oauth2").await;
        let folder = tempfile::tempdir().unwrap();
        let kek = key(folder.path(), "kek");
        let store = Arc::clone(db.store());
        let connection = connection(&store, "acme-hubspot").await;
        let scene = Self { simulator, _folder: folder, kek, connection, store };
        let (access, refresh) = scene.simulator.tokens().client(CLIENT, CLIENT_SECRET, "4711", HOUR);
        scene.put(json!({"access_token": access, "refresh_token": refresh, "expires_in": 3600})).await;
        scene
    }

    /// Stores a document, with the client's own parts.
    async fn put(&self, mut parts: serde_json::Value) {
        for (name, value) in [
            ("client_id", CLIENT.to_owned()),
            ("client_secret", CLIENT_SECRET.to_owned()),
            ("token_url", format!("{}{TOKEN_PATH}", self.simulator.base_url())),
            ("authorize_url", format!("{}/authorize?prompt=consent", self.simulator.base_url())),
        ] {
            parts[name] = value.into();
        }
        let (tokens, expires_in) =
            tidegate::vault::oauth::Tokens::parse(&SecretString::from(parts.to_string())).ok().unwrap();
        let done = self
            .vault(&self.store)
            .set("acme-hubspot", &self.connection, &tokens.document(), expires_in, &act("credential.set"))
            .await;
        done.unwrap();
    }

    fn vault(&self, store: &SharedStore) -> Arc<Vault> {
        vault(store, &[&self.kek])
    }

    fn source(&self) -> Arc<dyn CredentialSource> {
        self.vault(&self.store).source(&self.connection).unwrap()
    }

    fn issued(&self) -> u64 {
        self.simulator.tokens().counts(CLIENT).0
    }

    fn live(&self) -> (String, String) {
        self.simulator.tokens().live(CLIENT).expect("a grant that is good")
    }

    /// How often the token service was asked.
    fn asked(&self) -> usize {
        self.simulator.oracle().calls().iter().filter(|call| call.path == TOKEN_PATH).count()
    }

    fn fault(&self, kind: FaultKind) {
        self.simulator.fault(Fault::on(1, kind).path(TOKEN_PATH));
    }
}

async fn token(source: &Arc<dyn CredentialSource>) -> Result<String, ConnectorError> {
    Ok(source.read().await?.expect("a token").expose_secret().to_owned())
}

const END: &str = "update integration_credentials set expires_at = stored_at";

async fn state(db: &TestDatabase) -> String {
    let row = db
        .sql
        .rows("select k.refresh_state, c.status from integration_credentials k join integration_connections c on c.id = k.connection_id")
        .await;
    format!("{} {}", row[0][0].clone().unwrap(), row[0][1].clone().unwrap())
}

on_both_engines!(p13_a_token_is_used_until_it_is_near_its_end_and_the_new_pair_is_durable_before_it_is_used, |db| {
    let scene = Scene::new(db).await;
    let source = scene.source();
    assert_eq!(token(&source).await.unwrap(), scene.live().0);
    assert_eq!((scene.issued(), scene.asked()), (1, 0));
    // A minute before its end it is renewed; what a process that knows nothing of it reads is the new one.
    db.sql.ok("update integration_credentials set expires_at = stored_at").await;
    let new = token(&source).await.unwrap();
    assert_eq!((new.clone(), scene.issued()), (scene.live().0, 2));
    assert_eq!(token(&scene.source()).await.unwrap(), new);
    // A 401 asks for a newer one than was given, once for all who were given the same.
    let others = [scene.source(), scene.source()];
    for other in &others {
        token(other).await.unwrap();
    }
    source.refresh().await.unwrap();
    for other in &others {
        let newer = other.refresh().await.unwrap().unwrap();
        assert_eq!(newer.expose_secret(), scene.live().0);
    }
    assert_eq!((scene.issued(), state(db).await), (3, "idle draft".to_owned()));
    assert_eq!(db.sql.number("select version from integration_credentials").await, 3);
    let dump = dump(db).await;
    for secret in ["sim-access", "sim-refresh", CLIENT_SECRET] {
        assert!(!dump.contains(secret), "{secret}");
    }
});

on_both_engines!(p13_client_credentials_need_no_refresh_token, |db| {
    let scene = Scene::new(db).await;
    scene.put(json!({"client_auth": "basic"})).await;
    let source = scene.source();
    assert_eq!(token(&source).await.unwrap(), scene.live().0);
    assert_eq!((token(&source).await.unwrap(), scene.issued()), (scene.live().0, 2));
});

on_both_engines!(p13_two_workers_and_forty_requests_make_one_refresh, |db| {
    let scene = Scene::new(db).await;
    let stores = [db.open().await, db.open().await];
    for round in 0..10 {
        db.sql.ok(END).await;
        let mut tasks = tokio::task::JoinSet::new();
        for store in &stores {
            let source = scene.vault(store).source(&scene.connection).unwrap();
            for _ in 0..20 {
                let source = Arc::clone(&source);
                tasks.spawn(async move { token(&source).await });
            }
        }
        let live: Vec<_> = tasks.join_all().await;
        for given in live {
            assert_eq!(given.unwrap(), scene.live().0);
        }
        assert_eq!(scene.issued(), 2 + round);
    }
    for store in stores {
        store.close().await;
    }
});

on_both_engines!(p13_who_loses_the_race_takes_the_winners_token, |db| {
    let scene = Scene::new(db).await;
    scene.simulator.tokens().set_reuse_ends_it(CLIENT, false);
    db.sql.ok(END).await;
    let gate = Gate::default();
    scene.fault(FaultKind::Hold(gate.clone()));
    let slow = {
        let source = scene.source();
        tokio::spawn(async move { token(&source).await })
    };
    eventually("the slow one asks", async || (scene.asked() == 1).then_some(())).await;
    // Its lease runs out while it waits; another worker is through first.
    db.sql.ok("update integration_credentials set lease_until = stored_at").await;
    let fast = token(&scene.source()).await.unwrap();
    gate.open();
    assert_eq!(slow.await.unwrap().unwrap(), fast);
    assert_eq!((scene.issued(), scene.simulator.tokens().counts(CLIENT).1), (2, 1));
    assert_eq!(state(db).await, "idle draft");
});

on_both_engines!(p13_a_revoked_grant_is_a_state_with_a_reason_and_never_a_loop, |db| {
    let scene = Scene::new(db).await;
    scene.simulator.tokens().revoke(CLIENT);
    db.sql.ok(END).await;
    for _ in 0..3 {
        let error = token(&scene.source()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthorized);
        assert!(error.message.contains("revoked or ran out; authorise again"), "{error}");
    }
    assert_eq!((scene.asked(), state(db).await), (1, "needs_auth needs_auth".to_owned()));
    let actions = scene.store.admin_actions(1).await.unwrap();
    assert_eq!(actions[0].1.action, "connection.needs_auth");
    // A new secret ends it.
    let (access, refresh) = scene.simulator.tokens().client(CLIENT, CLIENT_SECRET, "4711", HOUR);
    scene.put(json!({"access_token": access, "refresh_token": refresh})).await;
    assert_eq!(token(&scene.source()).await.unwrap(), access);
    // A refused client is one, too.
    let stranger = json!({"refresh_token": "x"});
    scene.put(stranger).await;
    scene.simulator.tokens().client(CLIENT, "changed", "4711", HOUR);
    let error = token(&scene.source()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Unauthorized && error.message.contains("invalid_client"), "{error}");
});

/// A token of an hour that is good for twenty seconds more.
fn nearly_over(db: &TestDatabase) -> String {
    if db.is_mysql() {
        "update integration_credentials set stored_at = date_sub(utc_timestamp(6), interval 3580 second), expires_at = date_add(utc_timestamp(6), interval 20 second)"
    } else {
        "update integration_credentials set stored_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-3580 seconds'), \
         expires_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+20 seconds')"
    }
    .to_owned()
}

on_both_engines!(p13_after_a_failure_nobody_asks_until_the_cool_down_ends, |db| {
    let scene = Scene::new(db).await;
    // Near its end, but good for a while: a failed refresh does not keep it from being used.
    db.sql.ok(&nearly_over(db)).await;
    scene.fault(FaultKind::ServerError);
    assert_eq!(token(&scene.source()).await.unwrap(), scene.live().0);
    assert_eq!((scene.asked(), state(db).await), (1, "cooling_down draft".to_owned()));
    // At its end there is none, and nobody asks.
    db.sql.ok(END).await;
    for _ in 0..5 {
        let error = token(&scene.source()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("answered 500") && error.message.contains("at the soonest"), "{error}");
    }
    assert_eq!(scene.asked(), 1);
    // The second failure waits longer; a service's own wait comes first.
    let over = "update integration_credentials set cooling_until = stored_at";
    let waits = async |db: &TestDatabase| {
        let text = if db.is_mysql() {
            "select timestampdiff(second, utc_timestamp(6), cooling_until) from integration_credentials"
        } else {
            "select cast(unixepoch(cooling_until) - unixepoch('now') as integer) from integration_credentials"
        };
        db.sql.number(text).await
    };
    db.sql.ok(over).await;
    scene.fault(FaultKind::Reset);
    token(&scene.source()).await.unwrap_err();
    assert!((115..=121).contains(&waits(db).await), "{}", waits(db).await);
    db.sql.ok(over).await;
    scene.fault(FaultKind::TooManyRequests { retry_after: Some(900) });
    token(&scene.source()).await.unwrap_err();
    assert!((890..=901).contains(&waits(db).await), "{}", waits(db).await);
    db.sql.ok(over).await;
    assert_eq!(token(&scene.source()).await.unwrap(), scene.live().0);
    assert_eq!(db.sql.number("select refresh_failures from integration_credentials").await, 0);
});

on_both_engines!(p13_an_answer_that_was_lost_ends_in_a_state_or_in_the_providers_grace, |db| {
    let scene = Scene::new(db).await;
    for grace in [true, false] {
        scene.simulator.tokens().set_grace(CLIENT, grace);
        db.sql.ok(END).await;
        scene.fault(FaultKind::CutBody);
        let lost = token(&scene.source()).await.unwrap_err();
        assert_eq!(lost.kind, ErrorKind::Unavailable);
        assert!(lost.message.contains("may have been lost"), "{lost}");
        db.sql.ok("update integration_credentials set cooling_until = stored_at").await;
        let then = token(&scene.source()).await;
        if grace {
            assert_eq!(then.unwrap(), scene.live().0);
        } else {
            assert_eq!(then.unwrap_err().kind, ErrorKind::Unauthorized);
        }
    }
    assert_eq!(state(db).await, "needs_auth needs_auth");
});

on_both_engines!(p13_a_secret_that_a_person_stores_is_never_written_over_by_a_refresh_in_flight, |db| {
    let scene = Scene::new(db).await;
    db.sql.ok(END).await;
    let gate = Gate::default();
    scene.fault(FaultKind::Late(gate.clone()));
    let flying = {
        let source = scene.source();
        tokio::spawn(async move { token(&source).await })
    };
    eventually("the provider has answered", async || (scene.issued() == 2).then_some(())).await;
    scene.put(json!({"access_token": "sim-access-by-hand"})).await;
    gate.open();
    assert_eq!(flying.await.unwrap().unwrap(), "sim-access-by-hand");
    assert_eq!(token(&scene.source()).await.unwrap(), "sim-access-by-hand");
});

on_both_engines!(p13_a_cancelled_caller_never_cuts_a_refresh_between_answer_and_write, |db| {
    let scene = Scene::new(db).await;
    db.sql.ok(END).await;
    let gate = Gate::default();
    scene.fault(FaultKind::Late(gate.clone()));
    let vault = scene.vault(&scene.store);
    let caller = {
        let source = vault.source(&scene.connection).unwrap();
        tokio::spawn(async move { token(&source).await })
    };
    eventually("the provider has answered", async || (scene.issued() == 2).then_some(())).await;
    caller.abort();
    let _ = caller.await;
    gate.open();
    vault.settled().await;
    assert_eq!(db.sql.number("select version from integration_credentials").await, 2);
    assert_eq!((token(&scene.source()).await.unwrap(), scene.issued()), (scene.live().0, 2));
});

/// What a browser gets for an address of the listener.
pub async fn visit(redirect: &str, query: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (authority, path) = redirect.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = tokio::net::TcpStream::connect(authority).await.unwrap();
    socket.write_all(format!("GET /{path}?{query} HTTP/1.1\r\nhost: {authority}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

on_both_engines!(p13_a_person_authorises_with_pkce_and_an_answer_without_our_state_is_refused, |db| {
    let scene = Scene::new(db).await;
    scene.simulator.tokens().revoke(CLIENT);
    let vault = scene.vault(&scene.store);
    let waiting = vault.begin_authorization(&scene.connection, 0).await.unwrap();
    let asked: std::collections::HashMap<String, String> = waiting.url.query_pairs().into_owned().collect();
    assert_eq!(
        (asked["prompt"].as_str(), asked["response_type"].as_str(), asked["code_challenge_method"].as_str()),
        ("consent", "code", "S256")
    );
    assert_eq!((asked["client_id"].as_str(), asked["scope"].as_str()), (CLIENT, "contacts.read"));
    assert!(!waiting.url.as_str().contains(CLIENT_SECRET));
    let redirect = asked["redirect_uri"].clone();
    assert!(redirect.starts_with("http://127.0.0.1:"), "{redirect}");
    let code = scene.simulator.tokens().say_yes(CLIENT, &asked["code_challenge"], &redirect);
    let state = &asked["state"];
    let browser = async {
        // A knock that says nothing must not keep the others out.
        let silent =
            tokio::net::TcpStream::connect(redirect.strip_prefix("http://").unwrap().split_once('/').unwrap().0)
                .await
                .unwrap();
        for (query, status) in [
            (format!("code={code}&state=forged"), "HTTP/1.1 400 Bad Request"),
            (format!("code={code}"), "HTTP/1.1 400 Bad Request"),
            (format!("code={code}&state={state}&state={state}"), "HTTP/1.1 400 Bad Request"),
            (format!("state={state}"), "HTTP/1.1 400 Bad Request"),
        ] {
            assert_eq!(visit(&redirect, &query).await, status, "{query}");
        }
        assert_eq!(
            visit(&redirect.replace("callback", "other"), &format!("code={code}&state={state}")).await,
            "HTTP/1.1 404 Not Found"
        );
        assert_eq!(scene.asked(), 0, "no code was exchanged for an answer that is not ours");
        assert_eq!(visit(&redirect, &format!("code={code}&state={state}")).await, "HTTP/1.1 200 OK");
        drop(silent);
    };
    let action = act("credential.authorize");
    let finished = vault.finish_authorization(waiting, &scene.connection, Duration::from_secs(60), &action);
    let (change, ()) = tokio::join!(finished, browser);
    assert_eq!(change.unwrap().version, 2);
    assert_eq!(token(&scene.source()).await.unwrap(), scene.live().0);

    // A no, and nobody at all.
    let waiting = vault.begin_authorization(&scene.connection, 0).await.unwrap();
    let asked: std::collections::HashMap<String, String> = waiting.url.query_pairs().into_owned().collect();
    let finished = vault.finish_authorization(waiting, &scene.connection, Duration::from_secs(60), &action);
    let query = format!("error=access_denied&state={}", asked["state"]);
    let (denied, _) = tokio::join!(finished, visit(&asked["redirect_uri"], &query));
    assert!(
        matches!(&denied, Err(VaultError::Refused { message, .. }) if message.contains("access_denied")),
        "{denied:?}"
    );
    let waiting = vault.begin_authorization(&scene.connection, 0).await.unwrap();
    let nobody = vault.finish_authorization(waiting, &scene.connection, Duration::from_millis(20), &act("x")).await;
    assert!(
        matches!(&nobody, Err(VaultError::Refused { message, .. }) if message.contains("nobody came back")),
        "{nobody:?}"
    );
});

on_both_engines!(p14_a_slow_token_service_does_not_hold_up_a_token_that_is_still_good, |db| {
    let scene = Scene::new(db).await;
    db.sql.ok(&nearly_over(db)).await;
    let gate = Gate::default();
    scene.fault(FaultKind::Hold(gate.clone()));
    let vault = scene.vault(&scene.store);
    let slow = {
        let source = vault.source(&scene.connection).unwrap();
        tokio::spawn(async move { token(&source).await })
    };
    eventually("the token service is asked", async || (scene.asked() == 1).then_some(())).await;
    let old = scene.live().0;
    // In the same process, and in another.
    for source in [vault.source(&scene.connection).unwrap(), scene.source()] {
        assert_eq!(token(&source).await.unwrap(), old);
    }
    gate.open();
    assert_eq!((slow.await.unwrap().unwrap(), scene.asked()), (scene.live().0, 1));
});

on_both_engines!(p18_token_calls_go_through_the_same_network_policy, |db| {
    use tidegate::{
        connector::http::{GateOptions, HttpGate},
        vault::{Holding, KeySource, VaultOptions},
    };
    let scene = Scene::new(db).await;
    db.sql.ok(END).await;
    let strict = HttpGate::new(GateOptions::default(), Arc::new(SystemClock::new())).unwrap();
    let options = VaultOptions { current: Some(KeySource::File(scene.kek.clone())), ..VaultOptions::default() };
    let vault = Vault::new(Arc::clone(&scene.store), strict, options, Holding::named("a test"));
    let error = token(&vault.source(&scene.connection).unwrap()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Policy && error.message.contains("127.0.0.1"), "{error}");
    assert_eq!((scene.asked(), state(db).await), (0, "cooling_down draft".to_owned()));
    let refused = vault.begin_authorization(&scene.connection, 0).await.err().map(|error| error.to_string());
    assert!(refused.is_some_and(|why| why.contains("127.0.0.1")));
});

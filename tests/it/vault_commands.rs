//! P18: the `credential` commands of the real program: secrets come in by standard input and never come out.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{
    databases::TestDatabase,
    yard::{ACME_TOKEN, Yard},
};

/// acme's connection uses a stored credential.
async fn yard(db: &TestDatabase) -> Yard<'_> {
    let mut yard = Yard::new(db, 20, 0).await;
    let text = yard.declaration("sandbox", "every 30d", false).replace("env:ACME_TOKEN", "vault:acme");
    let kek = yard.home.path().join("kek");
    yard.home.setting("vault.key_file", kek.display());
    yard.declare(&text).await;
    yard
}

on_both_engines!(p18_a_stored_secret_pulls_and_is_never_told, |db| {
    let yard = yard(db).await;
    // Without a key nothing is asked for, and the remedy says how to get one.
    let refused = yard.home.run_with(&["credential", "set", "acme", "--connection", "acme-hubspot"], ACME_TOKEN).await;
    assert_eq!(refused.code(), Some(6), "{refused}");
    assert!(refused.stderr.contains("tidegate credential key --out"), "{refused}");

    let made = yard.home.run_ok(&["credential", "key", "--out", "kek", "--json"]).await.json();
    let mode = std::fs::metadata(yard.home.path().join("kek")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o400);
    let again = yard.home.run(&["credential", "key", "--out", "kek"]).await;
    assert_eq!(again.code(), Some(2), "{again}");

    let mut heard = Vec::new();
    let missing = yard.home.run(&["connection", "check", "acme-hubspot"]).await;
    assert_eq!(missing.code(), Some(4), "{missing}");
    assert!(missing.stderr.contains("credential set acme"), "{missing}");
    let stored = yard
        .home
        .run_with(&["credential", "set", "acme", "--connection", "acme-hubspot", "--json"], &format!("{ACME_TOKEN}\n"))
        .await;
    assert_eq!((stored.json()["version"].as_i64(), &stored.json()["key_id"]), (Some(1), &made["key_id"]), "{stored}");
    heard.push(stored);
    heard.push(yard.home.run_ok(&["connection", "check", "acme-hubspot"]).await);
    heard.push(yard.home.run_ok(&["credential", "rotate", "acme"]).await);
    let ran = yard.run_acme().await;
    assert_eq!(ran.code(), Some(0), "{ran}");
    heard.push(ran);
    heard.push(yard.home.run_ok(&["credential", "list"]).await);
    let listed = yard.home.run_ok(&["credential", "list", "--connection", "acme-hubspot", "--json"]).await;
    assert_eq!(
        (listed.json()[0]["version"].as_i64(), listed.json()[0]["refresh_state"].as_str()),
        (Some(2), Some("idle"))
    );
    assert!(listed.json()[0].get("ciphertext").is_none() && listed.json()[0].get("wrapped_key").is_none());
    heard.push(listed);

    // A new key; the old one only opens, until everything is wrapped anew.
    yard.home.run_ok(&["credential", "key", "--out", "kek2"]).await;
    let mut yard = yard;
    let (old, new) = (yard.home.path().join("kek"), yard.home.path().join("kek2"));
    yard.home.setting("vault.key_file", new.display());
    let wrong = yard.home.run(&["connection", "check", "acme-hubspot"]).await;
    assert_eq!(wrong.code(), Some(6), "{wrong}");
    let wrong = yard.run_acme().await;
    assert_eq!(wrong.code(), Some(6), "{wrong}");
    assert_eq!(yard.newest_run().await["error_code"], "vault_closed");
    let wrong = yard.home.run(&["run"]).await;
    assert_eq!(wrong.code(), Some(6), "{wrong}");
    yard.home.setting("vault.previous_key_files", old.display());
    heard.push(yard.home.run_ok(&["connection", "check", "acme-hubspot"]).await);
    let dry = yard.home.run_ok(&["credential", "rewrap", "--dry-run", "--json"]).await;
    assert_eq!(dry.json()["rewrapped"], serde_json::json!(["acme"]));
    heard.push(yard.home.run_ok(&["credential", "rewrap"]).await);
    yard.home.setting("vault.previous_key_files", "");
    heard.push(yard.home.run_ok(&["connection", "check", "acme-hubspot"]).await);

    // A key that others can read is none.
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = yard.home.run(&["connection", "check", "acme-hubspot"]).await;
    assert_eq!(open.code(), Some(6), "{open}");
    assert!(open.stderr.contains("chmod 400"), "{open}");

    heard.push(yard.home.run_ok(&["credential", "revoke", "acme", "--reason", "the client left"]).await);
    for said in heard.iter().chain([&wrong, &open]) {
        assert!(!said.stdout.contains(ACME_TOKEN) && !said.stderr.contains(ACME_TOKEN), "{said}");
    }
    assert!(!crate::vault::dump(db).await.contains(ACME_TOKEN));
    yard.end().await;
});

#[tokio::test]
async fn p18_a_secret_is_no_argument_and_an_empty_one_is_none() {
    TestDatabase::sqlite()
        .await
        .run(async |db| {
            let yard = yard(db).await;
            yard.home.run_ok(&["credential", "key", "--out", "kek"]).await;
            let set = ["credential", "set", "acme", "--connection", "acme-hubspot"];
            let argument = yard.home.run(&[&set[..], &["hush"]].concat()).await;
            assert_eq!(argument.code(), Some(2), "{argument}");
            let empty = yard.home.run_with(&set, "\n").await;
            assert_eq!(empty.code(), Some(2), "{empty}");
            assert!(empty.stderr.contains("standard input is empty"), "{empty}");
            for (key, connection) in [("acme", "nobody"), ("../x", "acme-hubspot"), ("a b", "acme-hubspot")] {
                let refused = yard.home.run_with(&["credential", "set", key, "--connection", connection], "hush").await;
                assert_eq!(refused.code(), Some(2), "{refused}");
                assert!(!refused.stderr.contains("hush"), "{refused}");
            }
            assert_eq!(yard.number("select count(*) from integration_credentials").await, 0);
            yard.end().await;
        })
        .await;
}

#[tokio::test]
async fn p13_a_person_authorises_from_the_terminal_and_the_connection_works() {
    use std::{collections::HashMap, time::Duration};

    use tidegate::simulator::tokens::TOKEN_PATH;

    use crate::support::{daemon::PATIENCE, yard::ACME_PORTAL};

    TestDatabase::sqlite()
        .await
        .run(async |db| {
            let yard = yard(db).await;
            yard.home.run_ok(&["credential", "key", "--out", "kek"]).await;
            let refused = yard.home.run(&["connection", "authorize", "acme-hubspot"]).await;
            assert_eq!(refused.code(), Some(2), "{refused}");
            assert!(refused.stderr.contains("refresh_policy: oauth2"), "{refused}");
            let text = yard.declaration("sandbox", "every 30d", false).replacen("env:ACME_TOKEN", "vault:acme", 1);
            yard.declare(&text.replacen("refresh_policy: none", "refresh_policy: oauth2", 1)).await;
            yard.simulator.tokens().client("acme-app", "sim-client-secret", ACME_PORTAL, Duration::from_secs(3600));
            let base = yard.simulator.base_url();
            let client = serde_json::json!({
                "client_id": "acme-app", "client_secret": "sim-client-secret",
                "token_url": format!("{base}{TOKEN_PATH}"), "authorize_url": format!("{base}/oauth/authorize"),
            });
            let set = ["credential", "set", "acme", "--connection", "acme-hubspot"];
            let wrong = yard.home.run_with(&set, "hush").await;
            assert_eq!(wrong.code(), Some(2), "{wrong}");
            assert!(wrong.stderr.contains("is no JSON object") && !wrong.stderr.contains("hush"), "{wrong}");
            let stored = yard.home.run_with(&set, &client.to_string()).await;
            assert_eq!(stored.code(), Some(0), "{stored}");

            let mut asking = yard.home.start(&["connection", "authorize", "acme-hubspot", "--json"]);
            let url: url::Url = asking.wait_for_line("/oauth/authorize?").await.trim().parse().unwrap();
            let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
            let redirect = &asked["redirect_uri"];
            let code = yard.simulator.tokens().say_yes("acme-app", &asked["code_challenge"], redirect);
            let forged = crate::oauth::visit(redirect, &format!("code={code}&state=forged")).await;
            assert_eq!(forged, "HTTP/1.1 400 Bad Request");
            let seen = crate::oauth::visit(redirect, &format!("code={code}&state={}", asked["state"])).await;
            assert_eq!(seen, "HTTP/1.1 200 OK");
            let done = asking.wait(PATIENCE).await;
            assert_eq!((done.code(), done.json()["version"].as_i64()), (Some(0), Some(2)), "{done}");
            assert!(!done.stderr.contains(&code) && !done.stdout.contains(&code), "{done}");
            let ran = yard.run_acme().await;
            assert_eq!(ran.code(), Some(0), "{ran}");
            yard.end().await;
        })
        .await;
}

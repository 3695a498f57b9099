//! `tidegate doctor`: each look with its level and remedy, and the exit code that follows.

use serde_json::Value;

use crate::support::{
    daemon::{Finished, Home},
    databases::TestDatabase,
    yard::{Yard, copy_connectors},
};

fn of<'v>(report: &'v Value, check: &str) -> &'v Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|found| found["check"] == check).unwrap_or_else(|| panic!("no {check} in {report}"))
}

/// The level of a look; everything that is not well has a remedy.
fn level(report: &Value, check: &str) -> String {
    for found in report["checks"].as_array().unwrap() {
        assert_eq!(found["level"] == "ok", found["remedy"].is_null(), "{found}");
    }
    of(report, check)["level"].as_str().unwrap().to_owned()
}

async fn look(home: &Home, code: i32) -> Value {
    let done: Finished = home.run(&["doctor", "--json"]).await;
    assert_eq!(done.code(), Some(code), "{done}");
    let told = home.run(&["doctor"]).await;
    assert_eq!(told.code(), Some(code), "{told}");
    done.json()
}

on_both_engines!(p19_doctor_tells_what_is_well_what_is_not_and_what_to_do, |db| {
    let mut yard = Yard::applied(db, 1, 0).await;
    let home = &mut yard.home;
    let report = look(home, 0).await;
    for check in
        ["settings", "database", "schema", "clock", "rights", "connections", "connectors", "listener", "key", "log"]
    {
        assert_eq!(level(&report, check), "ok", "{report}");
    }
    // The switch for development is loud, and no warning in production.
    assert_eq!(level(&report, "network"), "warn");
    assert!(of(&report, "network")["detail"].as_str().unwrap().contains("PRIVATE NETWORKS MAY BE CALLED"), "{report}");
    let told = home.run(&["doctor"]).await;
    assert!(told.stdout.contains("WARN  network") && told.stdout.contains("do: empty http.allow_private"), "{told}");
    home.setting("environment", "production").setting("log.level", "debug");
    let report = look(home, 6).await;
    assert_eq!((level(&report, "network"), level(&report, "log")), ("fail".to_owned(), "warn".to_owned()));
    home.setting("http.allow_private", "");
    assert_eq!(level(&look(home, 0).await, "network"), "ok");

    // A taken address, a key that others read, a connector that does not load, a connection that waits.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let key = home.write("key", "x");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    home.write("connectors/broken/manifest.yaml", "type: DeclarativeSource\n");
    db.sql.ok("update integration_connections set status = 'needs_auth' where connection_key = 'acme-hubspot'").await;
    home.setting("server.listen", taken.local_addr().unwrap()).setting("vault.key_file", key.display());
    let report = look(home, 2).await;
    for (check, expected) in [("listener", "warn"), ("key", "fail"), ("connectors", "fail"), ("connections", "warn")] {
        assert_eq!(level(&report, check), expected, "{report}");
    }
    assert!(of(&report, "connections")["detail"].as_str().unwrap().contains("acme-hubspot"), "{report}");
    yard.end().await;
});

on_both_engines!(doctor_tells_a_schema_that_is_behind_and_a_database_that_is_away, |db| {
    db.sql.ok("delete from _sqlx_migrations where version = 29").await;
    let mut home = Home::new();
    copy_connectors(&home.path().join("connectors"));
    home.setting("database.url", db.url());
    let report = look(&home, 2).await;
    assert_eq!((level(&report, "database"), level(&report, "schema")), ("ok".to_owned(), "fail".to_owned()));

    if db.is_mysql() {
        home.setting("database.url", "mysql://nobody:hush@127.0.0.1:9/none")
            .setting("database.acquire_timeout_ms", "500");
        let done = home.run(&["doctor"]).await;
        assert_eq!(done.code(), Some(75), "{done}");
        assert!(done.stdout.contains("FAIL  database") && done.stdout.contains("ok    connectors"), "{done}");
        assert!(!done.stdout.contains("hush") && !done.stderr.contains("hush"), "{done}");
    }
});

#[tokio::test]
async fn doctor_makes_no_database_where_there_is_none() {
    let home = Home::new();
    copy_connectors(&home.path().join("connectors"));
    let report = look(&home, 2).await;
    assert_eq!(level(&report, "database"), "fail");
    assert!(!home.path().join("var").exists(), "a look changes nothing");
}

#[tokio::test]
async fn doctor_tells_wrong_settings_all_at_once() {
    let mut home = Home::new();
    home.setting("log.format", "loud").setting("database.require_narrow_user", "maybe");
    let report = look(&home, 2).await;
    assert_eq!(report["failures"], 2, "{report}");
    assert_eq!(level(&report, "settings"), "fail");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p19_doctor_warns_of_a_wide_user_and_fails_where_a_narrow_one_is_required() {
    TestDatabase::mysql()
        .await
        .run(async |db: &TestDatabase| {
            let mut home = Home::new();
            copy_connectors(&home.path().join("connectors"));
            home.setting("database.url", db.url());
            assert_eq!(level(&look(&home, 0).await, "rights"), "warn");
            home.setting("database.require_narrow_user", "yes");
            let report = look(&home, 6).await;
            assert!(of(&report, "rights")["remedy"].as_str().unwrap().contains("tidegate grants"), "{report}");
        })
        .await;
}

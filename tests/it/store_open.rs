//! Opening: URLs, logins, versions, and rows of a newer program.

use std::sync::Arc;

use tidegate::store::{OpenOptions, StoreError, open};

use crate::{
    store_ground::lay,
    support::databases::{RealClock, TestDatabase},
};

on_both_engines!(the_engine_and_the_server_are_told, |db| {
    let version = db.store().server_version().await.expect("a version");
    if db.is_mysql() {
        assert_eq!(db.store().engine(), "mysql");
        assert!(version.starts_with("MariaDB ") || version.starts_with("MySQL "), "{version}");
    } else {
        assert_eq!(db.store().engine(), "sqlite");
        assert!(version.starts_with("SQLite 3."), "{version}");
    }
});

on_both_engines!(a_row_that_this_program_does_not_know_is_named, |db| {
    lay(db.store()).await;
    db.sql.ok("update integration_connections set scopes = '[\"a\"]'").await;
    // As a newer program would leave it: the CHECK gone, a new word.
    if db.is_mysql() {
        db.sql.ok("alter table integration_connections drop constraint ck_integration_connections_status").await;
        db.sql.ok("update integration_connections set status = 'frozen' where connection_key = 'bolt-hubspot'").await;
    } else {
        db.sql.ok("pragma ignore_check_constraints = on; update integration_connections set status = 'frozen' where connection_key = 'bolt-hubspot'; pragma ignore_check_constraints = off").await;
    }
    let answer = db.open().await.connections().await;
    let Err(StoreError::Inconsistent { table, column, row, detail }) = answer else { panic!("{answer:?}") };
    assert_eq!((table, column, row.as_str()), ("integration_connections", "status", "2"));
    assert!(detail.contains("frozen") && detail.contains("manual_import"), "{detail}");
});

#[tokio::test]
async fn a_url_that_cannot_work_is_told_without_its_password() {
    let clock = || Arc::new(RealClock);
    for url in [
        "postgres://u:hunter2@h/db",
        "mysql://u:hunter2@127.0.0.1:bad/db",
        "mysql://u:hunter2@127.0.0.1/",
        "sqlite::memory:",
        "hunter2",
    ] {
        let Err(error) = open(&OpenOptions::new(url), clock()).await else { panic!("{url} was opened") };
        assert!(matches!(error, StoreError::Settings(_)), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    assert!(!format!("{:?}", OpenOptions::new("mysql://u:hunter2@h/db")).contains("hunter2"));
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/made/on/the/way/t.db", folder.path().display());
    let store = open(&OpenOptions::new(url), clock()).await.expect("its folders are made");
    store.ping().await.expect("an answer");
    store.close().await;
}

#[tokio::test]
async fn a_login_that_is_refused_is_a_matter_of_settings() {
    TestDatabase::empty_mysql()
        .await
        .run(async |db| {
            let (scheme, rest) = db.url().split_once("://").expect("a URL");
            let (_, address) = rest.split_once('@').expect("a login");
            let url = format!("{scheme}://nobody:hunter2@{address}");
            let Err(error) = open(&OpenOptions::new(url), Arc::new(RealClock)).await else { panic!("let in") };
            assert!(matches!(error, StoreError::Settings(_)), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        })
        .await;
}

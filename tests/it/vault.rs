//! P18, P15: what Tidegate keeps for a connection opens for that connection alone, with the right key alone, and never stands anywhere
//! in the clear.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tidegate::{
    connector::{
        ErrorKind,
        http::{GateOptions, HttpGate},
    },
    store::{
        SharedStore,
        catalogue::{Connection, Declaration},
    },
    vault::{Holding, KeySource, LocalKey, Vault, VaultError, VaultOptions},
};

use crate::{
    store_ground::{act, two_clients},
    support::databases::{RealClock, TestDatabase},
};

pub const SECRET: &str = "pat-sim-canary-7f3a9b";

/// A gate that reaches this machine; one call takes two seconds at most.
pub fn gate() -> Arc<HttpGate> {
    let options = GateOptions {
        allow_private: vec!["127.0.0.0/8".to_owned()],
        connect_timeout: Duration::from_secs(2),
        total_timeout: Duration::from_secs(5),
        ..GateOptions::default()
    };
    HttpGate::new(options, Arc::new(RealClock)).unwrap()
}

/// Two clients whose connections use `vault:<connection>`.
pub async fn lay(db: &TestDatabase, refresh_policy: &str) {
    let mut declaration: Declaration = two_clients();
    for connection in &mut declaration.connections {
        connection.credential_ref = Some(format!("vault:{}", connection.connection_key));
        connection.refresh_policy = Some(refresh_policy.to_owned());
    }
    db.store().declare(&declaration).await.expect("the declaration");
}

pub async fn connection(store: &SharedStore, key: &str) -> Connection {
    store.connection(key).await.expect("an answer").expect("a connection")
}

/// Makes a key file.
pub fn key(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    LocalKey::generate(&path).expect("a key");
    path
}

pub fn vault(store: &SharedStore, keys: &[&PathBuf]) -> Arc<Vault> {
    let options = VaultOptions {
        current: Some(KeySource::File(keys[0].clone())),
        others: keys[1..].iter().map(|path| KeySource::File((*path).clone())).collect(),
        ..VaultOptions::default()
    };
    Vault::new(Arc::clone(store), gate(), options, Holding::named("a test"))
}

async fn put(vault: &Vault, store: &SharedStore, key: &str, secret: &str) {
    let connection = connection(store, key).await;
    vault.set(key, &connection, &SecretString::from(secret), None, &act("credential.set")).await.expect("it is stored");
}

/// What a connector of that connection gets.
async fn read(vault: &Arc<Vault>, store: &SharedStore, key: &str) -> Result<String, ErrorKind> {
    let source = vault.source(&connection(store, key).await).expect("a source");
    let secret = source.read().await.map_err(|error| {
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
        error.kind
    })?;
    Ok(secret.expect("a secret").expose_secret().to_owned())
}

on_both_engines!(p15_a_secret_comes_out_for_its_own_connection_and_nobody_elses, |db| {
    lay(db, "none").await;
    let (folder, store) = (tempfile::tempdir().unwrap(), db.store());
    let vault = vault(store, &[&key(folder.path(), "kek")]);
    put(&vault, store, "acme-hubspot", SECRET).await;
    assert_eq!(read(&vault, store, "acme-hubspot").await, Ok(SECRET.to_owned()));
    assert_eq!(read(&vault, store, "bolt-hubspot").await, Err(ErrorKind::Unauthorized));
    // Another client's connection that names it gets nothing, and cannot store over it.
    let mut bolt = connection(store, "bolt-hubspot").await;
    bolt.spec.credential_ref = Some("vault:acme-hubspot".to_owned());
    let stolen = vault.source(&bolt).unwrap().read().await.map(|_| ()).unwrap_err();
    assert_eq!(stolen.kind, ErrorKind::Unauthorized);
    let over = vault.set("acme-hubspot", &bolt, &SecretString::from("x"), None, &act("credential.set")).await;
    assert!(matches!(over, Err(VaultError::Refused { .. })), "{over:?}");
    // The database itself refuses a row whose client and connection disagree.
    let refused = db.sql.run("update integration_credentials set client_id = client_id + 1").await.unwrap_err();
    assert!(refused.as_database_error().is_some_and(|error| error.is_foreign_key_violation()), "{refused}");
});

/// The ciphertext with another first letter than it has. SQLite has `concat` from 3.44 on only.
fn changed_byte(mysql: bool) -> &'static str {
    if mysql {
        "concat(case when substr(ciphertext, 1, 1) = 'A' then 'B' else 'A' end, substr(ciphertext, 2))"
    } else {
        "case when substr(ciphertext, 1, 1) = 'A' then 'B' else 'A' end || substr(ciphertext, 2)"
    }
}

on_both_engines!(p18_ciphertext_that_was_moved_to_another_row_client_version_or_column_does_not_open, |db| {
    lay(db, "none").await;
    let (folder, store) = (tempfile::tempdir().unwrap(), db.store());
    let vault = vault(store, &[&key(folder.path(), "kek")]);
    put(&vault, store, "acme-hubspot", SECRET).await;
    put(&vault, store, "bolt-hubspot", "another").await;
    db.sql.ok("create table kept as select * from integration_credentials").await;
    let columns = ["wrapped_key", "nonce", "ciphertext"];
    let from = |table: &str, column: &str, key: &str| {
        format!("(select k.{column} from {table} k where k.credential_key = '{key}')")
    };
    let of_bolt = |column: &str| format!("{column} = {}", from("kept", column, "bolt-hubspot"));
    let restore = {
        let all: Vec<_> = ["connection_id", "client_id", "credential_key", "version", "key_id"]
            .iter()
            .chain(&columns)
            .map(|column| format!("{column} = (select k.{column} from kept k where k.id = integration_credentials.id)"))
            .collect();
        format!("update integration_credentials set {}", all.join(", "))
    };
    let acme = "where credential_key = 'acme-hubspot'";
    let moves = [
        (
            "the ciphertext of another client",
            format!("update integration_credentials set {}, {} {acme}", of_bolt("nonce"), of_bolt("ciphertext")),
        ),
        (
            "the wrapped key of another client",
            format!("update integration_credentials set {} {acme}", of_bolt("wrapped_key")),
        ),
        (
            "everything of another client",
            format!("update integration_credentials set {} {acme}", columns.map(of_bolt).join(", ")),
        ),
        ("another version", format!("update integration_credentials set version = version + 1 {acme}")),
        (
            "another column",
            format!(
                "update integration_credentials set ciphertext = {} {acme}",
                from("kept", "wrapped_key", "acme-hubspot")
            ),
        ),
        (
            "the wrapped key from another column",
            format!(
                "update integration_credentials set wrapped_key = {} {acme}",
                from("kept", "ciphertext", "acme-hubspot")
            ),
        ),
        (
            "a changed byte",
            format!("update integration_credentials set ciphertext = {} {acme}", changed_byte(db.is_mysql())),
        ),
        ("no base64", format!("update integration_credentials set ciphertext = 'hush hush' {acme}")),
        ("another key's name", format!("update integration_credentials set key_id = 'local:0000000000000000' {acme}")),
        ("another cipher's name", format!("update integration_credentials set algorithm = 'rot13' {acme}")),
    ];
    for (what, sql) in moves {
        db.sql.ok(&sql).await;
        assert_eq!(read(&vault, store, "acme-hubspot").await, Err(ErrorKind::Vault), "{what}");
        db.sql.ok(&restore).await;
        db.sql.ok("update integration_credentials set algorithm = 'xchacha20poly1305'").await;
        assert_eq!(read(&vault, store, "acme-hubspot").await, Ok(SECRET.to_owned()), "after {what}");
    }
    // The whole row under another client's connection and another key.
    db.sql.ok("delete from integration_credentials where credential_key = 'bolt-hubspot'").await;
    db.sql
        .ok(&format!(
            "update integration_credentials set credential_key = 'bolt-hubspot', connection_id = {}, client_id = {} {acme}",
            from("kept", "connection_id", "bolt-hubspot"),
            from("kept", "client_id", "bolt-hubspot")
        ))
        .await;
    assert_eq!(read(&vault, store, "bolt-hubspot").await, Err(ErrorKind::Vault));
    db.sql.ok("drop table kept").await;
});

on_both_engines!(p18_a_wrong_key_opens_nothing_and_says_which_one_is_needed, |db| {
    lay(db, "none").await;
    let (folder, store) = (tempfile::tempdir().unwrap(), db.store());
    let (right, wrong) = (key(folder.path(), "right"), key(folder.path(), "wrong"));
    put(&vault(store, &[&right]), store, "acme-hubspot", SECRET).await;
    let needed =
        LocalKey::from_file(&right).ok().map(|key| tidegate::vault::KeyEncryptionKey::id(&key).to_owned()).unwrap();
    let source = vault(store, &[&wrong]).source(&connection(store, "acme-hubspot").await).unwrap();
    let error = source.read().await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Vault);
    assert!(error.message.contains(&needed) && error.message.contains("previous_key_files"), "{error}");
    let none = Vault::new(Arc::clone(store), gate(), VaultOptions::default(), Holding::named("a test"));
    let error = none.source(&connection(store, "acme-hubspot").await).unwrap().read().await.map(|_| ()).unwrap_err();
    assert!(error.message.contains("credential key --out"), "{error}");
});

on_both_engines!(p18_a_rewrap_that_was_cut_off_goes_on_where_it_was_and_a_dry_run_changes_nothing, |db| {
    lay(db, "none").await;
    let (folder, store) = (tempfile::tempdir().unwrap(), db.store());
    let (old, new) = (key(folder.path(), "old"), key(folder.path(), "new"));
    let before = vault(store, &[&old]);
    let acme = connection(store, "acme-hubspot").await;
    for n in 0..150 {
        let secret = SecretString::from(format!("{SECRET}-{n}"));
        before.set(&format!("k{n}"), &acme, &secret, None, &act("credential.set")).await.unwrap();
    }
    let both = vault(store, &[&new, &old]);
    let new_id = both.keys().await.unwrap().current().id().to_owned();
    let under_new = format!("select count(*) from integration_credentials where key_id = '{new_id}'");
    let dry = both.rewrap(false, true).await.unwrap();
    assert_eq!((dry.rewrapped.len(), dry.failed.len(), db.sql.number(&under_new).await), (150, 0, 0));

    let half = {
        let both = Arc::clone(&both);
        tokio::spawn(async move { both.rewrap(false, false).await })
    };
    crate::support::daemon::eventually("some are wrapped anew", async || {
        (db.sql.number(&under_new).await > 3).then_some(())
    })
    .await;
    half.abort();
    let _ = half.await;
    let done = db.sql.number(&under_new).await;
    let spoilt = "update integration_credentials set wrapped_key = 'AAAA' where credential_key = 'k149'";
    let kept =
        db.sql.rows("select wrapped_key, key_id from integration_credentials where credential_key = 'k149'").await;
    db.sql.ok(spoilt).await;
    let rest = both.rewrap(false, false).await.unwrap();
    // A row that does not open is told and stays; the others go on.
    if kept[0][1].as_deref() != Some(new_id.as_str()) {
        assert_eq!(rest.failed.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["k149"]);
    }
    let wrapped = kept[0][0].clone().unwrap();
    db.sql
        .ok(&format!("update integration_credentials set wrapped_key = '{wrapped}' where credential_key = 'k149'"))
        .await;
    both.rewrap(false, false).await.unwrap();
    assert!(done < 150, "the first rewrap was cut off");
    assert_eq!(db.sql.number(&under_new).await, 150);
    let after = vault(store, &[&new]);
    for n in [0, 77, 149] {
        let mut of = acme.clone();
        of.spec.credential_ref = Some(format!("vault:k{n}"));
        let secret = after.source(&of).unwrap().read().await.unwrap().unwrap();
        assert_eq!(secret.expose_secret(), format!("{SECRET}-{n}"));
    }
    assert_eq!(after.rewrap(false, false).await.unwrap().current, 150);
});

on_both_engines!(p18_a_rotated_secret_has_a_new_version_and_a_revoked_one_is_gone_for_good, |db| {
    lay(db, "none").await;
    let (folder, store) = (tempfile::tempdir().unwrap(), db.store());
    let vault = vault(store, &[&key(folder.path(), "kek")]);
    put(&vault, store, "acme-hubspot", SECRET).await;
    let sealed =
        async || db.sql.rows("select version, wrapped_key, nonce, ciphertext from integration_credentials").await;
    let first = sealed().await;
    let change = vault.rotate("acme-hubspot", None, &act("credential.rotate")).await.unwrap();
    assert_eq!(change.version, 2);
    assert!(
        first[0].iter().zip(&sealed().await[0]).all(|(before, after)| before != after),
        "nothing of the former version stays"
    );
    assert_eq!(read(&vault, store, "acme-hubspot").await, Ok(SECRET.to_owned()));
    let new = SecretString::from("a newer one");
    vault.rotate("acme-hubspot", Some((&new, None)), &act("credential.rotate")).await.unwrap();
    assert_eq!(read(&vault, store, "acme-hubspot").await, Ok("a newer one".to_owned()));

    vault.revoke("acme-hubspot", &act("credential.revoke")).await.unwrap();
    assert_eq!(read(&vault, store, "acme-hubspot").await, Err(ErrorKind::Unauthorized));
    assert_eq!(sealed().await[0][1..], vec![Some(String::new()); 3]);
    assert!(vault.rotate("acme-hubspot", None, &act("credential.rotate")).await.is_err());
    assert!(vault.revoke("acme-hubspot", &act("credential.revoke")).await.is_err());
    let back = db.sql.run("update integration_credentials set ciphertext = 'x'").await;
    assert!(back.is_err(), "the database keeps a revoked row empty");
    let actions = db.store().admin_actions(10).await.unwrap();
    let done: Vec<_> = actions
        .iter()
        .map(|(_, action)| action.action.as_str())
        .filter(|action| action.starts_with("credential"))
        .collect();
    assert_eq!(done, ["credential.revoke", "credential.rotate", "credential.rotate", "credential.set"]);
    put(&vault, store, "acme-hubspot", SECRET).await;
    assert_eq!(read(&vault, store, "acme-hubspot").await, Ok(SECRET.to_owned()));
});

/// Every cell of every table as text, under each other.
pub async fn dump(db: &TestDatabase) -> String {
    let tables = if db.is_mysql() {
        "select table_name from information_schema.tables where table_schema = database() and table_type = 'BASE TABLE'"
    } else {
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
    };
    let mut text = String::new();
    for table in db.sql.rows(tables).await {
        let table = table[0].clone().unwrap();
        if table == "_sqlx_migrations" {
            continue;
        }
        let columns = if db.is_mysql() {
            format!(
                "select column_name from information_schema.columns where table_schema = database() and table_name = '{table}'"
            )
        } else {
            format!("select name from pragma_table_info('{table}')")
        };
        let kind = if db.is_mysql() { "char" } else { "text" };
        let columns: Vec<_> = db
            .sql
            .rows(&columns)
            .await
            .into_iter()
            .map(|row| format!("cast(`{}` as {kind})", row[0].clone().unwrap()))
            .collect();
        for row in db.sql.rows(&format!("select {} from {table}", columns.join(", "))).await {
            text.extend(row.into_iter().flatten().map(|cell| cell + "\n"));
        }
    }
    text
}

on_both_engines!(p18_a_dump_of_the_whole_database_holds_no_secret_in_any_form, |db| {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    lay(db, "none").await;
    let (folder, store) = (tempfile::tempdir().unwrap(), db.store());
    let path = key(folder.path(), "kek");
    let vault = vault(store, &[&path]);
    put(&vault, store, "acme-hubspot", SECRET).await;
    vault.rotate("acme-hubspot", None, &act("credential.rotate")).await.unwrap();
    let dump = dump(db).await;
    assert!(dump.contains("acme-hubspot") && dump.contains("xchacha20poly1305"));
    let kek = std::fs::read_to_string(&path).unwrap();
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    for form in [SECRET, &STANDARD.encode(SECRET), &hex, kek.trim()] {
        assert!(!dump.contains(form), "{form}");
    }
});

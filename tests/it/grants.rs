//! P19: the daemon's database user cannot change the schema; the daemon proves it at start and refuses otherwise.
//!
//! The server's user of these tests must be allowed to make users and to grant, as the private server of `make test` is.

use tidegate::store::{SharedStore, StoreError, rights::Rights};

use crate::support::{
    daemon::{Finished, Home},
    databases::{Sql, TestDatabase, open_url},
    yard::Yard,
};

const CAN_GRANT: &str =
    "the user of TIDEGATE_TEST_MYSQL_URL may make users and grant (all privileges, with grant option)";

/// The SQL that the real program prints for this database.
async fn printed(home: &mut Home, db: &TestDatabase, args: &[&str]) -> String {
    home.setting("database.url", db.url());
    let done = home.run_ok(&[&["grants"], args].concat()).await;
    assert!(
        !done.stdout.contains("bench") && !done.stderr.contains("bench"),
        "no word of the URL but the schema\n{done}"
    );
    done.stdout
}

async fn as_user(db: &TestDatabase, name: &str, password: &str) -> Sql {
    let options = db.url_as(name, password).parse().unwrap();
    Sql::MySql(sqlx::mysql::MySqlPoolOptions::new().max_connections(1).connect_lazy_with(options))
}

/// The server's number of a denial.
async fn denied(sql: &Sql, statement: &str) {
    let error = sql.run(statement).await.expect_err(statement);
    let text = error.to_string();
    assert!(text.contains("denied"), "{statement}: {text}");
}

async fn rights(store: &SharedStore) -> Rights {
    store.rights().await.unwrap().expect("a server with users")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p19_the_printed_users_can_do_their_work_and_nothing_else() {
    TestDatabase::empty_mysql()
        .await
        .run(async |db: &TestDatabase| {
            let mut home = Home::new();
            let prefix = TestDatabase::user_prefix();
            let all = printed(&mut home, db, &["--prefix", &prefix]).await;
            db.sql.run(&all).await.expect_err("what is not filled in is refused");
            let (before, after) = all.split_once("-- 2.").unwrap();
            let password = db.make_users(before, &prefix).await.expect(CAN_GRANT);
            let name = |role: &str| format!("{prefix}_{role}");

            // The migrate user makes the schema, by the program.
            home.setting("database.url", db.url_as(&name("migrate"), password));
            home.run_ok(&["migrate"]).await;
            db.make_users(&format!("-- 2.{after}"), &prefix).await.unwrap();

            let runtime = as_user(db, &name("runtime"), password).await;
            runtime.ok("insert into core_clients (client_key, name, status) values ('acme', 'Acme', 'active')").await;
            runtime.ok("update core_clients set name = 'Acme Plumbing'").await;
            for table in [
                "integration_raw_events",
                "integration_sync_pages",
                "integration_sync_errors",
                "integration_sync_runs",
                "data_quality_checks",
            ] {
                runtime.ok(&format!("delete from {table}")).await;
            }
            for statement in [
                "create table x (id int)",
                "create temporary table x (id int)",
                "create view x as select 1",
                "alter table core_clients add column x int",
                "drop table core_clients",
                "truncate table core_clients",
                "delete from core_clients",
                "delete from event_admin_actions",
                "delete from crm_leads",
                "delete from metric_snapshots",
                "delete from report_metrics",
                "update data_quality_checks set status = 'passed'",
                "update event_admin_actions set actor = 'x'",
                "update _sqlx_migrations set success = true",
                "create user x",
                "grant select on core_clients to x",
                "select * from mysql.user",
            ] {
                denied(&runtime, statement).await;
            }
            let report = as_user(db, &name("report"), password).await;
            report.ok("select count(*) from crm_leads").await;
            report.ok("select count(*) from integration_sync_runs").await;
            for statement in ["select payload from integration_raw_events", "update crm_leads set stage = 'x'"] {
                denied(&report, statement).await;
            }
            let portal = as_user(db, &name("portal"), password).await;
            portal.ok("select count(*) from portal_cards").await;
            for statement in [
                "select * from report_metrics",
                "select * from core_clients",
                "insert into core_clients (client_key) values ('x')",
            ] {
                denied(&portal, statement).await;
            }

            let store = open_url(&db.url_as(&name("runtime"), password)).await;
            assert_eq!(rights(&store).await, Rights::default());
            let Err(StoreError::Denied { detail }) = store.migrate().await.map_err(undressed) else {
                panic!("the runtime user does not migrate");
            };
            assert!(!detail.contains(&prefix), "{detail}");
            store.close().await;
            let store = open_url(&db.url_as(&name("report"), password)).await;
            let found = rights(&store).await;
            assert!(found.excess.is_empty() && found.missing.contains(&"INSERT on crm_leads".to_owned()), "{found:?}");
            store.close().await;
        })
        .await;
}

/// A migration's own wrapping says no more than what it wraps.
fn undressed(error: StoreError) -> StoreError {
    match error {
        StoreError::Schema(text) if text.contains("denied") || text.contains("may not do") => {
            StoreError::Denied { detail: text }
        }
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p19_rights_that_come_by_patterns_roles_and_everybody_are_found() {
    TestDatabase::mysql()
        .await
        .run(async |db: &TestDatabase| {
            let prefix = TestDatabase::user_prefix();
            let schema = db.schema();
            let sql = tidegate::store::rights::users::users_sql(schema, &prefix)
                + &tidegate::store::rights::users::tables_sql(schema, &prefix);
            let password = db.make_users(&sql, &prefix).await.expect(CAN_GRANT);
            let runtime = format!("'{prefix}_runtime'@'%'");
            let role = format!("{prefix}_role");
            let outer = format!("{prefix}_outer");
            db.sql.ok(&format!("create role {role}; create role {outer}; grant {role} to {outer}")).await;
            let pattern = format!("{}%", &schema[..20]);
            let store = open_url(&db.url_as(&format!("{prefix}_runtime"), password)).await;
            let mut problems = Vec::new();
            for (grant, undo, expected) in [
                (
                    format!("grant create on `{pattern}`.* to {runtime}"),
                    format!("revoke create on `{pattern}`.* from {runtime}"),
                    "CREATE on tg_",
                ),
                (
                    format!("grant drop on `{schema}`.crm_leads to {runtime}"),
                    format!("revoke drop on `{schema}`.crm_leads from {runtime}"),
                    "DROP on tg_",
                ),
                (
                    format!("grant process on *.* to {runtime}"),
                    format!("revoke process on *.* from {runtime}"),
                    "PROCESS on *.*",
                ),
                (
                    format!("grant alter on `{schema}`.* to {role}; grant {outer} to {runtime}"),
                    format!("revoke {outer} from {runtime}; revoke alter on `{schema}`.* from {role}"),
                    "ALTER on tg_",
                ),
                (
                    format!("grant {role} to {runtime} with admin option"),
                    format!("revoke {role} from {runtime}"),
                    "a role that may be passed on",
                ),
                (
                    format!("grant select on `{schema}`.crm_leads to {runtime} with grant option"),
                    format!("revoke grant option on `{schema}`.crm_leads from {runtime}"),
                    "GRANT OPTION on tg_",
                ),
            ] {
                db.sql.ok(&grant).await;
                let found = rights(&store).await;
                db.sql.ok(&undo).await;
                if found.excess.len() != 1 || !found.excess[0].starts_with(expected) {
                    problems.push(format!("{grant}: {found:?}"));
                }
            }
            let after = rights(&store).await;
            store.close().await;
            let _ = db.sql.run(&format!("drop role {role}; drop role {outer}")).await;
            assert_eq!(problems, [""; 0]);
            assert_eq!(after, Rights::default());
        })
        .await;
}

/// A started program that was refused for safety.
fn refused(done: &Finished, secret: &str) {
    assert_eq!(done.code(), Some(6), "{done}");
    for part in ["ALL PRIVILEGES", "tidegate grants", "do: "] {
        assert!(done.stderr.contains(part), "{part}: {done}");
    }
    assert!(!done.stderr.contains(secret) && !done.stderr.contains("IDENTIFIED"), "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p19_production_refuses_a_wide_user_with_exit_code_6_and_the_rest_is_warned() {
    TestDatabase::mysql().await.run(async |db: &TestDatabase| {
        let mut yard = Yard::new(db, 3, 0).await;
        let wide = db.url().to_owned();
        let secret = wide.split([':', '@']).nth(2).unwrap().to_owned();
        yard.declare(&yard.declaration("sandbox", "every 30d", false)).await;
        let run_once = ["run-once", "--connection", "acme-hubspot"];

        // As the runtime user: nothing to say.
        let done = yard.home.run_ok(&run_once).await;
        assert!(yard.url() != wide, "{CAN_GRANT}");
        assert!(!done.stderr.contains("the database user"), "{done}");

        // As a wide one, without production: warned once.
        yard.home.setting("database.url", &wide);
        let done = yard.home.run_ok(&run_once).await;
        assert_eq!(done.stderr.matches("the database user may do more").count(), 1, "{done}");
        assert!(!done.stderr.contains(&secret), "{done}");

        // Asked for, and by a production connection: refused, by both ways to run.
        yard.home.setting("database.require_narrow_user", "yes");
        refused(&yard.home.run(&run_once).await, &secret);
        yard.home.setting("database.require_narrow_user", "auto");
        db.sql.ok("update integration_connections set environment = 'production' where connection_key = 'bright-hubspot'").await;
        refused(&yard.home.run(&run_once).await, &secret);
        refused(&yard.home.run(&["run"]).await, &secret);
        let runs = db.sql.number("select count(*) from integration_sync_runs").await;
        assert_eq!(runs, 2, "a refused start begins no run");
        yard.home.setting("database.require_narrow_user", "no");
        yard.home.run_ok(&run_once).await;
        yard.end().await;
    }).await;
}

#[tokio::test]
async fn p19_on_sqlite_there_is_nothing_to_grant_and_nothing_to_prove() {
    TestDatabase::sqlite()
        .await
        .run(async |db: &TestDatabase| {
            assert_eq!(db.store().rights().await.unwrap(), None);
            let mut home = Home::new();
            home.setting("database.url", db.url()).setting("database.require_narrow_user", "yes");
            crate::support::yard::copy_connectors(&home.path().join("connectors"));
            let done = home.run_ok(&["grants"]).await;
            assert!(done.stdout.contains("SQLite has no users") && !done.stdout.contains("grant select"), "{done}");
            assert_eq!(home.run_ok(&["grants", "--json"]).await.json()["applicable"], false);
            home.run_ok(&["run-once"]).await;
        })
        .await;
}

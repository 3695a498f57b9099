//! P13, P8: two processes, one credential, and a provider that voids a refresh token the moment it is used, with `kill -9` in between.

use std::time::Duration;

use serde_json::json;
use tidegate::simulator::{Fault, FaultKind, Gate, tokens::TOKEN_PATH};

use crate::support::{
    daemon::{Daemon, PATIENCE, eventually},
    databases::TestDatabase,
    yard::{ACME_PORTAL, Yard},
};

const CLIENT: &str = "acme-app";
const CHECK: [&str; 3] = ["connection", "check", "acme-hubspot"];
const HOUR: Duration = Duration::from_secs(3600);
const END: &str = "update integration_credentials set expires_at = stored_at";

/// acme's connection with a stored OAuth credential.
async fn yard(db: &TestDatabase) -> Yard<'_> {
    let mut yard = Yard::new(db, 5, 0).await;
    let kek = yard.home.path().join("kek");
    yard.home.setting("vault.key_file", kek.display()).setting("http.request_timeout_ms", 20_000);
    yard.home.run_ok(&["credential", "key", "--out", "kek"]).await;
    let text = yard.declaration("sandbox", "every 30d", false).replacen("env:ACME_TOKEN", "vault:acme", 1).replacen(
        "refresh_policy: none",
        "refresh_policy: oauth2",
        1,
    );
    yard.declare(&text).await;
    let (access_token, refresh_token) = yard.simulator.tokens().client(CLIENT, "sim-client-secret", ACME_PORTAL, HOUR);
    let document = json!({
        "access_token": access_token, "refresh_token": refresh_token, "expires_in": 3600, "client_id": CLIENT,
        "client_secret": "sim-client-secret", "token_url": format!("{}{TOKEN_PATH}", yard.simulator.base_url()),
    });
    let stored =
        yard.home.run_with(&["credential", "set", "acme", "--connection", "acme-hubspot"], &document.to_string()).await;
    assert_eq!(stored.code(), Some(0), "{stored}");
    yard
}

fn asked(yard: &Yard<'_>) -> usize {
    yard.simulator.oracle().calls().iter().filter(|call| call.path == TOKEN_PATH).count()
}

/// The process that holds the lease on the refresh.
async fn holder(yard: &Yard<'_>) -> u32 {
    eventually("somebody holds the lease", async || {
        let rows = yard.database.sql.rows("select lease_owner from integration_credentials").await;
        rows[0][0].as_deref().and_then(|owner| owner.rsplit('/').nth(1)?.parse().ok())
    })
    .await
}

fn apart(one: Daemon, other: Daemon, pid: u32) -> (Daemon, Daemon) {
    if one.pid() == pid { (one, other) } else { (other, one) }
}

on_both_engines!(p13_a_hundred_rounds_of_two_workers_and_kill_9_lose_no_token, |db| {
    let yard = yard(db).await;
    let (mut kills, begun) = (0, asked(&yard));
    for round in 0..100_u64 {
        yard.simulator.tokens().set_grace(CLIENT, round % 4 == 3);
        db.sql.ok(END).await;
        let version = yard.number("select version from integration_credentials").await;
        let gate = Gate::default();
        let before = asked(&yard);
        let fault = |kind| yard.simulator.fault(Fault::on(1, kind).path(TOKEN_PATH));
        match round % 4 {
            0 | 1 => fault(FaultKind::Hold(gate.clone())),
            3 => fault(FaultKind::Late(gate.clone())),
            _ => {}
        }
        let (one, other) = (yard.home.start(&CHECK), yard.home.start(&CHECK));
        let survivor = match round % 4 {
            // Who asks is killed before the provider has begun; the other takes over at once, for the holder is known to be dead.
            0 => {
                eventually("the provider is asked", async || (asked(&yard) > before).then_some(())).await;
                let (asking, waiting) = apart(one, other, holder(&yard).await);
                asking.kill().await;
                waiting
            }
            // Who waits is killed.
            1 => {
                eventually("the provider is asked", async || (asked(&yard) > before).then_some(())).await;
                let (asking, waiting) = apart(one, other, holder(&yard).await);
                waiting.kill().await;
                gate.open();
                asking
            }
            // One is killed right after the new pair was written.
            2 => {
                eventually("a new pair is stored", async || {
                    (yard.number("select version from integration_credentials").await > version).then_some(())
                })
                .await;
                one.kill().await;
                other
            }
            // Who asked is killed between the provider's answer and the write; this provider has a grace for just that.
            _ => {
                eventually("the provider has answered", async || {
                    (yard.simulator.tokens().counts(CLIENT).0 == round + 2).then_some(())
                })
                .await;
                let (asking, waiting) = apart(one, other, holder(&yard).await);
                asking.kill().await;
                waiting
            }
        };
        kills += 1;
        let done = survivor.wait(PATIENCE).await;
        assert_eq!(done.code(), Some(0), "round {round}: {done}");
        let (issued, refused) = yard.simulator.tokens().counts(CLIENT);
        assert_eq!((issued, refused), (round + 2, 0), "round {round}: one refresh, and none with a used token");
        assert_eq!(yard.number("select version from integration_credentials").await, version + 1, "round {round}");
        assert_eq!(
            db.sql.rows("select refresh_state, lease_owner, refresh_attempts from integration_credentials").await,
            [[Some("idle".to_owned()), None, Some("0".to_owned())]],
            "round {round}"
        );
    }
    // What is stored is what is good: one more, by a process that knows nothing.
    yard.home.run_ok(&CHECK).await;
    let calls = asked(&yard) - begun;
    assert!(kills == 100 && (150..=151).contains(&calls), "{kills} kills, {calls} calls of the token service");
    yard.end().await;
});

on_both_engines!(p13_a_crash_between_answer_and_write_tries_the_old_token_once_and_then_asks_a_person, |db| {
    let yard = yard(db).await;
    db.sql.ok(END).await;
    let gate = Gate::default();
    yard.simulator.fault(Fault::on(1, FaultKind::Late(gate.clone())).path(TOKEN_PATH));
    let first = yard.home.start(&CHECK);
    eventually("the provider has answered", async || (yard.simulator.tokens().counts(CLIENT).0 == 2).then_some(()))
        .await;
    first.kill().await;
    let second = yard.home.run(&CHECK).await;
    assert_eq!((second.code(), asked(&yard)), (Some(4), 2), "{second}");
    assert!(second.stderr.contains("died before its answer was written"), "{second}");
    for _ in 0..3 {
        let later = yard.home.run(&CHECK).await;
        assert_eq!((later.code(), asked(&yard)), (Some(4), 2), "{later}");
    }
    let row = "select status, status_reason from integration_connections where connection_key = 'acme-hubspot'";
    let row = db.sql.rows(row).await;
    assert_eq!(row[0][0].as_deref(), Some("needs_auth"));
    assert!(row[0][1].as_deref().is_some_and(|why| why.contains("authorise again")), "{row:?}");
    // A run says it too, with a sentence that a client may read.
    yard.run_acme().await;
    assert_eq!(
        yard.number("select count(*) from integration_sync_runs where error_code = 'auth_failed'").await,
        0,
        "nothing runs"
    );
    yard.end().await;
});

on_both_engines!(p13_two_crashes_of_one_version_end_without_a_third_call, |db| {
    let yard = yard(db).await;
    yard.simulator.tokens().set_reuse_ends_it(CLIENT, false);
    db.sql.ok(END).await;
    for calls in 1..=2 {
        let gate = Gate::default();
        yard.simulator.fault(Fault::on(1, FaultKind::Hold(gate.clone())).path(TOKEN_PATH));
        let worker = yard.home.start(&CHECK);
        eventually("the provider is asked", async || (asked(&yard) == calls).then_some(())).await;
        worker.kill().await;
    }
    let third = yard.home.run(&CHECK).await;
    assert_eq!((third.code(), asked(&yard)), (Some(4), 2), "{third}");
    yard.end().await;
});

#[tokio::test]
async fn p13_a_run_with_a_revoked_grant_leaves_a_state_and_a_sentence_that_a_client_may_read() {
    TestDatabase::sqlite()
        .await
        .run(async |db| {
            let yard = yard(db).await;
            let ran = yard.run_acme().await;
            assert_eq!(ran.code(), Some(0), "{ran}");
            yard.simulator.tokens().revoke(CLIENT);
            db.sql.ok(END).await;
            let ran = yard.run_acme().await;
            assert_eq!(ran.code(), Some(4), "{ran}");
            let run = yard.newest_run().await;
            assert_eq!(run["error_code"], "auth_failed", "{run}");
            let told = run["error_client_safe"].as_str().unwrap_or_default();
            assert!(told.contains("needs to be confirmed again") && !told.to_lowercase().contains("token"), "{told}");
            assert!(run["error_internal"].as_str().is_some_and(|why| why.contains("revoked or ran out")), "{run}");
            let refused = yard.run_acme().await;
            assert_eq!(refused.code(), Some(5), "{refused}");
            assert_eq!(asked(&yard), 1);
            yard.end().await;
        })
        .await;
}

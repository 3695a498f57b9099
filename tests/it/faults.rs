//! What goes wrong, as it does: kills, freezes, a database that goes away, a provider that misbehaves.

use std::time::Duration;

use tidegate::simulator::{Fault, FaultKind};

use crate::support::{
    daemon::{PATIENCE, eventually},
    databases::{Sql, TestDatabase},
    proxy::Proxy,
    yard::Yard,
};

on_both_engines!(p8_twenty_kills_during_a_pull_then_one_clean_run_leave_every_record_exactly_once, |db| {
    let yard = Yard::applied(db, 10_000, 0).await;
    yard.simulator.set_latency(Duration::from_millis(60));
    let mut kills = 0;
    for round in 0..20_u64 {
        let before = yard.searches();
        let mut program = yard.start_acme();
        // Killed at another point each time: after some requests of this round have been answered.
        let wanted = before + 1 + usize::try_from(round % 3).unwrap();
        eventually("the round has asked its pages", async || {
            (yard.searches() >= wanted || program.has_ended()).then_some(())
        })
        .await;
        if program.has_ended() {
            let early = program.wait(PATIENCE).await;
            panic!("round {round} ended before it could be killed\n{early}");
        }
        program.kill().await;
        kills += 1;
    }
    assert_eq!(kills, 20);
    yard.simulator.set_latency(Duration::ZERO);
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(0), "{done}");
    // What an unfinished listing was resumed from, a full one must agree with.
    let full = yard.home.run(&["run-once", "--connection", "acme-hubspot", "--full", "--json"]).await;
    assert_eq!(full.code(), Some(0), "{full}");
    let run = yard.newest_run().await;
    assert_eq!((&run["records_seen"], &run["records_unchanged"]), (&10_000.into(), &10_000.into()), "{run}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 10_000);
    assert!(yard.number("select count(*) from integration_sync_runs where status = 'abandoned'").await >= 1);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p7_a_worker_frozen_past_its_lease_changes_nothing_when_it_wakes, |db| {
    let mut yard = Yard::applied(db, 2000, 0).await;
    yard.home.setting("scheduler.lease_seconds", "2");
    let held = tidegate::simulator::Gate::default();
    // The first worker's third page hangs at the provider until we let it go.
    yard.simulator.fault(Fault::on(3, FaultKind::Hold(held.clone())).path("search"));
    let zombie = yard.start_acme();
    // Frozen between two transactions: a process that is frozen inside one keeps its row locks, as any other would.
    eventually("two pages are committed and the third is asked for", async || {
        let committed = yard.number("select count(*) from integration_sync_pages").await;
        (committed == 2 && yard.searches() >= 3).then_some(())
    })
    .await;
    zombie.freeze();
    held.open();
    // Another worker waits until the lease has run out by the database's clock, and does the job.
    eventually("the lease has run out and another worker did the job", async || {
        let done = yard.run_acme().await;
        (done.code() == Some(0)).then_some(())
    })
    .await;
    let snapshot = async || {
        let mut all = Vec::new();
        for sql in [
            "select count(*) from crm_leads",
            "select count(*) from integration_raw_events",
            "select count(*) from integration_sync_pages",
            "select coalesce(sum(records_seen), 0) from integration_sync_runs",
            "select max(fence) from integration_sync_jobs",
        ] {
            all.push(yard.number(sql).await);
        }
        all
    };
    let before = snapshot().await;
    zombie.thaw();
    let ended = zombie.wait(PATIENCE).await;
    assert_eq!(ended.code(), Some(75), "{ended}");
    assert_eq!(snapshot().await, before, "the frozen worker wrote something when it woke");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 2000);
    yard.assert_settled().await;
    yard.end().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p8_a_worker_frozen_inside_a_transaction_loses_its_locks() {
    TestDatabase::mysql().await.run(frozen_inside_a_transaction).await;
}

async fn frozen_inside_a_transaction(database: &TestDatabase) {
    let mut yard = Yard::applied(database, 2000, 0).await;
    yard.home.setting("scheduler.lease_seconds", "2");
    let Sql::MySql(pool) = &database.sql else { panic!("this is a server") };
    let held = tidegate::simulator::Gate::default();
    yard.simulator.fault(Fault::on(1, FaultKind::Hold(held.clone())).path("search"));
    let zombie = yard.start_acme();
    eventually("the first page is asked for", async || (yard.searches() >= 1).then_some(())).await;
    // The page, or the lease's renewal, begins a transaction and waits for the job's row, which we hold.
    let mut ours = pool.begin().await.expect("a transaction");
    sqlx::query("select id from integration_sync_jobs for update").execute(&mut *ours).await.expect("the locks");
    held.open();
    let waiting = "select count(*) from information_schema.processlist where db = database() and command <> 'Sleep' and time >= 1 \
                   and info like '%integration_sync_jobs%' and id <> connection_id()";
    eventually("the worker waits inside a transaction", async || {
        (database.sql.number(waiting).await > 0).then_some(())
    })
    .await;
    zombie.freeze();
    ours.rollback().await.expect("a rollback");
    eventually("another worker did the job", async || {
        let done = yard.run_acme().await;
        (done.code() == Some(0)).then_some(())
    })
    .await;
    zombie.thaw();
    let ended = zombie.wait(PATIENCE).await;
    assert_eq!(ended.code(), Some(75), "{ended}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 2000);
    yard.assert_settled().await;
    yard.end().await;
}

on_both_engines!(p10_sigterm_ends_the_open_page_and_gives_the_lease_back, |db| {
    let yard = Yard::applied(db, 3000, 0).await;
    yard.simulator.set_latency(Duration::from_millis(30));
    let program = yard.start_acme();
    eventually("some pages were asked for", async || (yard.searches() >= 4).then_some(())).await;
    program.terminate();
    let ended = program.wait(Duration::from_secs(20)).await;
    assert_eq!(ended.code(), Some(3), "{ended}");
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"partial".into(), &"shutdown".into()), "{run}");
    assert_eq!(yard.number("select count(*) from integration_sync_jobs where lease_until is not null").await, 0);
    yard.assert_settled().await;
    // The next one goes on and ends it.
    yard.simulator.set_latency(Duration::ZERO);
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.number("select count(*) from crm_leads").await, 3000);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p13_a_refused_credential_is_a_state_and_no_call_follows_it, |db| {
    let mut yard = Yard::applied(db, 100, 0).await;
    yard.home.variable("ACME_TOKEN", "pat-sim-wrong-0000");
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(4), "{done}");
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"failed".into(), &"auth_failed".into()), "{run}");
    assert!(run["error_client_safe"].as_str().is_some_and(|t| !t.to_lowercase().contains("hubspot")), "{run}");
    let calls = yard.searches();
    assert!(calls <= 2, "one try, and one more with the credential read anew: {calls}");
    assert_eq!(yard.number("select count(*) from integration_connections where status = 'needs_auth'").await, 1);

    let refused = yard.run_acme().await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    let due = yard.home.run(&["run-once", "--json"]).await;
    assert_eq!(due.code(), Some(0), "the other client goes on: {due}");
    assert_eq!(yard.simulator.oracle().count_of("4711"), 0, "nobody called in acme's name again");
    for text in [&done.stdout, &done.stderr, &refused.stderr] {
        assert!(!text.contains("pat-sim-wrong-0000"), "{text}");
    }

    yard.home.variable("ACME_TOKEN", crate::support::yard::ACME_TOKEN);
    yard.home.run_ok(&["connection", "check", "acme-hubspot"]).await;
    yard.home.run_ok(&["connection", "resume", "acme-hubspot"]).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(
        yard.number(
            "select count(*) from crm_leads where client_id = (select id from core_clients where client_key = 'acme')"
        )
        .await,
        100
    );
    yard.end().await;
});

on_both_engines!(p11_a_limit_is_waited_out_and_counted_and_is_no_failure, |db| {
    let yard = Yard::applied(db, 600, 0).await;
    yard.simulator.fault(Fault::on(2, FaultKind::TooManyRequests { retry_after: Some(1) }).path("search"));
    yard.simulator.fault(Fault::on(4, FaultKind::ServerError).path("search"));
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(0), "{done}");
    let run = yard.newest_run().await;
    assert!(run["retries"].as_i64() >= Some(2), "{run}");
    assert!(run["rate_limited_ms"].as_i64() >= Some(900), "{run}");
    assert_eq!(run["records_created"], 600, "{run}");
    let calls = yard.simulator.oracle().calls();
    let limited = calls.iter().position(|c| c.status == Some(429)).expect("the 429 was given");
    let waited = calls[limited + 1].monotonic - calls[limited].monotonic;
    assert!(waited >= Duration::from_millis(990), "asked again after {waited:?}");
    assert_eq!(i64::try_from(calls.len()).ok(), run["requests"].as_i64(), "each call is counted: {run}");
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p4_a_page_that_is_not_json_fails_the_page_and_keeps_what_came_before, |db| {
    let yard = Yard::applied(db, 800, 0).await;
    yard.simulator.fault(Fault::on(3, FaultKind::NotJson).path("search").times(20));
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(3), "{done}");
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"partial".into(), &"page_unreadable".into()), "{run}");
    assert_eq!(run["records_seen"], run["records_created"], "{run}");
    assert!(run["records_seen"].as_i64() > Some(0) && run["records_seen"].as_i64() < Some(800), "{run}");
    yard.simulator.clear_faults();
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.number("select count(*) from crm_leads").await, 800);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p8_a_provider_that_resets_and_cuts_connections_is_asked_again, |db| {
    let yard = Yard::applied(db, 800, 0).await;
    yard.simulator.fault(Fault::on(1, FaultKind::Reset).path("search"));
    yard.simulator.fault(Fault::on(3, FaultKind::CutBody).path("search"));
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 800);
    assert!(yard.newest_run().await["retries"].as_i64() >= Some(2));
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p9_a_provider_that_pages_in_a_circle_is_stopped_and_named, |db| {
    let yard = Yard::applied(db, 800, 0).await;
    yard.simulator.fault(Fault::on(2, FaultKind::StuckPage).path("search").times(1000));
    let done = yard.run_acme().await;
    let run = yard.newest_run().await;
    assert_eq!(run["error_code"], "pagination_stuck", "{done}\n{run}");
    assert!(yard.searches() < 20, "{} calls", yard.searches());
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p9_a_job_that_keeps_killing_its_worker_is_set_aside_until_a_person_brings_it_back, |db| {
    let mut yard = Yard::applied(db, 100, 0).await;
    yard.home.setting("scheduler.quarantine_after", "2");
    let held = tidegate::simulator::Gate::default();
    yard.simulator.fault(Fault::always(FaultKind::Hold(held.clone())).path("search").times(2));
    for round in 1..=2 {
        let program = yard.start_acme();
        eventually("its first page is asked for", async || (yard.searches() >= round).then_some(())).await;
        program.kill().await;
    }
    let refused = yard.run_acme().await;
    assert_eq!(refused.code(), Some(4), "{refused}");
    assert_eq!(yard.number("select count(*) from integration_sync_jobs where status = 'quarantined'").await, 1);
    assert_eq!(yard.number("select count(*) from event_admin_actions where actor = 'tidegate'").await, 1);
    assert_eq!(yard.run_acme().await.code(), Some(5), "it is not claimed again");
    yard.assert_settled().await;
    yard.home
        .run_ok(&["jobs", "resume", "--connection", "acme-hubspot", "--stream", "contacts", "--reason", "looked at"])
        .await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    held.open();
    yard.end().await;
});

on_both_engines!(p14_a_client_whose_provider_hangs_does_not_delay_another, |db| {
    let mut yard = Yard::new(db, 50, 20).await;
    yard.home.setting("scheduler.workers", "3").setting("scheduler.per_client", "2");
    let held = tidegate::simulator::Gate::default();
    yard.simulator.fault(Fault::always(FaultKind::Hold(held.clone())).account("4711").times(1000));
    yard.declare(&yard.declaration("sandbox", "every 30d", true)).await;
    let daemon = yard.home.start(&["run"]);
    eventually("the other client's jobs are done", async || {
        let done = yard
            .number("select count(*) from integration_sync_runs r join integration_connections c on c.id = r.connection_id where c.connection_key = 'bright-hubspot' and r.status = 'succeeded'")
            .await;
        (done == 2).then_some(())
    })
    .await;
    assert_eq!(
        yard.number("select count(*) from integration_sync_runs r join integration_connections c on c.id = r.connection_id where c.connection_key = 'acme-hubspot' and r.status = 'running'").await,
        2
    );
    daemon.terminate();
    let ended = daemon.wait(PATIENCE).await;
    assert_eq!(ended.code(), Some(0), "{ended}");
    held.open();
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(a_pause_ends_a_run_between_two_pages_and_resume_goes_on, |db| {
    let mut yard = Yard::applied(db, 3000, 0).await;
    yard.home.setting("scheduler.lease_seconds", "3");
    yard.simulator.set_latency(Duration::from_millis(400));
    let program = yard.start_acme();
    eventually("the run has begun", async || (yard.searches() >= 1).then_some(())).await;
    yard.home.run_ok(&["connection", "pause", "acme-hubspot", "--reason", "a test"]).await;
    let ended = program.wait(PATIENCE).await;
    let run = yard.newest_run().await;
    assert_eq!(run["error_code"], "paused", "{ended}\n{run}");
    assert_eq!(yard.run_acme().await.code(), Some(5));
    yard.home.run_ok(&["connection", "resume", "acme-hubspot"]).await;
    yard.simulator.set_latency(Duration::ZERO);
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.number("select count(*) from crm_leads").await, 3000);
    yard.assert_settled().await;
    yard.end().await;
});

#[tokio::test]
async fn p8_a_database_that_goes_away_during_a_run_loses_nothing_and_needs_nobody() {
    let database = TestDatabase::mysql().await;
    database.run(outage).await;
}

async fn outage(db: &TestDatabase) {
    let mut yard = Yard::applied(db, 2000, 0).await;
    let (server, rest) = split_url(yard.url());
    let proxy = Proxy::to(server).await;
    yard.home.setting("database.url", rest.replace("{}", &proxy.address().to_string()));
    yard.simulator.set_latency(Duration::from_millis(50));
    let program = yard.start_acme();
    eventually("pages are being written", async || {
        (yard.number("select count(*) from crm_leads").await >= 400).then_some(())
    })
    .await;
    proxy.refuse(true);
    proxy.cut();
    eventually("the program has tried in vain for a while", async || (proxy.refused() >= 3).then_some(())).await;
    proxy.refuse(false);
    let ended = program.wait(PATIENCE).await;
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 2000);
    yard.assert_settled().await;
    yard.end().await;
}

#[tokio::test]
async fn a_database_that_is_down_at_start_is_told_with_a_remedy_and_exit_code_75() {
    let database = TestDatabase::sqlite().await;
    let mut yard = Yard::new(&database, 1, 0).await;
    yard.home
        .setting("database.url", "mysql://nobody:not-a-secret@127.0.0.1:1/none")
        .setting("database.outage_seconds", "1");
    let done = yard.home.run(&["run-once"]).await;
    assert_eq!(done.code(), Some(75), "{done}");
    assert!(done.stderr.contains("do: "), "{done}");
    assert!(!done.stderr.contains("not-a-secret"), "{done}");
    yard.end().await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_what_was_committed_stays() {
    let database = TestDatabase::sqlite().await;
    let yard = Yard::applied(&database, 3000, 0).await;
    // The file may not grow past 600 KiB: what a full disk looks like to a program, without filling one.
    let program = format!(
        "trap '' XFSZ; ulimit -f 1200; exec '{}' run-once --connection acme-hubspot",
        env!("CARGO_BIN_EXE_tidegate")
    );
    let full = yard.home.start_program(std::path::Path::new("/bin/sh"), &["-c", &program]).wait(PATIENCE).await;
    assert!(matches!(full.code(), Some(1 | 3 | 4 | 75)), "{full}");
    assert!(full.stderr.contains("disk") || full.stderr.contains("space") || full.stderr.contains("write"), "{full}");
    let written = yard.number("select count(*) from crm_leads").await;
    assert!(written < 3000, "the limit was not met: {written}");
    assert_eq!(
        yard.number("select count(*) from crm_leads").await,
        yard.number("select count(*) from integration_object_links").await
    );
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 3000);
    yard.assert_settled().await;
    yard.end().await;
}

/// Host and port of a database URL, and the URL with `{}` in their place.
fn split_url(url: &str) -> (String, String) {
    let parsed = url::Url::parse(url).expect("a database URL");
    let server = format!("{}:{}", parsed.host_str().expect("a host"), parsed.port().unwrap_or(3306));
    let rest = url.replacen(&server, "{}", 1);
    (server, rest)
}

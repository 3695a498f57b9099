//! The listener: health, readiness, and metrics that say what the rows say.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use tidegate::{
    alerts::Rules,
    server::{Facts, Listening, listen},
    simulator::{Bad, ObjectKind},
    telemetry::recorder::Recorder,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use crate::{
    alerts_ground::{CANARY, Ground},
    support::{
        daemon::{PATIENCE, eventually},
        databases::{RealClock, TestDatabase},
        yard::{ACME_TOKEN, Yard},
    },
};

/// One request on a connection of its own; status, head and body.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

/// The series of an OpenMetrics text: each line must be one, and the text must end as one does.
fn series(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut described: Vec<&str> = Vec::new();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            described.push(rest.split(' ').next().unwrap());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no series: {line}"));
            let family = name.split('{').next().unwrap();
            assert!(described.iter().any(|known| family.starts_with(known)), "{family} is not described");
            assert!(family.starts_with("tidegate_"), "{family}");
            let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(found.insert(name.to_owned(), value).is_none(), "{name} stands twice");
        }
    }
    found
}

async fn listening(ground: &Ground<'_>, recorder: Arc<Recorder>) -> (Listening, CancellationToken) {
    let stop = CancellationToken::new();
    let facts = Facts {
        store: Arc::clone(&ground.store),
        clock: Arc::clone(&ground.clock) as _,
        rules: Arc::clone(&ground.rules),
        recorder,
        door: None,
    };
    (listen("127.0.0.1:0".parse().unwrap(), facts, stop.clone()).await.unwrap(), stop)
}

on_both_engines!(it_answers_what_it_knows_and_nothing_else, |db| {
    let ground = Ground::new(db).await;
    let (up, stop) = listening(&ground, Arc::new(Recorder::new(false))).await;
    for (method, path, status, body) in [
        ("GET", "/healthz", 200, "alive\n"),
        ("HEAD", "/healthz", 200, ""),
        ("GET", "/readyz", 200, "ready\n"),
        ("GET", "/", 404, "not found\n"),
        ("GET", "/metrics/x", 404, "not found\n"),
        ("GET", "/../etc/passwd", 404, "not found\n"),
        ("POST", "/readyz", 405, "only GET is answered here\n"),
        ("DELETE", "/metrics", 405, "only GET is answered here\n"),
    ] {
        let (got, head, said) = ask(up.address, method, path).await;
        assert_eq!((got, said.as_str()), (status, body), "{method} {path}");
        assert!(!head.contains("server:") && !head.contains(env!("CARGO_PKG_VERSION")), "{head}");
    }
    let (_, head, body) = ask(up.address, "GET", "/metrics").await;
    assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
    assert_eq!(series(&body)["tidegate_database_up"], 1.0);
    stop.cancel();
    up.ended().await;
});

#[tokio::test]
async fn a_taken_address_is_named_with_what_can_be_done() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut home = crate::support::daemon::Home::new();
    home.setting("database.url", "sqlite://tidegate.db").setting("server.listen", taken.local_addr().unwrap());
    let done = home.run(&["run", "--migrate"]).await;
    assert_eq!(done.code(), Some(2), "{done}");
    assert!(done.stderr.contains("server.listen") && done.stderr.contains("name a free address"), "{done}");
}

on_both_engines!(p6_without_a_database_it_lives_is_not_ready_and_tells_no_old_numbers, |db| {
    let ground = Ground::new(db).await;
    let gone = db.open().await;
    gone.close().await;
    let ground = Ground { store: gone, ..ground };
    let (up, stop) = listening(&ground, Arc::new(Recorder::new(false))).await;
    assert_eq!(ask(up.address, "GET", "/healthz").await.0, 200);
    let (status, _, body) = ask(up.address, "GET", "/readyz").await;
    assert_eq!(status, 503);
    assert!(!body.contains("sql"), "{body}");
    let (status, _, body) = ask(up.address, "GET", "/metrics").await;
    let found = series(&body);
    assert_eq!((status, found["tidegate_database_up"]), (200, 0.0));
    assert!(!found.keys().any(|name| name.starts_with("tidegate_jobs") || name.starts_with("tidegate_alerts_open")));
    stop.cancel();
    up.ended().await;
});

#[tokio::test]
async fn a_schema_that_is_behind_is_not_ready() {
    let db = TestDatabase::empty_sqlite().await;
    let store = db.open().await;
    let facts = Facts {
        store,
        clock: Arc::new(RealClock),
        rules: Arc::new(Rules::read(None).unwrap()),
        recorder: Arc::new(Recorder::new(false)),
        door: None,
    };
    let stop = CancellationToken::new();
    let up = listen("127.0.0.1:0".parse().unwrap(), facts, stop.clone()).await.unwrap();
    assert_eq!(ask(up.address, "GET", "/readyz").await.0, 503);
    stop.cancel();
    up.ended().await;
    db.remove().await;
}

on_both_engines!(p18_metrics_hold_counts_and_no_value_of_a_record, |db| {
    let ground = Ground::new(db).await;
    ground.letters(0..30).await;
    ground.sql(&format!("update integration_connections set status_reason = '{CANARY}', provider_account_id = concat('{CANARY}', id)")).await;
    ground.sql("update integration_sync_jobs set last_complete_at = {before 9} where stream = 'deals'").await;
    ground.sql("update integration_sync_jobs set next_run_at = null where stream = 'deals'").await;
    ground.sweep().await;
    let (up, stop) = listening(&ground, Arc::new(Recorder::new(false))).await;
    let (_, _, body) = ask(up.address, "GET", "/metrics").await;
    let found = series(&body);
    assert_eq!(found[r#"tidegate_dead_letters_open{provider="hubspot"}"#], 30.0);
    assert_eq!(found["tidegate_jobs_stale"], 2.0);
    assert_eq!(found["tidegate_jobs_due"], 2.0, "contacts of both clients");
    assert_eq!(found[r#"tidegate_alerts_open{rule="source_late",severity="warn"}"#], 2.0);
    assert_eq!(found[r#"tidegate_alerts_open{rule="dead_letters_over_budget",severity="warn"}"#], 1.0);
    assert_eq!(found[r#"tidegate_alerts_open{rule="needs_auth",severity="error"}"#], 0.0);
    assert_eq!(found[r#"tidegate_alerts_open{rule="missed_webhooks",severity="warn"}"#], 0.0);
    for part in ["canary", "acme", "example.test"] {
        assert!(!body.contains(part), "{part} in {body}");
    }
    stop.cancel();
    up.ended().await;
});

on_both_engines!(the_daemon_is_scraped_and_its_counts_are_those_of_its_runs, |db| {
    let mut yard = Yard::new(db, 120, 0).await;
    let account = yard.simulator.account("4711");
    account.make_bad(ObjectKind::Contacts, 10, Bad::UnknownLifecycle);
    yard.declare(&yard.declaration("sandbox", "every 15m", false)).await;
    db.sql
        .ok("update integration_sync_jobs set next_run_at = '2020-01-01T00:00:00.000000Z'"
            .replace("T00:00:00.000000Z", if db.is_mysql() { " 00:00:00" } else { "T00:00:00.000000Z" })
            .as_str())
        .await;
    // A wrong token: the daemon's own look must find that the connection waits.
    yard.home
        .variable("BRIGHT_TOKEN", "pat-sim-wrong-0000")
        .setting("server.listen", "127.0.0.1:0")
        .setting("alerts.every_seconds", "1");
    let mut daemon = yard.home.start(&["run"]);
    let line = daemon.wait_for_line("listening for health and metrics").await;
    let address: SocketAddr =
        line.rsplit("address=").next().unwrap().trim().parse().unwrap_or_else(|_| panic!("{line}"));
    assert_eq!(ask(address, "GET", "/healthz").await.0, 200);
    assert_eq!(ask(address, "GET", "/readyz").await.0, 200);
    let ended = r#"tidegate_runs_total{provider="hubspot",stream="contacts",status="succeeded"}"#;
    let open = r#"tidegate_alerts_open{rule="needs_auth",severity="error"}"#;
    let (found, text) = eventually("both runs have ended and the alert stands", async || {
        let (_, _, text) = ask(address, "GET", "/metrics").await;
        let found = series(&text);
        let failed = r#"tidegate_runs_total{provider="hubspot",stream="contacts",status="failed"}"#;
        let both = found.contains_key(ended) && found.contains_key(failed);
        (both && found.get(open) == Some(&1.0)).then_some((found, text))
    })
    .await;
    assert_eq!(found[ended], 1.0);
    for bucket in ["created", "updated", "unchanged", "duplicate", "ignored", "failed"] {
        let rows = yard.number(&format!("select cast(sum(records_{bucket}) as char) from integration_sync_runs")).await;
        let name = format!(r#"tidegate_records_total{{provider="hubspot",stream="contacts",bucket="{bucket}"}}"#);
        #[expect(clippy::cast_precision_loss, reason = "a hundred records")]
        let rows = rows as f64;
        assert_eq!(found[&name], rows, "{bucket}");
    }
    let requests = yard.number("select cast(sum(requests) as char) from integration_sync_runs").await;
    #[expect(clippy::cast_precision_loss, reason = "a few requests")]
    let requests = requests as f64;
    assert_eq!(found[r#"tidegate_requests_total{provider="hubspot",stream="contacts"}"#], requests);
    assert_eq!(found[r#"tidegate_run_seconds_count{provider="hubspot",stream="contacts"}"#], 2.0);
    assert_eq!(found[r#"tidegate_dead_letters_open{provider="hubspot"}"#], 1.0);
    assert!(found["tidegate_last_sweep_timestamp_seconds"] > 1_700_000_000.0);
    for part in [ACME_TOKEN, "wrong-0000", "acme", "example.test"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    let told = daemon.wait_for_line("alert opened: bright-hubspot: ").await;
    for part in ["rule=needs_auth", "subject=bright-hubspot", "remedy=", "deploy/runbook.md#needs_auth"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let listed = yard.home.run_ok(&["alerts", "list", "--rule", "needs_auth", "--json"]).await.json();
    assert_eq!(listed[0]["subject_key"], "bright-hubspot", "{listed}");
    assert_eq!(listed[0]["connection_key"], "bright-hubspot", "{listed}");
    daemon.terminate();
    let done = daemon.wait(PATIENCE).await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert!(TcpStream::connect(address).await.is_err(), "the listener goes with the daemon");
    yard.end().await;
});

on_both_engines!(run_once_looks_for_alerts_at_its_end_and_people_can_list_them, |db| {
    let mut yard = Yard::applied(db, 3, 0).await;
    let none = yard.home.run_ok(&["alerts", "list"]).await;
    assert_eq!(none.stdout, "no alert is open\n");
    yard.home.variable("ACME_TOKEN", "pat-sim-wrong-0000");
    let run = yard.run_acme().await;
    assert_eq!(run.code(), Some(4), "{run}");
    assert!(run.stderr.contains("alert opened") && run.stderr.contains("rule=needs_auth"), "{run}");
    let listed = yard.home.run_ok(&["alerts", "list"]).await;
    for part in ["needs_auth", "error", "open", "acme-hubspot", "integration@example.test", "tidegate connection check"]
    {
        assert!(listed.stdout.contains(part), "{part}\n{listed}");
    }
    let other = yard.home.run_ok(&["alerts", "list", "--connection", "bright-hubspot", "--json"]).await.json();
    assert_eq!(other, serde_json::json!([]));
    let slip = yard.home.run(&["alerts", "list", "--rule", "need_auth"]).await;
    assert_eq!(slip.code(), Some(2), "{slip}");
    assert!(slip.stderr.contains("did you mean 'needs_auth'?"), "{slip}");

    // A file of rules is checked before anything runs.
    let file = yard.home.write("alerts.yaml", "rules:\n  - { key: needs_auth, silense: 1h }\n");
    let wrong = yard.home.run(&["validate", &file.display().to_string()]).await;
    assert_eq!(wrong.code(), Some(2), "{wrong}");
    assert!(wrong.stdout.contains("did you mean `silence`?"), "{wrong}");
    yard.home.setting("alerts.file", file.display());
    let refused = yard.run_acme().await;
    assert_eq!(refused.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("line 2") && refused.stderr.contains("silense"), "{refused}");
    yard.home.write("alerts.yaml", "rules:\n  - { key: needs_auth, enabled: false }\n");
    yard.run_acme().await;
    let over = yard.home.run_ok(&["alerts", "list", "--all"]).await;
    assert!(over.stdout.contains("resolved"), "{over}");
    yard.end().await;
});

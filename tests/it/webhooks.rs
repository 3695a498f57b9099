//! What providers send on their own: durable before it is answered, one record each, whatever comes twice, late or wrong.

use futures_util::future::join_all;

use crate::{
    support::{daemon::eventually, databases::TestDatabase, proxy::Proxy},
    webhooks_ground::{ACME_KEY, ACME_NEXT_KEY, Hooks, contact, declared, new_path, post, send, signed},
};

on_both_engines!(p5_a_delivery_becomes_a_record_once_however_often_it_comes, |db| {
    let hooks = Hooks::new(db).await;
    let body = contact("900001", "Ada", 10);
    let answer = hooks.acme("msg-1", &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "taken\n"), "{answer:?}");
    hooks.settled().await;
    assert_eq!(hooks.lead("900001").await.as_deref(), Some("Ada Example"));
    for _ in 0..3 {
        assert_eq!(hooks.acme("msg-1", &body).await.status, 200);
    }
    assert_eq!(hooks.deliveries("normalized").await, 1);
    assert_eq!(hooks.number("select count(*) from event_webhook_events").await, 1);
    // The run has counts of records, and is of its own origin; the raw event has found its run.
    let runs = "select count(*) from integration_sync_runs where origin = 'webhook' and status = 'succeeded' and records_seen = 1 and \
                records_created = 1 and id = (select run_id from event_webhook_events) and id = (select run_id from \
                integration_raw_events where origin = 'webhook' and status = 'normalized')";
    assert_eq!(hooks.number(runs).await, 1);
    hooks.end().await;
});

on_both_engines!(a_delivery_before_its_signature_is_right_leaves_a_number_and_no_row, |db| {
    let hooks = Hooks::new(db).await;
    let body = contact("900002", "Bea", 10);
    let mut headers = signed(ACME_KEY, "msg-2", 0, &body);
    let right = std::mem::replace(&mut headers[2].1, "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned());
    let answer = post(hooks.address, &hooks.acme, &headers, body.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (401, "refused\n"));
    let old = post(hooks.address, &hooks.acme, &signed(ACME_KEY, "msg-2", 3600, &body), body.as_bytes()).await;
    assert_eq!(old.status, 401, "an old time is refused as well");
    assert_eq!(hooks.number("select count(*) from event_webhook_events").await, 0);
    assert_eq!(hooks.number("select count(*) from integration_raw_events where origin = 'webhook'").await, 0);
    headers[2].1 = right;
    assert_eq!(post(hooks.address, &hooks.acme, &headers, body.as_bytes()).await.status, 200);
    hooks.settled().await;
    assert_eq!(hooks.lead("900002").await.as_deref(), Some("Bea Example"));
    assert_eq!(hooks.number("select count(*) from event_webhook_events").await, 1);
    let mut hooks = hooks;
    hooks.stop().await;
    let counted = "select count(*) from integration_webhook_endpoints where accepted = 1 and refused = 2 and last_verified_at is not null";
    assert_eq!(hooks.number(counted).await, 1, "the counters are written at the end at the latest");
    hooks.end().await;
});

on_both_engines!(p5_an_older_version_that_comes_later_never_overwrites_a_newer_one, |db| {
    let hooks = Hooks::new(db).await;
    for (id, name, minute, stands) in [
        ("o-1", "Second", 20, "Second Example"),
        ("o-2", "First", 10, "Second Example"),
        ("o-3", "Third", 30, "Third Example"),
    ] {
        assert_eq!(hooks.acme(id, &contact("900003", name, minute)).await.status, 200);
        hooks.settled().await;
        assert_eq!(hooks.lead("900003").await.as_deref(), Some(stands), "after {id}");
    }
    assert_eq!((hooks.deliveries("normalized").await, hooks.deliveries("ignored").await), (2, 1));
    // The same once more under another name is the record as it stands.
    assert_eq!(hooks.acme("o-4", &contact("900003", "Third", 30)).await.status, 200);
    hooks.settled().await;
    let unchanged = "select count(*) from event_webhook_events where delivery_id = 'o-4' and status = 'normalized' and reason = 'unchanged'";
    assert_eq!(hooks.number(unchanged).await, 1);
    hooks.end().await;
});

/// Highest memory of a process so far, in KiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

on_both_engines!(a_body_beyond_the_cap_is_refused_unread, |db| {
    let hooks = Hooks::new(db).await;
    let pid = hooks.daemon.as_ref().unwrap().pid();
    let before = peak(pid);
    let body = vec![b'x'; 50 * 1024 * 1024];
    let answer = post(hooks.address, &hooks.acme, &[], &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "too large\n"));
    // Without its length told, it is read up to the cap and no further.
    let path = &hooks.acme;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3200000\r\n"
    );
    assert_eq!(send(hooks.address, &head, &body).await.status, 413);
    assert!(peak(pid) < before + 16 * 1024, "{before} KiB before, {} KiB after", peak(pid));
    assert_eq!(hooks.number("select count(*) from event_webhook_events").await, 0);
    hooks.end().await;
});

on_both_engines!(p15_a_path_is_one_clients_and_an_unknown_one_is_any_unknown_path, |db| {
    let hooks = Hooks::new(db).await;
    let body = contact("900004", "Cid", 10);
    let at_bright = post(hooks.address, &hooks.bright, &signed(ACME_KEY, "msg-4", 0, &body), body.as_bytes()).await;
    assert_eq!(at_bright.status, 401, "acme's signature opens nothing of bright's");
    let unknown = post(hooks.address, "/nothing/here", &[], b"{}").await;
    let token = format!("/webhooks/{}", "A".repeat(43));
    let guessed = post(hooks.address, &token, &signed(ACME_KEY, "msg-4", 0, &body), body.as_bytes()).await;
    let without_date =
        |head: &str| head.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n");
    assert_eq!((guessed.status, &guessed.body), (404, &unknown.body));
    assert_eq!(without_date(&guessed.head), without_date(&unknown.head));
    let looked_at =
        send(hooks.address, &format!("GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", hooks.acme), b"").await;
    assert_eq!((looked_at.status, &looked_at.body), (404, &unknown.body), "a path tells nothing to a browser");
    assert_eq!(hooks.number("select count(*) from event_webhook_events").await, 0);
    // Whose a record is, is never what was sent: both clients may know an object by the same id.
    assert_eq!(hooks.acme("msg-4", &body).await.status, 200);
    hooks.settled().await;
    let others = "select count(*) from crm_leads l join core_clients c on c.id = l.client_id where external_id = '900004' and c.client_key <> 'acme'";
    assert_eq!(hooks.number(others).await, 0);
    hooks.end().await;
});

on_both_engines!(p8_a_paused_connection_takes_durably_and_a_killed_daemon_loses_nothing, |db| {
    let mut hooks = Hooks::new(db).await;
    hooks.yard.home.run_ok(&["connection", "pause", "acme-hubspot", "--reason", "for a test"]).await;
    for n in 0..20 {
        assert_eq!(hooks.acme(&format!("p-{n}"), &contact(&format!("{}", 910_000 + n), "Dot", 10)).await.status, 200);
    }
    assert_eq!(hooks.deliveries("received").await, 20);
    hooks.daemon.take().unwrap().kill().await;
    hooks.yard.home.run_ok(&["connection", "resume", "acme-hubspot", "--reason", "for a test"]).await;
    hooks.start().await;
    hooks.settled().await;
    assert_eq!(hooks.deliveries("normalized").await, 20);
    assert_eq!(hooks.number("select count(*) from crm_leads where contact_name = 'Dot Example'").await, 20);
    hooks.end().await;
});

on_both_engines!(a_pass_of_run_once_takes_what_waits, |db| {
    let mut hooks = Hooks::new(db).await;
    hooks.yard.home.run_ok(&["connection", "pause", "acme-hubspot", "--reason", "for a test"]).await;
    assert_eq!(hooks.acme("r-1", &contact("920001", "Eve", 10)).await.status, 200);
    hooks.stop().await;
    hooks.yard.home.run_ok(&["connection", "resume", "acme-hubspot", "--reason", "for a test"]).await;
    hooks.yard.home.run_ok(&["run-once", "--due"]).await;
    assert_eq!(hooks.lead("920001").await.as_deref(), Some("Eve Example"));
    assert_eq!(hooks.deliveries("normalized").await, 1);
    hooks.end().await;
});

on_both_engines!(a_revoked_connection_is_gone, |db| {
    let hooks = Hooks::new(db).await;
    hooks.yard.home.run_ok(&["connection", "revoke", "acme-hubspot", "--reason", "for a test"]).await;
    eventually("the path is gone", async || {
        let answer = hooks.acme("v-1", &contact("900005", "Fay", 10)).await;
        (answer.status == 410).then_some(())
    })
    .await;
    let refused = hooks.yard.home.run(&["connection", "webhook", "acme-hubspot", "--new-path"]).await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    hooks.end().await;
});

on_both_engines!(p18_secrets_rotate_without_a_gap_and_a_new_path_ends_the_former, |db| {
    let hooks = Hooks::new(db).await;
    let two = declared(&hooks.yard, "every 30d")
        .replace("webhook_secrets: [env:ACME_HOOK]", "webhook_secrets: [env:ACME_NEXT_HOOK, env:ACME_HOOK]");
    hooks.yard.declare(&two).await;
    let with = async |key: &str, id: &str| {
        let body = contact("900006", "Gil", 10);
        post(hooks.address, &hooks.acme, &signed(key, id, 0, &body), body.as_bytes()).await.status
    };
    eventually("the next secret signs", async || (with(ACME_NEXT_KEY, "s-1").await == 200).then_some(())).await;
    assert_eq!(with(ACME_KEY, "s-2").await, 200, "and so does the former");
    hooks.yard.declare(&two.replace(", env:ACME_HOOK]", "]")).await;
    eventually("the former signs no more", async || (with(ACME_KEY, "s-3").await == 401).then_some(())).await;
    assert_eq!(with(ACME_NEXT_KEY, "s-4").await, 200);
    let next = new_path(&hooks.yard, "acme-hubspot").await;
    let body = contact("900006", "Gil", 11);
    eventually("the new path is open and the former is not", async || {
        let new = post(hooks.address, &next, &signed(ACME_NEXT_KEY, "s-5", 0, &body), body.as_bytes()).await;
        (new.status == 200 && with(ACME_NEXT_KEY, "s-6").await == 404).then_some(())
    })
    .await;
    let kept = hooks.yard.database.sql.rows("select path_hash from integration_webhook_endpoints").await;
    assert!(!format!("{kept:?}").contains(next.rsplit('/').next().unwrap()));
    let acts = "select count(*) from event_admin_actions where action = 'connection.webhook_path' and subject_key = 'acme-hubspot'";
    assert_eq!(hooks.number(acts).await, 2);
    let shown = hooks.yard.home.run_ok(&["connection", "show", "acme-hubspot"]).await;
    assert!(shown.stdout.contains("signing secrets") && shown.stdout.contains("env:ACME_NEXT_HOOK"), "{shown}");
    hooks.settled().await;
    hooks.end().await;
});

on_both_engines!(p4_an_event_that_nobody_declared_is_ignored_by_name_and_what_is_unreadable_is_told, |db| {
    let hooks = Hooks::new(db).await;
    assert_eq!(hooks.acme("u-1", r#"{"type":"contact.sneezed","data":{"id":"1"}}"#).await.status, 200);
    assert_eq!(hooks.acme("u-2", "{ no JSON").await.status, 400);
    let ignored = "select count(*) from event_webhook_events where event_name = 'contact.sneezed' and status = 'ignored' and raw_event_id is null";
    assert_eq!(hooks.number(ignored).await, 1);
    assert_eq!(hooks.number("select count(*) from event_webhook_events").await, 1);
    assert_eq!(hooks.number("select count(*) from integration_raw_events where origin = 'webhook'").await, 0);
    hooks.end().await;
});

on_both_engines!(a_hint_makes_its_job_due_and_is_answered_by_a_run_that_began_after_it, |db| {
    let hooks = Hooks::new(db).await;
    let before = hooks.number("select max(id) from integration_sync_runs").await;
    assert_eq!(hooks.acme("h-1", r#"{"type":"contact.hint"}"#).await.status, 200);
    assert_eq!(hooks.acme("h-2", r#"{"type":"deal.hint"}"#).await.status, 200);
    hooks.settled().await;
    let fetched = format!(
        "select count(*) from event_webhook_events e join integration_sync_runs r on r.id = e.run_id where e.delivery_id = 'h-1' \
         and e.status = 'normalized' and r.id > {before} and r.origin = 'schedule' and r.started_at >= e.received_at"
    );
    assert_eq!(hooks.number(&fetched).await, 1);
    let rows =
        hooks.yard.database.sql.rows("select status, reason from event_webhook_events where delivery_id = 'h-2'").await;
    assert_eq!(rows[0][0].as_deref(), Some("failed"));
    assert!(rows[0][1].as_deref().unwrap().contains("no job of stream 'deals' is declared"), "{rows:?}");
    hooks.end().await;
});

on_both_engines!(p3_five_hundred_at_once_of_a_hundred_objects_are_a_hundred_records, |db| {
    let hooks = Hooks::new(db).await;
    let one = async |n: u32| {
        let (object, minute) = (930_000 + n % 100, n / 100);
        let body = contact(&object.to_string(), &format!("V{minute}"), minute);
        // A sender that is told to come back comes back.
        eventually("it is taken", async || (hooks.acme(&format!("c-{n}"), &body).await.status == 200).then_some(()))
            .await;
    };
    join_all((0..500).map(|n| one((n * 7919) % 500))).await;
    hooks.settled().await;
    assert_eq!(hooks.number("select count(*) from event_webhook_events").await, 500);
    assert_eq!(hooks.number("select count(*) from crm_leads where external_id like '930%'").await, 100);
    assert_eq!(
        hooks
            .number("select count(*) from crm_leads where external_id like '930%' and contact_name = 'V4 Example'")
            .await,
        100
    );
    hooks.end().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p8_during_an_outage_of_the_database_a_sender_is_told_to_come_back() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            let runtime = db.runtime_url().await;
            let (scheme, rest) = runtime.split_once("://").unwrap();
            let (login, address) = rest.split_once('@').unwrap();
            let (host, path) = address.split_once('/').unwrap();
            let proxy = Proxy::to(host.to_owned()).await;
            let through = format!("{scheme}://{login}@{}/{path}", proxy.address());
            let hooks = Hooks::with(db, |yard| {
                yard.home.setting("database.url", through);
            })
            .await;
            let body = contact("900007", "Hal", 10);
            assert_eq!(hooks.acme("d-0", &contact("900008", "Ida", 10)).await.status, 200);
            proxy.refuse(true);
            proxy.cut();
            let away = hooks.acme("d-1", &body).await;
            assert_eq!(away.status, 503, "{away:?}");
            assert!(away.head.contains("retry-after: "), "{away:?}");
            proxy.refuse(false);
            eventually("it is taken", async || (hooks.acme("d-1", &body).await.status == 200).then_some(())).await;
            hooks.settled().await;
            assert_eq!(hooks.number("select count(*) from event_webhook_events where delivery_id = 'd-1'").await, 1);
            assert_eq!(hooks.lead("900007").await.as_deref(), Some("Hal Example"));
            hooks.end().await;
        })
        .await;
}

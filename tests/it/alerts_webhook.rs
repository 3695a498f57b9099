//! Alerts on their way out: signed, at most one notification between several daemons, tried again, and never to where they may not go.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;
use tidegate::{
    alerts::{Delivered, Notice, Sender, deliver, sign, sweep},
    connector::http::{GateOptions, HttpGate},
    domain::{
        clock::Clock,
        status::{
            AlertNews::{Opened, Resolved},
            CheckStatus,
        },
    },
    scheduler::webhook_out::WebhookOut,
    vault,
};

use crate::{
    alerts_ground::{Ground, HOUR, news},
    support::databases::RealClock,
};

const SECRET: &str = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw==";

/// Who listens: keeps what came, answers as told.
struct Receiver {
    got: Mutex<Vec<(HeaderMap, String)>>,
    answer: AtomicU16,
}

impl Receiver {
    /// On a free port of loopback; gives its address too. The task ends with the test's runtime.
    async fn start() -> (Arc<Self>, String) {
        let receiver = Arc::new(Self { got: Mutex::default(), answer: AtomicU16::new(200) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/token-in-the-path", listener.local_addr().unwrap());
        let app = Router::new().route("/hooks/token-in-the-path", post(Self::take)).with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, url)
    }

    async fn take(State(own): State<Arc<Self>>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let status = StatusCode::from_u16(own.answer.load(Ordering::Relaxed)).unwrap();
        own.got.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
        status
    }

    fn take_all(&self) -> Vec<(HeaderMap, String)> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }
}

struct Out {
    sender: WebhookOut,
    _folder: tempfile::TempDir,
}

fn out(ground: &Ground<'_>, url: &str, allow: &[&str]) -> Out {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let allow_private = allow.iter().map(ToString::to_string).collect();
    let gate = HttpGate::new(GateOptions { allow_private, ..GateOptions::default() }, Arc::new(RealClock)).unwrap();
    let secret = vault::reference::resolve(Some(&format!("file:{}", file.display()))).unwrap();
    let clock: Arc<dyn Clock> = Arc::clone(&ground.clock) as Arc<dyn Clock>;
    Out { sender: WebhookOut { gate, clock, url: url.parse().unwrap(), secret }, _folder: folder }
}

async fn pass(ground: &Ground<'_>, out: &Out) -> Delivered {
    deliver(&ground.store, &out.sender, &*ground.clock).await.unwrap()
}

async fn needs_auth(ground: &Ground<'_>, whose: &str) {
    ground
        .sql(&format!("update integration_connections set status = 'needs_auth' where connection_key like '{whose}'"))
        .await;
}

on_both_engines!(an_alert_goes_out_signed_with_what_an_operator_needs_and_nothing_else, |db| {
    let ground = Ground::new(db).await;
    let (receiver, url) = Receiver::start().await;
    let out = out(&ground, &url, &["127.0.0.0/8"]);
    needs_auth(&ground, "acme-hubspot").await;
    ground.sweep_telling(true).await;
    assert_eq!(pass(&ground, &out).await, Delivered { taken: 1, failed: 0 });
    let got = receiver.take_all();
    let [(headers, body)] = got.as_slice() else { panic!("{got:?}") };
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    assert_eq!(header("webhook-signature"), format!("v1,{}", sign(SECRET, &id, &at, body)));
    assert_eq!(at, ground.clock.now().utc().timestamp().to_string());
    assert_eq!(header("content-type"), "application/json");
    let told: Value = serde_json::from_str(body).unwrap();
    for (field, value) in [
        ("type", "alert.opened"),
        ("state", "opened"),
        ("delivery_id", &id),
        ("rule", "needs_auth"),
        ("severity", "error"),
        ("connection_key", "acme-hubspot"),
        ("client_key", "acme"),
        ("owner", "integration@example.test"),
        ("since", "2026-03-01T12:00:00.000000Z"),
        ("runbook", "deploy/runbook.md#needs_auth"),
    ] {
        assert_eq!(told[field], value, "{field} of {told}");
    }
    assert!(told["remedy"].as_str().unwrap().contains("tidegate connection resume acme-hubspot"), "{told}");
    assert_eq!(pass(&ground, &out).await, Delivered::default(), "told is told");

    ground.clock.advance(Duration::from_secs(60));
    ground.sql("update integration_connections set status = 'connected'").await;
    assert_eq!(ground.sweep_telling(true).await, [news("needs_auth", "acme-hubspot", Resolved)]);
    pass(&ground, &out).await;
    let (headers, body) = receiver.take_all().pop().unwrap();
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&told["state"], &told["resolved_at"]), (&"resolved".into(), &"2026-03-01T12:01:00.000000Z".into()));
    assert_ne!(headers["webhook-id"].to_str().unwrap(), id);
});

on_both_engines!(what_nobody_takes_is_tried_again_later_under_the_same_id, |db| {
    let ground = Ground::new(db).await;
    let (receiver, url) = Receiver::start().await;
    let out = out(&ground, &url, &["127.0.0.0/8"]);
    needs_auth(&ground, "acme-hubspot").await;
    ground.sweep_telling(true).await;
    receiver.answer.store(500, Ordering::Relaxed);
    assert_eq!(pass(&ground, &out).await, Delivered { taken: 0, failed: 1 });
    assert_eq!(pass(&ground, &out).await, Delivered::default(), "not at once");
    ground.clock.advance(Duration::from_secs(60));
    assert_eq!(pass(&ground, &out).await, Delivered { taken: 0, failed: 1 });
    assert_eq!(db.sql.number("select notify_failures from integration_alerts").await, 2);
    ground.clock.advance(Duration::from_secs(60));
    assert_eq!(pass(&ground, &out).await, Delivered::default(), "the wait grows");
    receiver.answer.store(204, Ordering::Relaxed);
    ground.clock.advance(Duration::from_secs(60));
    assert_eq!(pass(&ground, &out).await, Delivered { taken: 1, failed: 0 });
    assert_eq!(db.sql.number("select notify_failures from integration_alerts").await, 0);
    let got = receiver.take_all();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|(headers, body)| headers["webhook-id"] == got[0].0["webhook-id"] && *body == got[0].1));
    // Given up after days; the alert stands, and its next reminder is another notice.
    receiver.answer.store(500, Ordering::Relaxed);
    ground.clock.advance(HOUR * 5);
    ground.all_complete().await;
    ground.sweep_telling(true).await;
    ground.clock.advance(HOUR * 73);
    assert_eq!(pass(&ground, &out).await.failed, 1);
    assert_eq!(
        db.sql.number("select count(*) from integration_alerts where notice is null and resolved_at is null").await,
        1
    );
});

on_both_engines!(a_private_address_is_refused_unless_it_is_allowed_and_the_address_is_not_told, |db| {
    let ground = Ground::new(db).await;
    let (receiver, url) = Receiver::start().await;
    let out = out(&ground, &url, &[]);
    let notice = Notice { id: "alert-1".to_owned(), body: "{}".to_owned() };
    let fault = out.sender.send(&notice).await.unwrap_err().to_string();
    assert!(fault.contains("http.allow_private") && fault.contains("127.0.0.1"), "{fault}");
    assert!(!fault.contains("token-in-the-path") && !fault.contains(SECRET), "{fault}");
    needs_auth(&ground, "acme-hubspot").await;
    ground.sweep_telling(true).await;
    assert_eq!(pass(&ground, &out).await, Delivered { taken: 0, failed: 1 });
    assert!(receiver.take_all().is_empty());
    receiver.answer.store(404, Ordering::Relaxed);
    let allowed = self::out(&ground, &url, &["127.0.0.0/8"]);
    let fault = allowed.sender.send(&notice).await.unwrap_err().to_string();
    assert!(!fault.contains("token-in-the-path"), "{fault}");
});

on_both_engines!(two_daemons_send_each_notice_once_between_them, |db| {
    let ground = Ground::new(db).await;
    let other = db.open().await;
    let (receiver, url) = Receiver::start().await;
    let (mine, theirs) = (out(&ground, &url, &["127.0.0.0/8"]), out(&ground, &url, &["127.0.0.0/8"]));
    for round in 0..4_u64 {
        let status = if round % 2 == 0 { "needs_auth" } else { "connected" };
        ground.sql(&format!("update integration_connections set status = '{status}'")).await;
        let both = async |store, sender: &WebhookOut| {
            sweep(store, &ground.rules, &*ground.clock, true).await.unwrap();
            deliver(store, sender, &*ground.clock).await.unwrap()
        };
        let (one, two) = tokio::join!(both(&ground.store, &mine.sender), both(&other, &theirs.sender));
        assert_eq!((one.taken + two.taken, one.failed + two.failed), (2, 0));
        assert_eq!(receiver.take_all().len(), 2, "one for each client, in round {round}");
        ground.clock.advance(Duration::from_secs(60));
    }
    other.close().await;
});

on_both_engines!(a_claimed_notice_whose_sender_died_goes_out_again_when_the_claim_is_over, |db| {
    let ground = Ground::new(db).await;
    let (receiver, url) = Receiver::start().await;
    let out = out(&ground, &url, &["127.0.0.0/8"]);
    needs_auth(&ground, "acme-hubspot").await;
    assert_eq!(ground.sweep_telling(true).await, [news("needs_auth", "acme-hubspot", Opened)]);
    let due = ground.store.due_notices(ground.clock.now(), 10).await.unwrap();
    let until = ground.clock.now().plus(Duration::from_secs(120));
    assert!(ground.store.claim_notice(&due[0], until).await.unwrap());
    assert!(!ground.store.claim_notice(&due[0], until).await.unwrap(), "one of all who try");
    assert_eq!(pass(&ground, &out).await, Delivered::default());
    ground.clock.advance(Duration::from_secs(120));
    assert_eq!(pass(&ground, &out).await.taken, 1);
    assert_eq!(receiver.take_all().len(), 1);
});

on_both_engines!(p18_nothing_of_a_payload_or_a_secret_goes_out, |db| {
    let ground = Ground::new(db).await;
    let (receiver, url) = Receiver::start().await;
    let out = out(&ground, &url, &["127.0.0.0/8"]);
    ground.letters(0..30).await;
    ground.runs(9, 59).await;
    ground.held().await;
    ground.check("freshness", CheckStatus::Failed).await;
    ground.sweep_telling(true).await;
    ground.clock.advance(HOUR * 25);
    needs_auth(&ground, "%").await;
    ground.sweep_telling(true).await;
    while pass(&ground, &out).await.taken > 0 {}
    let got = receiver.take_all();
    assert!(got.len() >= 6, "{}", got.len());
    for (headers, body) in got {
        let all = format!("{headers:?}{body}");
        for part in ["canary", "customer.example", SECRET, "token-in-the-path", "env:TOKEN"] {
            assert!(!all.contains(part), "{part} in {all}");
        }
    }
});

//! The simulator keeps what the tests that use it rely on: shapes, paging, faults, the log.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tidegate::{
    domain::clock::{Clock, Sleep, Timestamp},
    simulator::{
        AccountOptions, Bad, Fault, FaultKind, Gate, ObjectKind, Simulator, SimulatorError, SimulatorHandle,
        SimulatorOptions,
    },
};

const TOKEN: &str = "token-4711";

/// Stands still until somebody sleeps; then it jumps.
struct JumpingClock(AtomicU64);

impl JumpingClock {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        "2026-11-22T06:30:12Z".parse::<Timestamp>().unwrap().plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.advance(duration);
        Box::pin(std::future::ready(()))
    }
}

struct Scene {
    simulator: SimulatorHandle,
    clock: Arc<JumpingClock>,
    http: Client,
}

impl Scene {
    async fn with(account: AccountOptions) -> Self {
        let clock = Arc::new(JumpingClock(AtomicU64::new(0)));
        let options = SimulatorOptions::new(clock.clone()).account(account);
        let simulator = Simulator::start(options).await.unwrap();
        // Another test of this process may have been first; both install the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { simulator, clock, http }
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response, reqwest::Error> {
        self.http.get(self.simulator.base_url() + path).bearer_auth(TOKEN).send().await
    }

    async fn page(&self, path: &str) -> Value {
        let answer = self.get(path).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    async fn search(&self, object: &str, body: Value) -> (StatusCode, Value) {
        let url = format!("{}/crm/v3/objects/{object}/search", self.simulator.base_url());
        let answer = self.http.post(url).bearer_auth(TOKEN).json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Lists to the end; gives the ids in the order in which they came.
    async fn list(&self, object: &str, limit: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut after = String::new();
        for _ in 0..1_000 {
            let page = self.page(&format!("/crm/v3/objects/{object}?limit={limit}{after}")).await;
            ids.extend(ids_of(&page));
            let Some(next) = page["paging"]["next"]["after"].as_str() else { return ids };
            after = format!("&after={next}");
        }
        panic!("the listing does not end");
    }
}

fn account() -> AccountOptions {
    AccountOptions::new("4711", TOKEN)
}

fn ids_of(page: &Value) -> Vec<String> {
    page["results"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn a_listing_hands_out_each_record_once_in_pages() {
    let scene = Scene::with(account().contacts(25).deals(3)).await;
    let ids = scene.list("contacts", 10).await;
    assert_eq!(ids, (1..=25).map(|id: u64| id.to_string()).collect::<Vec<_>>());
    assert_eq!(scene.list("deals", 100).await.len(), 3);
    assert_eq!(scene.simulator.oracle().count_of("4711"), 4);
    assert_eq!(scene.simulator.oracle().calls().iter().map(|c| c.records).sum::<usize>(), 28);
}

#[tokio::test]
async fn records_are_the_same_in_every_simulator_and_nobody_in_them_exists() {
    let (a, b) = (Scene::with(account().contacts(40)).await, Scene::with(account().contacts(40)).await);
    let path = "/crm/v3/objects/contacts?limit=100&properties=email,phone,lifecyclestage,no_such_property";
    let page = a.page(path).await;
    assert_eq!(page, b.page(path).await);
    for record in page["results"].as_array().unwrap() {
        let properties = &record["properties"];
        assert!(properties["email"].as_str().unwrap().ends_with(".example.test"));
        assert!(properties["phone"].as_str().unwrap().starts_with("+1-212-555-01"));
        assert_eq!(properties["no_such_property"], Value::Null);
        assert!(properties.get("firstname").is_none(), "only what was asked for is shown");
        assert_eq!(properties["lastmodifieddate"], record["updatedAt"]);
    }
}

#[tokio::test]
async fn an_edit_is_found_by_a_search_for_later_changes_and_changes_the_record() {
    let scene = Scene::with(account().contacts(30).deals(30)).await;
    let contacts = scene.simulator.account("4711");
    let before = contacts.record(ObjectKind::Contacts, 7).unwrap();
    let since = scene.clock.now();
    scene.clock.advance(Duration::from_secs(60));
    assert_eq!(contacts.edit_contacts([7, 9, 99]), 2);
    assert_eq!(contacts.add_contacts(1), [31]);
    assert_eq!(contacts.delete(ObjectKind::Contacts, [1]), 1);
    let millis = (since.micros() / 1_000).to_string();
    for value in [json!(millis), json!("2026-11-22T06:30:12.000Z"), json!(since.micros() / 1_000)] {
        let filter = json!({ "propertyName": "lastmodifieddate", "operator": "GTE", "value": value });
        let sorts = json!([{ "propertyName": "lastmodifieddate", "direction": "ASCENDING" }]);
        let body = json!({ "filterGroups": [{ "filters": [filter] }], "sorts": sorts, "limit": 200 });
        let (status, page) = scene.search("contacts", body).await;
        assert_eq!((status, &page["total"]), (StatusCode::OK, &json!(3)), "{page}");
        assert_eq!(ids_of(&page), ["7", "9", "31"]);
    }
    let after = contacts.record(ObjectKind::Contacts, 7).unwrap();
    assert_ne!(before["properties"]["num_notes"], after["properties"]["num_notes"]);
    assert_eq!(before["properties"]["email"], after["properties"]["email"]);
    assert_eq!(scene.list("contacts", 100).await.len(), 30, "one added, one deleted");
    assert_eq!(ids_of(&scene.page("/crm/v3/objects/contacts?archived=true").await), ["1"]);
}

#[tokio::test]
async fn a_search_pages_by_offset_and_refuses_to_go_beyond_ten_thousand() {
    let scene = Scene::with(account().contacts(10_050)).await;
    let (_, first) = scene.search("contacts", json!({ "limit": 200 })).await;
    assert_eq!((&first["total"], &first["paging"]["next"]["after"]), (&json!(10_050), &json!("200")));
    let (_, second) = scene.search("contacts", json!({ "limit": 200, "after": "200" })).await;
    let both: BTreeSet<_> = ids_of(&first).into_iter().chain(ids_of(&second)).collect();
    assert_eq!(both.len(), 400);
    let (status, _) = scene.search("contacts", json!({ "limit": 200, "after": "9800" })).await;
    assert_eq!(status, StatusCode::OK);
    for wrong in [
        json!({ "limit": 200, "after": "9801" }),
        json!({ "limit": 201 }),
        json!({ "filterGroups": [{ "filters": [{ "propertyName": "email", "operator": "SOUNDS_LIKE", "value": "x" }] }] }),
        json!({ "filterGroups": [{ "filters": [{ "propertyName": "createdate", "operator": "GT", "value": "soon" }] }] }),
    ] {
        let (status, body) = scene.search("contacts", wrong).await;
        assert_eq!((status, &body["category"]), (StatusCode::BAD_REQUEST, &json!("VALIDATION_ERROR")));
    }
}

#[tokio::test]
async fn every_comparison_of_a_search_draws_its_line_where_it_says() {
    let scene = Scene::with(account().deals(10)).await;
    for (operator, value, high, expected) in [
        ("GTE", "8", None, 3),
        ("GT", "8", None, 2),
        ("LT", "8", None, 7),
        ("LTE", "8", None, 8),
        ("EQ", "8", None, 1),
        ("NEQ", "8", None, 9),
        ("BETWEEN", "3", Some("5"), 3),
    ] {
        let filter = json!({ "propertyName": "hs_object_id", "operator": operator, "value": value, "highValue": high });
        let (_, page) = scene.search("deals", json!({ "filterGroups": [{ "filters": [filter] }] })).await;
        assert_eq!(page["total"], expected, "{operator}");
    }
}

#[tokio::test]
async fn a_token_opens_its_own_account_only() {
    let clock = Arc::new(JumpingClock(AtomicU64::new(0)));
    let second = AccountOptions::new("4712", "token-4712").contacts(2);
    let options = SimulatorOptions::new(clock.clone()).account(account().contacts(5)).account(second.clone());
    let simulator = Simulator::start(options).await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().no_proxy().build().unwrap();
    for (token, expected) in [(TOKEN, 4_711), ("token-4712", 4_712)] {
        let url = simulator.base_url() + "/account-info/v3/details";
        let details: Value = http.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
        assert_eq!(details["portalId"], expected);
    }
    let url = simulator.base_url() + "/crm/v3/objects/contacts";
    let answer = http.get(url).bearer_auth("stolen").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["status"], &body["category"]), (&json!("error"), &json!("INVALID_AUTHENTICATION")));
    assert!(body["correlationId"].is_string() && body["message"].is_string());

    let twice = SimulatorOptions::new(clock.clone()).account(second.clone()).account(second);
    assert!(matches!(Simulator::start(twice).await.err(), Some(SimulatorError::SameAccountTwice(_))));
    let public = SimulatorOptions::new(clock).listen("0.0.0.0:0".parse().unwrap());
    assert!(matches!(Simulator::start(public).await.err(), Some(SimulatorError::NotLoopback(_))));
}

#[tokio::test]
async fn every_fault_of_the_script_strikes_once_and_then_the_page_comes() {
    let scene = Scene::with(account().contacts(5)).await;
    let path = "/crm/v3/objects/contacts";
    for (fault, status, name) in [
        (FaultKind::TooManyRequests { retry_after: Some(3) }, 429, "too_many_requests"),
        (FaultKind::ServerError, 500, "server_error"),
        (FaultKind::Unauthorized, 401, "unauthorized"),
        (FaultKind::Forbidden, 403, "forbidden"),
        (FaultKind::Rejected, 400, "rejected"),
        (FaultKind::ErrorBody, 200, "error_body"),
        (FaultKind::NotJson, 200, "not_json"),
    ] {
        scene.simulator.fault(Fault::on(1, fault).path("/contacts").account("4711"));
        let answer = scene.get(path).await.unwrap();
        assert_eq!(answer.status(), status, "{name}");
        let wait = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(wait.as_deref(), (status == 429).then_some("3"));
        let body = answer.text().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&body).is_ok_and(|v| v["status"] == "error"), name != "not_json");
        assert_eq!(scene.simulator.oracle().calls().last().unwrap().fault, Some(name));
        assert_eq!(ids_of(&scene.page(path).await).len(), 5, "after {name}");
    }
}

#[tokio::test]
async fn a_broken_connection_is_broken_below_http() {
    let scene = Scene::with(account().contacts(100)).await;
    let path = "/crm/v3/objects/contacts?limit=100";
    scene.simulator.fault(Fault::on(1, FaultKind::CutBody));
    let answer = scene.get(path).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "the head arrives whole");
    assert!(answer.bytes().await.is_err(), "the body does not");

    // The client tries a fresh connection when a kept one breaks before an answer, so more than one reset is scripted.
    scene.simulator.fault(Fault::on(1, FaultKind::Reset).times(20));
    assert!(scene.get(path).await.is_err());
    scene.simulator.clear_faults();
    assert_eq!(ids_of(&scene.page(path).await).len(), 100);
    let calls = scene.simulator.oracle().calls();
    assert_eq!((calls[0].status, calls[0].fault), (None, Some("cut_body")));
    assert_eq!((calls[1].status, calls[1].fault), (None, Some("reset")));
}

#[tokio::test]
async fn repeated_stuck_and_empty_pages_are_what_they_are_called() {
    let scene = Scene::with(account().contacts(6)).await;
    let path = "/crm/v3/objects/contacts?limit=2";
    assert_eq!(ids_of(&scene.page(path).await), ["1", "2"]);
    scene.simulator.fault(Fault::on(1, FaultKind::RepeatedPage));
    let repeated = scene.page(&format!("{path}&after=2")).await;
    assert_eq!((ids_of(&repeated), &repeated["paging"]["next"]["after"]), (vec!["1".into(), "2".into()], &json!("4")));
    scene.simulator.fault(Fault::on(1, FaultKind::StuckPage));
    let stuck = scene.page(&format!("{path}&after=2")).await;
    assert_eq!((ids_of(&stuck), &stuck["paging"]["next"]["after"]), (vec!["1".into(), "2".into()], &json!("2")));

    scene.simulator.fault(Fault::on(2, FaultKind::EmptyPageWithNext).times(2));
    let ids = scene.list("contacts", 2).await;
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6"], "empty pages lose nothing");
    assert_eq!(scene.simulator.oracle().calls().iter().filter(|c| c.fault == Some("empty_page_with_next")).count(), 2);
}

#[tokio::test]
async fn a_held_answer_waits_for_its_gate_and_latency_passes_on_the_clock() {
    let scene = Scene::with(account().contacts(1)).await;
    let gate = Gate::default();
    scene.simulator.fault(Fault::on(1, FaultKind::Hold(gate.clone())));
    let (page, ()) = tokio::join!(scene.page("/crm/v3/objects/contacts"), async {
        scene.simulator.oracle().wait_for(1).await;
        assert_eq!(scene.simulator.oracle().calls()[0].status, None, "held");
        gate.open();
    });
    assert_eq!(ids_of(&page), ["1"]);

    scene.simulator.set_latency(Duration::from_millis(250));
    scene.simulator.fault(Fault::on(1, FaultKind::Slow(Duration::from_secs(2))));
    let before = scene.clock.monotonic();
    scene.page("/crm/v3/objects/contacts").await;
    assert_eq!(scene.clock.monotonic() - before, Duration::from_millis(2_250));
}

#[tokio::test]
async fn an_account_over_its_limit_is_told_to_wait_until_its_window_has_room() {
    let scene = Scene::with(account().contacts(1).limit(3, Duration::from_secs(10))).await;
    for _ in 0..3 {
        scene.page("/crm/v3/objects/contacts").await;
    }
    scene.clock.advance(Duration::from_secs(4));
    let refused = scene.get("/crm/v3/objects/contacts").await.unwrap();
    assert_eq!(
        (refused.status(), refused.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "6")
    );
    scene.clock.advance(Duration::from_secs(6));
    scene.page("/crm/v3/objects/contacts").await;
    let oracle = scene.simulator.oracle();
    assert_eq!(oracle.most_within(Some("4711"), Duration::from_secs(10)), 4);
    assert_eq!(oracle.most_within(None, Duration::from_secs(1)), 3);
}

#[tokio::test]
async fn spoilt_records_stay_in_their_place_and_can_be_mended() {
    let scene = Scene::with(account().contacts(9).deals(9)).await;
    let crm = scene.simulator.account("4711");
    let contacts = [
        Bad::UnknownLifecycle,
        Bad::NoEmailShape,
        Bad::PhoneGarbage,
        Bad::MissingId,
        Bad::TimeGarbage,
        Bad::NotAnObject,
    ];
    for (id, bad) in (1..).zip(contacts) {
        assert!(crm.make_bad(ObjectKind::Contacts, id, bad));
    }
    assert!(crm.make_bad(ObjectKind::Deals, 1, Bad::UnknownDealStage));
    assert!(crm.make_bad(ObjectKind::Deals, 2, Bad::AmountGarbage));
    let page = scene.page("/crm/v3/objects/contacts?properties=email,phone,lifecyclestage").await;
    let results = page["results"].as_array().unwrap();
    assert_eq!(results.len(), 9);
    assert_eq!(results[0]["properties"]["lifecyclestage"], "galactic_ambassador");
    assert!(!results[1]["properties"]["email"].as_str().unwrap().contains('@'));
    assert!(results[3].get("id").is_none() && results[3]["properties"].get("hs_object_id").is_none());
    assert_eq!(results[4]["properties"]["lastmodifieddate"], "soon");
    assert!(results[5].is_string());
    let deals = scene.page("/crm/v3/objects/deals").await;
    assert_eq!(deals["results"][1]["properties"]["amount"], "twelve hundred");
    assert_eq!(crm.mend(ObjectKind::Contacts, 1..=6), 6);
    let ids = scene.list("contacts", 100).await;
    assert_eq!(ids.len(), 9);
    assert!(ids.iter().all(|id| id != "-"));
}

#[tokio::test]
async fn the_bulk_source_gives_each_record_the_same_bytes_at_any_page_size() {
    let scene = Scene::with(account()).await;
    let read = async |limit: u64, touch: &str| {
        let mut records = Vec::new();
        let mut after = "0".to_owned();
        loop {
            let path = format!("/bulk/2500/crm/v3/objects/contacts?limit={limit}&after={after}&touch={touch}");
            let page = scene.page(&path).await;
            records.extend(page["results"].as_array().unwrap().iter().cloned());
            match page["paging"]["next"]["after"].as_str() {
                Some(next) => after = next.to_owned(),
                None => return records,
            }
        }
    };
    let small = read(100, "0").await;
    let large = read(1_000, "0").await;
    assert_eq!((small.len(), &small), (2_500, &large));
    let ids: BTreeSet<_> = small.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2_500);
    let bytes = serde_json::to_string(&small).unwrap().len() / 2_500;
    assert!((560..=700).contains(&bytes), "{bytes} bytes a record");
    let touched = read(1_000, "0.1").await;
    let changed = small.iter().zip(&touched).filter(|(a, b)| a != b).collect::<Vec<_>>();
    assert!((200..=300).contains(&changed.len()), "{} of 2500 touched", changed.len());
    for (before, after) in changed {
        assert_eq!(before["id"], after["id"]);
        assert_ne!(before["phone"], after["phone"]);
        assert!(before["updated_at"].as_str() < after["updated_at"].as_str());
        assert!(after["updated_at"].as_str() < Some("2026"));
    }
}

#[tokio::test]
async fn a_stopped_simulator_refuses_connections_and_lets_no_answer_hang() {
    let scene = Scene::with(account().contacts(1)).await;
    let Scene { simulator, http, .. } = scene;
    let url = simulator.base_url() + "/crm/v3/objects/contacts";
    simulator.fault(Fault::on(1, FaultKind::Hold(Gate::default())));
    let held = tokio::spawn(http.get(&url).bearer_auth(TOKEN).send());
    simulator.oracle().wait_for(1).await;
    simulator.stop().await;
    // Answered or cut off, but not left waiting for a gate that nobody opens.
    let _ = tokio::time::timeout(Duration::from_secs(10), held).await.expect("the held answer ends").unwrap();
    let after = http.get(&url).bearer_auth(TOKEN).send().await;
    assert!(after.is_err_and(|error| error.is_connect()));
}

//! The HubSpot manifest against a search endpoint that caps, shifts and ties as the real one does.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::json;

use super::{
    tests::{HUBSPOT, connector, drain, ids, request},
    *,
};
use crate::domain::clock::Timestamp;

/// Contacts as HubSpot's search gives them, with a smaller cap.
#[derive(Default)]
struct Search {
    /// (id, milliseconds)
    contacts: Mutex<Vec<(u64, i64)>>,
    requests: AtomicUsize,
    /// Before the request of that number, that contact is changed.
    changes: HashMap<usize, u64>,
    cap: usize,
}

const STARTED_MS: i64 = 1_769_846_400_000;

async fn search(
    State(state): State<Arc<Search>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (axum::http::StatusCode, Json<Value>) {
    assert_eq!(headers["authorization"], "Bearer tok-1");
    let turn = state.requests.fetch_add(1, Ordering::SeqCst);
    let mut contacts = state.contacts.lock().unwrap();
    if let Some(changed) = state.changes.get(&turn) {
        contacts.iter_mut().find(|(id, _)| id == changed).unwrap().1 = STARTED_MS + 5_000;
    }
    let filters = &body["filterGroups"][0]["filters"];
    assert_eq!((filters[0]["operator"].as_str(), filters[1]["operator"].as_str()), (Some("GTE"), Some("LTE")));
    let bound = |at: usize| filters[at]["value"].as_str().unwrap().parse::<i64>().unwrap();
    let mut found: Vec<_> = contacts.iter().filter(|(_, at)| (bound(0)..=bound(1)).contains(at)).copied().collect();
    found.sort_by_key(|(id, at)| (*at, *id));
    let limit = usize::try_from(body["limit"].as_u64().unwrap()).unwrap();
    let after: usize = body["after"].as_str().map_or(0, |after| after.parse().unwrap());
    if after + limit > state.cap {
        return (axum::http::StatusCode::BAD_REQUEST, Json(json!({"category": "VALIDATION_ERROR"})));
    }
    let page: Vec<_> = found.iter().skip(after).take(limit).collect();
    let iso =
        |ms: i64| Timestamp::from_micros(ms * 1000).unwrap().utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let results: Vec<_> = page
        .iter()
        .map(|(id, at)| json!({"id": id.to_string(), "properties": {"lastmodifieddate": iso(*at)}}))
        .collect();
    let mut answer = json!({"total": found.len(), "results": results});
    if after + limit < found.len() {
        answer["paging"] = json!({"next": {"after": (after + limit).to_string()}});
    }
    (axum::http::StatusCode::OK, Json(answer))
}

async fn hubspot(state: Search, page_size: usize) -> (ManifestConnector, Arc<Search>) {
    let state = Arc::new(state);
    let app = Router::new().route("/crm/v3/objects/contacts/search", post(search)).with_state(Arc::clone(&state));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let text = HUBSPOT
        .replace("page_size: 200", &format!("page_size: {page_size}"))
        .replace("max_slice_records: 10000", &format!("max_slice_records: {}", state.cap));
    (connector(&text, json!({"base_url": base, "start_date": "2026-01-01T00:00:00Z"})), state)
}

fn contacts(count: u64, same_time: u64) -> Mutex<Vec<(u64, i64)>> {
    Mutex::new(
        (0..count).map(|id| (id, STARTED_MS - 1_000_000 + i64::try_from(id / same_time).unwrap() * 10)).collect(),
    )
}

fn unique(mut ids: Vec<String>) -> usize {
    ids.sort();
    ids.dedup();
    ids.len()
}

#[tokio::test]
async fn hubspot_is_read_to_the_end_with_a_cursor_after_each_page() {
    let (connector, _) = hubspot(Search { contacts: contacts(95, 1), cap: 1000, ..Search::default() }, 20).await;
    let pages = drain(&connector, request("contacts", SyncMode::Incremental, None)).await.unwrap();
    assert_eq!(pages.len(), 5);
    assert_eq!(ids(&pages).len(), 95);
    assert_eq!(pages[0].provider_total, Some(95));
    let orders: Vec<_> = pages.iter().map(|page| page.cursor.as_ref().unwrap().order.unwrap()).collect();
    assert!(orders.is_sorted(), "{orders:?}");
    assert_eq!(
        pages[4].cursor.as_ref().unwrap().state,
        json!({"properties.lastmodifieddate": "2026-01-31T07:43:20.940Z"})
    );

    // The next run begins at the cursor, less the look-back, and moves nothing back.
    let cursor = pages[4].cursor.clone().unwrap();
    let again =
        drain(&connector, request("contacts", SyncMode::Incremental, Some(cursor.state.clone()))).await.unwrap();
    assert_eq!(again.last().unwrap().cursor, Some(cursor));
}

#[tokio::test]
async fn more_than_the_providers_cap_is_read_by_asking_on_from_the_last_cursor() {
    let (connector, state) = hubspot(Search { contacts: contacts(230, 3), cap: 60, ..Search::default() }, 20).await;
    let pages = drain(&connector, request("contacts", SyncMode::FullRefresh, None)).await.unwrap();
    assert_eq!(unique(ids(&pages)), 230);
    assert!(state.requests.load(Ordering::SeqCst) < 20);

    let (connector, _) = hubspot(Search { contacts: contacts(200, 200), cap: 60, ..Search::default() }, 20).await;
    let error = drain(&connector, request("contacts", SyncMode::FullRefresh, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stuck);
    assert!(error.message.contains("share one cursor value"), "{error}");
}

#[tokio::test]
async fn a_record_that_moves_up_while_pages_are_read_is_not_missed() {
    let changes = HashMap::from([(1, 3), (2, 5)]);
    let (connector, _) =
        hubspot(Search { contacts: contacts(50, 1), cap: 1000, changes, ..Search::default() }, 10).await;
    let pages = drain(&connector, request("contacts", SyncMode::Incremental, None)).await.unwrap();
    assert_eq!(unique(ids(&pages)), 50, "also those that moved over the edge of a page");
    let orders: Vec<_> = pages.iter().filter_map(|page| page.cursor.as_ref()?.order).collect();
    assert!(orders.is_sorted() && orders.len() >= 3, "{orders:?}");
}

#[tokio::test]
async fn a_limit_makes_pages_smaller() {
    let (connector, _) = hubspot(Search { contacts: contacts(50, 1), cap: 1000, ..Search::default() }, 10).await;
    let page = connector
        .pull(&PullRequest { limit: Some(3), ..request("contacts", SyncMode::FullRefresh, None) })
        .await
        .unwrap();
    assert_eq!(page.items.len(), 3);
}

#[tokio::test]
async fn a_position_of_another_version_begins_the_pull_again() {
    let connector = connector(HUBSPOT, json!({"start_date": "2026-01-01T00:00:00Z"}));
    for position in [json!(null), json!({"v": 0}), json!({"page": 3})] {
        let position = Some(crate::domain::cursor::Position(position));
        let request = PullRequest { position, ..request("contacts", SyncMode::FullRefresh, None) };
        assert_eq!(connector.pull(&request).await.unwrap_err().kind, ErrorKind::PositionExpired);
    }
}

#[test]
fn hubspot_offers_contacts_deals_and_calls() {
    let manifest = Manifest::load(HUBSPOT).unwrap();
    let names: Vec<_> =
        manifest.streams().iter().map(|s| (s.name.as_str(), s.cursor_field.as_deref().unwrap())).collect();
    let modified = "properties.hs_lastmodifieddate";
    assert_eq!(names, [("contacts", "properties.lastmodifieddate"), ("deals", modified), ("calls", modified)]);
    assert_eq!(manifest.facts().provider_key.as_deref(), Some("hubspot"));
}

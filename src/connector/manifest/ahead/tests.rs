//! Slices fetched ahead, against a provider on loopback that is slow and fails where a test wants it: what is delivered is the same as
//! without, and no bound is crossed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::super::{Manifest, ManifestConnector};
use crate::{
    connector::{
        Connector as _, ConnectorError, Page, PullRequest,
        http::{
            GateOptions,
            testing::{ManualClock, Secrets, gate_with, options},
        },
        registry::ConnectionFacts,
    },
    domain::{cursor::Position, status::SyncMode},
};

const NOW: &str = "2026-01-31T08:00:00Z";
/// Longer than any of these tests may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the provider behaves.
#[derive(Debug, Clone, Default)]
struct Manners {
    /// Pages of each day, or of each parent's day.
    pages: Vec<u64>,
    /// Turns that an answer takes, by day.
    slow: Vec<u32>,
    /// Day and page that are refused.
    refused: Option<(u64, u64)>,
    /// Bytes that each record is filled up with.
    filler: usize,
    /// Answers wait until so many are under way, but for the first ones: nothing is fetched ahead of them.
    together: usize,
    alone: usize,
}

#[derive(Default)]
struct Seen {
    under_way: usize,
    most: usize,
    asked: Vec<String>,
}

#[derive(Clone)]
struct Provider {
    base: String,
    manners: Arc<Manners>,
    seen: Arc<Mutex<Seen>>,
    most: Arc<watch::Sender<usize>>,
}

impl Provider {
    async fn start(manners: Manners) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let provider =
            Self { base, manners: Arc::new(manners), seen: Arc::default(), most: Arc::new(watch::Sender::new(0)) };
        let app = Router::new().fallback(answer).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        provider
    }

    fn connector(&self, at_once: u64, gate: GateOptions) -> ManifestConnector {
        let facts = ConnectionFacts {
            connection_key: "acme".into(),
            provider_account_id: "1".into(),
            config: json!({"base_url": self.base, "at_once": at_once}),
            credential: Secrets::of(&[]),
            gate: gate_with(gate, &ManualClock::at(NOW)),
        };
        ManifestConnector::new(&Manifest::load(MANIFEST).unwrap(), "test", facts).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().asked.clone()
    }
}

type Asked = std::collections::HashMap<String, String>;

async fn answer(State(provider): State<Provider>, uri: Uri, Query(query): Query<Asked>) -> Response {
    let manners = Arc::clone(&provider.manners);
    let (most, alone) = {
        let mut seen = provider.seen.lock().unwrap();
        seen.asked.push(uri.to_string());
        seen.under_way += 1;
        seen.most = seen.most.max(seen.under_way);
        (seen.most, manners.together == 0 || seen.asked.len() <= manners.alone)
    };
    provider.most.send_replace(most);
    if !alone {
        let mut most = provider.most.subscribe();
        most.wait_for(|most| *most >= manners.together).await.unwrap();
    }
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
    let page = number("page").unwrap_or(1);
    let day = query.get("from").and_then(|from| from.get(8..10)).and_then(|day| day.parse().ok()).unwrap_or(1_u64);
    let index = usize::try_from(day).unwrap();
    let of = |all: &[u64]| all.get(index % all.len().max(1)).copied().unwrap_or(1);
    for _ in 0..manners.slow.get(index % manners.slow.len().max(1)).copied().unwrap_or(0) {
        tokio::task::yield_now().await;
    }
    provider.seen.lock().unwrap().under_way -= 1;
    if uri.path() == "/parents" {
        let rows: Vec<Value> = (1..=2).map(|n| json!({"id": (page - 1) * 2 + n})).collect();
        return axum::Json(json!({"rows": rows, "more": page < 3})).into_response();
    }
    if manners.refused == Some((day, page)) {
        return (StatusCode::BAD_REQUEST, axum::Json(json!({"error": "no"}))).into_response();
    }
    let parent = uri.path().trim_start_matches("/things").trim_start_matches('/');
    let filler = "x".repeat(manners.filler);
    let rows: Vec<Value> = (0..3)
        .map(|n| json!({"id": format!("{parent}-{day}-{page}-{n}"), "at": format!("2026-01-{day:02}T0{page}:0{n}:00Z"), "filler": filler}))
        .collect();
    axum::Json(json!({"rows": rows, "more": page < of(&manners.pages)})).into_response()
}

const MANIFEST: &str = r##"
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [days]}
concurrency_level: {type: ConcurrencyLevel, default_concurrency: "{{ config['at_once'] }}", max_concurrency: 16}
definitions:
  paginator:
    type: DefaultPaginator
    page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
    pagination_strategy:
      type: CursorPagination
      cursor_value: "{{ (next_page_token.next_page_token if next_page_token else 1) + 1 }}"
      stop_condition: "{{ not response.more }}"
  selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [rows]}}
  requester: {type: HttpRequester, url_base: "{{ config['base_url'] }}"}
  cursor:
    type: DatetimeBasedCursor
    cursor_field: at
    datetime_format: "%Y-%m-%dT%H:%M:%SZ"
    start_datetime: "2026-01-20T00:00:00Z"
    cursor_granularity: PT1S
    step: P1D
    start_time_option: {type: RequestOption, inject_into: request_parameter, field_name: from}
streams:
  - type: DeclarativeStream
    name: days
    primary_key: id
    incremental_sync: {$ref: "#/definitions/cursor"}
    retriever:
      type: SimpleRetriever
      requester: {$ref: "#/definitions/requester", path: /things}
      paginator: {$ref: "#/definitions/paginator"}
      record_selector: {$ref: "#/definitions/selector"}
  - type: DeclarativeStream
    name: children
    primary_key: id
    incremental_sync: {$ref: "#/definitions/cursor", start_datetime: "2026-01-30T00:00:00Z"}
    retriever:
      type: SimpleRetriever
      requester: {$ref: "#/definitions/requester", path: "/things/{{ stream_partition.parent }}"}
      paginator: {$ref: "#/definitions/paginator"}
      record_selector: {$ref: "#/definitions/selector"}
      partition_router:
        type: SubstreamPartitionRouter
        parent_stream_configs:
          - type: ParentStreamConfig
            parent_key: id
            partition_field: parent
            stream:
              type: DeclarativeStream
              name: parents
              primary_key: id
              retriever:
                type: SimpleRetriever
                requester: {$ref: "#/definitions/requester", path: /parents}
                paginator: {$ref: "#/definitions/paginator"}
                record_selector: {$ref: "#/definitions/selector"}
spec: {type: Spec, connection_specification: {}}
"##;

/// A pull as the pipeline makes it, that can be stopped after any page.
struct Reading {
    request: PullRequest,
    pages: Vec<Page>,
    ended: Option<Result<(), String>>,
}

impl Reading {
    fn of(stream: &str) -> Self {
        let request = PullRequest {
            stream: stream.into(),
            mode: SyncMode::Incremental,
            cursor: None,
            position: None,
            started_at: NOW.parse().unwrap(),
            limit: None,
            traffic: Arc::default(),
        };
        Self { request, pages: Vec::new(), ended: None }
    }

    async fn step(&mut self, connector: &ManifestConnector) {
        match connector.pull(&self.request).await {
            Ok(page) => {
                // Each position survives being written down.
                self.request.position = page.next.as_ref().map(|next| Position(next.0.to_string().parse().unwrap()));
                if let Some(cursor) = page.cursor.as_ref().filter(|cursor| cursor.order.is_none()) {
                    self.request.cursor = Some(cursor.state.clone());
                }
                self.pages.push(page);
                self.ended = self.request.position.is_none().then_some(Ok(()));
            }
            Err(error) => self.ended = Some(Err(told(&error))),
        }
        assert!(self.pages.len() < 2_000, "the pull does not end");
    }

    async fn ended(mut self, connector: &ManifestConnector) -> Self {
        while self.ended.is_none() {
            self.step(connector).await;
        }
        self
    }
}

fn told(error: &ConnectorError) -> String {
    format!("{:?}: {}", error.kind, error.message)
}

fn manners() -> impl Strategy<Value = Manners> {
    let pages = prop::collection::vec(1_u64..4, 1..6);
    let slow = prop::collection::vec(0_u32..200, 1..6);
    let refused = prop::option::of((20_u64..32, 1_u64..3));
    (pages, slow, refused).prop_map(|(pages, slow, refused)| Manners { pages, slow, refused, ..Manners::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn p1_what_is_delivered_is_the_same_with_eight_requests_at_once_also_after_a_kill(
        manners in manners(), children in any::<bool>(), killed_after in 0_usize..30,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stream = if children { "children" } else { "days" };
            let provider = Provider::start(manners).await;
            let alone = provider.connector(1, options());
            let expected = Reading::of(stream).ended(&alone).await;
            let plain: BTreeSet<String> = provider.asked().into_iter().collect();

            let many = provider.connector(8, options());
            let ours = Reading::of(stream).ended(&many).await;
            assert_eq!(ours.pages, expected.pages);
            assert_eq!(ours.ended, expected.ended);

            let killed = provider.connector(8, options());
            let mut reading = Reading::of(stream);
            while reading.ended.is_none() && reading.pages.len() < killed_after {
                reading.step(&killed).await;
            }
            drop(killed);
            if reading.ended.is_none() {
                reading = reading.ended(&provider.connector(8, options())).await;
            }
            assert_eq!(reading.pages, expected.pages);
            assert_eq!(reading.ended, expected.ended);
            if expected.ended == Some(Ok(())) {
                let asked: BTreeSet<String> = provider.asked().into_iter().collect();
                assert_eq!(asked, plain, "nothing else is asked for");
            }
        });
    }
}

#[tokio::test]
async fn as_many_requests_as_the_manifest_wants_are_under_way_and_never_more() {
    let provider = Provider::start(Manners { together: 4, alone: 1, pages: vec![2], ..Manners::default() }).await;
    let connector = provider.connector(4, options());
    let reading = Reading::of("days").ended(&connector);
    let reading = tokio::time::timeout(PATIENCE, reading).await.expect("four requests meet at the provider");
    assert_eq!((reading.pages.len(), reading.ended), (24, Some(Ok(()))));
    let seen = provider.seen.lock().unwrap();
    assert_eq!(seen.most, 4);
    let all: BTreeSet<&String> = seen.asked.iter().collect();
    assert_eq!((seen.asked.len(), all.len()), (24, 24), "each page is asked for once");
}

#[tokio::test]
async fn the_operators_bound_holds_whatever_the_manifest_wants() {
    let provider = Provider::start(Manners { together: 2, alone: 2, pages: vec![2], ..Manners::default() }).await;
    let connector = provider.connector(16, GateOptions { max_concurrency: 2, ..options() });
    let reading = Reading::of("children").ended(&connector);
    let reading = tokio::time::timeout(PATIENCE, reading).await.expect("two requests meet at the provider");
    // Six parents with two days each, two pages a day.
    assert_eq!((reading.pages.len(), reading.ended), (24, Some(Ok(()))));
    assert_eq!(provider.seen.lock().unwrap().most, 2);
    let parents = provider.asked().iter().filter(|asked| asked.starts_with("/parents")).count();
    assert_eq!(parents, 3, "each page of parents is asked for once");
}

#[tokio::test]
async fn what_waits_stays_within_its_bytes_and_a_failure_waits_for_its_turn() {
    const BYTES: usize = 40_000;
    let manners = Manners { pages: vec![3], filler: 3_000, refused: Some((28, 2)), ..Manners::default() };
    let provider = Provider::start(manners).await;
    let connector = provider.connector(8, GateOptions { ahead_bytes: BYTES, ..options() });
    let mut reading = Reading::of("days");
    let mut held = 0;
    while reading.ended.is_none() {
        reading.step(&connector).await;
        // All that is fetched ahead has come, before anything more is taken.
        let idle = async {
            while let Some((most, idle)) = connector.ahead.most_held() {
                held = most;
                if idle {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, idle).await.expect("the driver comes to rest");
    }
    assert!(held > BYTES / 2 && held <= BYTES, "{held} bytes were held");
    assert_eq!(reading.pages.len(), 8 * 3 + 1, "all before the refused page is delivered");
    assert!(reading.ended.unwrap().unwrap_err().contains("Rejected"));
    let behind = provider.asked().iter().filter(|asked| asked.contains("from=2026-01-3")).count();
    assert!(behind <= 4, "little is asked for behind a failure: {behind}");
}

#[tokio::test]
async fn who_wants_a_few_records_asks_for_nothing_ahead() {
    let provider = Provider::start(Manners { pages: vec![2], ..Manners::default() }).await;
    let connector = provider.connector(8, options());
    let mut reading = Reading::of("days");
    reading.request.limit = Some(3);
    reading.step(&connector).await;
    assert!(connector.ahead.most_held().is_none());
    assert_eq!(provider.asked().len(), 1);
}

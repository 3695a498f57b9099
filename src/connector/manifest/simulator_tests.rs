//! The shipped HubSpot manifest against the simulator, over real HTTP: whole listings, ties, the cap, edits, broken calls.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::json;

use super::{
    tests::{HUBSPOT, NOW, drain, ids, request},
    *,
};
use crate::{
    connector::http::{
        GateOptions,
        testing::{ManualClock, Secrets, gate_with, options},
    },
    domain::clock::Clock,
    simulator::{AccountOptions, Fault, FaultKind, Gate, ObjectKind, Simulator, SimulatorHandle, SimulatorOptions},
};

/// The provider's answer to a full page is larger than what the other tests allow.
const PAGE_BYTES: usize = 1024 * 1024;
/// Longer than any of these tests may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Scene {
    connector: ManifestConnector,
    simulator: SimulatorHandle,
    clock: Arc<ManualClock>,
}

impl Scene {
    async fn with(contacts: u64) -> Self {
        let clock = ManualClock::at(NOW);
        let account = AccountOptions::new("4711", "tok-1").contacts(contacts);
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let simulator = Simulator::start(SimulatorOptions::new(shared).account(account)).await.unwrap();
        let facts = ConnectionFacts {
            connection_key: "acme".into(),
            provider_account_id: "4711".into(),
            config: json!({"base_url": simulator.base_url(), "start_date": "2026-01-01T00:00:00Z"}),
            credential: Secrets::of(&["tok-1"]),
            gate: gate_with(GateOptions { max_body_bytes: PAGE_BYTES, ..options() }, &clock),
        };
        let connector = ManifestConnector::new(&Manifest::load(HUBSPOT).unwrap(), "hubspot", facts).unwrap();
        Self { connector, simulator, clock }
    }

    /// Changes contacts, so that all of them carry the same time of change: the present.
    fn edit(&self, ids: std::ops::Range<u64>) {
        let wanted = usize::try_from(ids.end - ids.start).unwrap();
        assert_eq!(self.simulator.account("4711").edit_contacts(ids), wanted);
    }

    /// A request whose run begins now.
    fn request(&self, mode: SyncMode, cursor: Option<Value>) -> PullRequest {
        PullRequest { started_at: self.clock.now(), ..request("contacts", mode, cursor) }
    }
}

fn all(ids: impl IntoIterator<Item = u64>) -> BTreeSet<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

#[tokio::test]
async fn every_contact_comes_once_also_where_ties_lie_over_the_edges_of_pages() {
    let scene = Scene::with(1_000).await;
    scene.edit(101..551);
    scene.clock.advance(Duration::from_secs(1));
    let pages = drain(&scene.connector, scene.request(SyncMode::Incremental, None)).await.unwrap();
    let read = ids(&pages);
    assert_eq!((read.len(), set(&read)), (1_000, all(1..=1_000)));
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [200; 5]);
    assert_eq!(pages[0].provider_total, Some(1_000));
    let orders: Vec<_> = pages.iter().map(|page| page.cursor.as_ref().unwrap().order.unwrap()).collect();
    assert!(orders.is_sorted(), "{orders:?}");
    assert_eq!(orders[3], orders[4], "the last pages end inside of one tie");

    // What the next run asks for again is the tie and the look-back, never less than the tie.
    let cursor = pages[4].cursor.as_ref().unwrap().state.clone();
    let again = drain(&scene.connector, scene.request(SyncMode::Incremental, Some(cursor))).await.unwrap();
    assert!(set(&ids(&again)).is_superset(&all(101..551)), "a record at the cursor itself is asked for again");
}

#[tokio::test]
async fn more_contacts_than_one_query_gives_are_read_without_meeting_the_refusal() {
    let scene = Scene::with(10_450).await;
    let pages = drain(&scene.connector, scene.request(SyncMode::FullRefresh, None)).await.unwrap();
    let read = ids(&pages);
    assert_eq!(set(&read).len(), 10_450);
    assert!(read.len() <= 10_450 + 5, "only records at the seam may come twice: {}", read.len());
    let calls = scene.simulator.oracle().calls();
    assert!(calls.len() >= 53 && calls.iter().all(|call| call.status == Some(200)), "{} calls", calls.len());
}

#[tokio::test]
async fn a_contact_that_is_edited_during_the_pull_hides_no_other_and_comes_with_the_next_one() {
    let scene = Scene::with(600).await;
    let mut request = scene.request(SyncMode::Incremental, None);
    let first = scene.connector.pull(&request).await.unwrap();
    // Ten that were read leave the window, so ten of the next page move up over its edge.
    scene.clock.advance(Duration::from_secs(5));
    let read: Vec<u64> = ids(std::slice::from_ref(&first)).iter().take(10).map(|id| id.parse().unwrap()).collect();
    assert_eq!(scene.simulator.account("4711").edit_contacts(read.iter().copied()), 10);
    request.position.clone_from(&first.next);
    let mut pages = vec![first];
    pages.extend(drain(&scene.connector, request).await.unwrap());
    assert_eq!(set(&ids(&pages)), all(1..=600));

    let cursor = pages.last().unwrap().cursor.as_ref().unwrap();
    let next = scene.request(SyncMode::Incremental, Some(cursor.state.clone()));
    let changed = drain(&scene.connector, next).await.unwrap();
    assert!(set(&ids(&changed)).is_superset(&all(read)), "the edits lie behind the cursor");
}

#[tokio::test]
async fn a_pull_that_is_dropped_while_it_waits_can_be_asked_again() {
    let scene = Scene::with(500).await;
    let first = scene.connector.pull(&scene.request(SyncMode::Incremental, None)).await.unwrap();
    let second = PullRequest { position: first.next, ..scene.request(SyncMode::Incremental, None) };
    let undisturbed = scene.connector.pull(&second).await.unwrap();
    assert_eq!(second.traffic.take().requests, 1);

    let hold = Gate::default();
    scene.simulator.fault(Fault::on(1, FaultKind::Hold(hold.clone())));
    let asked = scene.simulator.oracle().count() + 1;
    let dropped = async {
        tokio::select! {
            page = scene.connector.pull(&second) => panic!("it was answered: {page:?}"),
            () = scene.simulator.oracle().wait_for(asked) => {}
        }
    };
    tokio::time::timeout(PATIENCE, dropped).await.unwrap();
    assert_eq!(second.traffic.take().requests, 1, "what was asked is counted, also when nobody waits for it");
    hold.open();
    assert_eq!(scene.connector.pull(&second).await.unwrap(), undisturbed);
    assert_eq!(undisturbed.items.len(), 200);
}

#[tokio::test]
async fn bodies_cut_in_the_middle_and_resets_cost_retries_and_no_record() {
    let scene = Scene::with(450).await;
    for (number, kind) in [(1, FaultKind::CutBody), (3, FaultKind::Reset), (5, FaultKind::ServerError)] {
        scene.simulator.fault(Fault::on(number, kind));
    }
    let request = scene.request(SyncMode::FullRefresh, None);
    let pages = drain(&scene.connector, request.clone()).await.unwrap();
    assert_eq!((ids(&pages).len(), set(&ids(&pages))), (450, all(1..=450)));
    let traffic = request.traffic.take();
    assert_eq!((traffic.requests, traffic.retries), (6, 3));
}

#[tokio::test]
async fn an_error_in_the_body_of_a_200_is_no_empty_page() {
    for kind in [FaultKind::ErrorBody, FaultKind::NotJson] {
        let scene = Scene::with(5).await;
        scene.simulator.fault(Fault::on(1, kind));
        let error = scene.connector.pull(&scene.request(SyncMode::FullRefresh, None)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Decode, "{error}");
        assert_eq!(scene.connector.pull(&scene.request(SyncMode::FullRefresh, None)).await.unwrap().items.len(), 5);
    }
}

#[tokio::test]
async fn a_provider_that_never_ends_is_stuck_and_one_empty_page_is_not() {
    let scene = Scene::with(500).await;
    scene.simulator.fault(Fault::on(2, FaultKind::EmptyPageWithNext));
    let pages = drain(&scene.connector, scene.request(SyncMode::FullRefresh, None)).await.unwrap();
    assert_eq!(set(&ids(&pages)), all(1..=500));

    scene.simulator.fault(Fault::on(2, FaultKind::StuckPage).times(u64::MAX));
    let error = drain(&scene.connector, scene.request(SyncMode::FullRefresh, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stuck, "{error}");
}

#[tokio::test]
async fn the_simulators_deals_are_read_by_their_own_cursor() {
    let clock = ManualClock::at(NOW);
    let account = AccountOptions::new("1", "tok-1").deals(30);
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let simulator = Simulator::start(SimulatorOptions::new(shared).account(account)).await.unwrap();
    let config = json!({"base_url": simulator.base_url(), "start_date": "2026-01-01T00:00:00Z"});
    let connector = super::tests::connector(HUBSPOT, config);
    let pages = drain(&connector, request("deals", SyncMode::Incremental, None)).await.unwrap();
    assert_eq!(ids(&pages).len(), simulator.account("1").count(ObjectKind::Deals));
    assert!(pages[0].cursor.as_ref().unwrap().state.get("properties.hs_lastmodifieddate").is_some());
}

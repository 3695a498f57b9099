//! The folders that are shipped: each loads, and what its fixtures hold still becomes what its field maps say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    PullRequest, folder_advice,
    http::testing::{ManualClock, RawServer, Secrets, answer, gate},
    registry::{Catalogue, ConnectionFacts},
};
use crate::{
    domain::{record::Item, status::SyncMode},
    mapping::Mapped,
    webhook::{Carries, Feed, Received},
};

const NOW: &str = "2026-03-01T00:00:00Z";

/// All folders, by their keys: one that is no longer found is noticed here.
const SHIPPED: [&str; 14] = [
    "ad-spend-csv",
    "angi",
    "callrail",
    "calltracking",
    "csv",
    "google-business-profile",
    "google-search-console",
    "hubspot",
    "quickbooks",
    "servicetitan",
    "shopify",
    "stripe",
    "thumbtack",
    "twilio",
];

fn shipped() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors")
}

#[test]
fn every_shipped_folder_loads_with_a_field_map_for_each_stream_and_a_readme() {
    let (catalogue, problems) = Catalogue::read(&[shipped()]);
    assert!(problems.is_empty(), "{problems:#?}");
    let keys: Vec<_> = catalogue.folders().map(|folder| folder.provider_key.as_str()).collect();
    assert_eq!(keys, SHIPPED);
    for folder in catalogue.folders() {
        assert!(folder.dir.join("README.md").is_file(), "{} has no README.md", folder.provider_key);
        assert!(!folder.streams.is_empty());
        for stream in &folder.streams {
            assert!(folder.map(&stream.name).is_some(), "{}/{} has no field map", folder.provider_key, stream.name);
        }
    }
}

#[test]
fn no_shipped_folder_is_warned_of() {
    let (catalogue, _) = Catalogue::read(&[shipped()]);
    for folder in catalogue.folders() {
        let advice = folder_advice::advice(&folder.dir, Some(folder));
        let told: Vec<_> = advice.problems.iter().chain(&advice.warnings).map(ToString::to_string).collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}

#[test]
fn the_examples_of_the_guide_load() {
    let guide = fs::read_to_string(shipped().join("../docs/connectors.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut files = 0;
    for block in guide.split("```yaml\n# ").skip(1) {
        let (name, text) = block.split_once("```").unwrap().0.split_once('\n').unwrap();
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        files += 1;
    }
    assert_eq!(files, 4);
    let (catalogue, problems) = Catalogue::read(&[dir.path().to_owned()]);
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(catalogue.folder("acmecrm").unwrap().map("contacts").is_some());
    assert!(catalogue.folder("acmecrm").unwrap().webhook.is_some());
    assert_eq!(catalogue.folder("acmefiles").unwrap().streams.len(), 2);
}

/// The files of a fixture folder by name.
fn fixtures(provider: &str, stream: &str) -> BTreeMap<String, String> {
    let dir = shipped().join(provider).join("fixtures").join(stream);
    let read =
        |path: PathBuf| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap());
    fs::read_dir(&dir).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

/// Pages as the provider would send them, through manifest and field map: (written, left out, failed).
async fn replayed(stream: &str, pages: &[&str]) -> (usize, usize, usize) {
    let server = RawServer::start(pages.iter().map(|page| answer(200, "", page)).collect()).await;
    let (catalogue, _) = Catalogue::read(&[shipped()]);
    let folder = catalogue.folder("hubspot").unwrap();
    let clock = ManualClock::at(NOW);
    let facts = ConnectionFacts {
        connection_key: "acme".into(),
        provider_account_id: "1".into(),
        config: json!({"base_url": server.base, "start_date": "2020-01-01T00:00:00Z"}),
        credential: Secrets::of(&["tok-1"]),
        gate: gate(&clock),
    };
    let connector = folder.connector(facts).unwrap();
    let mut request = PullRequest {
        stream: stream.into(),
        mode: SyncMode::FullRefresh,
        cursor: None,
        position: None,
        started_at: NOW.parse().unwrap(),
        limit: None,
        traffic: Arc::default(),
    };
    let map = folder.map(stream).unwrap();
    let (mut written, mut ignored, mut failed) = (0, 0, 0);
    loop {
        let page = connector.pull(&request).await.unwrap();
        for item in page.items {
            match item {
                Item::Broken(_) => failed += 1,
                Item::Record(record) if record.external_id.is_none() => failed += 1,
                Item::Record(record) => match map.apply(&record.payload) {
                    Mapped::Record(_) => written += 1,
                    Mapped::Ignored { .. } => ignored += 1,
                    Mapped::OtherAccount { .. } | Mapped::Failed(_) => failed += 1,
                },
            }
        }
        request.position = page.next;
        if request.position.is_none() {
            assert_eq!(server.seen().len(), pages.len(), "each page was asked for once");
            return (written, ignored, failed);
        }
    }
}

#[tokio::test]
async fn hubspots_fixtures_go_through_manifest_and_field_map() {
    for (stream, expected) in [("contacts", (4, 0, 1)), ("deals", (3, 0, 2))] {
        let files = fixtures("hubspot", stream);
        let pages = [files["search_page_1"].as_str(), files["search_page_2"].as_str()];
        let records: usize = pages.iter().map(|page| count(page)).sum();
        let counted = replayed(stream, &pages).await;
        assert_eq!(counted.0 + counted.1 + counted.2, records, "{stream}: every record has its bucket");
        assert_eq!(counted, expected, "{stream}");
        assert_eq!(replayed(stream, &[&files["empty"]]).await, (0, 0, 0));
    }
}

fn count(page: &str) -> usize {
    serde_json::from_str::<Value>(page).unwrap()["results"].as_array().unwrap().len()
}

#[test]
fn hubspots_deliveries_ask_for_a_fetch_and_keep_no_value() {
    let (catalogue, problems) = Catalogue::read(&[shipped()]);
    assert!(problems.is_empty(), "{problems:#?}");
    let declaration = catalogue.folder("hubspot").unwrap().webhook.clone().unwrap();
    let body = fixtures("hubspot", "webhook").remove("events").unwrap();
    let received =
        Received { method: "POST", url: "https://hooks.example.test/x", headers: &[], body: body.as_bytes() };
    let read = declaration.read(&received).unwrap();
    let ids: BTreeSet<_> = read.iter().map(|delivery| delivery.delivery_id.as_str()).collect();
    assert_eq!(ids.len(), 6, "{ids:?}");
    let fetch = |stream: &str| Carries::Fetch { stream: stream.to_owned() };
    let carried: Vec<_> = read.iter().map(|delivery| delivery.carries.clone()).collect();
    assert_eq!(carried[..4], [fetch("contacts"), fetch("contacts"), fetch("contacts"), fetch("deals")]);
    assert!(carried[4..].iter().all(|carries| matches!(carries, Carries::Nothing { .. })), "{carried:?}");
    // The list gives ids as texts, an event as numbers: one object all the same.
    assert_eq!(read[0].object_id.as_deref(), Some("1"));
    assert_eq!(
        read[1].summary,
        "contact.propertyChange of 1 at 2026-01-05T09:12:05.000000Z, propertyName email, changeSource FORM"
    );
    assert!(
        read.iter().all(|delivery| !delivery.summary.contains("example.test") && !delivery.summary.contains("555"))
    );
    assert_eq!(declaration.feeds("contacts"), Some(Feed::Fetch));
    assert!(declaration.needs_secret() && declaration.scheme_name() == "hubspot_v3");
}

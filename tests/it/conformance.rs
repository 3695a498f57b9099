//! The conformance kit from the command line: it runs without a database, keeps its score, and the score goes stale.

use crate::support::{daemon::Home, yard::copy_connectors};

#[tokio::test]
async fn the_score_of_a_folder_is_kept_beside_it_told_by_the_catalogue_and_stale_once_a_file_changes() {
    let home = Home::new();
    copy_connectors(&home.path().join("connectors"));
    let score = async || {
        let listed = home.run_ok(&["provider", "list", "--json"]).await.json();
        let csv = listed.as_array().unwrap().iter().find(|provider| provider["provider_key"] == "csv").unwrap();
        csv["conformance"].as_str().unwrap().to_owned()
    };
    let kept = score().await;
    let (passed, applicable) = kept.split_once('/').unwrap();
    assert_eq!(passed, applicable, "{kept}");

    let shown = home.run_ok(&["provider", "show", "csv"]).await;
    assert!(shown.stdout.contains("fixtures_replayed") && shown.stdout.contains("nobody is asked"), "{shown}");

    let page = "connectors/csv/fixtures/leads/added.csv";
    home.write(page, "lead_id,received_at\nL-9,2026-02-01\n");
    assert_eq!(score().await, "stale");
    let unseen = home.run(&["validate", "--conformance", "connectors/csv"]).await;
    assert_eq!(unseen.code(), Some(2), "{unseen}");
    assert!(unseen.stdout.contains("added.csv comes and is not expected"), "{unseen}");
    assert_eq!(score().await, "stale", "only --write keeps anything");
    let written = home.run_ok(&["validate", "--conformance", "--write", "connectors/csv", "--json"]).await.json();
    assert_eq!(written["connectors"][0]["provider_key"], "csv", "{written}");
    assert_eq!(score().await, kept);

    home.write("declaration.yaml", "clients: []\n");
    let beside = home.run(&["validate", "--conformance", "connectors/csv", "declaration.yaml"]).await;
    assert_eq!(beside.code(), Some(2), "{beside}");
    assert!(beside.stderr.contains("declaration.yaml: neither a connector folder nor a file of one"), "{beside}");
    assert!(beside.stderr.contains("tidegate validate declaration.yaml"), "{beside}");
    home.run_ok(&["validate", "--conformance", "connectors/csv/file.yaml"]).await;

    let alone = home.run(&["validate", "--write"]).await;
    assert_eq!(alone.code(), Some(2), "{alone}");
}

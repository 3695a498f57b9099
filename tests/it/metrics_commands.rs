//! `tidegate metrics` and `tidegate portal` as people use them, with the real program.

use crate::support::{databases::TestDatabase, yard::Yard};

on_both_engines!(a_number_goes_from_the_provider_to_the_portal_and_each_gate_refuses_first, |db| {
    let mut yard = Yard::applied(db, 12, 0).await;
    yard.home.setting("metrics.environments", "production,sandbox");
    let lead = ["--client", "acme", "--metric", "lead_volume"];
    let publish = async || yard.home.run(&[&["metrics", "publish"], &lead[..], &["--json"]].concat()).await;
    let held = publish().await;
    assert_eq!(held.code(), Some(5), "{held}");
    let reasons = held.json()[0]["reasons"].to_string();
    for part in ["check freshness: contacts was never complete", "contacts was never read completely"] {
        assert!(reasons.contains(part), "'{part}' is not told\n{held}");
    }
    let baseline = [&["metrics", "baseline"], &lead[..], &["--reason", "before the new site"]].concat();
    let refused = yard.home.run(&baseline).await;
    assert_eq!(refused.code(), Some(5), "{refused}");
    assert!(refused.stderr.contains("contacts was never read completely"), "{refused}");
    assert_eq!(yard.run_acme().await.code(), Some(0));
    // The leads of the simulator came in at times of its own; last month is where the test wants them.
    let last_month = if db.is_mysql() {
        "date_sub(date_sub(utc_timestamp(6), interval dayofmonth(utc_timestamp()) day), interval 1 day)"
    } else {
        "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', 'start of month', '-2 days')"
    };
    db.sql.ok(&format!("update crm_leads set received_at = {last_month}")).await;
    let declared = [&baseline[..], &["--value", "8", "--evidence", "inbox count of last month"]].concat();
    yard.home.run_ok(&declared).await;
    let done = publish().await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(done.json()[0]["report"]["status"], "improved", "{done}");
    assert_eq!(publish().await.json()[0]["outcome"], "unchanged");
    // The provider could feed calls, and nobody declared them: no gap, unless somebody asks for that very number.
    let all = yard.home.run(&["metrics", "publish", "--client", "acme", "--json"]).await;
    assert!(all.stdout.contains("lead_volume") && !all.stdout.contains("missed_calls"), "{all}");
    let calls = ["metrics", "publish", "--client", "acme", "--metric", "missed_calls"];
    let asked = yard.home.run(&calls).await;
    assert_eq!(asked.code(), Some(5), "{asked}");
    assert!(asked.stdout.contains("no job of the connection feeds phone_calls"), "{asked}");
    let cards = yard.home.run_ok(&["portal", "cards", "--client", "acme", "--json"]).await.json();
    let card = cards.as_array().unwrap().iter().find(|card| card["title"] == "New leads").expect("a card");
    assert_eq!((&card["current"], &card["baseline"]), (&"12".into(), &"8".into()), "{cards}");
    let text = yard.home.run_ok(&["portal", "cards", "--client", "acme"]).await.stdout;
    assert!(text.contains("New leads") && !text.to_lowercase().contains("hubspot"), "{text}");

    let old = if db.is_mysql() { "2020-01-01 00:00:00" } else { "2020-01-01T00:00:00.000000Z" };
    db.sql.ok(&format!("update integration_sync_jobs set last_complete_at = '{old}'")).await;
    let held = yard.home.run(&[&["metrics", "publish"], &lead[..]].concat()).await;
    assert_eq!(held.code(), Some(5), "{held}");
    assert_eq!(yard.home.run_ok(&["portal", "cards", "--client", "acme", "--json"]).await.json(), cards);
    let show = yard.home.run_ok(&["metrics", "show", "--client", "acme"]).await.stdout;
    assert!(show.contains("check freshness: contacts") && !show.contains("inbox"), "{show}");
    let show = yard.home.run_ok(&["metrics", "show", "--client", "acme", "--json"]).await.json();
    let leads = show["metrics"].as_array().unwrap().iter().find(|one| one["title"] == "New leads").expect("leads");
    assert_eq!(leads["status"], "held", "{leads}");
    assert_eq!(show["baselines"][0]["evidence"], "inbox count of last month");
    let numbers = yard.home.run_ok(&["metrics", "snapshot", "--connection", "acme-hubspot", "--json"]).await.json();
    assert_eq!(numbers.as_array().map(Vec::len), Some(5), "{numbers}");
    // The other client has nothing of it.
    let other = yard.home.run_ok(&["metrics", "show", "--client", "bright", "--json"]).await.json();
    assert_eq!((&other["metrics"], &other["baselines"]), (&serde_json::json!([]), &serde_json::json!([])));
    yard.end().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mistyped_is_named_with_what_was_meant() {
    async fn test(db: &TestDatabase) {
        let mut yard = Yard::applied(db, 1, 0).await;
        yard.home.setting("metrics.environments", "production,sandbox");
        for (args, expected) in [
            (&["metrics", "publish", "--client", "acne"][..], "did you mean 'acme'?"),
            (&["metrics", "publish", "--metric", "lead_volum"], "did you mean 'lead_volume'?"),
            (&["metrics", "snapshot", "--metric", "lead_volume", "--period", "2026-W40"], "a month such as 2026-09"),
            (&["metrics", "snapshot", "--client", "bright", "--connection", "acme-hubspot"], "is not one of bright"),
            (
                &["metrics", "baseline", "--client", "acme", "--metric", "booked_value", "--reason", "x"],
                "feeds booked_value",
            ),
            (
                &[
                    "metrics",
                    "baseline",
                    "--client",
                    "acme",
                    "--metric",
                    "lead_volume",
                    "--source",
                    "Web",
                    "--reason",
                    "x",
                ],
                "add --source with one of: 'CRM'",
            ),
            (&["metrics", "baseline", "--client", "acme", "--metric", "lead_volume"], "--reason"),
            (
                &[
                    "metrics",
                    "baseline",
                    "--client",
                    "acme",
                    "--metric",
                    "lead_volume",
                    "--value",
                    "3",
                    "--reason",
                    "x",
                ],
                "--evidence",
            ),
            (&["portal", "cards", "--client", "acne"], "did you mean 'acme'?"),
        ] {
            let refused = yard.home.run(args).await;
            assert_eq!(refused.code(), Some(2), "{refused}");
            assert!(refused.stderr.contains(expected), "'{expected}' is not told\n{refused}");
        }
        let list = yard.home.run_ok(&["metrics", "list", "--json"]).await.json();
        let leads = list.as_array().unwrap().iter().find(|metric| metric["key"] == "lead_volume").unwrap();
        assert_eq!(leads["fed_by"], serde_json::json!(["csv", "hubspot"]));
        // A file of definitions adds, and everything wrong with one is told by whoever needs it.
        let file = yard.home.write("mine.yaml", "metrics:\n  - { key: mine, unit: money }\n");
        yard.home.setting("metrics.files", file.display());
        for args in [&["metrics", "list"][..], &["validate"]] {
            let refused = yard.home.run(args).await;
            assert_eq!(refused.code(), Some(2), "{refused}");
            let told = format!("{}{}", refused.stdout, refused.stderr);
            for part in ["mine.yaml:2: metrics[0].meaning: is required", "currency: is required for money"] {
                assert!(told.contains(part), "'{part}' is not told\n{refused}");
            }
        }
        yard.end().await;
    }
    TestDatabase::sqlite().await.run(test).await;
}

//! The checks and the identity guard through the real program: what a person types, and what a run does by itself.

use crate::support::yard::{ACME_PORTAL, BRIGHT_PORTAL, BRIGHT_TOKEN, Yard, names_account};

on_both_engines!(p17_quality_run_refuses_with_the_remedy_until_the_data_are_complete_and_list_shows_why, |db| {
    let yard = Yard::applied(db, 30, 0).await;
    let run = ["quality", "run", "--connection", "acme-hubspot", "--json"];
    let before = yard.home.run(&run).await;
    assert_eq!(before.code(), Some(5), "{before}");
    let document = before.json();
    assert_eq!(
        (&document[0]["may_publish"], &document[0]["checks"][0]["check_key"]),
        (&false.into(), &"account_isolation".into()),
        "{document}"
    );
    let stale = yard
        .home
        .run_ok(&["quality", "list", "--check", "freshness", "--status", "failed", "--client", "acme", "--json"])
        .await
        .json();
    assert_eq!(stale.as_array().map(Vec::len), Some(1), "{stale}");
    assert_eq!(stale[0]["observed"], "contacts was never complete", "{stale}");

    assert_eq!(yard.run_acme().await.code(), Some(0));
    let after = yard.home.run(&run).await;
    assert_eq!(after.code(), Some(0), "{after}");
    assert_eq!(after.json()[0]["may_publish"], true, "{after}");
    let table = yard.home.run_ok(&["quality", "run", "--connection", "acme-hubspot"]).await;
    assert!(table.stdout.contains("acme-hubspot: may be published"), "{table}");
    let count = async |args: &[&str]| yard.home.run_ok(args).await.json().as_array().map_or(0, Vec::len);
    assert_eq!(count(&["quality", "list", "--json"]).await, 17);
    assert_eq!(count(&["quality", "list", "--all", "--json"]).await, 4 * 17, "three by hand, one after the run");
    assert_eq!(count(&["quality", "list", "--connection", "bright-hubspot", "--json"]).await, 0);
    for (args, part) in [
        (["quality", "list", "--check", "freshnes"], "did you mean 'freshness'?"),
        (["quality", "list", "--status", "fialed"], "did you mean 'failed'?"),
        (["quality", "list", "--client", "acmee"], "did you mean 'acme'?"),
        (["quality", "run", "--connection", "acme-hubspt"], "did you mean 'acme-hubspot'?"),
    ] {
        let wrong = yard.home.run(&args).await;
        assert!(wrong.code() == Some(2) && wrong.stderr.contains(part), "{wrong}");
    }
    // What the provider says that it has stands beside what was seen.
    assert_eq!(yard.newest_run().await["provider_total"], 30);
    let shown = yard.home.run_ok(&["runs", "show", "1"]).await;
    assert!(shown.stdout.contains("30 records"), "{shown}");
    yard.end().await;
});

on_both_engines!(an_operators_file_is_laid_over_the_checks_and_everything_wrong_with_it_is_told, |db| {
    let mut yard = Yard::applied(db, 3, 0).await;
    let file = yard
        .home
        .write("quality.yaml", "checks:\n  freshnes: {}\nproviders:\n  hubspto: { coverage: { enabled: 1 } }\n");
    yard.home.setting("quality.file", file.display());
    for args in [vec!["quality", "run"], vec!["validate"]] {
        let wrong = yard.home.run(&args).await;
        assert_eq!(wrong.code(), Some(2), "{wrong}");
        for part in ["quality.yaml:2", "`freshness`", "quality.yaml:4", "`hubspot`", "true or false"] {
            assert!(wrong.to_string().contains(part), "{part}\n{wrong}");
        }
    }
    yard.home.write("quality.yaml", "connections:\n  acme-hubspot:\n    freshness: { severity: warn }\n    coverage: { enabled: false }\n    run_complete: { enabled: false }\n");
    let done = yard.home.run_ok(&["quality", "run", "--connection", "acme-hubspot", "--json"]).await.json();
    assert_eq!(done[0]["checks"].as_array().map(Vec::len), Some(15), "{done}");
    yard.end().await;
});

on_both_engines!(p15_a_token_of_another_account_stages_nothing_pauses_and_raises_an_incident, |db| {
    let mut yard = Yard::applied(db, 20, 0).await;
    yard.home.variable("ACME_TOKEN", BRIGHT_TOKEN);
    let refused = yard.run_acme().await;
    assert_eq!(refused.code(), Some(4), "{refused}");
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"failed".into(), &"account_mismatch".into()), "{run}");
    assert_eq!((&run["records_seen"], &run["requests"]), (&0.into(), &1.into()), "{run}");
    let client_safe = run["error_client_safe"].as_str().unwrap();
    assert!(!names_account(client_safe, BRIGHT_PORTAL) && !client_safe.to_lowercase().contains("hubspot"), "{run}");
    // The one call asked who we are; no record of the other client was read.
    assert_eq!(
        (yard.simulator.oracle().count_of(ACME_PORTAL), yard.simulator.oracle().count_of(BRIGHT_PORTAL)),
        (0, 1)
    );
    for table in ["integration_raw_events", "integration_object_links", "crm_leads", "integration_sync_pages"] {
        assert_eq!(yard.number(&format!("select count(*) from {table}")).await, 0, "{table}");
    }
    assert_eq!(
        yard.number(
            "select count(*) from integration_connections where connection_key = 'acme-hubspot' and status = 'paused'"
        )
        .await,
        1
    );
    assert_eq!(yard.number("select count(*) from launch_controls where control_key = 'incident_account_isolation' and status = 'failed'").await, 1);
    assert_eq!(
        yard.number(
            "select count(*) from event_admin_actions where actor = 'tidegate' and action = 'connection.pause'"
        )
        .await,
        1
    );
    // Paused: neither the schedule nor a person runs it, and nobody is asked again.
    assert_eq!(yard.run_acme().await.code(), Some(5));
    yard.home.run(&["connection", "check", "acme-hubspot"]).await;
    assert_eq!(yard.number("select count(*) from integration_connections where identity_account_id = '4712'").await, 1);

    // A test batch is guarded as well, and the right token goes through after a resume.
    yard.home.run_ok(&["connection", "resume", "acme-hubspot"]).await;
    let batch = yard.home.run(&["connection", "test-batch", "acme-hubspot", "--json"]).await;
    assert_eq!(batch.code(), Some(4), "{batch}");
    assert_eq!(yard.number("select count(*) from integration_raw_events").await, 0);
    yard.home.run_ok(&["connection", "resume", "acme-hubspot"]).await;
    yard.home.variable("ACME_TOKEN", crate::support::yard::ACME_TOKEN);
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.number("select count(*) from crm_leads").await, 20);
    yard.end().await;
});

on_both_engines!(the_provider_is_asked_who_we_are_once_a_day_and_again_after_a_change, |db| {
    let yard = Yard::applied(db, 3, 0).await;
    let asked = || yard.simulator.oracle().calls().iter().filter(|call| call.path.contains("account-info")).count();
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(asked(), 1);
    // The same declaration again changes nothing; another address does.
    yard.declare(&yard.declaration("sandbox", "every 30d", false)).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(asked(), 1);
    yard.declare(&yard.declaration("sandbox", "every 30d", false).replace("2020-01-01", "2020-01-02")).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(asked(), 2);
    yard.home.run_ok(&["connection", "pause", "acme-hubspot", "--reason", "a new token"]).await;
    yard.home.run_ok(&["connection", "resume", "acme-hubspot"]).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(asked(), 3);
    let old = if db.is_mysql() { "2020-01-01 00:00:00" } else { "2020-01-01T00:00:00.000000Z" };
    db.sql.ok(&format!("update integration_connections set identity_checked_at = '{old}'")).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(asked(), 4);
    yard.end().await;
});

on_both_engines!(p15_a_record_that_names_another_account_is_a_dead_letter_and_the_check_pauses, |db| {
    let yard = Yard::new(db, 0, 0).await;
    let map = yard.home.path().join("connectors/csv/mappings/leads.yaml");
    let text = std::fs::read_to_string(&map).unwrap();
    std::fs::write(&map, text.replacen("\nfields:\n", "\naccount: { from: account }\nfields:\n", 1)).unwrap();
    let file = yard.home.write(
        "leads.csv",
        "lead_id,received_at,name,account\n1,2026-01-31,Ann,book-1\n2,2026-01-31,Bob,\n3,2026-01-31,Cleo,book-2\n",
    );
    yard.declare(&format!(
        "clients: [{{ key: acme, name: Acme Plumbing }}]\nconnections:\n  - key: acme-csv\n    client: acme\n    provider: csv\n    \
         provider_account_id: book-1\n    environment: sandbox\n    source_label: Spreadsheet\n    config: {{ path: {} }}\n    jobs:\n      \
         - {{ stream: leads, schedule: manual }}\n",
        file.display()
    )).await;
    let preview = yard.home.run_ok(&["connection", "preview", "acme-csv", "--json"]).await;
    assert!(preview.stdout.contains("names another account"), "{preview}");
    let done = yard.home.run(&["run-once", "--connection", "acme-csv", "--json"]).await;
    assert_eq!(done.code(), Some(3), "{done}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 2);
    let letters = yard.home.run_ok(&["errors", "list", "--json"]).await.json();
    assert_eq!(
        (letters.as_array().map(Vec::len), &letters[0]["error_code"]),
        (Some(1), &"account_mismatch".into()),
        "{letters}"
    );
    assert!(!letters.to_string().contains("book-2"), "the other account is not told: {letters}");
    let id = letters[0]["id"].to_string();
    // Again through the same map: it stays one.
    assert_eq!(yard.home.run(&["errors", "retry", &id]).await.code(), Some(3));
    let judged = yard.home.run(&["quality", "run", "--connection", "acme-csv", "--json"]).await;
    assert_eq!(judged.code(), Some(5), "{judged}");
    assert_eq!(yard.number("select count(*) from integration_connections where status = 'paused'").await, 1);
    yard.home.run_ok(&["errors", "discard", &id, "--reason", "not ours"]).await;
    let judged = yard.home.run_ok(&["quality", "run", "--connection", "acme-csv", "--json"]).await.json();
    assert_eq!(judged[0]["may_publish"], true, "{judged}");
    yard.end().await;
});

//! The main job end to end: the real program, a real provider over HTTP, a real database, counted from outside.

use tidegate::simulator::{Bad, ObjectKind};

use crate::support::{databases::TestDatabase, yard::Yard};

on_both_engines!(p3_ten_thousand_contacts_add_up_come_back_unchanged_and_seven_edits_are_seven_updates, |db| {
    let yard = Yard::applied(db, 10_000, 0).await;
    yard.edit_manifest("page_size: 200", "page_size: 100");

    let first = yard.run_acme().await;
    assert_eq!(first.code(), Some(0), "{first}");
    let run = yard.newest_run().await;
    assert_eq!(
        (&run["status"], &run["records_seen"], &run["records_created"]),
        (&"succeeded".into(), &10_000.into(), &10_000.into()),
        "{run}"
    );
    let pages = yard.number("select count(*) from integration_sync_pages where records_seen = 100").await;
    assert_eq!(pages, 100, "a hundred pages of a hundred");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 10_000);
    assert_eq!(yard.number("select count(*) from integration_raw_events where status = 'normalized'").await, 10_000);
    yard.assert_settled().await;

    // Everything again: seen, and nothing written.
    let full =
        yard.home.run(&["run-once", "--connection", "acme-hubspot", "--stream", "contacts", "--full", "--json"]).await;
    assert_eq!(full.code(), Some(0), "{full}");
    let run = yard.newest_run().await;
    assert_eq!((&run["records_seen"], &run["records_unchanged"]), (&10_000.into(), &10_000.into()), "{run}");
    assert_eq!(
        yard.number("select count(*) from integration_raw_events").await,
        10_000,
        "an unchanged record leaves no raw event"
    );

    // A late edit of seven.
    yard.simulator.account("4711").edit_contacts([5, 17, 1000, 2000, 3000, 9999, 10_000]);
    let third = yard.run_acme().await;
    assert_eq!(third.code(), Some(0), "{third}");
    let run = yard.newest_run().await;
    assert_eq!(run["records_updated"], 7, "{run}");
    assert_eq!(run["records_created"], 0, "{run}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 10_000);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p12_three_bad_records_are_three_dead_letters_and_the_rest_goes_through, |db| {
    let yard = Yard::applied(db, 1000, 0).await;
    let account = yard.simulator.account("4711");
    account.make_bad(ObjectKind::Contacts, 10, Bad::UnknownLifecycle);
    account.make_bad(ObjectKind::Contacts, 20, Bad::NoEmailShape);
    account.make_bad(ObjectKind::Contacts, 30, Bad::MissingId);

    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(3), "{done}");
    let run = yard.newest_run().await;
    assert_eq!(
        (&run["status"], &run["records_failed"], &run["records_created"]),
        (&"succeeded".into(), &3.into(), &997.into()),
        "{run}"
    );
    assert_eq!(yard.number("select count(*) from integration_sync_errors where status = 'open'").await, 3);
    let groups = yard.home.run_ok(&["errors", "list", "--group", "--json"]).await.json();
    assert_eq!(groups.as_array().map(Vec::len), Some(3), "{groups}");
    yard.assert_settled().await;

    // The same bad records again are the same dead letters.
    let again = yard.home.run(&["run-once", "--connection", "acme-hubspot", "--full", "--json"]).await;
    assert_eq!(again.code(), Some(3), "{again}");
    assert_eq!(yard.number("select count(*) from integration_sync_errors").await, 3);
    assert_eq!(yard.number("select min(attempts) from integration_sync_errors").await, 2);

    // Mended at the source: the record comes through and closes its dead letter.
    account.mend(ObjectKind::Contacts, [10, 20]);
    yard.run_acme().await;
    assert_eq!(yard.number("select count(*) from crm_leads").await, 999);
    assert_eq!(yard.number("select count(*) from integration_sync_errors where status = 'open'").await, 1);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p12_too_many_bad_records_stop_the_run_and_the_cursor_stays, |db| {
    let yard = Yard::applied(db, 1000, 0).await;
    let account = yard.simulator.account("4711");
    for id in 1..=300 {
        account.make_bad(ObjectKind::Contacts, id, Bad::UnknownLifecycle);
    }
    let done = yard.run_acme().await;
    assert_eq!(done.code(), Some(4), "{done}");
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"failed".into(), &"error_budget_exceeded".into()), "{run}");
    assert!(run["remedy"].as_str().is_some_and(|r| r.contains("errors list --group")), "{run}");
    assert!(run["records_seen"].as_i64() < Some(1000), "{run}");
    // The page that spent the budget is committed with its dead letters, and moves no cursor.
    assert_eq!(
        yard.number("select count(*) from integration_sync_pages p where cursor_after is null and page_no = (select max(page_no) from integration_sync_pages)").await,
        1
    );
    let before_it = yard.database.sql.rows("select cursor_after from integration_sync_pages where cursor_after is not null order by page_no desc limit 1").await;
    let stands =
        yard.database.sql.rows("select cursor_state from integration_sync_jobs where cursor_state is not null").await;
    assert_eq!(before_it, stands);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p5_a_retry_of_dead_letters_goes_through_the_current_map_and_a_second_one_changes_nothing, |db| {
    let yard = Yard::applied(db, 200, 0).await;
    let account = yard.simulator.account("4711");
    for id in 1..=5 {
        account.make_bad(ObjectKind::Contacts, id, Bad::UnknownLifecycle);
    }
    assert_eq!(yard.run_acme().await.code(), Some(3));

    // Through the same map they fail again, and stay open.
    let same = yard.home.run(&["errors", "retry", "--all", "--json"]).await;
    assert_eq!(same.code(), Some(3), "{same}");
    assert_eq!(yard.number("select count(*) from integration_sync_errors where status = 'open'").await, 5);

    // A new version of the map knows the word.
    let map = yard.home.path().join("connectors/hubspot/mappings/contacts.yaml");
    let text = std::fs::read_to_string(&map).unwrap();
    let mended = text.replacen("      lead: lead\n", "      galactic_ambassador: lead\n      lead: lead\n", 1);
    assert_ne!(mended, text, "the map lists its words");
    std::fs::write(&map, &mended).unwrap();
    let unversioned = yard.home.run(&["errors", "retry", "--all", "--json"]).await;
    assert_eq!(
        unversioned.code(),
        Some(4),
        "a changed map that calls itself by its old version is refused: {unversioned}"
    );
    std::fs::write(&map, mended.replacen("version: \"1\"", "version: \"2\"", 1)).unwrap();

    let retried = yard.home.run(&["errors", "retry", "--all", "--json"]).await;
    assert_eq!(retried.code(), Some(0), "{retried}");
    assert_eq!(retried.json()["runs"][0]["records_created"], 5, "{retried}");
    assert_eq!(yard.number("select count(*) from integration_sync_errors where status = 'resolved'").await, 5);
    assert_eq!(yard.number("select count(*) from crm_leads").await, 200);

    let before = yard.number("select count(*) from integration_sync_runs").await;
    yard.home.run_ok(&["errors", "retry", "--all", "--json"]).await;
    assert_eq!(
        yard.number("select count(*) from integration_sync_runs").await,
        before,
        "nothing is open, nothing runs"
    );

    // The whole stream again from raw: the first time the new version is applied, the second time nothing moves.
    yard.home.run_ok(&["normalize", "--replay", "--connection", "acme-hubspot", "--json"]).await;
    let replay = yard.home.run_ok(&["normalize", "--replay", "--connection", "acme-hubspot", "--json"]).await.json();
    assert_eq!(
        (&replay["runs"][0]["records_seen"], &replay["runs"][0]["records_unchanged"]),
        (&200.into(), &200.into()),
        "{replay}"
    );
    assert!(yard.number("select count(*) from event_admin_actions where action = 'dead_letter.retry'").await >= 2);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(a_preview_writes_nothing_and_a_test_batch_moves_no_cursor_and_marks_its_rows, |db| {
    let yard = Yard::applied(db, 500, 0).await;
    let preview = yard.home.run_ok(&["connection", "preview", "acme-hubspot", "--count", "3", "--json"]).await.json();
    assert_eq!(preview["contacts"].as_array().map(Vec::len), Some(3), "{preview}");
    assert_eq!(yard.number("select count(*) from integration_raw_events").await, 0);
    assert_eq!(yard.number("select count(*) from integration_sync_runs").await, 0);

    let batch = yard.home.run_ok(&["connection", "test-batch", "acme-hubspot", "--count", "10", "--json"]).await.json();
    assert_eq!(batch["runs"][0]["records_seen"], 10, "{batch}");
    assert_eq!(yard.number("select count(*) from crm_leads where is_test = 1").await, 10);
    assert_eq!(yard.number("select count(*) from integration_sync_jobs where cursor_state is not null").await, 0);
    assert_eq!(yard.number("select count(*) from integration_connections where last_tested_at is not null").await, 1);

    // A live run makes them live.
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.number("select count(*) from crm_leads where is_test = 1").await, 0);
    assert_eq!(yard.number("select count(*) from crm_leads").await, 500);
    yard.assert_settled().await;
    yard.end().await;
});

on_both_engines!(p15_two_clients_with_the_same_record_ids_keep_their_own_rows, |db| {
    let yard = Yard::applied(db, 50, 20).await;
    let done = yard.home.run(&["run-once", "--json"]).await;
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 100);
    assert_eq!(yard.number("select count(distinct client_id) from crm_leads").await, 2);
    assert_eq!(yard.number("select count(*) from crm_lead_events").await, 40);
    assert_eq!(yard.number("select count(*) from crm_leads where source_label = '' or provider_key = ''").await, 0);
    yard.assert_settled().await;

    // What is no longer due does not run again.
    let idle = yard.home.run_ok(&["run-once", "--json"]).await.json();
    assert_eq!(idle["runs"].as_array().map(Vec::len), Some(0), "{idle}");
    yard.end().await;
});

on_both_engines!(p2_a_cursor_is_reset_only_by_hand_and_leaves_an_audit_row, |db| {
    let yard = Yard::applied(db, 60, 0).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.number("select count(*) from integration_sync_jobs where cursor_state is not null").await, 1);
    yard.home
        .run_ok(&["jobs", "reset-cursor", "--connection", "acme-hubspot", "--stream", "contacts", "--reason", "a test"])
        .await;
    assert_eq!(yard.number("select count(*) from integration_sync_jobs where cursor_state is not null").await, 0);
    assert_eq!(
        yard.number("select count(*) from event_admin_actions where action = 'job.reset_cursor' and reason = 'a test'")
            .await,
        1
    );
    assert_eq!(yard.run_acme().await.code(), Some(0));
    assert_eq!(yard.newest_run().await["records_unchanged"], 60);
    yard.end().await;
});

on_both_engines!(p6_a_listing_that_is_suddenly_empty_is_not_green, |db| {
    let yard = Yard::new(db, 40, 0).await;
    let text =
        yard.declaration("sandbox", "every 30d", false).replace("sync_mode: incremental", "sync_mode: full_refresh");
    yard.declare(&text).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    let complete = yard.number("select count(*) from integration_sync_jobs where last_complete_at is not null").await;
    assert_eq!(complete, 1);
    yard.simulator.account("4711").delete(ObjectKind::Contacts, 1..=40);
    let empty = yard.run_acme().await;
    assert_eq!(empty.code(), Some(3), "{empty}");
    let run = yard.newest_run().await;
    assert_eq!((&run["status"], &run["error_code"]), (&"partial".into(), &"no_rows_where_expected".into()), "{run}");
    assert_eq!(yard.number("select count(*) from crm_leads").await, 40, "nothing is taken away");
    yard.assert_settled().await;
    yard.end().await;
});

/// A listing of both engines' rows must be the same text.
#[tokio::test]
async fn p21_the_same_main_job_leaves_the_same_rows_on_sqlite_and_on_mysql() {
    let (sqlite, mysql) = (TestDatabase::sqlite().await, TestDatabase::mysql().await);
    let mut listings = Vec::new();
    for database in [&sqlite, &mysql] {
        let yard = Yard::applied(database, 120, 30).await;
        let account = yard.simulator.account("4711");
        account.make_bad(ObjectKind::Contacts, 10, Bad::UnknownLifecycle);
        account.make_bad(ObjectKind::Deals, 3, Bad::AmountGarbage);
        let all = yard.home.run(&["run-once", "--json"]).await;
        assert_eq!(all.code(), Some(3), "{all}");
        account.mend(ObjectKind::Contacts, [10]);
        yard.home.run(&["run-once", "--connection", "acme-hubspot", "--json"]).await;
        let mut listing = Vec::new();
        for sql in [
            "select external_id, contact_name, email, phone, consent, owner, attribution_source, paid_or_organic, stage, received_at, \
             source_label, provider_key, is_test from crm_leads order by connection_id, external_id",
            "select external_id, event_type, title, stage, projected_amount, booked_amount, currency, occurred_at, closed_at from crm_lead_events order by connection_id, external_id",
            "select stream, external_id, error_code, stage, fingerprint, status, message_internal from integration_sync_errors order by stream, external_id",
            "select stream, origin, status, pages, records_seen, records_created, records_updated, records_unchanged, records_failed, error_code from integration_sync_runs order by stream, connection_id, records_seen, records_failed",
            "select stream, external_id, status, reason from integration_raw_events where stream = 'deals' order by connection_id, external_id",
            "select object_type, external_id, internal_table, record_hash from integration_object_links where object_type = 'deal' order by connection_id, external_id",
        ] {
            listing.push(database.sql.rows(sql).await);
        }
        listings.push(listing);
        yard.end().await;
    }
    // The engines write a time differently (2026-01-31T08:00:00.000000Z, 2026-01-31 08:00:00.000000); it says the same.
    let told = |cell: &Option<String>| match cell.as_deref() {
        Some(text) if text.len() == 27 && text.ends_with('Z') => text.trim_end_matches('Z').replacen('T', " ", 1),
        Some(text) => text.to_owned(),
        None => "NULL".to_owned(),
    };
    for (left, right) in listings[0].iter().zip(&listings[1]) {
        assert!(!left.is_empty());
        assert_eq!(left.len(), right.len());
        for (one, other) in left.iter().zip(right) {
            assert_eq!(one.iter().map(told).collect::<Vec<_>>(), other.iter().map(told).collect::<Vec<_>>());
        }
    }
    sqlite.remove().await;
    mysql.remove().await;
}

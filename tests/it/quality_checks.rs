//! For each check: the fault is planted, and exactly that check fails; and a clean data set on which none does.

use tidegate::{
    domain::{
        clock::Clock as _,
        status::{
            CheckStatus::{Errored, Failed},
            RunStatus, Severity,
        },
    },
    quality::CheckKey,
    store::checks::CheckFilter,
};

use crate::{
    quality_ground::{
        clean, connection, evaluate, evaluate_by, letter, on_clean_ground, only, record, rules, snapshot, statuses,
        time, unchecked,
    },
    store_ground::{end, hold, job_id},
    support::databases::{RealClock, TestDatabase},
};

/// Plants a fault with SQL and expects that check alone to fail, then takes the fault away again.
async fn alone(db: &TestDatabase, check: CheckKey, plant: &str, undo: &str) {
    unchecked(db, plant).await;
    let verdict = only(db, &rules(""), check, Failed).await;
    assert!(!verdict.may_publish(), "{check}");
    assert_eq!(verdict.holds.iter().map(|f| f.check_key.as_str()).collect::<Vec<_>>(), [check.as_str()]);
    assert!(verdict.holds.iter().all(|f| !f.client_safe.is_empty() && !f.internal.is_empty()), "{verdict:?}");
    unchecked(db, undo).await;
}

on_both_engines!(p17_on_a_clean_data_set_no_check_fails_and_it_may_be_published, |db| {
    clean(db).await;
    for key in ["acme-hubspot", "bolt-hubspot"] {
        let verdict = evaluate(db, key).await;
        let statuses = statuses(db, key).await;
        assert_eq!(statuses.len(), CheckKey::ALL.len());
        for (check, status) in &statuses {
            assert_eq!(*status, on_clean_ground(check), "{check}: {verdict:#?}");
        }
        assert!(verdict.may_publish() && verdict.warnings.is_empty(), "{verdict:?}");
    }
    // Each evaluation is kept; the newest one counts.
    evaluate(db, "acme-hubspot").await;
    let all = db.store().checks(&CheckFilter { limit: 1000, ..CheckFilter::default() }).await.unwrap();
    assert_eq!(all.len(), 3 * CheckKey::ALL.len());
    let latest = CheckFilter { latest: true, limit: 1000, ..CheckFilter::default() };
    assert_eq!(db.store().checks(&latest).await.unwrap().len(), 2 * CheckKey::ALL.len());
});

on_both_engines!(p17_a_check_that_cannot_be_made_is_errored_and_holds, |db| {
    clean(db).await;
    db.sql.ok("alter table accounting_invoices rename column invoice_number to was_number").await;
    let verdict = only(db, &rules(""), CheckKey::AccountingMatch, Errored).await;
    assert!(!verdict.may_publish(), "{verdict:?}");
    assert_eq!(verdict.holds.len(), 1);
    assert!(verdict.holds[0].internal.contains("tidegate quality run"), "{verdict:?}");
});

on_both_engines!(amounts_without_a_currency_or_with_two_hold, |db| {
    clean(db).await;
    let own = connection(db, "acme-hubspot").await.id;
    for wrong in ["null", "'usd'", "'EUR'"] {
        let set = |to: &str| {
            format!("update field_jobs set currency = {to} where connection_id = {own} and external_id = 'j2'")
        };
        alone(db, CheckKey::CurrencyUnit, &set(wrong), &set("'USD'")).await;
    }
});

on_both_engines!(p5_rows_without_links_links_without_rows_and_doubled_objects_hold, |db| {
    clean(db).await;
    let acme = connection(db, "acme-hubspot").await;
    let own = acme.id;
    let link = format!("integration_object_links where connection_id = {own} and object_type = 'reviews'");
    let hide = |from: &str, to: &str| {
        format!(
            "update integration_object_links set external_id = '{to}' where connection_id = {own} and external_id = '{from}'"
        )
    };
    // The link is another object's: a row without a link; the link itself still leads to the row.
    alone(db, CheckKey::DuplicateRecords, &hide("r1", "r9"), &hide("r9", "r1")).await;
    // A second live row of the same object, in another table.
    let second = format!(
        "insert into campaign_spend (client_id, connection_id, provider_key, source_label, object_type, external_id, first_run_id, last_run_id)
         values ({}, {own}, 'hubspot', 'CRM', 'reviews', 'r1', 0, 0)", acme.client_id
    );
    alone(db, CheckKey::DuplicateRecords, &second, "delete from campaign_spend").await;
    // Voided rows are out of it.
    unchecked(
        db,
        &format!("{second}; update campaign_spend set voided_at = '{}'", time(db, "2026-03-01T00:00:00.000000Z")),
    )
    .await;
    assert!(evaluate(db, "acme-hubspot").await.may_publish());
    // A link that leads to no row.
    assert_eq!(db.sql.number(&format!("select count(*) from {link}")).await, 1);
    unchecked(db, &format!("delete from reviews where connection_id = {own}")).await;
    only(db, &rules(""), CheckKey::DuplicateRecords, Failed).await;
});

on_both_engines!(p16_a_person_known_to_two_labels_is_counted_and_warned_of_and_nothing_is_merged, |db| {
    clean(db).await;
    let mut second = crate::store_ground::connection("acme-angi", "acme");
    second.source_label = "Marketplace".to_owned();
    let declaration = tidegate::store::catalogue::Declaration { connections: vec![second], ..Default::default() };
    db.store().declare(&declaration).await.unwrap();
    let angi = connection(db, "acme-angi").await;
    record(db, &angi, "crm_leads", "a1", &[("email", "'contacts-1@example.test'")]).await;
    let verdict = only(db, &rules(""), CheckKey::PossibleDuplicates, Failed).await;
    assert!(verdict.may_publish(), "a warning does not hold: {verdict:?}");
    assert_eq!(verdict.warnings.len(), 1, "{verdict:?}");
    assert!(verdict.warnings[0].internal.contains("1 e-mail addresses"), "{verdict:?}");
    assert!(!format!("{verdict:?}").contains("example.test"), "no address is told");
    assert_eq!(db.sql.number("select count(*) from crm_leads where email = 'contacts-1@example.test'").await, 3);
    // Another client's people are not compared.
    assert!(evaluate(db, "bolt-hubspot").await.warnings.is_empty());
});

on_both_engines!(p16_rows_without_the_connections_own_label_hold, |db| {
    clean(db).await;
    let own = connection(db, "acme-hubspot").await.id;
    for wrong in ["Other", ""] {
        let set = |to: &str| format!("update reviews set source_label = '{to}' where connection_id = {own}");
        alone(db, CheckKey::SourceLabel, &set(wrong), &set("CRM")).await;
        let set = |to: &str| {
            format!(
                "update integration_raw_events set source_label = '{to}' where connection_id = {own} and external_id = 'deals-1'"
            )
        };
        alone(db, CheckKey::SourceLabel, &set(wrong), &set("CRM")).await;
    }
});

on_both_engines!(what_a_marketplace_sends_is_never_organic, |db| {
    clean(db).await;
    let own = connection(db, "acme-hubspot").await.id;
    db.sql
        .ok(&format!(
            "update crm_leads set paid_or_organic = 'organic' where connection_id = {own} and external_id = 'deals-1'"
        ))
        .await;
    assert!(evaluate(db, "acme-hubspot").await.may_publish(), "a CRM may say so");
    alone(
        db,
        CheckKey::PaidOrganic,
        "update integration_providers set category = 'marketplace'",
        "update integration_providers set category = 'crm'",
    )
    .await;
    // Mostly unknown is told, and does not hold.
    let strict = rules("checks: { paid_organic: { thresholds: { min_rows: 1 } } }");
    let verdict = only(db, &strict, CheckKey::PaidOrganic, Failed).await;
    assert!(verdict.may_publish() && verdict.warnings.len() == 1, "{verdict:?}");
});

on_both_engines!(what_is_ignored_without_a_reason_or_a_test_in_one_place_only_holds, |db| {
    clean(db).await;
    let own = connection(db, "acme-hubspot").await.id;
    let raw = |status: &str| {
        format!(
            "update integration_raw_events set status = '{status}', reason = null where connection_id = {own} and external_id = 'deals-1'"
        )
    };
    alone(db, CheckKey::SpamTestInternal, &raw("ignored"), &raw("normalized")).await;
    for table in ["reviews", "integration_object_links"] {
        let set = |to: i64| {
            format!("update {table} set is_test = {to} where connection_id = {own} and object_type = 'reviews'")
        };
        alone(db, CheckKey::SpamTestInternal, &set(1), &set(0)).await;
    }
});

on_both_engines!(p17_a_stale_paused_or_quarantined_job_holds, |db| {
    clean(db).await;
    let job = job_id(db.store(), "acme-hubspot", "contacts").await;
    let now = RealClock.now();
    let set = |at: &str| format!("update integration_sync_jobs set last_complete_at = '{at}' where id = {job}");
    let old = time(db, "2026-01-01T00:00:00.000000Z");
    alone(db, CheckKey::Freshness, &set(&old), &set(&time(db, &now.to_iso()))).await;
    let never = format!("update integration_sync_jobs set last_complete_at = null where id = {job}");
    alone(db, CheckKey::Freshness, &never, &set(&time(db, &now.to_iso()))).await;
    for status in ["paused", "quarantined"] {
        let set = |to: &str| format!("update integration_sync_jobs set status = '{to}' where id = {job}");
        alone(db, CheckKey::Freshness, &set(status), &set("active")).await;
    }
});

on_both_engines!(p6_a_source_that_fell_silent_is_a_gap_and_no_zero, |db| {
    clean(db).await;
    let job = job_id(db.store(), "acme-hubspot", "contacts").await;
    let old = time(db, "2026-01-01T00:00:00.000000Z");
    db.sql.ok(&format!("update integration_sync_runs set started_at = '{old}' where job_id = {job}")).await;
    for round in 1..=3 {
        let held = hold(db.store(), job).await;
        db.store().finish_run(&held.lease, held.run, &end(RunStatus::Succeeded)).await.unwrap().unwrap();
        if round < 3 {
            assert!(evaluate(db, "acme-hubspot").await.may_publish(), "one quiet run is no silence");
        }
    }
    only(db, &rules(""), CheckKey::Coverage, Failed).await;
    // A stream that was declared and never sent is not known: no zero, and not green.
    let mut declared = tidegate::store::catalogue::Declaration::default();
    declared.jobs.push((crate::store_ground::job_spec("bolt-hubspot", "calls"), None));
    db.store().declare(&declared).await.unwrap();
    let verdict = evaluate(db, "bolt-hubspot").await;
    let held: Vec<_> = verdict.holds.iter().map(|finding| finding.check_key.as_str()).collect();
    assert_eq!(held, ["freshness", "coverage", "run_complete"]);
});

on_both_engines!(p3_counts_that_disagree_with_rows_or_with_the_provider_hold, |db| {
    clean(db).await;
    let job = job_id(db.store(), "acme-hubspot", "contacts").await;
    let run = db.sql.number(&format!("select max(id) from integration_sync_runs where job_id = {job}")).await;
    let page = |by: &str| {
        format!(
            "update integration_sync_pages set records_seen = records_seen {by}, records_unchanged = records_unchanged {by} where run_id = {run}"
        )
    };
    alone(db, CheckKey::CountReconciliation, &page("+ 1"), &page("- 1")).await;
    let total = |to: i64| format!("update integration_sync_runs set provider_total = {to} where id = {run}");
    alone(db, CheckKey::CountReconciliation, &total(1000), &total(6)).await;
    let raw = |from: i64, to: i64| {
        format!("update integration_raw_events set run_id = {to} where run_id = {from} and external_id = 'contacts-1'")
    };
    alone(db, CheckKey::CountReconciliation, &raw(run, 0), &raw(0, run)).await;
    let link = |to: i64| {
        format!(
            "update integration_object_links set first_run_id = {to} where external_id = 'contacts-1' and last_run_id = {run}"
        )
    };
    alone(db, CheckKey::CountReconciliation, &link(0), &link(run)).await;
});

on_both_engines!(p4_what_arrived_and_was_not_accounted_for_holds, |db| {
    clean(db).await;
    let own = connection(db, "acme-hubspot").await.id;
    let raw = |status: &str| {
        format!(
            "update integration_raw_events set status = '{status}' where connection_id = {own} and external_id = 'deals-1'"
        )
    };
    alone(db, CheckKey::DeliveryVsRecord, &raw("pending"), &raw("normalized")).await;
    alone(db, CheckKey::DeliveryVsRecord, &raw("failed"), &raw("normalized")).await;
});

on_both_engines!(p17_a_partial_run_holds, |db| {
    clean(db).await;
    let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
    db.store().finish_run(&held.lease, held.run, &end(RunStatus::Partial)).await.unwrap().unwrap();
    let verdict = only(db, &rules(""), CheckKey::RunComplete, Failed).await;
    assert!(!verdict.may_publish());
});

on_both_engines!(p17_dead_letters_over_budget_hold, |db| {
    clean(db).await;
    let acme = connection(db, "acme-hubspot").await;
    for n in 0..9 {
        letter(db, &acme, "record_unmappable", &format!("bad-{n}")).await;
    }
    assert!(evaluate(db, "acme-hubspot").await.may_publish(), "within the budget");
    letter(db, &acme, "record_unmappable", "bad-9").await;
    assert!(!only(db, &rules(""), CheckKey::DeadLetterBudget, Failed).await.may_publish());
});

on_both_engines!(a_day_unlike_the_others_warns, |db| {
    clean(db).await;
    let acme = connection(db, "acme-hubspot").await;
    let job = job_id(db.store(), "acme-hubspot", "contacts").await;
    // Runs of earlier days, with ids below those of the clean ground.
    for day in 1..=9_i64 {
        let at = RealClock.now().minus(std::time::Duration::from_secs(u64::try_from(day).unwrap() * 86_400)).to_iso();
        let (at, written) = (time(db, &at), if day == 1 { 2000 } else { 100 });
        db.sql.ok(&format!(
            "insert into integration_sync_runs (id, job_id, connection_id, client_id, provider_key, stream, origin, status, started_at, finished_at, records_seen, records_created, fence)
             values (-{day}, {job}, {}, {}, 'hubspot', 'contacts', 'schedule', 'succeeded', '{at}', '{at}', {written}, {written}, 0)",
            acme.id, acme.client_id
        )).await;
    }
    // These runs left no rows, so only the newest ones are counted again.
    let rules = rules("checks: { count_reconciliation: { thresholds: { runs: 2 } } }");
    let verdict = only(db, &rules, CheckKey::VolumeAnomaly, Failed).await;
    assert!(verdict.may_publish() && verdict.warnings.len() == 1, "a warning does not hold: {verdict:?}");
    db.sql.ok("update integration_sync_runs set records_seen = 120, records_created = 120 where id = -1").await;
    assert!(evaluate_by(db, "acme-hubspot", &rules).await.warnings.is_empty());
});

on_both_engines!(times_of_the_future_and_windows_that_do_not_match_hold, |db| {
    clean(db).await;
    let acme = connection(db, "acme-hubspot").await;
    let set = |at: &str| {
        format!("update field_jobs set booked_at = '{at}' where connection_id = {} and external_id = 'j1'", acme.id)
    };
    let (later, then) = (time(db, "2099-01-01T00:00:00.000000Z"), time(db, "2026-02-20T08:00:00.000000Z"));
    alone(db, CheckKey::PeriodAlignment, &set(&later), &set(&then)).await;
    snapshot(db, &acme, "calls", 4).await;
    assert!(!only(db, &rules(""), CheckKey::PeriodAlignment, Failed).await.may_publish());
    assert!(evaluate(db, "bolt-hubspot").await.may_publish());
});

on_both_engines!(payments_and_invoices_that_belong_to_nothing_hold, |db| {
    clean(db).await;
    let own = connection(db, "acme-hubspot").await.id;
    for (table, column, wrong, right) in [
        ("accounting_payments", "invoice_external_id", "nowhere", "i1"),
        ("accounting_invoices", "customer_external_id", "nobody", "c1"),
    ] {
        let set = |to: &str| format!("update {table} set {column} = '{to}' where connection_id = {own}");
        alone(db, CheckKey::AccountingMatch, &set(wrong), &set(right)).await;
    }
    let number = |to: &str| {
        format!(
            "update accounting_invoices set invoice_number = '{to}' where connection_id = {own} and external_id = 'i2'"
        )
    };
    alone(db, CheckKey::AccountingMatch, &number("2026-1"), &number("2026-2")).await;
    // The other client's invoice of that id is no match.
    let bolt = connection(db, "bolt-hubspot").await.id;
    let rename = |to: &str, from: &str| {
        format!(
            "update accounting_invoices set external_id = '{to}', object_type = object_type where connection_id = {own} and external_id = '{from}'; update integration_object_links set external_id = '{to}' where connection_id = {own} and external_id = '{from}'"
        )
    };
    assert_eq!(
        db.sql
            .number(&format!(
                "select count(*) from accounting_invoices where connection_id = {bolt} and external_id = 'i1'"
            ))
            .await,
        1
    );
    alone(db, CheckKey::AccountingMatch, &rename("i7", "i1"), &rename("i1", "i7")).await;
});

on_both_engines!(p18_a_clients_text_that_leaks_holds_and_the_finding_does_not_repeat_it, |db| {
    clean(db).await;
    let own = connection(db, "acme-hubspot").await.id;
    let set = |to: &str| format!("update report_metrics set client_note = '{to}' where connection_id = {own}");
    for leak in [
        "As HubSpot counts them",
        "ask ada@example.test",
        "call +1 415 555 0132",
        "lead 48151623",
        "pat-na1-abcdef012345",
    ] {
        alone(db, CheckKey::PayloadLeak, &set(leak), &set("From 2026-03-01 to 2026-03-31.")).await;
    }
    let kept = db.sql.rows("select observed, detail_internal, message_client_safe from data_quality_checks").await;
    for secret in ["ada@example.test", "415 555", "48151623", "pat-na1"] {
        assert!(!format!("{kept:?}").contains(secret), "{secret}");
    }
});

on_both_engines!(a_connections_own_severity_and_switch_hold, |db| {
    clean(db).await;
    let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
    db.store().finish_run(&held.lease, held.run, &end(RunStatus::Partial)).await.unwrap().unwrap();
    let softer =
        rules("connections: { acme-hubspot: { run_complete: { severity: warn }, coverage: { enabled: false } } }");
    let verdict = evaluate_by(db, "acme-hubspot", &softer).await;
    assert!(verdict.may_publish() && verdict.warnings[0].check_key == "run_complete", "{verdict:?}");
    let checks = db.store().latest_checks(connection(db, "acme-hubspot").await.id).await.unwrap();
    assert!(checks.iter().all(|check| check.result.check_key != "coverage"));
    assert!(
        checks.iter().any(|check| check.result.check_key == "run_complete" && check.result.severity == Severity::Warn)
    );
});

//! Alerts: each fault opens exactly its alert, once, and its end resolves it.

use std::{sync::Arc, time::Duration};

use tidegate::{
    alerts::{Rules, sweep},
    domain::status::{
        AlertNews::{Opened, Reminded, Resolved},
        CheckStatus,
    },
    store::alerts::AlertFilter,
};

use crate::alerts_ground::{CANARY, Ground, HOUR, news};

const CONTACTS: &str = "where stream = 'contacts' and connection_id = (select c.id from integration_connections c where c.connection_key = 'acme-hubspot')";

on_both_engines!(nothing_is_told_of_healthy_clients, |db| {
    let ground = Ground::new(db).await;
    assert_eq!(ground.sweep().await, []);
    assert_eq!(db.sql.number("select count(*) from integration_alerts").await, 0);
});

/// A fault as SQL, and its end.
async fn comes_and_goes(ground: &Ground<'_>, rule: &str, subject: &str, plant: &str, mend: &str) {
    ground.sql(plant).await;
    assert_eq!(ground.sweep().await, [news(rule, subject, Opened)], "{rule}");
    ground.clock.advance(Duration::from_secs(60));
    assert_eq!(ground.sweep().await, [], "{rule} is told once");
    ground.sql(mend).await;
    assert_eq!(ground.sweep().await, [news(rule, subject, Resolved)], "{rule}");
    ground.clock.advance(Duration::from_secs(60));
    assert_eq!(ground.sweep().await, [], "{rule} is over once");
}

on_both_engines!(each_planted_fault_opens_exactly_its_alert_and_its_end_resolves_it, |db| {
    let ground = Ground::new(db).await;
    let job = "acme-hubspot/contacts";
    let jobs = |set: &str| format!("update integration_sync_jobs set {set} {CONTACTS}");
    let late = jobs("last_complete_at = {before 3}");
    comes_and_goes(&ground, "source_late", job, &late, &jobs("last_complete_at = {now}")).await;

    let connection = |status: &str| {
        format!("update integration_connections set status = '{status}' where connection_key = 'acme-hubspot'")
    };
    comes_and_goes(&ground, "needs_auth", "acme-hubspot", &connection("needs_auth"), &connection("connected")).await;

    let (aside, active) = (jobs("status = 'quarantined'"), jobs("status = 'active'"));
    comes_and_goes(&ground, "quarantined", job, &aside, &active).await;

    let (failing, well) = (jobs("consecutive_failures = 3"), jobs("consecutive_failures = 0"));
    comes_and_goes(&ground, "stalled_job", job, &failing, &well).await;

    ground.letters(0..25).await;
    assert_eq!(ground.sweep().await, [], "as many as are allowed");
    ground.letters(25..26).await;
    let subject = "acme-hubspot/contacts";
    assert_eq!(ground.sweep().await, [news("dead_letters_over_budget", subject, Opened)]);
    ground.sql("update integration_sync_errors set status = 'discarded' where external_id = 'x7'").await;
    assert_eq!(ground.sweep().await, [news("dead_letters_over_budget", subject, Resolved)]);

    let due = "insert into launch_controls (scope, control_key, title, kind, status, checked_at) \
               values ('global', 'restore_drill', 'Restore drill', 'admin_task', 'review_due', {now})";
    let ready = "update launch_controls set status = 'missing' where control_key = 'restore_drill'";
    comes_and_goes(&ground, "control_expired", "global/restore_drill", due, ready).await;
    let failed = "insert into launch_controls (scope, connection_id, client_id, control_key, title, kind, status) \
                  select 'connection', id, client_id, 'credential', 'Credential', 'launch_item', 'failed' \
                  from integration_connections where connection_key = 'acme-hubspot'";
    let mended = "update launch_controls set status = 'missing' where control_key = 'credential'";
    comes_and_goes(&ground, "control_expired", "acme-hubspot/credential", failed, mended).await;

    for (rule, check) in [("check_failed", "freshness"), ("isolation", "account_isolation")] {
        for status in [CheckStatus::Failed, CheckStatus::Errored] {
            let subject = format!("acme-hubspot/{check}");
            ground.check(check, status).await;
            assert_eq!(ground.sweep().await, [news(rule, &subject, Opened)]);
            ground.check(check, CheckStatus::Passed).await;
            assert_eq!(ground.sweep().await, [news(rule, &subject, Resolved)]);
        }
    }
});

on_both_engines!(waiting_for_limits_for_most_of_the_time_is_an_alert_until_runs_go_through_again, |db| {
    let ground = Ground::new(db).await;
    ground.runs(2, 50).await;
    assert_eq!(ground.sweep().await, [], "two runs say nothing yet");
    ground.runs(1, 20).await;
    assert_eq!(ground.sweep().await, [news("throttled", "acme-hubspot", Opened)]);
    ground.runs(3, 0).await;
    assert_eq!(ground.sweep().await, [news("throttled", "acme-hubspot", Resolved)]);
    // What lies before the window is over.
    ground.runs(9, 59).await;
    assert_eq!(ground.sweep().await, [news("throttled", "acme-hubspot", Opened)]);
    ground.clock.advance(HOUR * 7);
    ground.all_complete().await;
    assert_eq!(ground.sweep().await, [news("throttled", "acme-hubspot", Resolved)]);
});

on_both_engines!(p17_a_number_that_is_held_back_for_a_day_is_told_and_one_that_is_published_again_is_not, |db| {
    let ground = Ground::new(db).await;
    ground.held().await;
    assert_eq!(ground.sweep().await, [], "the next complete run may end it");
    assert_eq!(db.sql.number("select count(*) from integration_alerts where opened_at is null").await, 1, "watched");
    ground.clock.advance(HOUR * 23);
    ground.all_complete().await;
    assert_eq!(ground.sweep().await, []);
    ground.clock.advance(HOUR);
    assert_eq!(ground.sweep().await, [news("publication_held", "acme/lead_volume/CRM", Opened)]);
    ground.sql("update report_metrics set status = 'steady', held_reason = null").await;
    assert_eq!(ground.sweep().await, [news("publication_held", "acme/lead_volume/CRM", Resolved)]);
    // Held again, and over before a day has passed: nobody hears of it.
    ground.sql("update report_metrics set status = 'held', held_reason = 'x'").await;
    assert_eq!(ground.sweep().await, []);
    ground.sql("update report_metrics set status = 'steady', held_reason = null").await;
    assert_eq!(ground.sweep().await, []);
});

on_both_engines!(p17_a_job_that_never_ran_is_late_from_when_it_could_have, |db| {
    let ground = Ground::new(db).await;
    let job = "acme-hubspot/contacts";
    ground
        .sql(&format!(
            "update integration_sync_jobs set last_complete_at = null, next_run_at = {{before 1}} {CONTACTS}"
        ))
        .await;
    assert_eq!(ground.sweep().await, [], "due for an hour, two are allowed");
    ground.clock.advance(HOUR + Duration::from_secs(1));
    ground.others_complete().await;
    assert_eq!(ground.sweep().await, [news("source_late", job, Opened)]);
    let stands = ground.store.alerts(&AlertFilter { limit: 10, ..AlertFilter::default() }).await.unwrap();
    assert_eq!(stands[0].row.owner.as_deref(), Some("integration@example.test"));
    assert!(stands[0].row.message_internal.contains("never completed"), "{stands:?}");

    // Only failing runs: absence still counts, from the first of them, whenever the job is due next.
    ground.sql(&format!("update integration_sync_jobs set last_complete_at = {{now}} {CONTACTS}")).await;
    assert_eq!(ground.sweep().await, [news("source_late", job, Resolved)]);
    ground.runs(1, 0).await;
    ground
        .sql(&format!("update integration_sync_jobs set last_complete_at = null, next_run_at = {{now}} {CONTACTS}"))
        .await;
    assert_eq!(ground.sweep().await, [], "its first run began an hour ago");
    ground.clock.advance(HOUR + Duration::from_secs(1));
    ground.others_complete().await;
    assert_eq!(ground.sweep().await, [news("source_late", job, Opened)]);

    // Started by hand only, and never: it counts from when it was first seen.
    ground.sql("delete from integration_sync_runs").await;
    ground.all_complete().await;
    ground
        .sql(&format!("update integration_sync_jobs set last_complete_at = null, next_run_at = null {CONTACTS}"))
        .await;
    assert_eq!(ground.sweep().await, [], "the alert that stood goes on");
    ground.all_complete().await;
    assert_eq!(ground.sweep().await, [news("source_late", job, Resolved)]);
    ground
        .sql(&format!("update integration_sync_jobs set last_complete_at = null, next_run_at = null {CONTACTS}"))
        .await;
    assert_eq!(ground.sweep().await, []);
    ground.clock.advance(HOUR * 2);
    ground.others_complete().await;
    assert_eq!(ground.sweep().await, [news("source_late", job, Opened)]);
});

on_both_engines!(what_a_person_holds_and_what_is_not_live_yet_is_not_late, |db| {
    let ground = Ground::new(db).await;
    ground.sql("update integration_sync_jobs set last_complete_at = {before 9}, consecutive_failures = 5").await;
    for set in [
        "update integration_connections set status = 'paused'",
        "update integration_connections set status = 'revoked'",
        "update integration_connections set status = 'connected', environment = 'production', activated_at = null",
        "update integration_connections set environment = 'sandbox'",
    ] {
        ground.sql(set).await;
        let told = ground.sweep().await;
        let live = set.contains("'sandbox'");
        // Two clients, two jobs each: late and stalled.
        assert_eq!(told.len(), if live { 8 } else { 0 }, "{set}: {told:?}");
    }
    ground.sql("update core_clients set status = 'archived' where client_key = 'acme'").await;
    let told = ground.sweep().await;
    assert!(
        told.len() == 4 && told.iter().all(|(_, subject, news)| subject.starts_with("acme-") && *news == Resolved),
        "{told:?}"
    );
});

on_both_engines!(an_open_alert_is_told_again_after_its_silence_and_one_without_silence_at_every_look, |db| {
    let ground = Ground::new(db).await;
    ground.sql("update integration_connections set status = 'needs_auth' where connection_key = 'acme-hubspot'").await;
    assert_eq!(ground.sweep().await, [news("needs_auth", "acme-hubspot", Opened)]);
    ground.clock.advance(HOUR * 4 - Duration::from_secs(1));
    ground.all_complete().await;
    assert_eq!(ground.sweep().await, []);
    ground.clock.advance(Duration::from_secs(1));
    assert_eq!(ground.sweep().await, [news("needs_auth", "acme-hubspot", Reminded)]);
    assert_eq!(ground.sweep().await, []);
    assert_eq!(db.sql.number("select count(*) from integration_alerts").await, 1, "one row for as long as it lasts");

    ground.check("isolation_records", CheckStatus::Failed).await;
    let told = ground.sweep().await;
    assert_eq!(told, [news("isolation", "acme-hubspot/isolation_records", Opened)]);
    ground.clock.advance(Duration::from_secs(60));
    assert_eq!(ground.sweep().await, [news("isolation", "acme-hubspot/isolation_records", Reminded)]);
});

on_both_engines!(a_rule_that_is_switched_off_ends_its_alerts, |db| {
    let mut ground = Ground::new(db).await;
    ground.sql("update integration_connections set status = 'needs_auth' where connection_key = 'acme-hubspot'").await;
    assert_eq!(ground.sweep().await.len(), 1);
    let off = "rules:\n  - { key: needs_auth, enabled: false }\n";
    ground.rules = Arc::new(Rules::read(Some(("mine.yaml", off))).unwrap());
    ground.clock.advance(Duration::from_secs(60));
    assert_eq!(ground.sweep().await, [news("needs_auth", "acme-hubspot", Resolved)]);
});

on_both_engines!(two_that_look_at_the_same_moment_tell_each_change_once_between_them, |db| {
    let ground = Ground::new(db).await;
    let other = db.open().await;
    for round in 0..6_u64 {
        let status = if round % 2 == 0 { "needs_auth" } else { "connected" };
        ground.sql(&format!("update integration_connections set status = '{status}'")).await;
        ground.all_complete().await;
        let (one, two) = tokio::join!(
            sweep(&ground.store, &ground.rules, &*ground.clock, true),
            sweep(&other, &ground.rules, &*ground.clock, true)
        );
        let told: usize = one.unwrap().len() + two.unwrap().len();
        assert_eq!(told, 2, "one for each client, in round {round}");
        let open = db.sql.number("select count(*) from integration_alerts where resolved_at is null").await;
        assert_eq!(open, if round % 2 == 0 { 2 } else { 0 });
        ground.clock.advance(Duration::from_secs(60));
    }
    other.close().await;
});

on_both_engines!(p15_an_alert_belongs_to_the_client_of_its_connection, |db| {
    let ground = Ground::new(db).await;
    ground.sql("update integration_connections set status = 'needs_auth'").await;
    ground.sweep().await;
    for (key, client) in [("acme-hubspot", "acme"), ("bolt-hubspot", "bolt")] {
        let filter = AlertFilter { connection_key: Some(key.to_owned()), limit: 10, ..AlertFilter::default() };
        let alerts = ground.store.alerts(&filter).await.unwrap();
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].client_key.as_deref(), Some(client));
    }
    let wrong = "update integration_alerts set client_id = (select max(id) from core_clients) where subject_key = 'acme-hubspot'";
    assert!(db.sql.run(wrong).await.is_err(), "the database refuses a row whose client is not its connection's");
});

on_both_engines!(p18_no_row_of_an_alert_holds_a_payload_or_what_an_error_said, |db| {
    let ground = Ground::new(db).await;
    ground.letters(0..30).await;
    ground.runs(9, 59).await;
    ground.held().await;
    ground.check("freshness", CheckStatus::Failed).await;
    ground.sql(&format!("update integration_connections set status = 'needs_auth', status_reason = '{CANARY}' where connection_key = 'bolt-hubspot'")).await;
    ground.sweep().await;
    ground.clock.advance(HOUR * 25);
    ground.sweep().await;
    let rows = db
        .sql
        .rows("select concat(subject_key, message_internal, message_client_safe, remedy) from integration_alerts")
        .await;
    assert!(rows.len() >= 5, "{rows:?}");
    assert!(!format!("{rows:?}").contains("canary"), "{rows:?}");
});

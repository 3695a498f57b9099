//! What is old goes, a few rows at a time; what something still names stays.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tidegate::{
    domain::{clock::Clock, status::RunStatus},
    scheduler::retention::{Retention, Rules},
    store::retention::{Kind, Step},
};
use tokio_util::sync::CancellationToken;

use crate::{
    quality_ground::{clean, connection, letter},
    store_ground::{Given, commit, end, head, hold, job_id},
    support::databases::{RealClock, TestDatabase},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn retention(db: &TestDatabase, keep: &[Kind]) -> Retention {
    Retention {
        store: Arc::clone(db.store()),
        clock: Arc::new(RealClock) as Arc<dyn Clock>,
        rules: Rules { keep: keep.iter().map(|kind| (*kind, DAY)).collect() },
    }
}

/// One look to its end; gives how many rows of the one kind went.
async fn sweep(db: &TestDatabase, kind: Kind, dry: bool) -> u64 {
    let retention = retention(db, &[kind]);
    let taken = retention.once(&mut HashMap::new(), dry, false, &CancellationToken::new()).await.unwrap();
    assert!(taken.len() == 1 && taken[0].whole, "{taken:?}");
    taken[0].rows
}

/// Makes everything as old as can be.
async fn age(db: &TestDatabase) {
    let old = if db.is_mysql() { "'2020-01-01 00:00:00'" } else { "'2020-01-01T00:00:00.000000Z'" };
    for (table, column) in [
        ("integration_raw_events", "received_at"),
        ("integration_sync_runs", "finished_at"),
        ("data_quality_checks", "checked_at"),
        ("integration_sync_errors", "resolved_at"),
    ] {
        db.sql.ok(&format!("update {table} set {column} = {old} where {column} is not null")).await;
    }
}

async fn count(db: &TestDatabase, rows: &str) -> i64 {
    db.sql.number(&format!("select count(*) from {rows}")).await
}

/// Rewrites all contacts of acme so often, each time in a run of its own.
async fn rewrite(db: &TestDatabase, times: std::ops::RangeInclusive<i64>) {
    for version in times {
        let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
        let page: Vec<Given> = (0..4).map(|n| Given::new(format!("contacts-{n}"), version)).collect();
        commit(db.store(), &held, head(1, &page), &page).await;
        db.store().finish_run(&held.lease, held.run, &end(RunStatus::Succeeded)).await.unwrap().unwrap();
    }
}

on_both_engines!(raw_events_go_by_age_and_the_latest_of_a_record_stays, |db| {
    clean(db).await;
    rewrite(db, 2..=4).await;
    let all = count(db, "integration_raw_events").await;
    assert_eq!(sweep(db, Kind::Raw, false).await, 0, "nothing is old yet");
    age(db).await;
    // Older than the record's latest: three versions of four contacts.
    assert_eq!(sweep(db, Kind::Raw, true).await, 12);
    assert_eq!(count(db, "integration_raw_events").await, all, "a dry run takes nothing");
    let spare = "select min(id) from integration_raw_events where external_id = 'contacts-0' and connection_id = (select id from integration_connections where connection_key = 'acme-hubspot')";
    let spare = db.sql.number(spare).await;
    // A dead letter that waits, or was given up, names one; a pending one waits for its turn.
    letter(db, &connection(db, "acme-hubspot").await, "record_unmappable", "contacts-0").await;
    db.sql.ok(&format!("update integration_sync_errors set raw_event_id = {spare}")).await;
    db.sql.ok(&format!("update integration_raw_events set status = 'pending' where id = {}", spare + 1)).await;
    for status in ["open", "retry_scheduled", "exhausted"] {
        db.sql.ok(&format!("update integration_sync_errors set status = '{status}'")).await;
        assert_eq!(sweep(db, Kind::Raw, true).await, 10, "{status}");
    }
    db.sql.ok("update integration_sync_errors set status = 'resolved'").await;
    db.sql.ok("update integration_raw_events set status = 'normalized' where status = 'pending'").await;
    assert_eq!(sweep(db, Kind::Raw, false).await, 12);
    assert_eq!(sweep(db, Kind::Raw, false).await, 0);
    let lost = "integration_object_links l where l.raw_event_id is not null and not exists (select 1 from integration_raw_events r where r.id = l.raw_event_id)";
    assert_eq!(count(db, lost).await, 0);
    let acme = connection(db, "acme-hubspot").await;
    let left = db.store().raw_of_links(acme.id, "contacts", 0, 100).await.unwrap();
    assert!(left.len() >= 4, "a replay still finds what it needs: {left:?}");
});

on_both_engines!(dead_letters_go_once_they_are_done_with, |db| {
    clean(db).await;
    let acme = connection(db, "acme-hubspot").await;
    for (id, status) in
        [("a", "open"), ("b", "retry_scheduled"), ("c", "exhausted"), ("d", "resolved"), ("e", "discarded")]
    {
        letter(db, &acme, "record_unmappable", id).await;
        let done = if ["d", "e"].contains(&id) { "last_seen_at" } else { "null" };
        db.sql
            .ok(&format!(
                "update integration_sync_errors set status = '{status}', resolved_at = {done} where external_id = '{id}'"
            ))
            .await;
    }
    age(db).await;
    assert_eq!(sweep(db, Kind::DeadLetters, true).await, 2);
    assert_eq!(sweep(db, Kind::DeadLetters, false).await, 2);
    assert_eq!(count(db, "integration_sync_errors").await, 3);
});

on_both_engines!(runs_go_with_their_pages_when_nothing_names_them_and_the_newest_stay, |db| {
    clean(db).await;
    // Runs that did nothing, more of them than always stay.
    for _ in 0..25 {
        let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "deals").await).await;
        let page: Vec<Given> = (0..4).map(|n| Given::new(format!("deals-{n}"), 1)).collect();
        commit(db.store(), &held, head(1, &page), &page).await;
        db.store().finish_run(&held.lease, held.run, &end(RunStatus::Succeeded)).await.unwrap().unwrap();
    }
    let of_deals = "select id from integration_sync_runs where stream = 'deals' and connection_id = (select id from integration_connections where connection_key = 'acme-hubspot') order by id";
    let runs: Vec<String> = db.sql.rows(of_deals).await.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    assert_eq!(runs.len(), 26);
    assert_eq!(sweep(db, Kind::Runs, true).await, 0, "nothing is old yet");
    age(db).await;
    // The first wrote the records; the newest 20 stay in any case.
    assert_eq!(sweep(db, Kind::Runs, true).await, 5);
    let candidate = &runs[2];
    let acme = connection(db, "acme-hubspot").await;
    let raw = format!(
        "insert into integration_raw_events (connection_id, client_id, run_id, origin, stream, external_id, payload, payload_hash, source_label, received_at, status) \
         select connection_id, client_id, {candidate}, 'pull', 'deals', 'x', '{{}}', '{}', 'CRM', finished_at, 'ignored' from integration_sync_runs where id = {candidate}",
        "c".repeat(64)
    );
    let check = format!(
        "insert into data_quality_checks (run_id, client_id, connection_id, check_key, severity, status, evaluation_id, checked_at) \
         select id, client_id, connection_id, 'freshness', 'warn', 'passed', 'e', finished_at from integration_sync_runs where id = {candidate}"
    );
    letter(db, &acme, "record_unmappable", "z").await;
    for (name, undo) in [
        (raw, "delete from integration_raw_events where external_id = 'x'".to_owned()),
        (check, "delete from data_quality_checks where evaluation_id = 'e'".to_owned()),
        (
            format!("update integration_sync_errors set run_id = {candidate} where external_id = 'z'"),
            format!("update integration_sync_errors set run_id = {} where external_id = 'z'", runs[0]),
        ),
        (
            format!("update metric_snapshots set run_ids = '[7777, {candidate}]'"),
            "update metric_snapshots set run_ids = '[7777]'".to_owned(),
        ),
        (
            format!("update integration_object_links set last_run_id = {candidate} where external_id = 'deals-0'"),
            format!("update integration_object_links set last_run_id = {} where external_id = 'deals-0'", runs[0]),
        ),
        (
            format!("update integration_object_links set first_run_id = {candidate} where external_id = 'deals-0'"),
            format!("update integration_object_links set first_run_id = {} where external_id = 'deals-0'", runs[0]),
        ),
    ] {
        db.sql.ok(&name).await;
        assert_eq!(sweep(db, Kind::Runs, true).await, 4, "{name}");
        db.sql.ok(&undo).await;
    }
    let pages = count(db, "integration_sync_pages").await;
    assert_eq!(sweep(db, Kind::Runs, false).await, 5);
    assert_eq!(count(db, "integration_sync_pages").await, pages - 5);
    assert_eq!(sweep(db, Kind::Runs, false).await, 0);
    let pageless =
        "integration_sync_pages p where not exists (select 1 from integration_sync_runs r where r.id = p.run_id)";
    assert_eq!(count(db, pageless).await, 0);
});

on_both_engines!(checks_go_but_the_newest_evaluation_of_each_connection_stays, |db| {
    clean(db).await;
    for key in ["acme-hubspot", "bolt-hubspot"] {
        let of = connection(db, key).await;
        for evaluation in ["one", "two"] {
            for check in ["freshness", "coverage"] {
                db.sql
                    .ok(&format!(
                        "insert into data_quality_checks (client_id, connection_id, check_key, severity, status, evaluation_id, checked_at) \
                         select {}, {}, '{check}', 'warn', 'passed', '{evaluation} of {key}', max(finished_at) from integration_sync_runs",
                        of.client_id, of.id
                    ))
                    .await;
            }
        }
    }
    age(db).await;
    let before = count(db, "data_quality_checks").await;
    let gone = i64::try_from(sweep(db, Kind::Checks, false).await).unwrap();
    assert_eq!(before - gone, 4);
    assert_eq!(count(db, "data_quality_checks where evaluation_id like 'two of %'").await, 4);
});

on_both_engines!(p15_an_archived_clients_raw_events_go_whoever_names_them_and_another_clients_stay, |db| {
    clean(db).await;
    let of = |key: &str| {
        format!(
            "integration_raw_events where connection_id = (select id from integration_connections where connection_key = '{key}')"
        )
    };
    let (acme, bolt) = (count(db, &of("acme-hubspot")).await, count(db, &of("bolt-hubspot")).await);
    let leads = count(db, "crm_leads").await;
    age(db).await;
    assert_eq!(sweep(db, Kind::ArchivedRaw, false).await, 0, "nobody is archived");
    let mut archived = crate::store_ground::two_clients();
    archived.clients[0].2 = tidegate::domain::status::ClientStatus::Archived;
    db.store().declare(&archived).await.unwrap();
    assert_eq!(sweep(db, Kind::ArchivedRaw, false).await, 0, "archived just now");
    let long_ago = if db.is_mysql() { "'2020-01-01 00:00:00'" } else { "'2020-01-01T00:00:00.000000Z'" };
    db.sql.ok(&format!("update core_clients set archived_at = {long_ago} where archived_at is not null")).await;
    // Declared again, it is archived since then.
    db.store().declare(&archived).await.unwrap();
    assert_eq!(sweep(db, Kind::ArchivedRaw, true).await, u64::try_from(acme).unwrap());
    assert_eq!(sweep(db, Kind::ArchivedRaw, false).await, u64::try_from(acme).unwrap());
    assert_eq!(count(db, &of("bolt-hubspot")).await, bolt);
    assert_eq!(count(db, "crm_leads").await, leads, "business rows stay");
    let own = connection(db, "acme-hubspot").await;
    assert!(db.store().records_without_raw(own.client_id, own.id, "contact").await.unwrap() > 0, "and it is told");
    // Taken back from the archive, its time begins anew.
    db.store().declare(&crate::store_ground::two_clients()).await.unwrap();
    assert_eq!(count(db, "core_clients where archived_at is not null").await, 0);
});

on_both_engines!(a_step_looks_at_a_bounded_number_of_rows_and_two_at_once_are_harmless, |db| {
    clean(db).await;
    rewrite(db, 2..=4).await;
    age(db).await;
    let step = Step { kind: Kind::Raw, keep: DAY, after: None, limit: 5, dry: false };
    let first = db.store().sweep(&step).await.unwrap();
    assert!(first.rows <= 5 && first.place.is_some(), "{first:?}");
    let next = Step { after: first.place, ..step };
    let (one, other) = tokio::join!(db.store().sweep(&next), db.store().sweep(&next));
    assert!(one.unwrap().rows + other.unwrap().rows <= 5);
    let mut gone = 0;
    let mut after = None;
    while let Some(place) = {
        let swept = db.store().sweep(&Step { after, ..step }).await.unwrap();
        gone += swept.rows;
        swept.place
    } {
        after = Some(place);
    }
    assert!(gone <= 12);
    let acme = connection(db, "acme-hubspot").await;
    assert!(db.store().raw_of_links(acme.id, "contacts", 0, 100).await.unwrap().len() >= 4);
    // The age and the references are found by an index.
    if !db.is_mysql() {
        for (query, index) in [
            ("select id from integration_raw_events where received_at < 'x' order by received_at, id limit 5", "_age"),
            ("select id from integration_sync_runs where finished_at < 'x' order by finished_at, id limit 5", "_age"),
            ("select 1 from integration_object_links l where l.raw_event_id = 5", "_raw"),
            ("select 1 from integration_object_links l where l.last_run_id = 5", "_last_run"),
            ("select 1 from integration_sync_errors e where e.raw_event_id = 5", "_raw"),
        ] {
            let plan = format!("{:?}", db.sql.rows(&format!("explain query plan {query}")).await);
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{query}: {plan}");
        }
    } else {
        for table in
            ["integration_raw_events", "integration_sync_runs", "data_quality_checks", "integration_sync_errors"]
        {
            let index = format!(
                "select count(*) from information_schema.statistics where table_schema = database() and table_name = '{table}' and index_name = 'ix_{table}_age'"
            );
            assert_eq!(db.sql.number(&index).await, 1, "{table}");
        }
    }
});

on_both_engines!(retention_as_a_command_tells_first_and_takes_then, |db| {
    let mut yard = crate::support::yard::Yard::applied(db, 6, 0).await;
    assert_eq!(yard.run_acme().await.code(), Some(0));
    yard.home.setting("retention.raw_days", "1").setting("retention.check_days", "0");
    age(db).await;
    db.sql.ok("update integration_object_links set raw_event_id = null where external_id = (select external_id from (select min(external_id) as external_id from integration_object_links) x)").await;
    let told = yard.home.run_ok(&["retention", "--dry-run", "--json"]).await.json();
    let raw = |told: &serde_json::Value| {
        told["taken"].as_array().unwrap().iter().find(|one| one["kind"] == "raw").unwrap()["rows"].clone()
    };
    assert_eq!((raw(&told), &told["dry_run"]), (1.into(), &true.into()), "{told}");
    assert!(told["kept_for_ever"].to_string().contains("checks"), "{told}");
    let text = yard.home.run_ok(&["retention"]).await.stdout;
    assert!(text.contains("integration_raw_events") && text.contains("kept for ever: results of checks"), "{text}");
    assert_eq!(raw(&yard.home.run_ok(&["retention", "--json"]).await.json()), 0);
    // What is left can still be mapped again, and what cannot is counted.
    yard.home.run_ok(&["normalize", "--replay", "--connection", "acme-hubspot"]).await;
    let diff = yard
        .home
        .run_ok(&["normalize", "--diff", "--map-version", "1", "--connection", "acme-hubspot", "--json"])
        .await;
    assert_eq!(diff.json()["diffs"][0]["streams"][0]["records"]["raw_gone"], 1, "{diff}");
    yard.end().await;
});

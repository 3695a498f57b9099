//! A page is one transaction: all of it or nothing, once, by whoever holds the lease.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tidegate::{
    domain::{
        counts::Counts,
        cursor::{Cursor, Position},
        status::RunStatus,
    },
    store::{
        StoreError,
        page::{PageHead, PageScope, PageWrites},
    },
};

use crate::{
    store_ground::{Given, act, commit, counts, cursor, decide, end, expire, head, held, hold, lead, long_ago, scope},
    support::databases::TestDatabase,
};

const TABLES: [&str; 6] = [
    "integration_raw_events",
    "crm_leads",
    "integration_object_links",
    "integration_sync_errors",
    "integration_sync_pages",
    "integration_sync_runs",
];

/// Everything that a page may touch, as text; but for how long the lease lasts.
async fn all_rows(db: &TestDatabase) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for table in TABLES {
        let order = if table == "integration_sync_pages" { "run_id, page_no" } else { "id" };
        rows.extend(db.sql.rows(&format!("select * from {table} order by {order}")).await);
    }
    let jobs =
        "select id, cursor_state, cursor_order, resume_position, next_run_at, fence, term_id, lease_owner, attempts
        from integration_sync_jobs order by id";
    rows.extend(db.sql.rows(jobs).await);
    rows
}

fn some_page() -> Vec<Given> {
    vec![Given::new("a", 1), Given::new("b", 1), Given::broken("c", 1)]
}

fn with_cursor(page_no: i64, given: &[Given], order: i64) -> PageHead {
    PageHead { cursor: Some(cursor(order)), ..head(page_no, given) }
}

/// P1: a fault at any statement of the page leaves nothing of it.
mod nothing_of_a_page_is_visible_when_one_of_its_statements_fails {
    use super::*;

    async fn test(db: &TestDatabase) {
        let held = held(db.store()).await;
        // An earlier page, so that the failing one also updates a record and a dead letter.
        commit(db.store(), &held, head(1, &some_page()), &some_page()).await;
        let before = all_rows(db).await;
        let given = vec![Given::new("a", 2), Given::new("d", 1), Given::broken("c", 1), Given::broken("e", 1)];
        for (table, event) in TABLES
            .map(|table| (table, "insert"))
            .into_iter()
            .chain([("crm_leads", "update"), ("integration_sync_runs", "update")])
        {
            if (table, event) == ("integration_sync_runs", "insert") {
                continue;
            }
            // SQLite's upsert fires INSERT triggers as well, so one kind of fault there is enough.
            let fault = if db.is_mysql() {
                format!(
                    "create trigger fault before {event} on {table} for each row signal sqlstate '45000' set message_text = 'fault'"
                )
            } else {
                format!("create trigger fault before {event} on {table} begin select raise(abort, 'fault'); end")
            };
            db.sql.ok(&fault).await;
            let page = with_cursor(2, &given, 7);
            let answer =
                db.store().commit_page(Arc::new(scope(&held)), Arc::new(page), decide(given.clone(), held.run)).await;
            assert!(answer.is_err(), "a fault at {event} of {table} was not noticed: {answer:?}");
            db.sql.ok("drop trigger fault").await;
            assert_eq!(all_rows(db).await, before, "a fault at {event} of {table} left something behind");
        }
        // The same page goes through once nothing fails: the faults were the only reason.
        let receipt = commit(db.store(), &held, with_cursor(2, &given, 7), &given).await;
        assert_eq!(receipt.counts, counts(4, 1, 1, 0, 0, 2));
        assert!(receipt.cursor_moved);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        TestDatabase::sqlite().await.run(test).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn mysql() {
        TestDatabase::mysql().await.run(test).await;
    }
}

on_both_engines!(rows_counts_and_cursor_become_visible_together, |db| {
    let held = held(db.store()).await;
    let mut page = with_cursor(1, &some_page(), 5);
    page.resume = Some(Some(Position(json!({"after": "x"}))));
    page.window = Some((long_ago(), long_ago().plus(Duration::from_secs(60))));
    let receipt = commit(db.store(), &held, page, &some_page()).await;
    assert_eq!(receipt.counts, counts(3, 2, 0, 0, 0, 1));

    let job = db.store().job(held.lease.job).await.expect("a job").expect("the job");
    assert_eq!(job.cursor_state, Some(json!({"updatedAt": 5})));
    assert_eq!(job.open_dead_letters, 1);
    let run = db.store().run(held.run).await.expect("a run").expect("the run");
    assert_eq!((run.counts, run.pages, run.traffic.bytes_in), (receipt.counts, 1, 4));
    assert_eq!(run.window_start, Some(long_ago()));
    let pages = db.store().run_pages(held.run, 5, 5).await.expect("pages");
    assert_eq!(pages.len(), 1);
    assert_eq!(pages[0].cursor_after, Some(json!({"updatedAt": 5})));
    assert_eq!(pages[0].started_at.to_iso(), "2026-03-01T08:00:00.123456Z");

    let leads = db.sql.rows("select external_id, contact_name, consent, client_id, connection_id, source_label, is_test, first_run_id, last_run_id from crm_leads order by external_id").await;
    let text = |n: i64| Some(n.to_string());
    for (lead, id) in leads.iter().zip(["a", "b"]) {
        let expected = vec![
            Some(id.to_owned()),
            Some(format!("Name {id} v1")),
            Some("granted".to_owned()),
            text(held.client_id.0),
            text(held.connection_id.0),
            Some("CRM".to_owned()),
            text(0),
            text(held.run.0),
            text(held.run.0),
        ];
        assert_eq!(*lead, expected);
    }
    assert_eq!(leads.len(), 2);
    // Each link leads to its own record and its own raw event.
    let joined = db.sql.number(
        "select count(*) from integration_object_links l
         join crm_leads c on c.id = l.internal_id and c.external_id = l.external_id and l.internal_table = 'crm_leads'
         join integration_raw_events r on r.id = l.raw_event_id and r.external_id = l.external_id and r.payload_hash = l.payload_hash",
    );
    assert_eq!(joined.await, 2);
    let known =
        db.store().known(held.connection_id, "contact", &["a".to_owned(), "zz".to_owned()]).await.expect("known");
    assert_eq!(known.len(), 1);
    assert_eq!(known["a"].payload_hash, Given::new("a", 1).hash());
    assert_eq!(known["a"].record_hash, lead(&Given::new("a", 1)).fingerprint());
    assert_eq!(known["a"].source_updated_at.map(|at| at.to_iso()).as_deref(), Some("2026-02-03T00:00:00.000000Z"));
});

on_both_engines!(a_cursor_never_falls_and_a_refused_page_writes_nothing, |db| {
    let held = held(db.store()).await;
    let one = [Given::new("a", 1)];
    commit(db.store(), &held, with_cursor(1, &one, 100), &one).await;
    let before = all_rows(db).await;
    let two = [Given::new("b", 1)];
    let back = with_cursor(2, &two, 99);
    let answer = db.store().commit_page(Arc::new(scope(&held)), Arc::new(back), decide(two.to_vec(), held.run)).await;
    assert!(matches!(answer, Err(StoreError::CursorBack { job }) if job == held.lease.job.0), "{answer:?}");
    assert_eq!(all_rows(db).await, before);
    // The same order again is no step back, and a cursor without an order keeps the order that is known.
    commit(db.store(), &held, with_cursor(2, &two, 100), &two).await;
    let mut unordered = head(3, &two);
    unordered.cursor = Some(Cursor { state: json!("token"), order: None });
    commit(db.store(), &held, unordered, &two).await;
    assert_eq!(
        db.sql.number("select cursor_order from integration_sync_jobs where cursor_order is not null").await,
        100
    );
});

on_both_engines!(only_a_reset_takes_a_cursor_away_and_it_leaves_an_act, |db| {
    let held = held(db.store()).await;
    let one = [Given::new("a", 1)];
    commit(db.store(), &held, with_cursor(1, &one, 100), &one).await;
    assert!(!db.store().reset_cursor(held.lease.job, &act("jobs.reset-cursor")).await.expect("an answer"), "leased");
    db.store().finish_run(&held.lease, held.run, &end(RunStatus::Succeeded)).await.expect("the end").expect("ours");
    assert!(db.store().reset_cursor(held.lease.job, &act("jobs.reset-cursor")).await.expect("an answer"));
    let job = db.store().job(held.lease.job).await.expect("a job").expect("the job");
    assert_eq!(job.cursor_state, None);
    let acts = db.store().admin_actions(1).await.expect("acts");
    assert_eq!(acts[0].1.action, "jobs.reset-cursor");
    let again = hold(db.store(), held.lease.job).await;
    commit(db.store(), &again, with_cursor(1, &one, 1), &one).await;
});

on_both_engines!(a_page_whose_counts_do_not_add_up_is_refused, |db| {
    let held = held(db.store()).await;
    let before = all_rows(db).await;
    let decide = Arc::new(|_: &_| PageWrites {
        counts: Counts { seen: 2, created: 1, ..Counts::default() },
        ..PageWrites::default()
    });
    let answer = db.store().commit_page(Arc::new(scope(&held)), Arc::new(head(1, &[])), decide).await;
    assert!(matches!(answer, Err(StoreError::Constraint { .. })), "{answer:?}");
    assert_eq!(all_rows(db).await, before);
});

on_both_engines!(the_database_refuses_a_finished_run_that_does_not_add_up, |db| {
    let held = held(db.store()).await;
    db.sql.ok("update integration_sync_runs set records_seen = 1").await;
    let answer = db.store().finish_run(&held.lease, held.run, &end(RunStatus::Succeeded)).await;
    let Err(StoreError::Constraint { constraint, .. }) = &answer else { panic!("{answer:?}") };
    assert!(constraint.contains("ck_integration_sync_runs_counts"), "{constraint}");
    // Nothing of the end is there: the run goes on, the lease is held.
    let run = db.store().run(held.run).await.expect("a run").expect("the run");
    assert_eq!((run.status, run.finished_at), (RunStatus::Running, None));
    assert!(db.store().renew(&held.lease, Duration::from_secs(9)).await.expect("an answer"));
});

on_both_engines!(counts_of_a_run_agree_with_a_recount_of_its_rows, |db| {
    let first = held(db.store()).await;
    let page: Vec<Given> = (0..300).map(Given::new_number).chain([Given::broken("x", 1)]).collect();
    commit(db.store(), &first, head(1, &page), &page).await;
    commit(db.store(), &first, head(2, &page), &page).await;
    let ended =
        db.store().finish_run(&first.lease, first.run, &end(RunStatus::Partial)).await.expect("the end").expect("ours");
    assert_eq!(ended, counts(602, 300, 0, 0, 300, 2));
    let recount = db.store().recount(first.run).await.expect("a recount");
    assert_eq!(recount.ledger, ended);
    assert_eq!((recount.raw_normalized, recount.raw_failed, recount.raw_ignored), (300, 2, 0));
    assert_eq!(recount.links_created, 300);

    let second = hold(db.store(), first.lease.job).await;
    let changed: Vec<Given> = (0..300).map(|n| Given::new(n, if n % 3 == 0 { 2 } else { 1 })).collect();
    commit(db.store(), &second, head(1, &changed), &changed).await;
    let ended = db
        .store()
        .finish_run(&second.lease, second.run, &end(RunStatus::Succeeded))
        .await
        .expect("the end")
        .expect("ours");
    assert_eq!(ended, counts(300, 0, 100, 200, 0, 0));
    assert_eq!(db.store().recount(second.run).await.expect("a recount").ledger, ended);
    // Updates stay on their rows.
    assert_eq!(db.sql.number("select count(*) from crm_leads").await, 300);
    let touched =
        format!("select count(*) from crm_leads where last_run_id = {} and first_run_id = {}", second.run, first.run);
    assert_eq!(db.sql.number(&touched).await, 100);
    assert_eq!(db.sql.number("select count(*) from crm_leads where contact_name like 'Name % v2'").await, 100);
    assert_eq!(
        db.sql.number("select count(*) from integration_object_links l join crm_leads c on c.id = l.internal_id and c.external_id = l.external_id").await,
        300
    );
});

impl Given {
    fn new_number(n: i64) -> Self {
        Self::new(n, 1)
    }
}

on_both_engines!(the_same_page_again_changes_no_row_and_no_count, |db| {
    let held = held(db.store()).await;
    let first = commit(db.store(), &held, with_cursor(1, &some_page(), 5), &some_page()).await;
    let before = all_rows(db).await;
    let again = commit(db.store(), &held, with_cursor(1, &some_page(), 5), &some_page()).await;
    assert_eq!(again, first);
    assert_eq!(all_rows(db).await, before);
    // Another page under the same number is refused.
    let other = [Given::new("z", 1)];
    let answer = db
        .store()
        .commit_page(Arc::new(scope(&held)), Arc::new(head(1, &other)), decide(other.to_vec(), held.run))
        .await;
    assert!(matches!(answer, Err(StoreError::Constraint { .. })), "{answer:?}");
    assert_eq!(all_rows(db).await, before);
});

on_both_engines!(an_unchanged_page_touches_no_record, |db| {
    let first = held(db.store()).await;
    let page: Vec<Given> = (0..1100).map(|n| Given::new(n, 1)).collect();
    commit(db.store(), &first, head(1, &page), &page).await;
    db.store().finish_run(&first.lease, first.run, &end(RunStatus::Succeeded)).await.expect("the end").expect("ours");
    let look = "select * from integration_object_links order by id";
    let before = db.sql.rows(look).await;
    let second = hold(db.store(), first.lease.job).await;
    let receipt = commit(db.store(), &second, head(1, &page), &page).await;
    assert_eq!(receipt.counts, counts(1100, 0, 0, 1100, 0, 0));
    assert_eq!(db.sql.rows(look).await, before);
    assert_eq!(db.sql.number("select count(*) from integration_raw_events").await, 1100);
});

on_both_engines!(a_stale_fence_or_an_expired_lease_writes_nothing, |db| {
    let old = held(db.store()).await;
    let page = some_page();
    commit(db.store(), &old, head(1, &page), &page).await;
    let next = [Given::new("n", 1)];
    let refused = async |when: &str| {
        let before = all_rows(db).await;
        let answer = db
            .store()
            .commit_page(Arc::new(scope(&old)), Arc::new(with_cursor(2, &next, 9)), decide(next.to_vec(), old.run))
            .await;
        assert!(matches!(answer, Err(StoreError::Fenced { .. })), "{when}: {answer:?}");
        assert!(!db.store().renew(&old.lease, Duration::from_secs(60)).await.expect("an answer"), "{when}");
        let ended = db.store().finish_run(&old.lease, old.run, &end(RunStatus::Succeeded)).await.expect("an answer");
        assert_eq!(ended, None, "{when}");
        assert_eq!(all_rows(db).await, before, "{when}");
    };
    expire(db, old.lease.job).await;
    refused("the lease ran out").await;
    let new = hold(db.store(), old.lease.job).await;
    assert_eq!(new.abandoned, [old.run]);
    refused("another holder").await;
    // A right fence with a wrong term is refused as well.
    let mut forged = new.clone();
    forged.lease.term_id = "00000000-0000-0000-0000-000000000000".to_owned();
    let answer = db
        .store()
        .commit_page(Arc::new(scope(&forged)), Arc::new(head(1, &next)), decide(next.to_vec(), new.run))
        .await;
    assert!(matches!(answer, Err(StoreError::Fenced { .. })), "{answer:?}");
    commit(db.store(), &new, head(1, &next), &next).await;
});

on_both_engines!(a_final_run_never_changes, |db| {
    let held = held(db.store()).await;
    commit(db.store(), &held, head(1, &some_page()), &some_page()).await;
    db.store().finish_run(&held.lease, held.run, &end(RunStatus::Partial)).await.expect("the end").expect("ours");
    let look = format!("select * from integration_sync_runs where id = {}", held.run);
    let before = db.sql.rows(&look).await;
    let new = hold(db.store(), held.lease.job).await;
    // Somebody who still believes in the old run, even with the new lease.
    let mixed = PageScope { run: held.run, ..scope(&new) };
    let page = [Given::new("q", 1)];
    let answer =
        db.store().commit_page(Arc::new(mixed), Arc::new(head(2, &page)), decide(page.to_vec(), held.run)).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(db.store().finish_run(&new.lease, held.run, &end(RunStatus::Succeeded)).await.expect("an answer"), None);
    db.store().recover_orphans(&["worker".to_owned()]).await.expect("a sweep");
    assert_eq!(db.sql.rows(&look).await, before);
    assert_eq!(db.sql.number("select count(*) from crm_leads where external_id = 'q'").await, 0);
});

on_both_engines!(a_page_that_spends_the_error_budget_keeps_the_old_cursor_and_position, |db| {
    let held = held(db.store()).await;
    let one = [Given::new("a", 1)];
    let mut first = with_cursor(1, &one, 5);
    first.resume = Some(Some(Position(json!("page 2"))));
    commit(db.store(), &held, first, &one).await;

    let two = [Given::new("b", 1), Given::broken("c", 1)];
    let calls = Arc::new(AtomicU32::new(0));
    let (inner, counted) = (decide(two.to_vec(), held.run), Arc::clone(&calls));
    let holding = Arc::new(move |known: &_| {
        counted.fetch_add(1, Ordering::SeqCst);
        PageWrites { hold_cursor: true, ..inner(known) }
    });
    let mut page = with_cursor(2, &two, 9);
    page.resume = Some(None);
    let receipt = db.store().commit_page(Arc::new(scope(&held)), Arc::new(page), holding).await.expect("a receipt");
    assert!(!receipt.cursor_moved);
    assert_eq!(calls.load(Ordering::SeqCst), 2, "decided once more without the cursor");
    let job = db.sql.rows("select cursor_state, cursor_order, resume_position from integration_sync_jobs where cursor_state is not null").await;
    assert_eq!(job, [[Some("{\"updatedAt\":5}".to_owned()), Some("5".to_owned()), Some("\"page 2\"".to_owned())]]);
    assert_eq!(db.store().run_pages(held.run, 9, 9).await.expect("pages")[1].cursor_after, None);
    assert_eq!(db.sql.number("select count(*) from crm_leads").await, 2, "the page itself is written");
});

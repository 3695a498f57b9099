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
        ids::RawEventId,
        status::{DeadLetterStatus, RawStatus, RunStatus},
    },
    store::{
        StoreError,
        dead_letters::DeadLetterFilter,
        page::{PageHead, PageScope, PageWrites, RawWrite},
    },
};

use crate::{
    store_ground::{
        Given, act, commit, counts, cursor, decide, end, expire, head, held, hold, job_id, lay, lead, long_ago, scope,
    },
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

on_both_engines!(an_item_has_at_most_one_open_dead_letter_and_a_repeat_raises_its_attempts, |db| {
    let first = held(db.store()).await;
    let page = [Given::broken("c", 1), Given::broken("d", 1)];
    commit(db.store(), &first, head(1, &page), &page).await;
    let filter = DeadLetterFilter { limit: 10, ..DeadLetterFilter::default() };
    let before = db.store().dead_letters(&filter).await.expect("dead letters");
    assert_eq!(before.iter().map(|l| (l.external_id.as_str(), l.attempts)).collect::<Vec<_>>(), [("d", 1), ("c", 1)]);
    db.store().finish_run(&first.lease, first.run, &end(RunStatus::Partial)).await.expect("the end");

    let second = hold(db.store(), first.lease.job).await;
    assert_eq!(second.open_dead_letters, 2);
    let page = [Given::broken("c", 1)];
    commit(db.store(), &second, head(1, &page), &page).await;
    let after = db.store().dead_letters(&filter).await.expect("dead letters");
    assert_eq!(after.len(), 2);
    let repeated = &after[1];
    assert_eq!((repeated.id, repeated.attempts, repeated.run_id), (before[1].id, 2, second.run));
    assert!(repeated.raw_event_id > before[1].raw_event_id, "the newest raw event");
    assert_eq!(repeated.first_seen_at, before[1].first_seen_at);

    // Two open rows for one item are refused by the database itself; closed ones may be many.
    let copy = |status: &str| {
        format!(
        "insert into integration_sync_errors (run_id, job_id, connection_id, client_id, origin, stage, stream, external_id, fingerprint,
            error_code, message_internal, message_client_safe, remedy, payload_hash, first_seen_at, last_seen_at, status)
         select run_id, job_id, connection_id, client_id, origin, stage, stream, external_id, fingerprint,
            error_code, message_internal, message_client_safe, remedy, payload_hash, first_seen_at, last_seen_at, '{status}'
         from integration_sync_errors where id = {}", repeated.id
    )
    };
    for status in ["open", "retry_scheduled"] {
        let refused = db.sql.run(&copy(status)).await.expect_err("a second open row");
        assert!(refused.as_database_error().is_some_and(|e| e.is_unique_violation()), "{refused}");
    }
    for status in ["resolved", "resolved", "discarded", "exhausted"] {
        db.sql.ok(&copy(status)).await;
    }
});

on_both_engines!(a_replay_that_goes_through_closes_its_dead_letter_with_the_record, |db| {
    let first = held(db.store()).await;
    let page = [Given::broken("c", 1), Given::broken("d", 1)];
    commit(db.store(), &first, head(1, &page), &page).await;
    db.store().finish_run(&first.lease, first.run, &end(RunStatus::Partial)).await.expect("the end");

    let replay = hold(db.store(), first.lease.job).await;
    let raw = db.store().raw_of_dead_letters(replay.connection_id, "contacts", &[], 0, 10).await.expect("raw events");
    assert_eq!(raw.iter().map(|(_, event)| event.external_id.as_str()).collect::<Vec<_>>(), ["c", "d"]);
    let only =
        db.store().raw_of_dead_letters(replay.connection_id, "contacts", &[raw[1].0], 0, 10).await.expect("raw events");
    assert_eq!(only, [raw[1].clone()]);
    assert_eq!(raw[0].1.payload, page[0].payload().to_string());

    let (id, hash, fixed) = (raw[0].1.id, raw[0].1.payload_hash.clone(), Given::new("c", 1));
    let run = replay.run;
    let decide = Arc::new(move |known: &_| {
        let mut writes = decide(vec![fixed.clone()], run)(known);
        writes.raw = vec![RawWrite::Existing { id, status: RawStatus::Normalized, reason: None }];
        writes.resolved = vec![("c".to_owned(), hash.clone())];
        writes
    });
    let receipt =
        db.store().commit_page(Arc::new(scope(&replay)), Arc::new(head(1, &page)), decide).await.expect("a receipt");
    assert_eq!(receipt.counts, counts(1, 1, 0, 0, 0, 0));
    let letters = db
        .store()
        .dead_letters(&DeadLetterFilter { limit: 10, ..DeadLetterFilter::default() })
        .await
        .expect("dead letters");
    assert_eq!(
        letters.iter().map(|l| l.status).collect::<Vec<_>>(),
        [DeadLetterStatus::Open, DeadLetterStatus::Resolved]
    );
    assert!(letters[1].resolved_at.is_some() && letters[1].resolved_by == Some(format!("run {run}")));
    // The record's link points at the raw event that was replayed.
    assert_eq!(db.sql.number("select raw_event_id from integration_object_links").await, id.0);
    let status = db.sql.rows(&format!("select status from integration_raw_events where id = {id}")).await;
    assert_eq!(status, [[Some("normalized".to_owned())]]);
    let links = db.store().raw_of_links(replay.connection_id, "contacts", 0, 10).await.expect("raw events");
    assert_eq!(links.iter().map(|(_, event)| event.id).collect::<Vec<RawEventId>>(), [id]);
});

on_both_engines!(a_newer_payload_supersedes_open_dead_letters_of_its_record, |db| {
    let first = held(db.store()).await;
    let page = [Given::broken("c", 1), Given::broken("d", 1)];
    commit(db.store(), &first, head(1, &page), &page).await;
    let fixed = [Given::new("c", 2)];
    commit(db.store(), &first, PageHead { close_superseded: true, ..head(2, &fixed) }, &fixed).await;
    let filter = DeadLetterFilter { status: Some(DeadLetterStatus::Open), limit: 9, ..DeadLetterFilter::default() };
    let open = db.store().dead_letters(&filter).await.expect("dead letters");
    assert_eq!(open.iter().map(|l| l.external_id.clone()).collect::<Vec<_>>(), ["d"]);
});

on_both_engines!(new_ids_reach_their_own_rows_while_pages_of_many_jobs_are_written_at_once, |db| {
    let mut declaration = crate::store_ground::two_clients();
    let streams: Vec<String> = (0..6).map(|n| format!("stream{n}")).collect();
    for stream in &streams {
        declaration.jobs.push((crate::store_ground::job_spec("acme-hubspot", stream), Some(long_ago())));
    }
    db.store().declare(&declaration).await.expect("the declaration");
    let mut tasks = tokio::task::JoinSet::new();
    for stream in &streams {
        let store = Arc::clone(db.store());
        let (held, stream) = (hold(&store, job_id(&store, "acme-hubspot", stream).await).await, stream.clone());
        tasks.spawn(async move {
            for page_no in 1..=4 {
                let given: Vec<Given> = (0..333).map(|n| Given::new(format!("{stream}-{page_no}-{n}"), 1)).collect();
                let scope = PageScope { object_type: stream.clone(), ..scope(&held) };
                let answer =
                    store.commit_page(Arc::new(scope), Arc::new(head(page_no, &given)), decide(given, held.run)).await;
                assert_eq!(answer.expect("a receipt").counts.created, 333);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a writer");
    }
    let total = 6 * 4 * 333;
    assert_eq!(db.sql.number("select count(*) from integration_object_links").await, total);
    let right = "select count(*) from integration_object_links l
        join crm_leads c on c.id = l.internal_id and c.external_id = l.external_id and c.object_type = l.object_type
        join integration_raw_events r on r.id = l.raw_event_id and r.external_id = l.external_id";
    assert_eq!(db.sql.number(right).await, total);
});

on_both_engines!(a_payload_larger_than_a_statement_goes_through_alone, |db| {
    let held = held(db.store()).await;
    let events: Vec<RawWrite> = (0..5)
        .map(|n| RawWrite::New {
            external_id: n.to_string(),
            payload: "x".repeat(3 << 20),
            payload_hash: format!("{n:064}"),
            status: RawStatus::Ignored,
            reason: Some("too large to map".to_owned()),
        })
        .collect();
    let decide = Arc::new(move |_: &_| PageWrites {
        counts: Counts { seen: 5, ignored: 5, ..Counts::default() },
        raw: events.clone(),
        ..PageWrites::default()
    });
    db.store().commit_page(Arc::new(scope(&held)), Arc::new(head(1, &[])), decide).await.expect("a receipt");
    assert_eq!(db.sql.number("select sum(length(payload)) from integration_raw_events").await, 5 * (3 << 20));
});

on_both_engines!(a_caller_who_stops_waiting_does_not_cut_a_page_in_half, |db| {
    lay(db.store()).await;
    let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
    let page: Vec<Given> = (0..400).map(|n| Given::new(n, 1)).collect();
    let writing =
        db.store().commit_page(Arc::new(scope(&held)), Arc::new(head(1, &page)), decide(page.clone(), held.run));
    // Polled once: the transaction is on its way. Then the caller is gone.
    let mut writing = writing;
    assert!(futures_util::poll!(&mut writing).is_pending());
    drop(writing);
    // Closing waits for it.
    db.store().close().await;
    assert_eq!(db.sql.number("select count(*) from crm_leads").await, 400);
    assert_eq!(db.sql.number("select count(*) from integration_object_links").await, 400);
    assert_eq!(db.sql.number("select records_created from integration_sync_runs").await, 400);
});

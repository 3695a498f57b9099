//! Dead letters: one open row for an item, counted again when it fails again, closed with the record that makes it obsolete.

use std::sync::Arc;

use tidegate::{
    domain::{
        business::CRM_LEADS,
        ids::{JobId, RawEventId},
        record::Cell,
        status::{DeadLetterStatus, RawStatus, RunOrigin, RunStatus, Stage},
    },
    store::{
        dead_letters::{DeadLetter, DeadLetterFilter},
        lease::{Claim, Claimed, Held, RunEnd},
        page::{PageHead, RawWrite},
    },
};

use crate::{
    store_ground::{Given, claim_of, commit, counts, decide, end, head, held, hold, long_ago, scope},
    support::databases::TestDatabase,
};

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
    for status in ["open", "retry_scheduled", "exhausted"] {
        let refused = db.sql.run(&copy(status)).await.expect_err("a second open row");
        assert!(refused.as_database_error().is_some_and(|e| e.is_unique_violation()), "{refused}");
    }
    for status in ["resolved", "resolved", "discarded", "discarded"] {
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

/// Claims the job as a replay does.
async fn replaying(db: &TestDatabase, job: JobId) -> Held {
    let fence = db.store().job(job).await.expect("a job").expect("the job").fence;
    let claim = Claim { origin: RunOrigin::Replay, ..claim_of(job, fence, "worker") };
    match db.store().claim(&claim).await.expect("a claim") {
        Claimed::Held(held) => *held,
        other => panic!("not held: {other:?}"),
    }
}

/// A page whose one item fails in a way that time may heal.
async fn not_written(db: &TestDatabase, held: &Held, page_no: i64, given: &Given) {
    let page = [given.clone()];
    let inner = decide(page.to_vec(), held.run);
    let decide = Arc::new(move |known: &_| {
        let mut writes = inner(known);
        for letter in &mut writes.dead_letters {
            letter.error_code = "row_not_written".to_owned();
        }
        writes
    });
    db.store().commit_page(Arc::new(scope(held)), Arc::new(head(page_no, &page)), decide).await.expect("a receipt");
}

async fn only_letter(db: &TestDatabase) -> DeadLetter {
    let filter = DeadLetterFilter { limit: 10, ..DeadLetterFilter::default() };
    let mut letters = db.store().dead_letters(&filter).await.expect("dead letters");
    assert_eq!(letters.len(), 1);
    letters.remove(0)
}

/// Makes every scheduled retry due.
async fn let_time_pass(db: &TestDatabase) {
    let past = if db.is_mysql() { "2020-01-01 00:00:00" } else { "2020-01-01T00:00:00.000000Z" };
    db.sql
        .ok(&format!("update integration_sync_errors set next_retry_at = '{past}' where next_retry_at is not null"))
        .await;
}

on_both_engines!(what_time_may_heal_is_tried_with_growing_waits_and_then_exhausted_which_still_holds, |db| {
    let store = db.store();
    let first = held(store).await;
    let job = first.lease.job;
    let bad = Given::broken("c", 1);
    not_written(db, &first, 1, &bad).await;
    let letter = only_letter(db).await;
    assert_eq!((letter.status, letter.retries), (DeadLetterStatus::RetryScheduled, 0));
    let due_at = letter.next_retry_at.expect("a time");
    // The same run, and a later pull, see it again: that is no retry.
    not_written(db, &first, 2, &bad).await;
    let seen = only_letter(db).await;
    assert_eq!((seen.attempts, seen.retries, seen.next_retry_at), (2, 0, Some(due_at)));
    store.finish_run(&first.lease, first.run, &end(RunStatus::Partial)).await.expect("the end");
    assert_eq!(store.due_retries(10, None).await.expect("jobs"), [], "not yet");

    for made in 1..=5 {
        let_time_pass(db).await;
        let due = store.due_retries(10, None).await.expect("jobs");
        assert_eq!(due.iter().map(|due| due.id).collect::<Vec<_>>(), [job]);
        let replay = replaying(db, job).await;
        assert_eq!(store.due_retries(10, None).await.expect("jobs"), [], "one replay of a job at a time");
        let raw = store.raw_of_due_letters(replay.connection_id, "contacts", 0, 10).await.expect("raw events");
        assert_eq!(raw.len(), 1);
        not_written(db, &replay, 1, &bad).await;
        let done = RunEnd { due_letters: Some(true), complete: false, ..end(RunStatus::Succeeded) };
        store.finish_run(&replay.lease, replay.run, &done).await.expect("the end");
        let letter = only_letter(db).await;
        assert_eq!(letter.retries, made);
        let status = if made < 5 { DeadLetterStatus::RetryScheduled } else { DeadLetterStatus::Exhausted };
        assert_eq!((letter.status, letter.next_retry_at.is_some()), (status, made < 5));
    }
    assert_eq!(store.due_retries(10, None).await.expect("jobs"), []);
    // Exhausted, it counts as an open one does, and a newer payload that goes through closes it.
    let again = hold(store, job).await;
    assert_eq!(again.open_dead_letters, 1);
    let groups =
        store.dead_letter_groups(&DeadLetterFilter { limit: 9, ..DeadLetterFilter::default() }).await.expect("groups");
    assert_eq!((groups.len(), groups[0].count, groups[0].exhausted), (1, 1, 1));
    let facts = store.alert_facts(long_ago()).await.expect("facts");
    assert_eq!(facts.dead_letters.iter().map(|fact| (fact.open, fact.exhausted)).collect::<Vec<_>>(), [(1, 1)]);
    let fixed = [Given::new("c", 2)];
    commit(store, &again, PageHead { close_superseded: true, ..head(1, &fixed) }, &fixed).await;
    assert_eq!(only_letter(db).await.status, DeadLetterStatus::Resolved);
});

on_both_engines!(a_due_letter_that_a_replay_cannot_move_is_not_due_for_ever, |db| {
    let store = db.store();
    let first = held(store).await;
    let job = first.lease.job;
    not_written(db, &first, 1, &Given::broken("c", 1)).await;
    store.finish_run(&first.lease, first.run, &end(RunStatus::Partial)).await.expect("the end");
    // The run goes wrong before it reads one.
    let_time_pass(db).await;
    let replay = replaying(db, job).await;
    let failed = RunEnd { due_letters: Some(false), failure: None, ..end(RunStatus::Failed) };
    store.finish_run(&replay.lease, replay.run, &failed).await.expect("the end");
    assert_eq!(only_letter(db).await.status, DeadLetterStatus::RetryScheduled);
    assert_eq!(store.due_retries(10, None).await.expect("jobs"), []);
    // Its raw event is gone.
    let_time_pass(db).await;
    db.sql.ok("delete from integration_raw_events").await;
    let replay = replaying(db, job).await;
    let done = RunEnd { due_letters: Some(true), complete: false, ..end(RunStatus::Succeeded) };
    store.finish_run(&replay.lease, replay.run, &done).await.expect("the end");
    let letter = only_letter(db).await;
    assert_eq!((letter.status, letter.next_retry_at), (DeadLetterStatus::Open, None));
});

on_both_engines!(another_version_of_the_map_releases_what_the_old_one_made_once, |db| {
    let store = db.store();
    let first = held(store).await;
    let page = [Given::broken("c", 1), Given::broken("d", 1)];
    commit(store, &first, head(1, &page), &page).await;
    store.finish_run(&first.lease, first.run, &end(RunStatus::Partial)).await.expect("the end");
    for (provider, stream, version) in
        [("hubspot", "contacts", "v1"), ("other", "contacts", "v2"), ("hubspot", "deals", "v2")]
    {
        assert_eq!(
            store.release_for_map(provider, stream, version).await.expect("a count"),
            0,
            "{provider} {stream} {version}"
        );
    }
    assert_eq!(store.release_for_map("hubspot", "contacts", "v2").await.expect("a count"), 2);
    assert_eq!(store.release_for_map("hubspot", "contacts", "v2").await.expect("a count"), 0);
    let acts = store.admin_actions(1).await.expect("acts");
    assert_eq!((acts[0].1.action.as_str(), acts[0].1.actor.as_str()), ("dead_letter.release", "tidegate"));
    let due = store.due_retries(10, None).await.expect("jobs");
    assert_eq!(due.iter().map(|due| due.id).collect::<Vec<_>>(), [first.lease.job]);
    // A paused connection waits.
    db.sql.ok("update integration_connections set status = 'paused'").await;
    assert_eq!(store.due_retries(10, None).await.expect("jobs"), []);
});

on_both_engines!(p12_a_row_that_a_constraint_refuses_leaves_the_others_of_its_page, |db| {
    let first = held(db.store()).await;
    let page: Vec<Given> = (0..300).map(|n| Given::new(format!("r{n}"), 1)).collect();
    let inner = decide(page.clone(), first.run);
    let poisoned = move |known: &_| {
        let mut writes = inner(known);
        for record in
            writes.records.iter_mut().filter(|record| ["r7", "r8", "r299"].contains(&record.external_id.as_str()))
        {
            let consent = CRM_LEADS.position("consent").expect("the column");
            record.row.cells[consent] = Cell::Text("maybe".to_owned());
        }
        writes
    };
    let receipt = db
        .store()
        .commit_page(Arc::new(scope(&first)), Arc::new(head(1, &page)), Arc::new(poisoned))
        .await
        .expect("a receipt");
    assert_eq!(receipt.counts, counts(300, 297, 0, 0, 0, 3));
    assert_eq!(db.sql.number("select count(*) from crm_leads").await, 297);
    assert_eq!(db.sql.number("select count(*) from integration_object_links").await, 297);
    assert_eq!(db.sql.number("select count(*) from integration_raw_events where status = 'failed'").await, 3);
    let filter = DeadLetterFilter { limit: 10, ..DeadLetterFilter::default() };
    let letters = db.store().dead_letters(&filter).await.expect("dead letters");
    assert_eq!(letters.len(), 3);
    for letter in letters {
        assert_eq!(
            (letter.stage, letter.error_code.as_str(), letter.status),
            (Stage::Write, "row_refused", DeadLetterStatus::Open)
        );
        assert_eq!(letter.message_internal, "the database refused the row of crm_leads: ck_crm_leads_consent");
        assert_eq!(letter.fingerprint, "write:row_refused:crm_leads:ck_crm_leads_consent@v1");
        assert!(letter.raw_event_id.is_some());
    }
});

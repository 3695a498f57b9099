//! Dead letters: one open row for an item, counted again when it fails again, closed with the record that makes it obsolete.

use std::sync::Arc;

use tidegate::{
    domain::{
        ids::RawEventId,
        status::{DeadLetterStatus, RawStatus, RunStatus},
    },
    store::{
        dead_letters::DeadLetterFilter,
        page::{PageHead, RawWrite},
    },
};

use crate::store_ground::{Given, commit, counts, decide, end, head, held, hold, scope};

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

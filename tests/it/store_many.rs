//! Pages side by side, large payloads, and callers who leave: what one page alone does not show.

use std::sync::Arc;

use tidegate::{
    domain::{
        counts::Counts,
        status::{ConnectionStatus, RawStatus, RunStatus},
    },
    store::{
        lease::RunEnd,
        page::{PageScope, PageWrites, RawWrite},
    },
};

use crate::store_ground::{
    Given, commit, decide, end, head, held, hold, job_id, job_spec, lay, long_ago, scope, two_clients,
};

on_both_engines!(new_ids_reach_their_own_rows_while_pages_of_many_jobs_are_written_at_once, |db| {
    let mut declaration = two_clients();
    let streams: Vec<String> = (0..6).map(|n| format!("stream{n}")).collect();
    for stream in &streams {
        declaration.jobs.push((job_spec("acme-hubspot", stream), Some(long_ago())));
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

on_both_engines!(jobs_of_one_connection_that_begin_write_and_end_at_once_all_get_through, |db| {
    let mut declaration = two_clients();
    let streams: Vec<String> = (0..6).map(|n| format!("stream{n}")).collect();
    for stream in &streams {
        declaration.jobs.push((job_spec("acme-hubspot", stream), Some(long_ago())));
    }
    db.store().declare(&declaration).await.expect("the declaration");
    let mut tasks = tokio::task::JoinSet::new();
    for stream in &streams {
        let (store, job) = (Arc::clone(db.store()), job_id(db.store(), "acme-hubspot", stream).await);
        tasks.spawn(async move {
            for round in 0..5 {
                let held = hold(&store, job).await;
                let given: Vec<Given> = (0..20).map(|n| Given::new(format!("{job}-{round}-{n}"), 1)).collect();
                commit(&store, &held, head(1, &given), &given).await;
                // Each end writes the one connection's row, which every page of the others refers to.
                let said = Some((ConnectionStatus::Connected, "it works".to_owned()));
                let end = RunEnd { connection: said, tested: true, ..end(RunStatus::Succeeded) };
                store.finish_run(&held.lease, held.run, &end).await.expect("the end").expect("ours");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a worker");
    }
    assert_eq!(db.sql.number("select count(*) from integration_sync_runs where status = 'succeeded'").await, 30);
    assert_eq!(db.sql.number("select count(*) from crm_leads").await, 600);
});

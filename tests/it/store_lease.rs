//! Who may work on what, and for how long: fair, exclusive, on the database's clock.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tidegate::{
    domain::{
        counts::Traffic,
        cursor::Position,
        ids::JobId,
        status::{ClientStatus, ConnectionStatus, Environment, JobStatus, ProviderStatus, RunOrigin, RunStatus},
    },
    store::{
        SharedStore,
        catalogue::JobFilter,
        lease::{Claim, Claimed, Orphan, RunEnd, Shard},
        page::PageHead,
    },
};

use crate::store_ground::{
    Given, act, at, claim_of, commit, connection, counts, end, expire, head, held, hold, job_id, job_spec, lay,
    long_ago, two_clients,
};

async fn due_keys(store: &SharedStore) -> Vec<String> {
    let due = store.due_jobs(100, None).await.expect("due jobs");
    due.into_iter().map(|job| format!("{}/{}", job.connection_key, job.stream)).collect()
}

on_both_engines!(due_jobs_take_turns_among_clients, |db| {
    let mut declaration = two_clients();
    // `acme` has a backlog that is older than all of `bolt`'s.
    for n in 0..5_i64 {
        declaration.jobs.push((
            job_spec("acme-hubspot", &format!("old{n}")),
            Some(at("2019-01-01T00:00:00Z").plus(Duration::from_secs(60 * n.unsigned_abs()))),
        ));
    }
    declaration.jobs.push((job_spec("acme-hubspot", "later"), Some(at("2999-01-01T00:00:00Z"))));
    declaration.jobs.push((job_spec("acme-hubspot", "byhand"), None));
    db.store().declare(&declaration).await.expect("the declaration");
    assert_eq!(
        due_keys(db.store()).await,
        [
            "acme-hubspot/old0",
            "bolt-hubspot/contacts",
            "acme-hubspot/old1",
            "bolt-hubspot/deals",
            "acme-hubspot/old2",
            "acme-hubspot/old3",
            "acme-hubspot/old4",
            "acme-hubspot/contacts",
            "acme-hubspot/deals",
        ]
    );
    // Shards part the jobs without gap and overlap.
    let mut parted = Vec::new();
    for index in 1..=3 {
        parted.extend(
            db.store().due_jobs(100, Some(Shard { index, of: 3 })).await.expect("due jobs").iter().map(|j| j.id),
        );
    }
    parted.sort_unstable();
    let mut all: Vec<JobId> = db.store().due_jobs(100, None).await.expect("due jobs").iter().map(|j| j.id).collect();
    all.sort_unstable();
    assert_eq!(parted, all);
    assert_eq!(db.store().due_jobs(2, None).await.expect("due jobs").len(), 2);
});

on_both_engines!(only_runnable_connections_are_due, |db| {
    let store = db.store();
    let only = |environment: Environment| {
        let mut declaration = two_clients();
        declaration.connections.truncate(1);
        declaration.connections[0].environment = environment;
        declaration.jobs.truncate(1);
        declaration
    };
    store.declare(&only(Environment::Sandbox)).await.expect("the declaration");
    let is_due = async || !due_keys(store).await.is_empty();
    for (status, due) in ConnectionStatus::ALL.iter().zip([true, true, true, true, false, false, false]) {
        assert!(store.set_connection_status("acme-hubspot", *status, None, &act("set")).await.expect("an answer"));
        assert_eq!(is_due().await, due, "sandbox, {status}");
    }
    store.declare(&only(Environment::Production)).await.expect("the declaration");
    for activated in [false, true] {
        if activated {
            assert!(store.activate_connection("acme-hubspot", &act("activate")).await.expect("an answer"));
        }
        for status in ConnectionStatus::ALL {
            store.set_connection_status("acme-hubspot", *status, None, &act("set")).await.expect("an answer");
            let due = activated && matches!(status, ConnectionStatus::Connected | ConnectionStatus::ManualImport);
            assert_eq!(is_due().await, due, "production, {status}, activated: {activated}");
        }
    }
    store
        .set_connection_status("acme-hubspot", ConnectionStatus::Connected, None, &act("set"))
        .await
        .expect("an answer");
    assert!(is_due().await);
    let mut archived = only(Environment::Production);
    archived.clients[0].2 = ClientStatus::Archived;
    store.declare(&archived).await.expect("the declaration");
    assert!(!is_due().await, "an archived client");
    let mut disabled = only(Environment::Production);
    disabled.providers[0].status = ProviderStatus::Disabled;
    store.declare(&disabled).await.expect("the declaration");
    assert!(!is_due().await, "a provider that is switched off");
    assert_eq!(store.next_due_in().await.expect("an answer"), None);
    // A claim by schedule that was read before the change is lost; a person's claim is not the schedule's business.
    let job = job_id(store, "acme-hubspot", "contacts").await;
    assert_eq!(store.claim(&claim_of(job, 0, "w")).await.expect("an answer"), Claimed::Lost);
    let by_hand = Claim { origin: RunOrigin::TestBatch, ..claim_of(job, 0, "w") };
    assert!(matches!(store.claim(&by_hand).await.expect("an answer"), Claimed::Held(_)));
});

on_both_engines!(a_scheduler_knows_how_long_it_may_sleep, |db| {
    lay(db.store()).await;
    assert_eq!(db.store().next_due_in().await.expect("an answer"), Some(Duration::ZERO));
    let in_an_hour = if db.is_mysql() {
        "date_add(utc_timestamp(6), interval 1 hour)"
    } else {
        "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+1 hour')"
    };
    db.sql.ok(&format!("update integration_sync_jobs set next_run_at = {in_an_hour}")).await;
    let wait = db.store().next_due_in().await.expect("an answer").expect("a job");
    assert!(wait > Duration::from_secs(3590) && wait <= Duration::from_secs(3601), "{wait:?}");
    assert!(due_keys(db.store()).await.is_empty());
});

on_both_engines!(of_many_who_claim_at_once_one_holds, |db| {
    lay(db.store()).await;
    let job = job_id(db.store(), "acme-hubspot", "contacts").await;
    let other = db.open().await;
    for round in 0..5 {
        let fence = db.store().job(job).await.expect("a job").expect("the job").fence;
        let claims = (0..8).map(|n| {
            let store = if n % 2 == 0 { Arc::clone(db.store()) } else { Arc::clone(&other) };
            async move { store.claim(&claim_of(job, fence, &format!("worker {n}"))).await.expect("an answer") }
        });
        let answers = futures_util::future::join_all(claims).await;
        let holders: Vec<_> = answers
            .iter()
            .filter_map(|answer| if let Claimed::Held(held) = answer { Some(held) } else { None })
            .collect();
        assert_eq!(holders.len(), 1, "round {round}");
        assert_eq!(holders[0].lease.fence, fence + 1);
        assert!(answers.iter().all(|answer| matches!(answer, Claimed::Held(_) | Claimed::Lost)));
        let now = db.store().job(job).await.expect("a job").expect("the job");
        assert_eq!((now.fence, now.lease_owner.is_some()), (fence + 1, true));
        db.store()
            .finish_run(&holders[0].lease, holders[0].run, &end(RunStatus::Succeeded))
            .await
            .expect("the end")
            .expect("ours");
    }
    other.close().await;
});

on_both_engines!(a_leased_job_is_not_due_until_its_lease_runs_out, |db| {
    let first = held(db.store()).await;
    assert_eq!(first.attempts, 1);
    assert!(!due_keys(db.store()).await.contains(&"acme-hubspot/contacts".to_owned()));
    let leased = db.store().due_but_leased(10, None).await.expect("jobs");
    assert_eq!(
        leased.iter().map(|job| (job.id, job.lease_owner.as_deref())).collect::<Vec<_>>(),
        [(first.lease.job, Some("worker"))]
    );
    assert!(leased[0].leased_until.is_some());
    assert_eq!(db.store().lease_owners().await.expect("holders"), ["worker"]);
    let taken = claim_of(first.lease.job, first.lease.fence, "thief");
    assert_eq!(db.store().claim(&taken).await.expect("an answer"), Claimed::Lost);
    // Its own worker, known to be dead, makes it free at once.
    let heir = Claim { dead_owner: Some("worker".to_owned()), ..claim_of(first.lease.job, first.lease.fence, "heir") };
    let Claimed::Held(second) = db.store().claim(&heir).await.expect("an answer") else { panic!("not held") };
    assert_eq!((second.abandoned.clone(), second.attempts), (vec![first.run], 2));
    let run = db.store().run(first.run).await.expect("a run").expect("the run");
    assert_eq!((run.status, run.error_code.as_deref()), (RunStatus::Abandoned, Some("abandoned")));
    assert!(run.finished_at.is_some() && run.remedy.is_some() && run.error_client_safe.is_some());
    // Renewing takes the term, not only the job.
    assert!(db.store().renew(&second.lease, Duration::from_secs(30)).await.expect("an answer"));
    assert!(!db.store().renew(&first.lease, Duration::from_secs(30)).await.expect("an answer"));
    expire(db, first.lease.job).await;
    assert!(
        !db.store().renew(&second.lease, Duration::from_secs(30)).await.expect("an answer"),
        "a lapsed lease is not revived"
    );
    assert!(due_keys(db.store()).await.contains(&"acme-hubspot/contacts".to_owned()));
    assert!(db.store().lease_owners().await.expect("holders").is_empty());
});

on_both_engines!(a_paused_job_cannot_be_claimed_and_one_that_is_not_due_can, |db| {
    lay(db.store()).await;
    let job = job_id(db.store(), "acme-hubspot", "contacts").await;
    db.sql.ok("update integration_sync_jobs set next_run_at = null").await;
    db.store().set_job_status(job, JobStatus::Paused, &act("jobs.pause")).await.expect("an answer");
    for origin in RunOrigin::ALL {
        let claim = Claim { origin: *origin, ..claim_of(job, 0, "w") };
        assert_eq!(db.store().claim(&claim).await.expect("an answer"), Claimed::Lost, "{origin}");
    }
    db.store().set_job_status(job, JobStatus::Active, &act("jobs.resume")).await.expect("an answer");
    let claim = Claim { origin: RunOrigin::Manual, ..claim_of(job, 0, "w") };
    assert!(matches!(db.store().claim(&claim).await.expect("an answer"), Claimed::Held(_)));
});

on_both_engines!(a_job_that_keeps_killing_its_worker_is_quarantined, |db| {
    let mut last = held(db.store()).await;
    for attempt in 2..=3 {
        expire(db, last.lease.job).await;
        last = hold(db.store(), last.lease.job).await;
        assert_eq!(last.attempts, attempt);
    }
    expire(db, last.lease.job).await;
    let claim = claim_of(last.lease.job, last.lease.fence, "w");
    assert_eq!(db.store().claim(&claim).await.expect("an answer"), Claimed::Quarantined);
    let job = db.store().job(last.lease.job).await.expect("a job").expect("the job");
    assert_eq!((job.status, job.lease_until, job.fence), (JobStatus::Quarantined, None, last.lease.fence + 1));
    assert_eq!(db.sql.number("select count(*) from integration_sync_runs where status = 'running'").await, 0);
    let acts = db.store().admin_actions(1).await.expect("acts");
    assert_eq!((acts[0].1.actor.as_str(), acts[0].1.action.as_str()), ("tidegate", "job.quarantine"));
    assert!(!due_keys(db.store()).await.contains(&"acme-hubspot/contacts".to_owned()));
    assert_eq!(db.store().claim(&claim_of(last.lease.job, job.fence, "w")).await.expect("an answer"), Claimed::Lost);
    // A person lets it out, and it starts with a clean slate.
    db.store().set_job_status(last.lease.job, JobStatus::Active, &act("jobs.resume")).await.expect("an answer");
    assert_eq!(hold(db.store(), last.lease.job).await.attempts, 1);
});

on_both_engines!(the_end_of_a_run_is_written_once_with_all_that_follows, |db| {
    let first = held(db.store()).await;
    let given = [Given::new("a", 1)];
    let page = PageHead {
        cursor: Some(crate::store_ground::cursor(7)),
        resume: Some(Some(Position(json!({"offset": 100})))),
        ..head(1, &given)
    };
    commit(db.store(), &first, page, &given).await;
    let failed = RunEnd {
        error_code: Some("rate_limited".to_owned()),
        error_internal: Some("429".to_owned()),
        error_client_safe: Some("Later.".to_owned()),
        remedy: Some("wait".to_owned()),
        next_run_at: Some(at("2030-01-01T00:00:00Z")),
        traffic: Traffic { requests: 3, retries: 2, rate_limited_ms: 1, bytes_in: 5 },
        window: Some((at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"))),
        unmapped_fields: Some(json!({"notes": 2})),
        ..end(RunStatus::Failed)
    };
    let ended = db.store().finish_run(&first.lease, first.run, &failed).await.expect("the end");
    assert_eq!(ended, Some(counts(1, 1, 0, 0, 0, 0)));
    let run = db.store().run(first.run).await.expect("a run").expect("the run");
    assert_eq!((run.status, run.traffic.requests, run.traffic.bytes_in), (RunStatus::Failed, 4, 9));
    assert_eq!((run.cursor_before, run.cursor_after), (None, Some(json!({"updatedAt": 7}))));
    assert_eq!((run.window_end, run.unmapped_fields), (Some(at("2026-01-02T00:00:00Z")), Some(json!({"notes": 2}))));
    let job = db.store().job(first.lease.job).await.expect("a job").expect("the job");
    assert_eq!((job.consecutive_failures, job.attempts, job.lease_until, job.lease_owner), (1, 0, None, None));
    assert_eq!((job.next_run_at, job.last_complete_at), (Some(at("2030-01-01T00:00:00Z")), None));
    // Twice is once.
    assert_eq!(db.store().finish_run(&first.lease, first.run, &failed).await.expect("an answer"), None);

    let second = hold(db.store(), first.lease.job).await;
    assert_eq!(
        (second.cursor.clone(), second.resume.clone()),
        (Some(json!({"updatedAt": 7})), Some(Position(json!({"offset": 100}))))
    );
    let complete = RunEnd { listed: Some(42), ..end(RunStatus::Succeeded) };
    db.store().finish_run(&second.lease, second.run, &complete).await.expect("the end").expect("ours");
    let job = db.store().job(first.lease.job).await.expect("a job").expect("the job");
    assert_eq!((job.consecutive_failures, job.next_run_at), (0, Some(at("2030-01-01T00:00:00Z"))));
    assert!(job.last_complete_at.is_some());
    let third = hold(db.store(), first.lease.job).await;
    assert_eq!((third.last_complete_seen, third.resume), (Some(42), None));
});

on_both_engines!(a_run_never_lifts_what_a_person_set_on_the_connection, |db| {
    let mut job = held(db.store()).await;
    use ConnectionStatus::{Connected, Draft, ManualImport, NeedsAuth, Paused, Revoked, Testing};
    for (before, told, after) in [
        (Draft, Connected, Connected),
        (Testing, Connected, Connected),
        (NeedsAuth, Connected, Connected),
        (ManualImport, Connected, ManualImport),
        (Paused, Connected, Paused),
        (Revoked, Connected, Revoked),
        (Connected, NeedsAuth, NeedsAuth),
        (Draft, NeedsAuth, NeedsAuth),
        (ManualImport, NeedsAuth, NeedsAuth),
        (Paused, NeedsAuth, Paused),
        (Revoked, NeedsAuth, Revoked),
    ] {
        db.store()
            .set_connection_status("acme-hubspot", before, Some("by hand"), &act("set"))
            .await
            .expect("an answer");
        let said = RunEnd { connection: Some((told, "said by the run".to_owned())), ..end(RunStatus::Failed) };
        db.store().finish_run(&job.lease, job.run, &said).await.expect("the end").expect("ours");
        let connection = db.store().connection("acme-hubspot").await.expect("a connection").expect("the connection");
        assert_eq!(connection.status, after, "{before} and {told}");
        let reason = if before == after && before != Connected { "by hand" } else { "said by the run" };
        assert_eq!(connection.status_reason.as_deref(), Some(reason), "{before} and {told}");
        assert_eq!(connection.last_tested_at, None);
        let fence = db.store().job(job.lease.job).await.expect("a job").expect("the job").fence;
        let claim = Claim { origin: RunOrigin::Manual, ..claim_of(job.lease.job, fence, "w") };
        let Claimed::Held(next) = db.store().claim(&claim).await.expect("an answer") else { panic!("not held") };
        job = *next;
    }
    let tested = RunEnd { tested: true, ..end(RunStatus::Succeeded) };
    db.store().finish_run(&job.lease, job.run, &tested).await.expect("the end").expect("ours");
    let connection = db.store().connection("acme-hubspot").await.expect("a connection").expect("the connection");
    assert!(connection.last_tested_at.is_some());
});

on_both_engines!(orphaned_runs_are_closed_and_their_jobs_made_due, |db| {
    let orphan = held(db.store()).await;
    let alive = hold(db.store(), job_id(db.store(), "bolt-hubspot", "contacts").await).await;
    let dead = {
        let job = job_id(db.store(), "bolt-hubspot", "deals").await;
        let Claimed::Held(held) = db.store().claim(&claim_of(job, 0, "dead worker")).await.expect("an answer") else {
            panic!("not held")
        };
        held
    };
    assert_eq!(db.store().recover_orphans(&[]).await.expect("a sweep"), []);
    db.sql.ok(&format!("update integration_sync_jobs set next_run_at = null where id = {}", orphan.lease.job)).await;
    expire(db, orphan.lease.job).await;
    let closed = db.store().recover_orphans(&["dead worker".to_owned()]).await.expect("a sweep");
    assert_eq!(
        closed,
        [Orphan { run: orphan.run, job: orphan.lease.job }, Orphan { run: dead.run, job: dead.lease.job }]
    );
    for held in [&orphan, &*dead] {
        let run = db.store().run(held.run).await.expect("a run").expect("the run");
        assert_eq!(run.status, RunStatus::Abandoned);
        let job = db.store().job(held.lease.job).await.expect("a job").expect("the job");
        assert_eq!((job.fence, job.lease_until, job.attempts), (held.lease.fence + 1, None, 1));
        assert!(!db.store().renew(&held.lease, Duration::from_secs(5)).await.expect("an answer"));
    }
    let due = due_keys(db.store()).await;
    assert!(
        due.contains(&"acme-hubspot/contacts".to_owned()) && due.contains(&"bolt-hubspot/deals".to_owned()),
        "{due:?}"
    );
    let run = db.store().run(alive.run).await.expect("a run").expect("the run");
    assert_eq!(run.status, RunStatus::Running);
    assert!(db.store().renew(&alive.lease, Duration::from_secs(5)).await.expect("an answer"));
});

on_both_engines!(ten_thousand_idle_jobs_are_looked_through_by_an_index, |db| {
    let mut declaration = two_clients();
    for n in 0..200 {
        declaration.connections.push(connection(&format!("c{n}"), "acme"));
        declaration.jobs.push((job_spec(&format!("c{n}"), "contacts"), Some(at("2999-01-01T00:00:00Z"))));
    }
    db.store().declare(&declaration).await.expect("the declaration");
    assert_eq!(db.store().due_jobs(10, None).await.expect("due jobs").len(), 4);
    assert_eq!(db.store().jobs(&JobFilter::default()).await.expect("jobs").len(), 204);
    let plan = if db.is_mysql() {
        "explain select id from integration_sync_jobs j where j.status = 'active' and j.next_run_at <= utc_timestamp(6)"
    } else {
        "explain query plan select id from integration_sync_jobs j where j.status = 'active' and j.next_run_at <= strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
    };
    let told = format!("{:?}", db.sql.rows(plan).await);
    assert!(told.contains("ix_integration_sync_jobs_due"), "{told}");
    let _ = long_ago();
});

//! A database that is slow, goes away, or never answers: nothing lost, nothing doubled. Through a TCP proxy, so MySQL only.

use std::{sync::Arc, time::Duration};

use tidegate::{
    domain::status::{JobStatus, RunStatus},
    store::{OpenOptions, SharedStore, StoreError, lease::Claimed, open, page::PageHead},
};

use crate::{
    store_ground::{Given, act, claim_of, commit, counts, cursor, decide, end, expire, head, hold, job_id, lay, scope},
    support::{
        databases::{RealClock, TestDatabase},
        proxy::{Proxy, Way},
    },
};

/// A proxy before the test's server, and the database's URL through it.
async fn through_proxy(db: &TestDatabase) -> (Proxy, OpenOptions) {
    let url = db.url();
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (login, address) = rest.split_once('@').expect("a login");
    let (host, path) = address.split_once('/').expect("a schema");
    let proxy = Proxy::to(host.to_owned()).await;
    let options = OpenOptions {
        outage_budget: Duration::from_secs(20),
        acquire_timeout: Duration::from_secs(2),
        call_timeout: Duration::from_secs(3),
        // One connection: what one call leaves behind, the next one meets.
        max_connections: 1,
        ..OpenOptions::new(format!("{scheme}://{login}@{}/{path}", proxy.address()))
    };
    (proxy, options)
}

async fn opened(options: &OpenOptions) -> SharedStore {
    open(options, Arc::new(RealClock)).await.expect("a store")
}

fn page(page_no: i64) -> (PageHead, Vec<Given>) {
    let given: Vec<Given> = (0..20).map(|n| Given::new(format!("{page_no:04}-{n:02}"), 1)).collect();
    (PageHead { cursor: Some(cursor(1000 + page_no)), ..head(page_no, &given) }, given)
}

/// guide/reliability.md, finding 1: a BEGIN that was cut off left the pooled session inside a transaction; the next UPDATE was
/// answered OK, was seen by nobody, and kept its lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cancelled_anywhere_loses_no_later_statement_and_leaves_no_lock() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            lay(db.store()).await;
            let job = job_id(db.store(), "acme-hubspot", "contacts").await;
            let (proxy, options) = through_proxy(db).await;
            let store = opened(&options).await;
            store.ping().await.expect("an answer");
            proxy.latency(Duration::from_millis(8));
            let mut cancelled = 0;
            for round in 0..24_u64 {
                // Cut at every phase: proving the connection, BEGIN, the UPDATE, the act, COMMIT.
                let wait = Duration::from_millis(2 + round * 5);
                let status = if round % 2 == 0 { JobStatus::Paused } else { JobStatus::Active };
                let call = act("job.status");
                let done = tokio::time::timeout(wait, store.set_job_status(job, status, &call)).await;
                cancelled += i32::from(done.is_err());
                // A read that is cut as well, on the same connection.
                let _ = tokio::time::timeout(Duration::from_millis(round), store.job(job)).await;

                let after = if round % 3 == 0 { JobStatus::Paused } else { JobStatus::Active };
                assert!(store.set_job_status(job, after, &call).await.expect("an answer"));
                // Seen by another session, and not locked against it.
                let seen = db.sql.rows(&format!("select status from integration_sync_jobs where id = {job}")).await;
                assert_eq!(seen, [[Some(after.as_str().to_owned())]], "round {round}: answered OK, and lost");
                let free = format!("update integration_sync_jobs set stale_after_seconds = {round} where id = {job}");
                tokio::time::timeout(Duration::from_secs(3), db.sql.ok(&free)).await.expect("no lock left behind");
            }
            assert!(cancelled >= 8, "only {cancelled} calls were cut, the test proves nothing");
            store.close().await;
        })
        .await;
}

/// Waits until nothing more comes from the server: what the pool asks after a call is answered by then.
async fn quiet(proxy: &Proxy) {
    loop {
        let before = proxy.passed(Way::ToClient);
        tokio::time::sleep(Duration::from_millis(40)).await;
        if proxy.passed(Way::ToClient) == before {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_settled_by_the_page_ledger() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            lay(db.store()).await;
            let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
            let (proxy, options) = through_proxy(db).await;
            let store = opened(&options).await;
            // Once every statement is prepared, pages of one size have answers of one size. The pool then asks whether the
            // connection is alive: that answer may or may not be among them, so the least that was seen twice is a page's.
            let mut sizes: Vec<i64> = Vec::new();
            let size = loop {
                let (head, given) = page(i64::try_from(sizes.len()).expect("few") + 1);
                quiet(&proxy).await;
                let before = proxy.passed(Way::ToClient);
                commit(&store, &held, head, &given).await;
                sizes.push(proxy.passed(Way::ToClient) - before);
                let least = sizes.iter().copied().min().expect("one was measured");
                if sizes.iter().filter(|size| **size == least).count() >= 2 {
                    break least;
                }
                assert!(sizes.len() < 12, "the size of a page's answers is not known: {sizes:?}");
            };
            let pages = i64::try_from(sizes.len()).expect("few") + 1;
            let rows = pages * 20;
            // The last answer is that of COMMIT: it is cut in its last byte, so the server has committed.
            let (head, given) = page(pages);
            quiet(&proxy).await;
            proxy.cut_after(Way::ToClient, size - 1);
            let receipt = commit(&store, &held, head, &given).await;
            assert!(!proxy.cut_is_pending(Way::ToClient), "the connection was never cut");
            assert_eq!(receipt.counts, counts(20, 20, 0, 0, 0, 0));
            assert!(receipt.cursor_moved);
            assert_eq!(db.sql.number("select count(*) from crm_leads").await, rows);
            assert_eq!(db.sql.number("select count(*) from integration_raw_events").await, rows);
            let run = store.run(held.run).await.expect("a run").expect("the run");
            assert_eq!((run.pages, run.counts), (pages, counts(rows, rows, 0, 0, 0, 0)));
            store.close().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_at_any_byte_of_a_page_loses_and_doubles_nothing() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            lay(db.store()).await;
            let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
            let (proxy, options) = through_proxy(db).await;
            let store = opened(&options).await;
            let mut size = [0_i64; 2];
            for page_no in 1..=2 {
                let (head, given) = page(page_no);
                let before = [proxy.passed(Way::ToServer), proxy.passed(Way::ToClient)];
                commit(&store, &held, head, &given).await;
                size = [proxy.passed(Way::ToServer) - before[0], proxy.passed(Way::ToClient) - before[1]];
            }
            let mut cuts = 0;
            for step in 0..32_i64 {
                let page_no = 3 + step;
                let way = if step % 2 == 0 { Way::ToServer } else { Way::ToClient };
                proxy.cut_after(way, (size[way as usize] - 1) * (step / 2) / 15);
                let (head, given) = page(page_no);
                let receipt = commit(&store, &held, head, &given).await;
                assert_eq!(receipt.counts, counts(20, 20, 0, 0, 0, 0), "step {step}");
                cuts += i32::from(!proxy.cut_is_pending(way));
            }
            assert!(cuts >= 28, "only {cuts} cuts happened");
            let pages = 34;
            for table in ["crm_leads", "integration_object_links", "integration_raw_events"] {
                assert_eq!(db.sql.number(&format!("select count(*) from {table}")).await, pages * 20, "{table}");
            }
            let run = store.run(held.run).await.expect("a run").expect("the run");
            assert_eq!((run.pages, run.counts), (pages, counts(pages * 20, pages * 20, 0, 0, 0, 0)));
            assert_eq!(store.recount(held.run).await.expect("a recount").ledger, run.counts);

            // The same for the end of a run.
            proxy.cut_after(Way::ToClient, 60);
            let ended = store.finish_run(&held.lease, held.run, &end(RunStatus::Succeeded)).await.expect("the end");
            assert_eq!(ended, Some(run.counts));
            store.close().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_and_ends_that_lose_their_answers_are_still_ours() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            lay(db.store()).await;
            let job = job_id(db.store(), "acme-hubspot", "contacts").await;
            let (proxy, options) = through_proxy(db).await;
            let store = opened(&options).await;
            let mut cuts = 0;
            // Cut ever later in the answers of a claim, and of the end of its run.
            for step in 0..24_i64 {
                for target in ["claim", "end"] {
                    let cut = |now: &str| {
                        if now == target {
                            proxy.cut_after(Way::ToClient, 11 + step * 30)
                        }
                    };
                    let fence = db.store().job(job).await.expect("a job").expect("the job").fence;
                    cut("claim");
                    let answer = store.claim(&claim_of(job, fence, "worker")).await.expect("an answer");
                    let Claimed::Held(held) = answer else { panic!("step {step}: {answer:?}") };
                    let running = format!(
                        "select count(*) from integration_sync_runs where status = 'running' and id = {}",
                        held.run
                    );
                    assert_eq!(db.sql.number(&running).await, 1, "step {step}: the claim's run");
                    cut("end");
                    let ended =
                        store.finish_run(&held.lease, held.run, &end(RunStatus::Succeeded)).await.expect("an answer");
                    assert!(ended.is_some(), "step {step}: the end was ours");
                    cuts += i32::from(!proxy.cut_is_pending(Way::ToClient));
                    // What was left of the budget must not hit the next round.
                    proxy.cut_after(Way::ToClient, -1);
                }
            }
            assert!(cuts >= 24, "only {cuts} cuts happened");
            assert_eq!(db.sql.number("select count(*) from integration_sync_runs").await, 48, "one run for each claim");
            assert_eq!(
                db.sql.number("select count(*) from integration_sync_runs where status = 'succeeded'").await,
                48
            );
            store.close().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_waits_for_a_database_that_goes_away_and_comes_back() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            lay(db.store()).await;
            let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
            let (proxy, options) = through_proxy(db).await;
            let store = opened(&options).await;
            store.ping().await.expect("an answer");
            proxy.refuse(true);
            proxy.cut();
            let (head, given) = page(1);
            let writing = tokio::spawn({
                let (store, scope, run) = (Arc::clone(&store), scope(&held), held.run);
                async move { store.commit_page(Arc::new(scope), Arc::new(head), decide(given, run)).await }
            });
            // Other calls tell it soon instead of waiting.
            let pinged = store.ping().await;
            assert!(matches!(pinged, Err(StoreError::Unavailable(_))), "{pinged:?}");
            assert!(!writing.is_finished());
            proxy.refuse(false);
            let receipt = writing.await.expect("the writer").expect("a receipt");
            assert_eq!(receipt.counts.created, 20);
            assert_eq!(db.sql.number("select count(*) from crm_leads").await, 20);
            store.close().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stays_away_is_told_when_the_budget_is_spent() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            lay(db.store()).await;
            let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
            let (proxy, mut options) = through_proxy(db).await;
            options.outage_budget = Duration::from_millis(600);
            options.acquire_timeout = Duration::from_millis(300);
            let store = opened(&options).await;
            proxy.refuse(true);
            proxy.cut();
            let (head, given) = page(1);
            let answer = store.commit_page(Arc::new(scope(&held)), Arc::new(head), decide(given, held.run)).await;
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
            let refused = open(&options, Arc::new(RealClock)).await.err();
            assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_answers_costs_one_time_out_and_a_new_connection() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            lay(db.store()).await;
            let held = hold(db.store(), job_id(db.store(), "acme-hubspot", "contacts").await).await;
            let (proxy, mut options) = through_proxy(db).await;
            options.call_timeout = Duration::from_millis(400);
            let store = opened(&options).await;
            store.ping().await.expect("an answer");
            // Its statements arrive, its answers do not: the transaction's fate is not known to us.
            proxy.swallow(Way::ToClient, true);
            let (head, given) = page(1);
            let writing = tokio::spawn({
                let (store, scope, run) = (Arc::clone(&store), scope(&held), held.run);
                async move { store.commit_page(Arc::new(scope), Arc::new(head), decide(given, run)).await }
            });
            let pinged = store.ping().await;
            assert!(matches!(pinged, Err(StoreError::Unavailable(_))), "{pinged:?}");
            proxy.swallow(Way::ToClient, false);
            assert_eq!(writing.await.expect("the writer").expect("a receipt").counts.created, 20);
            assert_eq!(db.sql.number("select count(*) from crm_leads").await, 20);
            store.close().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_runs_out_during_an_outage_is_fenced() {
    TestDatabase::mysql()
        .await
        .run(async |db| {
            lay(db.store()).await;
            let job = job_id(db.store(), "acme-hubspot", "contacts").await;
            let held = hold(db.store(), job).await;
            let (proxy, options) = through_proxy(db).await;
            let store = opened(&options).await;
            store.ping().await.expect("an answer");
            proxy.refuse(true);
            proxy.cut();
            let (head, given) = page(1);
            let writing = tokio::spawn({
                let (store, scope, run) = (Arc::clone(&store), scope(&held), held.run);
                async move { store.commit_page(Arc::new(scope), Arc::new(head), decide(given, run)).await }
            });
            expire(db, job).await;
            let other = hold(db.store(), job).await;
            proxy.refuse(false);
            let answer = writing.await.expect("the writer");
            assert!(matches!(answer, Err(StoreError::Fenced { .. })), "{answer:?}");
            assert_eq!(db.sql.number("select count(*) from crm_leads").await, 0);
            let (head, given) = page(1);
            commit(db.store(), &other, head, &given).await;
            store.close().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_whose_connection_breaks_anywhere_can_go_on() {
    TestDatabase::empty_mysql()
        .await
        .run(async |db| {
            let (proxy, options) = through_proxy(db).await;
            let store = opened(&options).await;
            let mut broken = 0;
            for step in 1..12_i64 {
                // With a connection at hand, so that the cut hits the migration and not the handshake before it.
                store.ping().await.expect("an answer");
                proxy.cut_after(Way::ToServer, 900 * step);
                broken += i32::from(store.migrate().await.is_err());
            }
            proxy.cut_after(Way::ToServer, -1);
            assert!(broken >= 4, "only {broken} migrations were broken");
            store.migrate().await.expect("the rest of the migrations");
            assert_eq!(store.schema_state().await.expect("a state"), tidegate::store::schema::SchemaState::Current);
            store.close().await;
        })
        .await;
}

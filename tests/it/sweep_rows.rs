//! The sweep over what is declared, leased, read and written: catalogue, leases, pages, runs, dead letters.

use std::{collections::HashMap, sync::Arc};

use tidegate::{
    domain::{
        ids::{ConnectionId, DeliveryId, RawEventId},
        status::{DeliveryStatus, RawStatus, RunStatus},
    },
    store::{
        StoreError,
        catalogue::{Declaration, JobFilter},
        dead_letters::DeadLetterFilter,
        imports::{BatchFilter, NewBatch},
        lease::{Claimed, Lease},
        page::{Decide, Known, PageScope, PageWrites, RawWrite, RecordWrite},
        runs::RunFilter,
        webhooks::DeliveryEnd,
    },
};

use crate::{
    store_ground::{Given, TTL, claim_of, connection, decide, end, head, lead, scope},
    sweep_ground::{Entry::Beside, Entry::Global, Ground, Line, refused},
};

pub fn lines() -> Vec<Line> {
    vec![
        ("CatalogueStore::clients", Global("the list of all clients, for operators")),
        ("CatalogueStore::providers", Global("providers belong to no client")),
        ("CatalogueStore::connections", Global("the list of all connections, for operators")),
        ("CatalogueStore::connection", Global("the key is the context: it tells whose the connection is")),
        foreign!("CatalogueStore::jobs", |g| {
            let filter = JobFilter { connection_keys: vec!["acme-hubspot".to_owned()], streams: Vec::new() };
            let jobs = g.store.jobs(&filter).await.unwrap();
            assert_eq!(jobs.len(), 2);
            jobs
        }),
        ("CatalogueStore::job", Global("the job's id is the context: a lease and a run are a job's")),
        foreign!("CatalogueStore::declare", |g| {
            let mut refusals = Vec::new();
            for (key, client) in [("bolt-hubspot", "acme"), ("acme-hubspot", "bolt")] {
                let connections = vec![connection(key, client)];
                let declaration = Declaration { connections, ..Declaration::default() };
                // The refusal names what was declared.
                refusals.push(refused(g.store.declare(&declaration).await).to_string().replace("bolt", ""));
            }
            refusals
        }),
        ("CatalogueStore::set_connection_status", Global("a person names the connection; its key is the context")),
        ("CatalogueStore::activate_connection", Global("a person names the connection; its key is the context")),
        ("CatalogueStore::set_job_status", Global("the job was read by its connection and stream")),
        ("CatalogueStore::reset_cursor", Global("the job was read by its connection and stream")),
        ("FieldMapStore::field_maps", Global("field maps are a provider's")),
        ("FieldMapStore::activate_field_map", Global("field maps are a provider's")),
        foreign!("FieldMapStore::stored_rows", |g| {
            let ids = [g.known.internal_id];
            let table = &tidegate::domain::business::CRM_LEADS;
            for (connection, client) in g.crossed() {
                assert_eq!(g.store.stored_rows(client, connection, table, &ids).await.unwrap(), []);
            }
            let own = g.store.stored_rows(g.bolt.client, g.bolt.connection, table, &ids).await.unwrap();
            assert_eq!(own.len(), 1);
        }),
        foreign!("FieldMapStore::records_without_raw", |g| {
            for (connection, client) in g.crossed() {
                assert_eq!(g.store.records_without_raw(client, connection, "contact").await.unwrap(), 0);
            }
        }),
        foreign!("FieldMapStore::mapped_by", |g| {
            for (connection, client) in g.crossed() {
                assert_eq!(g.store.mapped_by(client, connection).await.unwrap(), []);
            }
            assert!(!g.store.mapped_by(g.bolt.client, g.bolt.connection).await.unwrap().is_empty());
        }),
        ("CatalogueStore::admin_actions", Global("the history of all acts, for operators")),
        ("RetentionStore::sweep", Global("goes by age over the rows of all clients, and tells counts")),
        ("LeaseStore::due_jobs", Global("a worker takes the jobs of all clients")),
        ("LeaseStore::due_but_leased", Global("a worker looks at the jobs of all clients")),
        ("LeaseStore::next_due_in", Global("a span until any job is due")),
        foreign!("LeaseStore::claim", |g| {
            // A dead worker that held acme's job says nothing about bolt's.
            let (job, fence) = (g.bolt.held.lease.job, g.bolt.held.lease.fence);
            let mut claim = claim_of(job, fence, "worker-of-acme");
            claim.dead_owner = Some("worker-of-acme".to_owned());
            let claimed = g.store.claim(&claim).await.unwrap();
            assert_eq!(claimed, Claimed::Lost);
            claimed
        }),
        foreign!("LeaseStore::renew", |g| {
            let renewed = g.store.renew(&forged(g), TTL).await.unwrap();
            assert!(!renewed);
            renewed
        }),
        foreign!("LeaseStore::finish_run", |g| {
            let end = end(RunStatus::Failed);
            let by_lease = g.store.finish_run(&forged(g), g.bolt.held.run, &end).await.unwrap();
            let by_run = g.store.finish_run(&g.acme.held.lease, g.bolt.held.run, &end).await.unwrap();
            assert_eq!((by_lease, by_run), (None, None));
        }),
        (
            "LeaseStore::recover_orphans",
            Beside(|g| {
                Box::pin(async move {
                    let closed = g.store.recover_orphans(&["worker-gone".to_owned()]).await.unwrap();
                    assert_eq!(closed.len(), 1, "{closed:?}");
                    format!("{closed:?}")
                })
            }),
        ),
        ("LeaseStore::lease_owners", Global("names of workers, which serve all clients")),
        foreign!("PageStore::commit_page", |g| {
            let (mut refusals, mut let_through) = (Vec::new(), Vec::new());
            for (n, (what, why, scope, decide)) in (1..).zip(pages(g)) {
                let head = Arc::new(match what {
                    // The very page that stands in bolt's ledger.
                    "run" => g.page.0.clone(),
                    _ => head(n, &[Given::new("bolt-new", 2)]),
                });
                match g.store.commit_page(Arc::new(scope), head, decide).await {
                    Err(error @ (StoreError::Constraint { .. } | StoreError::Fenced { .. }))
                        if error.to_string().contains(why) =>
                    {
                        refusals.push(error.to_string());
                    }
                    other => let_through.push(format!("another client's {what}: {other:?}")),
                }
            }
            assert!(let_through.is_empty(), "{let_through:#?}");
            refusals
        }),
        foreign!("PageStore::known", |g| {
            let ids = ["bolt-new".to_owned(), "bolt-bad".to_owned()];
            let known = g.store.known(g.acme.connection, "contact", &ids).await.unwrap();
            assert_eq!(known, HashMap::new());
        }),
        foreign!("PageStore::raw_of_links", |g| {
            let events = g.store.raw_of_links(g.acme.connection, "contacts", g.known.link_id - 1, 100).await.unwrap();
            assert!(events.is_empty(), "{events:?}");
            let mine = g.store.raw_of_links(g.acme.connection, "contacts", 0, 100).await.unwrap();
            assert!(!mine.is_empty());
            mine
        }),
        foreign!("PageStore::raw_of_dead_letters", |g| {
            let ids = [g.letter.id.0];
            let of = async |connection: ConnectionId| {
                g.store.raw_of_dead_letters(connection, "contacts", &ids, 0, 100).await.unwrap()
            };
            assert_eq!(of(g.bolt.connection).await.len(), 1);
            let events = of(g.acme.connection).await;
            assert!(events.is_empty(), "{events:?}");
        }),
        foreign!("PageStore::raw_of_due_letters", |g| {
            let events = g.store.raw_of_due_letters(g.acme.connection, "contacts", 0, 100).await.unwrap();
            assert!(events.is_empty(), "{events:?}");
        }),
        foreign!("VoidStore::written_by", |g| {
            let (run, of_bolt) = (g.bolt.held.run, g.bolt.connection);
            let written =
                async |connection| g.store.written_by(connection, "contacts", "contact", run, 0, 100).await.unwrap();
            assert!(!written(of_bolt).await.is_empty());
            let events = written(g.acme.connection).await;
            assert!(events.is_empty(), "{events:?}");
        }),
        foreign!("VoidStore::written_without_raw", |g| {
            let lost = g.store.written_without_raw(g.acme.connection, "contact", g.bolt.held.run).await.unwrap();
            assert_eq!(lost, 0);
            lost
        }),
        foreign!("RunStore::runs", |g| {
            let filter =
                RunFilter { connection_key: Some("acme-hubspot".to_owned()), limit: 100, ..RunFilter::default() };
            let runs = g.store.runs(&filter).await.unwrap();
            assert!(!runs.is_empty() && runs.iter().all(|run| run.id != g.bolt.held.run));
            runs
        }),
        ("RunStore::run", Global("an operator types the run's number; the answer says whose it is")),
        ("RunStore::run_pages", Global("of a run that was read; pages hold counts and no record")),
        ("RunStore::recount", Global("of a run that was read; numbers of its own rows")),
        foreign!("DeadLetterStore::dead_letters", |g| {
            let letters = g.store.dead_letters(&letters_of_acme(g)).await.unwrap();
            assert!(letters.is_empty(), "{letters:?}");
        }),
        ("DeadLetterStore::dead_letter", Global("an operator types the number; the answer says whose it is")),
        foreign!("DeadLetterStore::dead_letter_groups", |g| {
            let groups = g.store.dead_letter_groups(&letters_of_acme(g)).await.unwrap();
            assert!(groups.is_empty(), "{groups:?}");
        }),
        ("DeadLetterStore::dead_letter_payload", Global("the letter was read by its number, which says whose it is")),
        (
            "DeadLetterStore::release_for_map",
            Global("field maps are a provider's, and so are the letters that one decides"),
        ),
        ("DeadLetterStore::due_retries", Global("a worker takes the jobs of all clients")),
        ("DeadLetterStore::discard", Global("ids alone; typed ones are first held against the typed connection")),
        foreign!("ImportStore::begin_import", |g| {
            let batch = NewBatch {
                file_name: "leads.csv".to_owned(),
                file_hash: "0".repeat(64),
                file_bytes: 1,
                source_label: "CRM (file)".to_owned(),
                imported_by: "somebody".to_owned(),
            };
            let by_lease = g.store.begin_import(&forged(g), g.bolt.held.run, &batch).await.unwrap();
            let by_run = g.store.begin_import(&g.acme.held.lease, g.bolt.held.run, &batch).await.unwrap();
            assert_eq!((by_lease, by_run), (None, None));
        }),
        foreign!("ImportStore::import_batches", |g| {
            let of = async |key: &str| {
                let filter = BatchFilter { connection_key: Some(key.to_owned()), limit: 10, ..BatchFilter::default() };
                g.store.import_batches(&filter).await.unwrap()
            };
            assert_eq!(of("bolt-hubspot").await.len(), 1);
            let batches = of("acme-hubspot").await;
            assert!(batches.is_empty(), "{batches:?}");
        }),
        foreign!("ImportStore::completed_import", |g| {
            let hash = "b".repeat(64);
            let of = async |(connection, client)| {
                g.store.completed_import(connection, client, "contacts", &hash).await.unwrap()
            };
            assert!(of((g.bolt.connection, g.bolt.client)).await.is_some());
            for pair in g.crossed().into_iter().chain([(g.acme.connection, g.acme.client)]) {
                assert_eq!(of(pair).await, None);
            }
        }),
    ]
}

/// Acme's lease, said to be of bolt's job.
fn forged(g: &Ground) -> Lease {
    Lease { job: g.bolt.held.lease.job, ..g.acme.held.lease.clone() }
}

fn letters_of_acme(g: &Ground) -> DeadLetterFilter {
    let connection_key = Some("acme-hubspot".to_owned());
    DeadLetterFilter { ids: vec![g.letter.id], connection_key, limit: 100, ..DeadLetterFilter::default() }
}

/// Pages under acme's lease, each with one thing of bolt's, and a piece of why they are refused.
fn pages(g: &Ground) -> Vec<(&'static str, &'static str, PageScope, Decide)> {
    const FENCED: &str = "the lease on job";
    let (own, others) = (scope(&g.acme.held), scope(&g.bolt.held));
    let plain = || decide(vec![Given::new("bolt-new", 2)], g.acme.held.run);
    let of_run = decide(g.page.1.clone(), g.acme.held.run);
    let pair = PageScope { connection_id: others.connection_id, client_id: others.client_id, ..own.clone() };
    let record = rewriting(g.known.clone());
    let raw = replaying(g.letter.raw_event_id.unwrap());
    vec![
        ("connection and client", FENCED, pair, plain()),
        ("connection", FENCED, PageScope { connection_id: others.connection_id, ..own.clone() }, plain()),
        ("client", FENCED, PageScope { client_id: others.client_id, ..own.clone() }, plain()),
        ("lease", FENCED, PageScope { lease: forged(g), ..own.clone() }, plain()),
        ("job and connection", FENCED, PageScope { lease: forged(g), ..others.clone() }, plain()),
        ("run", "refused by constraint", PageScope { run: others.run, ..own.clone() }, of_run),
        ("stored record", "one of those looked up", own.clone(), record),
        ("raw event", "a replayed raw event is its connection's", own.clone(), raw),
        ("delivery", "a settled delivery waits at its connection", own, settling(g.delivery)),
    ]
}

/// Rewrites a record that was not looked up.
fn rewriting(known: Known) -> Decide {
    Arc::new(move |_| {
        let given = Given::new("bolt-new", 2);
        let mut writes = PageWrites::default();
        (writes.counts.seen, writes.counts.updated) = (1, 1);
        let row = lead(&given);
        writes.raw.push(RawWrite::New {
            external_id: given.id.clone(),
            payload: given.payload().to_string(),
            payload_hash: given.hash(),
            status: RawStatus::Normalized,
            reason: None,
        });
        writes.records.push(RecordWrite {
            raw: 0,
            external_id: given.id.clone(),
            record_hash: row.fingerprint(),
            row,
            payload_hash: given.hash(),
            source_updated_at: None,
            existing: Some(known.clone()),
        });
        writes
    })
}

/// Settles a delivery.
fn settling(id: DeliveryId) -> Decide {
    Arc::new(move |_| PageWrites {
        deliveries: vec![DeliveryEnd {
            id,
            raw: None,
            status: DeliveryStatus::Ignored,
            reason: Some("forged".to_owned()),
        }],
        ..PageWrites::default()
    })
}

/// Gives a raw event a new end.
fn replaying(id: RawEventId) -> Decide {
    Arc::new(move |_| {
        let mut writes = PageWrites::default();
        (writes.counts.seen, writes.counts.ignored) = (1, 1);
        writes.raw.push(RawWrite::Existing { id, status: RawStatus::Ignored, reason: Some("forged".to_owned()) });
        writes
    })
}

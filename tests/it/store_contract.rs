//! P21: the same operations leave the same observable state on both engines. One scenario calls the methods of every port
//! and notes what comes back; the notes of SQLite and of MySQL must be the same.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate::{
    domain::{
        business::CRM_LEAD_EVENTS,
        ids::DeadLetterId,
        record::{Cell, MappedRow},
        status::{
            ClientStatus, ConnectionStatus, DeadLetterStatus, JobStatus, ProviderStatus, RawStatus, RunOrigin,
            RunStatus,
        },
    },
    store::{
        StoreError,
        catalogue::{Declaration, FieldMapVersion, JobFilter},
        dead_letters::DeadLetterFilter,
        lease::{Claim, Claimed},
        page::{PageHead, PageScope, PageWrites, RawWrite, RecordWrite},
        runs::RunFilter,
    },
};

use crate::{
    store_ground::{
        Given, act, at, claim_of, commit, cursor, end, head, hold, job_id, job_spec, lay, scope, two_clients,
    },
    store_notes::Notes,
    support::databases::TestDatabase,
};

async fn scenario(db: &TestDatabase) -> Vec<(String, Value)> {
    let store = db.store();
    let mut notes = Notes(Vec::new());

    // The catalogue.
    lay(store).await;
    lay(store).await;
    let mut changed = two_clients();
    changed.clients[1] = ("bolt".to_owned(), "Bolt & Söhne 🔩".to_owned(), ClientStatus::Active);
    changed.providers[0].status = ProviderStatus::Active;
    changed.providers[0].owner = Some("ops".to_owned());
    changed.connections[0].scopes = vec![];
    changed.connections[0].config = json!({"nested": {"ü": [1, 2.5, null, true]}});
    changed.jobs[0].0.schedule = Some("cron 0 6 * * * Europe/Berlin".to_owned());
    changed.jobs[0].1 = Some(at("2020-02-02T02:02:02.000002Z"));
    changed.jobs[1].1 = Some(at("2021-01-01T00:00:00Z"));
    changed.jobs[2].0.schedule = None;
    changed.jobs[2].1 = None;
    changed.actions = vec![act("declare again")];
    store.declare(&changed).await.expect("a declaration");
    let mut stolen = two_clients();
    stolen.connections[0].client_key = "bolt".to_owned();
    notes.add(
        "a connection keeps its client",
        matches!(store.declare(&stolen).await, Err(StoreError::Constraint { .. })),
    );
    let orphan = Declaration { jobs: vec![(job_spec("nowhere", "x"), None)], ..Declaration::default() };
    notes.add("a job needs its connection", format!("{:?}", store.declare(&orphan).await));
    let mut homeless =
        Declaration { connections: vec![two_clients().connections[0].clone()], ..Declaration::default() };
    homeless.connections[0].client_key = "nobody".to_owned();
    notes.add("a connection needs its client", format!("{:?}", store.declare(&homeless).await));
    let long = Declaration {
        clients: vec![("k".repeat(191), "n".to_owned(), ClientStatus::Active)],
        ..Declaration::default()
    };
    notes.add(
        "a key has at most 190 characters",
        matches!(store.declare(&long).await, Err(StoreError::Constraint { .. })),
    );
    notes.add("clients", store.clients().await.expect("clients"));
    notes.add("providers", store.providers().await.expect("providers"));
    notes.add("connections", store.connections().await.expect("connections"));
    notes.add("no connection", store.connection("ACME-hubspot").await.expect("keys are compared letter for letter"));
    notes.add("jobs", store.jobs(&JobFilter::default()).await.expect("jobs"));
    for (keys, streams) in
        [(vec!["bolt-hubspot"], vec![]), (vec![], vec!["deals"]), (vec!["x", "acme-hubspot"], vec!["deals", "o'clock"])]
    {
        let texts = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        let filter = JobFilter { connection_keys: texts(keys), streams: texts(streams) };
        notes.add("some jobs", store.jobs(&filter).await.expect("jobs"));
    }
    let missing =
        store.set_connection_status("nope", ConnectionStatus::Paused, None, &act("x")).await.expect("an answer");
    notes.add("nothing to set", (missing, store.activate_connection("nope", &act("x")).await.expect("an answer")));
    notes.add(
        "pause",
        store
            .set_connection_status(
                "acme-hubspot",
                ConnectionStatus::Paused,
                Some("asked for"),
                &act("connection.pause"),
            )
            .await
            .expect("an answer"),
    );
    notes.add(
        "resume",
        store
            .set_connection_status("acme-hubspot", ConnectionStatus::Testing, None, &act("connection.resume"))
            .await
            .expect("an answer"),
    );
    notes.add(
        "activate",
        store.activate_connection("acme-hubspot", &act("connection.activate")).await.expect("an answer"),
    );
    let contacts = job_id(store, "acme-hubspot", "contacts").await;
    notes.add(
        "pause a job",
        store.set_job_status(contacts, JobStatus::Paused, &act("jobs.pause")).await.expect("an answer"),
    );
    notes.add(
        "resume a job",
        store.set_job_status(contacts, JobStatus::Active, &act("jobs.resume")).await.expect("an answer"),
    );
    notes.add(
        "no such job",
        store.set_job_status(tidegate::domain::ids::JobId(999), JobStatus::Active, &act("x")).await.expect("an answer"),
    );
    let map = |checksum: &str| FieldMapVersion {
        provider_key: "hubspot".to_owned(),
        stream: "contacts".to_owned(),
        version: "v1".to_owned(),
        checksum: checksum.to_owned(),
        document: "fields: {}".to_owned(),
        activated_by: "ada".to_owned(),
    };
    for checksum in ["one", "one", "two"] {
        notes.add("a field map", store.activate_field_map(&map(checksum), None).await.expect("an answer"));
    }

    // Work.
    let due = store.due_jobs(10, None).await.expect("due jobs");
    notes.add(
        "due",
        due.iter()
            .map(|j| (j.id, &j.connection_key, &j.stream, j.fence, j.next_run_at, &j.lease_owner))
            .collect::<Vec<_>>(),
    );
    let first = hold(store, contacts).await;
    notes.add(
        "held",
        (first.run, &first.provider_key, &first.source_label, first.sync_mode, first.attempts, first.open_dead_letters),
    );
    let page_one: Vec<Given> = (0..130)
        .map(|n| Given::new(n, 1))
        .chain([Given::broken("b1", 1), Given::broken("b2", 1), Given::new(3, 1)])
        .collect();
    let one = PageHead {
        cursor: Some(cursor(10)),
        window: Some((at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"))),
        ..head(1, &page_one)
    };
    notes.add("page 1", commit(store, &first, one, &page_one).await.counts);
    let page_two = [Given::new(1, 2), Given::new(2, 1), Given::new("ß/🙂 'x'", 1), Given::broken("b1", 1)];
    let two = PageHead { window: Some((at("2025-12-01T00:00:00Z"), at("2026-01-01T12:00:00Z"))), ..head(2, &page_two) };
    notes.add("page 2", commit(store, &first, two, &page_two).await.counts);
    notes.add("end", store.finish_run(&first.lease, first.run, &end(RunStatus::Partial)).await.expect("the end"));

    // Amounts and times of another table, in a test batch.
    let deals = job_id(store, "acme-hubspot", "deals").await;
    let batch = Claim { origin: RunOrigin::TestBatch, mapping_version: None, ..claim_of(deals, 0, "cli") };
    let Claimed::Held(batch) = store.claim(&batch).await.expect("an answer") else { panic!("not held") };
    let amounts = ["0.00005", "-12.5", "99999999999999.9999", "7"];
    let deal = move |n: usize| {
        let mut cells = vec![Cell::Null; CRM_LEAD_EVENTS.columns.len()];
        let mut set = |column: &str, cell: Cell| cells[CRM_LEAD_EVENTS.position(column).expect("a column")] = cell;
        set("title", Cell::Text(format!("Deal {n} “Ünï”")));
        set("booked_amount", Cell::Decimal(amounts[n].parse().expect("an amount")));
        set("currency", Cell::Text("EUR".to_owned()));
        set("occurred_at", Cell::Time(at("2024-02-29T23:59:59.999999Z")));
        MappedRow { table: &CRM_LEAD_EVENTS, cells }
    };
    let deals_page = Arc::new(move |_: &_| PageWrites {
        counts: tidegate::domain::counts::Counts { seen: 5, created: 4, ignored: 1, ..Default::default() },
        raw: (0..5)
            .map(|n| RawWrite::New {
                external_id: n.to_string(),
                payload: "not json".to_owned(),
                payload_hash: format!("{n}"),
                status: if n == 4 { RawStatus::Ignored } else { RawStatus::Normalized },
                reason: (n == 4).then(|| "spam".to_owned()),
            })
            .collect(),
        records: (0..4)
            .map(|n| RecordWrite {
                raw: n,
                external_id: n.to_string(),
                row: deal(n),
                payload_hash: format!("{n}"),
                record_hash: deal(n).fingerprint(),
                source_updated_at: None,
                existing: None,
            })
            .collect(),
        ..PageWrites::default()
    });
    let batch_scope =
        PageScope { is_test: true, object_type: "deal".to_owned(), mapping_version: None, ..scope(&batch) };
    let receipt =
        store.commit_page(Arc::new(batch_scope), Arc::new(head(1, &[])), deals_page).await.expect("a receipt");
    notes.add("page of deals", receipt.counts);
    notes.add(
        "cancelled",
        store.finish_run(&batch.lease, batch.run, &end(RunStatus::Cancelled)).await.expect("the end"),
    );
    let known = store
        .known(batch.connection_id, "deal", &["0".to_owned(), "3".to_owned(), "9".to_owned()])
        .await
        .expect("known");
    let mut known: Vec<_> = known
        .into_iter()
        .map(|(id, k)| {
            (
                id,
                k.internal_table,
                k.internal_id,
                k.payload_hash,
                k.record_hash,
                k.source_updated_at,
                k.last_run_id,
                k.is_test,
            )
        })
        .collect();
    known.sort();
    notes.add("known", known);

    // Reading it back.
    notes.add("runs", store.runs(&RunFilter { limit: 10, ..RunFilter::default() }).await.expect("runs"));
    let some = RunFilter {
        connection_key: Some("acme-hubspot".to_owned()),
        stream: Some("deals".to_owned()),
        status: Some(RunStatus::Cancelled),
        limit: 1,
    };
    notes.add("some runs", store.runs(&some).await.expect("runs").iter().map(|run| run.id).collect::<Vec<_>>());
    notes.add("a run", store.run(first.run).await.expect("a run"));
    notes.add("no run", store.run(tidegate::domain::ids::RunId(999)).await.expect("a run"));
    for (head, tail) in [(9, 9), (1, 0), (0, 1), (1, 1)] {
        notes.add("pages", store.run_pages(first.run, head, tail).await.expect("pages"));
    }
    notes.add("recount", store.recount(first.run).await.expect("a recount"));
    notes.add("recount of nothing", store.recount(tidegate::domain::ids::RunId(999)).await.expect("a recount"));
    let all = DeadLetterFilter { limit: 10, ..DeadLetterFilter::default() };
    // Ids of dead letters may have gaps: a repeat of an open one uses up a number on MySQL.
    let letters = store.dead_letters(&all).await.expect("dead letters");
    notes.add(
        "dead letters",
        letters
            .iter()
            .map(|l| (&l.external_id, l.attempts, l.run_id, l.status, l.stage, l.origin, &l.client_key))
            .collect::<Vec<_>>(),
    );
    notes.add(
        "one dead letter",
        store.dead_letter(letters[0].id).await.expect("an answer").map(|l| (l.external_id, l.raw_event_id)),
    );
    notes.add("no dead letter", store.dead_letter(DeadLetterId(999)).await.expect("an answer"));
    notes.add("groups", store.dead_letter_groups(&all).await.expect("groups"));
    let filters = [
        DeadLetterFilter { connection_key: Some("bolt-hubspot".to_owned()), ..all.clone() },
        DeadLetterFilter { stream: Some("contacts".to_owned()), status: Some(DeadLetterStatus::Open), ..all.clone() },
        DeadLetterFilter { fingerprint: Some("unknown_enum:stage:v1".to_owned()), limit: 1, ..all.clone() },
        DeadLetterFilter {
            ids: letters.iter().map(|l| l.id).chain([DeadLetterId(999)]).collect(),
            limit: 1,
            ..all.clone()
        },
    ];
    for filter in filters {
        let some = store.dead_letters(&filter).await.expect("dead letters");
        notes.add("some dead letters", some.iter().map(|l| &l.external_id).collect::<Vec<_>>());
    }
    let raw = store.raw_of_dead_letters(first.connection_id, "contacts", &[], 0, 1).await.expect("raw events");
    let rest = store.raw_of_dead_letters(first.connection_id, "contacts", &[], raw[0].0, 9).await.expect("raw events");
    notes.add(
        "raw of dead letters",
        raw.iter().chain(&rest).map(|(_, r)| (r.id, &r.external_id, &r.payload, &r.payload_hash)).collect::<Vec<_>>(),
    );
    let links = store.raw_of_links(first.connection_id, "contacts", 100, 7).await.expect("raw events");
    notes.add("raw of links", links.iter().map(|(link, r)| (*link, r.id, &r.external_id)).collect::<Vec<_>>());
    notes.add(
        "discard",
        store.discard(&[letters[0].id, DeadLetterId(999)], "ada", &act("errors.discard")).await.expect("an answer"),
    );
    notes
        .add("discard again", store.discard(&[letters[0].id], "ada", &act("errors.discard")).await.expect("an answer"));
    notes.add(
        "after",
        store.dead_letter(letters[0].id).await.expect("an answer").map(|l| (l.status, l.resolved_by, l.resolved_at)),
    );

    // A second run: closing, superseding, replaying; then the reset.
    let second = hold(store, contacts).await;
    let fixed = [Given::new("b1", 3), Given::new(5, 1)];
    notes.add(
        "superseding",
        commit(store, &second, PageHead { close_superseded: true, ..head(1, &fixed) }, &fixed).await.counts,
    );
    let raw_id = rest.first().map_or(raw[0].1.id, |(_, r)| r.id);
    let replay = Arc::new(move |_: &_| PageWrites {
        counts: tidegate::domain::counts::Counts { seen: 1, ignored: 1, ..Default::default() },
        raw: vec![RawWrite::Existing { id: raw_id, status: RawStatus::Ignored, reason: Some("spam".to_owned()) }],
        resolved: vec![("b2".to_owned(), Given::broken("b2", 1).hash())],
        ..PageWrites::default()
    });
    notes.add(
        "replay",
        store.commit_page(Arc::new(scope(&second)), Arc::new(head(2, &[])), replay).await.expect("a receipt").counts,
    );
    notes.add(
        "end of the second run",
        store.finish_run(&second.lease, second.run, &end(RunStatus::Succeeded)).await.expect("the end"),
    );
    notes.add("reset", store.reset_cursor(contacts, &act("jobs.reset-cursor")).await.expect("an answer"));
    notes.add("jobs at the end", store.jobs(&JobFilter::default()).await.expect("jobs"));
    notes.add("acts", store.admin_actions(50).await.expect("acts"));
    notes.add("orphans", store.recover_orphans(&["nobody".to_owned()]).await.expect("a sweep").len());
    notes.add("owners", store.lease_owners().await.expect("holders"));
    store.ping().await.expect("an answer");

    // The tables themselves. Times of the test and random terms are left out.
    for (table, columns) in [
        (
            "crm_leads",
            "id, client_id, connection_id, provider_key, source_label, object_type, external_id, first_run_id, last_run_id, voided_at, is_test, contact_name, email, phone, consent, stage",
        ),
        (
            "crm_lead_events",
            "id, client_id, connection_id, external_id, is_test, title, projected_amount, booked_amount, currency",
        ),
        (
            "integration_object_links",
            "id, client_id, connection_id, object_type, external_id, internal_table, internal_id, payload_hash, record_hash, raw_event_id, first_run_id, last_run_id, is_test, mapping_version",
        ),
        (
            "integration_raw_events",
            "id, client_id, connection_id, run_id, origin, stream, external_id, payload, payload_hash, source_label, status, reason, is_test",
        ),
        ("integration_sync_errors", "external_id, attempts, status, resolved_by, open_slot, run_id, raw_event_id"),
        ("integration_sync_pages", "run_id, page_no, page_hash, story, records_seen, cursor_after"),
        ("integration_field_mappings", "id, provider_key, stream, version, checksum, document, activated_by"),
    ] {
        notes.add(table, db.sql.rows(&format!("select {columns} from {table} order by 1, 2, 3, 4, 5, 6")).await);
    }
    let times = "select e.occurred_at, l.received_at, l.source_updated_at from crm_lead_events e join crm_leads l on l.id = 1 where e.id = 1";
    let times: Vec<Option<String>> = db.sql.rows(times).await.remove(0);
    let iso = |text: &Option<String>| text.clone().map(|text| text.replace(' ', "T").trim_end_matches('Z').to_owned());
    notes.add("times", times.iter().map(iso).collect::<Vec<_>>());
    notes.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_operations_leave_the_same_state_on_both_engines() {
    TestDatabase::sqlite()
        .await
        .run(async |sqlite| {
            TestDatabase::mysql()
                .await
                .run(async |mysql| {
                    let (left, right) = (scenario(sqlite).await, scenario(mysql).await);
                    assert!(left.len() > 65, "only {} notes", left.len());
                    for (left, right) in left.iter().zip(&right) {
                        assert_eq!(left, right);
                    }
                    assert_eq!(left.len(), right.len());
                })
                .await;
        })
        .await;
}

//! Common ground of the cross-client sweep over the store: two clients that have something in every table, and what is tried with it.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures_util::future::LocalBoxFuture;
use tidegate::{
    domain::{
        ids::{ClientId, ConnectionId, DeliveryId},
        status::{AlertNews, CheckStatus, ControlKind, RunOrigin, RunStatus, Severity},
    },
    store::{
        SharedStore, StoreError,
        alerts::{AlertRow, AlertWrite},
        checks::{CheckResult, Evaluation},
        credentials::{NewVersion, RefreshClaim, Sealed, StoredCredential},
        dead_letters::{DeadLetter, DeadLetterFilter},
        launch::{ControlFacts, Evidence, Signature, Whose},
        lease::{Claimed, Held},
        metrics::{NewSnapshot, Snapshot},
        page::{Known, PageHead},
        quality,
        reports::Report,
    },
};

use crate::{
    quality_ground::{clean, connection, letter, record},
    store_ground::{Given, act, at, claim_of, commit, end, head, job_id},
    support::databases::TestDatabase,
};

/// Pieces of bolt's names, texts and numbers: none of them may stand in an answer to acme.
pub const OF_BOLT: [&str; 2] = ["bolt", "98765"];

/// What is tried with a method; gives the answer as text.
pub type Act = for<'g> fn(&'g Ground) -> LocalBoxFuture<'g, String>;

pub enum Entry {
    /// Acme's context with bolt's ids: nothing is told, and nothing in the whole database moves.
    Foreign(Act),
    /// As [`Entry::Foreign`], but acme's own rows may move.
    Beside(Act),
    /// Names no client's context; why.
    Global(&'static str),
}

pub type Line = (&'static str, Entry);

/// `foreign!("Port::method", |ground| { … an answer … })`
macro_rules! foreign {
    ($name:literal, |$ground:ident| $body:block) => {
        ($name, $crate::sweep_ground::Entry::Foreign(|$ground| Box::pin(async move { format!("{:?}", $body) })))
    };
}

/// One client with its connection and the lease of a running run of its contacts.
pub struct Side {
    pub client: ClientId,
    pub connection: ConnectionId,
    pub held: Held,
    pub snapshot: Snapshot,
    pub report: Report,
    pub credential: StoredCredential,
}

pub struct Ground {
    pub store: SharedStore,
    pub acme: Side,
    pub bolt: Side,
    /// A dead letter of bolt with its raw event.
    pub letter: DeadLetter,
    /// The page that bolt's running run has committed, and a record of it as it is stored.
    pub page: (PageHead, Vec<Given>),
    pub known: Known,
    /// A delivery to bolt that waits.
    pub delivery: DeliveryId,
}

impl Ground {
    pub async fn new(db: &TestDatabase) -> Self {
        clean(db).await;
        let store = Arc::clone(db.store());
        for table in ["reviews", "crm_leads"] {
            let of_bolt = connection(db, "bolt-hubspot").await;
            record(db, &of_bolt, table, "bolt-1", &[("is_test", "1")]).await;
        }
        db.sql
            .ok("update report_metrics set title = 'Leads of bolt', client_note = 'Only for bolt.' \
                 where connection_id = (select id from integration_connections where connection_key = 'bolt-hubspot')")
            .await;
        // A run that nobody holds any more, of acme; a test batch of bolt.
        claimed(&store, "acme-hubspot", "deals", "worker-gone", RunOrigin::Schedule).await;
        let batch = claimed(&store, "bolt-hubspot", "deals", "worker-of-bolt", RunOrigin::TestBatch).await;
        store.finish_run(&batch.lease, batch.run, &end(RunStatus::Succeeded)).await.unwrap().unwrap();
        let acme = side(db, "acme", "acme-hubspot", 11).await;
        let bolt = side(db, "bolt", "bolt-hubspot", 98_765).await;
        letter(db, &connection(db, "bolt-hubspot").await, "account_mismatch", "bolt-page").await;
        let given = vec![Given::new("bolt-new", 1), Given::broken("bolt-bad", 1)];
        let head = head(1, &given);
        commit(&store, &bolt.held, head.clone(), &given).await;
        let known = store.known(bolt.connection, "contact", &["bolt-new".to_owned()]).await.unwrap();
        let known = known["bolt-new"].clone();
        let filter = DeadLetterFilter { limit: 10, ..DeadLetterFilter::default() };
        let letters = store.dead_letters(&filter).await.unwrap();
        let letter = letters.into_iter().find(|letter| letter.raw_event_id.is_some()).unwrap();
        let file = format!(
            "insert into data_import_batches (connection_id, client_id, stream, file_name, file_hash, file_bytes, source_label, rows_read, run_id, \
             status, imported_by, created_at, finished_at) \
             select connection_id, client_id, stream, 'bolt.csv', '{}', 98765, 'CRM (of bolt)', 1, id, 'completed', 'bolt', started_at, started_at \
             from integration_sync_runs where id = {}",
            "b".repeat(64),
            bolt.held.run
        );
        db.sql.ok(&file).await;
        alerts(&store, &[&acme, &bolt]).await;
        crate::sweep_webhooks::lay(&store, "acme", &acme).await;
        let delivery = crate::sweep_webhooks::lay(&store, "bolt", &bolt).await;
        Self { store, acme, bolt, letter, page: (head, given), known, delivery }
    }

    /// Bolt's connection said to be acme's, and the other way round.
    pub fn crossed(&self) -> [(ConnectionId, ClientId); 2] {
        [(self.bolt.connection, self.acme.client), (self.acme.connection, self.bolt.client)]
    }

    /// A quality fact of crossed pairs is that of a connection that there is not. `told`: bolt's own is another one, so the ground
    /// has something to hide.
    pub async fn nothing<T: Debug>(&self, told: bool, read: impl AsyncFn(quality::Whose) -> Result<T, StoreError>) {
        let answer =
            async |connection, client| format!("{:?}", read(quality::Whose { connection, client }).await.unwrap());
        let nothing = answer(ConnectionId(0), self.acme.client).await;
        for (connection, client) in self.crossed() {
            assert_eq!(answer(connection, client).await, nothing);
        }
        if told {
            assert_ne!(answer(self.bolt.connection, self.bolt.client).await, nothing, "bolt has nothing to hide");
        }
    }
}

/// The call was refused because of what the rows say.
pub fn refused<T: Debug>(answer: Result<T, StoreError>) -> StoreError {
    match answer {
        Err(error @ StoreError::Constraint { .. }) => error,
        other => panic!("not refused: {other:?}"),
    }
}

async fn claimed(store: &SharedStore, connection: &str, stream: &str, worker: &str, origin: RunOrigin) -> Held {
    let job = job_id(store, connection, stream).await;
    let fence = store.job(job).await.unwrap().unwrap().fence;
    match store.claim(&tidegate::store::lease::Claim { origin, ..claim_of(job, fence, worker) }).await.unwrap() {
        Claimed::Held(held) => *held,
        other => panic!("not held: {other:?}"),
    }
}

/// Checks, a control, a number, a card, a credential under renewal and a run that is going on.
async fn side(db: &TestDatabase, key: &str, connection_key: &str, value: i64) -> Side {
    let (store, of) = (db.store(), connection(db, connection_key).await);
    let result = CheckResult {
        check_key: "freshness".to_owned(),
        severity: Severity::Error,
        status: CheckStatus::Failed,
        observed: Some(format!("seen at {key}")),
        expected: None,
        detail_internal: None,
        message_client_safe: None,
    };
    let evaluation = evaluation(&of, vec![result]);
    store.record_checks(&evaluation).await.unwrap();
    store.sign_controls(&[signature(of.id, of.client_id, key)], &[]).await.unwrap();
    let like = store.baselines(of.client_id).await.unwrap().remove(0).snapshot.number;
    let snapshot = store.take_snapshot(&NewSnapshot { value: Some(value.into()), ..like }).await.unwrap();
    store.set_baseline(&snapshot, &format!("the start of {key}"), &act("metric.baseline")).await.unwrap();
    let before = store.report(of.client_id, "lead_volume", "CRM").await.unwrap().unwrap();
    let report = Report { next_action: Some(format!("Call {key}.")), ..before.clone() };
    assert!(store.write_report(Some(&before), &report, None).await.unwrap());
    store.put_credential(&version(of.id, of.client_id, key), &act("credential.set")).await.unwrap();
    let credential = store.credential(key).await.unwrap().unwrap();
    store.claim_refresh(&refresh(&credential, &format!("worker-of-{key}"))).await.unwrap().unwrap();
    let credential = store.credential(key).await.unwrap().unwrap();
    let held = claimed(store, connection_key, "contacts", &format!("worker-of-{key}"), RunOrigin::Schedule).await;
    Side { client: of.client_id, connection: of.id, held, snapshot, report, credential }
}

pub fn evaluation(of: &tidegate::store::catalogue::Connection, results: Vec<CheckResult>) -> Evaluation {
    Evaluation {
        evaluation_id: uuid::Uuid::new_v4().to_string(),
        connection_id: of.id,
        client_id: of.client_id,
        run_id: None,
        results,
    }
}

pub fn signature(connection: ConnectionId, client: ClientId, by: &str) -> Signature {
    Signature {
        whose: Whose::Connection(connection, client),
        control_key: "access".to_owned(),
        title: format!("Access of {by}"),
        kind: ControlKind::LaunchItem,
        facts: ControlFacts { owner: Some(by.to_owned()), ..ControlFacts::default() },
        evidence: Some(Evidence {
            evidence_kind: "document".to_owned(),
            evidence: format!("a letter of {by}"),
            evidence_at: at("2026-03-01T08:00:00Z"),
        }),
        signed_by: Some(by.to_owned()),
    }
}

pub fn version(connection_id: ConnectionId, client_id: ClientId, key: &str) -> NewVersion {
    let text = |what: &str| format!("{what} of {key}");
    NewVersion {
        credential_key: key.to_owned(),
        connection_id,
        client_id,
        version: 1,
        replaces: None,
        sealed: Sealed {
            algorithm: "a".to_owned(),
            key_id: "k".to_owned(),
            wrapped_key: text("wrapped"),
            nonce: text("nonce"),
            ciphertext: text("ciphertext"),
        },
        expires_in: None,
    }
}

pub fn refresh(seen: &StoredCredential, owner: &str) -> RefreshClaim {
    RefreshClaim {
        id: seen.id,
        version: seen.version,
        seen_fence: seen.fence,
        owner: owner.to_owned(),
        dead_owner: None,
        ttl: Duration::from_secs(600),
    }
}

/// An open alert of each.
async fn alerts(store: &SharedStore, sides: &[&Side]) {
    let now = at("2026-03-01T08:00:00Z");
    let rows: Vec<AlertRow> = ["acme", "bolt"]
        .iter()
        .zip(sides)
        .map(|(key, side)| AlertRow {
            rule_key: "source_late".to_owned(),
            severity: Severity::Warn,
            subject_type: "job".to_owned(),
            subject_key: format!("{key}-hubspot/contacts"),
            connection_id: Some(side.connection),
            client_id: Some(side.client),
            owner: None,
            message_internal: format!("{key} is late"),
            message_client_safe: "late".to_owned(),
            remedy: "look".to_owned(),
            runbook: "late".to_owned(),
            first_seen_at: now,
            last_seen_at: now,
            opened_at: Some(now),
            resolved_at: None,
            told_at: Some(now),
            notice: None,
            notified_at: None,
            notify_failures: 0,
        })
        .collect();
    let decide = move |_: &[tidegate::store::alerts::Alert]| {
        rows.iter().map(|row| AlertWrite { id: None, row: row.clone(), news: Some(AlertNews::Opened) }).collect()
    };
    assert_eq!(store.write_alerts(now, Arc::new(decide)).await.unwrap().len(), 2);
}

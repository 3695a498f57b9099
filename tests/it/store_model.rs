//! Random histories of one job against a model in memory: who holds it, what is committed, what is counted.
//!
//! The model states C1, C2, C5, N1, N2, X1, R1 and R2 of guide/reliability.md; after each step the database must agree with it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use proptest::test_runner::{Config, TestRunner};
use tidegate::{
    domain::{
        counts::Counts,
        ids::{JobId, RunId},
        status::{JobStatus, RunStatus},
    },
    store::{
        StoreError,
        lease::{Claim, Claimed, Held},
        page::{Decide, PageHead, PageScope, PageWrites},
    },
};

use crate::{
    store_ground::{
        Given, TTL, act, claim_of, connection, cursor, decide, end, expire, head, job_id, job_spec, lay, long_ago,
        scope,
    },
    store_rules::{Asked, Model, ModelRun, Step, step},
    support::databases::TestDatabase,
};

const QUARANTINE_AFTER: i64 = 4;

struct History<'a> {
    db: &'a TestDatabase,
    job: JobId,
    /// Records of this history only.
    object_type: String,
    model: Model,
    holders: Vec<Held>,
    pages: Vec<Vec<Asked>>,
}

impl<'a> History<'a> {
    async fn begin(db: &'a TestDatabase, number: u32) -> Self {
        let key = format!("case-{number}");
        let declaration = tidegate::store::catalogue::Declaration {
            connections: vec![connection(&key, "acme")],
            jobs: vec![(job_spec(&key, "contacts"), Some(long_ago()))],
            ..Default::default()
        };
        db.store().declare(&declaration).await.expect("the declaration");
        let job = job_id(db.store(), &key, "contacts").await;
        Self { db, job, object_type: key, model: Model::default(), holders: Vec::new(), pages: Vec::new() }
    }

    fn scope(&self, who: usize) -> PageScope {
        PageScope { object_type: self.object_type.clone(), ..scope(&self.holders[who]) }
    }

    async fn take(&mut self, step: &Step) {
        let store = self.db.store();
        let pick = |who: usize, n: usize| if who == usize::MAX { n.checked_sub(1) } else { (who < n).then_some(who) };
        match step {
            Step::Claim { stale } => {
                let seen = self.model.fence - i64::from(*stale);
                let claim = Claim { quarantine_after: QUARANTINE_AFTER, ttl: TTL, ..claim_of(self.job, seen, "w") };
                let answer = store.claim(&claim).await.expect("an answer");
                let free = self.model.lease.is_none_or(|(_, expired)| expired);
                if *stale || !free || self.model.quarantined {
                    assert_eq!(answer, Claimed::Lost);
                    return;
                }
                self.model.fence += 1;
                self.model.attempts += 1;
                let abandoned: Vec<RunId> =
                    self.model.runs.iter().filter(|run| !run.status.is_final()).map(|run| run.id).collect();
                for run in &abandoned {
                    self.model.run(*run).status = RunStatus::Abandoned;
                }
                if self.model.attempts > QUARANTINE_AFTER {
                    assert_eq!(answer, Claimed::Quarantined);
                    (self.model.quarantined, self.model.lease) = (true, None);
                    return;
                }
                let Claimed::Held(held) = answer else { panic!("not held: {answer:?}") };
                assert_eq!(
                    (held.lease.fence, held.attempts, held.abandoned.clone()),
                    (self.model.fence, self.model.attempts, abandoned)
                );
                assert_eq!(held.open_dead_letters, i64::try_from(self.model.letters.len()).expect("few"));
                self.model.lease = Some((self.holders.len(), false));
                self.model.runs.push(ModelRun {
                    id: held.run,
                    status: RunStatus::Running,
                    counts: Counts::default(),
                    pages: 0,
                });
                self.holders.push(*held);
                self.pages.push(Vec::new());
            }
            Step::Expire => {
                expire(self.db, self.job).await;
                self.model.lease = self.model.lease.map(|(who, _)| (who, true));
            }
            Step::Renew { who } => {
                let Some(who) = pick(*who, self.holders.len()) else { return };
                let renewed = store.renew(&self.holders[who].lease, TTL).await.expect("an answer");
                assert_eq!(renewed, self.model.holds(who), "X1");
            }
            Step::Page { who, items, twice, cursor: order, hold } => {
                let Some(who) = pick(*who, self.holders.len()) else { return };
                let mut given: Vec<Given> = items
                    .iter()
                    .map(|(id, (version, ok))| Given { id: format!("r{id}"), version: *version, ok: *ok })
                    .collect();
                if let Some(last) = given.last().cloned().filter(|_| *twice) {
                    given.push(last);
                }
                let page_no = i64::try_from(self.pages[who].len()).expect("few") + 1;
                let head = PageHead { cursor: order.map(cursor), ..head(page_no, &given) };
                self.page(who, head, given, *hold).await;
            }
            Step::Repeat { who } => {
                let Some(who) = pick(*who, self.holders.len()) else { return };
                let Some(asked) = self.pages[who].last().cloned() else { return };
                let answer = self.commit(who, &asked.head, &asked.given, asked.hold).await;
                if self.model.holds(who) {
                    let receipt = answer.expect("a receipt");
                    assert_eq!((receipt.counts, receipt.cursor_moved), (asked.counts, asked.moved), "C5");
                } else {
                    assert!(matches!(answer, Err(StoreError::Fenced { .. })), "X1: {answer:?}");
                }
            }
            Step::Finish { who, status } => {
                let Some(who) = pick(*who, self.holders.len()) else { return };
                let (lease, run) = (self.holders[who].lease.clone(), self.holders[who].run);
                let answer = store.finish_run(&lease, run, &end(*status)).await.expect("an answer");
                if self.model.holds(who) {
                    self.model.run(run).status = *status;
                    assert_eq!(answer, Some(self.model.run(run).counts));
                    (self.model.lease, self.model.attempts) = (None, 0);
                } else {
                    assert_eq!(answer, None, "X1, R2");
                }
            }
            Step::Recover => {
                let closed = store.recover_orphans(&[]).await.expect("a sweep");
                let mine: Vec<RunId> =
                    closed.iter().filter(|orphan| orphan.job == self.job).map(|orphan| orphan.run).collect();
                let expected: Vec<RunId> = match self.model.lease {
                    Some((who, true)) => vec![self.holders[who].run],
                    Some((_, false)) | None => Vec::new(),
                };
                assert_eq!(mine, expected, "R1");
                for run in expected {
                    self.model.run(run).status = RunStatus::Abandoned;
                    self.model.fence += 1;
                    self.model.lease = None;
                }
            }
            Step::Reset => {
                let free = self.model.lease.is_none_or(|(_, expired)| expired);
                assert_eq!(store.reset_cursor(self.job, &act("jobs.reset-cursor")).await.expect("an answer"), free);
                if free {
                    self.model.order = None;
                }
            }
            Step::Resume => {
                assert!(
                    store.set_job_status(self.job, JobStatus::Active, &act("jobs.resume")).await.expect("an answer")
                );
                if self.model.quarantined {
                    (self.model.quarantined, self.model.attempts) = (false, 0);
                }
            }
        }
    }

    async fn page(&mut self, who: usize, head: PageHead, given: Vec<Given>, hold: bool) {
        let answer = self.commit(who, &head, &given, hold).await;
        let order = head.cursor.as_ref().and_then(|cursor| cursor.order);
        if !self.model.holds(who) {
            assert!(matches!(answer, Err(StoreError::Fenced { .. })), "X1: {answer:?}");
            return;
        }
        if order.is_some() && order < self.model.order {
            assert!(matches!(answer, Err(StoreError::CursorBack { .. })), "C2: {answer:?}");
            return;
        }
        let receipt = answer.expect("a receipt");
        // A committed page is progress: the claims before it no longer count towards a quarantine.
        self.model.attempts = 0;
        let run = self.holders[who].run;
        let counts = self.model.apply(&given, run);
        assert_eq!(receipt.counts, counts, "N1");
        let moved = order.is_some() && !hold;
        assert_eq!(receipt.cursor_moved, moved);
        if moved {
            self.model.order = order;
        }
        let row = self.model.run(run);
        row.counts.add(&counts);
        row.pages += 1;
        self.pages[who].push(Asked { head, given, hold, counts, moved });
    }

    async fn commit(
        &self,
        who: usize,
        head: &PageHead,
        given: &[Given],
        hold: bool,
    ) -> Result<tidegate::store::page::PageReceipt, StoreError> {
        let inner = decide(given.to_vec(), self.holders[who].run);
        let decide: Decide = Arc::new(move |known| PageWrites { hold_cursor: hold, ..inner(known) });
        self.db.store().commit_page(Arc::new(self.scope(who)), Arc::new(head.clone()), decide).await
    }

    /// The job and its runs agree with the model.
    async fn agrees(&self, step: &Step) {
        let job = self.db.store().job(self.job).await.expect("a job").expect("the job");
        let status = if self.model.quarantined { JobStatus::Quarantined } else { JobStatus::Active };
        assert_eq!((job.fence, job.attempts, job.status), (self.model.fence, self.model.attempts, status), "{step:?}");
        assert_eq!(job.lease_owner.is_some(), self.model.lease.is_some(), "{step:?}");
        let order = self
            .db
            .sql
            .rows(&format!("select cursor_order, cursor_state from integration_sync_jobs where id = {}", self.job))
            .await;
        assert_eq!(order[0][0], self.model.order.map(|order| order.to_string()), "C1, C2: {step:?}");
        assert_eq!(order[0][1].is_some(), self.model.order.is_some(), "C1: {step:?}");
        let query = format!(
            "select id, status, pages, records_seen, records_created, records_updated, records_unchanged, records_duplicate, records_failed
             from integration_sync_runs where job_id = {} order by id",
            self.job
        );
        let rows = self.db.sql.rows(&query).await;
        let expected: Vec<Vec<Option<String>>> = self
            .model
            .runs
            .iter()
            .map(|run| {
                let c = &run.counts;
                let numbers = [run.pages, c.seen, c.created, c.updated, c.unchanged, c.duplicate, c.failed];
                let head = [run.id.to_string(), run.status.to_string()];
                head.into_iter().chain(numbers.map(|n| n.to_string())).map(Some).collect()
            })
            .collect();
        assert_eq!(rows, expected, "R1, R2, N1: {step:?}");
    }

    /// Every row that the history wrote agrees with the model.
    async fn ends(&self) {
        let rows = self.db.sql.rows(&format!(
            "select l.external_id, c.contact_name, l.first_run_id, l.last_run_id, c.first_run_id, c.last_run_id, l.payload_hash
             from integration_object_links l join crm_leads c on c.id = l.internal_id and c.external_id = l.external_id
                and c.connection_id = l.connection_id
             where l.object_type = '{}' order by l.external_id", self.object_type
        )).await;
        let expected: Vec<Vec<Option<String>>> = self
            .model
            .records
            .iter()
            .map(|(id, (version, first, last))| {
                let (first, last) = (first.to_string(), last.to_string());
                let name = format!("Name {id} v{version}");
                let hash = Given::new(id, *version).hash();
                [id.clone(), name, first.clone(), last.clone(), first, last, hash].map(Some).to_vec()
            })
            .collect();
        assert_eq!(rows, expected, "C1");
        let leads = format!("select count(*) from crm_leads where object_type = '{}'", self.object_type);
        assert_eq!(self.db.sql.number(&leads).await, i64::try_from(expected.len()).expect("few"));

        let letters = self.db.sql.rows(&format!(
            "select external_id, payload_hash, attempts from integration_sync_errors where job_id = {} and status = 'open'
             order by external_id, payload_hash", self.job
        )).await;
        let open: Vec<Vec<Option<String>>> = self
            .model
            .letters
            .iter()
            .map(|((id, hash), attempts)| [id.clone(), hash.clone(), attempts.to_string()].map(Some).to_vec())
            .collect();
        assert_eq!(letters, open, "N2");

        let raw = self
            .db
            .sql
            .rows(&format!(
            "select r.status, count(*) from integration_raw_events r join integration_sync_runs s on s.id = r.run_id
             where s.job_id = {} group by r.status order by r.status", self.job
        ))
            .await;
        let expected: Vec<Vec<Option<String>>> =
            self.model.raw.iter().map(|(status, n)| [(*status).to_owned(), n.to_string()].map(Some).to_vec()).collect();
        assert_eq!(raw, expected, "C1");
        for run in &self.model.runs {
            assert_eq!(self.db.store().recount(run.id).await.expect("a recount").ledger, run.counts, "N1");
        }
    }
}

fn histories_agree_with_the_model(database: impl AsyncFnOnce() -> TestDatabase, cases: u32) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let db = runtime.block_on(database());
    runtime.block_on(lay(db.store()));
    let number = AtomicU32::new(0);
    let claims = AtomicU32::new(0);
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(step(), 8..40), |steps| {
        runtime.block_on(async {
            let mut history = History::begin(&db, number.fetch_add(1, Ordering::SeqCst)).await;
            for step in &steps {
                history.take(step).await;
                history.agrees(step).await;
            }
            history.ends().await;
            claims.fetch_add(u32::try_from(history.holders.len()).expect("few"), Ordering::SeqCst);
        });
        Ok(())
    });
    runtime.block_on(db.remove());
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(claims.load(Ordering::SeqCst) > cases, "the histories hardly held the job at all");
}

mod random_histories_agree_with_the_model {
    use super::*;

    #[test]
    fn sqlite() {
        histories_agree_with_the_model(TestDatabase::sqlite, 40);
    }

    #[test]
    fn mysql() {
        histories_agree_with_the_model(TestDatabase::mysql, 20);
    }
}

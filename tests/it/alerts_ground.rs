//! Common ground of the alert tests: a clock that is set, two healthy clients, and faults planted by plain SQL.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tidegate::{
    alerts::{Rules, sweep},
    domain::{
        clock::{Clock, Sleep, Timestamp},
        status::{AlertNews, CheckStatus, Severity},
    },
    store::{
        SharedStore,
        checks::{CheckResult, Evaluation},
    },
};

use crate::{
    store_ground::{at, lay},
    support::databases::{RealClock, TestDatabase},
};

/// Wall time as it is set; waits are real.
pub struct SetClock(Mutex<Timestamp>);

impl SetClock {
    /// At noon of a fixed day.
    pub fn noon() -> Arc<Self> {
        Arc::new(Self(Mutex::new(at("2026-03-01T12:00:00Z"))))
    }

    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus(by);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        RealClock.monotonic()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        RealClock.sleep(duration)
    }
}

pub const HOUR: Duration = Duration::from_secs(3_600);

/// Two clients, four jobs, everything complete a moment ago; and a clock that stands at noon.
pub struct Ground<'d> {
    pub db: &'d TestDatabase,
    pub store: SharedStore,
    pub clock: Arc<SetClock>,
    pub rules: Arc<Rules>,
}

impl<'d> Ground<'d> {
    pub async fn new(db: &'d TestDatabase) -> Self {
        let store = Arc::clone(db.store());
        lay(&store).await;
        let rules = Arc::new(Rules::read(None).unwrap());
        let ground = Self { db, store, clock: SetClock::noon(), rules };
        ground.all_complete().await;
        ground
    }

    /// An instant as a literal of the engine's.
    pub fn literal(&self, at: Timestamp) -> String {
        let text = at.to_iso();
        if self.db.is_mysql() {
            format!("'{}'", text.replace('T', " ").trim_end_matches('Z'))
        } else {
            format!("'{text}'")
        }
    }

    /// `sql` with `{now}` and `{before N}` (hours) filled in.
    pub async fn sql(&self, sql: &str) {
        let mut text = sql.replace("{now}", &self.literal(self.clock.now()));
        for hours in 1..=48 {
            let before = self.literal(self.clock.now().minus(HOUR * hours));
            text = text.replace(&format!("{{before {hours}}}"), &before);
        }
        self.db.sql.ok(&text).await;
    }

    /// Every job completed now.
    pub async fn all_complete(&self) {
        self.sql("update integration_sync_jobs set last_complete_at = {now}").await;
    }

    /// Every job that ever completed completed again now.
    pub async fn others_complete(&self) {
        self.sql("update integration_sync_jobs set last_complete_at = {now} where last_complete_at is not null").await;
    }

    /// One sweep; what it told.
    pub async fn sweep(&self) -> Vec<(String, String, AlertNews)> {
        self.sweep_telling(false).await
    }

    /// As [`Ground::sweep`], with notices laid out when asked for.
    pub async fn sweep_telling(&self, notify: bool) -> Vec<(String, String, AlertNews)> {
        let changes = sweep(&self.store, &self.rules, &*self.clock, notify).await.unwrap();
        changes.into_iter().map(|c| (c.alert.row.rule_key, c.alert.row.subject_key, c.news)).collect()
    }

    /// An evaluation of `acme-hubspot` with one check.
    pub async fn check(&self, key: &str, status: CheckStatus) {
        let connection = self.store.connection("acme-hubspot").await.unwrap().unwrap();
        let result = CheckResult {
            check_key: key.to_owned(),
            severity: Severity::Error,
            status,
            observed: Some(CANARY.to_owned()),
            expected: Some(CANARY.to_owned()),
            detail_internal: Some(CANARY.to_owned()),
            message_client_safe: None,
        };
        let evaluation = Evaluation {
            evaluation_id: uuid::Uuid::new_v4().to_string(),
            connection_id: connection.id,
            client_id: connection.client_id,
            run_id: None,
            results: vec![result],
        };
        self.store.record_checks(&evaluation).await.unwrap();
    }

    /// Finished runs of acme's contacts that ended now, an hour long, having waited so many minutes each.
    pub async fn runs(&self, count: usize, waited_minutes: u64) {
        for _ in 0..count {
            self.sql(&format!(
                "insert into integration_sync_runs (job_id, connection_id, client_id, provider_key, stream, origin, status, started_at, \
                 finished_at, rate_limited_ms, fence, error_internal) select j.id, j.connection_id, j.client_id, 'hubspot', j.stream, 'schedule', \
                 'succeeded', {{before 1}}, {{now}}, {}, 1, '{CANARY}' from integration_sync_jobs j join integration_connections c on c.id = j.connection_id \
                 where c.connection_key = 'acme-hubspot' and j.stream = 'contacts'",
                waited_minutes * 60_000
            ))
            .await;
        }
    }

    /// Open dead letters of acme's contacts, each with a payload's piece in its text.
    pub async fn letters(&self, which: std::ops::Range<usize>) {
        self.runs(1, 0).await;
        for n in which {
            self.sql(&format!(
                "insert into integration_sync_errors (run_id, job_id, connection_id, client_id, origin, stage, stream, external_id, fingerprint, \
                 error_code, message_internal, message_client_safe, remedy, payload_hash, first_seen_at, last_seen_at, status) \
                 select r.id, r.job_id, r.connection_id, r.client_id, 'pull', 'map', r.stream, 'x{n}', 'f', 'unknown_enum', '{CANARY}', 's', 'r', \
                 'h', {{before 1}}, {{now}}, 'open' from integration_sync_runs r where r.id = (select max(x.id) from integration_sync_runs x)"
            ))
            .await;
        }
    }

    /// A held number of acme.
    pub async fn held(&self) {
        self.sql(&format!(
            "insert into report_metrics (client_id, connection_id, metric_key, source_label, title, meaning, unit, direction, status, held_reason, \
             approval_state, attempted_at) select c.client_id, c.id, 'lead_volume', 'CRM', 'Leads', 'New leads', 'count', 'higher_is_better', 'held', \
             '{CANARY}', 'draft', {{now}} from integration_connections c where c.connection_key = 'acme-hubspot'"
        ))
        .await;
    }
}

/// What must never leave: as a payload's piece or a secret would.
pub const CANARY: &str = "canary-7f3a-ada@customer.example";

/// `told` as expected: rule, subject, news.
pub fn news(rule: &str, subject: &str, news: AlertNews) -> (String, String, AlertNews) {
    (rule.to_owned(), subject.to_owned(), news)
}

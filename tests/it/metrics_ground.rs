//! Common ground of the metrics' tests: two clients, rows with times, runs as they ended, and a clock that is set.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rust_decimal::Decimal;
use tidegate::{
    domain::{
        business::TABLES,
        clock::{Clock, Sleep, Timestamp},
        gate::{Finding, Verdict},
    },
    metrics::{
        Definitions, Desk, Entry, Feeds, MapFacts, Outcome, ProviderFacts, ProviderMetrics, Published, Verdicts, Window,
    },
    store::{
        SharedStore,
        catalogue::{AdminAction, Client, Connection},
        metrics::Snapshot,
    },
};

use crate::{
    store_ground::{act, lay},
    support::databases::{TestDatabase, TextRow},
};

/// A wall clock that stands where a test puts it.
pub struct SetClock(Mutex<Timestamp>);

impl SetClock {
    pub fn set(&self, at: &str) {
        *self.0.lock().unwrap() = crate::store_ground::at(at);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _duration: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}

/// The database with what is declared, and what metrics stand on.
pub struct Scene<'d> {
    pub db: &'d TestDatabase,
    pub clock: Arc<SetClock>,
    pub definitions: Definitions,
    pub feeds: Feeds,
    pub acme: Client,
    pub verdict: Verdict,
}

/// Definitions of the tests, besides the built-in ones.
pub fn definitions(extra: &str) -> Definitions {
    let files = [("test.yaml".to_owned(), extra.to_owned())];
    Definitions::load(&files).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The provider `hubspot` feeds these metrics; its contacts fill every business table.
pub fn feeds(definitions: &mut Definitions, metrics: &[&str]) -> Feeds {
    let maps = TABLES
        .iter()
        .map(|table| MapFacts {
            stream: "contacts".to_owned(),
            version: "1".to_owned(),
            table: table.name,
            columns: table.columns.iter().map(|column| column.name.to_owned()).collect(),
        })
        .collect();
    let provider = ProviderFacts {
        maps_broken: false,
        provider_key: "hubspot".to_owned(),
        names: vec!["hubspot".to_owned(), "HubSpot".to_owned()],
        file: "metrics.yaml".to_owned(),
        metrics: ProviderMetrics {
            feeds: metrics.iter().map(|key| ((*key).to_owned(), None)).collect(),
            own: Vec::new(),
        },
        maps,
    };
    let (feeds, problems) = Feeds::assemble(definitions, vec![provider]);
    assert_eq!(problems, []);
    feeds
}

/// Checks that let everything through.
pub fn passed() -> Verdict {
    Verdict { evaluation_id: Some("evaluation".to_owned()), ..Verdict::default() }
}

pub fn finding(check: &str, client_safe: &str) -> Finding {
    Finding { check_key: check.to_owned(), internal: format!("{check} was seen"), client_safe: client_safe.to_owned() }
}

impl<'d> Scene<'d> {
    /// The 5th of November 2026: October is the last month that has ended.
    pub async fn new(db: &'d TestDatabase, extra: &str, metrics: &[&str]) -> Self {
        lay(db.store()).await;
        let mut definitions = definitions(extra);
        let feeds = feeds(&mut definitions, metrics);
        let acme = db.store().clients().await.unwrap().into_iter().find(|client| client.client_key == "acme").unwrap();
        let clock = Arc::new(SetClock(Mutex::new(crate::store_ground::at("2026-11-05T09:00:00Z"))));
        Self { db, clock, definitions, feeds, acme, verdict: passed() }
    }

    pub fn store(&self) -> &SharedStore {
        self.db.store()
    }

    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn desk(&self) -> Desk<'_> {
        Desk {
            store: self.store(),
            definitions: &self.definitions,
            feeds: &self.feeds,
            clock: self.clock.as_ref(),
            environments: tidegate::domain::status::Environment::ALL,
        }
    }

    pub async fn connection(&self, key: &str) -> Connection {
        self.store().connection(key).await.unwrap().unwrap()
    }

    /// An instant as this engine writes it.
    pub fn time(&self, text: &str) -> String {
        let at = crate::store_ground::at(text);
        if self.db.is_mysql() { format!("'{}'", at.naive().format("%Y-%m-%d %H:%M:%S%.6f")) } else { format!("'{at}'") }
    }

    /// A row of a business table of `acme-hubspot`: columns and their SQL values besides those that each row has. Gives its id.
    pub async fn row(&self, table: &str, id: &str, columns: &[(&str, String)]) {
        self.row_of("acme-hubspot", table, id, columns).await;
    }

    pub async fn row_of(&self, connection: &str, table: &str, id: &str, columns: &[(&str, String)]) {
        let connection = self.connection(connection).await;
        let names: String = columns.iter().map(|(name, _)| format!(", {name}")).collect();
        let values: String = columns.iter().map(|(_, value)| format!(", {value}")).collect();
        self.db
            .sql
            .ok(&format!(
                "insert into {table} (client_id, connection_id, provider_key, source_label, object_type, external_id, first_run_id, \
                 last_run_id{names}) values ({}, {}, 'hubspot', 'CRM', 'contact', '{id}', 1, 1{values})",
                connection.client_id, connection.id
            ))
            .await;
    }

    /// A lead of `acme-hubspot`.
    pub async fn lead(&self, id: &str, received: &str) {
        self.row("crm_leads", id, &[("received_at", self.time(received))]).await;
    }

    /// A run that has ended, of `acme-hubspot`'s contacts.
    pub async fn ran(&self, status: &str, finished: &str) {
        self.ran_as("acme-hubspot", "schedule", status, finished, [0; 3]).await;
    }

    /// `records`: seen (all of them ignored or updated), updated, ignored.
    pub async fn ran_as(&self, connection: &str, origin: &str, status: &str, finished: &str, records: [i64; 3]) {
        let connection = self.connection(connection).await;
        let job = crate::store_ground::job_id(self.store(), &connection.spec.connection_key, "contacts").await;
        let at = self.time(finished);
        let [seen, updated, ignored] = records;
        self.db
            .sql
            .ok(&format!(
                "insert into integration_sync_runs (job_id, connection_id, client_id, provider_key, stream, origin, status, \
                 started_at, finished_at, fence, records_seen, records_updated, records_ignored, records_unchanged) \
                 values ({job}, {}, {}, 'hubspot', 'contacts', '{origin}', '{status}', {at}, {at}, 1, {seen}, {updated}, {ignored}, {})",
                connection.id,
                connection.client_id,
                seen - updated - ignored
            ))
            .await;
        if status == "succeeded" && !["test_batch", "replay"].contains(&origin) {
            self.db.sql.ok(&format!("update integration_sync_jobs set last_complete_at = {at} where id = {job}")).await;
        }
    }

    /// October's contacts were read to the end.
    pub async fn complete(&self) {
        self.ran("succeeded", "2026-11-03T00:10:00Z").await;
    }

    pub async fn entry(&self, metric: &str) -> Entry {
        let mut entries = self.desk().entries(self.acme.id, Some(metric)).await.unwrap();
        assert_eq!(entries.len(), 1, "one entry of {metric}");
        entries.remove(0)
    }

    pub fn window(&self, metric: &str, period: &str) -> Window {
        let definition = self.definitions.get(metric).unwrap();
        Window::parse(period, definition.period, definition.zone, self.clock.now()).unwrap()
    }

    pub async fn snapshot(&self, metric: &str, period: &str) -> Snapshot {
        let definition = self.definitions.get(metric).unwrap();
        let connection = self.connection("acme-hubspot").await;
        self.desk().snapshot(definition, &connection, &self.window(metric, period)).await.unwrap()
    }

    /// The value of a period, with its currency if it has one.
    pub async fn value(&self, metric: &str, period: &str) -> String {
        let number = self.snapshot(metric, period).await.number;
        let value = number.value.map_or_else(|| "none".to_owned(), |value: Decimal| value.normalize().to_string());
        format!("{value}{}", number.currency.map(|code| format!(" {code}")).unwrap_or_default())
    }

    pub async fn verdicts(&self) -> Verdicts {
        let connections = self.store().connections().await.unwrap();
        connections.into_iter().map(|connection| (connection.id, self.verdict.clone())).collect()
    }

    pub async fn publish(&self) -> Vec<Published> {
        self.desk().publish(&self.acme, None, &self.verdicts().await).await.unwrap()
    }

    /// Publishes the one metric; gives the reasons when it was held.
    pub async fn publish_one(&self) -> Result<Published, Vec<String>> {
        let mut all = self.publish().await;
        assert_eq!(all.len(), 1, "{all:?}");
        let one = all.remove(0);
        match one.outcome.clone() {
            Outcome::Held(reasons) => Err(reasons),
            Outcome::Published | Outcome::Unchanged => Ok(one),
        }
    }

    pub fn act(&self, action: &str) -> AdminAction {
        act(action)
    }

    /// All that portals see, as text.
    pub async fn cards(&self) -> Vec<TextRow> {
        let cast = if self.db.is_mysql() { "char" } else { "text" };
        let text = format!(
            "select client_key, title, source, period, unit, cast(baseline as {cast}), cast(current as {cast}), status, next_action, \
             note, cast(updated_at as {cast}) from portal_cards order by client_key, title, source"
        );
        self.db.sql.rows(&text).await
    }

    /// Why a card is not newer.
    pub async fn held_reason(&self, metric: &str) -> String {
        let report = self.store().report(self.acme.id, metric, "CRM").await.unwrap().unwrap();
        report.held_reason.unwrap_or_default()
    }
}

//! A stream pulled from the simulated provider as the pipeline would pull it: page by page, with a cursor that is kept.
//!
//! Owns what arrived, what the cursor came to, and whether it went past something that did not arrive. Refuses to forgive: what a scenario
//! makes of it is the scenario's.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    clock::TrialClock,
    connection::Connection,
    provider::{Provider, Quirks, Row},
    setup::{Setup, connect, request},
};
use crate::{
    connector::{Connector as _, ConnectorError, Page, manifest::ManifestConnector},
    domain::{
        clock::{Clock as _, Timestamp},
        cursor::Cursor,
        record::Item,
    },
};

/// A pull that has more pages does not end.
const MOST_PAGES: u32 = 3_000;

/// A connection that was pulled so far.
pub struct Walk<'s> {
    setup: &'s Setup<'s>,
    pub provider: Arc<Provider>,
    pub clock: Arc<TrialClock>,
    connector: ManifestConnector,
    /// What arrived, by id, with when it was changed.
    pub kept: BTreeMap<String, Option<Timestamp>>,
    pub broken: usize,
    pub cursor: Option<Value>,
}

/// One run.
#[derive(Default)]
pub struct Ran {
    pub error: Option<ConnectorError>,
    pub pages: u32,
    /// Records that were handed over, with those that came twice.
    pub delivered: usize,
    /// Why the cursor was not safe.
    pub past: Option<String>,
    /// The provider's own count.
    pub total: Option<i64>,
    /// The trial itself went wrong.
    pub broken: Option<String>,
}

impl<'s> Walk<'s> {
    /// A fresh connection to a provider of those records.
    ///
    /// # Errors
    /// The connection cannot be made.
    pub fn new(setup: &'s Setup<'s>, rows: Vec<Row>, quirks: Quirks) -> Result<Self, String> {
        Self::with(setup, rows, quirks, |_| {})
    }

    /// As [`Walk::new`], with the provider changed before anybody asks it.
    ///
    /// # Errors
    /// The connection cannot be made.
    pub fn with(
        setup: &'s Setup<'s>,
        rows: Vec<Row>,
        quirks: Quirks,
        change: impl FnOnce(&mut Provider),
    ) -> Result<Self, String> {
        Self::made(setup, &setup.connection, rows, quirks, change)
    }

    /// As [`Walk::new`], with a connection of its own.
    ///
    /// # Errors
    /// The connection cannot be made.
    pub fn by(setup: &'s Setup<'s>, connection: &Connection, rows: Vec<Row>, quirks: Quirks) -> Result<Self, String> {
        Self::made(setup, connection, rows, quirks, |_| {})
    }

    fn made(
        setup: &'s Setup<'s>,
        connection: &Connection,
        rows: Vec<Row>,
        quirks: Quirks,
        change: impl FnOnce(&mut Provider),
    ) -> Result<Self, String> {
        let clock = Arc::clone(&setup.clock);
        clock.reset();
        let mut provider = setup.provider(rows, quirks);
        if let Some(provider) = Arc::get_mut(&mut provider) {
            change(provider);
        }
        setup.server.play(&provider);
        let connector = connect(&setup.manifest, &setup.provider_key, connection, setup.server, &setup.gate)?;
        Ok(Self { setup, provider, clock, connector, kept: BTreeMap::new(), broken: 0, cursor: None })
    }

    /// One run, to its end or, when it is broken off, for so many pages.
    pub async fn run(&mut self, stop_after: Option<u32>) -> Ran {
        let mut ran = Ran::default();
        let started_at = self.clock.now();
        let mut request = request(&self.setup.profile, started_at, self.cursor.clone(), self.setup.limit());
        loop {
            match self.connector.told(&request).await {
                Ok(Some(told)) => self.provider.world().told = told,
                Ok(None) => break,
                Err(error) => {
                    ran.error = Some(error);
                    break;
                }
            }
            let page = match self.connector.pull(&request).await {
                Ok(page) => page,
                Err(error) => {
                    ran.error = Some(error);
                    break;
                }
            };
            ran.pages += 1;
            request.position.clone_from(&page.next);
            self.take(page, &mut ran);
            if request.position.is_none() || stop_after == Some(ran.pages) {
                break;
            }
            if ran.pages > MOST_PAGES {
                ran.broken = Some(format!("the pull did not end after {MOST_PAGES} pages"));
                break;
            }
        }
        ran.broken = ran.broken.or(self.provider.world().broken.take());
        ran
    }

    fn take(&mut self, page: Page, ran: &mut Ran) {
        ran.total = ran.total.or(page.provider_total);
        for item in page.items {
            match item {
                Item::Record(record) => {
                    ran.delivered += 1;
                    if let Some(id) = record.external_id {
                        self.kept.insert(id, record.source_updated_at);
                    } else {
                        self.broken += 1;
                    }
                }
                Item::Broken(_) => self.broken += 1,
            }
        }
        if let Some(Cursor { state, order }) = page.cursor {
            if let Some(at) = order.and_then(Timestamp::from_micros)
                // Requests ask from the cursor on, inclusive: what has the cursor's own time is still to come.
                && let Some(missing) = self.behind(at).first()
            {
                let told = format!("the cursor went to {at}, past {missing}");
                ran.past.get_or_insert(told);
            }
            self.cursor = Some(state);
        }
    }

    /// What was changed before an instant, and did not arrive as it is now. What has no time is behind no cursor.
    fn behind(&self, at: Timestamp) -> Vec<String> {
        let before = at.minus(Duration::from_micros(1));
        self.absent(self.provider.truth(Some(before)).into_iter().filter(|(_, at)| at.is_some()))
    }

    /// What the provider holds up to an instant, and did not arrive as it is now.
    pub fn missing(&self, upto: Option<Timestamp>) -> Vec<String> {
        self.absent(self.provider.truth(upto).into_iter())
    }

    fn absent(&self, truth: impl Iterator<Item = (String, Option<Timestamp>)>) -> Vec<String> {
        let arrived =
            |id: &str, at: Option<Timestamp>| self.kept.get(id).is_some_and(|kept| at.is_none() || *kept >= at);
        let told = |id: String, at: Option<Timestamp>| {
            let when = at.map(|at| format!(" of {at}")).unwrap_or_default();
            format!("the record '{id}'{when}")
        };
        truth.filter(|(id, at)| !arrived(id, *at)).map(|(id, at)| told(id, at)).collect()
    }

    /// What should have arrived by now, and did not.
    pub fn lost(&self) -> Option<String> {
        let upto = self.setup.trial.reach(self.clock.now()).ok().flatten().map(|(_, upto)| upto);
        let missing = self.missing(upto);
        let first = missing.first()?;
        Some(match missing.len() {
            1 => format!("{first} never arrived"),
            more => format!("{more} records never arrived, among them {first}"),
        })
    }

    /// The provider behaves from now on, and time passes.
    pub fn calm(&self, after: Duration) {
        self.provider.world().quirks = Quirks::default();
        self.clock.advance(after);
    }
}

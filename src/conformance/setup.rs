//! What is found out about a stream before it is tried: its connection, its records, its pages, what its requests say of time.
//!
//! Owns the way from a folder to a [`Setup`]. Refuses with a reason where a stream cannot be simulated; that reason is told for each
//! scenario.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use regex::Regex;
use serde_json::{Map, Value};

use super::{
    asked::Asked,
    clock::TrialClock,
    connection::{Connection, Kept},
    fixtures,
    pages::Pages,
    provider::{Canned, Provider, Quirks, Row, USUAL, World, external_id, row},
    sample::Sample,
    server::Server,
};
use crate::{
    connector::{
        Connector as _, PullRequest,
        http::{GateOptions, HttpGate},
        manifest::{
            Manifest, ManifestConnector,
            reroute::Told,
            trial::{Paging, Profile, Trial},
        },
        registry::ConnectionFacts,
    },
    domain::{
        clock::{Clock, Timestamp},
        status::SyncMode,
    },
    mapping::FieldMap,
};

/// When every trial begins.
const NOW: &str = "2026-06-15T12:00:00Z";
const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

/// A stream, ready to be tried.
pub struct Setup<'s> {
    pub manifest: Manifest,
    pub provider_key: String,
    pub dir: std::path::PathBuf,
    pub profile: Profile,
    pub map: Option<Arc<FieldMap>>,
    pub server: &'s Server,
    pub connection: Connection,
    pub trial: Arc<Trial>,
    pub pages: Pages,
    pub sample: Arc<Sample>,
    pub partition: Map<String, Value>,
    pub narrowed: (bool, bool),
    pub parents: Vec<(Regex, Value)>,
    pub own: Regex,
    pub grant: Option<Regex>,
    /// One gate and one clock for all walks: building a client takes longer than a walk.
    pub gate: Arc<HttpGate>,
    pub clock: Arc<TrialClock>,
    made: Mutex<BTreeMap<usize, Vec<Row>>>,
    /// Where the records' time ends.
    pub upto: Timestamp,
}

/// The instant at which trials begin.
pub fn begin() -> Timestamp {
    NOW.parse().expect("the text is an instant with a zone")
}

/// Bodies of the streams whose records are partitions, by the patterns of their addresses.
///
/// # Errors
/// A parent has no fixtures.
pub fn parents(
    dir: &std::path::Path,
    manifest: &Manifest,
    profile: &Profile,
    whole: &Value,
) -> Result<Vec<(Regex, Value)>, String> {
    let mut found = Vec::new();
    for (name, pattern) in &profile.parents {
        let pattern = Regex::new(pattern).map_err(|_| "a parent's address cannot be matched".to_owned())?;
        let pages = fixtures::pages(dir, name);
        let none = || format!("its parent '{name}' has no fixtures: keep a page of it in fixtures/{name}");
        let body = match manifest.trial(name, begin(), whole.clone()) {
            Some(trial) => {
                let bodies = fixtures::readable(&pages, &trial);
                let last = |body: &&Value| {
                    let token = trial.next_token(body, &BTreeMap::new(), &Value::Null, trial.page_size());
                    token.is_ok_and(|token| token.is_none())
                };
                bodies.iter().find(last).or(bodies.first()).cloned().ok_or_else(none)?
            }
            None => pages.into_iter().find_map(|page| page.body).ok_or_else(none)?,
        };
        found.push((pattern, body));
    }
    Ok(found)
}

impl<'s> Setup<'s> {
    /// Finds out all that scenarios need.
    ///
    /// # Errors
    /// Why the stream cannot be simulated.
    pub async fn of(
        dir: &std::path::Path,
        provider_key: &str,
        manifest: &Manifest,
        profile: Profile,
        map: Option<Arc<FieldMap>>,
        server: &'s Server,
    ) -> Result<Self, String> {
        if !profile.json {
            return Err("the simulated provider answers in JSON, and this stream is read otherwise".to_owned());
        }
        let now = begin();
        let connection = Connection::of(dir, manifest, &profile, now)?;
        let whole = connection.whole(manifest);
        let trial = manifest.trial(&profile.spec.name, now, whole.clone()).ok_or("there is no such stream")?;
        let trial = Arc::new(trial);
        let kept = fixtures::pages(dir, &profile.spec.name);
        let bodies = fixtures::readable(&kept, &trial);
        let all: Vec<Value> = kept.into_iter().filter_map(|page| page.body).collect();
        let own = Regex::new(&profile.address).map_err(|_| "the stream's address cannot be matched")?;
        let parents = parents(dir, manifest, &profile, &whole)?;
        let grant = trial.grant("conformance-token-0000", 3_600, now);
        let fetched = grant.as_ref().and_then(|grant| Regex::new(&grant.address).ok());
        server.replay(Canned::new(404, &Value::Null), parents.clone(), grant);
        let clock = TrialClock::at(now);
        let gate = gate(&clock)?;
        let connector = connect(manifest, provider_key, &connection, server, &gate)?;
        let first = connector.told(&request(&profile, now, None, None)).await;
        let first = first.map_err(|error| format!("its first request cannot be made: {error}"))?;
        let partition = first.ok_or("its parents' fixtures give no partition")?.partition;
        let sample =
            Sample::of(&trial, &bodies, &profile.spec.primary_key, profile.spec.cursor_field.is_some(), &partition)?;
        let pages = Pages::of(&trial, &profile, &bodies, &all, &sample)?;
        let reach = trial.reach(now).map_err(|error| error.message)?;
        let mut setup = Self {
            manifest: manifest.clone(),
            provider_key: provider_key.to_owned(),
            dir: dir.to_owned(),
            profile,
            map,
            server,
            connection,
            trial,
            pages,
            sample: Arc::new(sample),
            partition,
            narrowed: (true, true),
            parents,
            own,
            grant: fetched,
            gate,
            clock,
            made: Mutex::default(),
            upto: reach.map_or(now, |(_, upto)| upto),
        };
        if setup.profile.spec.cursor_field.is_some() {
            setup.narrowed = setup.narrowing().await?;
        }
        Ok(setup)
    }

    /// Whether requests say where their window begins, and where it ends: they differ when it does.
    async fn narrowing(&self) -> Result<(bool, bool), String> {
        let (now, days) = (begin(), 48 * HOUR);
        let earlier = Connection::of(&self.dir, &self.manifest, &self.profile, now.minus(days))?;
        let by_cursor = self.profile.start_options.is_empty() && !self.profile.routed;
        let cursors = if by_cursor {
            [self.trial.state(now.minus(days)), self.trial.state(now.minus(2 * days))]
        } else {
            [None, None]
        };
        let [usual, start, end] = [
            self.first_request(&self.connection, now, cursors[0].clone()).await?,
            self.first_request(&earlier, now, cursors[1].clone()).await?,
            self.first_request(&self.connection, now.plus(26 * HOUR), cursors[0].clone()).await?,
        ];
        // A first window that ends long before now says nothing of now; its own end must stand in the request.
        let cut = usual.1.filter(|(_, until)| until.plus(24 * HOUR) < self.upto);
        let ends = match cut {
            Some((_, until)) => usual.0.times().any(|at| at.since(until).max(until.since(at)) < 24 * HOUR),
            None => usual.0.compared() != end.0.compared(),
        };
        Ok((usual.0.compared() != start.0.compared(), ends))
    }

    async fn first_request(
        &self,
        connection: &Connection,
        started_at: Timestamp,
        cursor: Option<Value>,
    ) -> Result<(Asked, Option<(Timestamp, Timestamp)>), String> {
        let provider = self.provider(self.rows(1), Quirks::default());
        self.server.play(&provider);
        let connector = connect(&self.manifest, &self.provider_key, connection, self.server, &self.gate)?;
        let request = request(&self.profile, started_at, cursor, None);
        // Whatever comes of it: the request is what counts.
        let window = connector.told(&request).await.ok().flatten().and_then(|told| told.window);
        let pulled = connector.pull(&request).await;
        let world = provider.world();
        let own = world
            .asked
            .iter()
            .rev()
            .find(|asked| self.own.is_match(asked.url.as_str().split('?').next().unwrap_or("")));
        let own = own.cloned().ok_or_else(|| match pulled {
            Err(error) => format!("its first request could not be made: {}", error.message),
            Ok(_) => "its first request went nowhere".to_owned(),
        })?;
        Ok((own, window))
    }

    /// A provider of those records.
    pub fn provider(&self, rows: Vec<Row>, quirks: Quirks) -> Arc<Provider> {
        let mut world = World::new(rows, quirks, &self.partition);
        world.told = Told { partition: self.partition.clone(), ..Told::default() };
        Arc::new(Provider {
            clock: Arc::clone(&self.clock),
            profile: self.profile.clone(),
            trial: Arc::clone(&self.trial),
            pages: self.pages.clone(),
            sample: Arc::clone(&self.sample),
            proofs: self.connection.proofs(),
            narrowed: self.narrowed,
            parents: self.parents.clone(),
            own: self.own.clone(),
            grant: self.grant.clone(),
            world: Mutex::new(world),
        })
    }

    /// So many records, changed one after the other within an hour.
    pub fn rows(&self, count: usize) -> Vec<Row> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = made.entry(count).or_insert_with(|| {
            let step = 3_600_000 / count.max(1) as u64;
            let begin = self.upto.minus(2 * HOUR);
            let at = |number: u64| begin.plus(std::time::Duration::from_millis(number * step));
            let one = |number: u64| {
                let row = row(&self.sample, number, self.cursor().then(|| at(number)), 0);
                row.id.get_or_init(|| external_id(&self.trial, &row, &self.partition));
                row
            };
            (0..count as u64).map(one).collect()
        });
        rows.clone()
    }

    /// So many records, all changed at the same instant, on a whole second.
    pub fn rows_at(&self, count: usize, at: Timestamp) -> Vec<Row> {
        (0..count as u64).map(|number| row(&self.sample, number, Some(at), 0)).collect()
    }

    /// Whether the stream has a cursor.
    pub fn cursor(&self) -> bool {
        self.profile.spec.cursor_field.is_some()
    }

    /// Records of a page.
    pub fn page(&self) -> usize {
        let size = self.trial.page_size().and_then(|size| usize::try_from(size).ok()).or(self.profile.full_page);
        match (self.profile.paging, self.limit()) {
            (Paging::None, _) => 5,
            (_, Some(limit)) => size.map_or(USUAL, |size| size.min(limit)),
            (_, None) => size.unwrap_or(USUAL),
        }
    }

    /// How many records are asked for at once, where that can be said.
    pub fn limit(&self) -> Option<usize> {
        (self.profile.size_sent && !self.profile.by_last_size).then_some(USUAL)
    }

    /// Records of three pages, the last one short.
    pub fn three_pages(&self) -> usize {
        if self.profile.paging == Paging::None { 5 } else { 2 * self.page() + 1 }
    }

    /// The number of a request in the middle of the listing.
    pub fn middle(&self) -> u32 {
        u32::from(self.profile.paging != Paging::None)
    }

    /// A page is followed by others.
    pub fn paged(&self) -> bool {
        self.profile.paging != Paging::None
    }
}

/// A gate that may ask this machine, and waits on that clock.
///
/// # Errors
/// No client can be built.
pub fn gate(clock: &Arc<TrialClock>) -> Result<Arc<HttpGate>, String> {
    let options = GateOptions { allow_private: vec!["127.0.0.0/8".to_owned()], ..GateOptions::default() };
    HttpGate::new(options, Arc::clone(clock) as Arc<dyn Clock>).map_err(|error| error.to_string())
}

/// Accounts of the trials: each has limits of its own.
static ACCOUNTS: AtomicU64 = AtomicU64::new(1);

/// A connector that asks the server.
///
/// # Errors
/// The connection's options do not fit.
pub fn connect(
    manifest: &Manifest,
    provider_key: &str,
    connection: &Connection,
    server: &Server,
    gate: &Arc<HttpGate>,
) -> Result<ManifestConnector, String> {
    let facts = ConnectionFacts {
        connection_key: "conformance".to_owned(),
        provider_account_id: ACCOUNTS.fetch_add(1, Ordering::Relaxed).to_string(),
        config: connection.config.clone(),
        credential: Kept::of(&connection.secret),
        gate: Arc::clone(gate),
    };
    ManifestConnector::rerouted(manifest, provider_key, facts, &server.address).map_err(|error| {
        format!("no connection can be made up for it: {}; name its options in fixtures/connection.json", error.message)
    })
}

/// The first request of a pull.
pub fn request(profile: &Profile, started_at: Timestamp, cursor: Option<Value>, limit: Option<usize>) -> PullRequest {
    let mode = if profile.spec.cursor_field.is_some() { SyncMode::Incremental } else { SyncMode::FullRefresh };
    PullRequest {
        stream: profile.spec.name.clone(),
        mode,
        cursor,
        position: None,
        started_at,
        limit,
        traffic: Arc::default(),
    }
}

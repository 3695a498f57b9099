//! What the simulated provider holds, and what it does beside its documentation.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Map, Value};

use super::{asked::Asked, sample::Sample};
use crate::{connector::manifest::reroute::Told, domain::clock::Timestamp};

/// A record of the provider.
#[derive(Debug, Clone)]
pub struct Row {
    pub number: u64,
    pub raw: Value,
    /// When it was last changed, as its own text has it.
    pub at: Option<Timestamp>,
    /// Which partition it is in, counted as they were first asked for.
    pub partition: usize,
    pub gone: bool,
    /// Its external id, once somebody asked for it.
    pub id: OnceLock<Option<String>>,
}

/// An answer without any listing behind it.
#[derive(Debug, Clone)]
pub struct Canned {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Canned {
    pub fn new(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// In which order a listing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Oldest,
    Newest,
    /// As they were made.
    Made,
}

/// Something that happens at the provider while it is read.
pub type Event = Arc<dyn Fn(&mut World, &Sample) + Send + Sync>;

/// What the provider does beside its documentation.
#[derive(Clone)]
pub struct Quirks {
    /// Canned answers for the listing's requests from that number on, so many of them.
    pub canned: Option<(u32, u32, Canned)>,
    /// No page is larger.
    pub cap: Option<usize>,
    /// The last page leads on to an empty one.
    pub past_end: bool,
    /// That request is given no records, and led on.
    pub empty_at: Option<u32>,
    /// That request is given the page before it once more.
    pub repeat_at: Option<u32>,
    /// The first page with records comes for ever.
    pub repeats: bool,
    /// One record stands there without a list around it.
    pub one_without_list: bool,
    pub order: Order,
    /// How long a token is good, in seconds.
    pub token_life: Option<u64>,
    /// How long each answer takes on the trial's clock.
    pub takes: Duration,
    /// After so many pages with records, once.
    pub event: Option<(u32, Event)>,
    /// Parameters that are none, are refused.
    pub strict: bool,
    /// Listings leave out what was never changed.
    pub hides_unchanged: bool,
}

/// The provider's records and what it was asked.
pub struct World {
    pub rows: Vec<Row>,
    pub quirks: Quirks,
    /// What the connector says it asks with, request by request.
    pub told: Told,
    pub asked: Vec<Asked>,
    /// Requests of the listing.
    pub listed: u32,
    /// Pages of it that held records.
    pub shown: u32,
    pub(super) partitions: Vec<Map<String, Value>>,
    pub(super) issued: HashMap<String, (usize, Arc<Vec<usize>>)>,
    pub(super) tokens: HashMap<String, Timestamp>,
    pub(super) repeated: Option<(Value, Vec<(String, String)>)>,
    pub(super) next_mark: u32,
    /// Why the provider could not answer as it was meant to.
    pub broken: Option<String>,
}

/// Records of a page where nobody says how many.
pub const USUAL: usize = 3;

impl Default for Quirks {
    fn default() -> Self {
        Self {
            canned: None,
            cap: None,
            past_end: false,
            empty_at: None,
            repeat_at: None,
            repeats: false,
            one_without_list: false,
            order: Order::Oldest,
            token_life: None,
            takes: Duration::ZERO,
            event: None,
            strict: false,
            hides_unchanged: false,
        }
    }
}

impl World {
    pub fn new(rows: Vec<Row>, quirks: Quirks, first: &Map<String, Value>) -> Self {
        Self {
            rows,
            quirks,
            told: Told::default(),
            asked: Vec::new(),
            listed: 0,
            shown: 0,
            partitions: vec![first.clone()],
            issued: HashMap::new(),
            tokens: HashMap::new(),
            repeated: None,
            next_mark: 0,
            broken: None,
        }
    }

    /// Adds a record that was changed at that instant.
    pub fn add(&mut self, sample: &Sample, at: Option<Timestamp>) -> u64 {
        let number = self.rows.iter().map(|row| row.number + 1).max().unwrap_or(0);
        self.rows.push(row(sample, number, at, 0));
        number
    }
}

/// A record with that number.
pub fn row(sample: &Sample, number: u64, at: Option<Timestamp>, partition: usize) -> Row {
    let raw = sample.record(number, at);
    let at = at.map(|at| sample.told_at(&raw, number).unwrap_or(at));
    Row { number, raw, at, partition, gone: false, id: OnceLock::new() }
}

//! Simulated accounts: numbered contacts and deals, and what happens to them over time.
//!
//! Owns which records exist, when they changed and how they are spoilt. What a record looks like is `people`'s.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{Datelike, Timelike};
use serde_json::Value;

use super::{locked, people};
use crate::domain::clock::{Clock, Timestamp};

/// What an account has records of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    Contacts,
    Deals,
}

impl ObjectKind {
    /// By the word in the path.
    pub fn of_path(word: &str) -> Option<Self> {
        match word {
            "contacts" => Some(Self::Contacts),
            "deals" => Some(Self::Deals),
            _ => None,
        }
    }

    /// The property that holds the time of the last change; the provider names it differently by object.
    pub const fn modified_property(self) -> &'static str {
        match self {
            Self::Contacts => "lastmodifieddate",
            Self::Deals => "hs_lastmodifieddate",
        }
    }
}

/// How a record is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// A life-cycle stage that no field map can know.
    UnknownLifecycle,
    NoEmailShape,
    PhoneGarbage,
    /// No id anywhere in the record.
    MissingId,
    UnknownDealStage,
    AmountGarbage,
    /// The time of the last change is not a time.
    TimeGarbage,
    /// Not an object but a string.
    NotAnObject,
}

/// So many calls in a sliding window; what is beyond gets 429 with `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimit {
    pub calls: usize,
    pub window: Duration,
}

/// An account as it is declared.
#[derive(Debug, Clone)]
pub struct AccountOptions {
    pub portal_id: String,
    pub token: String,
    pub seed: u64,
    pub contacts: u64,
    pub deals: u64,
    /// The first records' times lie in the thirty days after this.
    pub base: Timestamp,
    pub limit: Option<CallLimit>,
}

impl AccountOptions {
    /// An empty account; the seed follows from the portal id, the records' times from January 2026.
    pub fn new(portal_id: &str, token: &str) -> Self {
        const JANUARY_2026_US: i64 = 1_767_225_600_000_000;
        Self {
            portal_id: portal_id.to_owned(),
            token: token.to_owned(),
            seed: portal_id.bytes().fold(7, |seed, byte| people::mix(seed, u64::from(byte))),
            contacts: 0,
            deals: 0,
            base: Timestamp::from_micros(JANUARY_2026_US).expect("January 2026 is in the calendar"),
            limit: None,
        }
    }

    #[must_use]
    pub fn contacts(mut self, contacts: u64) -> Self {
        self.contacts = contacts;
        self
    }

    #[must_use]
    pub fn deals(mut self, deals: u64) -> Self {
        self.deals = deals;
        self
    }

    /// Moves the first records so that part of them was created in the last ended month (UTC), none after it, and that no change lies
    /// ahead of `now`.
    #[must_use]
    pub fn in_the_last_month(mut self, now: Timestamp) -> Self {
        // Created within fifteen days, changed within thirty: a start before the month keeps both inside of the shortest one.
        const BEFORE: chrono::Days = chrono::Days::new(5);
        let last = now.utc().with_day(1).and_then(|first| first.checked_sub_months(chrono::Months::new(1)));
        let base = last.and_then(|first| first.date_naive().checked_sub_days(BEFORE));
        if let Some(base) = base.and_then(|day| day.and_hms_opt(0, 0, 0)) {
            self.base = Timestamp::new(base.and_utc());
        }
        self
    }

    #[must_use]
    pub fn limit(mut self, calls: usize, window: Duration) -> Self {
        self.limit = Some(CallLimit { calls, window });
        self
    }
}

/// What is kept of a record; its content follows from this, the seed and the id.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    /// How often it was edited.
    pub(super) revision: u64,
    pub(super) archived_at: Option<Timestamp>,
    pub(super) bad: Option<Bad>,
}

#[derive(Default)]
struct Book {
    contacts: BTreeMap<u64, Entry>,
    deals: BTreeMap<u64, Entry>,
}

impl Book {
    fn of(&mut self, kind: ObjectKind) -> &mut BTreeMap<u64, Entry> {
        match kind {
            ObjectKind::Contacts => &mut self.contacts,
            ObjectKind::Deals => &mut self.deals,
        }
    }
}

/// A simulated account. All that changes a record stamps it with the clock's time, in whole milliseconds.
pub struct Account {
    options: AccountOptions,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
}

impl Account {
    pub(super) fn new(options: AccountOptions, clock: Arc<dyn Clock>) -> Self {
        let first = |count: u64, salt: u64| {
            (1..=count).map(|id| (id, people::first_entry(options.base, options.seed ^ salt, id))).collect()
        };
        let book = Book { contacts: first(options.contacts, 1), deals: first(options.deals, 2) };
        Self { options, clock, book: Mutex::new(book) }
    }

    pub fn portal_id(&self) -> &str {
        &self.options.portal_id
    }

    pub fn token(&self) -> &str {
        &self.options.token
    }

    pub fn limit(&self) -> Option<CallLimit> {
        self.options.limit
    }

    /// How many records there are that are not deleted.
    pub fn count(&self, kind: ObjectKind) -> usize {
        locked(&self.book).of(kind).values().filter(|e| e.archived_at.is_none()).count()
    }

    /// Changes some fields of those that exist; gives how many.
    pub fn edit(&self, kind: ObjectKind, ids: impl IntoIterator<Item = u64>) -> usize {
        self.change(kind, ids, |entry| entry.revision += 1)
    }

    pub fn edit_contacts(&self, ids: impl IntoIterator<Item = u64>) -> usize {
        self.edit(ObjectKind::Contacts, ids)
    }

    pub fn edit_deals(&self, ids: impl IntoIterator<Item = u64>) -> usize {
        self.edit(ObjectKind::Deals, ids)
    }

    /// Adds `count` records, created now; gives their ids.
    pub fn add(&self, kind: ObjectKind, count: u64) -> Vec<u64> {
        let now = self.now();
        let mut book = locked(&self.book);
        let entries = book.of(kind);
        let first = entries.last_key_value().map_or(1, |(id, _)| id + 1);
        let ids: Vec<_> = (first..first + count).collect();
        entries.extend(
            ids.iter()
                .map(|id| (*id, Entry { created: now, modified: now, revision: 0, archived_at: None, bad: None })),
        );
        ids
    }

    pub fn add_contacts(&self, count: u64) -> Vec<u64> {
        self.add(ObjectKind::Contacts, count)
    }

    pub fn add_deals(&self, count: u64) -> Vec<u64> {
        self.add(ObjectKind::Deals, count)
    }

    /// Archives: the records are only listed with `archived=true` from now on.
    pub fn delete(&self, kind: ObjectKind, ids: impl IntoIterator<Item = u64>) -> usize {
        let now = self.now();
        self.change(kind, ids, |entry| entry.archived_at = Some(now))
    }

    /// Spoils a record, as an edit; `false` when it does not exist.
    pub fn make_bad(&self, kind: ObjectKind, id: u64, bad: Bad) -> bool {
        self.change(kind, [id], |entry| {
            entry.bad = Some(bad);
            entry.revision += 1;
        }) == 1
    }

    /// Mends spoilt records, as an edit; gives how many.
    pub fn mend(&self, kind: ObjectKind, ids: impl IntoIterator<Item = u64>) -> usize {
        self.change(kind, ids, |entry| {
            entry.bad = None;
            entry.revision += 1;
        })
    }

    /// The record as it stands, as the provider would list it with all its properties; for comparing.
    pub fn record(&self, kind: ObjectKind, id: u64) -> Option<Value> {
        let mut book = locked(&self.book);
        book.of(kind).get(&id).map(|entry| people::record(kind, self.seed(kind), id, entry, &people::Fields::All))
    }

    pub(super) fn seed(&self, kind: ObjectKind) -> u64 {
        match kind {
            ObjectKind::Contacts => self.options.seed ^ 1,
            ObjectKind::Deals => self.options.seed ^ 2,
        }
    }

    /// Reads entries under the lock; `after` is an id, exclusive.
    pub(super) fn read<R>(
        &self,
        kind: ObjectKind,
        after: u64,
        read: impl FnOnce(&mut dyn Iterator<Item = (u64, &Entry)>) -> R,
    ) -> R {
        let mut book = locked(&self.book);
        read(&mut book.of(kind).range(after.saturating_add(1)..).map(|(id, entry)| (*id, entry)))
    }

    fn change(
        &self,
        kind: ObjectKind,
        ids: impl IntoIterator<Item = u64>,
        mut change: impl FnMut(&mut Entry),
    ) -> usize {
        let now = self.now();
        let mut book = locked(&self.book);
        let entries = book.of(kind);
        let mut changed = 0;
        for id in ids {
            if let Some(entry) = entries.get_mut(&id) {
                entry.modified = now;
                change(entry);
                changed += 1;
            }
        }
        changed
    }

    /// The provider keeps milliseconds.
    fn now(&self) -> Timestamp {
        let now = self.clock.now().utc();
        let millis = now.nanosecond() / 1_000_000 * 1_000_000;
        Timestamp::new(now.with_nanosecond(millis).unwrap_or(now))
    }
}

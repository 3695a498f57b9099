//! The place inside an unfinished pull: what a [`Position`] of a manifest stream holds.
//!
//! Owns its form and the counters that tell a listing that goes on from one that is stuck. A page is a function of the
//! request, so everything that the next page needs to know stands here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    detour::Detour,
    partition::{Partition, RouterPlace},
    slices::Window,
};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::{clock::Timestamp, cursor::Position},
};

/// The form of the position; another one is not guessed at.
const VERSION: u32 = 3;
/// Pages without a record that still name a next page, one after the other.
const MAX_EMPTY_PAGES: u32 = 20;
/// The same body again, one after the other.
const MAX_SAME_PAGES: u32 = 3;
/// Pages of one slice.
const MAX_PAGES: u32 = 1_000_000;
/// Times that one query was begun again because records left it while it was read.
const MAX_RESTARTS: u32 = 100;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    v: u32,
    /// The query's window in microseconds; a stream without a cursor has none.
    pub start: Option<i64>,
    pub end: Option<i64>,
    /// The next page's token; `null` asks for the query's first page.
    pub token: Value,
    /// Page size that the pull began with, so that page numbers keep their meaning.
    pub size: Option<u64>,
    /// Pages read of this slice.
    pub page: u32,
    /// Records read of this query.
    pub seen: u64,
    /// Latest cursor value handed over in this pull, in microseconds.
    pub latest: Option<i64>,
    /// The records' order was broken: the cursor waits for the end of the slice.
    pub unordered: bool,
    /// What the provider said the query has.
    pub total: Option<i64>,
    empty: u32,
    same: u32,
    restarts: u32,
    /// The token of an earlier page of this query, renewed at pages 1, 2, 4, 8, ...: a circle of any length meets it again.
    anchor: Value,
    /// Fingerprint of the last page's body.
    body: String,
    /// The partition that is read; a stream without a router has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
    /// What is to be known of listings that began anew, of smaller pages and of halved windows.
    #[serde(default, skip_serializing_if = "Detour::is_none")]
    pub detour: Detour,
    /// The window's bounds are counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counts: bool,
}

/// A partition that is being read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub router: RouterPlace,
    pub partition: Partition,
    /// Its cursor before it was read, and the latest value seen in it, in microseconds.
    pub from: Option<i64>,
    pub latest: Option<i64>,
    /// The latest that any partition came to so far.
    pub top: Option<i64>,
    /// Partitions that were read to their end and are in no cursor yet, with their latest values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<(Map<String, Value>, i64)>,
    /// The first page of each partition lies in its parent's record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lazy: bool,
}

impl Place {
    pub fn first(window: Option<Window>, size: Option<u64>, token: Value) -> Self {
        Self {
            v: VERSION,
            start: window.map(|window| window.start.micros()),
            end: window.map(|window| window.end.micros()),
            token,
            size,
            page: 0,
            seen: 0,
            latest: None,
            unordered: false,
            total: None,
            empty: 0,
            same: 0,
            restarts: 0,
            anchor: Value::Null,
            body: String::new(),
            part: None,
            detour: Detour::default(),
            counts: false,
        }
    }

    /// The place at the beginning of a partition.
    pub fn of_partition(self, part: Part) -> Self {
        Self { part: Some(part), ..self }
    }

    pub fn part(&self) -> Option<&Part> {
        self.part.as_ref()
    }

    pub fn part_mut(&mut self) -> Option<&mut Part> {
        self.part.as_mut()
    }

    pub fn partition(&self) -> Option<&Partition> {
        self.part.as_ref().map(|part| &part.partition)
    }

    /// # Errors
    /// [`ErrorKind::PositionExpired`] when the position is not one of ours.
    pub fn read(position: &Position) -> Result<Self, ConnectorError> {
        let expired = || {
            ConnectorError::new(ErrorKind::PositionExpired, "the position is of another version; begin the pull again")
        };
        let place: Self = serde_json::from_value(position.0.clone()).map_err(|_| expired())?;
        if place.v == VERSION { Ok(place) } else { Err(expired()) }
    }

    pub fn position(&self) -> Position {
        Position(serde_json::to_value(self).unwrap_or(Value::Null))
    }

    /// For people; its window's end is left out, since that moves from run to run.
    pub fn told(&self) -> String {
        let page = u64::from(self.page) + 1;
        if let Some(start) = self.start.filter(|_| self.counts) {
            return format!("page {page} from {start} on");
        }
        match self.start.and_then(Timestamp::from_micros) {
            Some(start) => format!("page {page} from {start} on"),
            None => format!("page {page}"),
        }
    }

    pub fn window(&self) -> Option<Window> {
        let at = |micros: Option<i64>| micros.and_then(Timestamp::from_micros);
        Some(Window { start: at(self.start)?, end: at(self.end)? })
    }

    /// The next page of the same query.
    ///
    /// # Errors
    /// [`ErrorKind::Stuck`] when the provider goes round in circles.
    pub fn next_page(mut self, token: Value, records: u64, body: &str) -> Result<Self, ConnectorError> {
        let stuck = |what: String| Err(ConnectorError::new(ErrorKind::Stuck, what));
        if token == self.token {
            return stuck(format!("page {} names itself as the next one", self.page + 1));
        }
        if token == self.anchor {
            return stuck(format!("page {} leads back to one that was read before", self.page + 1));
        }
        self.empty = if records == 0 { self.empty + 1 } else { 0 };
        if self.empty > MAX_EMPTY_PAGES {
            return stuck(format!("{} pages in a row had no record and named a next page", self.empty));
        }
        // An empty page looks like any other empty page.
        self.same = if records > 0 && self.body == body { self.same + 1 } else { 0 };
        if self.same >= MAX_SAME_PAGES {
            return stuck(format!("the same page came {} times in a row", self.same + 1));
        }
        body.clone_into(&mut self.body);
        self.page += 1;
        if self.page > MAX_PAGES {
            return stuck(format!("the slice has more than {MAX_PAGES} pages"));
        }
        if self.page.is_power_of_two() {
            self.anchor = token.clone();
        }
        self.token = token;
        self.seen += records;
        Ok(self)
    }

    /// A new query of the same slice, from the latest cursor value on.
    ///
    /// # Errors
    /// [`ErrorKind::Stuck`] when that leads no further; `forced` asks again from the same instant a few times first.
    pub fn ask_again(mut self, from: Option<i64>, first_token: Value, forced: bool) -> Result<Self, ConnectorError> {
        let from = from.or(self.start);
        let moves = from > self.start;
        self.restarts = if moves { 0 } else { self.restarts + 1 };
        if !moves && (!forced || self.restarts > MAX_RESTARTS) {
            let message = "the provider's cap on results is reached by records that share one cursor value; nothing can be asked for beyond them";
            let moving = "records keep leaving the listing while it is read; it could not be read to its end";
            return Err(ConnectorError::new(ErrorKind::Stuck, if forced { moving } else { message }));
        }
        let end = self.end;
        Ok(self.begun_at(from, end, first_token))
    }

    /// The first page of a query of the same slice, over these bounds.
    pub fn begun_at(mut self, start: Option<i64>, end: Option<i64>, first_token: Value) -> Self {
        (self.start, self.end) = (start, end);
        self.token = first_token;
        self.page += 1;
        self.seen = 0;
        self.total = None;
        self.anchor = Value::Null;
        self.body = String::new();
        self
    }

    /// The next page of the same query, further up: records that were read moved to where it had been already.
    ///
    /// # Errors
    /// [`ErrorKind::Stuck`] when the query has too many pages.
    pub fn stepped_back(mut self, token: Value) -> Result<Self, ConnectorError> {
        self.page += 1;
        if self.page > MAX_PAGES {
            let message = "records keep leaving the listing while it is read; it could not be read to its end";
            return Err(ConnectorError::new(ErrorKind::Stuck, message));
        }
        self.token = token;
        self.anchor = Value::Null;
        self.body = String::new();
        Ok(self)
    }

    /// The same place with another token.
    pub fn with_token(&self, token: Value) -> Self {
        Self { token, ..self.clone() }
    }

    /// Whether both ask the provider the same question, and read its answer alike.
    pub fn asks_as(&self, other: &Self) -> bool {
        let asked = |place: &Self| (place.start, place.end, place.size, place.page);
        let alike = match (&self.part, &other.part) {
            (Some(one), Some(two)) => {
                one.from == two.from && one.partition == two.partition && one.router == two.router
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        alike && asked(self) == asked(other) && self.token == other.token
    }

    /// The next slice of the same pull.
    pub fn next_slice(self, window: Window, size: Option<u64>, first_token: Value) -> Self {
        Self { latest: self.latest, part: self.part, ..Self::first(Some(window), size, first_token) }
    }
}

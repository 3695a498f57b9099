//! The simulated provider: a listing of made-up records that answers as the manifest says the real one does, with one quirk at a time.
//!
//! Owns the records, who may ask for them, which of them a request is given, and what was asked. Its truth is what a scenario judges a
//! pull by. Refuses what a real provider would: a request without proof, an unknown path.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use regex::Regex;
use serde_json::{Map, Value, json};

pub use super::world::{Canned, Event, Order, Quirks, Row, USUAL, World, row};
use super::{
    asked::{self, Asked},
    clock::TrialClock,
    pages::Pages,
    sample::Sample,
};
use crate::{
    connector::manifest::{
        python,
        trial::{Paging, Profile, Trial},
    },
    domain::{
        clock::{Clock, Timestamp},
        record::Item,
    },
};

/// What does not change while a stream is tried.
pub struct Provider {
    pub clock: Arc<TrialClock>,
    pub profile: Profile,
    pub trial: Arc<Trial>,
    pub pages: Pages,
    pub sample: Arc<Sample>,
    /// Texts that prove who asks.
    pub proofs: Vec<String>,
    /// The window of a request says something: its start, its end.
    pub narrowed: (bool, bool),
    /// Bodies for the streams whose records are partitions, by the patterns of their addresses.
    pub parents: Vec<(Regex, Value)>,
    pub own: Regex,
    /// Where tokens are fetched.
    pub grant: Option<Regex>,
    pub world: Mutex<World>,
}

/// A time in a request that is further from the one that was meant is another.
const NEAR: Duration = Duration::from_secs(36 * 3_600);
const DAY: Duration = Duration::from_micros(86_400_000_000 - 1);

impl Provider {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of what the provider holds up to an instant, with what they were last changed at.
    pub fn truth(&self, upto: Option<Timestamp>) -> Vec<(String, Option<Timestamp>)> {
        let world = self.world();
        let due = |row: &&Row| !row.gone && upto.is_none_or(|upto| row.at.is_none_or(|at| at <= upto));
        let empty = Map::new();
        let told = world.rows.iter().filter(due).filter_map(|row| {
            let partition = world.partitions.get(row.partition).unwrap_or(&empty);
            let id = row.id.get_or_init(|| external_id(&self.trial, row, partition));
            Some((id.clone()?, row.at))
        });
        told.collect()
    }

    /// Answers a request.
    pub fn answer(&self, asked: Asked) -> Canned {
        let mut world = self.world();
        let now = self.clock.now();
        let url = asked.url.as_str().split('?').next().unwrap_or_default().to_owned();
        world.asked.push(asked.clone());
        let life = world.quirks.token_life.unwrap_or(3_600);
        let number = world.tokens.len() + 1;
        let token = format!("conformance-token-{number:04}");
        let fetched = self.grant.as_ref().is_some_and(|pattern| pattern.is_match(&url));
        if fetched && let Some(grant) = self.trial.grant(&token, life, now) {
            world.tokens.insert(token, now.plus(Duration::from_secs(life)));
            return Canned::new(200, &grant.answer);
        }
        if !self.proven(&world, &asked, now) {
            let words = json!({"error": "unauthorized", "message": "the request proves nobody, or its proof is no longer good"});
            return Canned::new(401, &words);
        }
        if !self.own.is_match(&url) || self.is_parent(&url) {
            return match self.parents.iter().find(|(pattern, _)| pattern.is_match(&url)) {
                Some((_, body)) => Canned::new(200, body),
                None => Canned::new(404, &json!({"message": "the simulated provider has no such path"})),
            };
        }
        let at = world.listed;
        world.listed += 1;
        self.clock.advance(world.quirks.takes);
        if let Some((after, event)) = world.quirks.event.clone()
            && world.shown >= after
        {
            world.quirks.event = None;
            event(&mut world, &self.sample);
        }
        if let Some((from, times, canned)) = &world.quirks.canned
            && at >= *from
            && at - from < *times
        {
            return canned.clone();
        }
        if world.quirks.strict
            && let Some(wrong) = asked.needless()
        {
            return Canned::new(400, &json!({"message": format!("unknown parameter: {wrong}")}));
        }
        match self.page(&mut world, &asked, at) {
            Ok(canned) => canned,
            Err(reason) => {
                world.broken = Some(reason);
                Canned::new(500, &json!({"message": "the simulated provider cannot answer"}))
            }
        }
    }

    /// A parent whose address is told more exactly than the stream's own.
    fn is_parent(&self, url: &str) -> bool {
        let longest =
            self.parents.iter().filter(|(pattern, _)| pattern.is_match(url)).map(|(p, _)| p.as_str().len()).max();
        longest.is_some_and(|length| length > self.own.as_str().len())
    }

    fn proven(&self, world: &World, asked: &Asked, now: Timestamp) -> bool {
        let texts = asked.texts();
        match self.profile.auth {
            "none" => true,
            "jwt" => texts.iter().any(|text| {
                let part = text.rsplit(' ').next().unwrap_or_default().split('.').nth(1).unwrap_or_default();
                let claims = URL_SAFE_NO_PAD.decode(part).ok();
                let claims: Option<Value> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                let until = claims.and_then(|claims| claims["exp"].as_i64());
                until.is_some_and(|until| now.micros() / 1_000_000 <= until)
            }),
            _ if self.profile.fetches_token && !world.tokens.is_empty() => world
                .tokens
                .iter()
                .any(|(token, until)| now <= *until && texts.iter().any(|text| text.contains(token.as_str()))),
            "basic" => texts.iter().any(|text| {
                let pair = text.strip_prefix("Basic ").and_then(|pair| STANDARD.decode(pair).ok());
                let pair = pair.and_then(|pair| String::from_utf8(pair).ok()).unwrap_or_default();
                self.proofs.iter().any(|proof| pair.contains(proof.as_str()))
            }),
            _ => self.proofs.iter().any(|proof| texts.iter().any(|text| text.contains(proof.as_str()))),
        }
    }

    fn page(&self, world: &mut World, asked: &Asked, at: u32) -> Result<Canned, String> {
        let told = world.told.clone();
        let partition = self.partition(world, &told.partition);
        let size = told.size.and_then(|size| usize::try_from(size).ok()).or(self.profile.full_page).unwrap_or(USUAL);
        let size = world.quirks.cap.map_or(size, |cap| size.min(cap)).max(1);
        if world.quirks.repeats
            && let Some((body, headers)) = world.repeated.clone()
        {
            return Ok(sent(&body, headers));
        }
        // A token that does not arrive asks for the first page, as with a real provider.
        let token = python::to_text(&told.token);
        let arrived = !told.token.is_null() && asked.holds(&token);
        let texts = asked.texts();
        let listing = || Arc::new(self.listing(world, partition, told.window, &texts));
        let (from, listing) = match self.profile.paging {
            Paging::None => (0, listing()),
            Paging::Offset => (if arrived { token.parse().unwrap_or(0) } else { 0 }, listing()),
            Paging::Page => {
                let page =
                    if arrived { token.parse().unwrap_or(self.profile.first_page) } else { self.profile.first_page };
                let before = usize::try_from(page - self.profile.first_page).unwrap_or(0);
                (before * size, listing())
            }
            Paging::Token | Paging::Link => match world.issued.get(&token).filter(|_| arrived) {
                Some((from, listing)) => (*from, Arc::clone(listing)),
                None => (0, listing()),
            },
        };
        let size = if self.profile.paging == Paging::None { listing.len().max(1) } else { size };
        let mut from = from;
        if world.quirks.repeat_at == Some(at) {
            from = from.saturating_sub(size);
        }
        let end = listing.len().min(from + size);
        let mut shown = if from < end { &listing[from..end] } else { &listing[..0] };
        let mut upto = end;
        if world.quirks.empty_at == Some(at) {
            (shown, upto) = (&listing[..0], from);
        }
        let records: Vec<Value> = shown.iter().map(|at| world.rows[*at].raw.clone()).collect();
        world.shown += u32::from(!records.is_empty());
        let by_token = matches!(self.profile.paging, Paging::Token | Paging::Link);
        let more = upto < listing.len()
            || by_token
                && !records.is_empty()
                && (world.quirks.past_end || !self.pages.ends_itself(&records, &asked.url))
            || world.quirks.repeats && !records.is_empty();
        world.next_mark += 1;
        let mark = world.next_mark;
        let mut built = self.pages.build(&records, more.then_some(mark), &asked.url, listing.len())?;
        if world.quirks.one_without_list
            && let [one] = records.as_slice()
            && let Some(place) = super::sample::at_pointer(&mut built.body, self.pages.path())
        {
            *place = one.clone();
        }
        if let Some(token) = &built.token {
            let known = world.issued.insert(python::to_text(token), (upto, listing));
            if known.is_some_and(|(from, _)| from != upto) && world.quirks.repeat_at.is_none() {
                return Err("two pages lead on by the same token".to_owned());
            }
        }
        if world.quirks.repeats && !records.is_empty() {
            world.repeated = Some((built.body.clone(), built.headers.clone()));
        }
        Ok(sent(&built.body, built.headers))
    }

    /// The partition's number; one that was not asked for before gets records of its own.
    fn partition(&self, world: &mut World, fields: &Map<String, Value>) -> usize {
        if let Some(at) = world.partitions.iter().position(|known| known == fields) {
            return at;
        }
        let at = world.partitions.len();
        world.partitions.push(fields.clone());
        let first: Vec<_> = world.rows.iter().filter(|row| row.partition == 0 && !row.gone).cloned().collect();
        for row in first {
            let number = row.number + 10_000 * at as u64;
            world.rows.push(self::row(&self.sample, number, row.at, at));
        }
        at
    }

    /// Places of the rows that a window holds, in the listing's order.
    fn listing(
        &self,
        world: &World,
        partition: usize,
        window: Option<(Timestamp, Timestamp)>,
        texts: &[String],
    ) -> Vec<usize> {
        let bounds = window.map(|window| {
            let (start, end) = self.trial.bounds(window);
            (bound(texts, window.0, start, false), bound(texts, window.1, end, true))
        });
        let inside = |row: &Row| match (bounds, row.at) {
            (Some((start, end)), Some(at)) => (!self.narrowed.0 || start <= at) && (!self.narrowed.1 || at <= end),
            (Some(_), None) => !(world.quirks.hides_unchanged && self.narrowed.0),
            (None, _) => true,
        };
        let rows = world.rows.iter().enumerate();
        let mut listing: Vec<usize> =
            rows.filter(|(_, row)| !row.gone && row.partition == partition && inside(row)).map(|(at, _)| at).collect();
        match if self.profile.data_feed { Order::Newest } else { world.quirks.order } {
            Order::Made => {}
            Order::Oldest => listing.sort_by_key(|at| (world.rows[*at].at, world.rows[*at].number)),
            Order::Newest => {
                listing.sort_by_key(|at| std::cmp::Reverse((world.rows[*at].at, world.rows[*at].number)));
            }
        }
        listing
    }
}

/// What the manifest makes of a record's key.
pub fn external_id(trial: &Trial, row: &Row, partition: &Map<String, Value>) -> Option<String> {
    match trial.emitted(&row.raw, partition)? {
        Item::Record(record) => record.external_id,
        Item::Broken(_) => None,
    }
}

/// The bound that really stands in the request, near the one that was meant; the latter where none is found.
fn bound(texts: &[String], meant: Timestamp, otherwise: Timestamp, end: bool) -> Timestamp {
    let times = texts.iter().flat_map(|text| asked::times(text));
    let near = times.filter(|(at, _)| at.since(meant).max(meant.since(*at)) <= NEAR);
    match near.min_by_key(|(at, _)| at.since(meant).max(meant.since(*at))) {
        Some((at, true)) if end => at.plus(DAY),
        Some((at, false)) if end => at.plus(Duration::from_micros(999_999)),
        Some((at, _)) => at,
        None => otherwise,
    }
}

fn sent(body: &Value, headers: Vec<(String, String)>) -> Canned {
    let mut canned = Canned::new(200, body);
    canned.headers.extend(headers);
    canned
}

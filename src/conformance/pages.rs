//! Bodies of pages: the envelope of a fixture with other records in it, and with a next page where there is one.
//!
//! Owns where an envelope holds what leads on: a token, an address, a counter. It is found by asking the manifest what a changed body
//! would lead to. Refuses to build a page that the manifest reads otherwise than it was meant.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use url::Url;

use super::{
    sample::{Pointer, Sample, at_pointer, get, leaves},
    setup::begin,
};
use crate::connector::manifest::{
    python,
    trial::{Paging, Profile, Trial},
};

/// What a page's envelope leads on with.
#[derive(Debug, Clone, PartialEq)]
enum Mark {
    /// The request counts by itself, or the last record is the token.
    Nothing,
    /// The token stands at that place, perhaps within a text.
    Token(Pointer, String),
    /// The address stands there.
    Address(Pointer),
    /// A count stands there, and how far it goes may stand elsewhere.
    Counter(Pointer, Option<Pointer>),
    /// `Link: <address>; rel="next"`.
    LinkHeader,
    /// The token is a header's value.
    TokenHeader(String),
    /// The address is a header's value.
    AddressHeader(String),
}

/// Makes bodies.
#[derive(Clone)]
pub struct Pages {
    trial: Arc<Trial>,
    paging: Paging,
    leading: Value,
    closing: Option<Value>,
    /// A whole answer without records, as the provider gives it.
    nothing: Option<Value>,
    /// Names on the way to the records.
    path: Vec<String>,
    total: Option<Vec<String>>,
    mark: Mark,
    /// Next addresses come without scheme and host.
    pub relative: bool,
}

/// A page, ready to be sent.
pub struct Built {
    pub body: Value,
    pub headers: Vec<(String, String)>,
    /// What the manifest makes of it.
    pub token: Option<Value>,
}

/// The parameter of a made-up next address.
const NEXT: &str = "conformance_page";
/// A request that nobody sends: only what the manifest would make of its answer counts.
const NOWHERE: &str = "https://provider.example.test/x";

/// So many records, from that number on.
fn made(sample: &Sample, from: u64, count: usize) -> Vec<Value> {
    (from..from + count as u64).map(|number| sample.record(number, Some(begin()))).collect()
}

impl Pages {
    /// Finds out from fixture pages how a listing is to look: those that hold records, and all of them.
    ///
    /// # Errors
    /// Why that cannot be found out, as a sentence.
    pub fn of(
        trial: &Arc<Trial>,
        profile: &Profile,
        bodies: &[Value],
        all: &[Value],
        sample: &Sample,
    ) -> Result<Self, String> {
        let path = trial.record_path().ok_or("the records lie at no plain path")?;
        let first = bodies.first().ok_or("no page of the fixtures holds a record")?;
        let listed = |body: &&Value| get(body, &path).is_some_and(Value::is_array);
        if !bodies.iter().any(|body| listed(&body)) {
            return Err("the fixtures hold no list at the records' path".to_owned());
        }
        let token = |body: &Value| trial.next_token(body, &BTreeMap::new(), &Value::Null, None).ok().flatten();
        let by_token = matches!(profile.paging, Paging::Token | Paging::Link);
        let mut pages = Self {
            trial: Arc::clone(trial),
            paging: profile.paging,
            leading: first.clone(),
            closing: None,
            nothing: None,
            path: path.clone(),
            total: profile.total.clone(),
            mark: Mark::Nothing,
            relative: false,
        };
        if !by_token {
            pages.leading = bodies.iter().find(listed).unwrap_or(first).clone();
            return Ok(pages);
        }
        let empty =
            |body: &&Value| trial.records(body).is_ok_and(|records| records.is_empty()) && token(body).is_none();
        pages.nothing = all.iter().find(empty).cloned();
        pages.closing = bodies.iter().filter(listed).find(|body| token(body).is_none()).cloned();
        let leading = bodies.iter().filter(listed).find_map(|body| Some((body.clone(), token(body)?)));
        // Where a short page is the last one, only a full one leads on: no fixture needs to hold so many records.
        let size = profile.full_page.or(trial.page_size().and_then(|size| usize::try_from(size).ok()));
        let full = || {
            let mut body = bodies.iter().find(listed)?.clone();
            pages.put(&mut body, &made(sample, 0, size.filter(|_| profile.by_last_size)?));
            let token = token(&body)?;
            Some((body, token))
        };
        match leading.or_else(full) {
            Some((body, token)) => {
                pages.leading = body;
                pages.mark = pages
                    .mark(&python::to_text(&token), sample)
                    .ok_or("what leads on to the next page is found neither in the page nor in its last record")?;
            }
            None => {
                pages.mark = pages.header_mark(&profile.paging_headers).ok_or(if profile.by_last_size {
                    "no page of the fixtures leads on to a next one, since stop_condition counts the records of a page: compare last_page_size with 0, or with the number of a full page"
                } else {
                    "no page of the fixtures leads on to a next one: keep a first page that does, and a last one that does not"
                })?;
            }
        }
        Ok(pages)
    }

    /// Where that token comes from.
    fn mark(&self, token: &str, sample: &Sample) -> Option<Mark> {
        let body = &self.leading;
        let inside = |pointer: &Pointer| pointer.starts_with(&self.path) && pointer.len() > self.path.len();
        let outside: Vec<Pointer> = leaves(body).into_iter().filter(|pointer| !inside(pointer)).collect();
        let text = |pointer: &Pointer| get(body, pointer).map(python::to_text).unwrap_or_default();
        let by_address = self.paging == Paging::Link;
        let address = |text: &str| {
            let written = text.starts_with("http") || text.starts_with('/') || text.starts_with('?');
            // What is asked for as it stands is an address, whatever it begins with.
            written || by_address && text == token
        };
        let moves = |mark: &Mark| self.leads(mark).is_some();
        let exact = outside.iter().filter(|pointer| text(pointer) == token);
        let holding = outside.iter().filter(|pointer| {
            let text = text(pointer);
            text.len() > 3 && (text.contains(token) || token.contains(&text))
        });
        for pointer in exact.chain(holding) {
            let text = text(pointer);
            let mark = match token.contains(&text) {
                true if address(&text) => Mark::Address(pointer.clone()),
                true => Mark::Token(pointer.clone(), text),
                false => Mark::Token(pointer.clone(), token.to_owned()),
            };
            if moves(&mark) {
                return Some(mark);
            }
        }
        // The last record itself is the token: other records lead elsewhere.
        let records = self.records_of(body);
        let others = made(sample, 1, records.len());
        if self.told(body, &others).is_some_and(|other| python::to_text(&other) != token) {
            return Some(Mark::Nothing);
        }
        let fewer = &records[..records.len().saturating_sub(1)];
        if fewer.last().is_some() && self.told(body, fewer).is_some_and(|other| python::to_text(&other) != token) {
            return Some(Mark::Nothing);
        }
        if records.len() == 1
            && leaves(&records[0]).iter().any(|p| get(&records[0], p).map(python::to_text).as_deref() == Some(token))
        {
            return Some(Mark::Nothing);
        }
        let numbers: Vec<&Pointer> = outside.iter().filter(|p| get(body, p).is_some_and(Value::is_number)).collect();
        for at in &numbers {
            let bounds =
                std::iter::once(None).chain(numbers.iter().filter(|other| *other != at).map(|b| Some((*b).clone())));
            for bound in bounds {
                let mark = Mark::Counter((*at).clone(), bound);
                if moves(&mark) {
                    return Some(mark);
                }
            }
        }
        None
    }

    /// What the header holds that leads on: an address where the manifest asks for it as it stands, else a token.
    fn header_mark(&self, headers: &[String]) -> Option<Mark> {
        let of = |header: &String| match (header.as_str(), self.paging) {
            ("link", _) => vec![Mark::LinkHeader],
            (_, Paging::Link) => vec![Mark::AddressHeader(header.clone()), Mark::TokenHeader(header.clone())],
            _ => vec![Mark::TokenHeader(header.clone())],
        };
        let marks: Vec<Mark> = headers.iter().flat_map(of).collect();
        let fits = |mark: &&Mark| match self.leads(mark) {
            // A header that is only a part of what is asked for holds no address.
            Some(token) if matches!(mark, Mark::AddressHeader(_)) => token.starts_with(NOWHERE),
            told => told.is_some(),
        };
        marks.iter().find(fits).or(marks.first()).cloned()
    }

    /// The token that a mark leads to, where another one leads elsewhere.
    fn leads(&self, mark: &Mark) -> Option<String> {
        let request: Url = NOWHERE.parse().ok()?;
        let records = self.records_of(&self.leading);
        let [one, other] = [71, 72].map(|number| self.marked(mark, &records, number, &request, None).token);
        (one.is_some() && one != other).then(|| other.as_ref().map(python::to_text))?
    }

    fn records_of(&self, body: &Value) -> Vec<Value> {
        get(body, &self.path).and_then(Value::as_array).cloned().unwrap_or_default()
    }

    fn told(&self, body: &Value, records: &[Value]) -> Option<Value> {
        let mut body = body.clone();
        self.put(&mut body, records);
        self.trial.next_token(&body, &BTreeMap::new(), &Value::Null, None).ok().flatten()
    }

    fn put(&self, body: &mut Value, records: &[Value]) {
        if let Some(list) = at_pointer(body, &self.path) {
            *list = Value::Array(records.to_vec());
        }
    }

    fn marked(&self, mark: &Mark, records: &[Value], number: u32, request: &Url, total: Option<usize>) -> Built {
        let mut body = self.leading.clone();
        self.put(&mut body, records);
        self.total(&mut body, total);
        let mut headers = Vec::new();
        let next = |like: &str| self.next_address(request, number, like);
        match mark {
            Mark::Nothing => {}
            Mark::Token(pointer, token) => {
                if let Some(leaf) = at_pointer(&mut body, pointer) {
                    let fresh = 9_000_000 + number;
                    *leaf = match &*leaf {
                        Value::Number(_) => json!(fresh),
                        Value::String(text) => {
                            let digits = token.bytes().all(|byte| byte.is_ascii_digit());
                            let fresh = if digits { fresh.to_string() } else { format!("cf{fresh}x") };
                            json!(text.replace(token.as_str(), &fresh))
                        }
                        other => other.clone(),
                    };
                }
            }
            Mark::Address(pointer) => {
                if let Some(leaf) = at_pointer(&mut body, pointer) {
                    *leaf = json!(next(leaf.as_str().unwrap_or_default()));
                }
            }
            Mark::Counter(pointer, bound) => {
                if let Some(leaf) = at_pointer(&mut body, pointer) {
                    *leaf = json!(number);
                }
                if let Some(bound) = bound.as_ref().and_then(|bound| at_pointer(&mut body, bound)) {
                    *bound = json!(1_000_000);
                }
            }
            Mark::LinkHeader => headers.push(("link".to_owned(), format!("<{}>; rel=\"next\"", next("http")))),
            Mark::TokenHeader(name) => headers.push((name.clone(), format!("{}", 9_000_000 + number))),
            Mark::AddressHeader(name) => headers.push((name.clone(), next("http"))),
        }
        let given = headers.iter().cloned().collect();
        let token = self.trial.next_token(&body, &given, &Value::Null, None).ok().flatten();
        Built { body, headers, token }
    }

    /// The address of the page with that number: whole or relative, as the one that it is `like`.
    fn next_address(&self, request: &Url, number: u32, like: &str) -> String {
        let mut next = request.clone();
        let kept: Vec<(String, String)> =
            request.query_pairs().into_owned().filter(|(name, _)| name.as_str() != NEXT).collect();
        next.query_pairs_mut().clear().extend_pairs(kept).append_pair(NEXT, &number.to_string());
        if like.starts_with("http") && !self.relative {
            next.to_string()
        } else {
            format!("{}?{}", next.path(), next.query().unwrap_or_default())
        }
    }

    fn total(&self, body: &mut Value, total: Option<usize>) {
        if let (Some(path), Some(total)) = (&self.total, total)
            && let Some(leaf) = at_pointer(body, path)
        {
            *leaf = json!(total);
        }
    }

    /// A page with those records. `more`: another one follows, and this is the number that tells it from others.
    ///
    /// # Errors
    /// The manifest would not read on where it should, or the other way round.
    pub fn build(&self, records: &[Value], more: Option<u32>, request: &Url, total: usize) -> Result<Built, String> {
        if matches!(self.paging, Paging::None | Paging::Offset | Paging::Page) {
            let mut body = self.leading.clone();
            self.put(&mut body, records);
            self.total(&mut body, Some(total));
            return Ok(Built { body, headers: Vec::new(), token: None });
        }
        if let Some(number) = more {
            let built = self.marked(&self.mark, records, number, request, Some(total));
            return match built.token {
                Some(_) => Ok(built),
                None => Err("a page that should lead on does not".to_owned()),
            };
        }
        if let (true, Some(nothing)) = (records.is_empty(), &self.nothing) {
            let mut body = nothing.clone();
            self.total(&mut body, Some(total));
            return Ok(Built { body, headers: Vec::new(), token: None });
        }
        let mut body = match (&self.closing, &self.mark) {
            (Some(closing), _) => closing.clone(),
            (None, Mark::Counter(at, Some(bound))) => {
                let mut body = self.leading.clone();
                for pointer in [at, bound] {
                    if let Some(leaf) = at_pointer(&mut body, pointer) {
                        *leaf = json!(1);
                    }
                }
                body
            }
            (None, Mark::Token(pointer, _) | Mark::Address(pointer)) => {
                let mut body = self.leading.clone();
                if let Some(leaf) = at_pointer(&mut body, pointer) {
                    *leaf = Value::Null;
                }
                body
            }
            (None, _) => self.leading.clone(),
        };
        self.put(&mut body, records);
        self.total(&mut body, Some(total));
        Ok(Built { body, headers: Vec::new(), token: None })
    }

    /// Whether a last page ends the listing by itself; otherwise an empty one follows.
    pub fn ends_itself(&self, records: &[Value], request: &Url) -> bool {
        let Ok(built) = self.build(records, None, request, records.len()) else { return false };
        self.trial.next_token(&built.body, &BTreeMap::new(), &Value::Null, None).is_ok_and(|token| token.is_none())
    }

    /// The way to the records.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// Whether the last record itself leads on.
    pub fn by_last_record(&self) -> bool {
        self.mark == Mark::Nothing
    }

    /// Whether the next page's address stands in the body or in a header of its own.
    pub fn has_address(&self) -> bool {
        matches!(self.mark, Mark::Address(_) | Mark::AddressHeader(_))
    }
}

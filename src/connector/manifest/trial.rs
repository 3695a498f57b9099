//! A manifest on trial: what it says of a stream in plain words, and its own reading of bodies that nobody sent yet.
//!
//! Owns the view that a simulated provider is derived from: families of paging and of proof, names of options, what a page's body would
//! lead to. Everything is asked of the plans that a pull follows, so that nothing is understood twice. Refuses to send anything.

use std::{collections::BTreeMap, sync::Arc};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{
    Manifest,
    decode::DecoderPlan,
    duration::Duration,
    engine::{Scope, Template},
    errors::{Backoff, ManifestJudge, Waits},
    extract::{self, Extractor},
    load::Loaded,
    partition::Router,
    plan::{Strategy, StreamPlan, TokenOption, UrlPlan},
    select, slices, trial_paging,
};
use crate::{
    connector::{
        ConnectorError, StreamSpec,
        http::{Action, Judge, Seen},
    },
    domain::{clock::Timestamp, record::Item},
};

/// How a listing leads from page to page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    None,
    Offset,
    Page,
    /// A token of the answer goes into the next request.
    Token,
    /// The answer names the next page's address.
    Link,
}

/// What a manifest says of one stream.
#[derive(Debug, Clone)]
pub struct Profile {
    pub spec: StreamSpec,
    pub paging: Paging,
    /// The first page's number, for [`Paging::Page`].
    pub first_page: i64,
    /// The page size is put into requests.
    pub size_sent: bool,
    /// The manifest names a page size: a shorter page ends a listing by offset or number.
    pub size_named: bool,
    /// Paging looks at how many records the last page had.
    pub by_last_size: bool,
    /// The number below which `stop_condition` takes a page for the last one, where it writes one.
    pub full_page: Option<usize>,
    /// Headers that paging reads, in small letters.
    pub paging_headers: Vec<String>,
    /// The word for the authenticator.
    pub auth: &'static str,
    /// A token is fetched before the first request.
    pub fetches_token: bool,
    /// The decoder reads one JSON document.
    pub json: bool,
    /// The stream is read in partitions.
    pub routed: bool,
    pub ordered: bool,
    pub data_feed: bool,
    /// Where the answer tells how many records there are.
    pub total: Option<Vec<String>>,
    /// The largest page that the provider gives, as its documentation says.
    pub max_page_size: Option<u64>,
    /// Why the stream has no cursor.
    pub no_cursor: Option<String>,
    /// From that age on a record neither changes nor goes.
    pub settled_after: Option<Duration>,
    /// The condition of a filter of its own.
    pub filtered: bool,
    /// Headers that name a wait; true: they name a moment.
    pub wait_headers: Vec<(String, bool)>,
    /// The manifest has error rules of its own.
    pub own_error_rules: bool,
    /// Options of the connection that the cursor's start stands in.
    pub start_options: Vec<String>,
    /// What its addresses look like; and those of its parents by stream name.
    pub address: String,
    pub parents: Vec<(String, String)>,
}

/// One stream of a manifest with a configuration, ready to read bodies.
pub struct Trial {
    pub(super) loaded: Arc<Loaded>,
    pub(super) at: usize,
    pub(super) scope: Scope,
}

impl Manifest {
    /// `connection_specification`.
    pub fn specification(&self) -> &Value {
        &self.0.specification
    }

    /// The option that a secret of one text becomes.
    pub fn credential_option(&self) -> Option<&str> {
        self.0.credential.as_deref()
    }

    /// Whether the provider is asked who we are.
    pub fn has_identity(&self) -> bool {
        self.0.identity.is_some()
    }

    /// The addresses that its streams begin with, as the manifest writes them.
    pub fn bases(&self) -> Vec<String> {
        let base = |plan: &StreamPlan| match &plan.request.url {
            UrlPlan::Whole(url) => url.source().to_owned(),
            UrlPlan::Joined { base, .. } => base.source().to_owned(),
        };
        self.0.streams.iter().map(base).chain(self.0.environments.iter().map(ToString::to_string)).collect()
    }

    /// Every stream in plain words, in the manifest's order.
    pub fn profiles(&self) -> Vec<Profile> {
        self.0.streams.iter().map(profile).collect()
    }

    /// A stream with a configuration that holds the secret as well; `None` when there is no such stream.
    pub fn trial(&self, stream: &str, now: Timestamp, config: Value) -> Option<Trial> {
        let at = self.0.streams.iter().position(|plan| plan.spec.name == stream)?;
        Some(Trial { loaded: Arc::clone(&self.0), at, scope: Scope::new(now, &Arc::new(config)) })
    }
}

fn profile(plan: &StreamPlan) -> Profile {
    let paginator = plan.paginator.as_ref();
    let templates: Vec<&Template> = match paginator.map(|paginator| &paginator.strategy) {
        Some(Strategy::Cursor { value, stop, .. }) => std::iter::once(value).chain(stop).collect(),
        _ => Vec::new(),
    };
    let paging = match (paginator.map(|p| &p.strategy), paginator.and_then(|p| p.token_option.as_ref())) {
        (None, _) => Paging::None,
        (Some(Strategy::Offset { .. }), _) => Paging::Offset,
        (Some(Strategy::Page { .. }), _) => Paging::Page,
        (Some(Strategy::Cursor { .. }), Some(TokenOption::Path)) => Paging::Link,
        (Some(Strategy::Cursor { .. }), _) => Paging::Token,
    };
    let first_page = match paginator.map(|paginator| &paginator.strategy) {
        Some(Strategy::Page { first, .. }) => *first,
        _ => 0,
    };
    let wait_headers = plan.request.errors.backoffs.iter().filter_map(|backoff| match backoff {
        Backoff::FromHeader { header, .. } => Some((header.source().to_ascii_lowercase(), false)),
        Backoff::UntilHeader { header, .. } => Some((header.source().to_ascii_lowercase(), true)),
        Backoff::Constant { .. } | Backoff::Exponential { .. } | Backoff::FromResponse { .. } => None,
    });
    let start = plan.cursor.as_ref().map(|cursor| cursor.start.time.source()).unwrap_or_default();
    Profile {
        spec: plan.spec.clone(),
        paging,
        first_page,
        size_sent: paginator.is_some_and(|paginator| paginator.size_option.is_some()),
        size_named: paginator.is_some_and(|paginator| paginator.page_size.is_some()),
        by_last_size: templates.iter().any(|template| template.source().contains("last_page_size")),
        full_page: templates.iter().find_map(|template| trial_paging::full_page(template.source())),
        paging_headers: templates.iter().flat_map(|template| named(template.source(), "headers")).collect(),
        auth: plan.request.auth.word(),
        fetches_token: plan.request.auth.fetches(),
        json: plan.decoder == DecoderPlan::Json,
        routed: plan.router.is_some(),
        ordered: plan.promises.ordered_by_cursor,
        data_feed: plan.cursor.as_ref().is_some_and(|cursor| cursor.data_feed),
        total: plan.promises.total.clone(),
        max_page_size: plan.promises.max_page_size,
        no_cursor: plan.promises.no_cursor.clone(),
        settled_after: plan.promises.settled_after,
        filtered: plan.selector.filter.is_some(),
        wait_headers: wait_headers.collect(),
        own_error_rules: plan.request.errors.handler.is_some(),
        start_options: named(start, "config"),
        address: pattern(&plan.request.name()),
        parents: parents(plan),
    }
}

/// The streams whose records are partitions, with those above them.
fn parents(plan: &StreamPlan) -> Vec<(String, String)> {
    let direct = plan.router.iter().flat_map(Router::parents);
    let with_own = direct.flat_map(|parent| {
        let name = (parent.plan.spec.name.clone(), pattern(&parent.plan.request.name()));
        std::iter::once(name).chain(parents(&parent.plan))
    });
    with_own.collect()
}

/// Names that a template looks up in a variable: `headers['Link']`, `config.get("start")`, `config.start`.
fn named(source: &str, variable: &str) -> Vec<String> {
    let looked_up = format!(r#"{variable}(?:\[\s*['"]([^'"]+)['"]|\.get\(\s*['"]([^'"]+)['"]|\.([A-Za-z_]+))"#);
    let Ok(looked_up) = Regex::new(&looked_up) else { return Vec::new() };
    let names = looked_up.captures_iter(source).filter_map(|found| {
        let name = found.get(1).or_else(|| found.get(2)).or_else(|| found.get(3))?.as_str();
        (name != "get").then(|| if variable == "headers" { name.to_ascii_lowercase() } else { name.to_owned() })
    });
    names.collect()
}

/// A pattern of whole addresses: what a template fills in may be anything.
pub(super) fn pattern(source: &str) -> String {
    let source = source.split('?').next().unwrap_or_default();
    let mut out = String::from("^");
    for (at, part) in source.split("{{").enumerate() {
        let literal = if at == 0 { part } else { part.split_once("}}").map_or("", |(_, rest)| rest) };
        if at > 0 {
            out.push_str("[^?]*");
        }
        out.push_str(&regex::escape(literal));
    }
    // Base and path are joined by one slash, whoever brought it.
    while out.contains("//") && out.replacen("://", "", 1).contains("//") {
        let from = out.find("://").map_or(0, |at| at + 3);
        let Some(at) = out[from..].find("//") else { break };
        out.remove(from + at);
    }
    out.trim_end_matches('/').to_owned() + "/?$"
}

impl Trial {
    pub(super) fn plan(&self) -> &StreamPlan {
        &self.loaded.streams[self.at]
    }

    /// The values at the records' path of a body, before any filter.
    ///
    /// # Errors
    /// As in a pull: the path is not there, or an error stands where the records should be.
    pub fn records(&self, body: &Value) -> Result<Vec<Value>, ConnectorError> {
        let plan = self.plan();
        let optional = plan.promises.records_optional;
        select::extract(&self.loaded.engine, &plan.selector, &self.scope, body.clone(), optional, "the page")
    }

    /// The names on the way to the records, where that is one plain path.
    pub fn record_path(&self) -> Option<Vec<String>> {
        let Extractor::Path { path, expander: None } = &self.plan().selector.extractor else { return None };
        let steps = extract::steps(&self.loaded.engine, &self.scope, path).ok()?;
        let names = path.iter().map(|part| self.loaded.engine.text(part, &self.scope));
        let plain =
            steps.iter().all(|step| matches!(step, super::dpath::Step::Text(text) if !text.contains(['*', '?', '['])));
        plain.then(|| names.collect::<Result<_, _>>().ok()).flatten()
    }

    /// What becomes of one record: nothing when the manifest leaves it out.
    pub fn emitted(&self, record: &Value, partition: &Map<String, Value>) -> Option<Item> {
        self.emitted_of(record, partition, Map::new())
    }

    /// As [`Trial::emitted`], of a window of time that ends now: a manifest may take key or time of a record from it.
    pub fn emitted_of_a_window(&self, record: &Value, partition: &Map<String, Value>) -> Option<Item> {
        let cursor = self.plan().cursor.as_ref()?;
        let bound = Value::String(cursor.format.format(self.scope.now()));
        let bounds = [&cursor.start_name, &cursor.end_name].map(|name| (name.clone(), bound.clone()));
        self.emitted_of(record, partition, Map::from_iter(bounds))
    }

    fn emitted_of(&self, record: &Value, partition: &Map<String, Value>, bounds: Map<String, Value>) -> Option<Item> {
        let all: Map<String, Value> = partition.clone().into_iter().chain(bounds.clone()).collect();
        let parts = [partition.clone(), bounds, Map::new()].map(|fields| Arc::new(Value::Object(fields)));
        let scope = self.scope.clone().with_slice(&Arc::new(Value::Object(all)), parts);
        self.selected(vec![record.clone()], &scope).ok()?.items.pop()
    }

    pub(super) fn selected(&self, records: Vec<Value>, scope: &Scope) -> Result<select::Selected, ConnectorError> {
        select::select(&self.loaded.engine, self.plan(), scope, records, 0, select::Strictness::Daemon, None)
    }

    /// The state of a cursor at that instant.
    pub fn state(&self, at: Timestamp) -> Option<Value> {
        let cursor = self.plan().cursor.as_ref()?;
        Some(json!({cursor.field.as_str(): cursor.format.format(at)}))
    }

    /// The bounds of a window as the provider reads them: a day is whole.
    pub fn bounds(&self, window: (Timestamp, Timestamp)) -> (Timestamp, Timestamp) {
        let Some(cursor) = self.plan().cursor.as_ref() else { return window };
        let read = |at: Timestamp| cursor.format.parse(&cursor.format.format(at)).unwrap_or(at);
        let (start, end) = (read(window.0), read(window.1));
        let second = std::time::Duration::from_micros(999_999);
        let day = std::time::Duration::from_micros(86_400_000_000 - 1);
        let probe = Timestamp::from_micros(1_700_000_000_123_000).unwrap_or(start);
        let coarse = probe.since(read(probe));
        let end = if coarse.as_secs() > 3_600 { end.plus(day) } else { end.max(window.1.min(end.plus(second))) };
        (start, end)
    }

    /// Where the stream's time ends for a run that begins at that instant, and where it begins without a cursor.
    ///
    /// # Errors
    /// The configuration gives no time.
    pub fn reach(&self, now: Timestamp) -> Result<Option<(Timestamp, Timestamp)>, ConnectorError> {
        let Some(cursor) = &self.plan().cursor else { return Ok(None) };
        let upto = slices::cut(&self.loaded.engine, cursor, &self.scope, now, true)?.upto;
        let from = slices::start(&self.loaded.engine, cursor, &self.scope, None)?;
        Ok(Some((from, upto)))
    }

    /// What the manifest's own error rules say of an answer; `None` leaves it to the engine's.
    pub fn ruled(&self, status: u16, body: &[u8], now: Timestamp) -> Option<Action> {
        let plan = &self.plan().request.errors;
        let judge =
            ManifestJudge { engine: &self.loaded.engine, plan, scope: &self.scope, waits: Waits::Polite, budget: None };
        let headers = BTreeMap::new();
        judge.rule(Seen::Answer { status, headers: &headers, body }, 1, now).map(|ruling| ruling.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_pattern_fits_what_templates_fill_in_and_nothing_longer() {
        let fits = |source: &str, url: &str| Regex::new(&pattern(source)).unwrap().is_match(url);
        assert!(fits("{{ config['base'] }}//v1/things", "https://x.example/v1/things"));
        assert!(fits("https://api.example.com//v1/things/", "https://api.example.com/v1/things"));
        assert!(fits("https://a.example/v1/{{ stream_slice.id }}/calls", "https://a.example/v1/7/calls"));
        assert!(!fits("https://a.example/v1", "https://a.example/v1/7"));
    }

    #[test]
    fn names_that_templates_look_up_are_found() {
        assert_eq!(named("{{ headers['Link']['next'] }}{{ headers.get(\"X-Next\") }}", "headers"), ["link", "x-next"]);
        assert_eq!(named("{{ config['start_date'] or config.since }}", "config"), ["start_date", "since"]);
    }
}

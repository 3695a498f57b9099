//! `api_budget`: how often the provider may be asked, by what is asked.
//!
//! Owns the policies, which one holds for a request (the first that fits), and the counting. Time is given from outside; waiting is
//! the caller's. A fixed window begins with its first call and lasts as declared, unless the provider says when it ends.

use std::{collections::VecDeque, sync::Arc, time::Duration as Span};

use regex::Regex;
use serde_json::Value;
use url::Url;

use super::{
    duration::Duration,
    engine::{Engine, Scope, Template},
    reader::Component,
};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::clock::Timestamp,
    yaml::Node,
};

/// `HTTPAPIBudget`.
pub(super) struct BudgetPlan {
    pub policies: Vec<Policy>,
    /// Headers, in small letters, by which the provider tells when its window ends and how many calls are left.
    pub reset_header: String,
    pub remaining_header: String,
    /// Statuses that say that no call is left.
    pub hit_statuses: Vec<u64>,
}

pub(super) struct Policy {
    pub rule: Rule,
    /// None fits everything.
    pub matchers: Vec<Matcher>,
}

pub(super) enum Rule {
    Unlimited,
    Fixed { period: Duration, limit: u64 },
    Moving { rates: Vec<(Template, Duration)> },
}

/// What a request has to be like.
pub(super) struct Matcher {
    pub method: Option<String>,
    /// Scheme and host, without a slash at the end.
    pub base: Option<String>,
    pub path: Option<Regex>,
    pub params: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    /// How many calls one such request counts as.
    pub weight: Option<Template>,
}

/// A request, as far as a budget looks at it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    /// Names in small letters.
    pub headers: &'a [(String, String)],
}

impl Matcher {
    /// Whether a request is like that.
    pub fn fits(&self, asked: Asked<'_>) -> bool {
        let base = || {
            let origin = asked.url.origin().ascii_serialization();
            self.base.as_ref().is_none_or(|base| *base == origin)
        };
        let method = self.method.as_ref().is_none_or(|method| method == asked.method);
        let path = || self.path.as_ref().is_none_or(|path| path.is_match(asked.url.path().trim_end_matches('/')));
        // Of a parameter that is given several times the last one counts, and an empty one is none.
        let param = |(name, value): &(String, String)| {
            let given = asked.url.query_pairs().filter(|(have, value)| have == name && !value.is_empty()).last();
            given.is_some_and(|(_, given)| given == value.as_str())
        };
        let header =
            |(name, value): &(String, String)| asked.headers.iter().any(|(have, given)| have == name && given == value);
        method && base() && path() && self.params.iter().all(param) && self.headers.iter().all(header)
    }
}

impl BudgetPlan {
    /// The policy that holds for a request, and the matcher that says so.
    pub fn policy(&self, asked: Asked<'_>) -> Option<(usize, Option<usize>)> {
        self.policies.iter().enumerate().find_map(|(at, policy)| {
            if policy.matchers.is_empty() {
                return Some((at, None));
            }
            policy.matchers.iter().position(|matcher| matcher.fits(asked)).map(|matcher| (at, Some(matcher)))
        })
    }
}

/// The counts of one configuration's budget.
pub(super) struct Budget {
    plan: Arc<BudgetPlan>,
    counts: Vec<Count>,
    /// How many calls a request counts as, by policy and matcher.
    weights: Vec<Vec<u64>>,
}

enum Count {
    Unlimited,
    Fixed {
        micros: i64,
        limit: u64,
        used: u64,
        resets: Option<Timestamp>,
    },
    /// Each rate's calls and span; when each call was made, and what it counted.
    Moving {
        rates: Vec<(u64, i64)>,
        calls: VecDeque<(i64, u64)>,
    },
}

impl Budget {
    /// # Errors
    /// [`ErrorKind::Settings`] when a limit or a weight is no whole number from 1.
    pub fn new(plan: &Arc<BudgetPlan>, engine: &Engine, scope: &Scope) -> Result<Self, ConnectorError> {
        let counts = plan.policies.iter().map(|policy| {
            Ok(match &policy.rule {
                Rule::Unlimited => Count::Unlimited,
                Rule::Fixed { period, limit } => {
                    Count::Fixed { micros: micros(*period), limit: *limit, used: 0, resets: None }
                }
                Rule::Moving { rates } => {
                    let rate = |(limit, span): &(Template, Duration)| Ok((whole(engine, limit, scope)?, micros(*span)));
                    let rates = rates.iter().map(rate).collect::<Result<_, ConnectorError>>()?;
                    Count::Moving { rates, calls: VecDeque::new() }
                }
            })
        });
        let counts = counts.collect::<Result<_, ConnectorError>>()?;
        let weight = |matcher: &Matcher| matcher.weight.as_ref().map_or(Ok(1), |weight| whole(engine, weight, scope));
        let weights = plan.policies.iter().map(|policy| policy.matchers.iter().map(weight).collect());
        Ok(Self { plan: Arc::clone(plan), counts, weights: weights.collect::<Result<_, ConnectorError>>()? })
    }

    /// Takes a call for a request, or says how long to wait before asking again.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when a request counts as more than its limit allows at all.
    pub fn take(&mut self, asked: Asked<'_>, now: Timestamp) -> Result<Option<Span>, ConnectorError> {
        let Some((at, matcher)) = self.plan.policy(asked) else { return Ok(None) };
        let weight = matcher.and_then(|matcher| self.weights[at].get(matcher)).copied().unwrap_or(1);
        self.counts[at].take(weight, now)
    }

    /// Learns from an answer: calls that are left, and when the provider counts anew.
    pub fn learn(&mut self, asked: Asked<'_>, status: u16, header: &dyn Fn(&str) -> Option<String>, now: Timestamp) {
        let Some((at, _)) = self.plan.policy(asked) else { return };
        let number = |name: &str| header(name).and_then(|text| text.trim().parse::<i64>().ok());
        let hit = self.plan.hit_statuses.contains(&u64::from(status));
        let left = number(&self.plan.remaining_header).or(hit.then_some(0)).and_then(|left| u64::try_from(left).ok());
        let resets =
            number(&self.plan.reset_header).and_then(|seconds| Timestamp::from_micros(seconds.checked_mul(1_000_000)?));
        self.counts[at].learn(left, resets, now);
    }
}

impl Count {
    fn take(&mut self, weight: u64, now: Timestamp) -> Result<Option<Span>, ConnectorError> {
        let too_heavy = |limit: u64| {
            let message = format!("a request counts as {weight} calls, and the budget allows {limit} at once");
            ConnectorError::new(ErrorKind::Settings, message)
        };
        match self {
            Self::Unlimited => Ok(None),
            Self::Fixed { micros, limit, used, resets } => {
                if weight > *limit {
                    return Err(too_heavy(*limit));
                }
                let end = match *resets {
                    Some(end) if now <= end => end,
                    _ => {
                        *used = 0;
                        *resets.insert(later(now, *micros))
                    }
                };
                if *used + weight > *limit {
                    // Just past the end: the window holds up to and with it.
                    return Ok(Some(span(end.micros() - now.micros() + 1_000)));
                }
                *used += weight;
                Ok(None)
            }
            Self::Moving { rates, calls } => {
                let longest = rates.iter().map(|(_, micros)| *micros).max().unwrap_or(0);
                while calls.front().is_some_and(|(at, _)| *at < now.micros() - longest) {
                    calls.pop_front();
                }
                let mut wait = None;
                for (limit, micros) in rates.iter() {
                    if weight > *limit {
                        return Err(too_heavy(*limit));
                    }
                    let from = now.micros() - micros;
                    let mut held: u64 = calls.iter().filter(|(at, _)| *at >= from).map(|(_, count)| count).sum();
                    // The oldest calls have to leave the window until this one fits.
                    for (at, count) in calls.iter().filter(|(at, _)| *at >= from) {
                        if held + weight <= *limit {
                            break;
                        }
                        held -= count;
                        wait = wait.max(Some(span(at + micros - now.micros() + 1_000)));
                    }
                }
                if wait.is_none() {
                    calls.push_back((now.micros(), weight));
                }
                Ok(wait)
            }
        }
    }

    fn learn(&mut self, left: Option<u64>, told: Option<Timestamp>, now: Timestamp) {
        match self {
            Self::Unlimited => {}
            Self::Fixed { limit, used, resets, .. } => {
                // Fewer than we count: the account is used elsewhere, too. More is not believed.
                if let Some(left) = left.filter(|left| *left < limit.saturating_sub(*used)) {
                    *used = limit.saturating_sub(left);
                }
                *resets = told.or(*resets);
            }
            Self::Moving { rates, calls } => {
                if left == Some(0) && told.is_none() {
                    let held: u64 = calls.iter().map(|(_, count)| count).sum();
                    let limit = rates.first().map_or(0, |(limit, _)| *limit);
                    if let Some(missing) = limit.checked_sub(held).filter(|missing| *missing > 0) {
                        calls.push_back((now.micros(), missing));
                    }
                }
            }
        }
    }
}

fn span(micros: i64) -> Span {
    Span::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn later(at: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_add(micros)).unwrap_or(at)
}

/// Months and years count from the epoch: a budget has none, in practice.
fn micros(duration: Duration) -> i64 {
    Timestamp::from_micros(0).map_or(0, |start| duration.after(start).micros())
}

fn whole(engine: &Engine, template: &Template, scope: &Scope) -> Result<u64, ConnectorError> {
    let number = match engine.value(template, scope)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number| *number > 0).ok_or_else(|| {
        let message = format!("'{}' of the call budget is not a whole number from 1", template.source());
        ConnectorError::new(ErrorKind::Settings, message)
    })
}

/// Reads `api_budget`.
pub(super) fn budget(component: &Component<'_>) -> BudgetPlan {
    let kinds = ["FixedWindowCallRatePolicy", "MovingWindowCallRatePolicy", "UnlimitedCallRatePolicy"];
    let mut policies = Vec::new();
    for (kind, part) in component.children("policies", &kinds) {
        let rule = match kind {
            "UnlimitedCallRatePolicy" => Some(Rule::Unlimited),
            "FixedWindowCallRatePolicy" => fixed(&part),
            _ => moving(&part),
        };
        let matchers = part.children("matchers", &["HttpRequestRegexMatcher"]);
        let matchers = matchers.iter().filter_map(|(_, matcher)| read_matcher(matcher)).collect();
        part.finish(&[]);
        policies.extend(rule.map(|rule| Policy { rule, matchers }));
    }
    let header = |key: &'static str, default: &str| component.text(key).unwrap_or(default).to_lowercase();
    let reset_header = header("ratelimit_reset_header", "ratelimit-reset");
    let remaining_header = header("ratelimit_remaining_header", "ratelimit-remaining");
    let statuses = component.field("status_codes_for_ratelimit_hit").map(Node::to_json);
    let hit_statuses = match statuses {
        None => vec![429],
        Some(Value::Array(codes)) if codes.iter().all(Value::is_u64) => {
            codes.iter().filter_map(Value::as_u64).collect()
        }
        Some(_) => {
            component.refuse("status_codes_for_ratelimit_hit", "a list of statuses is expected", "such as [429]");
            Vec::new()
        }
    };
    component.finish(&["maximum_attempts_to_acquire"]);
    BudgetPlan { policies, reset_header, remaining_header, hit_statuses }
}

fn duration(component: &Component<'_>, key: &'static str) -> Option<Duration> {
    let text = component.text(key);
    let read = text.and_then(Duration::parse).filter(|duration| !duration.is_zero());
    if read.is_none() {
        component.refuse(key, "a span of time is expected", "such as PT1M");
    }
    read
}

fn fixed(part: &Component<'_>) -> Option<Rule> {
    let period = duration(part, "period");
    let limit = part.count("call_limit").filter(|limit| *limit > 0);
    if limit.is_none() {
        part.refuse("call_limit", "a whole number from 1 is expected", "");
    }
    Some(Rule::Fixed { period: period?, limit: limit? })
}

fn moving(part: &Component<'_>) -> Option<Rule> {
    let mut rates = Vec::new();
    for (_, rate) in part.children("rates", &["Rate"]) {
        let limit = rate.template("limit", true);
        let span = duration(&rate, "interval");
        rate.finish(&[]);
        rates.extend(limit.zip(span));
    }
    if rates.is_empty() {
        part.refuse("rates", "at least one rate is expected", "such as {limit: 5, interval: PT1S}");
    }
    Some(Rule::Moving { rates })
}

fn read_matcher(part: &Component<'_>) -> Option<Matcher> {
    let path = match part.text("url_path_pattern").filter(|text| !text.is_empty()).map(Regex::new) {
        None => None,
        Some(Ok(path)) => Some(path),
        Some(Err(_)) => {
            part.refuse(
                "url_path_pattern",
                "the pattern cannot be read, or looks around",
                "write it without (?= or (?!",
            );
            return None;
        }
    };
    let pairs = |key: &'static str| {
        let text = |node: &Node| super::python::to_text(&node.to_json());
        part.field(key)
            .map_or(&[][..], Node::entries)
            .iter()
            .map(|(key, node)| (key.clone(), text(node)))
            .collect::<Vec<_>>()
    };
    let matcher = Matcher {
        method: part.text("method").filter(|method| !method.is_empty()).map(str::to_uppercase),
        base: part.text("url_base").filter(|base| !base.is_empty()).map(|base| base.trim_end_matches('/').to_owned()),
        path,
        params: pairs("params"),
        headers: pairs("headers").into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(),
        weight: part.template("weight", false),
    };
    part.finish(&[]);
    Some(matcher)
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;

//! What a manifest's error handlers say of an answer.
//!
//! Owns filters, their order, and the waits that back-off strategies name, as the format has them. Refuses to send and to
//! sleep: the gate does, by the ruling that it is given.
//!
//! A handler's filters are asked in their order; one matches by status, by predicate or by the text of the error, whichever holds
//! first. What no filter matches has the meaning of its status. In a list of handlers the first one that accepts, retries, ignores
//! or begins anew decides; a refusal or a limit is only taken when no later handler says otherwise.

use std::{cell::OnceCell, collections::BTreeMap, sync::Arc, time::Duration};

use regex::Regex;
use serde_json::{Value, json};

use super::{
    engine::{Engine, Scope, Template},
    paginate,
};
use crate::{
    connector::http::{Action, CallBudget, Judge, Ruling, Seen},
    domain::clock::Timestamp,
};

/// Attempts after the first where the manifest names no number.
const MAX_RETRIES: u32 = 5;
/// Longest time over all attempts.
const MAX_TIME: Duration = Duration::from_secs(600);
/// What is added to every wait that a strategy names: its fractions are cut off by many providers.
const SECOND: f64 = 1.0;
/// A wait beyond this is not believed.
const LONGEST_WAIT: f64 = 7.0 * 24.0 * 3600.0;

/// The error handling of one requester.
#[derive(Debug, Default)]
pub(super) struct ErrorPlan {
    pub handler: Option<Handler>,
    pub backoffs: Vec<Backoff>,
    /// A template over the configuration.
    pub max_retries: Option<Template>,
}

impl ErrorPlan {
    /// Whether any filter asks for that.
    pub fn asks_for(&self, action: Action) -> bool {
        fn asks(handler: &Handler, action: Action) -> bool {
            match handler {
                Handler::Filters(filters) => filters.iter().any(|filter| filter.action == Some(action)),
                Handler::Any(handlers) => handlers.iter().any(|handler| asks(handler, action)),
            }
        }
        self.handler.as_ref().is_some_and(|handler| asks(handler, action))
    }
}

#[derive(Debug)]
pub(super) enum Handler {
    Filters(Vec<Filter>),
    Any(Vec<Handler>),
}

#[derive(Debug)]
pub(super) struct Filter {
    /// A filter without an action never matches.
    pub action: Option<Action>,
    pub of_config: Option<bool>,
    pub codes: Vec<u16>,
    pub predicate: Option<Template>,
    pub contains: Option<String>,
    pub message: Option<Template>,
}

#[derive(Debug)]
pub(super) enum Backoff {
    Constant {
        seconds: Template,
    },
    Exponential {
        factor: Template,
    },
    FromHeader {
        header: Template,
        regex: Option<Template>,
        most: Option<Template>,
    },
    UntilHeader {
        header: Template,
        regex: Option<Template>,
        least: Option<Template>,
        most: Option<Template>,
    },
    /// A template over the answer.
    FromResponse {
        seconds: Template,
        most: Option<Template>,
    },
}

/// How waits are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// What the manifest names; otherwise the gate's own pauses, which know what providers' headers say.
    Polite,
    /// As the format's reference implementation waits, second by second.
    Reference,
}

/// The plan with the configuration that its templates need.
pub(super) struct ManifestJudge<'a> {
    pub engine: &'a Engine,
    pub plan: &'a ErrorPlan,
    pub scope: &'a Scope,
    pub waits: Waits,
    pub budget: Option<&'a dyn CallBudget>,
}

/// One answer, as filters look at it.
struct Look<'a> {
    status: u16,
    headers: &'a BTreeMap<String, String>,
    text: &'a [u8],
    /// The body as JSON, once somebody asked for it: most answers are good ones that no filter looks into.
    parsed: OnceCell<Option<Arc<Value>>>,
}

impl<'a> Look<'a> {
    fn at(status: u16, headers: &'a BTreeMap<String, String>, text: &'a [u8]) -> Self {
        Self { status, headers, text, parsed: OnceCell::new() }
    }

    fn parsed(&self) -> Option<&Arc<Value>> {
        self.parsed.get_or_init(|| serde_json::from_slice(self.text).ok().map(Arc::new)).as_ref()
    }

    /// The body as templates see it: an empty object where it is no JSON.
    fn body(&self) -> Arc<Value> {
        self.parsed().map_or_else(|| Arc::new(json!({})), Arc::clone)
    }
}

impl Judge for ManifestJudge<'_> {
    fn budget(&self) -> Option<&dyn CallBudget> {
        self.budget
    }

    fn rule(&self, seen: Seen<'_>, attempt: u32, now: Timestamp) -> Option<Ruling> {
        // Without rules of its own the manifest leaves refusals to the gate, which knows what providers' headers say.
        let silent = self.waits == Waits::Polite && self.plan.handler.is_none();
        if silent && self.plan.backoffs.is_empty() {
            return None;
        }
        let (mut ruling, look) = match seen {
            Seen::Trouble => (Ruling::of(Action::Retry), None),
            Seen::Answer { status, headers, body } => {
                let look = Look::at(status, headers, body);
                let ruling = self.plan.handler.as_ref().map(|handler| self.ask(handler, &look));
                (ruling.unwrap_or_else(|| by_status(status)), Some(look))
            }
        };
        if matches!(ruling.action, Action::Retry | Action::RateLimited | Action::RefreshToken) {
            match self.wait(look.as_ref(), attempt, now) {
                Ok(wait) => ruling.wait = wait,
                // The manifest would rather stop than wait so long.
                Err(TooLong) => ruling = Ruling { action: Action::Fail, of_config: Some(false), ..ruling },
            }
        } else if silent {
            return None;
        }
        Some(ruling)
    }

    fn max_retries(&self) -> Option<u32> {
        let declared = self.plan.max_retries.as_ref().and_then(|template| {
            let value = self.engine.value(template, self.scope).ok()?;
            u32::try_from(value.as_u64()?).ok()
        });
        match self.waits {
            Waits::Polite => declared,
            Waits::Reference => Some(declared.unwrap_or(MAX_RETRIES)),
        }
    }

    fn max_time(&self) -> Option<Duration> {
        (self.waits == Waits::Reference || self.plan.handler.is_some()).then_some(MAX_TIME)
    }
}

/// A strategy names a wait beyond its own maximum.
struct TooLong;

impl ManifestJudge<'_> {
    fn ask(&self, handler: &Handler, look: &Look<'_>) -> Ruling {
        match handler {
            Handler::Filters(filters) => {
                let found = filters.iter().find_map(|filter| self.matched(filter, look));
                found.unwrap_or_else(|| by_status(look.status))
            }
            Handler::Any(handlers) => {
                let mut last = None;
                for handler in handlers {
                    let ruling = self.ask(handler, look);
                    let decides = matches!(
                        ruling.action,
                        Action::Accept
                            | Action::Retry
                            | Action::Ignore
                            | Action::ResetPagination
                            | Action::SmallerPage
                            | Action::SplitWindow
                    );
                    last = Some(ruling);
                    if decides {
                        break;
                    }
                }
                last.unwrap_or_else(|| by_status(look.status))
            }
        }
    }

    fn matched(&self, filter: &Filter, look: &Look<'_>) -> Option<Ruling> {
        let action = filter.action?;
        let holds = filter.codes.contains(&look.status)
            || filter.predicate.as_ref().is_some_and(|predicate| self.holds(predicate, look))
            || filter.contains.as_ref().is_some_and(|part| error_text(look).is_some_and(|text| text.contains(part)));
        holds.then(|| Ruling {
            action,
            wait: None,
            message: filter.message.as_ref().and_then(|words| {
                let text = self.engine.text(words, &self.scope_of(look)).ok()?;
                (!text.is_empty()).then_some(text)
            }),
            of_config: filter.of_config,
        })
    }

    /// A predicate that fails does not hold: it looked for something that is not there.
    fn holds(&self, predicate: &Template, look: &Look<'_>) -> bool {
        self.engine.truth(predicate, &self.scope_of(look)).unwrap_or(false)
    }

    fn scope_of(&self, look: &Look<'_>) -> Scope {
        let headers = Arc::new(paginate::headers(look.headers));
        self.scope.clone().with("response", &look.body()).with("headers", &headers)
    }

    /// How long to wait before the next attempt: the first strategy that names a wait.
    fn wait(&self, look: Option<&Look<'_>>, attempt: u32, now: Timestamp) -> Result<Option<Duration>, TooLong> {
        for backoff in &self.plan.backoffs {
            if let Some(seconds) = self.named(backoff, look, attempt, now)? {
                return Ok(Some(duration(seconds + SECOND)));
            }
        }
        Ok(match self.waits {
            Waits::Polite => None,
            Waits::Reference => Some(duration(f64::from(attempt.saturating_sub(1).min(30)).exp2())),
        })
    }

    fn named(
        &self,
        backoff: &Backoff,
        look: Option<&Look<'_>>,
        attempt: u32,
        now: Timestamp,
    ) -> Result<Option<f64>, TooLong> {
        let number = |template: &Template| self.engine.value(template, self.scope).ok().and_then(|v| as_number(&v));
        let header = |name: &Template, regex: Option<&Template>| self.header(name, regex, look?);
        let capped = |seconds: f64, most: Option<&Template>| match most.and_then(number) {
            Some(most) if seconds >= most => Err(TooLong),
            _ => Ok(Some(seconds)),
        };
        // Zero names no wait, as in the reference.
        let some = |seconds: Option<f64>| seconds.filter(|seconds| *seconds != 0.0);
        match backoff {
            Backoff::Constant { seconds } => Ok(some(number(seconds))),
            Backoff::Exponential { factor } => {
                Ok(some(number(factor).map(|factor| factor * f64::from(attempt.min(30)).exp2())))
            }
            Backoff::FromHeader { header: name, regex, most } => match some(header(name, regex.as_ref())) {
                None => Ok(None),
                Some(seconds) => capped(seconds, most.as_ref()),
            },
            Backoff::FromResponse { seconds, most } => {
                // What cannot be read of this answer, or names no wait, leaves it to the next strategy.
                let no_headers = BTreeMap::new();
                let nothing = Look::at(0, &no_headers, b"");
                let value = self.engine.value(seconds, &self.scope_of(look.unwrap_or(&nothing))).ok();
                match value.as_ref().and_then(as_number).filter(|wait| wait.is_finite() && *wait > 0.0) {
                    None => Ok(None),
                    Some(wait) => capped(wait, most.as_ref()),
                }
            }
            Backoff::UntilHeader { header: name, regex, least, most } => {
                let least = least.as_ref().and_then(number).filter(|least| *least != 0.0);
                let until = some(header(name, regex.as_ref()));
                #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 with microseconds fit")]
                let wait = until.map(|until| until - now.micros() as f64 / 1e6);
                match (wait, least) {
                    (None, None) => Ok(None),
                    (None, Some(least)) => capped(least, most.as_ref()),
                    (Some(wait), Some(least)) => capped(wait.max(least), most.as_ref()),
                    (Some(wait), None) if wait < 0.0 => Ok(None),
                    (Some(wait), None) => capped(wait, most.as_ref()),
                }
            }
        }
    }

    /// A header's number; with a pattern, of the part at its beginning that matches.
    fn header(&self, name: &Template, regex: Option<&Template>, look: &Look<'_>) -> Option<f64> {
        let name = self.engine.text(name, self.scope).ok()?.to_ascii_lowercase();
        let value = look.headers.get(&name)?;
        let found = match regex {
            None => value.as_str(),
            Some(regex) => {
                let pattern = self.engine.text(regex, self.scope).ok()?;
                let pattern = Regex::new(&format!("^(?:{pattern})")).ok()?;
                pattern.find(value).map_or(value.as_str(), |found| found.as_str())
            }
        };
        found.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }
}

/// What a status means where no filter says otherwise.
fn by_status(status: u16) -> Ruling {
    Ruling::of(match status {
        200..=399 => Action::Accept,
        429 => Action::RateLimited,
        400 | 401 | 403 | 404 | 405 => Action::Fail,
        _ => Action::Retry,
    })
}

/// The words of an error, wherever the body has them; the body itself where it is no JSON.
fn error_text(look: &Look<'_>) -> Option<String> {
    match look.parsed() {
        Some(body) => words(body),
        None => String::from_utf8(look.text.to_vec()).ok(),
    }
}

/// Fields that providers put their words into, the telling ones first.
const WORD_FIELDS: [&str; 12] = [
    "message",
    "messages",
    "error",
    "errors",
    "failures",
    "failure",
    "detail",
    "err",
    "error_message",
    "msg",
    "reason",
    "status_message",
];

fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(words).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let filled = |value: &&Value| paginate::is_filled(value);
            WORD_FIELDS.iter().find_map(|name| fields.get(*name).filter(filled)).and_then(words)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_WAIT))
}

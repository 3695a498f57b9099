//! Reading error handlers and back-off strategies.

use super::{
    complaint,
    errors::{Backoff, ErrorPlan, Filter, Handler},
    reader::Component,
};
use crate::{connector::http::Action, yaml::NodeValue};

const HANDLERS: [&str; 2] = ["DefaultErrorHandler", "CompositeErrorHandler"];
const BACKOFFS: [&str; 5] = [
    "ConstantBackoffStrategy",
    "ExponentialBackoffStrategy",
    "WaitTimeFromHeader",
    "WaitUntilTimeFromHeader",
    "WaitTimeFromResponse",
];

/// The error handling that a requester declares.
pub(super) fn errors(requester: &Component<'_>) -> ErrorPlan {
    let mut plan = ErrorPlan::default();
    if let Some((kind, component)) = requester.child("error_handler", &HANDLERS, false) {
        plan.handler = Some(handler(kind, &component, &mut plan.backoffs, &mut plan.max_retries));
    }
    plan
}

/// `max_retries` is the first handler's; back-off strategies of all handlers make one list.
fn handler(
    kind: &str,
    component: &Component<'_>,
    backoffs: &mut Vec<Backoff>,
    max_retries: &mut Option<super::engine::Template>,
) -> Handler {
    if kind == "CompositeErrorHandler" {
        let mut first = true;
        let mut handlers = Vec::new();
        for (kind, inner) in component.children("error_handlers", &HANDLERS) {
            let mut own = None;
            handlers.push(handler(kind, &inner, backoffs, &mut own));
            if std::mem::take(&mut first) {
                *max_retries = own;
            }
        }
        if handlers.is_empty() {
            component.refuse("error_handlers", "a list of at least one error handler is expected", "");
        }
        component.finish(&[]);
        return Handler::Any(handlers);
    }
    *max_retries = component.template("max_retries", false);
    let filters = component.children("response_filters", &["HttpResponseFilter"]);
    let filters = filters.iter().map(|(_, filter)| response_filter(filter)).collect();
    for (kind, strategy) in component.children("backoff_strategies", &BACKOFFS) {
        backoffs.extend(backoff(kind, &strategy));
    }
    component.finish(&[]);
    Handler::Filters(filters)
}

fn response_filter(component: &Component<'_>) -> Filter {
    let action = component.text("action").and_then(|word| {
        let action = match word {
            "SUCCESS" => Some(Action::Accept),
            "FAIL" => Some(Action::Fail),
            "RETRY" => Some(Action::Retry),
            "IGNORE" => Some(Action::Ignore),
            "RATE_LIMITED" => Some(Action::RateLimited),
            "RESET_PAGINATION" => Some(Action::ResetPagination),
            "REDUCE_PAGE_SIZE" => Some(Action::SmallerPage),
            "SPLIT_REQUEST_WINDOW" => Some(Action::SplitWindow),
            "REFRESH_TOKEN_THEN_RETRY" => Some(Action::RefreshToken),
            _ => None,
        };
        if action.is_none() {
            const ACTIONS: [&str; 7] =
                ["SUCCESS", "FAIL", "RETRY", "IGNORE", "RATE_LIMITED", "RESET_PAGINATION", "REFRESH_TOKEN_THEN_RETRY"];
            component.refuse("action", &format!("'{word}' is no action"), &complaint::choose(word, &ACTIONS));
        }
        action
    });
    let of_config = component.text("failure_type").and_then(|word| match word {
        "config_error" => Some(true),
        "transient_error" => Some(false),
        "system_error" => None,
        _ => {
            let known = ["config_error", "transient_error", "system_error"];
            component.refuse("failure_type", &format!("'{word}' is no failure type"), &complaint::choose(word, &known));
            None
        }
    });
    let mut codes = Vec::new();
    for node in component.list("http_codes") {
        let code = match &node.value {
            NodeValue::Number(number) => number.as_u64().and_then(|code| u16::try_from(code).ok()),
            // Quoted numbers are taken, as the format's own reader does.
            NodeValue::Text(text) => text.trim().parse().ok(),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::List(_) | NodeValue::Table(_) => None,
        };
        match code {
            Some(code) => codes.push(code),
            None => component.refuse_at(
                node,
                &component.at("http_codes"),
                &format!("an HTTP status is expected, not {}", node.kind()),
                "write e.g. http_codes: [404, 410]",
            ),
        }
    }
    let predicate = component.condition("predicate", false).filter(|predicate| !predicate.source().is_empty());
    let contains = component.text("error_message_contains").filter(|text| !text.is_empty()).map(str::to_owned);
    let message = component.template("error_message", false);
    component.finish(&[]);
    Filter { action, of_config, codes, predicate, contains, message }
}

fn backoff(kind: &str, component: &Component<'_>) -> Option<Backoff> {
    // Jitter only spreads a wait; ours are spread by the pace of the account.
    let found = match kind {
        "ConstantBackoffStrategy" => {
            component.template("backoff_time_in_seconds", true).map(|seconds| Backoff::Constant { seconds })
        }
        "ExponentialBackoffStrategy" => {
            let factor = component.template("factor", false).or_else(|| component.constant("5"));
            factor.map(|factor| Backoff::Exponential { factor })
        }
        "WaitTimeFromResponse" => component.template("wait_time_in_seconds", true).map(|seconds| {
            Backoff::FromResponse { seconds, most: component.template("max_waiting_time_in_seconds", false) }
        }),
        "WaitTimeFromHeader" => component.template("header", true).map(|header| Backoff::FromHeader {
            header,
            regex: component.template("regex", false),
            most: component.template("max_waiting_time_in_seconds", false),
        }),
        _ => component.template("header", true).map(|header| Backoff::UntilHeader {
            header,
            regex: component.template("regex", false),
            least: component.template("min_wait", false),
            most: component.template("max_waiting_time_in_seconds", false),
        }),
    };
    component.finish(&["jitter_range_in_seconds"]);
    found
}

//! Reading paginators and cursors.

use super::{
    clamp,
    datetime::Format,
    duration::Duration,
    engine::Template,
    load::fixed_text,
    load_request::request_option,
    plan::{Bound, CursorPlan, Paginator, RequestOption, Strategy, TokenOption},
    reader::Component,
};
use crate::yaml::{Node, NodeValue};

const DURATIONS: &str = "write e.g. PT1S (a second), PT30M (half an hour), P1D (a day), P30D, P1M (a month)";
const DIRECTIVES: &str =
    "write it with directives such as %Y-%m-%dT%H:%M:%SZ, %Y-%m-%d, %s (seconds since 1970) or %ms (milliseconds)";

pub(super) fn paginator(kind: &str, component: &Component<'_>) -> Option<Paginator> {
    if kind == "NoPagination" {
        component.finish(&[]);
        return None;
    }
    let strategies = ["CursorPagination", "PageIncrement", "OffsetIncrement"];
    let found = component.child("pagination_strategy", &strategies, true).and_then(|(kind, strategy)| {
        let page_size = strategy.template("page_size", false);
        let strategy_plan = match kind {
            "OffsetIncrement" => Some(Strategy::Offset { on_first: strategy.truth("inject_on_first_request") }),
            "PageIncrement" => {
                let first = strategy.count("start_from_page").and_then(|n| i64::try_from(n).ok()).unwrap_or(0);
                Some(Strategy::Page { first, on_first: strategy.truth("inject_on_first_request") })
            }
            _ => {
                let stop = strategy.condition("stop_condition", false);
                strategy.template("cursor_value", true).map(|value| {
                    let looks = |template: &Template| {
                        ["last_record", "last_page_size"].iter().any(|name| template.source().contains(name))
                    };
                    let after = looks(&value) || stop.as_ref().is_some_and(looks);
                    let sized = |template: &Template| template.names("page_size");
                    if page_size.is_none() && (sized(&value) || stop.as_ref().is_some_and(sized)) {
                        strategy.refuse("page_size", "a template names 'page_size', and there is none", "declare it");
                    }
                    Strategy::Cursor { value, stop, after }
                })
            }
        };
        strategy.finish(&[]);
        Some((strategy_plan?, page_size))
    });
    let size_option = option(component, "page_size_option");
    let token_option =
        component.child("page_token_option", &["RequestOption", "RequestPath"], false).and_then(|(kind, option)| {
            if kind == "RequestPath" {
                option.finish(&[]);
                return Some(TokenOption::Path);
            }
            request_option(&option).map(TokenOption::Option)
        });
    component.finish(&["url_base"]);
    let (strategy, page_size) = found?;
    if size_option.is_some() && page_size.is_none() {
        component.refuse(
            "page_size_option",
            "a page size is to be sent, but the strategy has no page_size",
            "add page_size to the pagination_strategy, or leave page_size_option out",
        );
    }
    Some(Paginator { strategy, page_size, size_option, token_option })
}

fn option(component: &Component<'_>, key: &'static str) -> Option<RequestOption> {
    component.child(key, &["RequestOption"], false).and_then(|(_, option)| request_option(&option))
}

pub(super) fn cursor(component: &Component<'_>) -> Option<CursorPlan> {
    // Not mistaken for a misspelt field.
    for known in ["start_time_option", "end_time_option", "end_datetime", "cursor_datetime_formats"] {
        component.tolerate(known);
    }
    let field = fixed_text(component, "cursor_field", true);
    let format = component.text("datetime_format").map(|text| (text, Format::compile(text)));
    if let Some((text, Ok(_))) = &format
        && !text.contains('%')
    {
        component.refuse("datetime_format", &format!("the format '{text}' has no directive"), DIRECTIVES);
    }
    let format = match format {
        None => {
            component.missing(
                "datetime_format",
                "say how the provider writes the cursor, e.g. datetime_format: \"%Y-%m-%dT%H:%M:%SZ\"",
            );
            None
        }
        Some((_, Ok(format))) => Some(format),
        Some((_, Err(directive))) => {
            component.refuse("datetime_format", &format!("the directive {directive} is not known"), DIRECTIVES);
            None
        }
    };
    let mut record_formats: Vec<Format> = Vec::new();
    for node in component.list("cursor_datetime_formats") {
        match node.text().filter(|text| text.contains('%')).map(Format::compile) {
            Some(Ok(format)) => record_formats.push(format),
            Some(Err(_)) | None => component.refuse_at(
                node,
                &component.at("cursor_datetime_formats"),
                "a format with known directives is expected",
                DIRECTIVES,
            ),
        }
    }
    let start = bound(component, "start_datetime");
    if component.field("start_datetime").is_none() {
        component.missing(
            "start_datetime",
            "say from when on records are wanted, e.g. start_datetime: \"{{ config['start_date'] }}\"",
        );
    }
    let end = bound(component, "end_datetime");
    let step = component.template("step", false);
    let granularity = component.text("cursor_granularity").map(|text| {
        Duration::parse(text).unwrap_or_else(|| {
            component.refuse("cursor_granularity", "an ISO 8601 duration is expected", DURATIONS);
            Duration::default()
        })
    });
    if step.is_some() && granularity.is_none() {
        component.refuse(
            "step",
            "'step' needs 'cursor_granularity'",
            "add the smallest unit of the provider's stamps, e.g. cursor_granularity: PT1S",
        );
    }
    let lookback = component.template("lookback_window", false);
    for (key, duration) in [("step", &step), ("lookback_window", &lookback)] {
        // One with a template in it is known only when it is used.
        let fixed = duration.as_ref().map(|duration| duration.source().trim()).filter(|text| !text.contains('{'));
        if fixed.is_some_and(|text| !text.is_empty() && Duration::parse(text).is_none()) {
            component.refuse(key, "an ISO 8601 duration is expected", DURATIONS);
        }
    }
    let start_option = option(component, "start_time_option");
    let end_option = option(component, "end_time_option");
    let start_name = component.text("partition_field_start").unwrap_or("start_time").to_owned();
    let end_name = component.text("partition_field_end").unwrap_or("end_time").to_owned();
    let (client_side, data_feed) = (component.truth("is_client_side_incremental"), component.truth("is_data_feed"));
    let global = component.truth("global_substream_cursor");
    let strictly = component.truth("is_compare_strictly");
    let clamping = clamp::clamping(component);
    component.finish(&["allow_catalog_defined_cursor_field"]);
    let format = format?;
    if record_formats.is_empty() {
        record_formats.push(format.clone());
    }
    Some(CursorPlan {
        field: field?,
        format,
        record_formats,
        start: start?,
        end,
        step,
        granularity: granularity.unwrap_or_default(),
        lookback,
        start_option,
        end_option,
        start_name,
        end_name,
        global,
        client_side,
        data_feed,
        counts: false,
        clamping,
        strictly,
    })
}

/// `IncrementingCountCursor`.
pub(super) fn counting(component: &Component<'_>) -> Option<CursorPlan> {
    let field = fixed_text(component, "cursor_field", true);
    let start = match component.field("start_value") {
        Some(_) => component.template("start_value", true),
        None => component.constant("0"),
    };
    let start_option = option(component, "start_value_option");
    component.finish(&["allow_catalog_defined_cursor_field"]);
    Some(CursorPlan {
        field: field?,
        // Counts are written as they are.
        format: Format::compile("%s").ok()?,
        record_formats: Vec::new(),
        start: Bound { time: start?, format: None, at_least: None, at_most: None, counts: true },
        end: None,
        step: None,
        granularity: Duration::default(),
        lookback: None,
        start_option,
        end_option: None,
        start_name: "start".to_owned(),
        end_name: "end".to_owned(),
        global: false,
        client_side: false,
        data_feed: false,
        counts: true,
        clamping: None,
        strictly: false,
    })
}

/// A text, or a `MinMaxDatetime`.
fn bound(component: &Component<'_>, key: &'static str) -> Option<Bound> {
    let node: &Node = component.field(key)?;
    if !matches!(node.value, NodeValue::Table(_)) {
        let time = component.template(key, true)?;
        return Some(Bound { time, format: None, at_least: None, at_most: None, counts: false });
    }
    let (_, bound) = component.open(node, component.at(key), &["MinMaxDatetime"])?;
    let format = bound.text("datetime_format").filter(|text| !text.is_empty()).map(Format::compile);
    if let Some(Err(directive)) = &format {
        bound.refuse("datetime_format", &format!("the directive {directive} is not known"), DIRECTIVES);
    }
    let at_least = bound.template("min_datetime", false);
    let at_most = bound.template("max_datetime", false);
    let time = bound.template("datetime", true);
    bound.finish(&[]);
    Some(Bound { time: time?, format: format.and_then(Result::ok), at_least, at_most, counts: false })
}

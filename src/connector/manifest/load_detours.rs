//! Reading `pagination_reset`, `page_size_reduction` and `request_window_splitting`, and refusing them where they could lose records.

use super::{
    detour::{DetourPlan, ResetPlan, SmallerPlan, SplitPlan},
    duration::Duration,
    plan::{CursorPlan, Paginator, RequestPlan, Strategy, TokenOption},
    reader::Component,
    select::Selector,
};
use crate::connector::http::Action;

/// What a retriever says of detours.
pub(super) fn detours(retriever: &Component<'_>) -> DetourPlan {
    let reset = retriever.child("pagination_reset", &["PaginationReset"], false).map(|(_, part)| reset(&part));
    let smaller = retriever.child("page_size_reduction", &["PageSizeReduction"], false).map(|(_, part)| smaller(&part));
    let split = retriever.child("request_window_splitting", &["RequestWindowSplitting"], false).map(|(_, part)| {
        let least = part.text("min_split_window").map(|text| {
            let least = Duration::parse(text).filter(|least| least.micros().is_some_and(|micros| micros > 0));
            if least.is_none() {
                part.refuse("min_split_window", "a duration of days or less is expected, such as P1D or PT1H", "");
            }
            least.unwrap_or_default()
        });
        let words = part.text("failure_message").map(str::to_owned);
        part.finish(&[]);
        SplitPlan { least, words }
    });
    DetourPlan { reset, smaller, split }
}

fn reset(part: &Component<'_>) -> ResetPlan {
    let by_cursor = match part.text("action") {
        Some("SPLIT_USING_CURSOR") => true,
        Some("RESET") => false,
        _ => {
            part.refuse("action", "'action' is missing or not known", "SPLIT_USING_CURSOR or RESET");
            false
        }
    };
    let limit = part.child("limits", &["PaginationResetLimits"], false).and_then(|(_, limits)| {
        let limit = limits.count("number_of_records");
        limits.finish(&[]);
        limit
    });
    part.finish(&[]);
    ResetPlan { by_cursor, limit }
}

fn smaller(part: &Component<'_>) -> SmallerPlan {
    let count = |key: &'static str, default: u32, least: u32| {
        let given = part.count(key).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        if given.is_some_and(|given| given < least) {
            part.refuse(key, &format!("a whole number from {least} is expected"), "");
        }
        given.unwrap_or(default)
    };
    let factor = part.number("reduction_factor").unwrap_or(2.0);
    if factor <= 1.0 {
        part.refuse("reduction_factor", "a number above 1 is expected", "");
    }
    let pause_seconds = part.number("backoff_seconds").unwrap_or(0.5);
    if pause_seconds < 0.0 {
        part.refuse("backoff_seconds", "a number from 0 is expected", "");
    }
    let restored = match part.text("reset_policy") {
        None | Some("NEVER") => false,
        Some("AFTER_SUCCESSFUL_PAGE") => true,
        Some(_) => {
            part.refuse("reset_policy", "'reset_policy' is not known", "NEVER or AFTER_SUCCESSFUL_PAGE");
            false
        }
    };
    let plan = SmallerPlan {
        factor,
        least: u64::from(count("minimum_page_size", 1, 1)),
        most_in_a_row: count("max_attempts", 5, 1),
        pause_seconds,
        retries_at_least: count("retries_at_minimum_page_size", 0, 0),
        restored,
        words: part.text("failure_message").map(str::to_owned),
    };
    part.finish(&[]);
    plan
}

/// Refuses detours that do not fit the rest of the retriever.
pub(super) fn held_together(
    retriever: &Component<'_>,
    plan: &DetourPlan,
    request: &RequestPlan,
    selector: &Selector,
    paginator: Option<&Paginator>,
) {
    if selector.filter.is_some() && plan.reset.is_some_and(|reset| reset.limit.is_some()) {
        retriever.refuse("pagination_reset", "a limit of records does not go with a record filter", "leave one out");
    }
    let wants_smaller = request.errors.asks_for(Action::SmallerPage);
    if wants_smaller && plan.smaller.is_none() {
        retriever.refuse("page_size_reduction", "REDUCE_PAGE_SIZE needs 'page_size_reduction' beside it", "add it");
    }
    if request.errors.asks_for(Action::SplitWindow) && plan.split.is_none() {
        let message = "SPLIT_REQUEST_WINDOW needs 'request_window_splitting' beside it";
        retriever.refuse("request_window_splitting", message, "add it");
    }
    let by_name = request.properties.is_some();
    if plan.split.is_some() && by_name {
        retriever.refuse("request_window_splitting", "windows are not halved where fields are asked for by name", "");
    }
    let Some(smaller) = &plan.smaller else { return };
    let refuse = |message: &str, remedy: &str| retriever.refuse("page_size_reduction", message, remedy);
    if by_name {
        refuse("pages do not shrink where fields are asked for by name", "leave one out");
    }
    let Some(paginator) = paginator else {
        return refuse("smaller pages need a DefaultPaginator", "");
    };
    if paginator.size_option.is_none() {
        refuse("smaller pages need a 'page_size_option'", "say how the size is sent");
    }
    if matches!(paginator.token_option, Some(TokenOption::Path)) {
        refuse("the next page's whole address holds the size already", "send the token by a RequestOption");
    }
    match &paginator.strategy {
        Strategy::Page { .. } => {
            refuse("a smaller page moves the numbers of all later ones", "use offsets or a cursor")
        }
        Strategy::Cursor { stop: Some(stop), .. } if counts_against_a_number(stop.source(), smaller.least) => {
            refuse("the stop_condition takes a smaller page for the last one", "compare with 'page_size'");
        }
        Strategy::Cursor { .. } | Strategy::Offset { .. } => {}
    }
    let size = paginator.page_size.as_ref().map(|size| size.source().trim().parse::<u64>());
    match size {
        None => refuse("smaller pages need a 'page_size'", "declare it on the strategy"),
        Some(Ok(size)) if size <= smaller.least => refuse("the page size is not above the least one", "raise it"),
        Some(_) => {}
    }
}

/// `last_page_size < 100`, which a full page of fewer records fulfils.
fn counts_against_a_number(condition: &str, least: u64) -> bool {
    let words: String = condition.chars().filter(|c| !c.is_whitespace()).collect();
    words.match_indices("last_page_size<").any(|(at, found)| {
        let rest = words[at + found.len()..].trim_start_matches('=');
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().is_ok_and(|bound| bound > least)
    })
}

/// Halves of windows need a cursor whose windows are sent and have a smallest one.
pub(super) fn with_cursor(stream: &Component<'_>, plan: &DetourPlan, cursor: Option<&CursorPlan>) {
    if plan.split.is_none() {
        return;
    }
    let refuse = |message: &str| stream.refuse("incremental_sync", message, "");
    match cursor {
        Some(cursor) if cursor.client_side => refuse("a window that is not sent cannot be halved"),
        Some(cursor) if cursor.granularity.micros().is_some_and(|micros| micros > 0) => {}
        _ => refuse("request_window_splitting needs a DatetimeBasedCursor with 'cursor_granularity'"),
    }
}

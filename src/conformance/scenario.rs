//! The scenarios: what each simulates, and how a connector that fails in it is mended.
//!
//! Owns their names and words. docs/conformance.md tells each at length; a test holds the two lists together.

/// A thing that real servers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scenario {
    PagingToTheEnd,
    EmptyListing,
    EmptyPageBetween,
    RepeatedPage,
    CursorTies,
    WholeSeconds,
    UnstampedUntilEdited,
    DeletedRecord,
    LateEdit,
    UnauthorizedMidway,
    RateLimited,
    RetryAfterZero,
    ServerError,
    NotJson,
    ErrorWithStatus200,
    RightsLikeMissingRows,
    SilentPageCap,
    ObjectOrEmptyList,
    NextPastTheEnd,
    ShortLivedToken,
    ShiftedByDeletion,
    ShiftedByAddition,
    NewestFirst,
    NumbersAsText,
    ForeignStamps,
    RelativeNextAddress,
    UnknownParametersRefused,
}

impl Scenario {
    pub const ALL: &'static [Self] = &[
        Self::PagingToTheEnd,
        Self::EmptyListing,
        Self::EmptyPageBetween,
        Self::RepeatedPage,
        Self::CursorTies,
        Self::WholeSeconds,
        Self::UnstampedUntilEdited,
        Self::DeletedRecord,
        Self::LateEdit,
        Self::UnauthorizedMidway,
        Self::RateLimited,
        Self::RetryAfterZero,
        Self::ServerError,
        Self::NotJson,
        Self::ErrorWithStatus200,
        Self::RightsLikeMissingRows,
        Self::SilentPageCap,
        Self::ObjectOrEmptyList,
        Self::NextPastTheEnd,
        Self::ShortLivedToken,
        Self::ShiftedByDeletion,
        Self::ShiftedByAddition,
        Self::NewestFirst,
        Self::NumbersAsText,
        Self::ForeignStamps,
        Self::RelativeNextAddress,
        Self::UnknownParametersRefused,
    ];

    /// The stable word.
    pub const fn id(self) -> &'static str {
        match self {
            Self::PagingToTheEnd => "paging_to_the_end",
            Self::EmptyListing => "empty_listing",
            Self::EmptyPageBetween => "empty_page_between",
            Self::RepeatedPage => "repeated_page",
            Self::CursorTies => "cursor_ties",
            Self::WholeSeconds => "whole_seconds",
            Self::UnstampedUntilEdited => "unstamped_until_edited",
            Self::DeletedRecord => "deleted_record",
            Self::LateEdit => "late_edit",
            Self::UnauthorizedMidway => "unauthorized_midway",
            Self::RateLimited => "rate_limited",
            Self::RetryAfterZero => "retry_after_zero",
            Self::ServerError => "server_error",
            Self::NotJson => "not_json",
            Self::ErrorWithStatus200 => "error_with_status_200",
            Self::RightsLikeMissingRows => "rights_like_missing_rows",
            Self::SilentPageCap => "silent_page_cap",
            Self::ObjectOrEmptyList => "object_or_empty_list",
            Self::NextPastTheEnd => "next_past_the_end",
            Self::ShortLivedToken => "short_lived_token",
            Self::ShiftedByDeletion => "shifted_by_deletion",
            Self::ShiftedByAddition => "shifted_by_addition",
            Self::NewestFirst => "newest_first",
            Self::NumbersAsText => "numbers_as_text",
            Self::ForeignStamps => "foreign_stamps",
            Self::RelativeNextAddress => "relative_next_address",
            Self::UnknownParametersRefused => "unknown_parameters_refused",
        }
    }

    /// What to do about a failure.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::PagingToTheEnd => {
                "compare page_token_option, cursor_value and stop_condition with the provider's documentation and with the fixtures"
            }
            Self::EmptyListing => {
                "see what an empty answer looks like; where the records' path is missing then, say x-tidegate.records_optional: true on the stream"
            }
            Self::EmptyPageBetween => {
                "let stop_condition ask whether the answer names a next page, never whether this page had records"
            }
            Self::RepeatedPage => {
                "take the token from the answer, and never a constant; a listing that repeats itself must end as an error"
            }
            Self::CursorTies | Self::WholeSeconds => {
                "let requests ask from the cursor on, inclusive; say ordered_by_cursor only where the provider sorts by the cursor; else a lookback_window"
            }
            Self::UnstampedUntilEdited => {
                "follow a field that is never null (created, or coalesced by AddFields), or read such records by a stream of their own; a filter must not leave them out"
            }
            Self::DeletedRecord => {
                "ask from a time on, not from a record on: a record that is gone must not end the listing"
            }
            Self::LateEdit => {
                "let the cursor follow the time of the last change; in a listing by offset or page number also ask for an upper bound (end_time_option, or stream_interval['end_time']) and say x-tidegate.total, so that an edited record leaves the window and its count falls"
            }
            Self::UnauthorizedMidway => {
                "no response filter may accept or ignore 401; leave it to the engine, which reads the credential anew once"
            }
            Self::RateLimited => {
                "give 429 action RATE_LIMITED and a backoff strategy that reads the provider's own header, or leave it to the engine"
            }
            Self::RetryAfterZero => "leave Retry-After to the engine, which waits at least a second",
            Self::ServerError => {
                "no response filter may accept, ignore or fail a 5xx; give it action RETRY, or leave it to the engine"
            }
            Self::NotJson => "no response filter may ignore an answer because it cannot be read",
            Self::ErrorWithStatus200 => {
                "add a response filter with a predicate over the body, e.g. \"{{ 'error' in response }}\" with action FAIL; do not say records_optional"
            }
            Self::RightsLikeMissingRows => {
                "no response filter may ignore 403 or 404 on a listing; where a parent's child may be gone, ignore by the words of that one error"
            }
            Self::SilentPageCap => {
                "say the documented maximum in x-tidegate.max_page_size and ask for no more; or say x-tidegate.total, or leave page_size out; a stop_condition by last_page_size compares with 0"
            }
            Self::ObjectOrEmptyList => {
                "take nothing by its place in the list of records: use last_record, and let paging end when there is none"
            }
            Self::NextPastTheEnd => {
                "let paging end on an empty page too; where the provider answers an error there, ignore that error by its words"
            }
            Self::ShortLivedToken => {
                "let the manifest fetch or sign the token (expires_in, expiration_duration, token_duration), shorter than it is good for"
            }
            Self::ShiftedByDeletion => {
                "page by a token if the provider has one; else name the provider's own count in x-tidegate.total; a lookback_window reaches no record that is older than it, unless nothing so old goes any more (x-tidegate.settled_after)"
            }
            Self::ShiftedByAddition => {
                "let the cursor follow the time of the last change, and requests ask from the cursor on: then what was added comes with the next run"
            }
            Self::NewestFirst => {
                "do not say ordered_by_cursor, unless the request itself sorts by the cursor, ascending"
            }
            Self::NumbersAsText => "map it as integer, decimal or money; a share needs its own rule",
            Self::ForeignStamps => "name the form in the field map's formats, or in cursor_datetime_formats",
            Self::RelativeNextAddress => {
                "hand the provider's next address over as it is, with page_token_option: RequestPath"
            }
            Self::UnknownParametersRefused => {
                "send no parameter without a value, and none that the next page's address already holds"
            }
        }
    }
}

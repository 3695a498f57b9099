//! Reading retrievers: all that a stream is read by but its cursor and its schema.

use super::{
    decode::{self, DecoderPlan},
    detour::DetourPlan,
    job::JobPlan,
    load_detours, load_partitions, load_request, load_selector, load_slicing,
    partition::Router,
    plan::{CursorPlan, Paginator, RequestPlan},
    reader::Component,
    select::Selector,
};

/// A retriever's parts.
pub(super) struct Retrieved {
    pub request: RequestPlan,
    pub selector: Selector,
    pub paginator: Option<Paginator>,
    pub decoder: DecoderPlan,
    pub router: Option<Router>,
    pub slice_once: bool,
    pub detours: DetourPlan,
    /// Each slice is a job at the provider.
    pub job: Option<Box<JobPlan>>,
}

/// Reads a `SimpleRetriever`.
pub(super) fn retriever(retriever: &Component<'_>) -> Option<Retrieved> {
    let request = retriever
        .child("requester", &["HttpRequester"], true)
        .and_then(|(_, requester)| load_request::requester(&requester));
    let selector = retriever
        .child("record_selector", &["RecordSelector"], true)
        .and_then(|(_, selector)| load_selector::selector(&selector));
    let paginator = retriever
        .child("paginator", &["DefaultPaginator", "NoPagination"], false)
        .and_then(|(kind, paginator)| load_slicing::paginator(kind, &paginator));
    let decoder = decode::decoder(retriever, "decoder");
    let router = load_partitions::router(retriever);
    let slice_once = retriever.truth("ignore_stream_slicer_parameters_on_paginated_requests");
    let detours = load_detours::detours(retriever);
    retriever.finish(&["name", "primary_key"]);
    let (request, selector) = (request?, selector?);
    load_detours::held_together(retriever, &detours, &request, &selector, paginator.as_ref());
    Some(Retrieved { request, selector, paginator, decoder: decoder?, router, slice_once, detours, job: None })
}

/// Refuses what does not go with the stream's cursor.
pub(super) fn with_cursor(
    stream: &Component<'_>,
    router: Option<&Router>,
    decoder: &DecoderPlan,
    detours: &DetourPlan,
    cursor: Option<&CursorPlan>,
) {
    let refuse = |message: &str, remedy: &str| stream.refuse("incremental_sync", message, remedy);
    if router.is_some() && cursor.is_some_and(|cursor| cursor.counts) {
        refuse("a cursor that counts does not go with partitions", "leave one out");
    }
    load_detours::with_cursor(stream, detours, cursor);
    let lazy =
        matches!(router, Some(Router::Parents(parents)) if parents.iter().any(|parent| !parent.inside.is_empty()));
    if !lazy {
        return;
    }
    if cursor.is_some_and(|cursor| cursor.step.is_some() || !cursor.granularity.is_zero()) {
        refuse("children inside of their parents are read in one window", "leave out step and cursor_granularity");
    }
    if !decoder.is_whole() {
        stream.refuse("retriever", "children inside of their parents are JSON", "leave out the decoder");
    }
    if detours.smaller.is_some() || detours.split.is_some() {
        stream.refuse("retriever", "neither pages nor windows shrink for children inside of their parents", "");
    }
}

//! Reading `AsyncRetriever`.

use super::{JobPlan, Status};
use crate::connector::manifest::{
    decode, detour::DetourPlan, extract::Extractor, load_partitions, load_request, load_retriever::Retrieved,
    load_selector, load_slicing, reader::Component, select::Selector, transform::texts,
};

const STATUSES: [(&str, Status); 5] = [
    ("running", Status::Running),
    ("completed", Status::Completed),
    ("failed", Status::Failed),
    ("timeout", Status::TimedOut),
    ("skipped", Status::Skipped),
];
const EXTRACTORS: [&str; 2] = ["DpathExtractor", "CombinedExtractor"];

/// Reads the retriever: its downloads are the stream's own request.
pub(in crate::connector::manifest) fn retriever(component: &Component<'_>) -> Option<Retrieved> {
    let requester = |key: &'static str, required: bool| {
        let found = component.child(key, &["HttpRequester"], required);
        found.and_then(|(_, requester)| load_request::requester(&requester))
    };
    let (create, poll) = (requester("creation_requester", true), requester("polling_requester", true));
    let download = requester("download_requester", true);
    let (target, abort) = (requester("download_target_requester", false), requester("abort_requester", false));
    let delete = requester("delete_requester", false);
    let extractor = |key: &'static str, required: bool| {
        let found = component.child(key, &EXTRACTORS, required);
        found.and_then(|(kind, part)| load_selector::extractor(kind, &part))
    };
    let (status, targets) = (extractor("status_extractor", true), extractor("download_target_extractor", false));
    if component.field("download_target_requester").is_some() && component.field("download_target_extractor").is_none()
    {
        let remedy = "say where in its answer the addresses stand";
        component.refuse("download_target_extractor", "'download_target_extractor' is missing", remedy);
    }
    let selector = component
        .child("record_selector", &["RecordSelector"], true)
        .and_then(|(_, selector)| load_selector::selector(&selector));
    let decoder = decode::decoder(component, "decoder");
    let mut download_decoder = decode::decoder(component, "download_decoder");
    // Where nothing is said, the whole download is the records; the selector's own extractor is not asked.
    let mut rows = Some(Extractor::Path { path: Vec::new(), expander: None });
    let kinds = ["DpathExtractor", "CombinedExtractor", "ResponseToFileExtractor"];
    if let Some((kind, part)) = component.child("download_extractor", &kinds, false) {
        if kind == "ResponseToFileExtractor" {
            download_decoder = Some(decode::table(part.truth("preserve_na_values")));
            part.finish(&[]);
        } else {
            rows = load_selector::extractor(kind, &part);
        }
    }
    let paginator = component
        .child("download_paginator", &["DefaultPaginator", "NoPagination"], false)
        .and_then(|(kind, paginator)| load_slicing::paginator(kind, &paginator));
    let router = load_partitions::router(component);
    let statuses = component.child("status_mapping", &["AsyncJobStatusMap"], true).map(|(_, map)| statuses(&map));
    let timeout = component.template("polling_job_timeout", false);
    let retry_wait = component.template("failed_retry_wait_time_in_seconds", false);
    component.finish(&["name", "primary_key"]);
    let job = JobPlan {
        create: create?,
        poll: poll?,
        target,
        abort,
        delete,
        decoder: decoder?,
        status: status?,
        statuses: statuses?,
        targets,
        timeout,
        retry_wait,
    };
    let selector = Selector { extractor: rows?, ..selector? };
    Some(Retrieved {
        request: download?,
        selector,
        paginator,
        decoder: download_decoder?,
        router,
        slice_once: false,
        detours: DetourPlan::default(),
        job: Some(Box::new(job)),
    })
}

fn statuses(map: &Component<'_>) -> Vec<(String, Status)> {
    let mut all: Vec<(String, Status)> = Vec::new();
    for (key, status) in STATUSES {
        if status != Status::Skipped && map.field(key).is_none() {
            map.refuse(key, &format!("'{key}' is missing"), "list the provider's words for it, or write []");
        }
        for word in texts(map, key) {
            if all.iter().any(|(have, _)| *have == word) {
                map.refuse(key, &format!("the status '{word}' stands in two lists"), "leave it in one of them");
            }
            all.push((word, status));
        }
    }
    map.finish(&[]);
    all
}

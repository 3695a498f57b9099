//! Rehearsal: a file is read and decided as an import would, and nothing is written.
//!
//! Owns the dry walk and the little that it has to remember. Refuses any store call that writes.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use serde::Serialize;

use super::{
    Ending, Limits, OnProgress, Progress,
    import::{begin, look_up, next},
    normalise,
    rows_told::{RowError, Telling, tell},
    stage::{self, RepeatWindow, Staged},
};
use crate::{
    connector::file::import::{ImportFile, ImportPage},
    domain::{
        counts::Counts,
        ids::{ConnectionId, InternalId, RunId},
    },
    mapping::FieldMap,
    store::{
        SharedStore,
        page::{Known, KnownRecords},
    },
};

/// Records that are remembered as written, to recognise a second version of one.
const REHEARSED: usize = stage::REPEAT_WINDOW;

/// What an import would come to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Rehearsal {
    #[serde(skip)]
    pub counts: Counts,
    /// The first failures.
    pub errors: Vec<RowError>,
    /// The import would end before the file does, because too many rows fail.
    pub over_budget: bool,
}

/// Whose import is rehearsed.
pub struct Rehearsed {
    pub store: SharedStore,
    pub connection: ConnectionId,
    pub stream: String,
    pub account: Arc<str>,
    pub map: Arc<FieldMap>,
    pub file: Arc<ImportFile>,
    pub limits: Limits,
}

impl Rehearsed {
    /// Reads the whole file and decides each row, with what is stored now; writes nothing. Keeps the first `most` failures. A record
    /// that stands twice in the file, further than 100,000 rows apart, is counted as if it stood there once more.
    ///
    /// # Errors
    /// The file cannot be read to its end, or the database.
    pub async fn run(&self, most: usize, on_progress: &OnProgress) -> Result<Rehearsal, Ending> {
        let mut pages = begin(&self.file).await.map_err(Ending::Connector)?;
        let (mut repeats, mut rehearsal, mut read) = (RepeatWindow::default(), Rehearsal::default(), 0);
        let mut written = Written::default();
        loop {
            let page;
            (pages, page) = next(pages).await.map_err(Ending::Connector)?;
            let Some(ImportPage { items, notes, .. }) = page else { return Ok(rehearsal) };
            let staged = stage::stage(items, &mut repeats);
            let known = self.store.known(self.connection, &self.map.object_type, &look_up(&staged)).await;
            let mut known = known.map_err(Ending::Store)?;
            written.lay_over(&mut known, &staged);
            let context = normalise::Context {
                run: REHEARSAL,
                stream: self.stream.clone(),
                is_test: false,
                map: Some(Arc::clone(&self.map)),
                account: Arc::clone(&self.account),
                budget: self.limits.error_budget,
                before: rehearsal.counts,
            };
            let mut writes = normalise::decide(&context, &staged, &known);
            let with = Telling { file: &self.file, map: &self.map, account: &self.account };
            let told = tell(&with, &staged, &notes, &mut writes);
            rehearsal.errors.extend(told.into_iter().take(most - rehearsal.errors.len().min(most)));
            rehearsal.counts.add(&writes.counts);
            rehearsal.over_budget |= writes.hold_cursor;
            for record in &writes.records {
                written.remember(&record.external_id, &record.payload_hash);
            }
            read += 1;
            on_progress(Progress { pages: read, counts: rehearsal.counts });
        }
    }
}

/// No run has this number.
const REHEARSAL: RunId = RunId(0);

/// A bounded number of records that the rehearsal would have written: fingerprints of id and payload.
#[derive(Default)]
struct Written {
    payloads: HashMap<u64, u64>,
    order: VecDeque<u64>,
}

impl Written {
    fn remember(&mut self, external_id: &str, payload_hash: &str) {
        let key = short(external_id);
        if self.payloads.insert(key, short(payload_hash)).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REHEARSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.payloads.remove(&oldest);
        }
    }

    fn lay_over(&self, known: &mut KnownRecords, staged: &[Staged]) {
        for item in staged {
            let Some(payload) = self.payloads.get(&short(&item.external_id)) else { continue };
            let stored = known.entry(item.external_id.clone()).or_insert_with(|| Known {
                link_id: 0,
                internal_table: String::new(),
                internal_id: InternalId(0),
                payload_hash: String::new(),
                record_hash: String::new(),
                source_updated_at: None,
                last_run_id: REHEARSAL,
                is_test: false,
                raw: None,
            });
            // Only whether it is the same payload counts.
            let same = *payload == short(&item.payload_hash);
            stored.payload_hash = if same { item.payload_hash.clone() } else { String::new() };
            stored.last_run_id = REHEARSAL;
            stored.is_test = false;
        }
    }
}

fn short(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

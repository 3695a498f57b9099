//! Import: a file that a person brings takes the way of a page: raw, normalise, count.
//!
//! Owns the loop over the file's pages and what its failures are called: by file, line and column. Refuses to move anything of the
//! job's own pull: no cursor, no resume position. What is written already is found unchanged, so a file may be imported again from
//! its beginning (P5, P8).

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;
use tokio::task::JoinHandle;

use super::{
    Ending, Limits, OnProgress, Outcome, Progress, Stop, normalise,
    stage::{self, Content, Payload, RepeatWindow, Staged},
};
use crate::{
    connector::{
        ConnectorError, ErrorKind,
        file::{
            Note,
            import::{ImportFile, ImportPage, ImportPages},
        },
    },
    domain::{
        clock::Clock,
        counts::{Counts, Traffic},
        ids::{ConnectionId, InternalId, RunId},
    },
    mapping::{FieldError, FieldMap, Mapped},
    store::{
        SharedStore, StoreError,
        page::{Known, KnownRecords, PageHead, PageReceipt, PageScope, PageWrites},
    },
};

/// Records of a rehearsal that are remembered as written, to recognise a second version of one.
const REHEARSED: usize = stage::REPEAT_WINDOW;

/// Everything an import needs.
pub struct Import {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub map: Arc<FieldMap>,
    pub scope: PageScope,
    /// The account at the provider that the connection is declared for.
    pub account: Arc<str>,
    pub file: Arc<ImportFile>,
    pub had_dead_letters: bool,
    pub limits: Limits,
    pub stop: Stop,
    pub on_progress: OnProgress,
}

/// The page that is being written while the next one is read.
type InFlight = JoinHandle<Result<PageReceipt, StoreError>>;

impl Import {
    /// Runs to an ending. Whatever is committed when it returns stays; nothing is half written.
    pub async fn run(self) -> Outcome {
        let mut outcome = Outcome::of(Ending::Complete);
        outcome.ending = self.pages(&mut outcome).await;
        outcome
    }

    async fn pages(&self, outcome: &mut Outcome) -> Ending {
        let mut pages = match begin(&self.file).await {
            Ok(pages) => pages,
            Err(error) => return Ending::Connector(error),
        };
        let mut repeats = RepeatWindow::default();
        let mut in_flight: Option<InFlight> = None;
        loop {
            if let Some(reason) = self.stop.stopped() {
                return self.settle(in_flight, outcome).await.unwrap_or(Ending::Stopped(reason));
            }
            let page;
            (pages, page) = match next(pages).await {
                Ok(read) => read,
                Err(error) => return self.settle(in_flight, outcome).await.unwrap_or(Ending::Connector(error)),
            };
            let Some(page) = page else {
                return self.settle(in_flight, outcome).await.unwrap_or(Ending::Complete);
            };
            let ImportPage { items, notes, lines, bytes } = page;
            let mut staged = stage::stage(items, &mut repeats);
            stage::count_unmapped(&self.map, &staged, &mut outcome.unmapped);
            stage::map_ahead(&self.map, &self.account, &mut staged);
            if let Some(ending) = self.settle(in_flight.take(), outcome).await {
                return ending;
            }
            in_flight = Some(self.commit(staged, notes, lines, bytes, outcome));
        }
    }

    fn commit(
        &self,
        staged: Vec<Staged>,
        notes: Vec<Note>,
        lines: (u64, u64),
        bytes: u64,
        outcome: &Outcome,
    ) -> InFlight {
        let head = Arc::new(PageHead {
            page_no: i64::try_from(outcome.pages + 1).unwrap_or(i64::MAX),
            page_hash: stage::page_hash(&staged),
            started_at: self.clock.now(),
            cursor: None,
            resume: None,
            traffic: Traffic { bytes_in: i64::try_from(bytes).unwrap_or(i64::MAX), ..Traffic::default() },
            window: None,
            story: format!("{} lines {}..{}: {} rows", self.file.name, lines.0, lines.1, staged.len()),
            lease_ttl: self.limits.lease_ttl,
            look_up: look_up(&staged),
            close_superseded: self.had_dead_letters || outcome.counts.failed > 0,
        });
        let context = normalise::Context {
            run: self.scope.run,
            stream: self.scope.stream.clone(),
            is_test: false,
            map: Some(Arc::clone(&self.map)),
            account: Arc::clone(&self.account),
            budget: self.limits.error_budget,
            before: outcome.counts,
        };
        let (file, map, account) = (Arc::clone(&self.file), Arc::clone(&self.map), Arc::clone(&self.account));
        let decide = Arc::new(move |known: &_| {
            let mut writes = normalise::decide(&context, &staged, known);
            tell(&Telling { file: &file, map: &map, account: &account }, &staged, &notes, &mut writes);
            writes
        });
        let (store, scope) = (Arc::clone(&self.store), Arc::new(self.scope.clone()));
        let span = tracing::Span::current();
        tokio::spawn(tracing::Instrument::instrument(async move { store.commit_page(scope, head, decide).await }, span))
    }

    /// Waits for the page in flight. `Some`: the run ends here.
    async fn settle(&self, in_flight: Option<InFlight>, outcome: &mut Outcome) -> Option<Ending> {
        let receipt = match in_flight?.await {
            Ok(Ok(receipt)) => receipt,
            Ok(Err(error)) => return Some(Ending::Store(error)),
            Err(panic) => {
                let during = "the task that commits a page ended abnormally";
                return Some(Ending::Store(StoreError::Database { during, source: Box::new(panic) }));
            }
        };
        outcome.counts.add(&receipt.counts);
        outcome.pages += 1;
        (self.on_progress)(Progress { pages: outcome.pages, counts: outcome.counts });
        self.limits.error_budget.is_spent(&outcome.counts).then_some(Ending::ErrorBudget)
    }
}

fn look_up(staged: &[Staged]) -> Vec<String> {
    let records = staged.iter().filter(|item| matches!(item.content, Content::Record(_)));
    let mut ids: Vec<String> = records.map(|item| item.external_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Files are read on threads that may wait.
async fn begin(file: &Arc<ImportFile>) -> Result<ImportPages, ConnectorError> {
    let file = Arc::clone(file);
    tokio::task::spawn_blocking(move || file.pages()).await.unwrap_or_else(|error| Err(broken_off(error)))
}

async fn next(mut pages: ImportPages) -> Result<(ImportPages, Option<ImportPage>), ConnectorError> {
    let read = tokio::task::spawn_blocking(move || pages.next_page().map(|page| (pages, page))).await;
    read.unwrap_or_else(|error| Err(broken_off(error)))
}

fn broken_off(error: tokio::task::JoinError) -> ConnectorError {
    ConnectorError::new(ErrorKind::Unavailable, "reading the file was broken off").caused_by(error)
}

/// A row that failed, as a person who has the file reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowError {
    pub line: u64,
    pub code: String,
    pub message: String,
    pub remedy: String,
}

/// What a failure is told with.
struct Telling<'a> {
    file: &'a ImportFile,
    map: &'a FieldMap,
    account: &'a str,
}

/// Tells each failure by file, line and column. Gives them in the order of the page.
fn tell(with: &Telling<'_>, staged: &[Staged], notes: &[Note], writes: &mut PageWrites) -> Vec<RowError> {
    if writes.dead_letters.is_empty() {
        return Vec::new();
    }
    // Failures stand in the order of their items, and one that stands twice was written for the first.
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for (at, item) in staged.iter().enumerate().rev() {
        places.insert((&item.external_id, &item.payload_hash), at);
    }
    let mut told = Vec::new();
    for letter in &mut writes.dead_letters {
        let place = places.get(&(letter.external_id.as_str(), letter.payload_hash.as_str()));
        let Some((item, note)) = place.and_then(|&at| staged.get(at).zip(notes.get(at))) else { continue };
        let (what, remedy) = with.of(item, note, &letter.error_code);
        letter.message_internal = format!("{} line {}{what}", with.file.name, note.line);
        if let Some(remedy) = remedy {
            letter.remedy = remedy.to_owned();
        }
        told.push(RowError {
            line: note.line,
            code: letter.error_code.clone(),
            message: letter.message_internal.clone(),
            remedy: letter.remedy.clone(),
        });
    }
    told
}

const MEND_ROW: &str = "mend the line and import the file again, or discard the dead letter with a reason";
const MEND_BYTES: &str =
    "say how the file is written with --encoding (windows-1252, utf-16le), or mend the line, and import it again";
const MEND_VALUE: &str = "mend these columns of the line and import the file again; or mend the field map under a new version, then: tidegate errors retry";

impl Telling<'_> {
    /// What follows the line's number, and what to do.
    fn of(&self, item: &Staged, note: &Note, code: &str) -> (String, Option<&'static str>) {
        let columns = &self.file.columns;
        match &item.content {
            Content::Broken { reason, .. } => {
                let offset = note.offset.map_or_else(String::new, |offset| format!(", byte {offset}"));
                let column = note.field.and_then(|at| columns.name(at));
                let column = column.map_or_else(String::new, |name| format!(", column \"{name}\""));
                let remedy = if note.offset.is_some() { MEND_BYTES } else { MEND_ROW };
                (format!("{offset}{column}: {reason}"), Some(remedy))
            }
            Content::NoId(_) => {
                let what =
                    format!(", {}: the primary key is empty, or no plain text or number", listed(&columns.key_names()));
                (
                    what,
                    Some("give the row its own id and import the file again, or discard the dead letter with a reason"),
                )
            }
            Content::Record(payload) => {
                let mapped = match payload {
                    Payload::Mapped(ready) => ready.mapped.clone(),
                    Payload::Parsed(value) => self.map.apply_for(self.account, value),
                };
                match mapped {
                    Mapped::Failed(errors) => {
                        let errors: Vec<String> = errors.iter().map(|error| self.field(error)).collect();
                        (format!(", {}", errors.join("; ")), Some(MEND_VALUE))
                    }
                    Mapped::OtherAccount { field } => {
                        let behind = columns.behind(&field);
                        let names = if behind.is_empty() { format!("field {field}") } else { listed(&behind) };
                        (format!(", {names}: names another account than the connection's provider_account_id"), None)
                    }
                    Mapped::Record(_) | Mapped::Ignored { .. } => (format!(": {code}"), None),
                }
            }
        }
    }

    fn field(&self, error: &FieldError) -> String {
        let behind = self.file.columns.behind(&error.field);
        if behind.is_empty() {
            let label = self.file.columns.label(&error.field);
            return format!("field \"{label}\" ({}): {}", error.field, error.message);
        }
        format!("{}: {}", listed(&behind), error.message)
    }
}

/// `column "A"` or `columns "A", "B"`.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{} {}", if names.len() == 1 { "column" } else { "columns" }, quoted.join(", "))
}

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

/// A bounded number of records that the rehearsal would have written.
#[derive(Default)]
struct Written {
    hashes: HashMap<String, String>,
    order: std::collections::VecDeque<String>,
}

impl Written {
    fn remember(&mut self, external_id: &str, payload_hash: &str) {
        if self.hashes.insert(external_id.to_owned(), payload_hash.to_owned()).is_none() {
            self.order.push_back(external_id.to_owned());
        }
        if self.order.len() > REHEARSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }

    fn lay_over(&self, known: &mut KnownRecords, staged: &[Staged]) {
        for item in staged {
            let Some(hash) = self.hashes.get(&item.external_id) else { continue };
            let stored = known.entry(item.external_id.clone()).or_insert_with(|| Known {
                link_id: 0,
                internal_table: String::new(),
                internal_id: InternalId(0),
                payload_hash: String::new(),
                record_hash: String::new(),
                source_updated_at: None,
                last_run_id: REHEARSAL,
                is_test: false,
            });
            stored.payload_hash.clone_from(hash);
            stored.last_run_id = REHEARSAL;
            stored.is_test = false;
        }
    }
}

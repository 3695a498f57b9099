//! Import: a file that a person brings takes the way of a page: raw, normalise, count.
//!
//! Owns the loop over the file's pages; what its failures are called is `rows_told`'s. Refuses to move anything of the
//! job's own pull: no cursor, no resume position. What is written already is found unchanged, so a file may be imported again from
//! its beginning (P5, P8).

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{
    Ending, Limits, OnProgress, Outcome, Progress, Stop, normalise,
    rows_told::{Telling, tell},
    stage::{self, Content, RepeatWindow, Staged},
};
use crate::{
    connector::{
        ConnectorError, ErrorKind,
        file::{
            Note,
            import::{ImportFile, ImportPage, ImportPages},
        },
    },
    domain::{clock::Clock, counts::Traffic},
    mapping::FieldMap,
    store::{
        SharedStore, StoreError,
        page::{PageHead, PageReceipt, PageScope},
    },
};

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

/// Ids of the records of a page, each once.
pub(super) fn look_up(staged: &[Staged]) -> Vec<String> {
    let records = staged.iter().filter(|item| matches!(item.content, Content::Record(_)));
    let mut ids: Vec<String> = records.map(|item| item.external_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Files are read on threads that may wait.
pub(super) async fn begin(file: &Arc<ImportFile>) -> Result<ImportPages, ConnectorError> {
    let file = Arc::clone(file);
    tokio::task::spawn_blocking(move || file.pages()).await.unwrap_or_else(|error| Err(broken_off(error)))
}

pub(super) async fn next(mut pages: ImportPages) -> Result<(ImportPages, Option<ImportPage>), ConnectorError> {
    let read = tokio::task::spawn_blocking(move || pages.next_page().map(|page| (pages, page))).await;
    read.unwrap_or_else(|error| Err(broken_off(error)))
}

fn broken_off(error: tokio::task::JoinError) -> ConnectorError {
    ConnectorError::new(ErrorKind::Unavailable, "reading the file was broken off").caused_by(error)
}

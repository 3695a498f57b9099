//! Pull: asks for the next page while the last one is being written, until the end or a reason to stop.
//!
//! Owns the loop and its bounds: one page in flight behind the one being written. Refuses to decide what the ending means;
//! that is `scheduler::policy`'s.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{
    Ending, Limits, OnProgress, Outcome, Progress, RepairWindow, Stop, normalise,
    stage::{self, RepeatWindow, Staged},
};
use crate::{
    connector::{Connector, ConnectorError, ErrorKind, Page, PullRequest, TrafficMeter},
    domain::{
        clock::{Clock, Timestamp},
        counts::{Counts, Traffic},
        cursor::Position,
        status::SyncMode,
    },
    mapping::FieldMap,
    store::{
        SharedStore, StoreError,
        page::{PageHead, PageReceipt, PageScope},
    },
};

/// The same non-empty page this often in a row means that the provider does not page on.
const SAME_PAGE_LIMIT: u32 = 3;
/// An unfinished listing older than this is begun anew: its tokens and its snapshot are stale.
const RESUME_WITHIN: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Everything a pull needs.
pub struct Pull {
    pub store: SharedStore,
    pub connector: Arc<dyn Connector>,
    pub clock: Arc<dyn Clock>,
    pub map: Option<Arc<FieldMap>>,
    pub scope: PageScope,
    /// The account at the provider that the connection is declared for.
    pub account: Arc<str>,
    /// A digest of what the connector and its options ask for.
    pub question: String,
    pub mode: SyncMode,
    pub cursor: Option<serde_json::Value>,
    /// Where an earlier run stopped.
    pub resume: Option<Position>,
    pub had_dead_letters: bool,
    /// Nothing was ever completely read: its records are likely to be new.
    pub first_listing: bool,
    pub limits: Limits,
    /// Read so many records at most and move no cursor.
    pub test_batch: Option<usize>,
    /// The cursor is read past and not moved back: everything again.
    pub full: bool,
    /// What a delivery should have brought before this poll; `None` where none is expected.
    pub repairs: Option<RepairWindow>,
    pub stop: Stop,
    pub on_progress: OnProgress,
}

/// What is kept of an unfinished listing: enough to go on as if nothing had happened.
#[derive(Serialize, Deserialize)]
struct Resume {
    /// Of [`Pull::question`]: the answer to another question cannot be gone on with. Positions of before it was kept have none.
    #[serde(default)]
    question: String,
    started_at: Timestamp,
    mode: SyncMode,
    full: bool,
    cursor: Option<serde_json::Value>,
    position: Position,
}

/// The page that is being written while the next one is asked for.
type InFlight = JoinHandle<Result<PageReceipt, StoreError>>;

/// What the loop carries from page to page.
struct State {
    counts: Counts,
    pages: u64,
    window: Option<(Timestamp, Timestamp)>,
    provider_total: Option<i64>,
    unmapped: BTreeMap<String, u64>,
    repeats: RepeatWindow,
    last_hash: String,
    same_page: u32,
    /// Items staged so far, also of the page that is being written.
    staged: usize,
    /// Most records of the last committed page were new or changed; so may be those of the next.
    mostly_written: bool,
}

impl Pull {
    /// Runs to an ending. Whatever is committed when it returns stays; nothing is half written.
    pub async fn run(self) -> Outcome {
        let meter = Arc::new(TrafficMeter::default());
        let mut state = State {
            counts: Counts::default(),
            pages: 0,
            window: None,
            provider_total: None,
            unmapped: BTreeMap::new(),
            repeats: RepeatWindow::default(),
            last_hash: String::new(),
            same_page: 0,
            staged: 0,
            mostly_written: self.cursor.is_none() && self.first_listing,
        };
        let resume = self.usable_resume();
        let mut resumed = resume.is_some();
        let mut ending = self.pages(&meter, resume, &mut state).await;
        let refused = matches!(&ending, Ending::Connector(error) if may_be_the_position(&error.kind));
        if refused && resumed && state.pages == 0 {
            // The place where an earlier run stopped may be the fault: begin the listing again, and see.
            tracing::info!("the saved position is of no use; reading from the cursor again");
            resumed = false;
            ending = self.pages(&meter, None, &mut state).await;
        }
        Outcome {
            ending,
            pages: state.pages,
            counts: state.counts,
            traffic: meter.take(),
            window: state.window,
            provider_total: state.provider_total,
            unmapped: state.unmapped,
            resumed,
        }
    }

    fn usable_resume(&self) -> Option<Resume> {
        let resume: Resume = serde_json::from_value(self.resume.as_ref()?.0.clone()).ok()?;
        let fresh = self.clock.now().since(resume.started_at) <= RESUME_WITHIN;
        let same_question = resume.question == self.question && resume.mode == self.mode && resume.full == self.full;
        (fresh && same_question && self.test_batch.is_none()).then_some(resume)
    }

    async fn pages(&self, meter: &Arc<TrafficMeter>, resume: Option<Resume>, state: &mut State) -> Ending {
        let began = self.clock.monotonic();
        let mut request = PullRequest {
            stream: self.scope.stream.clone(),
            mode: self.mode,
            cursor: if self.full || self.mode == SyncMode::FullRefresh { None } else { self.cursor.clone() },
            position: None,
            started_at: self.clock.now(),
            limit: self.test_batch,
            traffic: Arc::clone(meter),
        };
        if let Some(resume) = resume {
            request.started_at = resume.started_at;
            request.cursor = resume.cursor;
            request.position = Some(resume.position);
        }
        let mut in_flight: Option<InFlight> = None;
        loop {
            let page_began = self.clock.now();
            let pulled = tokio::select! {
                biased;
                reason = self.stop.wait() => Err(Ending::Stopped(reason)),
                pulled = self.connector.pull(&request) => pulled.map_err(|error| self.at(error, &request)),
            };
            let mut page = match pulled {
                Ok(page) => page,
                // The page before is settled, whatever came of this one: what is committed is counted.
                Err(ending) => return self.settle(in_flight, state).await.unwrap_or(ending),
            };
            let over_limit = self.cut_to_test_batch(&mut page, state);
            let next = page.next.clone();
            let staged = self.stage(&mut page, state);
            if let Some(ending) = self.settle(in_flight.take(), state).await {
                return ending;
            }
            let staged = match staged {
                Ok(staged) => staged,
                Err(error) => return self.at(error, &request),
            };
            let last = next.is_none() || over_limit;
            // A state without an order (of many partitions) grows from page to page: the next one adds to this one.
            let grown = page.cursor.as_ref().filter(|cursor| cursor.order.is_none()).map(|cursor| cursor.state.clone());
            in_flight = Some(self.commit(page, staged, page_began, &request, meter.take(), state));
            if last {
                return self.settle(in_flight, state).await.unwrap_or(Ending::Complete);
            }
            request.position = next;
            request.cursor = grown.or(request.cursor);
            let over_budget = state.pages + 1 >= self.limits.max_pages
                || self.clock.monotonic().saturating_sub(began) >= self.limits.max_duration;
            if over_budget {
                return self.settle(in_flight, state).await.unwrap_or(Ending::RunBudget);
            }
        }
    }

    /// A page that could not be had, with its place.
    fn at(&self, error: ConnectorError, request: &PullRequest) -> Ending {
        Ending::Connector(error.at(self.connector.place(request.position.as_ref())))
    }

    /// Waits for the page in flight. `Some`: the run ends here.
    async fn settle(&self, in_flight: Option<InFlight>, state: &mut State) -> Option<Ending> {
        let receipt = match in_flight?.await {
            Ok(Ok(receipt)) => receipt,
            Ok(Err(error)) => return Some(Ending::Store(error)),
            Err(panic) => {
                return Some(Ending::Store(StoreError::Database {
                    during: "the task that commits a page ended abnormally",
                    source: Box::new(panic),
                }));
            }
        };
        state.counts.add(&receipt.counts);
        state.mostly_written = (receipt.counts.created + receipt.counts.updated) * 2 > receipt.counts.seen;
        state.pages += 1;
        (self.on_progress)(Progress { pages: state.pages, counts: state.counts });
        if self.limits.error_budget.is_spent(&state.counts) {
            return Some(Ending::ErrorBudget);
        }
        None
    }

    /// Cuts the page to what is left of a test batch; whether that is now full.
    fn cut_to_test_batch(&self, page: &mut Page, state: &mut State) -> bool {
        let Some(limit) = self.test_batch else {
            return false;
        };
        let left = limit.saturating_sub(state.staged);
        page.items.truncate(left);
        page.items.len() >= left
    }

    fn stage(&self, page: &mut Page, state: &mut State) -> Result<Vec<Staged>, ConnectorError> {
        let mut staged = stage::stage(std::mem::take(&mut page.items), &mut state.repeats);
        state.staged += staged.len();
        if let Some(map) = &self.map {
            stage::count_unmapped(map, &staged, &mut state.unmapped);
            if state.mostly_written {
                stage::map_ahead(map, &self.account, &mut staged);
            }
        }
        // Later pages may tell another number, as records come and go; the first was asked for the whole.
        state.provider_total = state.provider_total.or(page.provider_total);
        if let Some((start, end)) = page.window {
            state.window = Some(match state.window {
                None => (start, end),
                Some((first, last)) => (first.min(start), last.max(end)),
            });
        }
        let hash = stage::page_hash(&staged);
        if page.next.is_some() && !staged.is_empty() && hash == state.last_hash {
            state.same_page += 1;
            if state.same_page >= SAME_PAGE_LIMIT {
                return Err(ConnectorError::new(
                    ErrorKind::Stuck,
                    format!(
                        "stream '{}': the provider gave the same page {} times in a row",
                        self.scope.stream,
                        state.same_page + 1
                    ),
                ));
            }
        } else {
            state.same_page = 0;
        }
        state.last_hash = hash;
        Ok(staged)
    }

    fn commit(
        &self,
        page: Page,
        staged: Vec<Staged>,
        started_at: Timestamp,
        request: &PullRequest,
        traffic: Traffic,
        state: &State,
    ) -> InFlight {
        let moves = self.test_batch.is_none();
        // A full reading sees old records too: it may give a first cursor, but never one that competes with what stands.
        let keeps_cursor = moves && self.mode == SyncMode::Incremental && !(self.full && self.cursor.is_some());
        let resume = match (&page.next, page.resumable) {
            _ if !moves => None,
            (Some(next), true) => Some(self.resume_at(request, next)),
            // A listing that cannot be resumed keeps an older position no longer, and neither does one that is done.
            _ => Some(None),
        };
        let mut look_up: Vec<String> = Vec::with_capacity(staged.len());
        look_up.extend(
            staged.iter().filter(|s| matches!(s.content, stage::Content::Record(_))).map(|s| s.external_id.clone()),
        );
        look_up.sort_unstable();
        look_up.dedup();
        let head = Arc::new(PageHead {
            page_no: i64::try_from(state.pages + 1).unwrap_or(i64::MAX),
            page_hash: state.last_hash.clone(),
            started_at,
            cursor: page.cursor.filter(|_| keeps_cursor),
            resume,
            traffic,
            window: page.window,
            story: page.story,
            lease_ttl: self.limits.lease_ttl,
            look_up,
            close_superseded: self.had_dead_letters || state.counts.failed > 0,
        });
        let context = normalise::Context {
            run: self.scope.run,
            stream: self.scope.stream.clone(),
            is_test: self.scope.is_test,
            map: self.map.clone(),
            account: Arc::clone(&self.account),
            budget: self.limits.error_budget,
            before: state.counts,
        };
        let repairs = self.repairs;
        let decide = Arc::new(move |known: &_| {
            let mut writes = normalise::decide(&context, &staged, known);
            if let Some(window) = repairs {
                writes.repairs = window.candidates(&writes.records);
            }
            writes
        });
        let (store, scope) = (Arc::clone(&self.store), Arc::new(self.scope.clone()));
        let span = tracing::Span::current();
        tokio::spawn(tracing::Instrument::instrument(async move { store.commit_page(scope, head, decide).await }, span))
    }

    fn resume_at(&self, request: &PullRequest, next: &Position) -> Option<Position> {
        let resume = Resume {
            question: self.question.clone(),
            started_at: request.started_at,
            mode: self.mode,
            full: self.full,
            cursor: request.cursor.clone(),
            position: next.clone(),
        };
        serde_json::to_value(resume).ok().map(Position)
    }
}

/// Whether an error at the very place where a run goes on may come from that place: a token that has run out, an address that is none
/// any more. An outage, a limit or a refused credential says nothing about it, and neither does a page that came and cannot be read.
fn may_be_the_position(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::PositionExpired
        | ErrorKind::Rejected
        | ErrorKind::Forbidden
        | ErrorKind::Policy
        | ErrorKind::Settings
        | ErrorKind::Stuck => true,
        ErrorKind::Decode
        | ErrorKind::Unauthorized
        | ErrorKind::RateLimited { .. }
        | ErrorKind::Unavailable
        | ErrorKind::Vault
        | ErrorKind::CursorUnfit
        | ErrorKind::AccountMismatch => false,
    }
}

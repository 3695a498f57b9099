//! One page of one stream.
//!
//! Owns the way from a request to a [`Page`]: place, request, answer, items, next place, cursor. A pure function of the
//! request and the provider's answer; nothing is remembered between calls.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    ManifestConnector, Manner,
    ahead::Ahead,
    engine::Scope,
    paginate,
    parents::Placed,
    partition::state::{self, States},
    place::Place,
    plan::{CursorPlan, StreamPlan},
    pull_answer::{Fetched, Taken},
    pull_partitions::Closed,
    select::Selected,
    slices::{self, Cut, Window},
};
use crate::{
    connector::{ConnectorError, ErrorKind, Page, PullRequest},
    domain::{clock::Timestamp, cursor::Cursor, status::SyncMode},
};

/// One pull of one stream, between two pages.
pub(super) struct Pull<'a> {
    pub(super) connector: &'a ManifestConnector,
    pub(super) plan: &'a StreamPlan,
    pub(super) request: &'a PullRequest,
    /// The configuration without the secret.
    pub(super) scope: Scope,
    /// The cursor that the job has, in any mode: none that is given lies before it.
    pub(super) given: Option<Timestamp>,
    pub(super) cut: Option<Cut>,
    /// The cursors of the stream's partitions, where it has both.
    pub(super) states: Option<States>,
    /// The cursor that the pull begins with, for streams with one cursor.
    pub(super) begun: Option<Timestamp>,
    /// What is read joins what was read before.
    pub(super) joined: bool,
    /// What is fetched ahead, where anything may be.
    pub(super) ahead: Option<&'a Ahead>,
}

/// Partitions that were read to their end wait for so many others, so that a long state is not written with each of them.
pub(super) const CLOSED_AT_ONCE: usize = 100;

impl<'a> Pull<'a> {
    pub fn new(
        connector: &'a ManifestConnector,
        plan: &'a StreamPlan,
        request: &'a PullRequest,
    ) -> Result<Self, ConnectorError> {
        let engine = &connector.loaded.engine;
        let scope = Scope::new(request.started_at, &connector.config);
        if request.mode == SyncMode::Incremental && plan.cursor.is_none() {
            let message = format!("the stream '{}' has no cursor; its job must be full_refresh", plan.spec.name);
            return Err(ConnectorError::new(ErrorKind::Settings, message));
        }
        let states = plan.cursor.as_ref().filter(|_| plan.router.is_some());
        let old = plan.old_states.as_ref().zip(plan.cursor.as_ref()).zip(request.cursor.as_ref());
        let old = match old {
            Some(((key, cursor), state)) => state::migrated(&engine.text(key, &scope)?, &cursor.field, state),
            None => None,
        };
        let states = states
            .map(|cursor| States::read(&cursor.field, old.as_ref().or(request.cursor.as_ref()), plan.global_cursor));
        let given = match (&plan.cursor, &request.cursor) {
            // The reference begins at the start where a state does not name the cursor's field.
            (Some(cursor), Some(state))
                if connector.manner == Manner::Reference && state.get(&cursor.field).is_none() =>
            {
                None
            }
            (Some(cursor), Some(state)) if states.is_none() => Some(slices::cursor_instant(cursor, state)?),
            (Some(_), _) | (None, _) => None,
        };
        let bounded = connector.manner == Manner::Daemon;
        let cut = plan.cursor.as_ref().map(|cursor| slices::cut(engine, cursor, &scope, request.started_at, bounded));
        let cut = cut.transpose()?;
        let begun = match (&plan.cursor, connector.manner) {
            (Some(cursor), Manner::Reference) if states.is_none() => {
                Some(slices::beginning(engine, cursor, &scope, given)?)
            }
            _ => None,
        };
        let mut pull = Self { connector, plan, request, scope, given, cut, states, begun, joined: true, ahead: None };
        pull.joined = begun.map_or(Ok(true), |begun| pull.joins(begun))?;
        Ok(pull)
    }

    /// Whether what is read after a cursor joins it: clamped windows may leave a gap, beyond which the reference's states do not go.
    pub(super) fn joins(&self, begun: Timestamp) -> Result<bool, ConnectorError> {
        let (Some(plan), Some(cut), Manner::Reference) = (&self.plan.cursor, &self.cut, self.connector.manner) else {
            return Ok(true);
        };
        let start = slices::start(&self.connector.loaded.engine, plan, &self.scope, Some(begun))?;
        Ok(cut.joins(begun, start))
    }

    /// The page with the place that it was read at; a stream without any partition has none.
    pub async fn placed_page(&self) -> Result<Placed, ConnectorError> {
        let mut closed = Closed::new();
        let place = match &self.request.position {
            Some(position) => Some(Place::read(position)?),
            None => {
                self.let_the_second_pass().await;
                self.first_place(&mut closed).await?
            }
        };
        let Some(place) = place else { return Ok((None, self.nothing(closed))) };
        if place.window().is_some() != self.plan.cursor.is_some()
            || place.part().is_some() != self.plan.router.is_some()
        {
            return Err(ConnectorError::new(
                ErrorKind::PositionExpired,
                "the position is of another form of the stream",
            ));
        }
        place.detour.goes_on()?;
        let page = match self.fetched(&place).await? {
            Fetched::Detour(taken_for) => self.detour(place.clone(), taken_for)?,
            Fetched::Page(taken) => self.went(place.clone(), *taken).await?,
        };
        if let Some(ahead) = self.ahead.filter(|_| page.next.is_none()) {
            ahead.stop();
            self.connector.downloads.clear();
        }
        Ok((Some(place), page))
    }

    /// Asks for a place. The number is the size of what came.
    pub(super) async fn fetch(&self, place: &Place) -> Result<(Fetched, usize), ConnectorError> {
        if let Some(job) = &self.plan.job {
            let (taken, bytes) = self.job_page(job, place).await?;
            return Ok((Fetched::page(taken), bytes));
        }
        let scope = self.slice_scope(place);
        if let Some(properties) = &self.plan.request.properties {
            return self.by_properties(properties, place, &scope).await;
        }
        let schema = self.schema().await?;
        let answer = match self.inside_parent(place).await? {
            Some(answer) => answer,
            None => self.ask(place, &scope, None).await?,
        };
        if let Some(detour) = Fetched::detour(answer.taken_for) {
            return Ok((detour, 0));
        }
        let taken = self.take(place, &scope, &answer, schema.as_deref(), false)?;
        Ok((Fetched::page(taken), answer.body.len()))
    }

    /// What records are cast by, where the stream asks for that.
    pub(super) async fn schema(&self) -> Result<Option<Arc<Value>>, ConnectorError> {
        self.connector.schema_for_reading(self.plan, self.request.started_at, &self.request.traffic).await
    }

    pub(super) async fn first_place(&self, closed: &mut Closed) -> Result<Option<Place>, ConnectorError> {
        if self.plan.router.is_some() {
            // Only what was never read is taken from the parents' own records.
            let lazy = self.plan.reads_lazily() && self.request.cursor.is_none();
            return self.partition_after(None, (None, None), lazy, closed).await;
        }
        let from = self.given.filter(|_| self.request.mode == SyncMode::Incremental);
        self.slice_from(from)
    }

    /// The first place of a reading that begins at a cursor; `None`: there is no window to ask for.
    pub(super) fn slice_from(&self, from: Option<Timestamp>) -> Result<Option<Place>, ConnectorError> {
        let engine = &self.connector.loaded.engine;
        let window = match (&self.plan.cursor, &self.cut) {
            (Some(plan), Some(cut)) => match cut.first(slices::start(engine, plan, &self.scope, from)?) {
                Some(window) => Some(window),
                // The daemon asks for an instant rather than for nothing.
                None if self.connector.manner == Manner::Daemon && cut.clamp.is_none() => {
                    Some(Window { start: cut.upto, end: cut.upto })
                }
                None => return Ok(None),
            },
            (None, _) | (_, None) => None,
        };
        let paginator = self.plan.paginator.as_ref();
        let size = paginator.map(|p| paginate::size(engine, p, &self.scope, self.request.limit)).transpose()?.flatten();
        let mut place = Place::first(window, size, self.first_token());
        place.counts = self.plan.cursor.as_ref().is_some_and(|cursor| cursor.counts);
        Ok(Some(place))
    }

    pub(super) fn first_token(&self) -> Value {
        if self.plan.job.is_some() {
            return Value::Null;
        }
        paginate::first_token(self.plan.paginator.as_ref())
    }

    /// From what was taken of an answer to the page: what the cursor has not seen, and where the pull goes on.
    pub(super) async fn went(&self, mut place: Place, mut taken: Taken) -> Result<Page, ConnectorError> {
        let again = !taken.over && self.reaches_limit(&mut place, &taken.selected);
        let reached = self.plan.cursor.as_ref().is_some_and(|cursor| cursor.data_feed)
            && self.held_against_cursor(&place, &mut taken.selected)?;
        place.size = place.detour.page_was_read(self.plan.detours.smaller.as_ref(), place.size);
        let Taken { selected, count, token, total, fingerprint, failure, .. } = taken;
        self.turn(
            place,
            selected,
            Turn { count, token: token.filter(|_| !reached), total, fingerprint, again, failure },
        )
        .await
    }

    /// From the page's facts to where the pull goes on, and how far the cursor may.
    async fn turn(&self, mut place: Place, selected: Selected, turn: Turn) -> Result<Page, ConnectorError> {
        let window = place.window();
        let story = self.story(&place, &selected);
        let first_page = place.page == 0 && self.request.position.is_none();
        let before = place.latest;
        let values = selected.cursors.iter().map(|at| at.micros());
        place.unordered |=
            self.plan.promises.ordered_by_cursor && !is_sorted(before.filter(|_| place.seen > 0), values.clone());
        place.latest = before.max(values.clone().max());
        if let Some(part) = place.part_mut() {
            part.latest = part.latest.max(values.max());
        }
        let ordered = self.plan.promises.ordered_by_cursor && !place.unordered;

        // A window that lies in the past can only lose records, each to a later change. Then the pages have moved up, and
        // what moved over the edge was not seen: ask again from where we were.
        let gone = match (place.total, turn.total) {
            (Some(had), Some(has)) if has < had => had.abs_diff(has),
            _ => 0,
        };
        let moved_up = ordered && gone > 0;
        // Where pages are counted without such an order, it is enough to go back by as many as are gone.
        let behind = if gone > 0 && !ordered && self.connector.manner == Manner::Daemon {
            paginate::behind(self.plan.paginator.as_ref(), &place.token, place.size, gone)
        } else {
            None
        };
        place.total = turn.total.or(place.total);
        let latest = place.latest;
        let part = place.part().cloned();
        let next = if turn.failure.is_some() {
            place.detour.failure = turn.failure;
            place.page += 1;
            Some(place)
        } else if turn.again {
            Some(self.begun_again(place))
        } else if moved_up {
            place.latest = before;
            Some(place.ask_again(before, self.first_token(), true)?)
        } else if let Some(token) = behind {
            Some(place.stepped_back(token)?)
        } else {
            match turn.token {
                Some(_) if self.cap_reached(&place, turn.count) => {
                    if !ordered {
                        let message = "the records' order is not what the manifest promises (ordered_by_cursor), and the provider's cap is reached";
                        return Err(ConnectorError::new(ErrorKind::Stuck, message));
                    }
                    let from = place.latest;
                    Some(place.ask_again(from, self.first_token(), false)?)
                }
                Some(token) => Some(place.next_page(token, turn.count, &turn.fingerprint)?),
                None => self.after_window(place, window, self.cut),
            }
        };

        // A slice is over when the next place lies in another one, or there is none.
        let slice_over = next.as_ref().is_none_or(|next| next.page == 0);
        if let Some(part) = part {
            let (next, cursor) = self.partition_turn(part, next, latest).await?;
            // What a job leaves behind does not last.
            let lasts = |next: &Place| self.plan.job.is_none() || next.page == 0;
            let resumable = next.as_ref().is_some_and(lasts) && self.parts_resumable();
            return Ok(Page {
                items: selected.items,
                next: next.map(|next| next.position()),
                resumable,
                cursor,
                window: self.told_window(window),
                provider_total: None,
                story,
            });
        }
        let cursor = match (&self.plan.cursor, window) {
            (Some(plan), Some(window)) if slice_over => {
                // Without any record the reference stays where it began, however many windows it has read.
                let quiet = match self.connector.manner {
                    Manner::Reference => Some(self.begun.unwrap_or(window.start)),
                    Manner::Daemon => next.is_none().then_some(window.start),
                };
                let upto = latest.or(quiet.map(Timestamp::micros));
                upto.map(|upto| self.cursor(plan, upto, window))
            }
            (Some(plan), Some(window)) if ordered && !moved_up && !selected.cursors.is_empty() => {
                latest.map(|latest| self.cursor(plan, latest, window))
            }
            (Some(_), Some(_)) | (None, _) | (_, None) => None,
        };
        let resumable = next
            .as_ref()
            .is_some_and(|next| paginate::resumable(self.plan.paginator.as_ref()) || next.token == self.first_token());
        // What the manifest itself leaves out is in the provider's total and not in what is seen.
        let whole = self.cut.is_none_or(|cut| cut.step.is_none()) && self.plan.selector.filter.is_none();
        Ok(Page {
            items: selected.items,
            next: next.map(|next| next.position()),
            resumable,
            cursor,
            window: self.told_window(window),
            provider_total: turn.total.filter(|_| whole && first_page),
            story,
        })
    }

    /// A cursor never goes beyond the run's start: what the provider stamps in the future is read again when its time has come.
    pub(super) fn bounded(&self, micros: i64) -> i64 {
        match self.connector.manner {
            Manner::Daemon => micros.min(self.request.started_at.micros()),
            Manner::Reference => micros,
        }
    }

    /// The next page of this query would lie beyond what the provider gives for one query.
    pub(super) fn cap_reached(&self, place: &Place, count: u64) -> bool {
        let size = place.size.unwrap_or(count);
        self.plan.promises.max_slice_records.is_some_and(|cap| place.seen + count + size > cap)
    }

    /// The cursor at that instant: not beyond the window or the run, not before the one that was given.
    pub(super) fn cursor(&self, plan: &CursorPlan, micros: i64, window: Window) -> Cursor {
        let at = Timestamp::from_micros(micros).unwrap_or(window.start);
        let at = match (self.connector.manner, plan.counts) {
            (Manner::Daemon, true) => at,
            (Manner::Daemon, false) => at.min(window.end).min(self.request.started_at),
            // The latest value that was seen, wherever it lies; never before where the pull began.
            (Manner::Reference, _) => self.begun.map_or(at, |begun| if self.joined { at.max(begun) } else { begun }),
        };
        let told = plan.told(self.given.map_or(at, |given| at.max(given)));
        // The format may be coarser than the instant: the order is that of what is written down.
        let order = plan.heard(&told).map(Timestamp::micros);
        // What else the state held stays in it, as the reference has it.
        let mut state = match (&self.request.cursor, self.connector.manner) {
            (Some(Value::Object(state)), Manner::Reference) => state.clone(),
            _ => Map::new(),
        };
        state.insert(plan.field.clone(), told);
        Cursor { state: Value::Object(state), order }
    }

    fn story(&self, place: &Place, selected: &Selected) -> String {
        let window = self.told_window(place.window());
        let window = window.map(|(start, end)| format!(" {start}..{end}")).unwrap_or_default();
        let filtered = if selected.filtered > 0 {
            format!(", {} left out by the manifest", selected.filtered)
        } else {
            String::new()
        };
        let (name, page, records) = (&self.plan.spec.name, place.page + 1, selected.items.len());
        format!("{name}{window} page {page}: {records} records{filtered}")
    }
}

/// What a page tells, beside its items.
struct Turn {
    count: u64,
    token: Option<Value>,
    total: Option<i64>,
    fingerprint: String,
    /// The listing begins anew.
    again: bool,
    /// Why there is no next page although there should be one.
    failure: Option<String>,
}

fn is_sorted(before: Option<i64>, values: impl Iterator<Item = i64>) -> bool {
    before.into_iter().chain(values).is_sorted()
}

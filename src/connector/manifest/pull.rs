//! One page of one stream.
//!
//! Owns the way from a request to a [`Page`]: place, request, answer, items, next place, cursor. A pure function of the
//! request and the provider's answer; nothing is remembered between calls.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    ManifestConnector, Manner,
    engine::Scope,
    extract, paginate,
    parents::Placed,
    partition::state::States,
    place::Place,
    plan::{CursorPlan, StreamPlan},
    request::{self, PageFacts, Proof},
    select::{self, Selected},
    slices::{self, Cut, Window},
};
use crate::{
    connector::{
        ConnectorError, ErrorKind, Page, PullRequest,
        http::{Answer, Call, TakenFor},
    },
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
        let states = states.map(|cursor| States::read(&cursor.field, request.cursor.as_ref(), plan.global_cursor));
        let given = match (&plan.cursor, &request.cursor) {
            (Some(cursor), Some(state)) if states.is_none() => Some(slices::cursor_instant(cursor, state)?),
            (Some(_), _) | (None, _) => None,
        };
        let cut =
            plan.cursor.as_ref().map(|cursor| slices::cut(engine, cursor, &scope, request.started_at)).transpose()?;
        let begun = match (&plan.cursor, connector.manner) {
            (Some(cursor), Manner::Reference) if states.is_none() => {
                Some(slices::beginning(engine, cursor, &scope, given)?)
            }
            _ => None,
        };
        Ok(Self { connector, plan, request, scope, given, cut, states, begun })
    }

    pub async fn page(&self) -> Result<Page, ConnectorError> {
        Ok(self.placed_page().await?.1)
    }

    /// The page with the place that it was read at; a stream without any partition has none.
    pub async fn placed_page(&self) -> Result<Placed, ConnectorError> {
        let place = match &self.request.position {
            Some(position) => Some(Place::read(position)?),
            None => self.first_place().await?,
        };
        let Some(place) = place else { return Ok((None, self.nothing())) };
        if place.window().is_some() != self.plan.cursor.is_some()
            || place.part().is_some() != self.plan.router.is_some()
        {
            return Err(ConnectorError::new(
                ErrorKind::PositionExpired,
                "the position is of another form of the stream",
            ));
        }
        let scope = self.slice_scope(&place);
        let answer = self.ask(&place, &scope).await?;
        let page = self.read(place.clone(), &scope, &answer).await?;
        Ok((Some(place), page))
    }

    pub(super) async fn first_place(&self) -> Result<Option<Place>, ConnectorError> {
        if self.plan.router.is_some() {
            return self.partition_after(None, None, None).await;
        }
        let from = self.given.filter(|_| self.request.mode == SyncMode::Incremental);
        self.slice_from(from).map(Some)
    }

    /// The first place of a reading that begins at a cursor.
    pub(super) fn slice_from(&self, from: Option<Timestamp>) -> Result<Place, ConnectorError> {
        let engine = &self.connector.loaded.engine;
        let window = match (&self.plan.cursor, &self.cut) {
            (Some(plan), Some(cut)) => Some(cut.first(slices::start(engine, plan, &self.scope, from)?)),
            (None, _) | (_, None) => None,
        };
        let paginator = self.plan.paginator.as_ref();
        let size = paginator.map(|p| paginate::size(engine, p, &self.scope, self.request.limit)).transpose()?.flatten();
        Ok(Place::first(window, size, self.first_token()))
    }

    fn first_token(&self) -> Value {
        paginate::first_token(self.plan.paginator.as_ref())
    }

    /// The bounds of the place's window, in the cursor's own format.
    fn bounds(&self, place: &Place) -> Option<(String, String)> {
        let (cursor, window) = (self.plan.cursor.as_ref()?, place.window()?);
        Some((cursor.format.format(window.start), cursor.format.format(window.end)))
    }

    fn slice_scope(&self, place: &Place) -> Scope {
        let (mut partition, mut bounds, mut extra) = (Map::new(), Map::new(), Map::new());
        if let Some(read) = place.partition() {
            partition.clone_from(&read.fields);
            extra.clone_from(&read.extra);
        }
        if let (Some(cursor), Some((start, end))) = (&self.plan.cursor, self.bounds(place)) {
            bounds.insert(cursor.start_name.clone(), Value::String(start));
            bounds.insert(cursor.end_name.clone(), Value::String(end));
        }
        let all: Map<String, Value> = partition.iter().chain(&bounds).map(|(k, v)| (k.clone(), v.clone())).collect();
        let parts = [partition, bounds, extra].map(|fields| Arc::new(Value::Object(fields)));
        let scope = self.scope.clone().with_slice(&Arc::new(Value::Object(all)), parts);
        if place.token.is_null() {
            return scope;
        }
        scope.with("next_page_token", &Arc::new(json!({"next_page_token": place.token.clone()})))
    }

    async fn ask(&self, place: &Place, scope: &Scope) -> Result<Answer, ConnectorError> {
        let bounds = self.bounds(place);
        let now = self.connector.gate.clock().now();
        let make = |secret: Option<&SecretString>, session: Option<&SecretString>| -> Result<Call, ConnectorError> {
            let config = self.connector.config_with(secret)?;
            let by_token = self.plan.slice_once && !place.token.is_null();
            let facts = PageFacts {
                bounds: bounds.as_ref().filter(|_| !by_token).map(|(start, end)| (start.as_str(), end.as_str())),
                token: &place.token,
                size: place.size,
                partition: self.plan.router.as_ref().zip(place.partition()).filter(|_| !by_token),
                proof: Proof { config: &config, session, now },
                any_origin: self.connector.manner == Manner::Reference,
            };
            request::build(
                &self.connector.loaded.engine,
                &self.plan.request,
                self.plan.cursor.as_ref(),
                self.plan.paginator.as_ref(),
                &scope.clone().with("config", &config),
                &facts,
            )
        };
        self.connector.send(&self.plan.request, &self.request.traffic, &make, scope).await
    }

    async fn read(&self, place: Place, scope: &Scope, answer: &Answer) -> Result<Page, ConnectorError> {
        let engine = &self.connector.loaded.engine;
        let selector = &self.plan.selector;
        if answer.taken_for == TakenFor::Reset {
            return self.begun_anew(place);
        }
        let ignored = answer.taken_for == TakenFor::Nothing;
        let nothing = ignored || answer.status == 204 && answer.body.is_empty();
        let (body, broken) = if nothing { (Value::Null, Vec::new()) } else { self.body(answer)? };
        let body = Arc::new(body);
        let total =
            self.plan.promises.total.as_ref().and_then(|path| path.iter().try_fold(&*body, |at, step| at.get(step)));
        let total = total.and_then(Value::as_i64);

        let (count, last_record) = select::peek(engine, selector, scope, &body)?;
        let token = match &self.plan.paginator {
            None => None,
            Some(_) if ignored => None,
            Some(paginator) => {
                let seen = paginate::Seen {
                    response: &body,
                    headers: &answer.headers,
                    records: count,
                    last_record,
                    size: place.size,
                    token: &place.token,
                };
                paginate::next_token(engine, paginator, scope, seen)?
            }
        };
        // A stream of records that has none is an empty one: nothing is missing.
        let optional = self.plan.promises.records_optional || nothing || !self.plan.decoder.is_whole();
        if self.connector.manner == Manner::Daemon {
            self.doubted(&body, count, &answer.asked)?;
        }
        let body = Arc::unwrap_or_clone(body);
        let records = match self.connector.manner {
            Manner::Daemon => select::extract(engine, selector, scope, body, optional, &answer.asked)?,
            Manner::Reference => {
                let bodies = match body {
                    Value::Array(items) if !self.plan.decoder.is_whole() => items,
                    whole => extract::bodies(whole),
                };
                select::extract_leniently(engine, selector, scope, bodies)?.0
            }
        };
        let mut selected = select::select(engine, self.plan, scope, records, place.page)?;
        selected.items.extend(broken);
        let (token, selected) = self.held_against_cursor(&place, token, selected)?;
        let fingerprint = fingerprint(&answer.body);
        self.turn(place, selected, Turn { count, token, total, fingerprint }).await
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
        let moved_up = ordered && matches!((place.total, turn.total), (Some(had), Some(has)) if has < had);
        place.total = turn.total.or(place.total);
        let latest = place.latest;
        let part = place.part().cloned();
        let next = if moved_up {
            place.latest = before;
            Some(place.ask_again(before, self.first_token(), true)?)
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
                None => window
                    .and_then(|window| self.cut?.next(window))
                    .map(|window| place.next_slice(window, self.first_token())),
            }
        };

        // A slice is over when the next place lies in another one, or there is none.
        let slice_over = next.as_ref().is_none_or(|next| next.page == 0);
        if let Some(part) = part {
            let (next, cursor) = self.partition_turn(part, next, latest).await?;
            let resumable = next.is_some() && self.parts_resumable();
            return Ok(Page {
                items: selected.items,
                next: next.map(|next| next.position()),
                resumable,
                cursor,
                window: window.map(|window| (window.start, window.end)),
                provider_total: None,
                story,
            });
        }
        let cursor = match (&self.plan.cursor, window) {
            (Some(plan), Some(window)) if slice_over => {
                let ends = next.is_none() || self.connector.manner == Manner::Reference;
                let upto = latest.map_or(if ends { Some(window.start.micros()) } else { None }, Some);
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
            window: window.map(|window| (window.start, window.end)),
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

    /// The provider no longer knows the listing: it is asked again from its beginning, or from the latest value seen.
    fn begun_anew(&self, place: Place) -> Result<Page, ConnectorError> {
        let from = place.latest;
        let next = place.ask_again(from, self.first_token(), true)?;
        Ok(Page {
            items: Vec::new(),
            next: Some(next.position()),
            resumable: false,
            cursor: None,
            window: None,
            provider_total: None,
            story: format!("{}: the listing begins anew, as the manifest asks", self.plan.spec.name),
        })
    }

    /// The next page of this query would lie beyond what the provider gives for one query.
    fn cap_reached(&self, place: &Place, count: u64) -> bool {
        let size = place.size.unwrap_or(count);
        self.plan.promises.max_slice_records.is_some_and(|cap| place.seen + count + size > cap)
    }

    /// The cursor at that instant: not beyond the window or the run, not before the one that was given.
    fn cursor(&self, plan: &CursorPlan, micros: i64, window: Window) -> Cursor {
        let at = Timestamp::from_micros(micros).unwrap_or(window.start);
        let at = match self.connector.manner {
            Manner::Daemon => at.min(window.end).min(self.request.started_at),
            // The latest value that was seen, wherever it lies; never before where the pull began.
            Manner::Reference => self.begun.map_or(at, |begun| at.max(begun)),
        };
        let text = plan.format.format(self.given.map_or(at, |given| at.max(given)));
        // The format may be coarser than the instant: the order is that of what is written down.
        let order = plan.format.parse(&text).map(Timestamp::micros);
        Cursor { state: json!({plan.field.as_str(): text}), order }
    }

    fn story(&self, place: &Place, selected: &Selected) -> String {
        let window = place.window().map(|window| format!(" {}..{}", window.start, window.end)).unwrap_or_default();
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
}

fn is_sorted(before: Option<i64>, values: impl Iterator<Item = i64>) -> bool {
    before.into_iter().chain(values).is_sorted()
}

/// Enough of a hash to tell two pages apart.
fn fingerprint(body: &[u8]) -> String {
    STANDARD.encode(&Sha256::digest(body)[..16])
}

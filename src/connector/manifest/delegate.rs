//! Streams that are read one way first and another way once they have a state (`StateDelegatingStream`).
//!
//! Owns the choice, and that a pull keeps to it: the way stands in the position beside the place. A state that is older than what
//! the provider keeps leads to the whole stream again. One page of either way is `pull`'s.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    ManifestConnector, Manner,
    ahead::Ahead,
    duration::Duration,
    engine::{Scope, Template},
    parents::Placed,
    place::Place,
    plan::{CursorPlan, StreamPlan},
    pull::Pull,
};
use crate::{
    connector::{ConnectorError, ErrorKind, PullRequest, StreamSpec, TrafficMeter},
    domain::{clock::Timestamp, cursor::Position, status::SyncMode},
};

/// The state of a stream without a cursor.
const NO_CURSOR: &str = "__ab_no_cursor_state_message";
/// Keys of a position.
const WAY: &str = "way";
const AT: &str = "at";

/// `incremental_stream`, and how long the provider keeps what it reads.
pub(super) struct Delegate {
    pub plan: StreamPlan,
    pub retention: Option<Template>,
}

/// How a delegating stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// There is no state: by `full_refresh_stream`.
    Whole,
    /// By `incremental_stream`.
    Changes,
    /// There is a state, and it is too old: by `full_refresh_stream` from its beginning.
    Anew,
}

impl Way {
    const ALL: [(Self, &'static str); 3] = [(Self::Whole, "whole"), (Self::Changes, "changes"), (Self::Anew, "anew")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(way, _)| *way == self).map_or("", |(_, word)| word)
    }

    fn read(position: &Position) -> Option<(Self, Position)> {
        let word = position.0.get(WAY)?.as_str()?;
        let (way, _) = Self::ALL.iter().find(|(_, have)| *have == word)?;
        Some((*way, Position(position.0.get(AT)?.clone())))
    }
}

/// The place's own position, where a way stands beside it.
pub(super) fn inner(position: &Position) -> Position {
    Way::read(position).map_or_else(|| position.clone(), |(_, at)| at)
}

/// Which way a stream is read that has this state; `None`: there is but one.
///
/// # Errors
/// [`ErrorKind::Settings`] when the period that the provider keeps is none.
pub(super) fn way(
    connector: &ManifestConnector,
    plan: &StreamPlan,
    state: Option<&Value>,
    now: Timestamp,
) -> Result<Option<Way>, ConnectorError> {
    let Some(delegate) = &plan.delegate else { return Ok(None) };
    let Some(state) = state.and_then(Value::as_object).filter(|state| !state.is_empty()) else {
        return Ok(Some(Way::Whole));
    };
    let period = match &delegate.retention {
        None => String::new(),
        Some(retention) => connector.loaded.engine.text(retention, &Scope::new(now, &connector.config))?,
    };
    // What renders as nothing keeps everything.
    if ["", "None", "False", "0"].contains(&period.as_str()) {
        return Ok(Some(Way::Changes));
    }
    let period = Duration::parse(&period).ok_or_else(|| {
        let message = format!("api_retention_period of '{}' gives no ISO 8601 duration such as P30D", plan.spec.name);
        ConnectorError::new(ErrorKind::Settings, message)
    })?;
    let reached = reached(plan, state, now).or_else(|| reached(&delegate.plan, state, now));
    let fresh = reached.is_some_and(|reached| reached >= period.before(now));
    Ok(Some(if fresh { Way::Changes } else { Way::Anew }))
}

/// How far a state goes, by the cursor of one of the ways.
fn reached(plan: &StreamPlan, state: &Map<String, Value>, now: Timestamp) -> Option<Timestamp> {
    let Some(cursor) = &plan.cursor else {
        return state.get(NO_CURSOR).filter(|whole| **whole == json!(true)).map(|_| now);
    };
    if plan.router.is_some() { by_cursor(cursor, state.get("state")?.as_object()?) } else { by_cursor(cursor, state) }
}

fn by_cursor(cursor: &CursorPlan, state: &Map<String, Value>) -> Option<Timestamp> {
    let ranges = state.get("state_type").is_some_and(|kind| kind == "date-range");
    let value = if ranges {
        let range = state.get("slices")?.get(0)?;
        range.get("most_recent_cursor_value").or_else(|| range.get("end"))?
    } else {
        state.get(&cursor.field)?
    };
    cursor.record_formats.iter().chain([&cursor.format]).find_map(|format| format.parse_value(value))
}

/// A page of a stream of either kind, with the place that it was read at.
///
/// # Errors
/// As a pull.
pub(super) async fn placed_page(
    connector: &ManifestConnector,
    plan: &StreamPlan,
    request: &PullRequest,
    ahead: Option<&Ahead>,
) -> Result<Placed, ConnectorError> {
    let Some(delegate) = &plan.delegate else {
        return Pull { ahead, ..Pull::new(connector, plan, request)? }.placed_page().await;
    };
    let (way, position) = match &request.position {
        Some(position) => {
            let expired = || ConnectorError::new(ErrorKind::PositionExpired, "the position is of another stream");
            let (way, at) = Way::read(position).ok_or_else(expired)?;
            (way, Some(at))
        }
        None => {
            let state = request.cursor.as_ref().filter(|_| request.mode == SyncMode::Incremental);
            (self::way(connector, plan, state, request.started_at)?.unwrap_or(Way::Whole), None)
        }
    };
    let chosen = if way == Way::Changes { &delegate.plan } else { plan };
    // A reading that begins anew asks from the start; the cursor it was given stays the least that it may come to.
    let mode = if chosen.cursor.is_some() && way != Way::Anew { request.mode } else { SyncMode::FullRefresh };
    // The reference keeps what it does not know of a state; a job's cursor is the way's own or none.
    let known = |state: &Value| connector.manner == Manner::Reference || is_of(chosen, state);
    let cursor = request.cursor.clone().filter(known);
    let asked = PullRequest { position, mode, cursor, ..request.clone() };
    // Whoever fetches ahead knows a stream by its name, and by that the whole one is meant.
    let ahead = ahead.filter(|_| way != Way::Changes);
    let (place, mut page) = Pull { ahead, ..Pull::new(connector, chosen, &asked)? }.placed_page().await?;
    page.next = page.next.map(|next| Position(json!({WAY: way.word(), AT: next.0})));
    Ok((place, page))
}

/// Whether a state can be read by this way's cursor; another one says nothing to it.
fn is_of(plan: &StreamPlan, state: &Value) -> bool {
    match &plan.cursor {
        None => false,
        Some(_) if plan.router.is_some() => state.get(NO_CURSOR).is_none(),
        Some(cursor) => state.get(&cursor.field).is_some(),
    }
}

/// What a reading of a stream begins with, by the state that it has.
pub struct Beginning<'c> {
    /// The stream as it is read this time.
    plan: &'c StreamPlan,
    /// The state is too old to be used: the stream is read from its beginning.
    pub anew: bool,
}

impl Beginning<'_> {
    /// The stream as it is read this time.
    pub fn spec(&self) -> &StreamSpec {
        &self.plan.spec
    }
}

impl ManifestConnector {
    /// How a stream's reading begins that has this state; `None`: there is no such stream.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when the period that the provider keeps is none.
    pub fn beginning(&self, name: &str, state: Option<&Value>) -> Result<Option<Beginning<'_>>, ConnectorError> {
        let Some(plan) = self.loaded.streams.iter().find(|plan| plan.spec.name == name) else { return Ok(None) };
        let way = way(self, plan, state, self.gate.clock().now())?;
        let changes = plan.delegate.as_ref().filter(|_| way == Some(Way::Changes));
        let plan = changes.map_or(plan, |delegate| &delegate.plan);
        Ok(Some(Beginning { plan, anew: way == Some(Way::Anew) }))
    }

    /// Asks for the schema that a reading needs, before it begins: a stream whose schema cannot be told is not read.
    ///
    /// # Errors
    /// As [`ManifestConnector::schema`].
    pub async fn prepare(&self, beginning: &Beginning<'_>) -> Result<(), ConnectorError> {
        let traffic = Arc::new(TrafficMeter::default());
        self.schema_for_reading(beginning.plan, self.gate.clock().now(), &traffic).await.map(drop)
    }
}

/// Whether a place is the first one of a slice: nothing of the slice was read.
pub(super) fn begins_slice(position: &Position) -> bool {
    Place::read(&inner(position)).is_ok_and(|place| place.page == 0)
}

//! What of an answer a pull takes: its document or stream of records, of those what the cursor has not seen, and the next page's token.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    Manner,
    decode::{self, Decoded, Head, Piece},
    engine::Scope,
    extract, paginate,
    place::Place,
    pull::Pull,
    select::{self, Selected},
    slices,
};
use crate::{
    connector::{
        ConnectorError, ErrorKind,
        http::{Answer, TakenFor},
    },
    domain::{
        clock::Timestamp,
        record::{BrokenItem, Item},
        status::SyncMode,
    },
};

/// What came of asking for a place, by itself: nothing of earlier pages is in it.
pub(super) enum Fetched {
    Page(Box<Taken>),
    /// The listing has to go on in another way.
    Detour(TakenFor),
}

impl Fetched {
    pub fn page(taken: Taken) -> Self {
        Self::Page(Box::new(taken))
    }

    /// An answer that says how the listing has to go on instead; `None`: it is one to read.
    pub fn detour(taken: TakenFor) -> Option<Self> {
        match taken {
            TakenFor::Answer | TakenFor::Nothing => None,
            TakenFor::Reset | TakenFor::Smaller | TakenFor::Split => Some(Self::Detour(taken)),
        }
    }
}

/// What was taken of an answer.
#[derive(Default)]
pub(super) struct Taken {
    pub selected: Selected,
    /// Records that the provider gave, whatever was left out of them.
    pub count: u64,
    /// The document, where the token is still to be read from it.
    pub body: Option<Arc<Value>>,
    pub token: Option<Value>,
    /// How many records the provider says there are.
    pub total: Option<i64>,
    /// Of the body, to tell two pages apart.
    pub fingerprint: String,
    /// Why the next page cannot be told, for whoever reads on.
    pub failure: Option<String>,
    /// The manifest ignores the answer: there is no next page.
    pub over: bool,
}

impl Pull<'_> {
    /// Reads an answer: its records as the manifest selects them, and the next page's token. `later`: the token is asked for by the
    /// caller, when more is known.
    ///
    /// # Errors
    /// Those of a pull.
    pub(super) fn take(
        &self,
        place: &Place,
        scope: &Scope,
        answer: &Answer,
        schema: Option<&Value>,
        later: bool,
    ) -> Result<Taken, ConnectorError> {
        let engine = &self.connector.loaded.engine;
        let selector = &self.plan.selector;
        // The reference reads a good answer that is ignored, and its next page.
        let ignored =
            answer.taken_for == TakenFor::Nothing && (self.connector.manner == Manner::Daemon || answer.status >= 400);
        let nothing = ignored || answer.status == 204 && answer.body.is_empty();
        let (body, broken) = if nothing { (Value::Null, Vec::new()) } else { self.body(answer)? };
        let body = Arc::new(body);
        let total =
            self.plan.promises.total.as_ref().and_then(|path| path.iter().try_fold(&*body, |at, step| at.get(step)));
        let total = total.and_then(Value::as_i64);
        let count = select::peek(engine, selector, scope, &body)?;
        let mut taken = Taken {
            selected: Selected::default(),
            count,
            body: None,
            token: None,
            total,
            fingerprint: fingerprint(&answer.body),
            failure: None,
            over: ignored,
        };
        let after = match &self.plan.paginator {
            Some(paginator) if !later && !ignored => {
                let after = paginator.looks_back();
                if !after {
                    self.find_token(place, scope, answer, &mut taken, &body)?;
                }
                after
            }
            Some(_) | None => false,
        };
        if after || later {
            taken.body = Some(Arc::clone(&body));
        }
        // A stream of records that has none is an empty one: nothing is missing.
        let optional = self.plan.promises.records_optional || nothing || !self.plan.decoder.is_whole();
        if self.connector.manner == Manner::Daemon {
            self.doubted(&body, count, &answer.asked)?;
        }
        let body = Arc::unwrap_or_clone(body);
        let records = self.records(body, !self.plan.decoder.is_whole(), scope, optional, &answer.asked)?;
        taken.selected =
            select::select(engine, self.plan, scope, records, place.page, self.connector.strictness(), schema)?;
        taken.selected.items.extend(broken);
        if self.plan.cursor.as_ref().is_some_and(|cursor| cursor.client_side && !cursor.data_feed) {
            self.held_against_cursor(place, &mut taken.selected)?;
        }
        if after && let Some(body) = taken.body.take() {
            self.find_token(place, scope, answer, &mut taken, &body)?;
        }
        Ok(taken)
    }

    /// Finds the next page's token. The reference hands a page's records over before it fails to find one.
    ///
    /// # Errors
    /// The templates', for the daemon: what it commits must have a way on.
    pub(super) fn find_token(
        &self,
        place: &Place,
        scope: &Scope,
        answer: &Answer,
        taken: &mut Taken,
        body: &Arc<Value>,
    ) -> Result<(), ConnectorError> {
        match self.next_token(place, scope, answer, taken, body) {
            Ok(token) => taken.token = token,
            Err(error) if self.connector.manner == Manner::Reference => taken.failure = Some(error.message),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The next page's token, by what was taken of this one.
    ///
    /// # Errors
    /// The templates'.
    fn next_token(
        &self,
        place: &Place,
        scope: &Scope,
        answer: &Answer,
        taken: &Taken,
        body: &Arc<Value>,
    ) -> Result<Option<Value>, ConnectorError> {
        let Some(paginator) = self.plan.paginator.as_ref().filter(|_| !taken.over) else { return Ok(None) };
        let emitted = taken.selected.items.iter().filter_map(|item| match item {
            Item::Record(record) => Some(&record.payload),
            Item::Broken(_) => None,
        });
        // The format's own reader pages by the first of several documents, and by nothing where records come as a stream.
        let first = match &**body {
            Value::Array(items) if self.plan.decoder.is_whole() => items.first().cloned().map(Arc::new),
            Value::Array(_) | Value::Null => None,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Some(Arc::clone(body)),
        };
        let response = first.unwrap_or_else(|| Arc::new(Value::Object(Map::new())));
        let seen = paginate::Seen {
            response: &response,
            headers: &answer.headers,
            records: taken.count,
            emitted: emitted.clone().count() as u64,
            last_record: emitted.clone().next_back().cloned().unwrap_or(Value::Null),
            size: place.size,
            token: &place.token,
        };
        paginate::next_token(&self.connector.loaded.engine, paginator, scope, seen)
    }

    /// Whether so many records came since the listing began that it has to begin anew.
    pub(super) fn reaches_limit(&self, place: &mut Place, selected: &Selected) -> bool {
        let records = selected.items.iter().filter(|item| matches!(item, Item::Record(_))).count() as u64;
        if self.plan.detours.reset.is_some() {
            place.detour.records += records;
            place.detour.latest = place.detour.latest.max(selected.cursors.iter().map(|at| at.micros()).max());
        }
        let limit = self.plan.detours.reset.and_then(|reset| reset.limit);
        limit.is_some_and(|limit| place.detour.records >= limit)
    }

    /// Leaves out what the cursor says was read before, where the provider cannot be asked for less. True when the last record was
    /// left out: a feed is read no further.
    pub(super) fn held_against_cursor(&self, place: &Place, selected: &mut Selected) -> Result<bool, ConnectorError> {
        let (Some(plan), Some(cut)) = (&self.plan.cursor, &self.cut) else { return Ok(false) };
        let engine = &self.connector.loaded.engine;
        let begun = match place.part() {
            Some(part) => part.from.and_then(Timestamp::from_micros),
            None => {
                let given = self.given.filter(|_| self.request.mode == SyncMode::Incremental);
                Some(slices::beginning(engine, plan, &self.scope, given)?)
            }
        };
        let begun = begun.map(|begun| slices::earliest(engine, plan, &self.scope, begun)).transpose()?;
        // What tells no time is kept: nobody knows that it is old.
        let wanted = |item: &Item| match item {
            Item::Record(record) => {
                record.source_updated_at.is_none_or(|at| begun.is_none_or(|begun| begun <= at) && at <= cut.upto)
            }
            Item::Broken(_) => true,
        };
        let reached = selected.items.last().is_some_and(|last| !wanted(last));
        let before = selected.items.len();
        selected.items.retain(wanted);
        selected.filtered += before - selected.items.len();
        selected.cursors = selected
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Record(record) => record.source_updated_at,
                Item::Broken(_) => None,
            })
            .collect();
        Ok(reached)
    }

    /// The records in a document, or in the bodies of a stream.
    pub(super) fn records(
        &self,
        body: Value,
        stream: bool,
        scope: &Scope,
        optional: bool,
        asked: &str,
    ) -> Result<Vec<Value>, ConnectorError> {
        let (engine, selector) = (&self.connector.loaded.engine, &self.plan.selector);
        match self.connector.manner {
            Manner::Daemon => select::extract(engine, selector, scope, body, optional, asked),
            Manner::Reference => {
                let bodies = match body {
                    Value::Array(items) if stream => items,
                    whole => extract::bodies(whole),
                };
                Ok(select::extract_leniently(engine, selector, scope, bodies)?.0)
            }
        }
    }

    /// Refuses an answer that looks like a whole listing and may be none: an error in a record's place, or a listing without pages
    /// that is as long as the provider makes any.
    pub(super) fn doubted(&self, body: &Value, count: u64, asked: &str) -> Result<(), ConnectorError> {
        if select::is_error_alone(self.plan, body) {
            let message = format!("{asked}: the answer holds an error where a record should be");
            return Err(ConnectorError::new(ErrorKind::Decode, message));
        }
        match self.plan.promises.max_page_size {
            Some(most) if self.plan.paginator.is_none() && count > 0 && count >= most => {
                let message = format!(
                    "{asked}: {count} records came, the provider gives {most} at most (max_page_size), and nothing leads to more of them"
                );
                Err(ConnectorError::new(ErrorKind::Stuck, message))
            }
            _ => Ok(()),
        }
    }

    /// The answer's document or its stream of records, and what of that cannot be read.
    pub(super) fn body(&self, answer: &Answer) -> Result<(Value, Vec<Item>), ConnectorError> {
        let head = Head { status: answer.status, headers: &answer.headers };
        let told =
            |error: ConnectorError| ConnectorError::new(error.kind, format!("{}: {}", answer.asked, error.message));
        let pieces =
            match decode::decode(&self.plan.decoder, &answer.body, &head, self.connector.strictness()).map_err(told)? {
                Decoded::Whole(body) => return Ok((body, Vec::new())),
                Decoded::Stream(pieces) => pieces,
            };
        let (mut values, mut broken) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece.map_err(told)? {
                Piece::Value(value) => values.push(value),
                Piece::Broken { place, text, reason } => broken.push(Item::Broken(BrokenItem { place, text, reason })),
            }
        }
        Ok((Value::Array(values), broken))
    }
}

/// Enough of a hash to tell two pages apart.
fn fingerprint(body: &[u8]) -> String {
    STANDARD.encode(&Sha256::digest(body)[..16])
}

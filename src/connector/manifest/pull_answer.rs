//! What of an answer a pull takes: its document or stream of records, and of those what the cursor has not seen.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Manner,
    decode::{self, Decoded, Head, Piece},
    engine::Scope,
    extract,
    place::Place,
    pull::Pull,
    select::{self, Selected},
    slices,
};
use crate::{
    connector::{ConnectorError, http::Answer},
    domain::{
        clock::Timestamp,
        record::{BrokenItem, Item},
        status::SyncMode,
    },
};

/// What an answer holds, by itself: nothing of earlier pages is in it.
pub(super) enum Taken {
    Page(Selected, Turn),
    /// The listing begins anew.
    Reset,
}

/// What a page tells, beside its items.
pub(super) struct Turn {
    pub count: u64,
    pub token: Option<Value>,
    pub total: Option<i64>,
    pub fingerprint: String,
}

/// Enough of a hash to tell two pages apart.
pub(super) fn fingerprint(body: &[u8]) -> String {
    STANDARD.encode(&Sha256::digest(body)[..16])
}

impl Pull<'_> {
    /// Leaves out what the cursor says was read before, where the provider cannot be asked for less; a feed that reached it is read
    /// no further.
    pub(super) fn held_against_cursor(
        &self,
        place: &Place,
        token: Option<Value>,
        mut selected: Selected,
    ) -> Result<(Option<Value>, Selected), ConnectorError> {
        let (Some(plan), Some(cut)) = (&self.plan.cursor, &self.cut) else { return Ok((token, selected)) };
        if !plan.client_side && !plan.data_feed {
            return Ok((token, selected));
        }
        let begun = match place.part() {
            Some(part) => part.from.and_then(Timestamp::from_micros),
            None => {
                let given = self.given.filter(|_| self.request.mode == SyncMode::Incremental);
                Some(slices::beginning(&self.connector.loaded.engine, plan, &self.scope, given)?)
            }
        };
        // What tells no time is kept: nobody knows that it is old.
        let wanted = |item: &Item| match item {
            Item::Record(record) => {
                record.source_updated_at.is_none_or(|at| begun.is_none_or(|begun| begun <= at) && at <= cut.upto)
            }
            Item::Broken(_) => true,
        };
        let reached = plan.data_feed && selected.items.last().is_some_and(|last| !wanted(last));
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
        Ok((token.filter(|_| !reached), selected))
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

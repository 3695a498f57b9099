//! What of an answer a pull takes: its document or stream of records, and of those what the cursor has not seen.

use serde_json::Value;

use super::{
    decode::{self, Decoded, Head, Piece},
    place::Place,
    pull::Pull,
    select::{self, Selected},
    slices,
};
use crate::{
    connector::{ConnectorError, ErrorKind, http::Answer},
    domain::{
        clock::Timestamp,
        record::{BrokenItem, Item},
        status::SyncMode,
    },
};

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

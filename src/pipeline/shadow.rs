//! What another version of a field map would make of the stored raw events, and nothing written.
//!
//! Owns the walk: the same decision as a replay's, over what a replay would read, in the same order, with the rows kept in memory for as
//! long as a batch. Refuses any store call that writes, and to show a value of a person's.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::Serialize;

use super::{Stop, replay};
use crate::{
    domain::{
        ids::InternalId,
        record::{Cell, MappedRow},
    },
    mapping::FieldMap,
    metrics::shadow::Watched,
    store::{
        SharedStore, StoreError,
        catalogue::Connection,
        field_maps::StoredRow,
        page::{Known, KnownRecords, LeftOut, RawEvent},
    },
};

/// Raw events read and decided at a time.
const BATCH: u32 = 500;
/// Most records whose dead letters would go through that are kept in memory; beyond them the numbers of clients cannot be told.
const MOST_HELD: usize = 50_000;
/// Most different reasons that are told.
const MOST_REASONS: usize = 20;
/// Longest text of an example.
const EXAMPLE_CHARS: usize = 40;

/// What is compared.
pub struct Shadow<'s> {
    pub store: &'s SharedStore,
    pub connection: &'s Connection,
    /// The version that would be in force.
    pub map: Arc<FieldMap>,
    pub stop: Stop,
}

/// What would come of a stream's stored records and open dead letters.
#[derive(Debug, Default, Serialize)]
pub struct Changes {
    /// Stored records that have their raw event.
    pub stored: i64,
    /// Of these: mapped to the row that stands.
    pub unchanged: i64,
    /// Of these: mapped to another row.
    pub changed: i64,
    /// Of these: left out by a rule, and stored. Their rows are taken back, and count no more.
    pub newly_ignored: i64,
    /// Of these: left out by a rule, as they are by now.
    pub still_ignored: i64,
    /// Of these: not mapped. They become dead letters, and their rows stay as they are.
    pub newly_failed: i64,
    /// Stored records whose raw event is gone: no version can map them again.
    pub raw_gone: i64,
    /// Raw events behind open dead letters.
    pub dead_letters: i64,
    /// Of these: they would go through.
    pub dead_letters_through: i64,
    pub dead_letters_ignored: i64,
    pub dead_letters_failed: i64,
    /// Records that would be new: of dead letters that go through.
    pub created: i64,
    /// By column.
    pub fields: BTreeMap<String, FieldChange>,
    /// Why records or dead letters would be left out or not mapped, with how many.
    pub reasons: BTreeMap<String, i64>,
    /// The walk was stopped before its end.
    pub stopped: bool,
    /// More would go through than fits: clients' numbers cannot be told.
    pub too_many: bool,
}

/// What happens to a column.
#[derive(Debug, Default, Serialize)]
pub struct FieldChange {
    pub label: String,
    pub records: i64,
    /// One change, masked: `xxx 999 -> none`.
    pub example: Option<[String; 2]>,
}

impl Shadow<'_> {
    /// Walks over everything that a replay would read; tells `watched` of each row that would be another one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn walk(&self, watched: &mut [Watched]) -> Result<Changes, StoreError> {
        let mut changes = Changes::default();
        let mut held = self.letters(&mut changes).await?;
        self.stored(&mut changes, &mut held, watched).await?;
        self.unseen(&mut changes, held, watched).await?;
        let (client, connection) = (self.connection.client_id, self.connection.id);
        changes.raw_gone = self.store.records_without_raw(client, connection, &self.map.object_type).await?;
        Ok(changes)
    }

    /// Dead letters are replayed last, so what they become is what stands in the end: it is found first.
    async fn letters(&self, changes: &mut Changes) -> Result<HashMap<String, MappedRow>, StoreError> {
        let (mut held, mut after) = (HashMap::new(), 0);
        loop {
            let read = self.store.raw_of_dead_letters(self.connection.id, &self.map.stream, &[], after, BATCH).await?;
            let Some((last, _)) = read.last() else { return Ok(held) };
            if self.stop.stopped().is_some() {
                changes.stopped = true;
                return Ok(held);
            }
            after = *last;
            let events: Vec<RawEvent> = read.into_iter().map(|(_, event)| event).collect();
            let writes = self.decide(&events, &KnownRecords::new());
            changes.dead_letters += writes.counts.seen;
            changes.dead_letters_ignored += writes.counts.ignored;
            changes.dead_letters_failed += writes.counts.failed;
            changes.reasons_of(&writes);
            for record in writes.records {
                changes.dead_letters_through += 1;
                if held.len() < MOST_HELD || held.contains_key(&record.external_id) {
                    held.insert(record.external_id, record.row);
                } else {
                    changes.too_many = true;
                }
            }
        }
    }

    async fn stored(
        &self,
        changes: &mut Changes,
        held: &mut HashMap<String, MappedRow>,
        watched: &mut [Watched],
    ) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let read = self.store.raw_of_links(self.connection.id, &self.map.stream, after, BATCH).await?;
            let Some((last, _)) = read.last() else { return Ok(()) };
            if self.stop.stopped().is_some() {
                changes.stopped = true;
                return Ok(());
            }
            after = *last;
            let events: Vec<RawEvent> = read.into_iter().map(|(_, event)| event).collect();
            let known = self.known(events.iter().map(|event| event.external_id.clone())).await?;
            let writes = self.decide(&events, &known);
            changes.stored += writes.counts.seen;
            changes.unchanged += writes.counts.unchanged;
            let newly = i64::try_from(writes.left_out.len()).unwrap_or(i64::MAX);
            changes.newly_ignored += newly;
            changes.still_ignored += writes.counts.ignored - newly;
            changes.newly_failed += writes.counts.failed;
            changes.changed += writes.counts.updated + writes.counts.created;
            changes.reasons_of(&writes);
            self.left_out(&writes.left_out, watched).await?;
            let mut rows: HashMap<String, MappedRow> =
                writes.records.into_iter().map(|record| (record.external_id, record.row)).collect();
            for event in &events {
                if let Some(row) = held.remove(&event.external_id) {
                    rows.insert(event.external_id.clone(), row);
                }
            }
            self.compare(changes, rows, &known, watched).await?;
        }
    }

    /// Dead letters of records that the walk over stored raw events has not met.
    async fn unseen(
        &self,
        changes: &mut Changes,
        held: HashMap<String, MappedRow>,
        watched: &mut [Watched],
    ) -> Result<(), StoreError> {
        let mut left = held.into_iter();
        loop {
            let rows: HashMap<String, MappedRow> = left.by_ref().take(BATCH as usize).collect();
            if rows.is_empty() {
                return Ok(());
            }
            let known = self.known(rows.keys().cloned()).await?;
            self.compare(changes, rows, &known, watched).await?;
        }
    }

    /// Holds rows against those that are stored.
    async fn compare(
        &self,
        changes: &mut Changes,
        rows: HashMap<String, MappedRow>,
        known: &KnownRecords,
        watched: &mut [Watched],
    ) -> Result<(), StoreError> {
        let of = |id: &String| known.get(id).filter(|known| known.internal_table == self.map.table.name);
        let ids: Vec<InternalId> = rows.keys().filter_map(of).map(|known: &Known| known.internal_id).collect();
        let (client, connection) = (self.connection.client_id, self.connection.id);
        let stored = self.store.stored_rows(client, connection, self.map.table, &ids).await?;
        let stored: HashMap<i64, StoredRow> = stored.into_iter().map(|row| (row.id.0, row)).collect();
        for (external_id, row) in rows {
            let before = of(&external_id).and_then(|known| stored.get(&known.internal_id.0));
            match before {
                None => changes.created += 1,
                Some(before) => self.fields(changes, &before.cells, &row.cells),
            }
            let counted = before.filter(|before| before.counts).map(|before| before.cells.as_slice());
            for one in &mut *watched {
                one.moved(row.table, counted, Some(&row.cells));
            }
        }
        Ok(())
    }

    /// Tells of rows that would count no more.
    async fn left_out(&self, left_out: &[LeftOut], watched: &mut [Watched]) -> Result<(), StoreError> {
        let ids: Vec<InternalId> = left_out.iter().map(|left| left.known.internal_id).collect();
        let (client, connection) = (self.connection.client_id, self.connection.id);
        for row in self.store.stored_rows(client, connection, self.map.table, &ids).await? {
            for one in watched.iter_mut().filter(|_| row.counts) {
                one.moved(self.map.table, Some(row.cells.as_slice()), None);
            }
        }
        Ok(())
    }

    fn fields(&self, changes: &mut Changes, before: &[Cell], after: &[Cell]) {
        for (column, (before, after)) in self.map.table.columns.iter().zip(before.iter().zip(after)) {
            if before == after {
                continue;
            }
            let note = self.map.notes.iter().find(|note| note.to == column.name);
            // What stands may have been written by a map that took any text.
            let words = !column.words.is_empty();
            let listed = words || note.is_some_and(|note| ["enum", "constant"].contains(&note.kind.as_str()));
            let change = changes.fields.entry(column.name.to_owned()).or_insert_with(|| FieldChange {
                label: note.map_or_else(|| column.name.to_owned(), |note| note.label.clone()),
                ..FieldChange::default()
            });
            change.records += 1;
            let next = [masked(before, words), masked(after, listed)];
            // An example from something to something says more than one from or to nothing.
            let empty = |example: &[String; 2]| example.iter().any(|side| side == NOTHING);
            if change.example.is_none() || (change.example.as_ref().is_some_and(empty) && !empty(&next)) {
                change.example = Some(next);
            }
        }
    }

    async fn known(&self, ids: impl Iterator<Item = String>) -> Result<KnownRecords, StoreError> {
        let mut ids: Vec<String> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        self.store.known(self.connection.id, &self.map.object_type, &ids).await
    }

    fn decide(&self, events: &[RawEvent], known: &KnownRecords) -> crate::store::page::PageWrites {
        replay::decide(&self.map, &self.connection.spec.provider_account_id, &self.map.stream, events, known, false)
    }
}

impl Changes {
    fn reasons_of(&mut self, writes: &crate::store::page::PageWrites) {
        use crate::{domain::status::RawStatus, store::page::RawWrite};
        let ignored = writes.raw.iter().filter_map(|raw| match raw {
            RawWrite::Existing { status: RawStatus::Ignored, reason, .. } => reason.clone(),
            _ => None,
        });
        let failed = writes.dead_letters.iter().map(|letter| letter.message_internal.clone());
        for reason in ignored.chain(failed) {
            if self.reasons.len() < MOST_REASONS || self.reasons.contains_key(&reason) {
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
    }
}

const NOTHING: &str = "none";

/// A value as it may be shown: words that a map or a table lists, times and truths as they are; of everything else only the shape.
fn masked(cell: &Cell, open: bool) -> String {
    let text = match cell {
        Cell::Null => return NOTHING.to_owned(),
        Cell::Bool(truth) => return truth.to_string(),
        Cell::Time(at) => return at.to_iso(),
        Cell::Json(_) => return "{...}".to_owned(),
        Cell::Text(text) if open => return text.chars().take(EXAMPLE_CHARS).collect(),
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Decimal(number) => number.normalize().to_string(),
    };
    let shape = |c: char| match c {
        c if c.is_numeric() => '9',
        c if c.is_alphabetic() => 'x',
        c => c,
    };
    text.chars().take(EXAMPLE_CHARS).map(shape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p18_an_example_shows_the_shape_of_a_value_and_never_the_value() {
        let text = |text: &str| Cell::Text(text.to_owned());
        for (cell, open, shown) in [
            (text("Ada Lovelace"), false, "xxx xxxxxxxx"),
            (text("+14155550123"), false, "+99999999999"),
            (text("ada@example.test"), false, "xxx@xxxxxxx.xxxx"),
            (text("customer"), true, "customer"),
            (Cell::Integer(-42), false, "-99"),
            (Cell::Null, false, "none"),
            (Cell::Json("{\"a\":\"secret\"}".to_owned()), false, "{...}"),
            (Cell::Bool(true), false, "true"),
        ] {
            assert_eq!(masked(&cell, open), shown);
        }
        assert_eq!(masked(&text(&"x".repeat(500)), false).len(), EXAMPLE_CHARS);
    }
}

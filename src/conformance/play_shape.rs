//! Scenarios about shapes: what stands in a record, and how a listing of one or none is written.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Outcome, fixtures,
    play::{Found, walk, whole},
    provider::Quirks,
    sample::{Pointer, at_pointer, get, leaves},
    setup::Setup,
};
use crate::{
    domain::{
        clock::Timestamp,
        record::{Cell, Item, MappedRow},
    },
    mapping::{FieldMap, Mapped},
};

/// An instant in two forms that specifications rarely mention.
const STAMP: &str = "2026-06-15T10:00:00Z";
const FOREIGN: [&str; 2] = ["Mon, 15 Jun 2026 10:00:00 +0000", "/Date(1781517600000)/"];

pub(super) async fn object_or_list(setup: &Setup<'_>) -> Found {
    let mut none = walk(setup, Vec::new(), Quirks::default())?;
    let ran = none.run(None).await;
    if let Some(wrong) = whole(&none, &ran) {
        return Ok(Some(format!("`[]` where there is no record: {wrong}")));
    }
    let quirks = Quirks { one_without_list: true, ..Quirks::default() };
    let mut one = walk(setup, setup.rows(1), quirks)?;
    let ran = one.run(None).await;
    Ok(whole(&one, &ran).map(|wrong| format!("an object where there is one record: {wrong}")))
}

/// A record of the fixtures with the row that it becomes.
struct Sound {
    raw: Value,
    payload: Value,
    row: MappedRow,
}

/// What a record becomes by manifest and map; `None`: it is told as failed, or left out by a rule.
fn become_row(setup: &Setup<'_>, map: &FieldMap, raw: &Value) -> Option<(Value, MappedRow)> {
    let Item::Record(record) = setup.trial.emitted(raw, &setup.partition)? else { return None };
    match map.apply(&record.payload) {
        Mapped::Record(row) => Some((record.payload, row)),
        Mapped::Ignored { .. } | Mapped::OtherAccount { .. } | Mapped::Failed(_) => None,
    }
}

fn mapped(setup: &Setup<'_>, map: &FieldMap) -> Vec<Sound> {
    let bodies = fixtures::readable(&fixtures::pages(&setup.dir, &setup.profile.spec.name), &setup.trial);
    let records = bodies.iter().flat_map(|body| setup.trial.records(body).unwrap_or_default());
    let rows = records.filter_map(|raw| {
        let (payload, row) = become_row(setup, map, &raw)?;
        Some(Sound { raw, payload, row })
    });
    rows.collect()
}

/// Another value at a place of the provider's record.
fn changed(raw: &Value, place: &Pointer, value: Value) -> Value {
    let mut raw = raw.clone();
    if let Some(leaf) = at_pointer(&mut raw, place) {
        *leaf = value;
    }
    raw
}

/// Whether a cell is a number that can be told from another.
fn amount(cell: &Cell) -> Option<Decimal> {
    match cell {
        Cell::Integer(number) => Some(Decimal::from(*number)),
        Cell::Decimal(number) => Some(*number),
        Cell::Null | Cell::Text(_) | Cell::Bool(_) | Cell::Time(_) | Cell::Json(_) => None,
    }
}

/// The first column of which a number is not what it was, nor its hundredth.
fn bent(before: &MappedRow, after: &MappedRow, share: bool) -> Option<&'static str> {
    let columns = before.table.columns.iter().zip(before.cells.iter().zip(&after.cells));
    let mut wrong = columns.filter_map(|(column, (before, after))| {
        let had = amount(before)?;
        let has = amount(after);
        let honest = has == Some(had) || share && has == Some(had / Decimal::from(100));
        (!honest).then_some(column.name)
    });
    wrong.next()
}

pub(super) fn numbers(setup: &Setup<'_>) -> Found {
    let map = setup.map.as_deref().ok_or_else(|| Outcome::not_applicable("nothing maps the stream"))?;
    let mut tried = false;
    for record in mapped(setup, map) {
        for place in leaves(&record.raw) {
            let Some(value) = get(&record.raw, &place) else { continue };
            let number = match value {
                Value::Number(number) => number.to_string(),
                Value::String(text) if text.contains('.') && text.parse::<Decimal>().is_ok() => text.clone(),
                _ => continue,
            };
            // Only what a number of the row comes from.
            let other = changed(&record.raw, &place, json!(94));
            let moves = match become_row(setup, map, &other) {
                Some((_, row)) => bent(&record.row, &row, false).is_some(),
                None => false,
            };
            if !moves {
                continue;
            }
            tried = true;
            let from = place.join(".");
            let variant = match value {
                Value::Number(_) => json!(number),
                _ => serde_json::from_str(&number).unwrap_or(json!(number)),
            };
            let forms = [
                (variant, false, "written as the other kind of number"),
                (json!(format!("{number}%")), true, "with a % behind it"),
            ];
            for (variant, share, how) in forms {
                if let Some((_, row)) = become_row(setup, map, &changed(&record.raw, &place, variant))
                    && let Some(column) = bent(&record.row, &row, share)
                {
                    return Ok(Some(format!(
                        "'{from}', {how}, becomes another number of {column}, or none, without a word"
                    )));
                }
            }
        }
    }
    if tried { Ok(None) } else { Err(Outcome::not_applicable("no number of the fixtures is mapped")) }
}

pub(super) fn stamps(setup: &Setup<'_>) -> Found {
    let at: Option<Timestamp> = STAMP.parse().ok();
    let mut tried = false;
    if let Some(map) = setup.map.as_deref() {
        let notes: Vec<_> = map.notes.iter().filter(|note| note.kind == "timestamp").collect();
        for record in mapped(setup, map) {
            for (note, from) in notes.iter().flat_map(|note| note.from.iter().map(move |from| (note, from))) {
                let way: Pointer = from.split('.').map(str::to_owned).collect();
                let Some(value) = get(&record.payload, &way).filter(|value| !value.is_null() && *value != "") else {
                    continue;
                };
                let Some(column) = record.row.table.position(&note.to) else { continue };
                if record.row.cells[column] == Cell::Null {
                    continue;
                }
                let places = leaves(&record.raw).into_iter().filter(|place| get(&record.raw, place) == Some(value));
                let Some(place) = places.min_by_key(|place| usize::from(*place != way)) else { continue };
                tried = true;
                for form in FOREIGN {
                    let Some((_, row)) = become_row(setup, map, &changed(&record.raw, &place, json!(form))) else {
                        continue;
                    };
                    let cell = &row.cells[column];
                    if Some(cell) != at.map(Cell::Time).as_ref() && *cell != record.row.cells[column]
                        || *cell == Cell::Null
                    {
                        let to = &note.to;
                        return Ok(Some(format!(
                            "'{from}' as \"{form}\" becomes another time of {to}, or none, without a word"
                        )));
                    }
                }
            }
        }
    }
    if let Some(stamp) = setup.sample.stamp(0) {
        tried = true;
        for form in FOREIGN {
            let raw = changed(&setup.sample.record(0, Some(setup.upto)), stamp, json!(form));
            if let Some(Item::Record(record)) = setup.trial.emitted(&raw, &setup.partition)
                && record.source_updated_at.is_some()
                && record.source_updated_at != at
            {
                return Ok(Some(format!("the cursor's field as \"{form}\" is read as another time")));
            }
        }
    }
    if tried {
        return Ok(None);
    }
    Err(Outcome::not_applicable("no time of the fixtures is mapped, and there is no cursor"))
}

//! What clients' numbers would be if some rows were others: a window's groups of today, less what goes and with what comes.
//!
//! Owns the reading of a definition's conditions over rows in memory, as the store's statements read them over stored ones. Every
//! aggregation is made from groups of alike rows, so each moves exactly, medians too. Refuses to write, and to publish: whether a number may
//! reach a client is decided when it is taken.

use std::{collections::BTreeMap, sync::Arc};

use rust_decimal::Decimal;

use super::{
    compute::{NoNumber, Number},
    desk::{Desk, Entry},
    snapshot::{self, Grouped},
    window::{self, Window},
};
use crate::{
    domain::{
        business::BusinessTable,
        clock::Timestamp,
        metric::{Aggregation, Condition, Definition, Literal, Source, Test},
        record::Cell,
        status::SnapshotOrigin,
    },
    store::{
        SharedStore, StoreError,
        catalogue::Connection,
        metrics::{Group, RowQuery},
    },
};

/// Most kinds of rows that one window keeps in memory; with more of them its number cannot be told beforehand.
const MOST_GROUPS: usize = 100_000;

/// What makes rows alike: the number, its currency, two times in microseconds.
type Key = (Option<Decimal>, Option<String>, Option<(i64, i64)>);
/// How many rows of a kind come (or, below zero, go).
type Deltas = BTreeMap<Key, i64>;

/// Why a window is looked at. A window may be several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The window that the client sees now.
    Published,
    /// The last one that has ended: what is published next.
    Last,
    /// What the client started from, as it would be counted today. What stands as the baseline does not move by itself.
    Baseline,
}

/// One window of one metric of one connection, with what rows do to it.
pub struct Watched {
    pub definition: Arc<Definition>,
    pub source_label: String,
    pub roles: Vec<Role>,
    /// The value that stands in the client's report for this window, where there is one.
    pub told: Option<Decimal>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    rows: RowQuery,
    part: Deltas,
    whole: Deltas,
    ever: Deltas,
    overflown: bool,
}

/// A number of today and the one that would be.
#[derive(Debug)]
pub struct Shift {
    pub metric_key: String,
    pub source_label: String,
    pub unit: String,
    pub period: String,
    pub roles: Vec<Role>,
    pub told: Option<Decimal>,
    pub now: Result<Number, NoNumber>,
    pub then: Result<Number, NoNumber>,
}

impl Shift {
    pub fn moves(&self) -> bool {
        let value = |number: &Result<Number, NoNumber>| {
            number.as_ref().map(|number| (number.value, number.currency.clone())).map_err(Clone::clone)
        };
        value(&self.now) != value(&self.then)
    }
}

/// The windows to watch for a connection: of each metric that reads one of the tables the last ended one, the published one, and the one
/// of a baseline that was counted.
///
/// # Errors
/// Those of the store, here as below.
pub async fn watch(desk: &Desk<'_>, connection: &Connection, tables: &[&str]) -> Result<Vec<Watched>, StoreError> {
    let mut watched: Vec<Watched> = Vec::new();
    for entry in desk.entries(connection.client_id, None).await? {
        let reads = matches!(entry.definition.source, Source::Records(table) if tables.contains(&table.name));
        if !reads || entry.connections.iter().all(|one| one.id != connection.id) {
            continue;
        }
        for (role, starts_at, ends_at, told) in windows(desk, connection, &entry).await? {
            let same = |one: &&mut Watched| {
                one.definition.key == entry.definition.key && (one.starts_at, one.ends_at) == (starts_at, ends_at)
            };
            match watched.iter_mut().find(same) {
                Some(one) => {
                    one.roles.push(role);
                    one.told = one.told.or(told);
                }
                None => watched.push(Watched::new(connection, &entry, (starts_at, ends_at), role, told)),
            }
        }
    }
    Ok(watched)
}

type Looked = (Role, Timestamp, Timestamp, Option<Decimal>);

async fn windows(desk: &Desk<'_>, connection: &Connection, entry: &Entry) -> Result<Vec<Looked>, StoreError> {
    let (definition, label) = (&entry.definition, &entry.source_label);
    let mut windows: Vec<Looked> = Vec::new();
    let report = desk.store.report(connection.client_id, &definition.key, label).await?;
    let report = report.filter(|report| report.connection_id == connection.id);
    windows.extend(
        report
            .and_then(|report| report.current)
            .map(|told| (Role::Published, told.period_start, told.period_end, Some(told.value))),
    );
    let last = Window::last_ended(definition.period, definition.zone, desk.clock.now());
    windows.extend(last.map(|last| (Role::Last, last.starts_at, last.ends_at, None)));
    let baseline = desk.store.baseline(connection.client_id, &definition.key, label).await?;
    let counted = baseline
        .map(|baseline| baseline.snapshot.number)
        .filter(|number| number.origin == SnapshotOrigin::Computed && number.connection_id == connection.id);
    windows.extend(counted.map(|number| (Role::Baseline, number.period_start, number.period_end, number.value)));
    Ok(windows)
}

impl Watched {
    fn new(
        connection: &Connection,
        entry: &Entry,
        (starts_at, ends_at): (Timestamp, Timestamp),
        role: Role,
        told: Option<Decimal>,
    ) -> Self {
        let definition = Arc::clone(&entry.definition);
        let rows = RowQuery {
            client_id: connection.client_id,
            connection_id: connection.id,
            source: definition.source,
            filter: definition.filter.clone(),
            time_column: definition.time_column,
            window: Some((starts_at, ends_at)),
        };
        let source_label = entry.source_label.clone();
        let (part, whole, ever) = (Deltas::new(), Deltas::new(), Deltas::new());
        let roles = vec![role];
        Self { definition, source_label, roles, told, starts_at, ends_at, rows, part, whole, ever, overflown: false }
    }

    /// A row goes (`None`: it did not count before) and another one comes.
    pub fn moved(&mut self, table: &BusinessTable, before: Option<&[Cell]>, after: Option<&[Cell]>) {
        if self.overflown || self.definition.source.table().name != table.name || before == after {
            return;
        }
        for (cells, sign) in [(before, -1), (after, 1)] {
            if let Some(cells) = cells {
                self.count(Row { table, cells }, sign);
            }
        }
        self.overflown = [&self.part, &self.whole, &self.ever].iter().any(|deltas| deltas.len() > MOST_GROUPS);
    }

    /// What comes is not known to its end.
    pub fn untellable(&mut self) {
        self.overflown = true;
    }

    fn count(&mut self, row: Row<'_>, sign: i64) {
        let definition = &self.definition;
        let inside = row.time(definition.time_column).is_some_and(|at| at >= self.starts_at && at < self.ends_at);
        let (whole, part) = match &definition.aggregation {
            Aggregation::Share { of } => {
                let whole = row.fulfils(of);
                (whole, whole && row.fulfils(&definition.filter))
            }
            _ => (false, row.fulfils(&definition.filter)),
        };
        if whole && inside {
            add(&mut self.whole, Key::default(), sign);
        }
        if !part {
            return;
        }
        let key = match &definition.aggregation {
            Aggregation::Count | Aggregation::Share { .. } => Some(Key::default()),
            Aggregation::Sum(column) | Aggregation::Average(column) | Aggregation::Median(column) => {
                let currency = if column.is_amount() { row.text("currency") } else { None };
                row.number(column.name).map(|number| (Some(number), currency, None))
            }
            Aggregation::MinutesBetween { from, to } => {
                row.time(from).zip(row.time(to)).map(|(from, to)| (None, None, Some((from.micros(), to.micros()))))
            }
        };
        if let Some(key) = key {
            if definition.currency.is_some() {
                // Only which currencies there are is asked of other times.
                add(&mut self.ever, (None, key.1.clone(), None), sign);
            }
            if inside {
                add(&mut self.part, key, sign);
            }
        }
    }

    /// The number of today and the one that would be.
    pub async fn shift(self, store: &SharedStore) -> Result<Shift, StoreError> {
        let today = snapshot::grouped(store, &self.definition, &self.rows, true).await?;
        let now = snapshot::number(&self.definition, &today);
        let then = if self.overflown {
            Err("not all rows that change were looked at, so it cannot be told before the map is activated".to_owned())
        } else {
            let then = Grouped {
                part: merged(today.part, self.part),
                whole: merged(today.whole, self.whole),
                ever: merged(by_currency(today.ever), self.ever),
            };
            snapshot::number(&self.definition, &then)
        };
        Ok(Shift {
            metric_key: self.definition.key.clone(),
            source_label: self.source_label,
            unit: self.definition.unit.to_string(),
            period: window::dates(self.definition.zone, self.starts_at, self.ends_at),
            roles: self.roles,
            told: self.told,
            now,
            then,
        })
    }
}

/// A row of a business table.
struct Row<'r> {
    table: &'r BusinessTable,
    cells: &'r [Cell],
}

impl<'r> Row<'r> {
    fn cell(&self, column: &str) -> &'r Cell {
        self.table.position(column).and_then(|place| self.cells.get(place)).unwrap_or(&Cell::Null)
    }

    fn time(&self, column: &str) -> Option<Timestamp> {
        if let Cell::Time(at) = self.cell(column) { Some(*at) } else { None }
    }

    fn text(&self, column: &str) -> Option<String> {
        if let Cell::Text(text) = self.cell(column) { Some(text.clone()) } else { None }
    }

    fn number(&self, column: &str) -> Option<Decimal> {
        match self.cell(column) {
            Cell::Decimal(number) => Some(number.normalize()),
            Cell::Integer(number) => Some(Decimal::from(*number)),
            Cell::Null | Cell::Text(_) | Cell::Bool(_) | Cell::Time(_) | Cell::Json(_) => None,
        }
    }

    fn fulfils(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|Condition { column, test }| {
            let cell = self.cell(column);
            match test {
                Test::Present => *cell != Cell::Null,
                Test::Absent => *cell == Cell::Null,
                Test::In(values) => values.iter().any(|value| is(cell, value)),
                Test::NotIn(values) => !values.iter().any(|value| is(cell, value)),
            }
        })
    }
}

fn is(cell: &Cell, value: &Literal) -> bool {
    match (cell, value) {
        (Cell::Text(text), Literal::Text(wanted)) => text == wanted,
        (Cell::Integer(number), Literal::Integer(wanted)) => number == wanted,
        (Cell::Bool(truth), Literal::Bool(wanted)) => truth == wanted,
        _ => false,
    }
}

fn add(deltas: &mut Deltas, key: Key, sign: i64) {
    *deltas.entry(key).or_default() += sign;
}

/// Only the currencies of groups.
fn by_currency(groups: Vec<Group>) -> Vec<Group> {
    groups.into_iter().map(|group| Group { number: None, times: None, ..group }).collect()
}

fn merged(groups: Vec<Group>, deltas: Deltas) -> Vec<Group> {
    let mut all = deltas;
    for group in groups {
        let times = group.times.map(|(from, to)| (from.micros(), to.micros()));
        add(&mut all, (group.number.map(|number| number.normalize()), group.currency, times), group.rows);
    }
    let at = |micros: i64| Timestamp::from_micros(micros);
    all.into_iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|((number, currency, times), rows)| {
            let times = times.and_then(|(from, to)| at(from).zip(at(to)));
            Group { number, currency, times, rows }
        })
        .collect()
}

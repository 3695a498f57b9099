//! What a metric is: where its number comes from, how it is made, over which window, and what a client reads.
//!
//! Owns the shape of a definition and its fingerprint. Refuses to read files (that is `metrics::parse`) and to compute.

use std::fmt::Write as _;

use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::{
    business::{BusinessTable, Column, ColumnType},
    record::text_hash,
    status::{ApprovalRule, Direction, MetricUnit, PeriodKind},
};

const fn column(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, max_chars: 0, words: &[] }
}

/// The columns of runs that a metric may read.
pub static RUNS: BusinessTable = BusinessTable {
    name: "integration_sync_runs",
    columns: &[
        column("records_seen", ColumnType::Integer),
        column("records_created", ColumnType::Integer),
        column("records_updated", ColumnType::Integer),
        column("records_ignored", ColumnType::Integer),
        column("finished_at", ColumnType::Time),
    ],
};

/// The columns of published cards that a metric may read.
pub static NOTES: BusinessTable =
    BusinessTable { name: "report_metrics", columns: &[column("published_at", ColumnType::Time)] };

/// Which rows are counted. Voided and test rows never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Rows of a business table.
    Records(&'static BusinessTable),
    /// Finished runs that were no test batch.
    Runs,
    /// Published cards that carry a note.
    Notes,
}

impl Source {
    pub fn table(self) -> &'static BusinessTable {
        match self {
            Self::Records(table) => table,
            Self::Runs => &RUNS,
            Self::Notes => &NOTES,
        }
    }
}

/// A value that a column is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    Text(String),
    Integer(i64),
    Bool(bool),
}

/// How a column is tested. `NotIn` keeps rows in which the column is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    In(Vec<Literal>),
    NotIn(Vec<Literal>),
    Present,
    Absent,
}

/// One condition of a filter; all of a filter must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub column: &'static str,
    pub test: Test,
}

/// How the number is made from the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aggregation {
    Count,
    Sum(&'static Column),
    Average(&'static Column),
    Median(&'static Column),
    /// The average of the minutes from one time to another, of rows that have both. A `to` before its `from` counts as 0.
    MinutesBetween {
        from: &'static str,
        to: &'static str,
    },
    /// Of the rows that fulfil `of`, the percentage that also fulfils the metric's filter.
    Share {
        of: Vec<Condition>,
    },
}

/// In which currency money is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurrencyRule {
    /// This ISO code; rows in another one leave the number without a value.
    Fixed(String),
    /// The one that all rows have.
    OfRows,
}

/// What a client is told to do next, by the published status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NextActions {
    pub improved: Option<String>,
    pub declined: Option<String>,
    pub steady: Option<String>,
    pub no_baseline: Option<String>,
}

/// A checked definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub key: String,
    /// What the client reads above the number.
    pub title: String,
    /// What the number means to the client, in one sentence.
    pub meaning: String,
    pub unit: MetricUnit,
    /// Only for money.
    pub currency: Option<CurrencyRule>,
    pub direction: Direction,
    pub source: Source,
    pub aggregation: Aggregation,
    pub filter: Vec<Condition>,
    pub time_column: &'static str,
    pub period: PeriodKind,
    /// Whose dates the window follows.
    pub zone: Tz,
    pub approval: ApprovalRule,
    /// Up to this difference from the baseline, in percent of it, the number counts as steady.
    pub steady_within_percent: Decimal,
    pub next_action: NextActions,
    /// Stands on each card.
    pub note: Option<String>,
}

impl Definition {
    /// What is computed, as one hash: numbers are compared only when it is the same. Words for people are not part of it.
    pub fn fingerprint(&self) -> String {
        let mut text = format!(
            "v1\n{}\n{}\n{}\n{}\n{}\n",
            self.source.table().name,
            self.time_column,
            self.period,
            self.zone,
            self.unit
        );
        let currency = match &self.currency {
            None => "",
            Some(CurrencyRule::OfRows) => "rows",
            Some(CurrencyRule::Fixed(code)) => code,
        };
        let how = match &self.aggregation {
            Aggregation::Count => "count".to_owned(),
            Aggregation::Sum(column) => format!("sum {}", column.name),
            Aggregation::Average(column) => format!("average {}", column.name),
            Aggregation::Median(column) => format!("median {}", column.name),
            Aggregation::MinutesBetween { from, to } => format!("minutes {from} {to}"),
            Aggregation::Share { of } => format!("share {}", conditions(of)),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{currency}\n{how}\n{}", conditions(&self.filter));
        text_hash(&text)
    }
}

/// Conditions as text, whatever their order.
fn conditions(all: &[Condition]) -> String {
    let mut lines: Vec<String> =
        all.iter().map(|condition| format!("{:?} {:?}", condition.column, condition.test)).collect();
    lines.sort();
    lines.join("\n")
}

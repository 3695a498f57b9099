//! From YAML to checked definitions: everything that is wrong at once, with its line and what to do.
//!
//! Owns the form of an entry under `metrics:`. A definition is refused unless its source, period, unit and meaning are clear,
//! its unit fits what is computed, and a client may read its texts.

use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::parse_rows::{self, Rows};
use crate::{
    domain::{
        business::ColumnType,
        metric::{Aggregation, CurrencyRule, Definition, NextActions},
        status::{ApprovalRule, Direction, MetricUnit, PeriodKind, UnknownWord},
        wording_guard::leaks,
    },
    yaml::{Node, Problem, Table, nearest},
};

const LONGEST_KEY: usize = 64;
const LONGEST_TITLE: usize = 80;
const LONGEST_TEXT: usize = 300;
/// Fewer words are no sentence.
const FEWEST_WORDS: usize = 4;
const STEADY_WITHIN: i64 = 5;

/// Reads the entries under `metrics:`. `provider_names` are names that no client may read.
pub(super) fn entries(top: &mut Table<'_>, provider_names: &[String], problems: &mut Vec<Problem>) -> Vec<Definition> {
    let mut found: Vec<Definition> = Vec::new();
    for (index, node) in top.items("metrics").into_iter().enumerate() {
        let Some(mut table) = Table::open(node, &format!("metrics[{index}]"), problems) else { continue };
        let entry = Entry { provider_names, problems }.read(&mut table);
        if let Some(key) = entry.as_ref().map(|entry| &entry.key)
            && found.iter().any(|other| other.key == *key)
        {
            let message = format!("metric `{key}` is declared twice");
            problems.push(Problem::new(table.line_of("key"), &table.path("key"), message, "keep one of the two"));
        }
        table.finish(problems);
        found.extend(entry);
    }
    found
}

struct Entry<'e> {
    provider_names: &'e [String],
    problems: &'e mut Vec<Problem>,
}

impl Entry<'_> {
    fn wrong(&mut self, table: &Table<'_>, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::new(table.line_of(key), &table.path(key), message, remedy));
    }

    fn read(&mut self, table: &mut Table<'_>) -> Option<Definition> {
        let key = self.key(table);
        let title = self.said(table, "title", "say what a client reads above the number", LONGEST_TITLE);
        let meaning = self.meaning(table);
        let unit: Option<MetricUnit> =
            self.required_word(table, "unit", "say what is counted, e.g. leads, or money, minutes, percent, score");
        let period: Option<PeriodKind> = self.required_word(table, "period", "say over which window, e.g. month");
        let direction: Option<Direction> =
            self.required_word(table, "direction", "say higher_is_better, lower_is_better or neutral");
        let rows = parse_rows::read(table, self.problems);
        let currency = self.currency(table, unit);
        if let (Some(unit), Some(rows)) = (unit, &rows) {
            self.unit_fits(table, unit, rows);
        }
        let zone = self.zone(table);
        let approval = self.word(table, "approval").unwrap_or(ApprovalRule::None);
        let steady = self.steady(table);
        let next_action = self.next_action(table);
        let note = self.optional(table, "note");
        let rows = rows?;
        Some(Definition {
            key: key?,
            title: title?,
            meaning: meaning?,
            unit: unit?,
            currency,
            direction: direction?,
            source: rows.source,
            aggregation: rows.aggregation,
            filter: rows.filter,
            time_column: rows.time_column,
            period: period?,
            zone,
            approval,
            steady_within_percent: steady,
            next_action,
            note,
        })
    }

    fn key(&mut self, table: &mut Table<'_>) -> Option<String> {
        let key = table.required_text("key", "give it a short stable name, e.g. lead_volume", self.problems)?;
        let shaped = key.len() <= LONGEST_KEY
            && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && key.starts_with(|c: char| c.is_ascii_lowercase());
        if !shaped {
            let remedy = format!("use small letters, digits and _, at most {LONGEST_KEY}");
            self.wrong(table, "key", "is no key", remedy);
        }
        Some(key)
    }

    /// A text that a client reads: short, and nothing in it that the guard refuses.
    fn said(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        remedy: &'static str,
        longest: usize,
    ) -> Option<String> {
        let text = table.required_text(key, remedy, self.problems)?;
        self.readable(table, key, &text, longest);
        Some(text.trim().to_owned())
    }

    fn optional(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<String> {
        let text = table.text(key, self.problems).filter(|text| !text.trim().is_empty())?;
        self.readable(table, key, &text, LONGEST_TEXT);
        Some(text.trim().to_owned())
    }

    fn readable(&mut self, table: &Table<'_>, key: &str, text: &str, longest: usize) {
        if text.chars().count() > longest {
            self.wrong(table, key, "is too long for a client", format!("use at most {longest} characters"));
        }
        for leak in leaks(text, self.provider_names) {
            self.wrong(table, key, format!("a client would read {leak}"), "say it in the client's own words");
        }
    }

    fn meaning(&mut self, table: &mut Table<'_>) -> Option<String> {
        let text =
            self.said(table, "meaning", "say in one sentence what the number means to the client", LONGEST_TEXT)?;
        let sentence = text.ends_with('.')
            && text.split_whitespace().count() >= FEWEST_WORDS
            && !text.trim_end_matches('.').contains(['.', '!', '?', '\n']);
        if !sentence {
            self.wrong(table, "meaning", "is not one sentence", "write one whole sentence that ends with a full stop");
        }
        Some(text)
    }

    fn required_word<T: std::str::FromStr<Err = UnknownWord>>(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        remedy: &'static str,
    ) -> Option<T> {
        table.required_text(key, remedy, self.problems)?;
        self.word(table, key)
    }

    fn word<T: std::str::FromStr<Err = UnknownWord>>(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<T> {
        let text = table.text(key, self.problems)?;
        match text.parse() {
            Ok(word) => Some(word),
            Err(unknown) => {
                let near = nearest(&text, unknown.expected.split(", "));
                let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                let remedy = format!("{near}use one of: {}", unknown.expected);
                self.wrong(table, key, format!("`{text}` is no {}", unknown.kind), remedy);
                None
            }
        }
    }

    fn currency(&mut self, table: &mut Table<'_>, unit: Option<MetricUnit>) -> Option<CurrencyRule> {
        let text = table.text("currency", self.problems);
        let money = unit == Some(MetricUnit::Money);
        match text.as_deref() {
            None if money => {
                self.wrong(table, "currency", "is required for money", "give an ISO code such as USD, or rows");
                None
            }
            None => None,
            Some(_) if unit.is_some() && !money => {
                self.wrong(table, "currency", "is only for money", "leave it out, or make the unit money");
                None
            }
            Some("rows") => Some(CurrencyRule::OfRows),
            Some(code) if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
                Some(CurrencyRule::Fixed(code.to_owned()))
            }
            Some(_) => {
                self.wrong(table, "currency", "is no currency", "give an ISO code such as USD, or rows");
                None
            }
        }
    }

    /// The unit says what the number is: it must be what is computed.
    fn unit_fits(&mut self, table: &Table<'_>, unit: MetricUnit, rows: &Rows) {
        let (fits, expected) = match &rows.aggregation {
            Aggregation::Count => (unit.is_count(), "what is counted, e.g. leads"),
            Aggregation::MinutesBetween { .. } => (unit == MetricUnit::Minutes, "minutes"),
            Aggregation::Share { .. } => (unit == MetricUnit::Percent, "percent"),
            Aggregation::Sum(column) | Aggregation::Average(column) | Aggregation::Median(column)
                if column.is_amount() =>
            {
                (unit == MetricUnit::Money, "money")
            }
            Aggregation::Sum(column) if column.kind == ColumnType::Integer => {
                (unit.is_count(), "what is counted, e.g. visits")
            }
            Aggregation::Sum(_) | Aggregation::Average(_) | Aggregation::Median(_) => {
                (unit.is_count() || unit == MetricUnit::Score, "what is counted, or score")
            }
        };
        if !fits {
            self.wrong(table, "unit", format!("`{unit}` is not what is computed"), format!("here it is {expected}"));
        }
    }

    fn zone(&mut self, table: &mut Table<'_>) -> Tz {
        let Some(name) = table.text("zone", self.problems) else { return Tz::UTC };
        name.parse().unwrap_or_else(|_| {
            self.wrong(table, "zone", format!("`{name}` is no time zone"), "write e.g. America/New_York or UTC");
            Tz::UTC
        })
    }

    fn steady(&mut self, table: &mut Table<'_>) -> Decimal {
        let default = Decimal::from(STEADY_WITHIN);
        let Some(node) = table.get("steady_within_percent") else { return default };
        let text = node.scalar_text().or_else(|| node.to_json().as_f64().map(|number| number.to_string()));
        match text.and_then(|text| text.parse().ok()) {
            Some(percent) if percent >= Decimal::ZERO && percent <= Decimal::ONE_HUNDRED => percent,
            Some(_) | None => {
                self.wrong(table, "steady_within_percent", "is no share", "give a number from 0 to 100");
                default
            }
        }
    }

    fn next_action(&mut self, table: &mut Table<'_>) -> NextActions {
        let path = table.path("next_action");
        let empty = Node::null();
        let node = match table.get("next_action") {
            None => return NextActions::default(),
            Some(node) if *node == empty => return NextActions::default(),
            Some(node) => node,
        };
        let Some(mut by_status) = Table::open(node, &path, self.problems) else { return NextActions::default() };
        let actions = NextActions {
            improved: self.optional(&mut by_status, "improved"),
            declined: self.optional(&mut by_status, "declined"),
            steady: self.optional(&mut by_status, "steady"),
            no_baseline: self.optional(&mut by_status, "no_baseline"),
        };
        by_status.finish(self.problems);
        actions
    }
}

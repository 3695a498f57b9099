//! The part of a definition that says which rows are read and what is made of them.
//!
//! Owns the check of names: only tables and columns that there are, only words that a column allows.

use crate::{
    domain::{
        business::{self, BusinessTable, Column, ColumnType},
        metric::{Aggregation, Condition, Literal, NOTES, RUNS, Source, Test},
    },
    yaml::{Node, NodeValue, Problem, Table, nearest},
};

/// Most values of one condition.
const MOST_VALUES: usize = 50;
const AGGREGATIONS: &str = "count, sum, average, median, minutes_between, share";

/// What a definition says of its rows.
pub(super) struct Rows {
    pub source: Source,
    pub aggregation: Aggregation,
    pub filter: Vec<Condition>,
    pub time_column: &'static str,
}

/// Reads `source`, `aggregation` with its options, `filter` and `time_column`.
pub(super) fn read(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Rows> {
    let source = source(table, problems);
    // Asked for all the same, so that a wrong source does not make them unknown keys.
    let time = table.required_text("time_column", "name the time that puts a row into a period", problems);
    let Some(source) = source else {
        for key in ["aggregation", "column", "between", "of", "filter"] {
            table.get(key);
        }
        return None;
    };
    let reader = Reader { table: source.table() };
    let time = time.and_then(|name| {
        let (line, field) = (table.line_of("time_column"), table.path("time_column"));
        reader.time(&name, line, &field, problems)
    });
    let aggregation = reader.aggregation(table, problems);
    let filter = reader.conditions(table, "filter", problems);
    Some(Rows { source, aggregation: aggregation?, filter, time_column: time?.name })
}

fn source(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Source> {
    let name = table.required_text("source", "name the table that is read, e.g. crm_leads", problems)?;
    let found = match name.as_str() {
        name if name == RUNS.name => Some(Source::Runs),
        name if name == NOTES.name => Some(Source::Notes),
        name => business::table(name).map(Source::Records),
    };
    if found.is_none() {
        let known: Vec<&str> = business::TABLES.iter().map(|t| t.name).chain([RUNS.name, NOTES.name]).collect();
        let remedy = nearest(&name, known.iter().copied())
            .map_or_else(|| format!("tables: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        let message = format!("there is no table `{name}` for metrics");
        problems.push(Problem::new(table.line_of("source"), &table.path("source"), message, remedy));
    }
    found
}

struct Reader {
    table: &'static BusinessTable,
}

impl Reader {
    fn column(
        &self,
        name: &str,
        line: Option<u64>,
        field: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<&'static Column> {
        let found = self.table.column(name);
        if found.is_none() {
            let names = self.table.columns.iter().map(|column| column.name);
            let remedy = nearest(name, names.clone()).map_or_else(
                || format!("columns: {}", names.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            problems.push(Problem::new(line, field, format!("{} has no column `{name}`", self.table.name), remedy));
        }
        found
    }

    fn time(&self, name: &str, line: Option<u64>, field: &str, problems: &mut Vec<Problem>) -> Option<&'static Column> {
        let column = self.column(name, line, field, problems)?;
        if column.kind != ColumnType::Time {
            let times: Vec<_> =
                self.table.columns.iter().filter(|c| c.kind == ColumnType::Time).map(|c| c.name).collect();
            let remedy = format!("times of {}: {}", self.table.name, times.join(", "));
            problems.push(Problem::new(line, field, format!("`{name}` is no time"), remedy));
            return None;
        }
        Some(column)
    }

    fn aggregation(&self, table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Aggregation> {
        let word = table.required_text("aggregation", "say how the number is made, e.g. count", problems)?;
        let line = table.line_of("aggregation");
        match word.as_str() {
            "count" => Some(Aggregation::Count),
            "sum" => self.number(table, problems).map(Aggregation::Sum),
            "average" => self.number(table, problems).map(Aggregation::Average),
            "median" => self.number(table, problems).map(Aggregation::Median),
            "minutes_between" => self.between(table, problems),
            "share" => {
                if table.get("of").is_none() {
                    let remedy = "list the conditions of the whole; `of: []` takes all rows";
                    problems.push(Problem::new(line, &table.path("of"), "is required for a share", remedy));
                }
                Some(Aggregation::Share { of: self.conditions(table, "of", problems) })
            }
            _ => {
                let remedy = nearest(&word, AGGREGATIONS.split(", "))
                    .map_or_else(|| format!("use one of: {AGGREGATIONS}"), |near| format!("did you mean `{near}`?"));
                for key in ["column", "between", "of"] {
                    table.get(key);
                }
                problems.push(Problem::new(
                    line,
                    &table.path("aggregation"),
                    format!("`{word}` is no aggregation"),
                    remedy,
                ));
                None
            }
        }
    }

    fn number(&self, table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<&'static Column> {
        let name = table.required_text("column", "name the column with the numbers", problems)?;
        let (line, field) = (table.line_of("column"), table.path("column"));
        let column = self.column(&name, line, &field, problems)?;
        if !matches!(column.kind, ColumnType::Integer | ColumnType::Decimal) {
            let message = format!("`{name}` holds no numbers");
            problems.push(Problem::new(line, &field, message, "name an amount or a number"));
            return None;
        }
        Some(column)
    }

    fn between(&self, table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Aggregation> {
        let path = table.path("between");
        let Some(node) = table.get("between") else {
            let remedy = "write between: { from: received_at, to: first_response_at }";
            problems.push(Problem::new(table.line, &path, "is required for minutes_between", remedy));
            return None;
        };
        let mut ends = Table::open(node, &path, problems)?;
        let mut end = |key: &'static str| {
            let name = ends.required_text(key, "name a time of the table", problems)?;
            let (line, field) = (ends.line_of(key), ends.path(key));
            self.time(&name, line, &field, problems)
        };
        let (from, to) = (end("from"), end("to"));
        ends.finish(problems);
        Some(Aggregation::MinutesBetween { from: from?.name, to: to?.name })
    }

    fn conditions(&self, table: &mut Table<'_>, key: &'static str, problems: &mut Vec<Problem>) -> Vec<Condition> {
        let path = table.path(key);
        let mut found = Vec::new();
        for (index, node) in table.items(key).into_iter().enumerate() {
            if let Some(item) = Table::open(node, &format!("{path}[{index}]"), problems) {
                found.extend(self.condition(item, problems));
            }
        }
        found
    }

    fn condition(&self, mut item: Table<'_>, problems: &mut Vec<Problem>) -> Option<Condition> {
        let name = item.required_text("column", "name the column that is tested", problems);
        let column = name.and_then(|name| self.column(&name, item.line_of("column"), &item.path("column"), problems));
        let mut tests = Vec::new();
        for (key, list, positive) in
            [("is", false, true), ("is_not", false, false), ("in", true, true), ("not_in", true, false)]
        {
            let Some(node) = item.get(key) else { continue };
            let nodes: Vec<&Node> = match &node.value {
                NodeValue::List(items) if list => items.iter().collect(),
                _ => vec![node],
            };
            if nodes.is_empty() || nodes.len() > MOST_VALUES {
                let remedy = format!("list from 1 to {MOST_VALUES} values");
                problems.push(Problem::new(node.line, &item.path(key), "has no fitting number of values", remedy));
            }
            let field = item.path(key);
            let values: Option<Vec<Literal>> =
                column.and_then(|column| nodes.iter().map(|node| literal(column, node, &field, problems)).collect());
            tests.push(values.map(|values| if positive { Test::In(values) } else { Test::NotIn(values) }));
        }
        for (key, test) in [("present", Test::Present), ("absent", Test::Absent)] {
            match item.bool(key, problems) {
                None => {}
                Some(true) => tests.push(Some(test)),
                Some(false) => problems.push(Problem::new(
                    item.line_of(key),
                    &item.path(key),
                    "says nothing when false",
                    "write present: true or absent: true",
                )),
            }
        }
        let (line, field) = (item.line, item.path("column"));
        item.finish(problems);
        if tests.len() != 1 {
            let remedy = "give one of: is, is_not, in, not_in, present, absent";
            problems.push(Problem::new(line, &field, "needs exactly one test", remedy));
            return None;
        }
        Some(Condition { column: column?.name, test: tests.pop()?? })
    }
}

/// A value that the column can hold; closed words are held against what the column allows.
fn literal(column: &Column, node: &Node, field: &str, problems: &mut Vec<Problem>) -> Option<Literal> {
    let mut wrong = |message: String, remedy: String| {
        problems.push(Problem::new(node.line, field, message, remedy));
        None
    };
    match (column.kind, &node.value) {
        (ColumnType::Text, _) => match node.scalar_text() {
            Some(word) if column.words.is_empty() || column.words.contains(&word.as_str()) => Some(Literal::Text(word)),
            Some(word) => wrong(
                format!("`{word}` is none of the words of {}", column.name),
                format!("words: {}", column.words.join(", ")),
            ),
            None => wrong("is no text".to_owned(), "write the value in quotes".to_owned()),
        },
        (ColumnType::Integer, NodeValue::Number(number)) if number.is_i64() => number.as_i64().map(Literal::Integer),
        (ColumnType::Bool, NodeValue::Bool(truth)) => Some(Literal::Bool(*truth)),
        (ColumnType::Integer, _) => wrong("is no whole number".to_owned(), "write it without quotes".to_owned()),
        (ColumnType::Bool, _) => wrong("is neither true nor false".to_owned(), "write true or false".to_owned()),
        (ColumnType::Decimal | ColumnType::Time | ColumnType::Json, _) => wrong(
            format!("{} cannot be held against a value", column.name),
            "use present: true or absent: true".to_owned(),
        ),
    }
}

//! What each type of a field needs besides, and whether it fits its column.
//!
//! Owns the type words, their options, constants, and the rules for values that are not there.

use std::collections::HashMap;

use super::{
    Absent, MapProblem,
    coerce::{EnumRule, Kind},
    money::{self, CurrencyRule, MoneyRule, Unit},
    path::Path,
    phone::DefaultRegion,
    time::{TimeFormat, TimeRule},
};
use crate::{
    domain::{
        business::{BusinessTable, Column, ColumnType},
        clock::Timestamp,
        record::Cell,
    },
    yaml::{Node, NodeValue, Table, nearest},
};

pub(super) const KNOWN_TYPES: &str =
    "give one of: email, phone, money, timestamp, enum, text, integer, decimal, bool, json";

const TYPES: &[(&str, ColumnType)] = &[
    ("email", ColumnType::Text),
    ("phone", ColumnType::Text),
    ("money", ColumnType::Decimal),
    ("timestamp", ColumnType::Time),
    ("enum", ColumnType::Text),
    ("text", ColumnType::Text),
    ("integer", ColumnType::Integer),
    ("decimal", ColumnType::Decimal),
    ("bool", ColumnType::Bool),
    ("json", ColumnType::Json),
];

/// Reads a field's type with its options and holds it against the column.
pub(super) fn kind(
    word: &str,
    table: &mut Table<'_>,
    business: Option<&'static BusinessTable>,
    claimed: Option<(usize, &'static Column)>,
    problems: &mut Vec<MapProblem>,
) -> Option<Kind> {
    let line = table.line;
    let field = table.path("type");
    let Some((_, fills)) = TYPES.iter().find(|(known, _)| *known == word) else {
        let remedy = nearest(word, TYPES.iter().map(|(known, _)| *known))
            .map_or_else(|| KNOWN_TYPES.to_owned(), |near| format!("did you mean `{near}`?"));
        problems.push(MapProblem::new(line, &field, format!("there is no type `{word}`"), remedy));
        return None;
    };
    if let Some((_, column)) = claimed {
        if column.kind != *fills {
            let message = format!("type {word} does not fit column `{}`, which holds {}", column.name, of(column.kind));
            let fitting: Vec<&str> =
                TYPES.iter().filter(|(_, fills)| *fills == column.kind).map(|(word, _)| *word).collect();
            problems.push(MapProblem::new(line, &field, message, format!("use one of: {}", fitting.join(", "))));
        } else if !column.words.is_empty() && word != "enum" {
            let message = format!("column `{}` takes only: {}", column.name, column.words.join(", "));
            problems.push(MapProblem::new(line, &field, message, "use type enum with a `values` map"));
        }
    }
    let column = claimed.map(|(_, column)| column);
    match word {
        "email" => Some(Kind::Email),
        "phone" => phone(table, problems),
        "money" => money_rule(table, business, problems),
        "timestamp" => timestamp(table, problems),
        "enum" => {
            let separator = table.text("separator", problems).filter(|separator| !separator.is_empty());
            Some(Kind::Enum(EnumRule { words: values(table, column, problems), separator }))
        }
        "integer" => Some(Kind::Integer),
        "decimal" => Some(Kind::Decimal),
        "bool" => Some(Kind::Bool),
        "json" => Some(Kind::Json),
        _ => Some(Kind::Text),
    }
}

const fn of(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Text => "text",
        ColumnType::Integer => "whole numbers",
        ColumnType::Decimal => "decimals",
        ColumnType::Bool => "truth values",
        ColumnType::Time => "times",
        ColumnType::Json => "JSON",
    }
}

fn phone(table: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Option<Kind> {
    let Some(code) = table.text("default_region", problems) else { return Some(Kind::Phone(None)) };
    let region = DefaultRegion::parse(&code);
    if region.is_none() {
        let message = format!("`{code}` is no country of the numbering plans");
        problems.push(MapProblem::new(
            table.line,
            &table.path("default_region"),
            message,
            "give two capital letters, e.g. US",
        ));
    }
    region.map(|region| Kind::Phone(Some(region)))
}

fn money_rule(
    table: &mut Table<'_>,
    business: Option<&'static BusinessTable>,
    problems: &mut Vec<MapProblem>,
) -> Option<Kind> {
    let line = table.line;
    let currency = match (table.text("currency", problems), table.text("currency_from", problems)) {
        (Some(code), None) => {
            let known = money::currency(&code);
            if known.is_none() {
                let remedy = "give a code of ISO 4217, e.g. USD";
                let message = format!("`{code}` is no currency");
                problems.push(MapProblem::new(line, &table.path("currency"), message, remedy));
            }
            known.map(CurrencyRule::Constant)
        }
        (None, Some(path)) => {
            let parsed = Path::parse(&path);
            if parsed.is_none() {
                let remedy = "write names with points between, e.g. properties.currency";
                problems.push(MapProblem::new(line, &table.path("currency_from"), "is no path", remedy));
            }
            parsed.map(CurrencyRule::From)
        }
        (None, None) | (Some(_), Some(_)) => {
            let remedy = "give `currency_from: path` or `currency: USD`, one of the two";
            problems.push(MapProblem::new(line, &table.path("currency"), "money needs its currency", remedy));
            None
        }
    };
    let unit = match table.text("unit", problems).as_deref() {
        None | Some("major") => Some(Unit::Major),
        Some("minor") => Some(Unit::Minor),
        Some(_) => {
            let remedy = "give major (12.50) or minor (1250)";
            problems.push(MapProblem::new(line, &table.path("unit"), "is no unit", remedy));
            None
        }
    };
    let to = table.text("currency_to", problems).unwrap_or_else(|| "currency".to_owned());
    let currency_to = business.and_then(|business| business.position(&to));
    if let Some(business) = business
        && currency_to.is_none_or(|index| business.columns[index].kind != ColumnType::Text)
    {
        let message = format!("{} has no text column `{to}` for the currency", business.name);
        let remedy = "name the column that takes the currency: an amount without one means nothing";
        problems.push(MapProblem::new(line, &table.path("currency_to"), message, remedy));
    }
    Some(Kind::Money(MoneyRule { currency: currency?, unit: unit?, currency_to }))
}

fn timestamp(table: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Option<Kind> {
    time_rule(table, problems).map(Kind::Timestamp)
}

/// Reads `formats` and `zone`, wherever a document says how a provider writes its times.
pub(crate) fn time_rule(table: &mut Table<'_>, problems: &mut Vec<MapProblem>) -> Option<TimeRule> {
    let line = table.line;
    let mut formats = Vec::new();
    for word in table.texts("formats", problems) {
        match TimeFormat::parse(&word) {
            Some(format) => formats.push(format),
            None => {
                let message = format!("`{word}` is no format of a time");
                let remedy = format!("use {}", TimeFormat::WORDS);
                problems.push(MapProblem::new(line, &table.path("formats"), message, remedy));
            }
        }
    }
    if formats.is_empty() {
        formats.push(TimeFormat::Rfc3339);
    }
    if formats.contains(&TimeFormat::EpochSeconds) && formats.contains(&TimeFormat::EpochMs) {
        let remedy = "keep one of the two: a number cannot tell which it is";
        problems.push(MapProblem::new(line, &table.path("formats"), "seconds and milliseconds together", remedy));
    }
    let zone = match table.text("zone", problems) {
        None => None,
        Some(name) => match name.parse() {
            Ok(zone) => Some(zone),
            Err(_) => {
                let remedy = "give UTC or a zone of the IANA list, e.g. Europe/Berlin";
                problems.push(MapProblem::new(line, &table.path("zone"), format!("`{name}` is no zone"), remedy));
                return None;
            }
        },
    };
    if zone.is_none() && formats.iter().any(TimeFormat::lacks_zone) {
        let remedy = "say in which zone the provider writes, e.g. zone: UTC";
        problems.push(MapProblem::new(line, &table.path("zone"), "is required: a format has no zone", remedy));
    }
    Some(TimeRule { formats, zone })
}

fn values(
    table: &mut Table<'_>,
    column: Option<&'static Column>,
    problems: &mut Vec<MapProblem>,
) -> HashMap<String, (usize, Option<String>)> {
    let pairs = table.pairs("values", problems);
    if pairs.is_empty() {
        let remedy = "list each of the provider's values with ours; there is no default";
        problems.push(MapProblem::new(table.line, &table.path("values"), "an enum needs its values", remedy));
    }
    let mut words = HashMap::new();
    for (theirs, ours) in pairs {
        let field = table.path(&format!("values.{theirs}"));
        let word = match (&ours.value, ours.scalar_text()) {
            (NodeValue::Null, _) => None,
            (_, Some(word)) => {
                if let Some(column) = column {
                    fits(&word, column, ours.line, &field, problems);
                }
                Some(word)
            }
            (_, None) => {
                let message = format!("a word is expected, this is {}", ours.kind());
                problems.push(MapProblem::new(ours.line, &field, message, "write one word of ours, or ~ for none"));
                None
            }
        };
        let place = words.len();
        words.insert(theirs.trim().to_owned(), (place, word));
    }
    words
}

/// Whether a fixed text may stand in a text column.
fn fits(text: &str, column: &Column, line: Option<u64>, field: &str, problems: &mut Vec<MapProblem>) {
    if !column.words.is_empty() && !column.words.contains(&text) {
        let message = format!("column `{}` does not take `{text}`", column.name);
        problems.push(MapProblem::new(line, field, message, format!("use one of: {}", column.words.join(", "))));
    } else if text.chars().count() > column.max_chars {
        let message = format!("is longer than column `{}` holds", column.name);
        problems.push(MapProblem::new(line, field, message, format!("use at most {} characters", column.max_chars)));
    }
}

/// Reads a fixed value for a column.
pub(super) fn constant(node: &Node, column: &Column, field: &str, problems: &mut Vec<MapProblem>) -> Option<Cell> {
    let cell = match (column.kind, &node.value) {
        (ColumnType::Text, _) => node.scalar_text().map(Cell::Text),
        (ColumnType::Integer, NodeValue::Number(number)) => number.as_i64().map(Cell::Integer),
        (ColumnType::Bool, NodeValue::Bool(truth)) => Some(Cell::Bool(*truth)),
        (ColumnType::Decimal, _) => {
            node.scalar_text().and_then(|text| money::decimal(&serde_json::Value::String(text)).ok()).map(Cell::Decimal)
        }
        (ColumnType::Time, NodeValue::Text(text)) => text.parse::<Timestamp>().ok().map(Cell::Time),
        (ColumnType::Json, _) => Some(Cell::Json(node.to_json().to_string())),
        (ColumnType::Integer | ColumnType::Bool | ColumnType::Time, _) => None,
    };
    match &cell {
        Some(Cell::Text(text)) => fits(text, column, node.line, field, problems),
        Some(Cell::Null | Cell::Integer(_) | Cell::Decimal(_) | Cell::Bool(_) | Cell::Time(_) | Cell::Json(_)) => {}
        None => {
            let message = format!("{} does not fit column `{}`", node.kind(), column.name);
            problems.push(MapProblem::new(node.line, field, message, format!("the column holds {}", of(column.kind))));
        }
    }
    cell
}

/// The rules for missing and for null: `required`, `on_missing`, `on_null`.
pub(super) fn absent(
    table: &mut Table<'_>,
    column: Option<&'static Column>,
    problems: &mut Vec<MapProblem>,
) -> (Absent, Absent) {
    let required = table.bool("required", problems) == Some(true);
    let mut rule = |key: &'static str| {
        let Some(node) = table.get(key) else { return if required { Absent::Fail } else { Absent::Null } };
        let field = table.path(key);
        let rule = match &node.value {
            NodeValue::Null => Some(Absent::Null),
            NodeValue::Text(word) if word == "null" => Some(Absent::Null),
            NodeValue::Text(word) if word == "fail" => Some(Absent::Fail),
            NodeValue::Table(_) => Table::open(node, &field, problems).and_then(|mut table| {
                let value = table.get("constant");
                table.finish(problems);
                // A constant that does not fit has been named already, and so has a column that is not there.
                let cell = column.zip(value).and_then(|(column, node)| constant(node, column, &field, problems));
                value.map(|_| cell.map_or(Absent::Null, Absent::Constant))
            }),
            NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) | NodeValue::List(_) => None,
        };
        match rule {
            Some(Absent::Fail) => Absent::Fail,
            Some(rule) => {
                if required {
                    let remedy = "leave one of the two out: required stands for `fail`";
                    problems.push(MapProblem::new(node.line, &field, "contradicts `required: true`", remedy));
                }
                rule
            }
            None => {
                let remedy = "give null, fail, or { constant: value }";
                problems.push(MapProblem::new(node.line, &field, "is no rule for an absent value", remedy));
                Absent::Null
            }
        }
    };
    let on_missing = rule("on_missing");
    (on_missing, rule("on_null"))
}

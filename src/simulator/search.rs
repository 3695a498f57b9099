//! The provider's search: groups of filters, one sort, at most 10,000 results.
//!
//! Owns the meaning of a search body. What is asked wrongly is refused as the provider refuses it, never guessed.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate};
use serde::Deserialize;
use serde_json::Value;

use super::{
    accounts::{Entry, ObjectKind},
    people,
};

/// Beyond this many results the provider answers 400.
pub(super) const MAX_RESULTS: usize = 10_000;
const MAX_LIMIT: usize = 200;
const MAX_GROUPS: usize = 5;
const MAX_FILTERS: usize = 6;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchBody {
    #[serde(default)]
    filter_groups: Vec<FilterGroup>,
    #[serde(default)]
    sorts: Vec<Sort>,
    #[serde(default)]
    pub(super) properties: Vec<String>,
    limit: Option<Value>,
    after: Option<Value>,
}

#[derive(Deserialize)]
struct FilterGroup {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    property_name: String,
    operator: Operator,
    value: Option<Value>,
    high_value: Option<Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Operator {
    Gte,
    Gt,
    Lt,
    Lte,
    Eq,
    Neq,
    Between,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sort {
    property_name: String,
    #[serde(default)]
    direction: Direction,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Direction {
    #[default]
    Ascending,
    Descending,
}

/// A property as it is compared.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Comparable {
    /// Milliseconds since 1970.
    Time(i64),
    Number(f64),
    Text(String),
}

/// A filter that was understood.
struct Condition {
    property: String,
    operator: Operator,
    value: Comparable,
    /// The upper end of `BETWEEN`.
    high: Option<Comparable>,
}

/// A search that was understood.
pub(super) struct Search {
    groups: Vec<Vec<Condition>>,
    sort: (String, Direction),
    pub(super) limit: usize,
    pub(super) offset: usize,
    kind: ObjectKind,
}

impl Search {
    /// Checks a body. The error is the provider's text of the refusal.
    pub(super) fn of(kind: ObjectKind, body: &SearchBody) -> Result<Self, String> {
        let limit = whole(body.limit.as_ref(), 10).filter(|limit| (1..=MAX_LIMIT).contains(limit));
        let limit = limit.ok_or_else(|| format!("The limit must be between 1 and {MAX_LIMIT}"))?;
        let offset = whole(body.after.as_ref(), 0).ok_or("The value of 'after' is not valid")?;
        if offset + limit > MAX_RESULTS {
            return Err(format!("Attempting to page beyond {MAX_RESULTS} results is not supported"));
        }
        if body.filter_groups.len() > MAX_GROUPS || body.sorts.len() > 1 {
            return Err(format!("At most {MAX_GROUPS} filterGroups and one sort are allowed"));
        }
        let mut groups = Vec::new();
        for group in &body.filter_groups {
            if group.filters.len() > MAX_FILTERS {
                return Err(format!("At most {MAX_FILTERS} filters are allowed in a group"));
            }
            groups.push(group.filters.iter().map(|f| understood(kind, f)).collect::<Result<Vec<_>, _>>()?);
        }
        let sort = body.sorts.first().map_or_else(
            || ("createdate".to_owned(), Direction::Ascending),
            |sort| (sort.property_name.clone(), sort.direction),
        );
        Ok(Self { groups, sort, limit, offset, kind })
    }

    /// Ids of all that match, in order. The whole answer; the caller cuts its page out of it.
    pub(super) fn run(&self, seed: u64, entries: &mut dyn Iterator<Item = (u64, &Entry)>) -> Vec<u64> {
        let mut found: Vec<(Option<Comparable>, u64)> = entries
            .filter(|(id, entry)| entry.archived_at.is_none() && self.matches(seed, *id, entry))
            .map(|(id, entry)| (property(self.kind, seed, id, entry, &self.sort.0), id))
            .collect();
        found.sort_by(|(a, a_id), (b, b_id)| {
            let order = a.partial_cmp(b).unwrap_or(Ordering::Equal);
            let order = if self.sort.1 == Direction::Descending { order.reverse() } else { order };
            order.then(a_id.cmp(b_id))
        });
        found.into_iter().map(|(_, id)| id).collect()
    }

    fn matches(&self, seed: u64, id: u64, entry: &Entry) -> bool {
        let holds = |condition: &Condition| {
            let value = &condition.value;
            let Some(found) = property(self.kind, seed, id, entry, &condition.property) else { return false };
            match condition.operator {
                Operator::Gte => found >= *value,
                Operator::Gt => found > *value,
                Operator::Lt => found < *value,
                Operator::Lte => found <= *value,
                Operator::Eq => found == *value,
                Operator::Neq => found != *value,
                Operator::Between => found >= *value && condition.high.as_ref().is_some_and(|high| found <= *high),
            }
        };
        self.groups.is_empty() || self.groups.iter().any(|filters| filters.iter().all(holds))
    }
}

fn understood(kind: ObjectKind, filter: &Filter) -> Result<Condition, String> {
    let name = &filter.property_name;
    let read = |value: &Option<Value>| value.as_ref().and_then(|value| comparable(kind, name, &plain(value)));
    let value = read(&filter.value).ok_or_else(|| format!("The filter on {name} has no usable value"))?;
    let high = read(&filter.high_value);
    if filter.operator == Operator::Between && high.is_none() {
        return Err(format!("The filter on {name} needs a highValue"));
    }
    Ok(Condition { property: name.clone(), operator: filter.operator, value, high })
}

/// A property of a record, for comparing. Times come from the entry itself, so that a record whose text is spoilt is still found.
fn property(kind: ObjectKind, seed: u64, id: u64, entry: &Entry, name: &str) -> Option<Comparable> {
    if name == kind.modified_property() {
        return Some(Comparable::Time(entry.modified.micros() / 1_000));
    }
    if name == "createdate" {
        return Some(Comparable::Time(entry.created.micros() / 1_000));
    }
    if name == "hs_object_id" {
        return Some(Comparable::Number(id as f64));
    }
    let record = people::record(kind, seed, id, entry, &people::Fields::All);
    comparable(kind, name, record.get("properties")?.get(name)?.as_str()?)
}

fn comparable(kind: ObjectKind, name: &str, text: &str) -> Option<Comparable> {
    match name {
        "createdate" | "closedate" => time_ms(text).map(Comparable::Time),
        "hs_object_id" | "amount" => text.parse().ok().map(Comparable::Number),
        _ if name == kind.modified_property() => time_ms(text).map(Comparable::Time),
        _ => Some(Comparable::Text(text.to_owned())),
    }
}

/// Milliseconds since 1970, an instant, or a day.
fn time_ms(text: &str) -> Option<i64> {
    if let Ok(millis) = text.parse() {
        return Some(millis);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_millis());
    }
    let day = text.parse::<NaiveDate>().ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

/// Numbers may come as numbers or as text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn whole(value: Option<&Value>, missing: usize) -> Option<usize> {
    value.map_or(Some(missing), |value| plain(value).parse().ok())
}

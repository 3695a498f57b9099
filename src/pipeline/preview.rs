//! Preview: shows what a pull would write, and writes nothing.
//!
//! Owns the dry walk over pull, stage and map. Refuses any store call that writes.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::stage::{self, Content, Payload, RepeatWindow};
use crate::{
    connector::{Connector, ConnectorError, PullRequest, TrafficMeter},
    domain::{
        business::ColumnType,
        clock::{Clock, Timestamp},
        record::Cell,
        status::SyncMode,
    },
    mapping::{FieldMap, Mapped},
    telemetry::redact::{is_secret_name, without_fields},
};

/// Pages asked for at most: a stream of empty pages must end too.
const MAX_PAGES: usize = 20;

/// One record as it would be written.
#[derive(Debug, Serialize, PartialEq)]
pub struct Previewed {
    pub external_id: String,
    /// `record`, `ignored` or `failed`.
    pub outcome: &'static str,
    /// The mapped columns, or the reason, or what could not be mapped.
    pub detail: Value,
    /// The record as it came, less values that its names call secrets; null where it could not be read.
    pub raw: Value,
    /// Fields that no rule of the map reads or names.
    pub unmapped: Vec<String>,
}

/// What a preview shows of a stream.
#[derive(Debug, PartialEq)]
pub struct Preview {
    pub records: Vec<Previewed>,
    /// The only page had just as many records as were asked for, and nothing led on from it.
    pub full_and_last: bool,
    /// What was asked for, a line for each request, without secrets and headers.
    pub asked: Vec<String>,
}

/// Reads up to `count` records of a stream and maps them, for a connection of that account at the provider.
///
/// # Errors
/// Those of the connector.
pub async fn preview(
    connector: &dyn Connector,
    map: Option<&FieldMap>,
    account: &str,
    clock: &Arc<dyn Clock>,
    stream: &str,
    count: usize,
) -> Result<Preview, ConnectorError> {
    let traffic = Arc::new(TrafficMeter::keeping_requests());
    let mut request = PullRequest {
        stream: stream.to_owned(),
        mode: SyncMode::FullRefresh,
        cursor: None,
        position: None,
        started_at: clock.now(),
        limit: Some(count),
        traffic: Arc::clone(&traffic),
    };
    let mut records = Vec::new();
    let mut full_and_last = false;
    'pages: for number in 0..MAX_PAGES {
        let page = connector.pull(&request).await?;
        full_and_last = number == 0 && page.items.len() == count && page.next.is_none();
        for item in stage::stage(page.items, &mut RepeatWindow::default()) {
            if records.len() == count {
                break 'pages;
            }
            records.push(one(item, map, account, stream));
        }
        match page.next {
            Some(next) if records.len() < count => request.position = Some(next),
            _ => break,
        }
    }
    Ok(Preview { records, full_and_last, asked: traffic.asked() })
}

fn one(item: stage::Staged, map: Option<&FieldMap>, account: &str, stream: &str) -> Previewed {
    let external_id = item.external_id;
    let (mut raw, mut unmapped) = (Value::Null, Vec::new());
    let mut seen = |value: &Value| {
        raw = without_secrets(value);
        if let Some(map) = map {
            map.unmapped(value, &mut |name| unmapped.push(name.to_owned()));
        }
    };
    let (outcome, detail) = match item.content {
        Content::Broken { reason, .. } => ("failed", json!(reason)),
        Content::NoId(_) => ("failed", json!("the record has no primary key")),
        Content::Record(payload) => match (payload, map) {
            (Payload::Mapped(ready), _) => {
                serde_json::from_str(&ready.text).iter().for_each(&mut seen);
                told(ready.mapped)
            }
            (Payload::Parsed(value), map) => {
                seen(&value);
                map.map_or_else(
                    || ("ignored", json!(format!("no field map for stream '{stream}'"))),
                    |map| told(map.apply_for(account, &value)),
                )
            }
        },
    };
    Previewed { external_id, outcome, detail, raw, unmapped }
}

/// A record with the values left out that its names call secrets.
fn without_secrets(value: &Value) -> Value {
    without_fields(value, "(not shown)", &|name, value| is_secret_name(name) && !value.is_null())
}

/// What is to be seen in previewed records before a run writes any: a line for each thing that a person should know.
pub fn looked_at(preview: &Preview, map: Option<&FieldMap>, now: Timestamp) -> Vec<String> {
    let shown = &preview.records;
    let of = |outcome: &str| shown.iter().filter(|record| record.outcome == outcome).count();
    let mut lines = vec![format!("{} mapped, {} ignored, {} failed", of("record"), of("ignored"), of("failed"))];
    if preview.full_and_last {
        lines.push(
            "as many records came as were asked for, and no page follows: if the provider has more, `paginator` looks for it in the wrong place"
                .to_owned(),
        );
    }
    let ids: HashSet<&str> = shown.iter().map(|record| record.external_id.as_str()).collect();
    if ids.len() < shown.len() {
        lines.push(format!(
            "{} records have an id that another one has: is primary_key right?",
            shown.len() - ids.len()
        ));
    }
    let mut unmapped: BTreeMap<&str, usize> = BTreeMap::new();
    for name in shown.iter().flat_map(|record| &record.unmapped) {
        *unmapped.entry(name).or_default() += 1;
    }
    if !unmapped.is_empty() {
        let names: Vec<_> = unmapped.iter().map(|(name, times)| format!("{name} ({times})")).collect();
        lines.push(format!("mapped nowhere: {}; map them, or list them under `unmapped`", names.join(", ")));
    }
    let rows: Vec<&Map<String, Value>> = shown.iter().filter_map(|record| record.detail.as_object()).collect();
    if let Some(map) = map.filter(|_| !rows.is_empty()) {
        let empty = |to: &String| rows.iter().all(|row| row.get(to).is_none_or(Value::is_null));
        let fields: Vec<String> = map.slot_fields().into_iter().map(|field| field.to).filter(|to| empty(to)).collect();
        if !fields.is_empty() {
            lines.push(format!("mapped and empty in all of them: {}; is `from` right?", fields.join(", ")));
        }
        for column in map.table.columns.iter().filter(|column| column.kind == ColumnType::Time) {
            let later = |row: &&&Map<String, Value>| {
                row.get(column.name)
                    .and_then(Value::as_str)
                    .and_then(|at| at.parse::<Timestamp>().ok())
                    .is_some_and(|at| at > now)
            };
            let count = rows.iter().filter(later).count();
            if count > 0 {
                lines.push(format!("{} lies in the future in {count}: is the zone right?", column.name));
            }
        }
        let currencies: BTreeSet<&str> = rows.iter().filter_map(|row| row.get("currency")?.as_str()).collect();
        if currencies.len() > 1 {
            let all: Vec<&str> = currencies.into_iter().collect();
            lines.push(format!("amounts in {}: sums never mix currencies", all.join(", ")));
        }
    }
    lines
}

/// The outcome's word, and its columns or its reason.
fn told(mapped: Mapped) -> (&'static str, Value) {
    match mapped {
        Mapped::Ignored { reason } => ("ignored", json!(reason)),
        Mapped::OtherAccount { field } => {
            ("failed", json!(format!("{field}: names another account than the connection's")))
        }
        Mapped::Failed(errors) => {
            let lines: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
            ("failed", json!(lines.join("; ")))
        }
        Mapped::Record(row) => {
            let columns: Map<String, Value> = row
                .table
                .columns
                .iter()
                .zip(&row.cells)
                .map(|(column, cell)| (column.name.to_owned(), shown_cell(cell)))
                .collect();
            ("record", Value::Object(columns))
        }
    }
}

fn shown_cell(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) | Cell::Json(text) => json!(text),
        Cell::Integer(number) => json!(number),
        Cell::Decimal(number) => json!(number.to_string()),
        Cell::Bool(truth) => json!(truth),
        Cell::Time(at) => json!(at.to_iso()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connector::{Identity, Page, StreamSpec, http::testing::ManualClock},
        domain::{
            cursor::Position,
            record::{BrokenItem, Item},
        },
    };

    fn shown(id: &str, outcome: &'static str, detail: Value, unmapped: &[&str]) -> Previewed {
        let unmapped = unmapped.iter().map(|name| (*name).to_owned()).collect();
        Previewed { external_id: id.to_owned(), outcome, detail, raw: Value::Null, unmapped }
    }

    #[test]
    fn what_a_person_should_know_before_a_run_is_told() {
        let map = "version: '1'\nstream: deals\nobject_type: deal\ntable: crm_lead_events\nfields:\n  \
                   - { to: title, label: Title, type: text, from: title }\n  - { to: owner, label: Owner, type: text, from: owner }\n";
        let map = FieldMap::parse("acme", "deals.yaml", map).unwrap();
        let now: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        let row = |currency: &str, at: &str| json!({"title": "a roof", "owner": null, "currency": currency, "occurred_at": at});
        let records = [
            shown("1", "record", row("USD", "2026-01-01T00:00:00.000000Z"), &["tags"]),
            shown("1", "record", row("EUR", "2027-01-01T00:00:00.000000Z"), &["tags", "notes"]),
            shown("2", "failed", json!("stage: no word"), &[]),
        ];
        let mut preview = Preview { records: records.into(), full_and_last: true, asked: Vec::new() };
        assert_eq!(
            looked_at(&preview, Some(&map), now),
            [
                "2 mapped, 0 ignored, 1 failed",
                "as many records came as were asked for, and no page follows: if the provider has more, `paginator` looks for it in the wrong place",
                "1 records have an id that another one has: is primary_key right?",
                "mapped nowhere: notes (1), tags (2); map them, or list them under `unmapped`",
                "mapped and empty in all of them: owner; is `from` right?",
                "occurred_at lies in the future in 1: is the zone right?",
                "amounts in EUR, USD: sums never mix currencies",
            ]
        );
        preview = Preview { records: preview.records.split_off(2), full_and_last: false, asked: Vec::new() };
        assert_eq!(looked_at(&preview, None, now), ["0 mapped, 0 ignored, 1 failed"]);
    }

    /// Gives one page with so many items, and leads on or not.
    struct Given(usize, bool);

    #[async_trait::async_trait]
    impl Connector for Given {
        fn streams(&self) -> &[StreamSpec] {
            &[]
        }

        async fn check(&self, _: Arc<TrafficMeter>) -> Result<Identity, ConnectorError> {
            Ok(Identity { account_id: None, detail: String::new() })
        }

        async fn pull(&self, request: &PullRequest) -> Result<Page, ConnectorError> {
            let item = |at: usize| {
                Item::Broken(BrokenItem { place: format!("item {at}"), text: String::new(), reason: "x".to_owned() })
            };
            Ok(Page {
                items: (0..self.0).map(item).collect(),
                next: (self.1 && request.position.is_none()).then(|| Position(json!(2))),
                resumable: false,
                cursor: None,
                window: None,
                provider_total: None,
                story: String::new(),
            })
        }
    }

    #[tokio::test]
    async fn only_a_full_page_that_leads_on_to_none_is_told_as_one() {
        let clock: Arc<dyn Clock> = ManualClock::at("2026-02-01T00:00:00Z");
        for (items, leads_on, expected) in [(3, false, true), (3, true, false), (2, false, false), (4, false, false)] {
            let preview = preview(&Given(items, leads_on), None, "1", &clock, "things", 3).await.unwrap();
            assert_eq!(preview.full_and_last, expected, "{items} items, {leads_on}");
            assert_eq!(preview.records.len(), items.min(3));
        }
    }

    #[test]
    fn a_record_is_shown_without_what_its_names_call_secrets() {
        let record =
            json!({"id": 1, "API_Key": "hush", "inner": [{"password": "hush", "refresh_token": null, "name": "Ada"}]});
        let expected = json!({"id": 1, "API_Key": "(not shown)", "inner": [{"password": "(not shown)", "refresh_token": null, "name": "Ada"}]});
        assert_eq!(without_secrets(&record), expected);
    }
}

//! Preview: shows what a pull would write, and writes nothing.
//!
//! Owns the dry walk over pull, stage and map. Refuses any store call that writes.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::stage::{self, Content, Payload, RepeatWindow};
use crate::{
    connector::{Connector, ConnectorError, PullRequest, TrafficMeter},
    domain::{clock::Clock, record::Cell, status::SyncMode},
    mapping::{FieldMap, Mapped},
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
) -> Result<Vec<Previewed>, ConnectorError> {
    let mut request = PullRequest {
        stream: stream.to_owned(),
        mode: SyncMode::FullRefresh,
        cursor: None,
        position: None,
        started_at: clock.now(),
        limit: Some(count),
        traffic: Arc::new(TrafficMeter::default()),
    };
    let mut shown = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = connector.pull(&request).await?;
        for item in stage::stage(page.items, &mut RepeatWindow::default()) {
            if shown.len() == count {
                return Ok(shown);
            }
            shown.push(one(item, map, account, stream));
        }
        match page.next {
            Some(next) if shown.len() < count => request.position = Some(next),
            _ => break,
        }
    }
    Ok(shown)
}

fn one(item: stage::Staged, map: Option<&FieldMap>, account: &str, stream: &str) -> Previewed {
    let external_id = item.external_id;
    let (outcome, detail) = match item.content {
        Content::Broken { reason, .. } => ("failed", json!(reason)),
        Content::NoId(_) => ("failed", json!("the record has no primary key")),
        Content::Record(payload) => match (payload, map) {
            (Payload::Mapped(ready), _) => told(ready.mapped),
            (Payload::Parsed(value), Some(map)) => told(map.apply_for(account, &value)),
            (Payload::Parsed(_), None) => ("ignored", json!(format!("no field map for stream '{stream}'"))),
        },
    };
    Previewed { external_id, outcome, detail }
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

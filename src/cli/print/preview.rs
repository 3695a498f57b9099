//! What a pull would write, shown before anything is written.
//!
//! Owns the layout of `tidegate connection preview`.

use serde_json::Value;

use super::{
    View,
    table::{Grid, text},
    words::{cut, plain},
};
use crate::pipeline::preview::Previewed;

/// Longest value shown.
const VALUE_CHARS: usize = 80;

/// The previewed records of a stream: for each its id, its outcome, and its filled columns.
pub fn previewed(view: &View, stream: &str, shown: &[Previewed]) -> String {
    let mut grid = Grid::new(view, &[text("id"), text("outcome"), text("column"), text("value")]);
    for record in shown {
        let id = if record.external_id.is_empty() { "(none)".to_owned() } else { plain(&record.external_id) };
        match &record.detail {
            Value::Object(columns) => {
                let mut first = true;
                for (name, value) in columns.iter().filter(|(_, value)| !value.is_null()) {
                    let head = |t: &str| if first { t.to_owned() } else { String::new() };
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    grid.row([head(&id), head(record.outcome), name.clone(), cut(&plain(&value), VALUE_CHARS)]);
                    first = false;
                }
            }
            other => {
                let reason = other.as_str().unwrap_or_default();
                grid.row([id, record.outcome.to_owned(), String::new(), plain(reason)]);
            }
        }
    }
    format!("{stream}: {} records\n{}\n", shown.len(), grid.text())
}

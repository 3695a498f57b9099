//! What a pull would write, shown before anything is written.
//!
//! Owns the layout of `tidegate connection preview`: the mapped columns of each record, records as they came, and what is to be seen in
//! all of them.

use serde_json::Value;

use super::{
    View,
    table::{Grid, text},
    words::{count_of, cut, plain},
};
use crate::pipeline::preview::Previewed;

/// Longest value shown.
const VALUE_CHARS: usize = 80;

/// Longest record that is shown as it came, in lines.
const RAW_LINES: usize = 60;

/// The previewed records of a stream: for each its id, its outcome, and its filled columns; then the first as it came, or `all`.
pub fn previewed(view: &View, stream: &str, shown: &[Previewed], all: bool) -> String {
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
    let raw: String =
        shown.iter().filter(|one| !one.raw.is_null()).take(if all { shown.len() } else { 1 }).map(as_it_came).collect();
    format!(
        "{stream}: {}\n{}\n{raw}",
        count_of(i64::try_from(shown.len()).unwrap_or(i64::MAX), "record", "records"),
        grid.text()
    )
}

fn as_it_came(record: &Previewed) -> String {
    let text = serde_json::to_string_pretty(&record.raw).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown: String = lines.iter().take(RAW_LINES).map(|line| format!("  {}\n", plain(line))).collect();
    let rest = lines.len().saturating_sub(RAW_LINES);
    let rest = if rest > 0 { format!("  … and {rest} lines more: --json has them\n") } else { String::new() };
    format!("{} as it came\n{shown}{rest}\n", plain(&record.external_id))
}

/// What was asked for.
pub fn asked(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("  {}\n", plain(line))).collect();
    format!("asked\n{lines}\n")
}

/// What is to be seen in the records of a stream.
pub fn looked(lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("  - {}\n", plain(line))).collect();
    format!("looked at\n{lines}\n")
}

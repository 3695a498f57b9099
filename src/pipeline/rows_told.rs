//! Failures of a file's rows, as a person who has the file reads them: file, line, column, remedy.
//!
//! Owns the texts. Refuses to repeat a value (P18): what stands in the cell is in the file.

use std::collections::HashMap;

use serde::Serialize;

use super::stage::{Content, Payload, Staged};
use crate::{
    connector::file::{Note, import::ImportFile},
    mapping::{FieldError, FieldMap, Mapped},
    store::page::PageWrites,
};

/// A row that failed, as a person who has the file reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowError {
    pub line: u64,
    pub code: String,
    pub message: String,
    pub remedy: String,
}

/// What a failure is told with.
pub(super) struct Telling<'a> {
    pub file: &'a ImportFile,
    pub map: &'a FieldMap,
    pub account: &'a str,
}

/// Tells each failure by file, line and column. Gives them in the order of the page.
pub(super) fn tell(with: &Telling<'_>, staged: &[Staged], notes: &[Note], writes: &mut PageWrites) -> Vec<RowError> {
    if writes.dead_letters.is_empty() {
        return Vec::new();
    }
    // Failures stand in the order of their items, and one that stands twice was written for the first.
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for (at, item) in staged.iter().enumerate().rev() {
        places.insert((&item.external_id, &item.payload_hash), at);
    }
    let mut told = Vec::new();
    for letter in &mut writes.dead_letters {
        let place = places.get(&(letter.external_id.as_str(), letter.payload_hash.as_str()));
        let Some((item, note)) = place.and_then(|&at| staged.get(at).zip(notes.get(at))) else { continue };
        let (what, remedy) = with.of(item, note, &letter.error_code);
        letter.message_internal = format!("{} line {}{what}", with.file.name, note.line);
        if let Some(remedy) = remedy {
            letter.remedy = remedy.to_owned();
        }
        told.push(RowError {
            line: note.line,
            code: letter.error_code.clone(),
            message: letter.message_internal.clone(),
            remedy: letter.remedy.clone(),
        });
    }
    told
}

const MEND_ROW: &str = "mend the line and import the file again, or discard the dead letter with a reason";
const MEND_BYTES: &str =
    "say how the file is written with --encoding (windows-1252, utf-16le), or mend the line, and import it again";
const MEND_VALUE: &str = "mend these columns of the line and import the file again; or mend the field map under a new version, then: tidegate errors retry";

impl Telling<'_> {
    /// What follows the line's number, and what to do.
    fn of(&self, item: &Staged, note: &Note, code: &str) -> (String, Option<&'static str>) {
        let columns = &self.file.columns;
        match &item.content {
            Content::Broken { reason, .. } => {
                let offset = note.offset.map_or_else(String::new, |offset| format!(", byte {offset}"));
                let column = note.field.and_then(|at| columns.name(at));
                let column = column.map_or_else(String::new, |name| format!(", column \"{name}\""));
                let remedy = if note.offset.is_some() { MEND_BYTES } else { MEND_ROW };
                (format!("{offset}{column}: {reason}"), Some(remedy))
            }
            Content::NoId(_) => {
                let what =
                    format!(", {}: the primary key is empty, or no plain text or number", listed(&columns.key_names()));
                (
                    what,
                    Some("give the row its own id and import the file again, or discard the dead letter with a reason"),
                )
            }
            Content::Record(payload) => {
                let mapped = match payload {
                    Payload::Mapped(ready) => ready.mapped.clone(),
                    Payload::Parsed(value) => self.map.apply_for(self.account, value),
                };
                match mapped {
                    Mapped::Failed(errors) => {
                        let errors: Vec<String> = errors.iter().map(|error| self.field(error)).collect();
                        (format!(", {}", errors.join("; ")), Some(MEND_VALUE))
                    }
                    Mapped::OtherAccount { field } => {
                        let behind = columns.behind(&field);
                        let names = if behind.is_empty() { format!("field {field}") } else { listed(&behind) };
                        (format!(", {names}: names another account than the connection's provider_account_id"), None)
                    }
                    Mapped::Record(_) | Mapped::Ignored { .. } => (format!(": {code}"), None),
                }
            }
        }
    }

    fn field(&self, error: &FieldError) -> String {
        let behind = self.file.columns.behind(&error.field);
        if behind.is_empty() {
            let label = self.file.columns.label(&error.field);
            return format!("field \"{label}\" ({}): {}", error.field, error.message);
        }
        format!("{}: {}", listed(&behind), error.message)
    }
}

/// `column "A"` or `columns "A", "B"`.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{} {}", if names.len() == 1 { "column" } else { "columns" }, quoted.join(", "))
}

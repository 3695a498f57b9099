//! Field maps: how a provider's object becomes one of our rows.

use serde_json::Value;

use crate::domain::{business::BusinessTable, record::MappedRow};

/// A compiled field map: one stream of one provider, one version.
#[derive(Debug)]
pub struct FieldMap {
    pub provider_key: String,
    pub stream: String,
    pub version: String,
    /// SHA-256 of the document.
    pub checksum: String,
    /// The document as it stands in the file.
    pub document: String,
    pub object_type: String,
    pub table: &'static BusinessTable,
}

/// What became of a payload.
#[derive(Debug, PartialEq)]
pub enum Mapped {
    Record(MappedRow),
    /// Left out by a rule of the map.
    Ignored {
        reason: String,
    },
    /// At least one field could not be mapped.
    Failed(Vec<FieldError>),
}

/// One field that could not be mapped. Never holds the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The source field, e.g. `properties.amount`.
    pub field: String,
    /// A stable word, e.g. `unknown_enum`, `missing_required`, `not_a_phone`.
    pub code: &'static str,
    /// For operators, without the value: what was expected.
    pub message: String,
}

/// Something that stops a field map from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapProblem {
    pub line: Option<u64>,
    pub field: String,
    pub message: String,
    pub remedy: String,
}

impl FieldMap {
    /// Compiles a document.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(_provider_key: &str, _file_name: &str, _text: &str) -> Result<Self, Vec<MapProblem>> {
        Err(Vec::new())
    }

    /// Maps one payload. A pure function: the same payload through the same version gives the same row.
    pub fn apply(&self, _payload: &Value) -> Mapped {
        Mapped::Failed(Vec::new())
    }

    /// Names of the payload's fields that the map does not use, e.g. `properties.notes`, each handed to `each`.
    pub fn unmapped(&self, _payload: &Value, _each: &mut dyn FnMut(&str)) {}
}

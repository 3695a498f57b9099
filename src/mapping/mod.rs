//! Field maps: how a provider's object becomes one of our rows.
//!
//! Owns the file `connectors/<provider>/mappings/<stream>.yaml`: [`FieldMap::parse`] finds everything that is wrong
//! with it at once, [`FieldMap::apply`] is a pure function that is fast enough to be no step of its own. Refuses to guess:
//! an unknown enum value, unit or currency is a failed field, never a default. No reason for a failure holds a value (P18).
//!
//! ```yaml
//! version: "1"
//! stream: contacts
//! object_type: contact
//! table: crm_leads
//! constants: { contact_method: form }      # the same for each record
//! fields:
//!   - to: contact_name                     # our column, once in a map
//!     label: Name                          # what a person reads
//!     type: text                           # email phone money timestamp enum text integer decimal bool json
//!     from: [properties.firstname, properties.lastname]   # the first that is not empty,
//!     join: " "                                           # or, with join (text only), all that are not empty
//!   - { to: email, label: E-mail, type: email, from: properties.email, required: true }
//!   - { to: phone, label: Phone, type: phone, from: properties.phone, default_region: US }
//!   - { to: received_at, label: Received, type: timestamp, from: created, formats: [datetime], zone: Europe/Berlin }
//!   - { to: stage, label: Stage, type: enum, from: properties.stage, values: { open: open, done: won, unused: ~ } }
//!   - { to: consent, label: Consent, type: enum, from: consent, values: { "yes": granted }, on_missing: { constant: unknown } }
//!   # several words in one text: all must be known, the one that `values` lists first is taken
//!   - { to: urgency, label: Urgency, type: enum, from: tags, separator: ";", values: { urgent: high, normal: ~ } }
//!   # money: currency_from or currency; unit: major (default) or minor; the code goes to currency_to (default: `currency`)
//!   - { to: projected_amount, label: Value, type: money, from: amount, currency_from: currency, currency_to: currency }
//! account: { from: portalId }               # a record that names another account than the connection's is a dead letter
//! ignore_when:
//!   - { field: properties.email, matches: "@example\\.test$", reason: our own test address }
//! unmapped: [id, properties.hs_*]          # known and left out: not counted as unmapped
//! ```
//! `required: true` stands for `on_missing: fail` and `on_null: fail`; the default of both is `null`. A blank text counts as null.

mod coerce;
mod compile;
mod coverage;
mod ignore;
mod money;
mod options;
mod path;
mod phone;
pub mod slots;
#[cfg(test)]
mod tests;
mod time;

use serde_json::Value;

use self::{
    coerce::{Fault, Kind},
    coverage::Coverage,
    ignore::IgnoreRule,
};
pub(crate) use self::{
    options::time_rule,
    path::{Found, Path},
    time::TimeRule,
};
use crate::domain::{
    business::BusinessTable,
    record::{Cell, MappedRow, text_hash},
};
pub use crate::yaml::Problem as MapProblem;

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
    /// What is mapped, for people, in the order of the file.
    pub notes: Vec<FieldNote>,
    plan: Plan,
}

/// One field of a map, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldNote {
    pub label: String,
    /// Source paths; empty for a constant.
    pub from: Vec<String>,
    pub to: String,
    /// The type's word in the map, or `constant`.
    pub kind: String,
}

/// What became of a payload.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    Record(MappedRow),
    /// Left out by a rule of the map.
    Ignored {
        reason: String,
    },
    /// The payload names another account of the provider than the connection's. `field` is where.
    OtherAccount {
        field: String,
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

/// What [`FieldMap::apply`] walks through: everything looked up and checked at load.
#[derive(Debug)]
struct Plan {
    /// Where a payload names the provider's account that it belongs to.
    account: Option<Path>,
    fields: Vec<Field>,
    /// A row with the constants in it.
    blank: Vec<Cell>,
    ignore: Vec<IgnoreRule>,
    coverage: Coverage,
}

#[derive(Debug)]
struct Field {
    /// Position in the table's columns.
    column: usize,
    max_chars: usize,
    from: Vec<Path>,
    join: Option<String>,
    kind: Kind,
    on_missing: Absent,
    on_null: Absent,
}

/// What stands for a value that is not there.
#[derive(Debug, Clone, PartialEq)]
enum Absent {
    Null,
    Fail,
    Constant(Cell),
}

const MISSING: Fault = Fault::new("missing_required", "the field is required and is missing");
const NULL: Fault = Fault::new("null_required", "the field is required and is empty");
const TWO_CURRENCIES: Fault = Fault::new("currency_conflict", "all amounts of a record are expected in one currency");

impl FieldMap {
    /// The columns that its fields and constants fill.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(|note| note.to.as_str())
    }

    /// Reads and checks a field map. `file_name` is the file's name with or without folders; its stem must be the stream.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file; for YAML that cannot be read, the one place.
    pub fn parse(provider_key: &str, file_name: &str, text: &str) -> Result<Self, Vec<MapProblem>> {
        compile::compile(provider_key, file_name, text)
    }

    /// As [`FieldMap::apply`], for a connection of that account at the provider: a payload that names another one is not mapped,
    /// whatever else it says (P15). A payload that names none is mapped.
    pub fn apply_for(&self, account: &str, payload: &Value) -> Mapped {
        match &self.plan.account {
            Some(path) if names_another(path.find(payload), account) => {
                Mapped::OtherAccount { field: path.text.clone() }
            }
            Some(_) | None => self.apply(payload),
        }
    }

    /// Maps one payload. A pure function: the same payload through the same version gives the same row.
    pub fn apply(&self, payload: &Value) -> Mapped {
        if let Some(rule) = self.plan.ignore.iter().find(|rule| rule.holds(payload)) {
            return Mapped::Ignored { reason: rule.reason.clone() };
        }
        let mut cells = self.plan.blank.clone();
        let mut errors = Vec::new();
        for field in &self.plan.fields {
            if let Err(fault) = field.fill(payload, &mut cells) {
                let field = field.from.first().map_or_else(String::new, |path| path.text.clone());
                errors.push(FieldError { field, code: fault.code, message: fault.expected.to_owned() });
            }
        }
        if errors.is_empty() { Mapped::Record(MappedRow { table: self.table, cells }) } else { Mapped::Failed(errors) }
    }

    /// Names of the payload's fields that the map does not use, e.g. `properties.notes`, each handed to `each`.
    pub fn unmapped(&self, payload: &Value, each: &mut dyn FnMut(&str)) {
        self.plan.coverage.unknown(payload, each);
    }

    /// Groups alike failures: the same code at the same field of the same version of this map.
    pub fn fingerprint(&self, error: &FieldError) -> String {
        text_hash(&[&self.provider_key, &self.stream, &self.version, error.code, &error.field].map(escaped).join("|"))
    }
}

/// A list or an object names no account of ours either.
fn names_another(found: Found<'_>, account: &str) -> bool {
    match found {
        Found::Missing | Found::Empty => false,
        Found::Value(Value::String(text)) => text.trim() != account.trim(),
        Found::Value(Value::Number(number)) => number.to_string() != account.trim(),
        Found::Value(_) => true,
    }
}

/// Parts of a key must not run into each other.
fn escaped(part: &str) -> String {
    part.replace('\\', "\\\\").replace('|', "\\|")
}

impl Field {
    fn fill(&self, payload: &Value, cells: &mut [Cell]) -> Result<(), Fault> {
        let cell = match (self.first(payload), &self.join) {
            (Found::Missing, _) => self.on_missing.cell(MISSING)?,
            (Found::Empty, _) => self.on_null.cell(NULL)?,
            (Found::Value(_), Some(separator)) => {
                let values = self.from.iter().filter_map(|path| match path.find(payload) {
                    Found::Value(value) => Some(value),
                    Found::Missing | Found::Empty => None,
                });
                coerce::joined(values, separator, self.max_chars)?
            }
            (Found::Value(value), None) => {
                let (cell, currency) = self.kind.read(value, payload, self.max_chars)?;
                if let (Kind::Money(rule), Some(currency)) = (&self.kind, currency)
                    && let Some(column) = rule.currency_to
                {
                    set_currency(&mut cells[column], currency)?;
                }
                if cell == Cell::Null { self.on_null.cell(NULL)? } else { cell }
            }
        };
        cells[self.column] = cell;
        Ok(())
    }

    /// The first source that holds something; otherwise empty when any of them is there.
    fn first<'v>(&self, payload: &'v Value) -> Found<'v> {
        let mut found = Found::Missing;
        for path in &self.from {
            match path.find(payload) {
                Found::Missing => {}
                Found::Empty => found = Found::Empty,
                value @ Found::Value(_) => return value,
            }
        }
        found
    }
}

impl Absent {
    fn cell(&self, fault: Fault) -> Result<Cell, Fault> {
        match self {
            Self::Null => Ok(Cell::Null),
            Self::Fail => Err(fault),
            Self::Constant(cell) => Ok(cell.clone()),
        }
    }
}

fn set_currency(cell: &mut Cell, currency: &str) -> Result<(), Fault> {
    match cell {
        Cell::Text(known) if known == currency => Ok(()),
        Cell::Null => {
            *cell = Cell::Text(currency.to_owned());
            Ok(())
        }
        Cell::Text(_) | Cell::Integer(_) | Cell::Decimal(_) | Cell::Bool(_) | Cell::Time(_) | Cell::Json(_) => {
            Err(TWO_CURRENCIES)
        }
    }
}

//! The way back: where in a payload a map reads its fields, for files whose columns carry the fields' names.
//!
//! Owns which places a map knows and how a payload is built with values at such places. Refuses to match names: how a column is
//! called is the file's business.

use serde_json::{Map, Value};

use super::{
    Absent, FieldMap,
    coerce::Kind,
    money::CurrencyRule,
    path::{Path, Segment},
};

/// A place in a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// As the map writes it, e.g. `properties.email`.
    pub text: String,
    /// The names on the way, e.g. `properties`, `email`.
    pub names: Vec<String>,
}

impl Slot {
    fn of(path: &Path) -> Self {
        let name = |segment: &Segment| segment.name.clone();
        Self { text: path.text.clone(), names: path.segments.iter().map(name).collect() }
    }
}

/// A field of a map with the places that it is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotField {
    /// What a person reads.
    pub label: String,
    /// Our column.
    pub to: String,
    /// In the order in which they are tried; errors of the field name the first.
    pub from: Vec<Slot>,
    /// A record without any of the places fails.
    pub required: bool,
}

impl FieldMap {
    /// The mapped fields, in the order of the map.
    pub fn slot_fields(&self) -> Vec<SlotField> {
        let fields = self.plan.fields.iter().map(|field| {
            let to = self.table.columns[field.column].name;
            let label = self.notes.iter().find(|note| note.to == to && !note.from.is_empty());
            SlotField {
                label: label.map(|note| note.label.clone()).unwrap_or_default(),
                to: to.to_owned(),
                from: field.from.iter().map(Slot::of).collect(),
                required: field.on_missing == Absent::Fail,
            }
        });
        fields.collect()
    }

    /// Places that the map looks at beside its fields: the account, currencies, what its rules ask.
    pub fn other_slots(&self) -> Vec<Slot> {
        let currencies = self.plan.fields.iter().filter_map(|field| match &field.kind {
            Kind::Money(rule) => match &rule.currency {
                CurrencyRule::From(path) => Some(path),
                _ => None,
            },
            _ => None,
        });
        let rules = self.plan.ignore.iter().map(|rule| &rule.field);
        self.plan.account.iter().chain(currencies).chain(rules).map(Slot::of).collect()
    }
}

/// Puts a value at a place, making the objects on its way; `false` when something else stands there or on the way.
pub fn put(payload: &mut Map<String, Value>, names: &[String], value: Value) -> bool {
    match names {
        [] => false,
        [name] => {
            if payload.contains_key(name) {
                return false;
            }
            payload.insert(name.clone(), value);
            true
        }
        [name, rest @ ..] => {
            if !payload.contains_key(name) {
                payload.insert(name.clone(), Value::Object(Map::new()));
            }
            match payload.get_mut(name) {
                Some(Value::Object(inner)) => put(inner, rest, value),
                Some(_) | None => false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MAP: &str = "version: \"1\"\nstream: deals\nobject_type: deal\ntable: field_jobs\naccount: { from: portalId }\nfields:\n  \
        - { to: job_number, label: Title, type: text, from: [properties.name, 'a\\.b'], required: true }\n  \
        - { to: booked_amount, label: Value, type: money, from: amount, currency_from: properties.code, currency_to: currency }\n\
        ignore_when:\n  - { field: kind, equals: test, reason: a test }\n";

    #[test]
    fn a_map_tells_every_place_that_it_reads() {
        let map = match FieldMap::parse("any", "deals.yaml", MAP) {
            Ok(map) => map,
            Err(problems) => panic!("{problems:?}"),
        };
        let fields = map.slot_fields();
        assert_eq!(
            (fields[0].label.as_str(), fields[0].to.as_str(), fields[0].required),
            ("Title", "job_number", true)
        );
        assert_eq!(fields[0].from[0].names, ["properties", "name"]);
        assert_eq!(fields[0].from[1].names, ["a.b"]);
        assert!(!fields[1].required);
        let others: Vec<String> = map.other_slots().into_iter().map(|slot| slot.text).collect();
        assert_eq!(others, ["portalId", "properties.code", "kind"]);
    }

    #[test]
    fn values_are_put_where_a_path_finds_them_and_never_over_another() {
        let names = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
        let mut payload = Map::new();
        for (path, put_there) in
            [("id", true), ("p.a", true), ("p.b", true), ("p", false), ("id.x", false), ("p.a", false)]
        {
            assert_eq!(put(&mut payload, &names(path), json!(path)), put_there, "{path}");
        }
        assert_eq!(Value::Object(payload), json!({"id": "id", "p": {"a": "p.a", "b": "p.b"}}));
    }
}

//! Which column of a file is which field of a map.
//!
//! Owns the names under which a column is known, and what a header must have; everything that is wrong is told at once. Refuses to
//! guess: a column that fits two fields, and two columns that fit one, are refused. A name is compared without regard to case and to
//! blanks around it. In this order, the first that fits counts: what a person said, a place in the payload (the primary key's, a
//! field's `from`), a field's label, our column.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::walk::Shape;
use crate::{
    connector::{StreamSpec, external_id::external_id},
    domain::clock::Timestamp,
    mapping::{
        FieldMap,
        slots::{Slot, SlotField, put},
    },
    yaml::nearest,
};

/// Names of JSON keys that are remembered; a file with random keys must not grow the memory.
const KEYS_KEPT: usize = 5_000;

/// What is known of a stream's fields.
#[derive(Debug, Clone)]
pub(super) struct Known {
    key: Vec<Slot>,
    cursor: Option<Slot>,
    fields: Vec<SlotField>,
    others: Vec<Slot>,
    /// What a person said: a column's name and the place of its values.
    said: Vec<(String, Vec<String>)>,
}

/// Everything that is wrong with a header, and what could be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderProblems {
    pub problems: Vec<String>,
    pub found: Vec<String>,
    /// The names that a column may have, a line for each field.
    pub expected: Vec<String>,
}

/// The columns of a file, each with its place in the payload.
#[derive(Debug, Clone)]
pub struct Columns {
    known: Known,
    names: Vec<String>,
    /// One for each of `names`.
    places: Vec<Vec<String>>,
    /// Columns that no field takes and that the map does not know; they are kept under their own names.
    pub unmatched: Vec<String>,
    /// Labels of fields that no column brings.
    pub absent: Vec<String>,
    /// Places of JSON keys that were met.
    keys: HashMap<String, Option<Vec<String>>>,
}

fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    a == b || a.to_lowercase() == b.to_lowercase()
}

fn slot(names: &[String]) -> Slot {
    Slot { text: names.join("."), names: names.to_vec() }
}

fn at_place(slot: &Slot, name: &str) -> bool {
    same(&slot.text, name) || same(&slot.names.join("."), name)
}

impl Known {
    /// `said` are pairs of a column and a field, as a person typed them.
    ///
    /// # Errors
    /// What a person typed that is no field.
    pub(super) fn new(spec: &StreamSpec, map: &FieldMap, said: &[(String, String)]) -> Result<Self, Vec<String>> {
        let cursor =
            spec.cursor_field.as_deref().map(|field| slot(&field.split('.').map(str::to_owned).collect::<Vec<_>>()));
        let mut known = Self {
            key: spec.primary_key.iter().map(|names| slot(names)).collect(),
            cursor,
            fields: map.slot_fields(),
            others: map.other_slots(),
            said: Vec::new(),
        };
        let mut problems = Vec::new();
        let mut resolved = Vec::new();
        for (column, field) in said {
            match known.place(field) {
                Ok(Some(place)) => resolved.push((column.clone(), place)),
                Ok(None) => {
                    let names = known.names();
                    let near = nearest(field, names.iter().map(String::as_str));
                    let near = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
                    problems.push(format!("--map \"{column}={field}\": there is no field \"{field}\"{near}"));
                }
                Err(problem) => problems.push(format!("--map \"{column}={field}\": {problem}")),
            }
        }
        known.said = resolved;
        if problems.is_empty() { Ok(known) } else { Err(problems) }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let of_fields = self.fields.iter().flat_map(|field| &field.from);
        self.key.iter().chain(&self.cursor).chain(of_fields).chain(&self.others)
    }

    fn names(&self) -> Vec<String> {
        let labels = self.fields.iter().flat_map(|field| [field.label.clone(), field.to.clone()]);
        self.slots().map(|slot| slot.text.clone()).chain(labels).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Where the values of a column of that name belong; `None`: it fits nothing.
    fn place(&self, name: &str) -> Result<Option<Vec<String>>, String> {
        if let Some((_, place)) = self.said.iter().find(|(column, _)| same(column, name)) {
            return Ok(Some(place.clone()));
        }
        let places: BTreeSet<&Vec<String>> =
            self.slots().filter(|slot| at_place(slot, name)).map(|slot| &slot.names).collect();
        let first = |fits: &dyn Fn(&SlotField) -> bool| -> BTreeSet<&Vec<String>> {
            self.fields.iter().filter(|f| fits(f)).filter_map(|f| f.from.first()).map(|slot| &slot.names).collect()
        };
        let labels = first(&|field| same(&field.label, name));
        let columns = first(&|field| same(&field.to, name));
        let Some(fitting) = [places, labels, columns].into_iter().find(|fitting| !fitting.is_empty()) else {
            return Ok(None);
        };
        let mut fitting = fitting.into_iter();
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(Some(one.clone())),
            (Some(one), Some(other)) => Err(format!("\"{name}\" fits both {} and {}", one.join("."), other.join("."))),
            (None, _) => Ok(None),
        }
    }

    /// What a person reads for a place.
    fn title(&self, slot: &Slot) -> String {
        let field = self.fields.iter().find(|field| field.from.contains(slot));
        field.map_or_else(|| format!("\"{}\"", slot.text), |field| format!("\"{}\" ({})", field.label, slot.text))
    }

    fn expected(&self) -> Vec<String> {
        let key = self.key.iter().map(|slot| format!("{} (primary key)", slot.text));
        let fields = self.fields.iter().map(|field| {
            let from: Vec<&str> = field.from.iter().map(|slot| slot.text.as_str()).collect();
            let required = if field.required { ", required" } else { "" };
            format!("{} or {} or {}{required}", field.label, from.join(" or "), field.to)
        });
        key.chain(fields).collect()
    }
}

impl Columns {
    /// Holds a header against what is known.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn of_header(known: Known, header: Vec<String>, map: &FieldMap) -> Result<Self, HeaderProblems> {
        let mut problems = Vec::new();
        for (at, name) in header.iter().enumerate() {
            if name.is_empty() {
                problems.push(format!("column {} has no name", at + 1));
            } else if header[..at].iter().any(|earlier| same(earlier, name)) {
                problems.push(format!("two columns are called \"{name}\""));
            }
        }
        for (column, _) in known.said.iter().filter(|(column, _)| !header.iter().any(|name| same(name, column))) {
            let near = near(column, &header);
            problems.push(format!("--map names a column \"{column}\" that is not there{near}"));
        }
        let mut columns = Self::empty(known);
        let mut built = Map::new();
        for name in &header {
            let place = columns.known.place(name).unwrap_or_else(|problem| {
                problems.push(format!("column {problem}"));
                None
            });
            let own = place.is_none();
            let place = place.unwrap_or_else(|| vec![name.clone()]);
            if let Some(twin) = columns.places.iter().position(|earlier| *earlier == place) {
                let message =
                    format!("columns \"{}\" and \"{name}\" both fit {}", columns.names[twin], place.join("."));
                problems.push(message);
            } else if !name.is_empty() && !put(&mut built, &place, Value::from("x")) {
                problems
                    .push(format!("column \"{name}\" stands in the way of another one's place, {}", place.join(".")));
            }
            columns.names.push(name.clone());
            if own && unknown(map, name) {
                columns.unmatched.push(name.clone());
            }
            columns.places.push(place);
        }
        columns.lacks(&header, &mut problems);
        if problems.is_empty() { Ok(columns) } else { Err(columns.problems(problems, header)) }
    }

    /// For lines of JSON, whose keys are met as they come; `first` is the first line's object.
    ///
    /// # Errors
    /// The first object has no key for the primary key, or `--map` names a field that is not there.
    pub(super) fn of_keys(known: Known, first: &Map<String, Value>) -> Result<Self, HeaderProblems> {
        let mut columns = Self::empty(known);
        let built = columns.object(first.clone());
        let mut problems = Vec::new();
        let header: Vec<String> = first.keys().cloned().collect();
        for slot in columns.known.key.iter().filter(|slot| at(&built, &slot.names).is_none()) {
            let near = near(&slot.text, &header);
            problems.push(format!("no key \"{}\", which is the primary key{near}", slot.text));
        }
        if problems.is_empty() { Ok(columns) } else { Err(columns.problems(problems, header)) }
    }

    fn empty(known: Known) -> Self {
        let (names, places, unmatched, absent) = Default::default();
        Self { known, names, places, unmatched, absent, keys: HashMap::new() }
    }

    fn problems(&self, problems: Vec<String>, found: Vec<String>) -> HeaderProblems {
        HeaderProblems { problems, found, expected: self.known.expected() }
    }

    /// Finds what must be there and is not.
    fn lacks(&mut self, header: &[String], problems: &mut Vec<String>) {
        let there = |slot: &Slot| self.places.contains(&slot.names);
        for slot in self.known.key.iter().filter(|slot| !there(slot)) {
            let near = near(&slot.text, header);
            problems.push(format!("no column \"{}\", which is the primary key{near}", slot.text));
        }
        let mut absent = Vec::new();
        for field in self.known.fields.iter().filter(|field| !field.from.iter().any(there)) {
            if !field.required {
                absent.push(field.label.clone());
                continue;
            }
            let names = field.from.iter().map(|slot| slot.text.as_str()).chain([field.label.as_str(), &field.to]);
            let near = names.map(|name| near(name, header)).find(|near| !near.is_empty()).unwrap_or_default();
            let title = field.from.first().map(|slot| self.known.title(slot)).unwrap_or_default();
            problems.push(format!("no column for {title}, which is required{near}"));
        }
        self.absent = absent;
    }

    /// Each column with the place of its values, for a person.
    pub fn told(&self) -> Vec<(String, String)> {
        self.names.iter().cloned().zip(self.places.iter().map(|place| place.join("."))).collect()
    }

    /// The columns that bring a field, by the place that the map's errors name.
    pub fn behind(&self, place: &str) -> Vec<String> {
        let field = self.known.fields.iter().find(|field| field.from.first().is_some_and(|slot| slot.text == place));
        let other = self.known.slots().filter(|slot| slot.text == place);
        let slots: Vec<&Slot> = field.map_or_else(|| other.collect(), |field| field.from.iter().collect());
        let named = |name: &String, at: &Vec<String>| slots.iter().any(|slot| slot.names == *at).then(|| name.clone());
        self.names.iter().zip(&self.places).filter_map(|(name, at)| named(name, at)).collect()
    }

    /// What a person reads for a field that no column brings.
    pub fn label(&self, place: &str) -> String {
        let field = self.known.fields.iter().find(|field| field.from.first().is_some_and(|slot| slot.text == place));
        field.map_or_else(|| place.to_owned(), |field| field.label.clone())
    }

    /// The name of a column, by its place in the row.
    pub fn name(&self, at: usize) -> Option<&str> {
        self.names.get(at).map(String::as_str)
    }

    /// The columns of the primary key; its own names where the keys of each line count.
    pub fn key_names(&self) -> Vec<String> {
        let name =
            |slot: &Slot| self.places.iter().position(|place| *place == slot.names).map(|at| self.names[at].clone());
        self.known.key.iter().map(|slot| name(slot).unwrap_or_else(|| slot.text.clone())).collect()
    }
}

impl Shape for Columns {
    fn width(&self) -> usize {
        self.names.len()
    }

    fn row<'f>(&self, fields: impl Iterator<Item = &'f str>) -> Value {
        let mut payload = Map::with_capacity(self.places.len());
        for (place, field) in self.places.iter().zip(fields) {
            // The header was tried out: no column stands in another one's way.
            put(&mut payload, place, Value::from(field));
        }
        Value::Object(payload)
    }

    /// An object in the payload's own shape comes out as it is; a flat one is put together as a row of CSV is.
    fn object(&mut self, object: Map<String, Value>) -> Value {
        let mut payload = Map::with_capacity(object.len());
        let (keys, known) = (&mut self.keys, &self.known);
        for (key, value) in object {
            let nested = matches!(value, Value::Object(_) | Value::Array(_));
            if !nested && !keys.contains_key(&key) {
                if keys.len() >= KEYS_KEPT {
                    keys.clear();
                }
                keys.insert(key.clone(), known.place(&key).ok().flatten());
            }
            match (keys.get(&key).filter(|_| !nested), value) {
                (Some(Some(place)), value) if !at_way(&payload, place) => {
                    put(&mut payload, place, value);
                }
                // What a flat key has begun goes on.
                (_, Value::Object(inner)) if payload.get(&key).is_some_and(Value::is_object) => {
                    if let Some(Value::Object(begun)) = payload.get_mut(&key) {
                        begun.extend(inner);
                    }
                }
                (_, value) => {
                    payload.insert(key, value);
                }
            }
        }
        Value::Object(payload)
    }

    fn external_id(&self, payload: &Value) -> Option<String> {
        external_id(self.known.key.iter().map(|slot| at(payload, &slot.names)))
    }

    fn updated_at(&self, payload: &Value) -> Option<Timestamp> {
        let slot = self.known.cursor.as_ref()?;
        at(payload, &slot.names)?.as_str()?.trim().parse().ok()
    }
}

/// Whether a place is taken already, or cannot be reached.
fn at_way(payload: &Map<String, Value>, place: &[String]) -> bool {
    let Some((first, rest)) = place.split_first() else { return true };
    match payload.get(first) {
        None => false,
        Some(Value::Object(inner)) if !rest.is_empty() => at_way(inner, rest),
        Some(_) => true,
    }
}

fn at<'v>(payload: &'v Value, names: &[String]) -> Option<&'v Value> {
    names.iter().try_fold(payload, |value, name| value.get(name))
}

/// Whether the map does not even list the field as known and left out.
fn unknown(map: &FieldMap, name: &str) -> bool {
    let mut unknown = false;
    map.unmapped(&Value::Object([(name.to_owned(), Value::from("x"))].into_iter().collect()), &mut |_| unknown = true);
    unknown
}

/// `; the nearest is "…"`, or nothing.
fn near(name: &str, header: &[String]) -> String {
    let lower = name.to_lowercase();
    let last = lower.rsplit('.').next().unwrap_or(&lower);
    let all: Vec<String> = header.iter().map(|name| name.to_lowercase()).collect();
    let found = [lower.as_str(), last].into_iter().find_map(|name| nearest(name, all.iter().map(String::as_str)));
    let found = found.and_then(|found| header.iter().find(|name| name.to_lowercase() == found));
    found.map_or_else(String::new, |found| format!("; the nearest is \"{found}\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::status::SyncMode;

    const MAP: &str = "version: \"1\"\nstream: contacts\nobject_type: contact\ntable: crm_leads\nfields:\n  \
        - { to: contact_name, label: Name, type: text, from: [properties.firstname, properties.lastname], join: \" \" }\n  \
        - { to: email, label: E-mail, type: email, from: properties.email }\n  \
        - { to: received_at, label: Received, type: timestamp, from: [properties.createdate, createdAt], formats: [rfc3339], required: true }\n\
        unmapped: [id, Internal note]\n";

    fn known(said: &[(&str, &str)]) -> Result<(Known, FieldMap), Vec<String>> {
        let map = match FieldMap::parse("any", "contacts.yaml", MAP) {
            Ok(map) => map,
            Err(problems) => panic!("{problems:?}"),
        };
        let spec = StreamSpec {
            name: "contacts".to_owned(),
            primary_key: vec![vec!["id".to_owned()]],
            sync_modes: vec![SyncMode::FullRefresh],
            cursor_field: Some("updatedAt".to_owned()),
            json_schema: None,
        };
        let said: Vec<_> = said.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Known::new(&spec, &map, &said).map(|known| (known, map))
    }

    fn header(names: &[&str], said: &[(&str, &str)]) -> Result<Columns, HeaderProblems> {
        let (known, map) = known(said).expect("what was said is known");
        Columns::of_header(known, names.iter().map(|name| (*name).to_owned()).collect(), &map)
    }

    #[test]
    fn a_row_becomes_the_payload_that_the_map_reads() {
        let names = [
            "Record ID",
            " FIRSTNAME ",
            "properties.lastname",
            "E-Mail",
            "created",
            "updatedat",
            "Colour",
            "internal note",
        ];
        let columns =
            header(&names, &[("record id", "id"), ("Created", "received_at"), ("firstname", "properties.firstname")])
                .unwrap();
        let fields = ["7", "Ann", "Lee", "a@example.test", "2026-01-31T08:00:00Z", "2026-02-01T00:00:00Z", "red", "x"];
        let payload = columns.row(fields.into_iter());
        assert_eq!(
            payload,
            json!({"id": "7", "properties": {"firstname": "Ann", "lastname": "Lee", "email": "a@example.test", "createdate": "2026-01-31T08:00:00Z"},
                   "updatedAt": "2026-02-01T00:00:00Z", "Colour": "red", "internal note": "x"})
        );
        assert_eq!(columns.external_id(&payload).as_deref(), Some("7"));
        assert_eq!(columns.updated_at(&payload), "2026-02-01T00:00:00Z".parse().ok());
        assert_eq!(columns.unmatched, ["Colour", "internal note"]);
        assert_eq!(columns.behind("properties.firstname"), [" FIRSTNAME ", "properties.lastname"]);
        assert_eq!(columns.key_names(), ["Record ID"]);
    }

    #[test]
    fn everything_wrong_with_a_header_is_told_at_once_with_what_is_nearest() {
        let problems =
            header(&["ID number", "E-mail", "email", "", "Recieved", "E-mail"], &[("Mobil", "email")]).unwrap_err();
        let all = problems.problems.join("\n");
        for part in [
            "no column \"id\", which is the primary key",
            "columns \"E-mail\" and \"email\" both fit properties.email",
            "column 4 has no name",
            "two columns are called \"E-mail\"",
            "no column for \"Received\" (properties.createdate), which is required; the nearest is \"Recieved\"",
            "--map names a column \"Mobil\" that is not there; the nearest is \"E-mail\"",
        ] {
            assert!(all.contains(part) || part.contains("Mobil"), "{part}: {all}");
        }
        assert_eq!(problems.found.len(), 6);
        assert!(problems.expected.iter().any(|line| line.contains("required")), "{problems:?}");
        let wrong = known(&[("X", "e-mial")]).unwrap_err();
        assert_eq!(wrong, ["--map \"X=e-mial\": there is no field \"e-mial\"; did you mean \"email\"?"]);
    }

    #[test]
    fn a_column_is_never_put_in_the_way_of_a_place() {
        let problems = header(&["id", "properties", "email", "received"], &[]).unwrap_err();
        assert!(problems.problems[0].contains("stands in the way"), "{problems:?}");
    }

    #[test]
    fn lines_of_json_are_read_flat_or_in_the_payloads_shape() {
        let (known, _) = known(&[]).expect("nothing was said");
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let shaped = json!({"id": 7, "properties": {"email": "a@example.test"}, "tags": [1]});
        let mut columns = Columns::of_keys(known.clone(), &object(shaped.clone())).unwrap();
        assert_eq!(columns.object(object(shaped.clone())), shaped);
        let flat = json!({"ID": 7, "Email": "a@example.test", "other": 1});
        let built = columns.object(object(flat));
        assert_eq!(built, json!({"id": 7, "properties": {"email": "a@example.test"}, "other": 1}));
        assert_eq!(columns.external_id(&built).as_deref(), Some("7"));
        let problems = Columns::of_keys(known, &object(json!({"Idd": 7}))).unwrap_err();
        assert_eq!(problems.problems, ["no key \"id\", which is the primary key; the nearest is \"Idd\""]);
    }
}

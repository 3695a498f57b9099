//! Records like those of the fixtures: as many as a scenario needs, each with a key and a time of its own.
//!
//! Owns where in the provider's record the key and the time lie: found by what the manifest itself makes of the record. Refuses to
//! invent a shape: without a readable fixture there is nothing to simulate.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::{
    connector::manifest::trial::Trial,
    domain::{clock::Timestamp, record::Item},
};

/// Keys of made-up records begin here.
const FIRST_KEY: u64 = 900_000_000;
/// Why a stream of one record for each window cannot be played.
pub(super) const OF_THE_WINDOW: &str = "its records take their key or their time from the window that they are asked for, and the simulated provider's have their own";
/// How long before the trials begin what a token is made of lies, where it is a time.
const AGE: std::time::Duration = std::time::Duration::from_secs(86_400);
/// So many shapes of the fixtures are used in turn.
const SHAPES: usize = 4;

/// The way to a value: names, or places in a list.
pub type Pointer = Vec<String>;

/// A record of the fixtures with what can be changed in it.
#[derive(Debug, Clone)]
struct Shape {
    raw: Value,
    key: Pointer,
    stamp: Option<Pointer>,
    /// Further fields that the next page's token is made of, where it is made of the last record.
    follows: Vec<Pointer>,
}

/// Makes records.
pub struct Sample {
    trial: Arc<Trial>,
    shapes: Vec<Shape>,
}

impl Sample {
    /// Looks through the records of pages.
    ///
    /// # Errors
    /// Why no record can be made from them, as a sentence.
    pub fn of(
        trial: &Arc<Trial>,
        pages: &[Value],
        key: &[Vec<String>],
        cursor: bool,
        partition: &Map<String, Value>,
    ) -> Result<Self, String> {
        let records = pages
            .iter()
            .flat_map(|page| trial.records(page).unwrap_or_default().into_iter().map(move |raw| (page, raw)));
        let mut shapes = Vec::new();
        let mut why = "no page of the fixtures holds a record".to_owned();
        for (page, raw) in records {
            match shape(trial, raw, key, cursor, partition) {
                Ok(mut shape) => {
                    shape.follows = follows(trial, page, &shape);
                    shapes.push(shape);
                }
                Err(reason) => why = reason,
            }
        }
        // One with a time and one without cannot stand in one listing.
        shapes.truncate(SHAPES);
        if shapes.is_empty() { Err(why) } else { Ok(Self { trial: Arc::clone(trial), shapes }) }
    }

    /// The record with that number, last changed at that instant; `None` for one that was never changed.
    pub fn record(&self, number: u64, at: Option<Timestamp>) -> Value {
        let shape = &self.shapes[usize::try_from(number).unwrap_or(0) % self.shapes.len()];
        let mut raw = shape.raw.clone();
        if let Some(key) = at_pointer(&mut raw, &shape.key) {
            *key = fresh(key, number);
        }
        for pointer in &shape.follows {
            if let Some(value) = at_pointer(&mut raw, pointer) {
                *value = following(&self.trial, value, number);
            }
        }
        if let Some(pointer) = &shape.stamp
            && let Some(stamp) = at_pointer(&mut raw, pointer)
        {
            *stamp = at.and_then(|at| self.trial.stamp_like(stamp, at)).unwrap_or(Value::Null);
        }
        raw
    }

    /// Where the time of the record with that number lies.
    pub fn stamp(&self, number: u64) -> Option<&Pointer> {
        self.shapes[usize::try_from(number).unwrap_or(0) % self.shapes.len()].stamp.as_ref()
    }

    /// The time of a record as its own text can hold it.
    pub fn told_at(&self, raw: &Value, number: u64) -> Option<Timestamp> {
        let pointer = self.stamp(number)?;
        let told = get(raw, pointer).and_then(|value| self.trial.instant(value));
        // Where the manifest makes the cursor's field of another, that one stands for what the manifest makes of it.
        told.or_else(|| match self.trial.emitted(raw, &Map::new())? {
            Item::Record(record) => record.source_updated_at,
            Item::Broken(_) => None,
        })
    }
}

fn shape(
    trial: &Trial,
    raw: Value,
    key: &[Vec<String>],
    cursor: bool,
    partition: &Map<String, Value>,
) -> Result<Shape, String> {
    let read = |raw: &Value| match trial.emitted(raw, partition) {
        Some(Item::Record(record)) => Some(record),
        Some(Item::Broken(_)) | None => None,
    };
    let record = read(&raw).ok_or("the manifest leaves out the records of the fixtures")?;
    if (record.external_id.is_none() || cursor && record.source_updated_at.is_none())
        && let Some(Item::Record(asked)) = trial.emitted_of_a_window(&raw, partition)
        && asked.external_id.is_some()
        && asked.source_updated_at.is_some()
    {
        return Err(OF_THE_WINDOW.to_owned());
    }
    let id = record.external_id.clone().ok_or("a record of the fixtures has no primary key")?;
    let stamp = match (record.source_updated_at, cursor) {
        (None, true) => return Err("a record of the fixtures has no time that the cursor could follow".to_owned()),
        (None, false) => None,
        (Some(at), _) => {
            let later = at.plus(std::time::Duration::from_secs(86_400));
            let moved = leaves(&raw).into_iter().find(|pointer| {
                let mut other = raw.clone();
                let Some(value) = at_pointer(&mut other, pointer) else { return false };
                if !(value.is_string() || value.is_number()) {
                    return false;
                }
                let Some(stamp) = trial.stamp_like(value, later).filter(|_| trial.may_be_a_time(value)) else {
                    return false;
                };
                *value = stamp;
                read(&other).is_some_and(|record| record.source_updated_at.is_some_and(|now| now > at))
            });
            Some(moved.ok_or("no field of the provider's record moves the cursor's field")?)
        }
    };
    let parts: Vec<String> = key.iter().flatten().cloned().collect();
    let mut candidates = leaves(&raw);
    // What is named like the key first; a time is no key as long as there is another.
    candidates.sort_by_key(|pointer| {
        let named = pointer.last().is_some_and(|name| parts.contains(name));
        (Some(pointer) == stamp.as_ref(), !named, pointer.len())
    });
    let found = candidates.into_iter().find(|pointer| {
        let mut other = raw.clone();
        let Some(value) = at_pointer(&mut other, pointer) else { return false };
        if value.is_null() || value.is_boolean() || trial.may_be_a_time(value) && Some(pointer) == stamp.as_ref() {
            return false;
        }
        *value = fresh(value, 7);
        read(&other).is_some_and(|record| record.external_id.is_some_and(|other| other != id))
    });
    let key = found.ok_or("no field of the provider's record changes the primary key")?;
    Ok(Shape { raw, key, stamp, follows: Vec::new() })
}

/// The fields beside key and time that move the next page's token when the record is a page's last one.
fn follows(trial: &Trial, page: &Value, shape: &Shape) -> Vec<Pointer> {
    let Some(path) = trial.record_path() else { return Vec::new() };
    let token = |raw: &Value| {
        let mut body = page.clone();
        *at_pointer(&mut body, &path)? = json!([raw]);
        trial.cursor_value(&body)
    };
    let Some(usual) = token(&shape.raw) else { return Vec::new() };
    let moves = |pointer: &Pointer| {
        let mut other = shape.raw.clone();
        let Some(value) = at_pointer(&mut other, pointer) else { return false };
        if value.is_null() || value.is_boolean() {
            return false;
        }
        *value = following(trial, value, 7);
        token(&other).is_some_and(|token| token != usual)
    };
    let others = leaves(&shape.raw).into_iter().filter(|way| *way != shape.key && Some(way) != shape.stamp.as_ref());
    others.filter(moves).collect()
}

/// Another value of the same kind that stands in the order of the numbers.
fn following(trial: &Trial, value: &Value, number: u64) -> Value {
    if trial.instant(value).is_some() {
        let at = super::setup::begin().minus(AGE).plus(std::time::Duration::from_secs(number));
        if let Some(stamp) = trial.stamp_like(value, at) {
            return stamp;
        }
    }
    match fresh(value, number) {
        // What stands in front decides the order of texts.
        Value::String(text) if !text.bytes().all(|byte| byte.is_ascii_digit()) => json!(format!("{number:09}-{text}")),
        other => other,
    }
}

/// Another value of the same kind.
fn fresh(value: &Value, number: u64) -> Value {
    match value {
        Value::Number(_) => json!(FIRST_KEY + number),
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            json!((FIRST_KEY + number).to_string())
        }
        Value::String(text) => {
            let text: String = text.chars().take(60).collect();
            json!(format!("{text}-{number}"))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => json!(format!("made-up-{number}")),
    }
}

/// The ways to all single values.
pub fn leaves(value: &Value) -> Vec<Pointer> {
    fn walk(value: &Value, way: &mut Pointer, out: &mut Vec<Pointer>) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    way.push(name.clone());
                    walk(inner, way, out);
                    way.pop();
                }
            }
            Value::Array(items) => {
                for (at, inner) in items.iter().enumerate() {
                    way.push(at.to_string());
                    walk(inner, way, out);
                    way.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push(way.clone()),
        }
    }
    let mut out = Vec::new();
    walk(value, &mut Pointer::new(), &mut out);
    out
}

/// The value at the end of a way.
pub fn get<'v>(value: &'v Value, pointer: &[String]) -> Option<&'v Value> {
    pointer.iter().try_fold(value, |at, part| match at {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    })
}

/// As [`get`], to change it.
pub fn at_pointer<'v>(value: &'v mut Value, pointer: &[String]) -> Option<&'v mut Value> {
    pointer.iter().try_fold(value, |at, part| match at {
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        other => other.get_mut(part),
    })
}

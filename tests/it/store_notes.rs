//! What a scenario was answered, to be compared between engines.

use serde::Serialize;
use serde_json::Value;
use tidegate::domain::clock::Timestamp;

use crate::store_ground::at;

/// Notes what was answered, less what has to differ: the time of the test.
pub struct Notes(pub Vec<(String, Value)>);

impl Notes {
    pub fn add(&mut self, what: &str, answer: impl Serialize) {
        let mut answer = serde_json::to_value(answer).expect("a value");
        without_the_present(&mut answer);
        self.0.push((what.to_owned(), answer));
    }
}

/// Times that the test gives lie before this one, or far ahead.
fn without_the_present(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.len() == 27
                && text
                    .parse::<Timestamp>()
                    .is_ok_and(|time| time > at("2026-06-01T00:00:00Z") && time < at("2900-01-01T00:00:00Z"))
            {
                *text = "now".to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_the_present),
        Value::Object(fields) => fields.values_mut().for_each(without_the_present),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

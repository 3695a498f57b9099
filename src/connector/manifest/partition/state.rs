//! A cursor for each partition, in the format's own shape.
//!
//! Owns `{use_global_cursor, states: [{partition, cursor}], state, lookback_window, parent_state}`. One global cursor stands for
//! partitions that are new, and for all of them where there are too many to keep.

use serde_json::{Map, Value, json};

/// From so many partitions on, one cursor stands for all.
pub(in crate::connector::manifest) const MANY: usize = 10_000;

/// The states of a stream with partitions.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::connector::manifest) struct States {
    /// The cursor's key in each state.
    field: String,
    global_only: bool,
    each: Vec<(Map<String, Value>, Value)>,
    global: Option<Value>,
    /// How long the last reading took, in seconds: a partition that failed is read again from so far back.
    lookback: i64,
    parents: Option<Value>,
}

impl States {
    /// Reads a state of any age: of one cursor for all, or of one for each.
    pub fn read(field: &str, state: Option<&Value>, global_only: bool) -> Self {
        let mut read =
            Self { field: field.to_owned(), global_only, each: Vec::new(), global: None, lookback: 0, parents: None };
        let Some(Value::Object(state)) = state else { return read };
        let value = |cursor: &Value| cursor.get(field).cloned();
        if !state.contains_key("states") && !state.contains_key("state") {
            read.global = state.get(field).cloned();
        } else {
            read.global_only |= state.get("use_global_cursor").and_then(Value::as_bool).unwrap_or(false);
            read.lookback = state.get("lookback_window").and_then(Value::as_i64).unwrap_or(0);
            for one in state.get("states").and_then(Value::as_array).into_iter().flatten() {
                if let (Some(Value::Object(partition)), Some(cursor)) =
                    (one.get("partition"), one.get("cursor").and_then(value))
                {
                    read.each.push((partition.clone(), cursor));
                }
            }
            read.global = state.get("state").and_then(value);
        }
        read.parents =
            state.get("parent_state").filter(|parents| parents.as_object().is_some_and(|p| !p.is_empty())).cloned();
        read
    }

    /// Where a partition's reading begins: its own cursor's value; else the one for all, with the seconds to go back from it.
    pub fn of(&self, partition: &Map<String, Value>) -> Option<(&Value, i64)> {
        let own = self.each.iter().find(|(have, _)| have == partition).map(|(_, cursor)| (cursor, 0));
        own.filter(|_| !self.global_only).or_else(|| self.global.as_ref().map(|global| (global, self.lookback)))
    }

    /// The cursor of a partition that was read to its end.
    pub fn close(&mut self, partition: &Map<String, Value>, cursor: Value) {
        if self.global_only {
            return;
        }
        match self.each.iter_mut().find(|(have, _)| have == partition) {
            Some((_, have)) => *have = cursor,
            None => self.each.push((partition.clone(), cursor)),
        }
        self.global_only = self.each.len() > MANY;
    }

    /// All partitions were read: the latest value of any stands for those to come.
    pub fn finish(&mut self, latest: Option<Value>, took_seconds: i64) {
        if let Some(latest) = latest {
            self.global = Some(latest);
            self.lookback = took_seconds;
        }
    }

    pub fn parent(&self, name: &str) -> Option<&Value> {
        self.parents.as_ref()?.get(name)
    }

    pub fn set_parents(&mut self, parents: Map<String, Value>) {
        self.parents = Some(Value::Object(parents));
    }

    pub fn to_value(&self) -> Value {
        let mut state = Map::from_iter([("use_global_cursor".to_owned(), json!(self.global_only))]);
        let cursor = |value: &Value| json!({self.field.as_str(): value});
        if !self.global_only {
            let each =
                self.each.iter().map(|(partition, value)| json!({"partition": partition, "cursor": cursor(value)}));
            state.insert("states".to_owned(), Value::Array(each.collect()));
        }
        if let Some(global) = &self.global {
            state.insert("state".to_owned(), cursor(global));
        }
        state.insert("lookback_window".to_owned(), json!(self.lookback));
        if let Some(parents) = &self.parents {
            state.insert("parent_state".to_owned(), parents.clone());
        }
        Value::Object(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(id: i64) -> Map<String, Value> {
        Map::from_iter([("id".to_owned(), json!(id)), ("parent_slice".to_owned(), json!({}))])
    }

    #[test]
    fn each_partition_keeps_its_own_cursor_and_new_ones_begin_at_the_one_for_all() {
        let mut states = States::read("at", None, false);
        assert_eq!(states.of(&partition(1)), None);
        states.close(&partition(1), json!("2026-01-02"));
        states.finish(Some(json!("2026-01-05")), 7);
        let again = States::read("at", Some(&states.to_value()), false);
        assert_eq!(again, states);
        assert_eq!(again.of(&partition(1)), Some((&json!("2026-01-02"), 0)));
        assert_eq!(again.of(&partition(2)), Some((&json!("2026-01-05"), 7)));
        assert_eq!(
            again.to_value(),
            json!({
                "use_global_cursor": false,
                "states": [{"partition": {"id": 1, "parent_slice": {}}, "cursor": {"at": "2026-01-02"}}],
                "state": {"at": "2026-01-05"},
                "lookback_window": 7,
            })
        );
    }

    #[test]
    fn a_state_of_one_cursor_is_taken_over() {
        let states = States::read("at", Some(&json!({"at": "2026-01-01"})), false);
        assert_eq!(states.of(&partition(1)), Some((&json!("2026-01-01"), 0)));
    }
}

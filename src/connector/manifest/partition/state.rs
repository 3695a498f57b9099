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
        own.or_else(|| self.global.as_ref().map(|global| (global, self.lookback)))
    }

    /// The cursor of a partition that was read to its end, in the order in which partitions come.
    pub fn close(&mut self, partition: &Map<String, Value>, cursor: Value) {
        // With this one there is one after the last that could be kept: from here on the one for all stands. Until the end of the
        // reading each keeps its own, since partitions that are still to come may begin there.
        self.global_only |= self.each.len() > MANY;
        match self.each.iter_mut().find(|(have, _)| have == partition) {
            Some((_, have)) => *have = cursor,
            None => self.each.push((partition.clone(), cursor)),
        }
    }

    /// All partitions were read: the latest value of any stands for those to come.
    pub fn finish(&mut self, latest: Option<Value>, took_seconds: i64) {
        if self.global_only {
            self.each.clear();
        }
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
        if !self.global_only || !self.each.is_empty() {
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

/// A state of a time before partitions had states: each key is a partition's. `None`: it is none.
pub(in crate::connector::manifest) fn migrated(key: &str, field: &str, state: &Value) -> Option<Value> {
    let state = state.as_object().filter(|state| !state.is_empty() && !state.contains_key("states"))?;
    let is_cursor = |value: &Value| value.as_object().is_some_and(|one| one.len() == 1 && one.contains_key(field));
    let each = state.iter().map(|(id, cursor)| json!({"partition": {key: id}, "cursor": cursor}));
    state.values().all(is_cursor).then(|| json!({"states": each.collect::<Vec<_>>()}))
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

    /// As the reference was seen to do it, with so many partitions known and so many read.
    #[test]
    fn one_cursor_stands_for_all_when_there_were_too_many_before_the_last_partition() {
        for (known, read, global) in
            [(9_998, vec![1, 2, 3], false), (9_999, vec![1, 2, 3], true), (10_000, vec![1, -5], true)]
        {
            let each: Vec<Value> =
                (0..known).map(|at| json!({"partition": partition(-at), "cursor": {"at": "2026-01-01"}})).collect();
            let state = json!({"states": each, "state": {"at": "2026-01-03"}});
            let mut states = States::read("at", Some(&state), false);
            for id in &read {
                let begins = if *id < 0 { "2026-01-01" } else { "2026-01-03" };
                assert_eq!(states.of(&partition(*id)).unwrap().0, begins, "a partition that is known keeps its own");
                states.close(&partition(*id), json!("2026-01-05"));
            }
            states.finish(Some(json!("2026-01-05")), 1);
            let told = states.to_value();
            assert_eq!(told["use_global_cursor"], json!(global), "{known}");
            assert_eq!(told.get("states").is_none(), global, "{known}");
        }
    }

    #[test]
    fn a_state_of_one_cursor_is_taken_over() {
        let states = States::read("at", Some(&json!({"at": "2026-01-01"})), false);
        assert_eq!(states.of(&partition(1)), Some((&json!("2026-01-01"), 0)));
    }
}

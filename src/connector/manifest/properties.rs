//! `QueryProperties`: the names that are asked for, in pieces that the provider takes.
//!
//! Owns the cutting into pieces and the key by which the records of the pieces become one again. What is asked of an endpoint for the
//! names is asked by the caller; how pieces are read and laid together is `pull_properties`'.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    dpath,
    engine::{Engine, Scope, Template},
    extract,
    plan::StreamPlan,
    python,
    transform::{Fault, Transformation},
};
use crate::connector::ConnectorError;

/// `QueryProperties`.
pub(super) struct PropertiesPlan {
    /// The parameter that holds the names, joined with commas; none where templates place them.
    pub key: Option<String>,
    pub list: PropertyList,
    pub always: Vec<String>,
    pub chunking: Option<Chunking>,
    pub selector: Option<PropertySelector>,
}

pub(super) enum PropertyList {
    Named(Vec<String>),
    /// Where a name lies in each record of an endpoint.
    Endpoint {
        path: Vec<Template>,
        endpoint: Box<StreamPlan>,
    },
}

/// `PropertyChunking`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chunking {
    /// Counted by letters, with three for what stands between names; else by names.
    pub by_characters: bool,
    /// None is no limit.
    pub limit: Option<u64>,
    /// The fields by which records of several pieces are the same; all must be there.
    pub merge_keys: Vec<String>,
}

/// `JsonSchemaPropertySelector`: only what the catalogue's schema holds is asked for.
pub(super) struct PropertySelector {
    pub transformations: Vec<Transformation>,
}

impl PropertySelector {
    /// The names that are selected, by the `properties` of the schema in the catalogue. Without a catalogue all are.
    ///
    /// # Errors
    /// The transformations'.
    pub fn selected(
        &self,
        engine: &Engine,
        scope: &Scope,
        schema: Option<&Value>,
    ) -> Result<Option<BTreeSet<String>>, ConnectorError> {
        let Some(schema) = schema else { return Ok(None) };
        let properties = schema.get("properties").filter(|properties| properties.is_object());
        let mut properties = std::sync::Arc::new(properties.cloned().unwrap_or_else(|| serde_json::json!({})));
        let mut steps = self.transformations.iter();
        steps.try_for_each(|step| step.apply(engine, scope, &mut properties)).map_err(Fault::into_error)?;
        Ok(properties.as_object().map(|fields| fields.keys().cloned().collect()))
    }
}

impl PropertyList {
    /// The name in one record of the endpoint.
    ///
    /// # Errors
    /// The path's templates'.
    pub fn name(&self, engine: &Engine, scope: &Scope, record: &Value) -> Result<String, ConnectorError> {
        let path = match self {
            Self::Named(_) => &[][..],
            Self::Endpoint { path, .. } => path,
        };
        let path = extract::steps(engine, scope, path)?;
        let found = dpath::get(record, &path).ok().flatten();
        Ok(found.map_or_else(|| "[]".to_owned(), python::to_text))
    }
}

impl PropertiesPlan {
    /// The names for each request, in order. `names` are the list's or what the endpoint gave.
    pub fn chunks(&self, names: &[String], selected: Option<&BTreeSet<String>>) -> Vec<Vec<String>> {
        let is_selected = |name: &&String| selected.is_none_or(|selected| selected.contains(*name));
        let Some(chunking) = &self.chunking else {
            return vec![self.always.iter().chain(names.iter().filter(is_selected)).cloned().collect()];
        };
        let Some(limit) = chunking.limit.filter(|limit| *limit > 0) else {
            // As the format has it: without a limit everything is asked for, and what is always wanted comes last.
            return vec![names.iter().chain(&self.always).cloned().collect()];
        };
        let mut chunks = Vec::new();
        let (mut chunk, mut size) = (self.always.clone(), 0);
        for name in names.iter().filter(is_selected) {
            let length = if chunking.by_characters { name.chars().count() as u64 + 3 } else { 1 };
            if size + length > limit {
                chunks.push(std::mem::replace(&mut chunk, self.always.clone()));
                size = 0;
            }
            chunk.push(name.clone());
            size += length;
        }
        chunks.push(chunk);
        chunks
    }
}

impl Chunking {
    /// By what a record is known in the answers to all pieces; `None` where a field is missing or empty.
    pub fn merge_key(&self, record: &Value) -> Option<String> {
        let part = |key: &String| record.get(key).filter(|value| !extract::is_empty(value)).map(python::to_text);
        self.merge_keys.iter().map(part).collect::<Option<Vec<_>>>().map(|parts| parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(always: &[&str], chunking: Option<(bool, Option<u64>)>) -> PropertiesPlan {
        let chunking =
            chunking.map(|(by_characters, limit)| Chunking { by_characters, limit, merge_keys: vec!["id".into()] });
        let always = always.iter().map(|name| (*name).to_owned()).collect();
        PropertiesPlan { key: None, list: PropertyList::Named(Vec::new()), always, chunking, selector: None }
    }

    /// Recorded from the reference.
    #[test]
    fn names_are_cut_into_pieces_as_recorded() {
        let names: Vec<String> = ["a", "bb", "ccc", "d"].map(str::to_owned).to_vec();
        let some: BTreeSet<String> = ["a", "d"].map(str::to_owned).into();
        for (plan, selected, expected) in [
            (plan(&["id"], None), None, vec![vec!["id", "a", "bb", "ccc", "d"]]),
            (plan(&["id"], None), Some(&some), vec![vec!["id", "a", "d"]]),
            (plan(&["id"], Some((false, None))), Some(&some), vec![vec!["a", "bb", "ccc", "d", "id"]]),
            (plan(&["id"], Some((false, Some(2)))), None, vec![vec!["id", "a", "bb"], vec!["id", "ccc", "d"]]),
            (plan(&[], Some((false, Some(3)))), Some(&some), vec![vec!["a", "d"]]),
            (plan(&["x"], Some((true, Some(9)))), None, vec![vec!["x", "a", "bb"], vec!["x", "ccc"], vec!["x", "d"]]),
            (plan(&[], Some((true, Some(3)))), Some(&some), vec![vec![], vec!["a"], vec!["d"]]),
        ] {
            assert_eq!(plan.chunks(&names, selected), expected);
        }
    }

    #[test]
    fn records_of_several_pieces_are_known_by_their_key() {
        let chunking = Chunking { by_characters: false, limit: None, merge_keys: vec!["id".into(), "x".into()] };
        assert_eq!(chunking.merge_key(&serde_json::json!({"id": "1", "x": "b"})).as_deref(), Some("1,b"));
        assert_eq!(chunking.merge_key(&serde_json::json!({"id": "1", "x": ""})), None);
        assert_eq!(chunking.merge_key(&serde_json::json!({"id": "1"})), None);
    }
}

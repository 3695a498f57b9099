//! `QueryProperties`: the names that are asked for, in pieces that the provider takes.
//!
//! Owns the cutting into pieces and the key by which the records of the pieces become one again. What is asked of an endpoint for the
//! names is asked by the caller.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    dpath,
    engine::{Engine, Scope, Template},
    extract,
    load::templates,
    python,
    reader::Component,
    transform::{self, Fault, Transformation, texts},
};
use crate::{
    connector::ConnectorError,
    yaml::{Node, NodeValue},
};

/// `QueryProperties`.
pub(super) struct PropertiesPlan {
    pub list: PropertyList,
    pub always: Vec<String>,
    pub chunking: Option<Chunking>,
    pub selector: Option<PropertySelector>,
}

pub(super) enum PropertyList {
    Named(Vec<String>),
    /// Where a name lies in each record of an endpoint; the endpoint is its owner's to ask.
    Endpoint {
        path: Vec<Template>,
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
            Self::Endpoint { path } => path,
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

/// Reads `QueryProperties`. The retriever of `PropertiesFromEndpoint` is read by who asks it.
pub(super) fn query_properties(component: &Component<'_>) -> PropertiesPlan {
    let list = match component.field("property_list") {
        Some(Node { value: NodeValue::Table(_), .. }) => {
            let path = component.child("property_list", &["PropertiesFromEndpoint"], true).map(|(_, endpoint)| {
                let path = templates(&endpoint, "property_field_path");
                endpoint.finish(&["retriever"]);
                path
            });
            PropertyList::Endpoint { path: path.unwrap_or_default() }
        }
        _ => PropertyList::Named(texts(component, "property_list")),
    };
    let always = texts(component, "always_include_properties");
    let chunking = component.child("property_chunking", &["PropertyChunking"], false).map(|(_, part)| chunking(&part));
    let selector = component.child("property_selector", &["JsonSchemaPropertySelector"], false).map(|(_, part)| {
        let transformations = transform::transformations(&part, "transformations");
        part.finish(&[]);
        PropertySelector { transformations }
    });
    component.finish(&[]);
    PropertiesPlan { list, always, chunking, selector }
}

fn chunking(part: &Component<'_>) -> Chunking {
    let by_characters = match part.text("property_limit_type") {
        Some("characters") => true,
        Some("property_count") => false,
        _ => {
            part.refuse(
                "property_limit_type",
                "'property_limit_type' is missing or not known",
                "characters or property_count",
            );
            false
        }
    };
    let limit = part.count("property_limit");
    let merge_keys = part.child("record_merge_strategy", &["GroupByKeyMergeStrategy"], false).map(|(_, strategy)| {
        let keys = super::load::names(&strategy, "key");
        if strategy.field("key").is_none() {
            strategy.refuse("key", "'key' is missing", "name the fields by which records are the same");
        }
        strategy.finish(&[]);
        keys.unwrap_or_default()
    });
    part.finish(&[]);
    Chunking { by_characters, limit, merge_keys: merge_keys.unwrap_or_else(|| vec!["id".to_owned()]) }
}

/// A request's body by `request_body`, as one of the two older fields has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum RequestBody<'n> {
    /// As `request_body_json`.
    Json(&'n Node),
    /// As `request_body_data`: a table is a form, a text is itself.
    Data(&'n Node),
}

/// Reads `request_body`, where it is given.
pub(super) fn request_body<'n>(requester: &Component<'n>) -> Option<RequestBody<'n>> {
    let kinds = ["RequestBodyJsonObject", "RequestBodyGraphQL", "RequestBodyPlainText", "RequestBodyUrlEncodedForm"];
    let (kind, body) = requester.child("request_body", &kinds, false)?;
    let Some(value) = body.field("value") else {
        body.refuse("value", "'value' is missing", "write what is sent");
        return None;
    };
    body.finish(&[]);
    let (wanted, fits) = match kind {
        "RequestBodyPlainText" => ("text", value.text().is_some()),
        _ => ("a table of keys", matches!(value.value, NodeValue::Table(_))),
    };
    if !fits {
        body.refuse("value", &format!("{wanted} is expected, not {}", value.kind()), "");
        return None;
    }
    if kind == "RequestBodyGraphQL" && value.get("query").is_none() {
        body.refuse("value", "the query is missing", "write value: {query: ...}");
    }
    match kind {
        "RequestBodyJsonObject" | "RequestBodyGraphQL" => Some(RequestBody::Json(value)),
        _ => Some(RequestBody::Data(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(always: &[&str], chunking: Option<(bool, Option<u64>)>) -> PropertiesPlan {
        let chunking =
            chunking.map(|(by_characters, limit)| Chunking { by_characters, limit, merge_keys: vec!["id".into()] });
        let always = always.iter().map(|name| (*name).to_owned()).collect();
        PropertiesPlan { list: PropertyList::Named(Vec::new()), always, chunking, selector: None }
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

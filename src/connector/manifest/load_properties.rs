//! Reading what a requester asks for by name, and the newer form of its body.

use super::{
    load,
    load_fields::templates,
    properties::{Chunking, PropertiesPlan, PropertyList, PropertySelector},
    reader::Component,
    transform::{self, texts},
};
use crate::yaml::{Node, NodeValue};

/// The fields that a requester asks for, wherever it says so: in one of its parameters, by itself, or by the older field.
pub(super) fn asked_fields(requester: &Component<'_>) -> Option<PropertiesPlan> {
    let mut found: Option<PropertiesPlan> = None;
    let parameters = requester.field("request_parameters");
    for (name, node) in parameters.map(Node::entries).unwrap_or_default() {
        if !matches!(node.value, NodeValue::Table(_)) {
            continue;
        }
        let path = format!("{}.{name}", requester.at("request_parameters"));
        let Some((_, part)) = requester.open(node, path, &["QueryProperties"]) else { continue };
        if found.is_some() {
            part.refuse("property_list", "the fields of a stream are named in two parameters", "leave one out");
        }
        found = Some(PropertiesPlan { key: Some(name.clone()), ..query_properties(&part) });
    }
    let older = requester.child("fetch_properties_from_endpoint", &["PropertiesFromEndpoint"], false);
    let apart = requester.child("query_properties", &["QueryProperties"], false);
    if let (Some(_), Some((_, part))) = (&found, &older) {
        part.refuse("retriever", "the fields of a stream are named in a parameter, too", "leave one out");
    }
    found
        .or_else(|| {
            let list = endpoint(&older?.1)?;
            Some(PropertiesPlan { key: None, list, always: Vec::new(), chunking: None, selector: None })
        })
        .or_else(|| apart.map(|(_, part)| query_properties(&part)))
}

/// A retriever that gives the names.
fn endpoint(part: &Component<'_>) -> Option<PropertyList> {
    let path = templates(part, "property_field_path");
    let plan = load::lone_retriever(part, "dynamic_properties");
    part.finish(&[]);
    Some(PropertyList::Endpoint { path, endpoint: Box::new(plan?) })
}

/// Reads `QueryProperties`.
fn query_properties(component: &Component<'_>) -> PropertiesPlan {
    let list = match component.field("property_list") {
        Some(Node { value: NodeValue::Table(_), .. }) => {
            let found = component.child("property_list", &["PropertiesFromEndpoint"], true);
            found.and_then(|(_, part)| endpoint(&part)).unwrap_or(PropertyList::Named(Vec::new()))
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
    PropertiesPlan { key: None, list, always, chunking, selector }
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
        let keys = load::names(&strategy, "key");
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
    /// As `request_body_json`, with a query.
    Query(&'n Node),
    /// As `request_body_data`: a table is a form, a text is itself.
    Data(&'n Node),
}

impl RequestBody<'_> {
    pub fn is_query(&self) -> bool {
        matches!(self, Self::Query(_))
    }
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
        "RequestBodyJsonObject" => Some(RequestBody::Json(value)),
        "RequestBodyGraphQL" => Some(RequestBody::Query(value)),
        _ => Some(RequestBody::Data(value)),
    }
}

//! Types and `$parameters`, handed down through a manifest.
//!
//! Owns the rules by which a component without `type` gets one from its place, and by which `$parameters` become fields of
//! every component below: a component's own field wins unless it is empty, a table that is no component keeps what it has.
//! What a JSON schema holds is left alone.

use crate::yaml::{Node, NodeValue};

type Parameters = Vec<(String, Node)>;

/// `$parameters` as a key.
const PARAMETERS: &str = "$parameters";

/// The component that is meant where none is named, by the place.
const DEFAULT_TYPES: [(&str, &str); 37] = [
    ("CompositeErrorHandler.error_handlers", "DefaultErrorHandler"),
    ("CursorPagination.decoder", "JsonDecoder"),
    ("DatetimeBasedCursor.end_datetime", "MinMaxDatetime"),
    ("DatetimeBasedCursor.end_time_option", "RequestOption"),
    ("DatetimeBasedCursor.start_datetime", "MinMaxDatetime"),
    ("DatetimeBasedCursor.start_time_option", "RequestOption"),
    ("DeclarativeSource.check", "CheckStream"),
    ("DeclarativeSource.spec", "Spec"),
    ("DeclarativeSource.streams", "DeclarativeStream"),
    ("DeclarativeStream.retriever", "SimpleRetriever"),
    ("DeclarativeStream.schema_loader", "JsonFileSchemaLoader"),
    ("DynamicDeclarativeStream.stream_template", "DeclarativeStream"),
    ("DynamicDeclarativeStream.components_resolver", "ConfigComponentsResolver"),
    ("HttpComponentsResolver.retriever", "SimpleRetriever"),
    ("HttpComponentsResolver.components_mapping", "ComponentMappingDefinition"),
    ("ConfigComponentsResolver.stream_config", "StreamConfig"),
    ("ConfigComponentsResolver.components_mapping", "ComponentMappingDefinition"),
    ("DefaultErrorHandler.response_filters", "HttpResponseFilter"),
    ("DefaultPaginator.decoder", "JsonDecoder"),
    ("DefaultPaginator.page_size_option", "RequestOption"),
    ("DpathExtractor.decoder", "JsonDecoder"),
    ("DpathExtractor.record_expander", "RecordExpander"),
    ("RecordExpander.parent_fields", "ParentFieldPath"),
    ("HttpRequester.error_handler", "DefaultErrorHandler"),
    ("ListPartitionRouter.request_option", "RequestOption"),
    ("ParentStreamConfig.request_option", "RequestOption"),
    ("ParentStreamConfig.stream", "DeclarativeStream"),
    ("RecordSelector.extractor", "DpathExtractor"),
    ("RecordSelector.record_filter", "RecordFilter"),
    ("SimpleRetriever.paginator", "NoPagination"),
    ("SimpleRetriever.record_selector", "RecordSelector"),
    ("SimpleRetriever.requester", "HttpRequester"),
    ("SubstreamPartitionRouter.parent_stream_configs", "ParentStreamConfig"),
    ("AddFields.fields", "AddedFieldDefinition"),
    ("CustomPartitionRouter.parent_stream_configs", "ParentStreamConfig"),
    ("DynamicSchemaLoader.retriever", "SimpleRetriever"),
    ("SchemaTypeIdentifier.types_map", "TypesMap"),
];

/// Sections that are only the target of references.
const NOT_READ: [&str; 2] = ["definitions", "schemas"];

/// The manifest with every component's type and parameters. References are resolved already.
pub(super) fn propagate(root: Node) -> Node {
    let NodeValue::Table(entries) = root.value else { return root };
    let mut entries: Vec<(String, Node)> =
        entries.into_iter().filter(|(key, _)| !NOT_READ.contains(&key.as_str())).collect();
    // Older manifests do not say what they are.
    if !entries.iter().any(|(key, _)| key == "type") {
        entries.push(("type".to_owned(), Node { line: None, value: NodeValue::Text("DeclarativeSource".to_owned()) }));
    }
    component("", Node { line: root.line, value: NodeValue::Table(entries) }, &[], false)
}

/// A stream that was made of a template, once more: `outer_wins` says that parameters of what holds a component win over its own.
pub(super) fn made(stream: Node, outer_wins: bool) -> Node {
    component("", stream, &[], outer_wins)
}

fn component(place: &str, node: Node, parent: &[(String, Node)], outer_wins: bool) -> Node {
    let line = node.line;
    let NodeValue::Table(mut fields) = node.value else { return node };
    if !fields.iter().any(|(key, _)| key == "type") && !fields.iter().any(|(key, _)| key == "class_name") {
        let found = DEFAULT_TYPES.iter().find(|(at, _)| *at == place);
        fields.extend(
            found.map(|(_, name)| ("type".to_owned(), Node { line, value: NodeValue::Text((*name).to_owned()) })),
        );
    }
    let own = match fields.iter().position(|(key, _)| key == PARAMETERS).map(|at| fields.remove(at).1.value) {
        Some(NodeValue::Table(own)) => own,
        _ => Parameters::new(),
    };
    let (mut parameters, winners) = if outer_wins { (own, parent.to_vec()) } else { (parent.to_vec(), own) };
    for (key, value) in winners {
        put(&mut parameters, key, value);
    }
    // A schema's `type` may be a list of words, and a schema may have a property that is called `type`.
    let name = match fields.iter().find(|(key, _)| key == "type").map(|(_, node)| &node.value) {
        Some(NodeValue::Text(name)) if name != "object" => Some(name.clone()),
        Some(NodeValue::Text(_) | NodeValue::List(_) | NodeValue::Table(_)) => {
            return Node { line, value: NodeValue::Table(fields) };
        }
        Some(NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_)) | None => None,
    };
    let Some(name) = name else {
        let inner =
            |node: Node| if is_component(&node) { component(place, node, &parameters, outer_wins) } else { node };
        let fields = fields.into_iter().map(|(key, node)| (key, inner(node))).collect();
        return Node { line, value: NodeValue::Table(fields) };
    };
    for (key, value) in &parameters {
        match fields.iter_mut().find(|(have, _)| have == key) {
            Some((_, have)) if is_empty(have) => *have = value.clone(),
            Some(_) => {}
            None => fields.push((key.clone(), value.clone())),
        }
    }
    let mut out = Vec::with_capacity(fields.len() + 1);
    for (key, value) in fields {
        let place = format!("{name}.{key}");
        // A parameter is not handed into the field that it became: it would find itself there without end.
        let excluded = matches!(value.value, NodeValue::Table(_) | NodeValue::List(_))
            .then(|| parameters.iter().position(|(have, _)| *have == key).map(|at| parameters.remove(at)))
            .flatten();
        let value = match value.value {
            NodeValue::Table(_) => component(&place, value, &parameters, outer_wins),
            NodeValue::List(items) => {
                let inner = |node: Node| match node.value {
                    NodeValue::Table(_) => component(&place, node, &parameters, outer_wins),
                    _ => node,
                };
                Node { line: value.line, value: NodeValue::List(items.into_iter().map(inner).collect()) }
            }
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) => value,
        };
        parameters.extend(excluded.filter(|(_, value)| !is_empty(value)));
        out.push((key, value));
    }
    if !parameters.is_empty() {
        out.push((PARAMETERS.to_owned(), Node { line, value: NodeValue::Table(parameters) }));
    }
    Node { line, value: NodeValue::Table(out) }
}

fn put(parameters: &mut Parameters, key: String, value: Node) {
    match parameters.iter_mut().find(|(have, _)| *have == key) {
        Some((_, have)) => *have = value,
        None => parameters.push((key, value)),
    }
}

fn is_component(node: &Node) -> bool {
    matches!(node.value, NodeValue::Table(_)) && node.get("type").is_some_and(|name| !is_empty(name))
}

/// What counts as nothing in the format's own language.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        NodeValue::Null => true,
        NodeValue::Bool(truth) => !truth,
        NodeValue::Number(number) => number.as_f64() == Some(0.0),
        NodeValue::Text(text) => text.is_empty(),
        NodeValue::List(items) => items.is_empty(),
        NodeValue::Table(entries) => entries.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::yaml::{self, Dialect};

    fn propagated(text: &str) -> Value {
        propagate(yaml::parse(text, Dialect::Yaml11).unwrap()).to_json()
    }

    /// Recorded from the format's own reader.
    #[test]
    fn types_and_parameters_come_out_as_the_format_has_them() {
        for (text, expected) in [
            (
                "type: DeclarativeSource\nstreams:\n  - $parameters: {a: 1}\n    retriever: {$parameters: {a: 2, b: 3}, requester: {b: 0, request_parameters: {q: x, n: {type: QueryProperties, property_list: [x]}}}}",
                json!({"type": "DeclarativeSource", "streams": [{"retriever": {"requester": {"b": 3, "request_parameters": {"q": "x", "n": {"type": "QueryProperties", "property_list": ["x"], "a": 2, "b": 3, "$parameters": {"a": 2, "b": 3}}}, "type": "HttpRequester", "a": 2, "$parameters": {"a": 2, "b": 3}}, "type": "SimpleRetriever", "a": 2, "b": 3, "$parameters": {"a": 2, "b": 3}}, "type": "DeclarativeStream", "a": 1, "$parameters": {"a": 1}}]}),
            ),
            (
                "type: DeclarativeSource\n$parameters: {k: v}\nspec: {connection_specification: {type: object, properties: {a: {type: string}}}}\nstreams: [{schema_loader: {type: InlineSchemaLoader, schema: {type: [object, 'null'], properties: {type: {type: string}}}}}]",
                json!({"type": "DeclarativeSource", "spec": {"connection_specification": {"type": "object", "properties": {"a": {"type": "string"}}}, "type": "Spec", "k": "v", "$parameters": {"k": "v"}}, "streams": [{"schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": ["object", "null"], "properties": {"type": {"type": "string"}}}, "k": "v", "$parameters": {"k": "v"}}, "type": "DeclarativeStream", "k": "v", "$parameters": {"k": "v"}}], "k": "v", "$parameters": {"k": "v"}}),
            ),
            (
                "type: DeclarativeSource\nstreams:\n  - $parameters: {retriever: {requester: {path: /p}}, k: 1}\n    name: s",
                json!({"type": "DeclarativeSource", "streams": [{"name": "s", "type": "DeclarativeStream", "retriever": {"requester": {"path": "/p", "type": "HttpRequester", "k": 1, "$parameters": {"k": 1}}, "type": "SimpleRetriever", "k": 1, "$parameters": {"k": 1}}, "k": 1, "$parameters": {"k": 1, "retriever": {"requester": {"path": "/p"}}}}]}),
            ),
            (
                "type: DeclarativeSource\nstreams:\n  - $parameters: {k: 1}\n    transformations: [{type: AddFields, fields: [{path: [a], value: b}]}]\n    retriever: {paginator: {pagination_strategy: {type: PageIncrement, $parameters: {k: 2}}}}",
                json!({"type": "DeclarativeSource", "streams": [{"transformations": [{"type": "AddFields", "fields": [{"path": ["a"], "value": "b", "type": "AddedFieldDefinition", "k": 1, "$parameters": {"k": 1}}], "k": 1, "$parameters": {"k": 1}}], "retriever": {"paginator": {"pagination_strategy": {"type": "PageIncrement", "k": 2, "$parameters": {"k": 2}}, "type": "NoPagination", "k": 1, "$parameters": {"k": 1}}, "type": "SimpleRetriever", "k": 1, "$parameters": {"k": 1}}, "type": "DeclarativeStream", "k": 1, "$parameters": {"k": 1}}]}),
            ),
        ] {
            assert_eq!(propagated(text), expected, "{text}");
        }
    }
}

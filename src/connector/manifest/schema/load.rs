//! Reading schema loaders.

use serde_json::{Value, json};

use super::{
    SchemaPlan,
    dynamic::{ComplexType, DynamicPlan, Target, TypeRule, is_type},
};
use crate::{
    connector::manifest::{
        load::lone_retriever, load_fields::templates, plan::StreamPlan, reader::Component, transform,
    },
    yaml::{Node, NodeValue},
};

/// What a retriever of fields is called in messages.
const LISTING: &str = "fields of a schema";

const KINDS: [&str; 3] = ["InlineSchemaLoader", "JsonFileSchemaLoader", "DynamicSchemaLoader"];

/// The loader, or the list of them, in `schema_loader`.
pub(in crate::connector::manifest) fn schema_loader(component: &Component<'_>) -> SchemaPlan {
    match component.field("schema_loader") {
        None => SchemaPlan::None,
        Some(Node { value: NodeValue::List(_), .. }) => {
            let parts = component.children("schema_loader", &KINDS);
            SchemaPlan::Composite(parts.iter().filter_map(|(kind, part)| plan(kind, part)).collect())
        }
        Some(_) => {
            let part = component.child("schema_loader", &KINDS, true);
            part.and_then(|(kind, part)| plan(kind, &part)).unwrap_or(SchemaPlan::None)
        }
    }
}

fn plan(kind: &str, component: &Component<'_>) -> Option<SchemaPlan> {
    let plan = match kind {
        "InlineSchemaLoader" => {
            let schema = component.field("schema").map_or_else(|| json!({}), Node::to_json);
            if !schema.is_object() {
                component.refuse("schema", "the schema is not a table", "");
            }
            Some(SchemaPlan::Inline(schema))
        }
        "JsonFileSchemaLoader" => {
            let path = component.field("file_path").filter(|node| node.text() != Some(""));
            let default = Node { line: component.node.line, value: NodeValue::Text(DEFAULT_FILE.to_owned()) };
            let path = component.compile(path.unwrap_or(&default), &component.at("file_path"));
            path.map(SchemaPlan::File)
        }
        _ => dynamic(component).map(Box::new).map(SchemaPlan::Dynamic),
    };
    component.finish(&["name", "primary_key"]);
    plan
}

/// Where a schema file lies when the manifest does not say.
const DEFAULT_FILE: &str = "./{{ parameters['name'] }}.json";

fn dynamic(component: &Component<'_>) -> Option<DynamicPlan> {
    let retriever = lone_retriever(component, LISTING).map(|plan| StreamPlan {
        // The first record is read of a slice without anything in it.
        router: None,
        ..plan
    });
    let filter = component.child("schema_filter", &["RecordFilter"], false).and_then(|(_, filter)| {
        let condition = filter.condition("condition", true);
        filter.finish(&[]);
        condition
    });
    let transformations = transform::transformations(component, "schema_transformations");
    let (_, identifier) = component.child("schema_type_identifier", &["SchemaTypeIdentifier"], true)?;
    let key = templates(&identifier, "key_pointer");
    if identifier.field("key_pointer").is_none() {
        identifier.refuse("key_pointer", "'key_pointer' is missing", "name where a field's name lies");
    }
    let kind = Some(templates(&identifier, "type_pointer")).filter(|path| !path.is_empty());
    let fields = templates(&identifier, "schema_pointer");
    let rules = identifier.children("types_mapping", &["TypesMap"]);
    let types = rules.iter().filter_map(|(_, rule)| type_rule(rule)).collect();
    identifier.finish(&[]);
    let retriever = retriever?;
    Some(DynamicPlan { retriever, fields, key, kind, types, filter, transformations })
}

fn type_rule(rule: &Component<'_>) -> Option<TypeRule> {
    let current = rule.field("current_type").map_or(Value::Null, Node::to_json);
    let target = match rule.field("target_type") {
        None => {
            rule.refuse("target_type", "'target_type' is missing", "");
            None
        }
        Some(node) if matches!(node.value, NodeValue::Table(_)) => rule
            .child("target_type", &["ComplexFieldType"], true)
            .and_then(|(_, part)| complex(&part))
            .map(Target::Complex),
        Some(node) => {
            let names = node.to_json();
            let all: Vec<_> = names.as_array().map_or_else(|| vec![&names], |names| names.iter().collect());
            for name in all {
                if !name.as_str().is_some_and(is_type) {
                    let message = format!("{name} is no type of a field");
                    rule.refuse("target_type", &message, "string, integer, number, boolean, array, object, date, ...");
                }
            }
            Some(Target::Named(names))
        }
    };
    let condition = rule.condition("condition", false);
    rule.finish(&[]);
    Some(TypeRule { current, target: target?, condition })
}

fn complex(component: &Component<'_>) -> Option<ComplexType> {
    let name = component.text("field_type").map(str::to_owned);
    if !name.as_deref().is_some_and(is_type) {
        component.refuse("field_type", "the type of the field is missing or not known", "such as array");
    }
    let items = match component.field("items") {
        None => None,
        Some(Node { value: NodeValue::Text(name), .. }) => Some(ComplexType { name: name.clone(), items: None }),
        Some(_) => component.child("items", &["ComplexFieldType"], true).and_then(|(_, part)| complex(&part)),
    };
    if items.is_some() && name.as_deref() != Some("array") {
        component.refuse("items", "only an array has items", "leave it out");
    }
    component.finish(&[]);
    Some(ComplexType { name: name?, items: items.map(Box::new) })
}

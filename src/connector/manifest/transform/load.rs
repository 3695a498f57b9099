//! Reading transformations.

use super::{AddedField, FlattenAt, Kind, Step, Transformation};
use crate::{
    connector::manifest::{load_fields::templates, reader::Component},
    yaml::{Node, NodeValue},
};

const KINDS: [&str; 7] = [
    "AddFields",
    "RemoveFields",
    "KeysToLower",
    "KeysToSnakeCase",
    "KeysReplace",
    "FlattenFields",
    "DpathFlattenFields",
];

/// The steps in that field, in their order.
pub(in crate::connector::manifest) fn transformations(
    component: &Component<'_>,
    key: &'static str,
) -> Vec<Transformation> {
    let steps = component.children(key, &KINDS);
    steps.iter().filter_map(|(kind, step)| transformation(kind, step)).collect()
}

fn transformation(kind: &str, step: &Component<'_>) -> Option<Transformation> {
    let plan = match kind {
        "AddFields" => {
            let condition = condition(step);
            let fields = added_fields(step, "fields");
            Some(Transformation::Add { fields, condition })
        }
        "RemoveFields" => {
            Some(Transformation::Remove { condition: condition(step), pointers: pointers(step, "field_pointers") })
        }
        "KeysToLower" => Some(Transformation::KeysToLower),
        "KeysToSnakeCase" => Some(Transformation::KeysToSnakeCase),
        "KeysReplace" => {
            let old = step.template("old", true);
            let new = step.template("new", true);
            old.zip(new).map(|(old, new)| Transformation::KeysReplace { old, new })
        }
        "FlattenFields" => {
            let lists = step.field("flatten_lists").is_none() || step.truth("flatten_lists");
            Some(Transformation::Flatten { lists })
        }
        _ => {
            let path = templates(step, "field_path");
            let (prefix, suffix) =
                step.child("key_transformation", &["KeyTransformation"], false).map_or((None, None), |(_, keys)| {
                    let affixes = (keys.template("prefix", false), keys.template("suffix", false));
                    keys.finish(&[]);
                    affixes
                });
            let (delete_origin, replace_record) = (step.truth("delete_origin_value"), step.truth("replace_record"));
            Some(Transformation::FlattenAt(FlattenAt { path, delete_origin, replace_record, prefix, suffix }))
        }
    };
    step.finish(&[]);
    plan
}

/// An empty condition is none.
fn condition(step: &Component<'_>) -> Option<super::Template> {
    step.field("condition").filter(|node| node.text() != Some(""))?;
    step.condition("condition", false)
}

/// The fields of `AddFields` and of `ConfigAddFields`.
pub(in crate::connector::manifest) fn added_fields(step: &Component<'_>, key: &'static str) -> Vec<AddedField> {
    let mut out = Vec::new();
    for (_, field) in step.children(key, &["AddedFieldDefinition"]) {
        let path = texts(&field, "path");
        if path.is_empty() {
            field.refuse("path", "the path of the new field is missing", "write a list with at least one name");
        }
        let kind = match field.text("value_type") {
            None => None,
            Some("string") => Some(Kind::String),
            Some("number") => Some(Kind::Number),
            Some("integer") => Some(Kind::Integer),
            Some("boolean") => Some(Kind::Boolean),
            Some(other) => {
                let message = format!("'{other}' is not a type of value");
                field.refuse("value_type", &message, "string, number, integer or boolean");
                None
            }
        };
        if let Some(value) = field.template("value", true) {
            out.push(AddedField { path, value, kind });
        }
        field.finish(&[]);
    }
    out
}

/// A list of names; numbers are taken as their text.
pub(in crate::connector::manifest) fn texts(component: &Component<'_>, key: &'static str) -> Vec<String> {
    let items = component.list(key).into_iter().enumerate();
    items
        .filter_map(|(at, node)| {
            let text = node.scalar_text();
            if text.is_none() {
                let message = format!("a name is expected, not {}", node.kind());
                component.refuse_at(node, &format!("{}[{at}]", component.at(key)), &message, "");
            }
            text
        })
        .collect()
}

/// Lists of steps, as `field_pointers` has them.
pub(in crate::connector::manifest) fn pointers(component: &Component<'_>, key: &'static str) -> Vec<Vec<Step>> {
    let mut out = Vec::new();
    for (at, pointer) in component.list(key).into_iter().enumerate() {
        let steps = match &pointer.value {
            NodeValue::List(items) => items.iter().map(Node::scalar_text).collect::<Option<Vec<_>>>(),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) | NodeValue::Table(_) => {
                None
            }
        };
        match steps {
            Some(steps) => out.push(steps.into_iter().map(Step::Text).collect()),
            None => {
                let path = format!("{}[{at}]", component.at(key));
                component.refuse_at(pointer, &path, "a list of names is expected", "write [name] or [outer, name]");
            }
        }
    }
    out
}

//! Reading `dynamic_streams`: the template, where its values come from, what is written where.
//!
//! Owns the check of a template: what needs Python is refused in any; everything else where no value is written to it.

use serde_json::Value;

use super::{
    Configured, Listing, Maker,
    mapping::{Mapping, Reading},
};
use crate::{
    connector::manifest::{
        literal::Types,
        load::lone_retriever,
        load_fields::templates,
        load_streams,
        reader::{Component, Load},
        transform::texts,
    },
    yaml::{Node, NodeValue, Problem},
};

/// What a retriever of values is called in messages.
const LISTING: &str = "listing of streams";

/// Reads the maker with that number.
pub(in crate::connector::manifest) fn maker(component: &Component<'_>, number: usize) -> Option<Maker> {
    let name = component.text("name").map_or_else(|| format!("dynamic_stream_{number}"), str::to_owned);
    let outer_parameters_win =
        component.field("use_parent_parameters").is_none() || component.truth("use_parent_parameters");
    let resolvers = ["ConfigComponentsResolver", "HttpComponentsResolver", "ParametrizedComponentsResolver"];
    let resolver = component.child("components_resolver", &resolvers, true);
    let read = resolver.and_then(|(kind, resolver)| {
        let listing = listing(kind, &resolver);
        let mappings = resolver.children("components_mapping", &["ComponentMappingDefinition"]);
        if resolver.field("components_mapping").is_none() {
            resolver.refuse("components_mapping", "'components_mapping' is missing", "say what is written where");
        }
        let paths = mappings.iter().map(|(_, mapping)| texts(mapping, "field_path")).collect::<Vec<_>>();
        let mappings = mappings.iter().filter_map(|(_, part)| mapping(kind, part)).collect();
        resolver.finish(&[]);
        Some((listing?, mappings, paths))
    });
    let template = component.field("stream_template");
    if template.is_none() {
        component.refuse("stream_template", "'stream_template' is missing", "");
    }
    component.finish(&[]);
    let (listing, mappings, paths) = read?;
    let template = template?;
    check(component, template, &paths);
    Some(Maker { name, template: template.to_json(), outer_parameters_win, listing, mappings })
}

fn listing(kind: &str, resolver: &Component<'_>) -> Option<Listing> {
    match kind {
        "HttpComponentsResolver" => lone_retriever(resolver, LISTING).map(|plan| Listing::Asked(Box::new(plan))),
        "ConfigComponentsResolver" => {
            let lists = match resolver.field("stream_config") {
                Some(Node { value: NodeValue::List(_), .. }) => resolver.children("stream_config", &["StreamConfig"]),
                _ => resolver.child("stream_config", &["StreamConfig"], true).into_iter().collect(),
            };
            let configured = |(_, part): &(&str, Component<'_>)| {
                let defaults = part.list("default_values").into_iter().map(Node::to_json).collect();
                if part.field("configs_pointer").is_none() {
                    part.refuse("configs_pointer", "'configs_pointer' is missing", "name an option of the config");
                }
                let pointer = templates(part, "configs_pointer");
                part.finish(&[]);
                Configured { pointer, defaults }
            };
            Some(Listing::Configured(lists.iter().map(configured).collect()))
        }
        _ => {
            let (_, given) = resolver.child("stream_parameters", &["StreamParametersDefinition"], true)?;
            let values: Vec<Value> =
                given.list("list_of_parameters_for_stream").into_iter().map(Node::to_json).collect();
            given.finish(&[]);
            Some(Listing::Given(values))
        }
    }
}

fn mapping(kind: &str, component: &Component<'_>) -> Option<Mapping> {
    let path = templates(component, "field_path");
    if path.is_empty() {
        component.refuse("field_path", "'field_path' is missing", "say where in the template the value is written");
    }
    let value = component.template("value", true);
    let types = match component.text("value_type") {
        None => Types::ANY,
        Some("string") => Types::TEXT,
        Some("number") => Types::FLOAT,
        Some("integer") => Types::INTEGER,
        Some("boolean") => Types::BOOLEAN,
        Some(other) => {
            component.refuse("value_type", &format!("'{other}' is no type"), "string, number, integer or boolean");
            Types::ANY
        }
    };
    let condition = component.template("condition", false).filter(|condition| !condition.source().is_empty());
    if condition.is_some() && kind != "ConfigComponentsResolver" {
        component.refuse("condition", &format!("a {kind} knows no condition"), "write it into the value's template");
    }
    let create = component.truth("create_or_update");
    let reading = match kind {
        "HttpComponentsResolver" => Reading::Never,
        "ConfigComponentsResolver" => Reading::UnlessText,
        _ => Reading::Always,
    };
    component.finish(&[]);
    // Values that the provider lists are only written to what the template has.
    let create = create && reading != Reading::Never;
    Some(Mapping { path, value: value?, types, create, condition, reading })
}

/// Tells what is wrong with a template whatever is written into it.
fn check(maker: &Component<'_>, template: &Node, paths: &[Vec<String>]) {
    let at = maker.at("stream_template");
    let load = Load::default();
    let scratch = Component::root(template, &load);
    if let Some((kind, stream)) = scratch.open(template, at.clone(), &load_streams::STREAMS) {
        load_streams::stream(kind, &stream);
    }
    for problem in load.problems.into_inner() {
        let inside = problem.field.strip_prefix(&at).unwrap_or(&problem.field);
        if !written(inside, paths) || problem.message.contains("needs Python") {
            let Problem { line, field, message, remedy } = problem;
            let node = Node { line, value: NodeValue::Null };
            maker.refuse_at(&node, &field, &message, &remedy);
        }
    }
}

/// Whether a value is written at a place, inside of it or around it. Parameters reach everything.
fn written(place: &str, paths: &[Vec<String>]) -> bool {
    let place: Vec<&str> = place.split(['.', '[', ']']).filter(|part| !part.is_empty()).collect();
    paths.iter().any(|path| {
        let open = |part: &String| part.contains(['*', '?', '[', '{']);
        path.iter().any(|part| part == "$parameters" || part == "**")
            || path.iter().zip(&place).all(|(step, part)| open(step) || step == part)
    })
}

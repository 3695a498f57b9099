//! Reading partition routers.

use std::sync::Arc;

use super::{
    engine::Template,
    load_request, load_streams,
    partition::{Parent, Router, Values},
    reader::Component,
};
use crate::yaml::NodeValue;

const ROUTERS: [&str; 4] =
    ["ListPartitionRouter", "SubstreamPartitionRouter", "GroupingPartitionRouter", "UnionPartitionRouter"];
/// What may be part of a group or a union.
const SINGLE: [&str; 3] = ["ListPartitionRouter", "SubstreamPartitionRouter", "UnionPartitionRouter"];

/// What a retriever is partitioned by; a list of routers is their product, also of a single one: its state keeps none of parents.
pub(super) fn router(retriever: &Component<'_>) -> Option<Router> {
    let node = retriever.field("partition_router")?;
    if matches!(node.value, NodeValue::List(_)) {
        let found = retriever.children("partition_router", &ROUTERS);
        let routers: Vec<Router> = found.iter().filter_map(|(kind, component)| one(kind, component)).collect();
        return (!routers.is_empty()).then_some(Router::Product(routers));
    }
    let (kind, component) = retriever.child("partition_router", &ROUTERS, true)?;
    one(kind, &component)
}

fn one(kind: &str, component: &Component<'_>) -> Option<Router> {
    let found = match kind {
        "ListPartitionRouter" => list(component),
        "SubstreamPartitionRouter" => {
            let parents = component.children("parent_stream_configs", &["ParentStreamConfig"]);
            if component.list("parent_stream_configs").is_empty() {
                component.refuse("parent_stream_configs", "a list of at least one parent stream is expected", "");
            }
            Some(Router::Parents(parents.iter().filter_map(|(_, parent)| self::parent(parent)).collect()))
        }
        "UnionPartitionRouter" => {
            let found = component.children("partition_routers", &SINGLE);
            let of: Vec<Router> = found.iter().filter_map(|(kind, part)| one(kind, part)).collect();
            if component.list("partition_routers").len() < 2 {
                component.refuse("partition_routers", "a list of at least two routers is expected", "");
            }
            component.template("partition_field", true).map(|field| Router::Union { of, field })
        }
        _ => {
            let size = component.count("group_size").filter(|size| *size > 0);
            if size.is_none() {
                component.refuse("group_size", "a whole number from 1 is expected", "");
            }
            let of = component
                .child("underlying_partition_router", &SINGLE, true)
                .and_then(|(kind, inner)| one(kind, &inner));
            let distinct = component.field("deduplicate").is_none() || component.truth("deduplicate");
            of.zip(size).map(|(of, size)| Router::Groups { of: Box::new(of), size, distinct })
        }
    };
    component.finish(&[]);
    found
}

fn list(component: &Component<'_>) -> Option<Router> {
    let node = component.field("values");
    let values = match node.map(|node| &node.value) {
        Some(NodeValue::List(items)) => Some(Values::Listed(items.iter().map(crate::yaml::Node::to_json).collect())),
        Some(NodeValue::Text(_)) => component.template("values", true).map(Values::Computed),
        Some(NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Table(_)) | None => {
            component.refuse("values", "a list, or a template that gives one, is expected", "");
            None
        }
    };
    let field = component.template("cursor_field", true);
    let option = component
        .child("request_option", &["RequestOption"], false)
        .and_then(|(_, option)| load_request::request_option(&option));
    Some(Router::List { values: values?, field: field?, option })
}

fn parent(component: &Component<'_>) -> Option<Parent> {
    let stream = component.child("stream", &load_streams::STREAMS, true);
    let definition = stream.as_ref().map_or(0, |(_, stream)| stream.definition());
    let plan = stream.and_then(|(kind, stream)| load_streams::stream(kind, &stream));
    let key = component.template("parent_key", true);
    let field = component.template("partition_field", true);
    let mut extra = Vec::new();
    for node in component.list("extra_fields") {
        let NodeValue::List(parts) = &node.value else {
            component.refuse_at(
                node,
                &component.at("extra_fields"),
                "a list of paths, each a list of names, is expected",
                "",
            );
            continue;
        };
        extra.push(parts.iter().filter_map(|part| component.compile(part, &component.at("extra_fields"))).collect());
    }
    let option = component
        .child("request_option", &["RequestOption"], false)
        .and_then(|(_, option)| load_request::request_option(&option));
    let incremental = component.truth("incremental_dependency");
    let inside = super::load_fields::templates(component, "lazy_read_pointer");
    if inside.iter().any(|step| step.source().contains('*')) {
        component.refuse("lazy_read_pointer", "a '*' is not possible here", "name the path");
    }
    component.finish(&[]);
    Some(Parent { plan: Arc::new(plan?), definition, key: key?, field: field?, extra, option, incremental, inside })
}

/// The partition's field that old states of a stream name their cursors by, where its `state_migrations` say so.
pub(super) fn old_states(stream: &Component<'_>, router: Option<&Router>, has_cursor: bool) -> Option<Template> {
    let mut wanted = false;
    for (_, part) in stream.children("state_migrations", &["LegacyToPerPartitionStateMigration"]) {
        part.finish(&[]);
        wanted = true;
    }
    let field = match router {
        Some(Router::Parents(parents)) => parents.first().map(|parent| parent.field.clone()),
        Some(Router::Union { field, .. }) => Some(field.clone()),
        Some(Router::List { .. } | Router::Product(_) | Router::Groups { .. }) | None => None,
    };
    if wanted && (field.is_none() || !has_cursor) {
        let message = "old states are only those of a stream with parents or a union as its partitions, and a cursor";
        stream.refuse("state_migrations", message, "leave it out");
    }
    // With several parents nobody knows whose a key is.
    let single = !matches!(router, Some(Router::Parents(parents)) if parents.len() > 1);
    field.filter(|_| wanted && single)
}

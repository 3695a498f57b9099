//! Reading partition routers.

use std::sync::Arc;

use super::{
    load_request, load_streams,
    partition::{Parent, Router, Values},
    reader::Component,
};
use crate::yaml::NodeValue;

const ROUTERS: [&str; 3] = ["ListPartitionRouter", "SubstreamPartitionRouter", "GroupingPartitionRouter"];

/// What a retriever is partitioned by; a list of routers is their product.
pub(super) fn router(retriever: &Component<'_>) -> Option<Router> {
    let node = retriever.field("partition_router")?;
    if matches!(node.value, NodeValue::List(_)) {
        let found = retriever.children("partition_router", &ROUTERS);
        let mut routers: Vec<Router> = found.iter().filter_map(|(kind, component)| one(kind, component)).collect();
        return match routers.len() {
            0 => None,
            1 => routers.pop(),
            _ => Some(Router::Product(routers)),
        };
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
        _ => {
            let size = component.count("group_size").filter(|size| *size > 0);
            if size.is_none() {
                component.refuse("group_size", "a whole number from 1 is expected", "");
            }
            let of = component
                .child("underlying_partition_router", &["ListPartitionRouter", "SubstreamPartitionRouter"], true)
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
    let plan = component.child("stream", &load_streams::STREAMS, true);
    let plan = plan.and_then(|(kind, stream)| load_streams::stream(kind, &stream));
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
    if !component.list("lazy_read_pointer").is_empty() {
        let remedy = "leave it out: each child is asked for by itself";
        component.refuse(
            "lazy_read_pointer",
            "a child's answer inside its parent's is not read in this version",
            remedy,
        );
    }
    component.finish(&[]);
    Some(Parent { plan: Arc::new(plan?), key: key?, field: field?, extra, option, incremental })
}

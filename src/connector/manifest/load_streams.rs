//! Reading what makes a source's streams: streams, those that delegate by their state, those on a condition, and those that are
//! made of a template.
//!
//! Owns which of them depend on the configuration ([`Varying`]). One stream is read by `load`.

use std::sync::Arc;

use serde_json::json;

use super::{
    assemble::ASSEMBLED,
    delegate::Delegate,
    dynamic_streams::{self, Maker},
    engine::Template,
    load,
    plan::StreamPlan,
    reader::Component,
};
use crate::yaml::NodeValue;

/// What may stand where a stream is expected.
pub(super) const STREAMS: [&str; 2] = ["DeclarativeStream", "StateDelegatingStream"];

/// What of a manifest's streams only a configuration decides.
#[derive(Default)]
pub(super) struct Varying {
    /// Conditions of `ConditionalStreams`, by their index in `streams`.
    pub conditions: Vec<(usize, Template)>,
    /// `dynamic_streams`.
    pub makers: Vec<Maker>,
}

impl Varying {
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.makers.is_empty()
    }
}

/// Reads `streams` and `dynamic_streams`. Streams on a condition are among the streams.
pub(super) fn streams(source: &Component<'_>) -> (Vec<StreamPlan>, Varying) {
    let (mut plans, mut varying) = (Vec::new(), Varying::default());
    // Names that stand without a condition, and so must be single.
    for (at, node) in source.list("streams").into_iter().enumerate() {
        let path = format!("{}[{at}]", source.at("streams"));
        let expected = [STREAMS[0], STREAMS[1], "ConditionalStreams"];
        let Some((kind, component)) = source.open(node, path, &expected) else { continue };
        if kind == "ConditionalStreams" {
            let condition = condition(&component);
            varying.conditions.extend(condition.map(|condition| (at, condition)));
            let within = component.children("streams", &STREAMS);
            plans.extend(within.iter().filter_map(|(kind, stream)| self::stream(kind, stream)));
            component.finish(&[]);
            continue;
        }
        let Some(plan) = stream(kind, &component) else { continue };
        plans.push(plan);
    }
    let makers = source.children("dynamic_streams", &["DynamicDeclarativeStream"]);
    for (at, (_, component)) in makers.iter().enumerate() {
        varying.makers.extend(dynamic_streams::maker(component, at));
    }
    let any = !source.list("streams").is_empty() || !source.list("dynamic_streams").is_empty();
    if !any && source.node.get(ASSEMBLED).is_none() {
        source.refuse(
            "streams",
            "the manifest has no streams",
            "add one below `streams:`; tidegate connector new shows a whole one",
        );
    }
    (plans, varying)
}

/// The condition sees the configuration and, as in the format's own reader, no parameters.
fn condition(component: &Component<'_>) -> Option<Template> {
    let Some(node) = component.field("condition") else {
        component.refuse("condition", "'condition' is missing", "say when the streams are there");
        return None;
    };
    let text = match &node.value {
        NodeValue::Text(text) => text.clone(),
        _ => node.scalar_text().unwrap_or_default(),
    };
    let place = component.at("condition");
    match component.load.engine.borrow_mut().compile(&text, &place, &Arc::new(json!({}))) {
        Ok(condition) => Some(condition),
        Err(message) => {
            component.refuse("condition", &message, "");
            None
        }
    }
}

/// Reads a stream of either kind.
pub(super) fn stream(kind: &str, component: &Component<'_>) -> Option<StreamPlan> {
    if kind == STREAMS[0] {
        return load::stream(component);
    }
    let name = component.text("name").map(str::to_owned);
    if name.is_none() {
        component.refuse("name", "'name' is missing", "");
    }
    let way = |key: &'static str| {
        let (_, stream) = component.child(key, &STREAMS[..1], true)?;
        let plan = load::stream(&stream)?;
        if name.as_ref().is_some_and(|name| *name != plan.spec.name) {
            let message = format!("the stream is called '{}' here", plan.spec.name);
            component.refuse(key, &message, "give all three the same name");
        }
        Some(plan)
    };
    let (whole, changes) = (way("full_refresh_stream"), way("incremental_stream"));
    let retention = component.template("api_retention_period", false);
    component.finish(&[]);
    let plan = changes?;
    Some(StreamPlan { delegate: Some(Box::new(Delegate { plan, retention })), ..whole? })
}

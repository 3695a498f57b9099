//! What a manifest says about itself beside its streams: its specification, what a check reads, how much is done at once,
//! which streams are not read together.
//!
//! Owns these plans and their reading. Refuses a check of nothing.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    budget::BudgetPlan,
    config_rules::{self, ConfigRules},
    engine::{Engine, Scope, Template},
    partition::Router,
    plan::StreamPlan,
    reader::Component,
    transform::texts,
};
use crate::{
    connector::{ConnectorError, ErrorKind},
    yaml::{Node, NodeValue},
};

/// All of it.
pub(super) struct SourcePlan {
    pub spec: SpecPlan,
    pub check: Option<CheckPlan>,
    pub concurrency: Option<ConcurrencyPlan>,
    pub budget: Option<Arc<BudgetPlan>>,
    pub groups: Vec<GroupPlan>,
    /// How many jobs a connection may have at the provider at once.
    pub jobs: Option<Template>,
}

/// `spec`.
#[derive(Default)]
pub(super) struct SpecPlan {
    /// Null where there is none.
    pub connection_specification: Value,
    pub documentation_url: Option<String>,
    pub advanced_auth: Option<Value>,
    pub rules: ConfigRules,
}

impl SpecPlan {
    /// As the protocol tells a specification.
    pub fn protocol(&self) -> Value {
        let mut out = json!({"connectionSpecification": self.connection_specification});
        if let Value::Object(fields) = &mut out {
            if let Some(url) = &self.documentation_url {
                fields.insert("documentationUrl".to_owned(), json!(url));
            }
            fields.insert("supportsNormalization".to_owned(), json!(false));
            fields.insert("supportsDBT".to_owned(), json!(false));
            fields.extend(self.advanced_auth.clone().map(|auth| ("advanced_auth".to_owned(), auth)));
        }
        out
    }
}

/// Reads `spec`.
pub(super) fn spec(component: &Component<'_>) -> SpecPlan {
    let plan = SpecPlan {
        connection_specification: component.field("connection_specification").map_or_else(|| json!({}), Node::to_json),
        documentation_url: component.text("documentation_url").filter(|url| !url.is_empty()).map(str::to_owned),
        advanced_auth: component.field("advanced_auth").map(|auth| advanced_auth(auth.to_json())),
        rules: config_rules::config_rules(component),
    };
    component.finish(&["documentationUrl", "parameters"]);
    plan
}

fn advanced_auth(auth: Value) -> Value {
    let mut auth = plain(auth);
    if let Some(Value::Object(flow)) = auth.get_mut("oauth_config_specification") {
        let taken = std::mem::take(flow);
        flow.extend(plain(Value::Object(taken)).as_object().cloned().unwrap_or_default());
        if let Some(Value::Object(input)) = flow.get_mut("oauth_connector_input_specification") {
            let taken = std::mem::take(input);
            input.extend(plain(Value::Object(taken)).as_object().cloned().unwrap_or_default());
            input.entry("scopes_join_strategy").or_insert_with(|| json!("space"));
        }
    }
    auth
}

/// Without what only a manifest has, and without nulls.
fn plain(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let kept = fields.into_iter().filter(|(key, value)| key != "type" && key != "$parameters" && !value.is_null());
    Value::Object(kept.collect())
}

/// `check`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CheckPlan {
    pub what: CheckWhat,
    /// Options that hold while a check runs.
    pub config_overrides: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum CheckWhat {
    Streams {
        names: Vec<String>,
        dynamic: Vec<DynamicCheck>,
    },
    /// So many of the streams that are made at run time.
    Dynamic {
        count: u64,
        use_availability: bool,
    },
}

/// How many streams of one dynamic stream are read; all where nothing is said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DynamicCheck {
    pub name: String,
    pub count: Option<u64>,
}

/// Reads `check`.
pub(super) fn check(kind: &str, component: &Component<'_>) -> Option<CheckPlan> {
    let overrides = component.field("config_overrides").map(Node::to_json);
    let config_overrides = match overrides {
        None => Map::new(),
        Some(Value::Object(fields)) => fields,
        Some(_) => {
            component.refuse("config_overrides", "a table of options is expected", "");
            Map::new()
        }
    };
    let what = if kind == "CheckDynamicStream" {
        let count = component.count("stream_count");
        if component.field("stream_count").is_none() {
            component.refuse("stream_count", "'stream_count' is missing", "say how many streams are checked");
        }
        let use_availability =
            component.field("use_check_availability").is_none() || component.truth("use_check_availability");
        count.map(|count| CheckWhat::Dynamic { count, use_availability })
    } else {
        let names = texts(component, "stream_names");
        let mut dynamic = Vec::new();
        for (_, one) in component.children("dynamic_streams_check_configs", &["DynamicStreamCheckConfig"]) {
            let name = one.text("dynamic_stream_name").map(str::to_owned);
            if name.is_none() {
                one.refuse("dynamic_stream_name", "'dynamic_stream_name' is missing", "");
            }
            let count = one.count("stream_count").filter(|count| *count > 0);
            one.finish(&[]);
            dynamic.extend(name.map(|name| DynamicCheck { name, count }));
        }
        if component.field("stream_names").is_none() && component.field("dynamic_streams_check_configs").is_none() {
            component.refuse("stream_names", "the check names no streams", "name one in stream_names");
        }
        Some(CheckWhat::Streams { names, dynamic })
    };
    component.finish(&[]);
    Some(CheckPlan { what: what?, config_overrides })
}

/// `concurrency_level`: how many slices are read at once.
pub(super) struct ConcurrencyPlan {
    pub default: Template,
    /// A number in the manifest is not held against `max`.
    pub fixed: bool,
    pub max: Option<u64>,
}

impl ConcurrencyPlan {
    /// The level by the configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when it is no whole number from 1.
    pub fn level(&self, engine: &Engine, scope: &Scope) -> Result<u64, ConnectorError> {
        let level = engine.value(&self.default, scope)?.as_u64().filter(|level| *level > 0).ok_or_else(|| {
            let message = "the manifest's default_concurrency is not a whole number from 1";
            ConnectorError::new(ErrorKind::Settings, message)
        })?;
        Ok(self.max.filter(|max| *max > 0 && !self.fixed).map_or(level, |max| level.min(max)))
    }
}

/// Reads `concurrency_level`.
pub(super) fn concurrency(component: &Component<'_>) -> Option<ConcurrencyPlan> {
    let node = component.field("default_concurrency");
    let fixed = node.is_some_and(|node| matches!(node.value, NodeValue::Number(_)));
    let max = component.count("max_concurrency");
    if node.and_then(Node::text).is_some_and(|text| text.contains("config")) && max.is_none() {
        let message = "'max_concurrency' is missing, and the configuration may ask for any number";
        component.refuse("max_concurrency", message, "say how many at most");
    }
    let default = component.template("default_concurrency", true);
    component.finish(&[]);
    Some(ConcurrencyPlan { default: default?, fixed, max })
}

/// Streams that are not read at the same time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GroupPlan {
    pub name: String,
    pub streams: Vec<String>,
}

/// Reads `stream_groups`. The streams stand there whole, by reference; they are known by their names.
pub(super) fn groups(source: &Component<'_>) -> Vec<GroupPlan> {
    let Some(node) = source.field("stream_groups") else { return Vec::new() };
    let mut out = Vec::new();
    for (name, group) in node.entries() {
        let path = format!("{}.{name}", source.at("stream_groups"));
        let Some((_, group)) = source.open(group, path, &["StreamGroup"]) else { continue };
        let mut streams = Vec::new();
        for stream in group.list("streams") {
            match stream.get("name").and_then(Node::text) {
                Some(name) => streams.push(name.to_owned()),
                None => {
                    group.refuse("streams", "a stream of the group has no name", "refer to a stream of the manifest")
                }
            }
        }
        if let Some((_, action)) = group.child("action", &["BlockSimultaneousSyncsAction"], true) {
            action.finish(&[]);
        }
        group.finish(&[]);
        out.push(GroupPlan { name: name.clone(), streams });
    }
    out
}

/// Refuses groups in which a stream would wait for its own parent.
pub(super) fn check_groups(source: &Component<'_>, groups: &[GroupPlan], streams: &[StreamPlan]) {
    for group in groups {
        let member = |name: &str| group.streams.iter().any(|have| have == name);
        for stream in streams.iter().filter(|stream| member(&stream.spec.name)) {
            if let Some(parent) = ancestors(stream).into_iter().find(|parent| member(parent)) {
                let name = &stream.spec.name;
                let message = format!("'{name}' and its parent '{parent}' are both in the group '{}'", group.name);
                source.refuse("stream_groups", &message, "take one of them out: the child would wait for itself");
            }
        }
    }
}

fn ancestors(stream: &StreamPlan) -> Vec<&str> {
    let parents = stream.router.as_ref().map(Router::parents).unwrap_or_default();
    let mut names = Vec::new();
    for parent in parents {
        names.push(parent.plan.spec.name.as_str());
        names.extend(ancestors(&parent.plan));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_is_told_as_the_protocol_has_it() {
        let auth = json!({"type": "AuthFlow", "auth_flow_type": "oauth2.0", "predicate_key": ["c", "t"], "predicate_value": null,
            "oauth_config_specification": {"type": "OAuthConfigSpecification",
                "complete_oauth_output_specification": {"properties": {"t": {"type": "string"}}},
                "oauth_connector_input_specification": {"consent_url": "https://c", "extract_output": ["t"]}}});
        let plan = SpecPlan {
            connection_specification: json!({"type": "object"}),
            documentation_url: Some("https://x/y".into()),
            advanced_auth: Some(advanced_auth(auth)),
            rules: ConfigRules::default(),
        };
        // Recorded from the reference.
        let expected = json!({"connectionSpecification": {"type": "object"}, "documentationUrl": "https://x/y",
            "supportsNormalization": false, "supportsDBT": false,
            "advanced_auth": {"auth_flow_type": "oauth2.0", "predicate_key": ["c", "t"], "oauth_config_specification": {
                "complete_oauth_output_specification": {"properties": {"t": {"type": "string"}}},
                "oauth_connector_input_specification": {"consent_url": "https://c", "extract_output": ["t"], "scopes_join_strategy": "space"}}}});
        assert_eq!(plan.protocol(), expected);
    }
}

//! Reading requesters: addresses, headers, parameters, bodies, authenticators, error handlers.

use super::{
    auth::Auth,
    engine::Template,
    load::templates,
    load_auth, load_errors,
    plan::{BodyPlan, Inject, Nested, RequestOption, RequestPlan, UrlPlan},
    reader::Component,
};
use crate::yaml::{Node, NodeValue};

pub(super) fn requester(component: &Component<'_>) -> Option<RequestPlan> {
    let whole = component.template("url", false);
    let base = component.template("url_base", false);
    let url_base = base.clone();
    let path = component.template("path", false);
    let url = match (whole, base) {
        (Some(whole), None) => Some(UrlPlan::Whole(whole)),
        (None, Some(base)) => Some(UrlPlan::Joined { base, path }),
        (Some(_), Some(_)) => {
            component.refuse("url", "both 'url' and 'url_base' are given", "leave one out");
            None
        }
        (None, None) => {
            // One that stands there and cannot be read has been told.
            if component.field("url").is_none() && component.field("url_base").is_none() {
                component.missing(
                    "url_base",
                    "give the address, e.g. url_base: https://api.example.com/v1, and `path` on each stream",
                );
            }
            None
        }
    };
    let post = match component.text("http_method") {
        None | Some("GET") => false,
        Some("POST") => true,
        Some(other) => {
            component.refuse(
                "http_method",
                &format!("the method '{other}' is not supported in this version"),
                "GET or POST",
            );
            false
        }
    };
    let body = body(component);
    let auth = component
        .child("authenticator", &load_auth::AUTHENTICATORS, false)
        .map_or(Some(Auth::None), |(kind, authenticator)| load_auth::auth(kind, &authenticator, url_base.as_ref()));
    let errors = load_errors::errors(component);
    let headers = pairs(component, "request_headers");
    let parameters = pairs(component, "request_parameters");
    component.finish(&["name", "use_cache"]);
    Some(RequestPlan { url: url?, post, headers, parameters, body: body?, auth: auth?, errors })
}

/// A map of templates to templates.
pub(super) fn pairs(component: &Component<'_>, key: &'static str) -> Vec<(Template, Template)> {
    let Some(node) = component.field(key) else { return Vec::new() };
    if !matches!(node.value, NodeValue::Table(_)) {
        component.refuse(key, &format!("a table of keys is expected, not {}", node.kind()), "");
    }
    let pair = |(name, value): &(String, Node)| {
        let path = format!("{}.{name}", component.at(key));
        let key = Node { line: value.line, value: NodeValue::Text(name.clone()) };
        Some((component.compile(&key, &path)?, component.compile(value, &path)?))
    };
    node.entries().iter().filter_map(pair).collect()
}

fn body(component: &Component<'_>) -> Option<BodyPlan> {
    let json = component.field("request_body_json");
    let data = component.field("request_body_data");
    match (json, data) {
        (None, None) => Some(BodyPlan::None),
        (Some(json), None) => nested(component, json, &component.at("request_body_json")).map(BodyPlan::Json),
        (None, Some(data)) if data.text().is_some() => {
            component.compile(data, &component.at("request_body_data")).map(BodyPlan::Text)
        }
        (None, Some(_)) => Some(BodyPlan::Form(pairs(component, "request_body_data"))),
        (Some(_), Some(_)) => {
            component.refuse(
                "request_body_data",
                "both 'request_body_json' and 'request_body_data' are given",
                "leave one out",
            );
            None
        }
    }
}

fn nested(component: &Component<'_>, node: &Node, path: &str) -> Option<Nested> {
    Some(match &node.value {
        NodeValue::Text(_) => Nested::Leaf(component.compile(node, path)?),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) => Nested::Fixed(node.to_json()),
        NodeValue::List(items) => {
            let items = items.iter().enumerate().map(|(at, item)| nested(component, item, &format!("{path}[{at}]")));
            Nested::List(items.collect::<Option<_>>()?)
        }
        NodeValue::Table(entries) => {
            let entry = |(key, value): &(String, Node)| {
                let path = format!("{path}.{key}");
                let key = Node { line: value.line, value: NodeValue::Text(key.clone()) };
                Some((component.compile(&key, &path)?, nested(component, value, &path)?))
            };
            Nested::Map(entries.iter().map(entry).collect::<Option<_>>()?)
        }
    })
}

const PLACES: &str = "use request_parameter (the address's query), header, body_json or body_data";

/// Reads where a value goes.
pub(super) fn request_option(component: &Component<'_>) -> Option<RequestOption> {
    let inject = match component.text("inject_into") {
        Some("request_parameter") => Some(Inject::Parameter),
        Some("header") => Some(Inject::Header),
        Some("body_json") => Some(Inject::BodyJson),
        Some("body_data") => Some(Inject::BodyData),
        Some(other) => {
            component.refuse("inject_into", &format!("'{other}' is not a place in a request"), PLACES);
            None
        }
        None => {
            component.missing("inject_into", PLACES);
            None
        }
    };
    let name = component.template("field_name", false);
    let path = templates(component, "field_path");
    let field = match (name, path.is_empty()) {
        (Some(name), true) => vec![name],
        (None, false) if inject == Some(Inject::BodyJson) => path,
        (None, false) => {
            component.refuse("field_path", "a path is only possible in a JSON body", "use field_name");
            return None;
        }
        (Some(_), false) | (None, true) => {
            let told = "one of 'field_name' and 'field_path' is expected";
            component.refuse("field_name", told, "name the parameter or header, e.g. field_name: page");
            return None;
        }
    };
    component.finish(&[]);
    Some(RequestOption { inject: inject?, field })
}

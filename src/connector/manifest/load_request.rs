//! Reading requesters: addresses, headers, parameters, bodies, authenticators, error handlers.

use super::{
    auth::Auth,
    engine::{Template, Use},
    load_auth, load_errors,
    load_fields::templates,
    load_properties::{self, RequestBody},
    plan::{BodyPlan, Inject, Inputs, Nested, RequestOption, RequestPlan, UrlPlan},
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
            component.refuse("http_method", &format!("'{other}' is no method of the format"), "GET or POST");
            false
        }
    };
    let body = body(component);
    let auth = component
        .child("authenticator", &load_auth::AUTHENTICATORS, false)
        .map_or(Some(Auth::None), |(kind, authenticator)| load_auth::auth(kind, &authenticator, url_base.as_ref()));
    let errors = load_errors::errors(component);
    let headers = inputs(component, "request_headers");
    let properties = load_properties::asked_fields(component);
    let parameters = match properties.as_ref().and_then(|plan| plan.key.as_ref()) {
        Some(key) => Inputs::Each(pairs_without(component, "request_parameters", key)),
        None => inputs(component, "request_parameters"),
    };
    // How long an answer may take is the gate's.
    component.finish(&[
        "name",
        "use_cache",
        "connect_timeout_in_seconds",
        "read_timeout_in_seconds",
        "use_tcp_keepalive",
    ]);
    Some(RequestPlan {
        url: url?,
        post,
        headers,
        parameters,
        properties: properties.map(Box::new),
        body: body?,
        auth: auth?,
        errors,
    })
}

/// A table of templates, or one template that gives an object.
fn inputs(component: &Component<'_>, key: &'static str) -> Inputs {
    let whole = component.field(key).filter(|node| node.text().is_some());
    match whole.and_then(|node| component.compile(node, &component.at(key))) {
        Some(template) => Inputs::Whole(template),
        None => Inputs::Each(pairs(component, key)),
    }
}

/// A map of templates to templates.
pub(super) fn pairs(component: &Component<'_>, key: &'static str) -> Vec<(Template, Template)> {
    pairs_without(component, key, "")
}

/// As [`pairs`], but for one name, which another reads.
fn pairs_without(component: &Component<'_>, key: &'static str, without: &str) -> Vec<(Template, Template)> {
    let Some(node) = component.field(key) else { return Vec::new() };
    if !matches!(node.value, NodeValue::Table(_)) {
        // A text is taken where one template may stand for all.
        if node.text().is_none() {
            component.refuse(key, &format!("a table of keys is expected, not {}", node.kind()), "");
        }
        return Vec::new();
    }
    table(component, node, &component.at(key), without)
}

/// The entries of a table as templates.
fn table(component: &Component<'_>, node: &Node, path: &str, without: &str) -> Vec<(Template, Template)> {
    let pair = |(name, value): &(String, Node)| {
        let path = format!("{path}.{name}");
        let key = Node { line: value.line, value: NodeValue::Text(name.clone()) };
        let key = component.compile_for(Use::Entry, &key, &path)?;
        Some((key, component.compile_for(Use::Entry, value, &path)?))
    };
    let entries = node.entries().iter().filter(|(name, _)| without.is_empty() || name != without);
    entries.filter_map(pair).collect()
}

fn body(component: &Component<'_>) -> Option<BodyPlan> {
    let json = component.field("request_body_json");
    let data = component.field("request_body_data");
    // The newer field stands before the older ones of its kind.
    let given = load_properties::request_body(component);
    let at = |key: &'static str| component.at(key);
    let (json, json_at, data, data_at) = match given {
        Some(RequestBody::Json(node) | RequestBody::Query(node)) => {
            (Some(node), at("request_body.value"), data, at("request_body_data"))
        }
        Some(RequestBody::Data(node)) => (json, at("request_body_json"), Some(node), at("request_body.value")),
        None => (json, at("request_body_json"), data, at("request_body_data")),
    };
    let filled = |node: &&Node| match &node.value {
        NodeValue::Table(entries) => !entries.is_empty(),
        NodeValue::Text(text) => !text.is_empty(),
        _ => true,
    };
    match (json.filter(filled), data.filter(filled)) {
        (None, None) => Some(BodyPlan::None),
        (Some(json), None) if matches!(json.value, NodeValue::Table(_) | NodeValue::Text(_)) => {
            let mut body = match json.text() {
                Some(_) => Nested::Leaf(component.compile(json, &json_at)?),
                None => nested(component, json, &json_at)?,
            };
            if let (Nested::Map(entries), Some(true)) = (&mut body, given.map(|given| given.is_query())) {
                // The query stands first, as the reference writes it.
                entries.sort_by_key(|(key, _)| key.source() != "query");
            }
            Some(BodyPlan::Json(body))
        }
        (None, Some(data)) if data.text().is_some() => component.compile(data, &data_at).map(BodyPlan::Text),
        (None, Some(data)) if matches!(data.value, NodeValue::Table(_)) => {
            Some(BodyPlan::Form(table(component, data, &data_at, "")))
        }
        (Some(other), None) | (None, Some(other)) => {
            let message = format!("a table of keys or one template is expected, not {}", other.kind());
            component.refuse_at(other, if json.is_some() { &json_at } else { &data_at }, &message, "");
            None
        }
        (Some(_), Some(_)) => {
            component.refuse("request_body_data", "both a JSON body and a form or text are given", "leave one out");
            None
        }
    }
}

fn nested(component: &Component<'_>, node: &Node, path: &str) -> Option<Nested> {
    Some(match &node.value {
        NodeValue::Text(_) => Nested::Leaf(component.compile_for(Use::Entry, node, path)?),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) => Nested::Fixed(node.to_json()),
        NodeValue::List(items) => {
            let items = items.iter().enumerate().map(|(at, item)| nested(component, item, &format!("{path}[{at}]")));
            Nested::List(items.collect::<Option<_>>()?)
        }
        NodeValue::Table(entries) => {
            let entry = |(key, value): &(String, Node)| {
                let path = format!("{path}.{key}");
                let key = Node { line: value.line, value: NodeValue::Text(key.clone()) };
                Some((component.compile_for(Use::Entry, &key, &path)?, nested(component, value, &path)?))
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

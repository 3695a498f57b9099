//! What is allowed in a manifest and most likely not meant: told by `tidegate validate` as warnings.
//!
//! Owns four rules: a template asks for an option that the specification does not have, the specification requires one that
//! it does not describe, an option that holds a secret is not marked as one, and a secret stands in the manifest. Refuses
//! nothing, and never tells a value.

use std::sync::LazyLock;

use regex::Regex;

use super::{load::Manifest, propagate, resolve};
use crate::yaml::{self, Dialect, Node, NodeValue, Problem, nearest};

/// `config['x']`, `config["x"]`, `config.x`, `config.get('x')`.
static OPTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"\bconfig(?:\[\s*['"]([A-Za-z0-9_]+)['"]\s*\]|\.get\(\s*['"]([A-Za-z0-9_]+)['"]|\.([A-Za-z0-9_]+)\b)"#)
        .ok()
});
/// What a mapping can be asked; no options.
const METHODS: [&str; 4] = ["get", "items", "keys", "values"];
/// Fields of authenticators that hold a secret.
const SECRETS: [&str; 6] = ["api_token", "password", "client_secret", "refresh_token", "secret_key", "session_token"];
/// Ends of names that secrets have.
const SECRET_ENDS: [&str; 7] = ["token", "secret", "password", "api_key", "apikey", "private_key", "access_key"];

impl Manifest {
    /// Looks a manifest through. One that is no YAML has no advice.
    pub fn advice(text: &str) -> Vec<Problem> {
        let Ok(tree) = yaml::parse(text, Dialect::Yaml11) else { return Vec::new() };
        let tree = propagate::propagate(resolve::resolve(&tree, &mut Vec::new()));
        let mut found = Vec::new();
        let specification = tree.get("spec").and_then(|spec| spec.get("connection_specification"));
        let known = specification.and_then(|of| of.get("properties")).map(Node::entries).unwrap_or_default();
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        // Rules that change a configuration make options of their own.
        let own = tree.get("spec").is_some_and(|spec| spec.get("config_normalization_rules").is_some());
        for key in ["check", "streams", "dynamic_streams", "x-tidegate"] {
            if let Some(node) = tree.get(key) {
                let names = (!own && !names.is_empty()).then_some(names.as_slice());
                walk(node, key, names, &mut found);
            }
        }
        if let Some(Node { value: NodeValue::List(streams), .. }) = tree.get("streams") {
            for (at, stream) in streams.iter().enumerate() {
                sent_twice(stream, &format!("streams[{at}]"), &mut found);
            }
        }
        if let Some(specification) = specification {
            options(specification, known, &names, &mut found);
        }
        found.sort_by_key(|problem: &Problem| problem.line);
        found
    }
}

/// Parameters that two parts of a stream put into the same request.
fn sent_twice(stream: &Node, path: &str, found: &mut Vec<Problem>) {
    let at = |steps: &[&str]| steps.iter().try_fold(stream, |node, step| node.get(step));
    let mut sent: Vec<(String, String)> = Vec::new();
    let parameters = at(&["retriever", "requester", "request_parameters"]);
    for (name, _) in parameters.map(Node::entries).unwrap_or_default() {
        sent.push((name.clone(), "retriever.requester.request_parameters".to_owned()));
    }
    for steps in [
        ["retriever", "paginator", "page_size_option"].as_slice(),
        &["retriever", "paginator", "page_token_option"],
        &["incremental_sync", "start_time_option"],
        &["incremental_sync", "end_time_option"],
    ] {
        let Some(option) = at(steps) else { continue };
        let in_query = option.get("inject_into").and_then(Node::text) == Some("request_parameter");
        let Some(name) = option.get("field_name").and_then(Node::text).filter(|_| in_query) else { continue };
        let place = steps.join(".");
        if let Some((_, other)) = sent.iter().find(|(have, _)| have == name) {
            let what = format!("the parameter '{name}' is sent by {other}, too");
            let remedy = "leave one out, or give it the name that the documentation has for it";
            push(found, Problem::new(option.line, &format!("{path}.{place}"), what, remedy));
        }
        sent.push((name.to_owned(), place));
    }
}

/// Looks at the specification itself.
fn options(specification: &Node, known: &[(String, Node)], names: &[&str], found: &mut Vec<Problem>) {
    const AT: &str = "spec.connection_specification";
    if let Some(Node { value: NodeValue::List(required), .. }) = specification.get("required") {
        for node in required.iter().filter(|node| node.text().is_some_and(|name| !names.contains(&name))) {
            let name = node.text().unwrap_or_default();
            let remedy = nearest(name, names.iter().copied()).map_or_else(
                || format!("describe it: properties: {{ {name}: {{ type: string }} }}"),
                |near| format!("did you mean '{near}'?"),
            );
            let what = format!("the option '{name}' is required and stands in no `properties`");
            push(found, Problem::new(node.line, &format!("{AT}.required"), what, remedy));
        }
    }
    for (name, option) in known {
        let marked = matches!(option.get("airbyte_secret").map(|node| &node.value), Some(NodeValue::Bool(true)));
        let text = option.get("type").and_then(Node::text) == Some("string");
        if text && !marked && SECRET_ENDS.iter().any(|end| name.to_ascii_lowercase().ends_with(end)) {
            let what = format!("the option '{name}' looks like a secret and is not marked as one");
            let remedy = "add airbyte_secret: true, so that it comes from the credential and never stands in `config`";
            push(found, Problem::new(option.line, &format!("{AT}.properties.{name}"), what, remedy));
        }
    }
}

fn walk(node: &Node, path: &str, names: Option<&[&str]>, found: &mut Vec<Problem>) {
    match &node.value {
        NodeValue::Text(text) => {
            if let Some(names) = names {
                asked(text, node.line, path, names, found);
            }
        }
        NodeValue::List(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{at}]"), names, found);
            }
        }
        NodeValue::Table(entries) => {
            let of_type = node.get("type").and_then(Node::text).unwrap_or_default();
            for (key, value) in entries.iter().filter(|(key, _)| !key.starts_with('$') && key != "schema") {
                let path = format!("{path}.{key}");
                let fixed = value.text().is_some_and(|text| !text.is_empty() && !text.contains("{{"));
                if fixed && of_type.ends_with("Authenticator") && SECRETS.contains(&key.as_str()) {
                    let remedy = format!(
                        "take it out, change it at the provider, and write {key}: \"{{{{ config['{key}'] }}}}\" with an option marked airbyte_secret"
                    );
                    push(found, Problem::new(value.line, &path, "a secret stands in the manifest", remedy));
                }
                walk(value, &path, names, found);
            }
        }
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) => {}
    }
}

/// The options that a text asks for.
fn asked(text: &str, line: Option<u64>, path: &str, names: &[&str], found: &mut Vec<Problem>) {
    let Some(pattern) = OPTION.as_ref().filter(|_| text.contains("{{") || text.contains("{%")) else { return };
    for option in pattern.captures_iter(text) {
        let Some(name) = option.iter().skip(1).flatten().next().map(|name| name.as_str()) else { continue };
        if names.contains(&name) || METHODS.contains(&name) || name == "base_url" {
            continue;
        }
        let remedy = nearest(name, names.iter().copied()).map_or_else(
            || format!("describe it in the specification: properties: {{ {name}: {{ type: string }} }}"),
            |near| format!("did you mean '{near}'?"),
        );
        let what = format!("the template asks for config['{name}'], which connection_specification does not have");
        push(found, Problem::new(line, path, what, remedy));
    }
}

/// A piece that many streams use is told once.
fn push(found: &mut Vec<Problem>, problem: Problem) {
    if !found.iter().any(|have| have.line == problem.line && have.message == problem.message) {
        found.push(problem);
    }
}

//! Templates of a manifest: compiled once at load, rendered with a bound on work.
//!
//! Owns the environment (what a template may name) and the way from a rendered text to a value. Refuses at load what the
//! environment does not have: an unknown variable, function or filter is a refusal with its place, never a run that fails.
//! Error texts say where and what kind, never a value: a template sees secrets and records.

use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior, Value as Jinja};
use serde_json::Value;

use super::{json_view::JsonView, literal, macros};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::clock::Timestamp,
};

/// Steps that one rendering may take; a loop over a page of records stays far below.
const FUEL: u64 = 200_000;
/// The run's start, hidden in each scope for the time macros.
pub(super) const NOW: &str = "__now";

/// What a template may name, beside the macros.
const VARIABLES: [&str; 11] = [
    "config",
    "stream_interval",
    "stream_slice",
    "stream_partition",
    "next_page_token",
    "response",
    "headers",
    "last_record",
    "last_page_size",
    "record",
    "parameters",
];

const FILTERS: [&str; 42] = [
    "abs",
    "attr",
    "base64decode",
    "base64encode",
    "batch",
    "bool",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
];

/// A compiled template, or a text without any.
#[derive(Debug, Clone)]
pub struct Template {
    source: Arc<str>,
    /// Where it stands in the manifest, for messages.
    place: Arc<str>,
    dynamic: bool,
    parameters: Arc<Value>,
}

impl Template {
    /// The text as it stands in the manifest.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// The values that a rendering sees.
#[derive(Clone)]
pub struct Scope {
    pairs: Vec<(&'static str, Jinja)>,
}

impl Scope {
    pub fn new(now: Timestamp, config: &Arc<Value>) -> Self {
        let none = Jinja::from(());
        let pairs = vec![
            (NOW, Jinja::from(now.micros())),
            ("config", JsonView::value(config)),
            ("stream_partition", JsonView::value(&Arc::new(Value::Object(serde_json::Map::new())))),
            ("stream_interval", none.clone()),
            ("stream_slice", none.clone()),
            ("next_page_token", none),
        ];
        Self { pairs }
    }

    /// Adds or replaces a variable.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &Arc<Value>) -> Self {
        self.pairs.retain(|(have, _)| *have != name);
        self.pairs.push((name, JsonView::value(value)));
        self
    }
}

/// All templates of one manifest.
pub struct Engine {
    env: Environment<'static>,
}

impl Engine {
    pub fn new() -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Lenient);
        env.set_fuel(Some(FUEL));
        env.set_debug(false);
        env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        env.set_formatter(|out, _state, value| {
            out.write_str(&json_view_text(value)).map_err(|_| minijinja::ErrorKind::WriteFailure.into())
        });
        macros::install(&mut env);
        Self { env }
    }

    /// Compiles a text. `parameters` are what `$parameters` gave to its place.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn compile(&mut self, source: &str, place: &str, parameters: &Arc<Value>) -> Result<Template, String> {
        let dynamic = source.contains("{{") || source.contains("{%") || source.contains("{#");
        if dynamic {
            self.env.add_template_owned(source.to_owned(), source.to_owned()).map_err(|error| {
                format!("the template cannot be read: {}", error.detail().unwrap_or("syntax error"))
            })?;
            let template = self.env.get_template(source).map_err(|error| error.kind().to_string())?;
            let known = |name: &str| VARIABLES.contains(&name) || macros::NAMES.contains(&name);
            let mut unknown: Vec<_> = template.undeclared_variables(false).into_iter().filter(|n| !known(n)).collect();
            unknown.sort();
            if let Some(name) = unknown.first() {
                return Err(format!("the template names '{name}', which is not supported in this version"));
            }
            if let Some(filter) = filters(source).into_iter().find(|filter| !FILTERS.contains(filter)) {
                return Err(format!("the template uses the filter '{filter}', which is not supported in this version"));
            }
            if macros::computes_with_times(source) {
                return Err(
                    "the template adds or subtracts a duration, which is not supported in this version; use day_delta"
                        .into(),
                );
            }
        }
        Ok(Template { source: source.into(), place: place.into(), dynamic, parameters: Arc::clone(parameters) })
    }

    /// The rendered text, without guessing a type.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`], naming the place.
    pub fn text(&self, template: &Template, scope: &Scope) -> Result<String, ConnectorError> {
        if !template.dynamic {
            return Ok(template.source.to_string());
        }
        let fail = |error: &minijinja::Error| {
            let message = format!("the template at {} fails: {}", template.place, error.kind());
            ConnectorError::new(ErrorKind::Settings, message)
        };
        let parameters = ("parameters", JsonView::value(&template.parameters));
        let context = Jinja::from_pairs(scope.pairs.iter().cloned().chain([parameters]));
        let compiled = self.env.get_template(&template.source).map_err(|error| fail(&error))?;
        compiled.render(context).map_err(|error| fail(&error))
    }

    /// The rendered text, read as a Python literal where it is one.
    ///
    /// # Errors
    /// As [`Engine::text`].
    pub fn value(&self, template: &Template, scope: &Scope) -> Result<Value, ConnectorError> {
        self.text(template, scope).map(literal::guess)
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// As [`Engine::text`].
    pub fn truth(&self, template: &Template, scope: &Scope) -> Result<bool, ConnectorError> {
        self.value(template, scope).map(|value| literal::is_true(&value))
    }
}

fn json_view_text(value: &Jinja) -> String {
    if value.is_undefined() { String::new() } else { super::json_view::python_text(value) }
}

/// The names after `|` inside of `{{ }}` and `{% %}`, strings left out.
fn filters(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(open) = ["{{", "{%"].iter().filter_map(|mark| rest.find(mark)).min() {
        rest = &rest[open + 2..];
        let mut quote = None;
        let mut after_pipe = None;
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '|') => after_pipe = Some(at + 1),
                (None, '}') if rest[..at].ends_with(['}', '%']) => {
                    end = at;
                    break;
                }
                (None, _) => {}
            }
            if let Some(start) = after_pipe {
                let name = rest[start..].trim_start();
                let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
                found.push(&name[..length]);
                after_pipe = None;
            }
        }
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(source: &str) -> Result<Value, String> {
        let mut engine = Engine::new();
        let parameters = Arc::new(json!({"path": "v1/x"}));
        let template = engine.compile(source, "streams[0].x", &parameters)?;
        let config =
            Arc::new(json!({"key": "k", "n": 3, "flag": true, "f": 1.0, "list": [1, "a"], "start": "2026-01-01"}));
        let scope = Scope::new("2026-01-31T08:00:00.5Z".parse().unwrap(), &config)
            .with(
                "response",
                &Arc::new(json!({"paging": {"next": {"after": "200"}}, "next": null, "data": [{"id": 7}]})),
            )
            .with("record", &Arc::new(json!({"id": 9007199254740993_i64, "z": 1, "a": {"b": null}})))
            .with("next_page_token", &Arc::new(json!({"next_page_token": 2})))
            .with("stream_interval", &Arc::new(json!({"start_time": "2026-01-01T00:00:00Z"})));
        engine.value(&template, &scope).map_err(|error| error.message)
    }

    #[test]
    fn templates_come_out_as_the_format_has_them() {
        for (source, expected) in [
            ("plain", json!("plain")),
            ("12", json!(12)),
            ("{{ config['key'] }}", json!("k")),
            ("{{ config['n'] }}", json!(3)),
            ("{{ config.flag }}", json!(true)),
            ("{{ config.f }}", json!(1.0)),
            ("{{ config['list'] }}", json!([1, "a"])),
            ("{{ config.missing }}", json!("")),
            ("{{ config.get('missing', 'd') }}", json!("d")),
            ("{{ config.get('missing') }}", json!(null)),
            ("{{ parameters['path'] }}/{{ config['n'] }}", json!("v1/x/3")),
            ("{{ response.get('paging', {}).get('next', {}).get('after') }}", json!(200)),
            ("'{{ response.paging.next.after }}'", json!("200")),
            ("{{ response.get('gone', {}) }}", json!({})),
            ("{{ response.data | length }}", json!(1)),
            ("{{ response.data[0].id }}", json!(7)),
            ("{{ response['data'] | map(attribute='id') | list }}", json!([7])),
            ("{{ record }}", json!({"id": 9_007_199_254_740_993_i64, "z": 1, "a": {"b": null}})),
            ("{{ next_page_token['next_page_token'] + 1 }}", json!(3)),
            ("{{ 'x' if not config.missing else 'y' }}", json!("x")),
            ("{{ max(1, 5) }} {{ min([4, 2]) }}", json!("5 2")),
            ("{{ now_utc().strftime('%Y-%m-%d') }}", json!("2026-01-31")),
            ("{{ now_utc().isoformat() }}", json!("2026-01-31T08:00:00.500000+00:00")),
            ("{{ now_utc() }}", json!("2026-01-31 08:00:00.500000+00:00")),
            ("{{ today_utc() }}", json!("2026-01-31")),
            ("{{ day_delta(-1, format='%Y-%m-%d') }}", json!("2026-01-30")),
            ("{{ format_datetime(config['start'], '%Y-%m-%dT%H:%M:%SZ') }}", json!("2026-01-01T00:00:00Z")),
            ("{{ format_datetime(stream_interval['start_time'], '%ms') }}", json!(1_767_225_600_000_i64)),
            ("{{ format_datetime('31.01.26', '%Y', '%d.%m.%y') }}", json!(2026)),
            ("{{ timestamp('2026-01-01T00:00:00Z') | int }}", json!(1_767_225_600)),
            ("{{ 'a:b' | base64encode }}", json!("YTpi")),
            ("{{ 'a b&c' | urlencode }}", json!("a%20b%26c")),
            ("{{ 'a,b'.split(',')[1] }}", json!("b")),
            ("{{ config.list | tojson }}", json!([1, "a"])),
            ("{% if config.flag %}yes{% endif %}", json!("yes")),
            ("{{ 'a | b' }}", json!("a | b")),
            ("{{ stream_partition }}", json!({})),
            ("{{ none is none and config.missing is not defined }}", json!(true)),
        ] {
            assert_eq!(render(source), Ok(expected), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused_at_load() {
        for (source, part) in [
            ("{{ conig['x'] }}", "'conig'"),
            ("{{ stream_state['x'] }}", "'stream_state'"),
            ("{{ sanitize_url('x') }}", "'sanitize_url'"),
            ("{{ config['x'] | regex_search('a') }}", "'regex_search'"),
            ("{{ now_utc() - duration('P1D') }}", "duration"),
            ("{{ config['x' }}", "cannot be read"),
        ] {
            let error = render(source).unwrap_err();
            assert!(error.contains(part), "{source}: {error}");
        }
    }

    #[test]
    fn a_template_that_fails_names_its_place_and_no_value() {
        for source in [
            "{{ config.missing.deeper }}",
            "{% for x in range(100000) %}{% for y in range(100000) %}{{ y }}{% endfor %}{% endfor %}",
        ] {
            let error = render(source).unwrap_err();
            assert!(error.contains("streams[0].x"), "{error}");
        }
    }
}

//! Templates as the engine uses them: with their place in the manifest, the parameters of that place, and a scope that owns
//! what it shows.
//!
//! Owns the bridge to `template`. Refuses at load what no run of the format could evaluate: an unknown variable, function or
//! filter is a refusal with its place, never a run that fails. Error texts say where and what kind, never a value.

use std::sync::Arc;

use serde_json::Value;

use super::{
    literal,
    template::{Context, Fault, Slice, Variable},
};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::clock::Timestamp,
};

/// A compiled template, or a text without any, at its place.
#[derive(Debug, Clone)]
pub struct Template {
    compiled: Arc<super::template::Template>,
    /// Where it stands in the manifest, for messages.
    place: Arc<str>,
    parameters: Arc<Value>,
}

impl Template {
    /// The text as it stands in the manifest.
    pub fn source(&self) -> &str {
        self.compiled.source()
    }

    /// Whether it fails wherever it is needed: see [`super::template::Template::is_refused`].
    pub fn is_refused(&self) -> bool {
        self.compiled.is_refused()
    }

    /// Whether it names the configuration.
    pub fn sees_config(&self) -> bool {
        self.compiled.names(Variable::Config)
    }

    /// Whether it needs that name, one that only single components give.
    pub fn names(&self, name: &str) -> bool {
        self.compiled.unknown().any(|have| have == name)
    }
}

/// Names that single components give to their templates, beside those that all have.
const GIVEN: [&str; 7] = ["session_token", "property", "value", "path", "raw_schema", "page_size", "query_properties"];

/// The values that a rendering sees.
#[derive(Clone)]
pub struct Scope {
    now: Timestamp,
    parts: Vec<(Variable, Arc<Value>)>,
    /// The parts of the slice, where it has any: partition, bounds, what goes along with the partition.
    slice: Option<[Arc<Value>; 3]>,
    /// What single components give, by name.
    given: Arc<Value>,
    nothing: Arc<Value>,
}

impl Scope {
    pub fn new(now: Timestamp, config: &Arc<Value>) -> Self {
        let nothing = Arc::new(Value::Object(serde_json::Map::new()));
        let parts = vec![
            (Variable::Config, Arc::clone(config)),
            (Variable::StreamSlice, Arc::clone(&nothing)),
            (Variable::NextPageToken, Arc::new(Value::Null)),
        ];
        Self { now, parts, slice: None, given: Arc::clone(&nothing), nothing }
    }

    /// The instant that templates take for now.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets the slice: what a look-up finds, and its parts (partition, bounds, extra fields).
    #[must_use]
    pub fn with_slice(mut self, all: &Arc<Value>, parts: [Arc<Value>; 3]) -> Self {
        self.slice = Some(parts);
        self.with("stream_slice", all)
    }

    /// Replaces what goes along with the slice.
    #[must_use]
    pub fn with_extra_fields(mut self, extra: &Arc<Value>) -> Self {
        if let Some([_, _, have]) = &mut self.slice {
            *have = Arc::clone(extra);
        }
        self
    }

    /// Adds or replaces a variable. A name that the format does not have changes nothing.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &Arc<Value>) -> Self {
        if let Some(variable) = Variable::named(name) {
            self.parts.retain(|(have, _)| *have != variable);
            self.parts.push((variable, Arc::clone(value)));
        } else if GIVEN.contains(&name)
            && let Value::Object(fields) = Arc::make_mut(&mut self.given)
        {
            fields.insert(name.to_owned(), Value::clone(value));
        }
        self
    }

    fn evaluated<T>(
        &self,
        template: &Template,
        how: impl FnOnce(&super::template::Template, &Context<'_>) -> Result<T, Fault>,
    ) -> Result<T, ConnectorError> {
        let slice = self.parts.iter().find(|(have, _)| *have == Variable::StreamSlice).map(|(_, slice)| &**slice);
        let slice = slice.unwrap_or(&self.nothing);
        let slice = match &self.slice {
            Some([partition, bounds, extra]) => {
                Slice { all: slice, partition, cursor_slice: bounds, extra_fields: extra }
            }
            None => Slice { all: slice, partition: &self.nothing, cursor_slice: slice, extra_fields: &self.nothing },
        };
        let mut context = Context::new(self.now, &self.nothing).with(Variable::Parameters, &template.parameters);
        for (variable, value) in &self.parts {
            context = match variable {
                // The wire does not keep how a provider writes a header's name.
                Variable::Headers => context.with_any_case(*variable, value),
                _ => context.with(*variable, value),
            };
        }
        how(&template.compiled, &context.with_slice(&slice).with_extra(&self.given)).map_err(|fault| {
            let message = format!("the template at {} fails: {fault}", template.place);
            ConnectorError::new(ErrorKind::Settings, message)
        })
    }
}

/// What a template is used as: it says what stands for what comes out empty, or names what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The template itself, once more.
    Value,
    /// It does not hold.
    Condition,
    /// A name or a value of a table: the entry is left out.
    Entry,
}

/// All templates of one manifest.
#[derive(Default)]
pub struct Engine;

impl Engine {
    pub fn new() -> Self {
        Self
    }

    /// Compiles a text. `parameters` are what `$parameters` gave to its place.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn compile(&mut self, source: &str, place: &str, parameters: &Arc<Value>) -> Result<Template, String> {
        self.compile_for(Use::Value, source, place, parameters)
    }

    /// As [`Engine::compile`], for what the template is used as.
    ///
    /// # Errors
    /// As [`Engine::compile`].
    pub fn compile_for(
        &mut self,
        wanted: Use,
        source: &str,
        place: &str,
        parameters: &Arc<Value>,
    ) -> Result<Template, String> {
        let compiled = match wanted {
            Use::Value => super::template::Template::compile(source),
            Use::Condition => super::template::Template::compile_condition(source),
            Use::Entry => super::template::Template::compile_or_none(source),
        };
        let compiled = compiled.map_err(|fault| {
            let at = fault.at.map(|at| format!(" at character {at}")).unwrap_or_default();
            format!("the template cannot be read{at}: {fault}")
        })?;
        // What the format took away is told by whoever reads the manifest, and fails where it is needed.
        let is_ours = |name: &&str| GIVEN.contains(name) || compiled.is_refused() && *name == super::template::REFUSED;
        if let Some(name) = compiled.unknown().filter(|name| !is_ours(name)).min() {
            return Err(unknown(name, source));
        }
        Ok(Template { compiled: Arc::new(compiled), place: place.into(), parameters: Arc::clone(parameters) })
    }

    /// The rendered text, without guessing a type.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`], naming the place.
    pub fn text(&self, template: &Template, scope: &Scope) -> Result<String, ConnectorError> {
        scope.evaluated(template, |compiled, context| compiled.evaluate_text(context))
    }

    /// The rendered text, read as a Python literal where it is one.
    ///
    /// # Errors
    /// As [`Engine::text`].
    pub fn value(&self, template: &Template, scope: &Scope) -> Result<Value, ConnectorError> {
        scope.evaluated(template, |compiled, context| compiled.evaluate(context)).map(literal::Outcome::into_json)
    }

    /// As [`Engine::value`], where only some types are taken; another one stays the rendered text.
    ///
    /// # Errors
    /// As [`Engine::text`].
    pub fn value_as(&self, template: &Template, scope: &Scope, types: literal::Types) -> Result<Value, ConnectorError> {
        scope
            .evaluated(template, |compiled, context| compiled.evaluate_as(context, types))
            .map(literal::Outcome::into_json)
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// As [`Engine::text`].
    pub fn truth(&self, template: &Template, scope: &Scope) -> Result<bool, ConnectorError> {
        scope.evaluated(template, |compiled, context| compiled.evaluate_bool(context))
    }
}

/// What is said of a name that no template has.
fn unknown(name: &str, source: &str) -> String {
    let parts = source.match_indices(name).find(|(at, _)| {
        let beside = [source[..*at].chars().next_back(), source[at + name.len()..].chars().next()];
        !beside.iter().flatten().any(|c| c.is_alphanumeric() || *c == '_')
    });
    let at = parts.map(|(at, _)| format!(" at character {}", source[..at].chars().count() + 1)).unwrap_or_default();
    let near = super::template::Template::near(name);
    let near = near.map_or_else(
        || "; known are config, record, response, headers, parameters, stream_slice, stream_interval, next_page_token, last_record, last_page_size"
            .to_owned(),
        |near| format!("; did you mean '{near}'?"),
    );
    format!("the template names '{name}'{at}, which is not known{near}")
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod engine_tests;

//! What a manifest does to a connection's configuration before anything is read: migrations, transformations, checks.
//!
//! Owns the order (migrations, then transformations, then checks) and the steps. Faults name the rule and the place in the
//! configuration, never a value: it may be a secret.

use std::sync::Arc;

use serde_json::Value;

use super::{
    dpath::{self, Step},
    engine::{Engine, Scope, Template},
    reader::Component,
    transform::{AddedField, added_fields, pointers, typed},
};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::clock::Timestamp,
    yaml::{Node, NodeValue},
};

/// `config_normalization_rules`.
#[derive(Default)]
pub(super) struct ConfigRules {
    /// Each a list of steps. They change what is stored; the others only what is read with.
    pub migrations: Vec<Vec<ConfigStep>>,
    pub transformations: Vec<ConfigStep>,
    pub checks: Vec<Check>,
}

pub(super) enum ConfigStep {
    Remap { path: Vec<Template>, map: Vec<(Template, Leaf)> },
    Add { fields: Vec<AddedField>, condition: Option<Template> },
    Remove { pointers: Vec<Vec<Step>>, condition: Option<Template> },
}

/// What a remapped value becomes.
pub(super) enum Leaf {
    Text(Template),
    Fixed(Value),
}

/// A value that has to adhere to a JSON schema.
pub(super) struct Check {
    pub subject: Subject,
    pub schema: jsonschema::Validator,
}

pub(super) enum Subject {
    /// What lies at a path of the configuration; nothing there is nothing wrong.
    Path(Vec<Template>),
    Value(Value),
}

impl ConfigRules {
    /// Whether a configuration stays as it is.
    pub fn is_empty(&self) -> bool {
        self.migrations.iter().flatten().next().is_none() && self.transformations.is_empty() && self.checks.is_empty()
    }

    /// The configuration after its migrations.
    ///
    /// # Errors
    /// As [`ConfigRules::transform`].
    pub fn migrate(&self, engine: &Engine, config: Value, now: Timestamp) -> Result<Value, ConnectorError> {
        run(self.migrations.iter().flatten(), engine, config, now)
    }

    /// The configuration as templates are to see it.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when a template fails or a field cannot be set.
    pub fn transform(&self, engine: &Engine, config: Value, now: Timestamp) -> Result<Value, ConnectorError> {
        run(self.transformations.iter(), engine, config, now)
    }

    /// All that is wrong with a configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when a path's template fails.
    pub fn faults(&self, engine: &Engine, config: &Value, now: Timestamp) -> Result<Vec<String>, ConnectorError> {
        let mut faults = Vec::new();
        let scope = Scope::new(now, &Arc::new(Value::Object(serde_json::Map::new())));
        for check in &self.checks {
            match &check.subject {
                Subject::Value(value) => check.look(value, "the manifest's value", &mut faults),
                Subject::Path(path) => {
                    let path = path.iter().map(|part| engine.value(part, &scope)).collect::<Result<Vec<_>, _>>()?;
                    let place = path.iter().map(super::python::to_text).collect::<Vec<_>>().join(".");
                    let steps: Vec<_> = path.iter().map(Step::of).collect();
                    let found = dpath::values(config, &steps);
                    if found.len() > 1 && !steps.iter().any(Step::is_star) {
                        faults.push(format!("'{place}' fits more than one option"));
                        continue;
                    }
                    found.into_iter().for_each(|value| check.look(value, &format!("'{place}'"), &mut faults));
                }
            }
        }
        Ok(faults)
    }

    /// All of it: what reading is to see.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`], with all faults of the checks.
    pub fn prepare(&self, engine: &Engine, config: Value, now: Timestamp) -> Result<Value, ConnectorError> {
        let config = self.transform(engine, self.migrate(engine, config, now)?, now)?;
        let faults = self.faults(engine, &config, now)?;
        if faults.is_empty() {
            return Ok(config);
        }
        let message = format!("the connection's config: {}", faults.join("; "));
        Err(ConnectorError::new(ErrorKind::Settings, message))
    }
}

impl Check {
    /// A text is read as JSON first, as the format has it.
    fn look(&self, value: &Value, place: &str, faults: &mut Vec<String>) {
        let read;
        let value = match value {
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(value) => {
                    read = value;
                    &read
                }
                Err(_) => {
                    faults.push(format!("{place} is a text that is not JSON"));
                    return;
                }
            },
            other => other,
        };
        for error in self.schema.iter_errors(value) {
            let inner = error.instance_path().to_string();
            let at = if inner.is_empty() { String::new() } else { format!(" at {inner}") };
            faults.push(format!("{place}{at}: {}", error.masked()));
        }
    }
}

fn run<'s>(
    steps: impl Iterator<Item = &'s ConfigStep>,
    engine: &Engine,
    config: Value,
    now: Timestamp,
) -> Result<Value, ConnectorError> {
    let mut config = Arc::new(config);
    for step in steps {
        step.apply(engine, &mut config, now)?;
    }
    Ok(Arc::unwrap_or_clone(config))
}

impl ConfigStep {
    fn apply(&self, engine: &Engine, config: &mut Arc<Value>, now: Timestamp) -> Result<(), ConnectorError> {
        match self {
            Self::Remap { path, map } => {
                let scope = Scope::new(now, config);
                let path = path.iter().map(|part| engine.text(part, &scope)).collect::<Result<Vec<_>, _>>()?;
                let Some(old) = path.iter().try_fold(&**config, |at, step| at.as_object()?.get(step)) else {
                    return Ok(());
                };
                let mut new = None;
                for (key, leaf) in map {
                    if old.as_str() == Some(engine.text(key, &scope)?.as_str()) {
                        new = Some(match leaf {
                            Leaf::Text(text) => engine.value(text, &scope)?,
                            Leaf::Fixed(value) => value.clone(),
                        });
                    }
                }
                drop(scope);
                let slot = path.iter().try_fold(Arc::make_mut(config), |at, step| at.as_object_mut()?.get_mut(step));
                if let (Some(slot), Some(new)) = (slot, new) {
                    *slot = new;
                }
                Ok(())
            }
            Self::Add { fields, condition } => {
                for field in fields {
                    let scope = Scope::new(now, config);
                    let value = typed(engine.text(&field.value, &scope)?, field.kind);
                    if let Some(condition) = condition {
                        let path = Arc::new(serde_json::json!(field.path));
                        let scope = scope.clone().with("value", &Arc::new(value.clone())).with("path", &path);
                        if !engine.truth(condition, &scope)? {
                            continue;
                        }
                    }
                    drop(scope);
                    dpath::put(Arc::make_mut(config), &field.path, value).map_err(|reason| {
                        let message = format!("the option '{}' cannot be added: {reason}", field.path.join("."));
                        ConnectorError::new(ErrorKind::Settings, message)
                    })?;
                }
                Ok(())
            }
            Self::Remove { pointers, condition } => {
                if let Some(condition) = condition
                    && !engine.truth(condition, &Scope::new(now, config))?
                {
                    return Ok(());
                }
                let at = Arc::make_mut(config);
                pointers.iter().try_for_each(|pointer| dpath::delete(at, pointer, None))
            }
        }
    }
}

/// Reads `config_normalization_rules` of a specification; without any there is nothing to do.
pub(super) fn config_rules(specification: &Component<'_>) -> ConfigRules {
    let Some((_, rules)) = specification.child("config_normalization_rules", &["ConfigNormalizationRules"], false)
    else {
        return ConfigRules::default();
    };
    let mut migrations = Vec::new();
    for (_, migration) in rules.children("config_migrations", &["ConfigMigration"]) {
        migrations.push(steps(&migration, "transformations"));
        migration.finish(&["description"]);
    }
    let transformations = steps(&rules, "transformations");
    let checks = rules.children("validations", &["DpathValidator", "PredicateValidator"]);
    let checks = checks.iter().filter_map(|(kind, part)| check(kind, part)).collect();
    rules.finish(&[]);
    ConfigRules { migrations, transformations, checks }
}

fn steps(component: &Component<'_>, key: &'static str) -> Vec<ConfigStep> {
    let steps = component.children(key, &["ConfigRemapField", "ConfigAddFields", "ConfigRemoveFields"]);
    steps.iter().filter_map(|(kind, part)| step(kind, part)).collect()
}

fn step(kind: &str, component: &Component<'_>) -> Option<ConfigStep> {
    let condition = || {
        component
            .field("condition")
            .filter(|node| node.text() != Some(""))
            .and_then(|_| component.condition("condition", false))
    };
    let step = match kind {
        "ConfigAddFields" => {
            Some(ConfigStep::Add { fields: added_fields(component, "fields"), condition: condition() })
        }
        "ConfigRemoveFields" => {
            Some(ConfigStep::Remove { pointers: pointers(component, "field_pointers"), condition: condition() })
        }
        _ => {
            let path = super::load_fields::templates(component, "field_path");
            if path.is_empty() {
                component.refuse("field_path", "'field_path' is missing", "name the option");
            }
            remap(component).map(|map| ConfigStep::Remap { path, map })
        }
    };
    component.finish(&[]);
    step
}

fn remap(component: &Component<'_>) -> Option<Vec<(Template, Leaf)>> {
    let node = component.field("map");
    let Some(Node { value: NodeValue::Table(entries), .. }) = node else {
        component.refuse("map", "a table of old and new values is expected", "");
        return None;
    };
    let mut map = Vec::new();
    for (old, new) in entries {
        let path = format!("{}.{old}", component.at("map"));
        let key = component.compile(&Node { line: new.line, value: NodeValue::Text(old.clone()) }, &path)?;
        let leaf = match &new.value {
            NodeValue::Text(_) => Leaf::Text(component.compile(new, &path)?),
            _ => Leaf::Fixed(new.to_json()),
        };
        map.push((key, leaf));
    }
    Some(map)
}

fn check(kind: &str, component: &Component<'_>) -> Option<Check> {
    let subject = if kind == "DpathValidator" {
        let path = super::load_fields::templates(component, "field_path");
        if path.is_empty() {
            component.refuse("field_path", "'field_path' is missing", "name the option");
        }
        Subject::Path(path)
    } else {
        component.tolerate("value");
        Subject::Value(component.node.get("value").map_or(Value::Null, Node::to_json))
    };
    let strategy = component.child("validation_strategy", &["ValidateAdheresToSchema"], true);
    let schema = strategy.and_then(|(_, strategy)| {
        let schema = strategy.field("base_schema").map(Node::to_json).unwrap_or_default();
        strategy.finish(&[]);
        match jsonschema::validator_for(&schema) {
            Ok(schema) if !schema_is_text(strategy.node) => Some(schema),
            _ => {
                strategy.refuse("base_schema", "this is not a JSON schema", "write it as a table");
                None
            }
        }
    });
    component.finish(&[]);
    Some(Check { subject, schema: schema? })
}

fn schema_is_text(strategy: &Node) -> bool {
    !strategy.get("base_schema").is_some_and(|schema| matches!(schema.value, NodeValue::Table(_)))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

//! `ComponentMappingDefinition`: a value written into the template of a stream.
//!
//! Owns where it is written (every place that the path fits, or a new one where that is asked for) and what is written: the value of
//! a template, in some makers read once more as YAML.

use serde_json::Value;

use crate::{
    connector::{
        ConnectorError, ErrorKind,
        manifest::{
            dpath,
            engine::{Engine, Scope, Template},
            extract,
            literal::Types,
        },
    },
    yaml::{self, Dialect},
};

/// One value of a template.
pub(super) struct Mapping {
    pub path: Vec<Template>,
    pub value: Template,
    /// Of which type the value must be; another one stays text.
    pub types: Types,
    /// A path that leads nowhere is made.
    pub create: bool,
    pub condition: Option<Template>,
    pub reading: Reading,
}

/// Whether a value that is a text is read as YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Never,
    /// Unless the manifest says that it is a text.
    UnlessText,
    Always,
}

impl Mapping {
    /// Whether what it writes depends on the configuration.
    pub fn sees_config(&self) -> bool {
        self.path.iter().chain([&self.value]).chain(&self.condition).any(Template::sees_config)
    }

    /// Writes the value.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when a template fails, or a new place cannot be made.
    pub fn apply(&self, engine: &Engine, scope: &Scope, stream: &mut Value) -> Result<(), ConnectorError> {
        if let Some(condition) = &self.condition
            && !engine.truth(condition, scope)?
        {
            return Ok(());
        }
        let value = engine.value_as(&self.value, scope, self.types)?;
        let path = extract::steps(engine, scope, &self.path)?;
        let value = match value {
            Value::String(text) if self.reads() => read(text),
            other => other,
        };
        if dpath::overwrite(stream, &path, &value) > 0 || !self.create || extract::is_empty(&value) {
            return Ok(());
        }
        let names: Vec<String> = path.iter().filter_map(dpath::Step::name).collect();
        let told = names.join("/");
        dpath::put(stream, &names, value).map_err(|reason| {
            ConnectorError::new(ErrorKind::Settings, format!("the place '{told}' of a stream cannot be made: {reason}"))
        })
    }

    fn reads(&self) -> bool {
        match self.reading {
            Reading::Never => false,
            Reading::UnlessText => self.types != Types::TEXT,
            Reading::Always => true,
        }
    }
}

/// A text as YAML; one that is none stays as it is.
fn read(text: String) -> Value {
    if text.trim().is_empty() {
        return Value::Null;
    }
    yaml::parse(&text, Dialect::Yaml11).map_or(Value::String(text), |node| node.to_json())
}

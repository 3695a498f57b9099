//! The schemas of streams: written in the manifest, in a file of the connector's folder, or told by the provider.
//!
//! Owns the loaders and how several of them become one. What a dynamic loader asks the provider is asked by the caller, who
//! gives the first record. A file outside of the connector's folder is refused.

mod ask;
pub(super) mod dynamic;
mod file;
mod load;

use std::path::Path;

pub(super) use ask::Told;
use dynamic::DynamicPlan;
pub(super) use load::schema_loader;
use serde_json::{Map, Value, json};

use super::engine::{Engine, Scope, Template};
use crate::connector::{ConnectorError, ErrorKind};

/// Where a stream's schema comes from.
pub(super) enum SchemaPlan {
    /// Nothing is said: an empty schema.
    None,
    Inline(Value),
    /// A path within the connector's folder.
    File(Template),
    Dynamic(Box<DynamicPlan>),
    /// The properties of several; what an earlier one says holds.
    Composite(Vec<SchemaPlan>),
}

/// Gives the first record that a dynamic loader's retriever reads, `None` where it reads none.
pub(super) type FirstRecord<'f> = &'f mut dyn FnMut(&DynamicPlan) -> Result<Option<Value>, ConnectorError>;

impl SchemaPlan {
    /// The schema where it can be told without asking anyone.
    pub fn fixed(&self) -> Option<Value> {
        match self {
            Self::None | Self::File(_) | Self::Dynamic(_) => None,
            Self::Inline(schema) => Some(schema.clone()),
            Self::Composite(parts) => {
                let parts = parts.iter().map(Self::fixed).collect::<Option<Vec<_>>>()?;
                combined(parts).ok()
            }
        }
    }

    /// The dynamic loaders within, in their order.
    pub fn dynamic(&self) -> Vec<&DynamicPlan> {
        match self {
            Self::None | Self::Inline(_) | Self::File(_) => Vec::new(),
            Self::Dynamic(plan) => vec![plan],
            Self::Composite(parts) => parts.iter().flat_map(Self::dynamic).collect(),
        }
    }

    /// The schema. `folder` is the connector's; without one there are no files.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] for a file that is missing or outside of the folder, [`ErrorKind::Decode`] for a provider's answer
    /// from which no schema can be made.
    pub fn schema(
        &self,
        engine: &Engine,
        scope: &Scope,
        folder: Option<&Path>,
        first_record: FirstRecord<'_>,
    ) -> Result<Value, ConnectorError> {
        match self {
            Self::None => Ok(json!({})),
            Self::Inline(schema) => Ok(schema.clone()),
            Self::File(path) => {
                let path = engine.text(path, scope)?;
                let folder = folder
                    .ok_or_else(|| settings("the manifest has no folder from which a schema file could be read"))?;
                file::read(folder, &path).map_err(settings)
            }
            Self::Dynamic(plan) => {
                let record = first_record(plan)?;
                plan.schema(engine, scope, record.as_ref())
            }
            Self::Composite(parts) => {
                let mut schemas = Vec::with_capacity(parts.len());
                for part in parts {
                    schemas.push(part.schema(engine, scope, folder, first_record)?);
                }
                combined(schemas).map_err(settings)
            }
        }
    }
}

fn settings(message: impl Into<String>) -> ConnectorError {
    ConnectorError::new(ErrorKind::Settings, message)
}

fn combined(schemas: Vec<Value>) -> Result<Value, &'static str> {
    let mut all = Map::new();
    for schema in schemas {
        let Some(Value::Object(mut properties)) = schema.get("properties").cloned() else {
            return Err("one of several schemas has no properties");
        };
        properties.extend(all);
        all = properties;
    }
    Ok(json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": ["null", "object"], "properties": all}))
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;

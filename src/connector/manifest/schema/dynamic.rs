//! A schema made of what the provider tells about its fields.
//!
//! Owns the types that a field may have and the way from the provider's words to them. Refuses a word that stands for no type.

use serde_json::{Map, Value, json};

use crate::connector::{
    ConnectorError, ErrorKind,
    manifest::{
        dpath,
        engine::{Engine, Scope, Template},
        extract,
        plan::StreamPlan,
        transform::{Fault, Transformation},
    },
};

/// `DynamicSchemaLoader`. What it asks is asked by `ask`.
pub(in crate::connector::manifest) struct DynamicPlan {
    pub retriever: StreamPlan,
    /// Where the list of fields lies in the first record.
    pub fields: Vec<Template>,
    /// Where a field's name lies.
    pub key: Vec<Template>,
    /// Where a field's type lies; without one, all are texts.
    pub kind: Option<Vec<Template>>,
    pub types: Vec<TypeRule>,
    pub filter: Option<Template>,
    pub transformations: Vec<Transformation>,
}

/// One of `types_mapping`: the first that fits says the type.
pub(in crate::connector::manifest) struct TypeRule {
    pub current: Value,
    pub target: Target,
    pub condition: Option<Template>,
}

/// What a type becomes.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::connector::manifest) enum Target {
    /// A name, or two.
    Named(Value),
    Complex(ComplexType),
}

/// `ComplexFieldType`: a type, and for a list the type of its items.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::connector::manifest) struct ComplexType {
    pub name: String,
    pub items: Option<Box<ComplexType>>,
}

fn failed(message: String) -> ConnectorError {
    ConnectorError::new(ErrorKind::Decode, message)
}

impl DynamicPlan {
    /// The schema by the first record of the loader's retriever; without one it has no properties.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] when the record does not hold what the manifest says.
    pub fn schema(&self, engine: &Engine, scope: &Scope, record: Option<&Value>) -> Result<Value, ConnectorError> {
        let mut properties = Map::new();
        if let Some(record) = record.filter(|record| !extract::is_empty(record)) {
            let fields = match read(engine, scope, record, &self.fields)? {
                Some(Value::Array(fields)) => fields.clone(),
                // A table is the list of its keys.
                Some(Value::Object(fields)) => fields.keys().map(|name| Value::String(name.clone())).collect(),
                _ => return Err(failed("the answer holds no list of fields where the schema should be".to_owned())),
            };
            for field in &fields {
                let Some(Value::String(name)) = read(engine, scope, field, &self.key)? else {
                    return Err(failed("a field that should make the schema has no name".to_owned()));
                };
                properties.insert(name.clone(), self.kind(engine, scope, field)?);
            }
        }
        if let Some(filter) = &self.filter {
            let mut kept = Map::new();
            for (name, kind) in properties {
                let one = std::sync::Arc::new(json!({name.as_str(): kind}));
                if engine.truth(filter, &scope.clone().with("record", &one))? {
                    kept.insert(name, kind);
                }
            }
            properties = kept;
        }
        let mut properties = std::sync::Arc::new(Value::Object(properties));
        self.transformations
            .iter()
            .try_for_each(|step| step.apply(engine, scope, &mut properties))
            .map_err(Fault::into_error)?;
        Ok(json!({
            "$schema": "https://json-schema.org/draft-07/schema#",
            "type": "object",
            "additionalProperties": true,
            "properties": std::sync::Arc::unwrap_or_clone(properties),
        }))
    }

    fn kind(&self, engine: &Engine, scope: &Scope, field: &Value) -> Result<Value, ConnectorError> {
        let text = Value::String("string".to_owned());
        let raw = match &self.kind {
            None => text,
            Some(path) => read(engine, scope, field, path)?.cloned().unwrap_or(text),
        };
        let scope = scope.clone().with("raw_schema", &std::sync::Arc::new(field.clone()));
        for rule in &self.types {
            let holds = rule.condition.as_ref().map_or(Ok(true), |condition| engine.truth(condition, &scope))?;
            if holds && rule.current == raw {
                return rule.target.schema();
            }
        }
        Target::Named(raw).schema()
    }
}

impl Target {
    fn schema(&self) -> Result<Value, ConnectorError> {
        match self {
            Self::Complex(complex) => complex.schema(),
            Self::Named(Value::String(name)) => named(name),
            Self::Named(Value::Array(names)) => match &names[..] {
                [Value::String(first), Value::String(second)] => Ok(json!({"oneOf": [named(first)?, named(second)?]})),
                _ => Err(failed("a field's type is neither one name nor two".to_owned())),
            },
            Self::Named(_) => Err(failed("a field's type is neither one name nor two".to_owned())),
        }
    }
}

impl ComplexType {
    fn schema(&self) -> Result<Value, ConnectorError> {
        let mut schema = named(&self.name)?;
        if let (Some(items), Value::Object(fields)) = (&self.items, &mut schema) {
            fields.insert("items".to_owned(), items.schema()?);
        }
        Ok(schema)
    }
}

fn read<'v>(
    engine: &Engine,
    scope: &Scope,
    value: &'v Value,
    path: &[Template],
) -> Result<Option<&'v Value>, ConnectorError> {
    let path = extract::steps(engine, scope, path)?;
    dpath::get(value, &path).map_err(|reason| failed(reason.to_owned()))
}

/// Whether a name is one of the types.
pub(super) fn is_type(name: &str) -> bool {
    named(name).is_ok()
}

fn named(name: &str) -> Result<Value, ConnectorError> {
    let zoned = |format: &str, name: &str| json!({"type": ["null", "string"], "format": format, "airbyte_type": name});
    Ok(match name {
        "string" | "boolean" | "integer" | "number" | "array" | "object" => json!({"type": ["null", name]}),
        "date" => json!({"type": ["null", "string"], "format": "date"}),
        "timestamp_with_timezone" => json!({"type": ["null", "string"], "format": "date-time"}),
        "timestamp_without_timezone" => zoned("date-time", name),
        "time_with_timezone" | "time_without_timezone" => zoned("time", name),
        _ => return Err(failed(format!("'{name}' is no type of a field"))),
    })
}

//! Schema files of a connector's folder.
//!
//! Owns the way to them and their references: into the file itself, and to files in `schemas/shared`. Refuses to leave the folder.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

/// A schema file is refused beyond this.
const MAX_BYTES: u64 = 4 << 20;
/// References that one place may lead through.
const MAX_REFERENCES: usize = 32;
/// Where references to other files lead.
const SHARED: &str = "schemas/shared";

/// Reads a schema. The path's first part may be the name of the connector's package, which is no folder here.
///
/// # Errors
/// A sentence that names the path.
pub(super) fn read(folder: &Path, path: &str) -> Result<Value, String> {
    let inner = path.strip_prefix("./").unwrap_or(path);
    let outside = Path::new(inner).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if outside || inner.is_empty() {
        return Err(format!("the schema file '{path}' does not lie in the connector's folder"));
    }
    let within_package =
        inner.split_once('/').filter(|(package, _)| package.starts_with("source_")).map(|(_, rest)| rest);
    let found =
        [Some(inner), within_package].into_iter().flatten().map(|inner| folder.join(inner)).find(|at| at.is_file());
    let found = found.ok_or_else(|| format!("the schema file '{path}' is not in the connector's folder"))?;
    let schema = json(folder, &found, path)?;
    let mut resolved = expand(&schema, &schema, folder, 0)?;
    if let Value::Object(fields) = &mut resolved {
        fields.shift_remove("definitions");
    }
    Ok(resolved)
}

fn json(folder: &Path, at: &Path, path: &str) -> Result<Value, String> {
    // A link could lead anywhere: what counts is where the file really lies.
    let real = |at: &Path| at.canonicalize().map_err(|_| format!("the schema file '{path}' cannot be read"));
    let file: PathBuf = real(at)?;
    if !file.starts_with(real(folder)?) {
        return Err(format!("the schema file '{path}' does not lie in the connector's folder"));
    }
    if file.metadata().map_or(u64::MAX, |facts| facts.len()) > MAX_BYTES {
        return Err(format!("the schema file '{path}' is larger than {MAX_BYTES} bytes"));
    }
    let text =
        std::fs::read(&file).map_err(|error| format!("the schema file '{path}' cannot be read: {}", error.kind()))?;
    serde_json::from_slice(&text).map_err(|error| {
        format!("the schema file '{path}' is not JSON (line {}, column {})", error.line(), error.column())
    })
}

fn expand(value: &Value, root: &Value, folder: &Path, depth: usize) -> Result<Value, String> {
    match value {
        Value::Array(items) => {
            items.iter().map(|item| expand(item, root, folder, depth)).collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                return follow(reference, root, folder, depth);
            }
            let entry = |(key, value): (&String, &Value)| Ok((key.clone(), expand(value, root, folder, depth)?));
            fields.iter().map(entry).collect::<Result<Map<_, _>, String>>().map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

fn follow(reference: &str, root: &Value, folder: &Path, depth: usize) -> Result<Value, String> {
    if depth == MAX_REFERENCES {
        return Err(format!("the schema's reference '{reference}' leads in a circle"));
    }
    let nowhere = || format!("the schema's reference '{reference}' leads nowhere");
    let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    if file.is_empty() {
        let target = root.pointer(pointer).ok_or_else(nowhere)?;
        return expand(target, root, folder, depth + 1);
    }
    if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(nowhere());
    }
    let other = json(folder, &folder.join(SHARED).join(file), file)?;
    let target = other.pointer(pointer).ok_or_else(nowhere)?;
    expand(target, &other, folder, depth + 1)
}

//! Catalogues: what `discover` tells of a stream, and which streams a platform wants read.

use serde_json::{Map, Value, json};

use crate::{connector::StreamSpec, domain::status::SyncMode};

/// A stream as the protocol describes it.
pub(super) fn describe(spec: &StreamSpec, schema: &Value) -> Value {
    let incremental = spec.sync_modes.contains(&SyncMode::Incremental);
    let mut modes = vec!["full_refresh"];
    if incremental {
        modes.push("incremental");
    }
    let mut stream = json!({
        "name": spec.name,
        "json_schema": schema,
        "supported_sync_modes": modes,
    });
    if let Some(fields) = stream.as_object_mut() {
        if let Some(cursor) = spec.cursor_field.as_ref().filter(|_| incremental) {
            fields.insert("source_defined_cursor".to_owned(), json!(true));
            fields.insert("default_cursor_field".to_owned(), json!([cursor]));
        }
        if !spec.primary_key.is_empty() {
            fields.insert("source_defined_primary_key".to_owned(), json!(spec.primary_key));
        }
        fields.insert("is_resumable".to_owned(), json!(incremental));
        fields.insert("is_file_based".to_owned(), json!(false));
    }
    stream
}

/// What a platform wants read.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfiguredCatalog {
    /// Names and modes, in the platform's order.
    pub streams: Vec<(String, SyncMode)>,
    /// What of their records is wanted; an empty schema wants nothing by name.
    pub schemas: Map<String, Value>,
}

impl ConfiguredCatalog {
    /// Reads a configured catalogue.
    ///
    /// # Errors
    /// A sentence for each stream that is not as the protocol has it.
    pub fn parse(document: &Value) -> Result<Self, Vec<String>> {
        let Some(entries) = document.get("streams").and_then(Value::as_array) else {
            return Err(vec!["the catalogue has no list 'streams'".to_owned()]);
        };
        let (mut streams, mut schemas) = (Vec::new(), Map::new());
        let mut wrong = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let name = entry.get("stream").and_then(|stream| stream.get("name")).and_then(Value::as_str);
            let mode = match entry.get("sync_mode").and_then(Value::as_str) {
                Some("full_refresh") | None => Some(SyncMode::FullRefresh),
                Some("incremental") => Some(SyncMode::Incremental),
                Some(_) => None,
            };
            match (name, mode) {
                (Some(name), Some(mode)) => {
                    let schema = entry.get("stream").and_then(|stream| stream.get("json_schema"));
                    schemas.insert(name.to_owned(), schema.cloned().unwrap_or_else(|| json!({})));
                    streams.push((name.to_owned(), mode));
                }
                (None, _) => wrong.push(format!("streams[{at}] has no stream.name")),
                (_, None) => wrong.push(format!("streams[{at}].sync_mode is neither full_refresh nor incremental")),
            }
        }
        if wrong.is_empty() { Ok(Self { streams, schemas }) } else { Err(wrong) }
    }
}

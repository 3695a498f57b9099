//! Fixtures replayed: each page through decoding, selection, transformation and field map, and held against what is kept beside it.
//!
//! Owns `fixtures/<stream>/expected.json`: by file what became of each item. Written by a command, read by a person, compared ever after.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Outcome,
    clock::TrialClock,
    connection::{Connection, Kept},
    fixtures::{self, EXPECTED, Page},
    provider::Canned,
    server::Server,
    setup::{self, begin, connect},
};
use crate::{
    connector::{
        Connector, PullRequest,
        http::{GateOptions, HttpGate},
        manifest::trial::Profile,
        registry::{ConnectionFacts, Kind, ProviderFolder},
    },
    domain::{
        clock::Clock,
        record::{Cell, Item},
        status::SyncMode,
    },
    mapping::{FieldMap, Mapped},
};

/// Replays a stream's pages; with `write` keeps what came of them.
///
/// # Errors
/// What came of them cannot be written.
pub async fn stream(
    folder: &ProviderFolder,
    name: &str,
    profile: Option<&Profile>,
    server: &Server,
    write: bool,
) -> std::io::Result<Outcome> {
    let pages = fixtures::pages(&folder.dir, name);
    if pages.is_empty() {
        let remedy = format!("keep invented pages in fixtures/{name}");
        return Ok(Outcome::failed(format!("there is no page in fixtures/{name}"), remedy));
    }
    let mut found = Map::new();
    for page in &pages {
        let told = match (&folder.kind, profile) {
            (Kind::Manifest(_), Some(profile)) => by_manifest(folder, name, profile, server, page).await,
            _ => by_file(folder, name, page).await,
        };
        match told {
            Ok(items) => found.insert(page.name.clone(), items),
            Err(reason) => {
                return Ok(Outcome::failed(reason, "correct the manifest, the fixture, or fixtures/connection.json"));
            }
        };
    }
    let found = Value::Object(found);
    let file = folder.dir.join("fixtures").join(name).join(EXPECTED);
    if write {
        let text = serde_json::to_string_pretty(&found).map_err(std::io::Error::other)?;
        std::fs::write(&file, text + "\n")?;
    }
    Ok(compared(&file, &found, name))
}

fn compared(file: &Path, found: &Value, name: &str) -> Outcome {
    let remedy =
        "look at each difference; where it is meant, write it down anew: tidegate validate --conformance --write PATH";
    let kept: Option<Value> = std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok());
    let Some(kept) = kept else {
        let reason = format!("fixtures/{name}/{EXPECTED} is not there, or cannot be read");
        return Outcome::failed(
            reason,
            "write it with: tidegate validate --conformance --write PATH, and read it through",
        );
    };
    Outcome::unless(difference(&kept, found, ""), remedy)
}

/// Where two documents first differ; no value is told.
fn difference(kept: &Value, found: &Value, place: &str) -> Option<String> {
    match (kept, found) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let place = format!("{place}/{name}");
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => difference(a, b, &place),
                    (Some(_), None) => Some(format!("{place} is expected and does not come")),
                    (None, _) => Some(format!("{place} comes and is not expected")),
                }
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() != b.len() => {
            Some(format!("{place} has {} items, and {} are expected", b.len(), a.len()))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.iter().zip(b).enumerate().find_map(|(at, (a, b))| difference(a, b, &format!("{place}/{at}")))
        }
        (a, b) => (a != b).then(|| format!("{place} is another than expected")),
    }
}

async fn by_manifest(
    folder: &ProviderFolder,
    name: &str,
    profile: &Profile,
    server: &Server,
    page: &Page,
) -> Result<Value, String> {
    let Kind::Manifest(manifest) = &folder.kind else { return Err("the folder has no manifest".to_owned()) };
    let connection = Connection::of(&folder.dir, manifest, profile, begin())?;
    let whole = connection.whole(manifest);
    let trial = manifest.trial(name, begin(), whole.clone()).ok_or("there is no such stream")?;
    let kind = match Path::new(&page.name).extension().and_then(|extension| extension.to_str()) {
        Some("csv") => "text/csv",
        Some("xml") => "application/xml",
        Some("jsonl" | "txt") => "text/plain",
        Some("gz") => "application/gzip",
        _ => "application/json",
    };
    let mut canned = Canned::new(200, &Value::Null);
    canned.headers = vec![("content-type".to_owned(), kind.to_owned())];
    canned.body.clone_from(&page.bytes);
    let parents = setup::parents(&folder.dir, manifest, profile, &whole)?;
    server.replay(canned, parents, trial.grant("conformance-token-0000", 3_600, begin()));
    let clock = TrialClock::at(begin());
    let connector = connect(manifest, &folder.provider_key, &connection, server, &setup::gate(&clock)?)?;
    let request = setup::request(profile, begin(), None, None);
    match connector.pull(&request).await {
        Ok(found) => Ok(told(&found.items, folder.map(name).map(AsRef::as_ref))),
        Err(error) => Ok(json!({"error": error.kind.code()})),
    }
}

async fn by_file(folder: &ProviderFolder, name: &str, page: &Page) -> Result<Value, String> {
    let clock = TrialClock::at(begin());
    let gate = HttpGate::new(GateOptions::default(), clock as std::sync::Arc<dyn Clock>).map_err(|e| e.to_string())?;
    let path = folder.dir.join("fixtures").join(name).join(&page.name);
    let facts = ConnectionFacts {
        connection_key: "conformance".to_owned(),
        provider_account_id: "4711".to_owned(),
        config: json!({"paths": {name: path.display().to_string()}}),
        credential: Kept::of("none"),
        gate,
    };
    let connector = folder.connector(facts).map_err(|error| error.message)?;
    let mut request = PullRequest {
        stream: name.to_owned(),
        mode: SyncMode::FullRefresh,
        cursor: None,
        position: None,
        started_at: begin(),
        limit: None,
        traffic: std::sync::Arc::default(),
    };
    let mut items = Vec::new();
    loop {
        let page = match connector.pull(&request).await {
            Ok(page) => page,
            Err(error) => return Ok(json!({"error": error.kind.code()})),
        };
        items.extend(page.items);
        request.position = page.next;
        if request.position.is_none() {
            return Ok(told(&items, folder.map(name).map(AsRef::as_ref)));
        }
    }
}

/// What became of items, as it is kept.
fn told(items: &[Item], map: Option<&FieldMap>) -> Value {
    let one = |item: &Item| match item {
        Item::Broken(broken) => json!({"broken": broken.reason, "place": broken.place}),
        Item::Record(record) => {
            let mut told = json!({"id": record.external_id});
            if let Some(at) = record.source_updated_at {
                told["updated_at"] = json!(at.to_iso());
            }
            let Some(map) = map else {
                told["payload"] = record.payload.clone();
                return told;
            };
            match map.apply(&record.payload) {
                Mapped::Record(row) => {
                    let cells = row.table.columns.iter().zip(&row.cells).filter(|(_, cell)| **cell != Cell::Null);
                    let cells: Map<String, Value> =
                        cells.map(|(column, cell)| (column.name.to_owned(), shown(cell))).collect();
                    told[row.table.name] = Value::Object(cells);
                }
                Mapped::Ignored { reason } => told["ignored"] = json!(reason),
                Mapped::OtherAccount { field } => told["other_account"] = json!(field),
                Mapped::Failed(errors) => {
                    let errors = errors.iter().map(|error| format!("{}: {}", error.field, error.code));
                    told["failed"] = errors.collect();
                }
            }
            told
        }
    };
    items.iter().map(one).collect()
}

fn shown(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) | Cell::Json(text) => json!(text),
        Cell::Integer(number) => json!(number),
        Cell::Decimal(number) => json!(number.to_string()),
        Cell::Bool(truth) => json!(truth),
        Cell::Time(at) => json!(at.to_iso()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_its_place() {
        let kept = json!({"a.json": [{"id": "1", "x": 1}]});
        assert_eq!(difference(&kept, &kept, ""), None);
        for (found, told) in [
            (json!({"a.json": [{"id": "1", "x": 2}]}), "/a.json/0/x is another than expected"),
            (json!({"a.json": []}), "/a.json has 0 items, and 1 are expected"),
            (json!({"a.json": [{"id": "1"}]}), "/a.json/0/x is expected and does not come"),
            (json!({"a.json": [{"id": "1", "x": 1}], "b.json": []}), "/b.json comes and is not expected"),
        ] {
            assert_eq!(difference(&kept, &found, "").as_deref(), Some(told));
        }
    }
}

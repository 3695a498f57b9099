//! Static checks: what stands in a folder, without asking anybody.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use regex::Regex;
use serde_json::Value;

use super::{Check, Outcome, connection::Connection, fixtures, readme, setup};
use crate::{
    connector::{
        http::Action,
        manifest::{Manifest, trial::Profile},
        registry::{Kind, ProviderFolder},
    },
    mapping::{FieldMap, Mapped},
    metrics::{Definitions, Feeds, MapFacts, ProviderFacts},
    webhook::Received,
};

/// All static checks of a folder that was loaded.
pub fn checks(folder: &ProviderFolder) -> Vec<Check> {
    let of_files = matches!(folder.kind, Kind::File(_));
    let mut checks = readme::checks(&folder.dir, of_files);
    checks.push(Check::of("invented_fixtures", None, invented(&folder.dir.join("fixtures"))));
    checks.push(Check::of("metrics_over_mapped_tables", None, metrics(folder)));
    checks.push(Check::of("webhook_fixtures", None, webhook(folder)));
    let (limits, hosts) = match &folder.kind {
        Kind::File(_) => {
            let none = || Outcome::not_applicable("files are read, and nobody is asked");
            (none(), none())
        }
        Kind::Manifest(manifest) => (limits(manifest), hosts(manifest)),
    };
    checks.push(Check::of("limits", None, limits));
    checks.push(Check::of("hosts", None, hosts));
    let profiles = match &folder.kind {
        Kind::Manifest(manifest) => manifest.profiles(),
        Kind::File(_) => Vec::new(),
    };
    for stream in &folder.streams {
        let mut add = |id: &str, outcome: Outcome| checks.push(Check::of(id, Some(&stream.name), outcome));
        let none = fixtures::pages(&folder.dir, &stream.name).is_empty();
        let missing = none.then(|| format!("there is no page in fixtures/{}", stream.name));
        add(
            "fixtures",
            Outcome::unless(missing, "keep invented pages there, in the shape that the provider's documentation shows"),
        );
        let keyless = stream.primary_key.is_empty().then(|| "the stream has no primary_key".to_owned());
        add("primary_key", Outcome::unless(keyless, "name the fields that tell a record from all others"));
        let map = folder.map(&stream.name);
        let unmapped = map.is_none().then(|| "no field map reads the stream".to_owned());
        add("field_map", Outcome::unless(unmapped, &format!("write mappings/{}.yaml", stream.name)));
        let profile = profiles.iter().find(|profile| profile.spec.name == stream.name);
        match (&folder.kind, profile) {
            (Kind::Manifest(manifest), Some(profile)) => {
                add("cursor_or_reason", cursor(profile));
                add("error_handling", errors(&folder.dir, manifest, profile));
            }
            _ => {
                add("cursor_or_reason", Outcome::not_applicable("a file is read whole"));
                add("error_handling", Outcome::not_applicable("files are read, and nobody is asked"));
            }
        }
        add("enums_mapped", enums(stream.json_schema.as_ref(), map, &folder.dir, &stream.name));
    }
    checks
}

fn limits(manifest: &Manifest) -> Outcome {
    let none = manifest.facts().requests_per_second.is_none();
    let wrong = none.then(|| "the manifest declares no limits".to_owned());
    Outcome::unless(
        wrong,
        "say x-tidegate.limits: { requests_per_second: N, burst: N }, below what the provider's documentation allows",
    )
}

fn hosts(manifest: &Manifest) -> Outcome {
    let wrong = manifest.bases().into_iter().find_map(|base| {
        if base.contains("http://") {
            return Some(format!("'{base}' is asked without TLS"));
        }
        None
    });
    let named = manifest.bases().iter().any(|base| base.contains("https://"));
    let specification = manifest.specification();
    let required = specification.get("required").and_then(Value::as_array);
    let own = required.is_some_and(|required| required.iter().any(|name| name == "base_url"));
    if wrong.is_none() && !named && own && manifest.bases().iter().any(|base| base.contains("base_url")) {
        return Outcome::not_applicable(
            "each installation has an address of its own: a connection gives it as base_url",
        );
    }
    let wrong = wrong.or_else(|| (!named).then(|| "no address of the provider stands in the manifest".to_owned()));
    Outcome::unless(
        wrong,
        "write the provider's address into url_base (or as the default of an option), or into x-tidegate.environments; where each installation has its own, require the option base_url",
    )
}

fn cursor(profile: &Profile) -> Outcome {
    let told = profile.spec.cursor_field.is_some() || profile.no_cursor.is_some();
    let wrong = (!told).then(|| "the stream has no cursor, and nothing says why".to_owned());
    Outcome::unless(
        wrong,
        "add incremental_sync, or the reason on the stream: x-tidegate: { no_cursor: the provider cannot narrow it by time }",
    )
}

/// What the manifest's own rules say of the usual refusals.
fn errors(dir: &Path, manifest: &Manifest, profile: &Profile) -> Outcome {
    let now = setup::begin();
    let config = Connection::of(dir, manifest, profile, now).map(|connection| connection.whole(manifest));
    let Some(trial) = manifest.trial(&profile.spec.name, now, config.unwrap_or_default()) else {
        return Outcome::not_applicable("there is no such stream");
    };
    let again = [Action::Retry, Action::RateLimited];
    let refused = [Action::Fail, Action::RefreshToken];
    let wrong: Vec<String> = [401_u16, 403, 429, 500, 503]
        .into_iter()
        .filter_map(|status| {
            let action = trial.ruled(status, b"{}", now)?;
            let fits = match status {
                401 => refused.contains(&action),
                403 => refused.contains(&action) || again.contains(&action),
                _ => again.contains(&action),
            };
            (!fits).then(|| format!("{status} leads to {action:?}"))
        })
        .collect();
    let wrong = (!wrong.is_empty()).then(|| format!("by the manifest's own rules {}", wrong.join(", ")));
    Outcome::unless(
        wrong,
        "leave 401 and 403 to fail, and 429 and 5xx to be tried again; or take the response filter out, and the engine does so",
    )
}

/// Every word of an enum in the schema has a place in the field map.
fn enums(schema: Option<&Value>, map: Option<&Arc<FieldMap>>, dir: &Path, stream: &str) -> Outcome {
    let mut listed = Vec::new();
    if let Some(schema) = schema {
        words(schema, "", &mut listed);
    }
    let (Some(map), false) = (map, listed.is_empty()) else {
        return Outcome::not_applicable("the stream's schema lists no enum, or nothing maps it");
    };
    let mut tried = false;
    for (path, words) in &listed {
        let Some(note) = map.notes.iter().find(|note| note.from.contains(path)) else { continue };
        tried = true;
        if note.kind != "enum" && note.kind != "bool" {
            let reason = format!("'{path}' is one of a closed list, and is mapped as {}", note.kind);
            return Outcome::failed(reason, "map it as enum, with each word in values");
        }
        for word in words {
            let mut payload = Value::Object(serde_json::Map::new());
            put(&mut payload, path, word.clone());
            let Mapped::Failed(errors) = map.apply(&payload) else { continue };
            if errors.iter().any(|error| error.field == *path && error.code == "unknown_enum") {
                let reason = format!("the word {word} of '{path}' is not in the field map");
                return Outcome::failed(
                    reason,
                    format!("add it to values in mappings/{stream}.yaml of {}", dir.display()),
                );
            }
        }
    }
    if tried { Outcome::Passed } else { Outcome::not_applicable("no enum of the schema is mapped") }
}

fn words(schema: &Value, path: &str, out: &mut Vec<(String, Vec<Value>)>) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if let Some(words) = property.get("enum").and_then(Value::as_array) {
            out.push((path.clone(), words.iter().filter(|word| !word.is_null()).cloned().collect()));
        }
        words_below(property, &path, out);
    }
}

fn words_below(property: &Value, path: &str, out: &mut Vec<(String, Vec<Value>)>) {
    if property.get("properties").is_some() {
        words(property, path, out);
    }
}

fn put(at: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        None => at[path] = value,
        Some((name, rest)) => {
            if !at[name].is_object() {
                at[name] = Value::Object(serde_json::Map::new());
            }
            put(&mut at[name], rest, value);
        }
    }
}

fn metrics(folder: &ProviderFolder) -> Outcome {
    if folder.metrics.feeds.is_empty() && folder.metrics.own.is_empty() {
        return Outcome::not_applicable("the folder feeds no metric");
    }
    let Ok(mut definitions) = Definitions::load(&[]) else {
        return Outcome::not_applicable("the built-in metrics cannot be read");
    };
    let maps = folder.maps.iter().map(|map| MapFacts {
        stream: map.stream.clone(),
        version: map.version.clone(),
        table: map.table.name,
        columns: map.columns().map(str::to_owned).collect(),
    });
    let facts = ProviderFacts {
        provider_key: folder.provider_key.clone(),
        names: folder.client_unsafe_names(),
        file: "metrics.yaml".to_owned(),
        metrics: folder.metrics.clone(),
        maps: maps.collect(),
        maps_broken: !folder.broken_maps.is_empty(),
    };
    let (_, problems) = Feeds::assemble(&mut definitions, vec![facts]);
    let wrong = problems.first().map(ToString::to_string);
    Outcome::unless(wrong, "feed what the field maps write, or map what the metric reads")
}

fn webhook(folder: &ProviderFolder) -> Outcome {
    let Some(declaration) = &folder.webhook else {
        return Outcome::not_applicable("the folder declares no webhook");
    };
    let mut read = 0;
    for page in fixtures::pages(&folder.dir, "webhook") {
        let received =
            Received { method: "POST", url: "https://hooks.example.test/x", headers: &[], body: &page.bytes };
        match declaration.read(&received) {
            Ok(deliveries) => read += deliveries.len(),
            Err(error) => {
                let reason = format!("fixtures/webhook/{} cannot be read: {error:?}", page.name);
                return Outcome::failed(reason, "correct webhook.yaml or the fixture");
            }
        }
    }
    let wrong = (read == 0).then(|| "no delivery in fixtures/webhook can be read".to_owned());
    Outcome::unless(wrong, "keep an invented delivery of each event there, as the provider's documentation shows it")
}

/// People in fixtures are invented: their addresses end in names that nobody can own.
fn invented(dir: &Path) -> Outcome {
    let Ok(address) = Regex::new(r"(?i)[a-z0-9._%+-]+@([a-z0-9.-]+\.[a-z]{2,})") else {
        return Outcome::not_applicable("addresses cannot be looked for");
    };
    let mut found = BTreeSet::new();
    walk(dir, &mut |text, name| {
        for at in address.captures_iter(text) {
            let host = at[1].to_ascii_lowercase();
            let kept = ["example.com", "example.org", "example.net"]
                .iter()
                .any(|own| host == *own || host.ends_with(&format!(".{own}")));
            let reserved = [".test", ".example", ".invalid"].iter().any(|end| host.ends_with(end));
            if !kept && !reserved {
                found.insert(format!("{name} ({host})"));
            }
        }
    });
    let wrong = found.first().map(|place| format!("an e-mail address that may be somebody's stands in {place}"));
    Outcome::unless(wrong, "let addresses end in example.test, and phone numbers lie in 555-01xx")
}

fn walk(dir: &Path, each: &mut dyn FnMut(&str, &str)) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, each);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            each(&text, &path.file_name().unwrap_or_default().to_string_lossy());
        }
    }
}

//! A manifest's streams for one configuration: conditions decided, dynamic streams made.
//!
//! Owns the way from a manifest whose streams vary to one whose streams are all there: its tree is put together anew and read as any
//! manifest is. What is the same for every configuration is made when the manifest is loaded. Only [`ManifestConnector::assemble`]
//! asks the provider.

use std::sync::Arc;

use serde_json::Value;

use super::{
    ManifestConnector, delegate,
    dynamic_streams::Maker,
    engine::{Engine, Scope},
    load::{self, Loaded},
    load_streams::Varying,
    pull::Pull,
};
use crate::{
    connector::{ConnectorError, ErrorKind, PullRequest, TrafficMeter},
    domain::{clock::Timestamp, record::Item, status::SyncMode},
    yaml::{Node, NodeValue, Problem},
};

/// A key of ours in a tree that was put together: the check may name streams that are not in it.
pub(super) const ASSEMBLED: &str = "x-tidegate-assembled";

/// A stream as it was made, and by whom.
struct Made {
    maker: String,
    stream: Node,
}

/// A manifest just loaded, with the dynamic streams that no configuration changes among its streams.
///
/// # Errors
/// What is wrong with the streams that were made.
pub(super) fn with_fixed(loaded: Loaded) -> Result<Loaded, Vec<Problem>> {
    let Some((tree, varying)) = &loaded.varying else { return Ok(loaded) };
    if varying.makers.is_empty() || !varying.makers.iter().all(Maker::is_fixed) {
        return Ok(loaded);
    }
    let nothing = Arc::new(Value::Object(serde_json::Map::new()));
    let Some(no_time) = Timestamp::from_micros(0) else { return Ok(loaded) };
    let scope = Scope::new(no_time, &nothing);
    let mut made = Vec::new();
    for maker in &varying.makers {
        known(maker, &loaded.engine, &scope, &nothing, &mut made)
            .map_err(|error| vec![Problem::new(None, "dynamic_streams", error.message, "correct the manifest")])?;
    }
    read(&loaded, static_streams(tree), made)
}

/// The manifest by a configuration, without the streams that are made.
///
/// # Errors
/// [`ErrorKind::Settings`] when a condition fails, or the streams that it leaves do not stand together.
pub(super) fn decided(loaded: &Arc<Loaded>, scope: &Scope) -> Result<Arc<Loaded>, ConnectorError> {
    match &loaded.varying {
        None => Ok(Arc::clone(loaded)),
        Some((tree, varying)) => {
            let streams = chosen(tree, varying, &loaded.engine, scope)?;
            if streams.is_empty() {
                let message = "the connection's config leaves the manifest no stream (ConditionalStreams)";
                return Err(ConnectorError::new(ErrorKind::Settings, message));
            }
            read(loaded, streams, Vec::new()).map(Arc::new).map_err(told)
        }
    }
}

/// Adds the streams of a maker that asks nobody.
fn known(
    maker: &Maker,
    engine: &Engine,
    scope: &Scope,
    config: &Value,
    into: &mut Vec<Made>,
) -> Result<(), ConnectorError> {
    for value in maker.values(engine, scope, config)? {
        into.push(Made { maker: maker.name.clone(), stream: maker.made(engine, scope, value)? });
    }
    Ok(())
}

fn static_streams(tree: &Node) -> Vec<Node> {
    match tree.get("streams").map(|node| &node.value) {
        Some(NodeValue::List(items)) => items.clone(),
        _ => Vec::new(),
    }
}

/// The streams that stand in the manifest and whose conditions hold.
fn chosen(tree: &Node, varying: &Varying, engine: &Engine, scope: &Scope) -> Result<Vec<Node>, ConnectorError> {
    let mut streams = Vec::new();
    for (at, node) in static_streams(tree).into_iter().enumerate() {
        match varying.conditions.iter().find(|(have, _)| *have == at) {
            None => streams.push(node),
            Some((_, condition)) if engine.truth(condition, scope)? => streams.extend(static_streams(&node)),
            Some(_) => {}
        }
    }
    Ok(streams)
}

/// Reads the manifest again with these streams for its own.
fn read(loaded: &Loaded, mut streams: Vec<Node>, made: Vec<Made>) -> Result<Loaded, Vec<Problem>> {
    let Some((tree, varying)) = &loaded.varying else { return load::of_tree(&Node::null(), Vec::new()) };
    let mut by_maker: Vec<(String, Vec<String>)> =
        varying.makers.iter().map(|maker| (maker.name.clone(), Vec::new())).collect();
    for Made { maker, stream } in made {
        let name = stream.get("name").and_then(Node::text).unwrap_or_default().to_owned();
        if let Some((_, names)) = by_maker.iter_mut().find(|(have, _)| *have == maker) {
            names.push(name);
        }
        streams.push(stream);
    }
    let kept = ["streams", "dynamic_streams"];
    let mut fields: Vec<(String, Node)> =
        tree.entries().iter().filter(|(key, _)| !kept.contains(&key.as_str())).cloned().collect();
    fields.push(("streams".to_owned(), Node { line: None, value: NodeValue::List(streams) }));
    fields.push((ASSEMBLED.to_owned(), Node { line: None, value: NodeValue::Bool(true) }));
    let again = load::of_tree(&Node { line: tree.line, value: NodeValue::Table(fields) }, Vec::new())?;
    let by_maker = if varying.makers.is_empty() { loaded.made.clone() } else { by_maker };
    Ok(Loaded { made: by_maker, folder: loaded.folder.clone(), ..again })
}

/// What is wrong with streams of one configuration.
fn told(problems: Vec<Problem>) -> ConnectorError {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    ConnectorError::new(ErrorKind::Settings, format!("the manifest by this configuration: {}", lines.join("; ")))
}

impl ManifestConnector {
    /// Gives the connector all streams that its configuration has: those on a condition, and the ones that are made, for which the
    /// provider is asked where it lists them. `make`: without it, none is made.
    ///
    /// # Errors
    /// Those of a pull, where the provider is asked; [`ErrorKind::Settings`] where the configuration makes no streams that can be read.
    pub async fn assemble(&mut self, make: bool) -> Result<(), ConnectorError> {
        let loaded = Arc::clone(&self.loaded);
        let Some((tree, varying)) = &loaded.varying else { return Ok(()) };
        let now = self.gate.clock().now();
        let scope = Scope::new(now, &self.config);
        let streams = chosen(tree, varying, &loaded.engine, &scope)?;
        let mut made = Vec::new();
        for maker in varying.makers.iter().filter(|_| make) {
            match maker.asked() {
                None => known(maker, &loaded.engine, &scope, &self.config, &mut made)?,
                Some(_) => self.asked(maker, now, &mut made).await?,
            }
        }
        for (at, one) in made.iter().enumerate() {
            let name = one.stream.get("name").and_then(Node::text);
            if made[..at].iter().any(|other| other.stream.get("name").and_then(Node::text) == name) {
                let message =
                    format!("dynamic_streams make two streams that are called '{}'", name.unwrap_or_default());
                return Err(ConnectorError::new(ErrorKind::Settings, message));
            }
        }
        self.loaded = Arc::new(read(&loaded, streams, made).map_err(told)?);
        // They are known by plans that are no more.
        self.schemas = Arc::default();
        Ok(())
    }

    /// The streams that are not made, by the configuration.
    pub(super) fn static_names(&self) -> Result<Vec<String>, ConnectorError> {
        let Some((tree, varying)) = &self.loaded.varying else {
            return Ok(self.loaded.specs.iter().map(|spec| spec.name.clone()).collect());
        };
        let scope = Scope::new(self.gate.clock().now(), &self.config);
        let streams = chosen(tree, varying, &self.loaded.engine, &scope)?;
        Ok(streams.iter().filter_map(|stream| stream.get("name").and_then(Node::text)).map(str::to_owned).collect())
    }

    /// Adds the streams of a maker whose values the provider lists.
    async fn asked(&self, maker: &Maker, now: Timestamp, into: &mut Vec<Made>) -> Result<(), ConnectorError> {
        let Some(plan) = maker.asked() else { return Ok(()) };
        let mut request = listing(plan.spec.name.clone(), now);
        loop {
            let (place, page) = delegate::placed_page(self, plan, &request, None).await?;
            let reading = Pull::new(self, plan, &request)?;
            let scope = place.map_or_else(|| Scope::new(now, &self.config), |place| reading.slice_scope(&place));
            for item in page.items {
                let Item::Record(record) = item else { continue };
                let stream = maker.made(&self.loaded.engine, &scope, record.payload)?;
                into.push(Made { maker: maker.name.clone(), stream });
            }
            match page.next {
                Some(next) => request.position = Some(next),
                None => return Ok(()),
            }
        }
    }
}

/// A reading of a retriever that is no stream of the source.
pub(super) fn listing(name: String, now: Timestamp) -> PullRequest {
    PullRequest {
        stream: name,
        mode: SyncMode::FullRefresh,
        cursor: None,
        position: None,
        started_at: now,
        limit: None,
        traffic: Arc::new(TrafficMeter::default()),
    }
}

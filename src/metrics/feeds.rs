//! Who feeds which metric: `connectors/<provider>/metrics.yaml` held against the definitions and the provider's field maps.
//!
//! Owns the file's form and the check that what a metric reads is written by somebody. Refuses to know connections.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    definitions::{Definitions, MetricProblem},
    parse,
};
use crate::{
    domain::{
        map_version,
        metric::{Aggregation, Definition, Source},
    },
    store::field_maps::{FieldMapState, standing},
    yaml::{self, Dialect, NodeValue, Problem, Table, nearest},
};

/// A provider's own file, read but not yet held against anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProviderMetrics {
    /// Keys under `feeds:`, with their lines.
    pub feeds: Vec<(String, Option<u64>)>,
    /// Definitions of its own, which it also feeds.
    pub own: Vec<Definition>,
}

impl ProviderMetrics {
    /// Reads the file. `provider_names` are the names that no client may read.
    ///
    /// # Errors
    /// Everything that is wrong with it by itself.
    pub fn parse(text: &str, provider_names: &[String]) -> Result<Self, Vec<Problem>> {
        let root = yaml::parse(text, Dialect::Strict).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut read = Self::default();
        if root.value != NodeValue::Null
            && let Some(mut top) = Table::open(&root, "", &mut problems)
        {
            let lines: Vec<Option<u64>> = top.items("feeds").into_iter().map(|node| node.line).collect();
            read.feeds = top.texts("feeds", &mut problems).into_iter().zip(lines).collect();
            read.own = parse::entries(&mut top, provider_names, &mut problems);
            top.finish(&mut problems);
        }
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }
}

/// What a field map writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapFacts {
    pub stream: String,
    pub version: String,
    pub table: &'static str,
    pub columns: Vec<String>,
}

/// A provider's folder, as far as metrics care.
#[derive(Debug, Clone, Default)]
pub struct ProviderFacts {
    pub provider_key: String,
    /// Key and names: what no client may read.
    pub names: Vec<String>,
    /// Where `metrics.yaml` stands, for problems.
    pub file: String,
    pub metrics: ProviderMetrics,
    /// All versions of each stream's map; those of one stream write the same table.
    pub maps: Vec<MapFacts>,
    /// Some field map could not be loaded: what is fed is not judged, for that is told already.
    pub maps_broken: bool,
}

/// What a provider's connections feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feed {
    /// Metric keys, sorted.
    pub metrics: Vec<String>,
    /// Which stream writes which table.
    pub streams: Vec<(String, &'static str)>,
    pub names: Vec<String>,
    /// What each version writes, where a stream has several of them; else nothing.
    versions: Vec<MapFacts>,
}

impl Feed {
    /// Whether a metric that some version of the maps feeds is fed by those in force. `states`: as the store gives them.
    fn is_fed(&self, provider_key: &str, definition: &Definition, states: &[FieldMapState]) -> bool {
        let in_force = |map: &&MapFacts| {
            let versions = self.versions.iter().filter(|other| other.stream == map.stream);
            let stands = standing(states, provider_key, &map.stream).map(|state| state.version.as_str());
            map_version::in_force(versions.map(|other| other.version.as_str()), stands) == Some(&map.version)
        };
        let maps: Vec<&MapFacts> = self.versions.iter().filter(in_force).collect();
        self.versions.is_empty() || unfed(definition, &maps).is_none()
    }

    /// The streams whose runs make a source complete: those that write its table. For what is counted about runs and cards, all.
    pub fn streams_of(&self, source: Source) -> Option<Vec<&str>> {
        match source {
            Source::Runs | Source::Notes => None,
            Source::Records(table) => Some(
                self.streams.iter().filter(|(_, written)| *written == table.name).map(|(s, _)| s.as_str()).collect(),
            ),
        }
    }
}

/// Feeds by provider.
#[derive(Debug, Clone, Default)]
pub struct Feeds {
    by_provider: BTreeMap<String, Feed>,
}

impl Feeds {
    /// Holds providers' files against the definitions; own definitions are added to them. What is wrong is left out and told.
    pub fn assemble(definitions: &mut Definitions, providers: Vec<ProviderFacts>) -> (Self, Vec<MetricProblem>) {
        let mut feeds = Self::default();
        let mut told = Vec::new();
        for provider in &providers {
            for own in &provider.metrics.own {
                if !definitions.add(own.clone()) {
                    let message = format!("there is a metric `{}` already", own.key);
                    told.push(told_of(
                        provider,
                        None,
                        message,
                        "give it another key; files in metrics.files replace by key",
                    ));
                }
            }
        }
        for provider in providers {
            let mut keys: Vec<(String, Option<u64>)> = provider.metrics.feeds.clone();
            keys.extend(provider.metrics.own.iter().map(|own| (own.key.clone(), None)));
            let mut metrics = Vec::new();
            let all: Vec<&MapFacts> = provider.maps.iter().collect();
            for (key, line) in keys {
                match definitions.get(&key) {
                    None => {
                        let remedy = nearest(&key, definitions.keys()).map_or_else(
                            || format!("metrics: {}", definitions.keys().collect::<Vec<_>>().join(", ")),
                            |near| format!("did you mean `{near}`?"),
                        );
                        told.push(told_of(&provider, line, format!("there is no metric `{key}`"), &remedy));
                    }
                    Some(definition) => match unfed(definition, &all).filter(|_| !provider.maps_broken) {
                        None => metrics.push(key),
                        Some((message, remedy)) => told.push(told_of(&provider, line, message, &remedy)),
                    },
                }
            }
            metrics.sort();
            metrics.dedup();
            let mut streams: Vec<_> = provider.maps.iter().map(|map| (map.stream.clone(), map.table)).collect();
            streams.sort_unstable();
            streams.dedup();
            let several = streams.len() < provider.maps.len() && !provider.maps_broken;
            let versions = if several { provider.maps } else { Vec::new() };
            feeds.by_provider.insert(provider.provider_key, Feed { metrics, streams, names: provider.names, versions });
        }
        (feeds, told)
    }

    pub fn of(&self, provider_key: &str) -> Option<&Feed> {
        self.by_provider.get(provider_key)
    }

    /// Whether it hangs on the versions in force what is fed.
    pub fn have_versions(&self) -> bool {
        self.by_provider.values().any(|feed| !feed.versions.is_empty())
    }

    /// The metrics that a provider feeds with the field maps that are in force by `states`.
    pub fn fed<'f>(
        &'f self,
        provider_key: &'f str,
        definitions: &'f Definitions,
        states: &'f [FieldMapState],
    ) -> impl Iterator<Item = &'f Arc<Definition>> {
        self.of(provider_key).into_iter().flat_map(move |feed| {
            let known = feed.metrics.iter().filter_map(|key| definitions.get(key));
            known.filter(move |definition| feed.is_fed(provider_key, definition, states))
        })
    }

    /// The providers that feed a metric.
    pub fn providers_of(&self, metric_key: &str) -> Vec<&str> {
        self.by_provider
            .iter()
            .filter(|(_, feed)| feed.metrics.iter().any(|key| key == metric_key))
            .map(|(provider, _)| provider.as_str())
            .collect()
    }
}

fn told_of(provider: &ProviderFacts, line: Option<u64>, message: String, remedy: &str) -> MetricProblem {
    MetricProblem { file: provider.file.clone(), problem: Problem::new(line, "feeds", message, remedy) }
}

/// Why no map of the provider feeds a metric; `None` when one does.
fn unfed(definition: &Definition, maps: &[&MapFacts]) -> Option<(String, String)> {
    let Source::Records(table) = definition.source else { return None };
    let of_table: Vec<&&MapFacts> = maps.iter().filter(|map| map.table == table.name).collect();
    if of_table.is_empty() {
        let message = format!("{} reads {}, which no field map of this provider writes", definition.key, table.name);
        return Some((message, "add a field map, or take the metric out of feeds".to_owned()));
    }
    let mut read = vec![definition.time_column];
    match &definition.aggregation {
        Aggregation::Count | Aggregation::Share { .. } => {}
        Aggregation::Sum(column) | Aggregation::Average(column) | Aggregation::Median(column) => read.push(column.name),
        Aggregation::MinutesBetween { from, to } => read.extend([*from, *to]),
    }
    let missing: Vec<&str> =
        read.into_iter().filter(|name| !of_table.iter().any(|map| map.columns.iter().any(|c| c == name))).collect();
    let names = missing.join(", ");
    (!missing.is_empty()).then(|| {
        let message =
            format!("{} reads {names} of {}, which no field map of this provider fills", definition.key, table.name);
        (message, format!("map {names}, or take the metric out of feeds"))
    })
}

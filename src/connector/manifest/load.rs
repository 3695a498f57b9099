//! From a manifest's text to plans: everything is checked here, and everything that is wrong is told at once.
//!
//! Owns the manifest as a whole and its streams; requests are read by `load_request`, paging and cursors by
//! `load_slicing`. Refuses what this version does not support, by component, path and line: nothing is skipped.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use url::Url;

use super::{
    assemble, budget,
    engine::{Engine, Scope},
    job,
    load_fields::{primary_key, promises},
    load_names, load_partitions,
    load_retriever::{self, Retrieved},
    load_slicing,
    load_streams::{self, Varying},
    partition::Router,
    plan::{IdentityPlan, Promises, StreamPlan},
    propagate,
    reader::{Component, Load},
    resolve, schema,
    source_plan::{self, CheckWhat, SourcePlan},
    transform,
};
use crate::{
    connector::StreamSpec,
    domain::{clock::Timestamp, status::SyncMode},
    yaml::{self, Dialect, Node, NodeValue, Problem},
};

/// A loaded manifest. Cheap to clone.
#[derive(Clone)]
pub struct Manifest(pub(super) Arc<Loaded>);

pub(super) struct Loaded {
    pub engine: Engine,
    /// What the manifest says about itself beside its streams.
    pub declared: SourcePlan,
    pub streams: Vec<StreamPlan>,
    /// The streams again, as the outside sees them.
    pub specs: Vec<StreamSpec>,
    /// Index of the stream that `check` reads where no identity request is declared.
    pub check_stream: usize,
    /// What the configuration decides about the streams, with the tree that it decides over; none where it decides nothing.
    pub varying: Option<(Node, Varying)>,
    /// Which streams were made by which of `dynamic_streams`.
    pub made: Vec<(String, Vec<String>)>,
    /// The connector's folder, where its schema files lie.
    pub folder: Option<PathBuf>,
    pub identity: Option<IdentityPlan>,
    /// What was left out of the text, in its order.
    pub notices: Vec<Problem>,
    /// `connection_specification`, for checking a connection's options.
    pub specification: Value,
    /// The option that a plain-text secret becomes.
    pub credential: Option<String>,
    pub facts: Facts,
    /// The base addresses that `x-tidegate.environments` names.
    pub environments: Vec<Url>,
}

/// What `x-tidegate` says about the provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    pub provider_key: Option<String>,
    pub name: Option<String>,
    pub category: Option<String>,
    pub auth_type: Option<String>,
    pub requests_per_second: Option<f64>,
    pub burst: Option<u32>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the text.
    pub fn load(text: &str) -> Result<Self, Vec<Problem>> {
        Self::load_in(text, None)
    }

    /// Reads a manifest whose schema files lie in that folder.
    ///
    /// # Errors
    /// As [`Manifest::load`].
    pub fn load_in(text: &str, folder: Option<&Path>) -> Result<Self, Vec<Problem>> {
        let tree = yaml::parse(text, Dialect::Yaml11).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let tree = propagate::propagate(resolve::resolve(&tree, &mut problems));
        let loaded = of_tree(&tree, problems)?;
        let loaded = Loaded { folder: folder.map(Path::to_owned), ..loaded };
        Ok(Self(Arc::new(assemble::with_fixed(loaded)?)))
    }

    /// Those of `dynamic_streams` whose streams depend on the configuration or on the provider.
    pub fn makers(&self) -> Vec<&str> {
        let makers = self.0.varying.iter().flat_map(|(_, varying)| &varying.makers);
        makers.map(|maker| maker.name.as_str()).collect()
    }

    /// What stands in the manifest and is left out, since the format does not know it.
    pub fn notices(&self) -> &[Problem] {
        &self.0.notices
    }

    /// What the manifest says about the provider.
    pub fn facts(&self) -> &Facts {
        &self.0.facts
    }

    pub fn streams(&self) -> &[StreamSpec] {
        &self.0.specs
    }

    /// The manifest's `spec` in the shape of the protocol.
    pub fn spec(&self) -> Value {
        self.0.declared.spec.protocol()
    }

    /// The first stream's authenticator as a word, for manifests that do not name it.
    pub fn auth_type(&self) -> &'static str {
        self.0.streams.first().map_or("none", |plan| plan.request.auth.word())
    }

    /// Lines that tell the declared limits to a person.
    pub fn limits(&self) -> Vec<String> {
        let Facts { requests_per_second, burst, .. } = &self.0.facts;
        let pace = requests_per_second.map(|pace| format!("{pace} requests per second and account"));
        let burst = burst.map(|burst| format!("{burst} requests at once"));
        let caps = self.0.streams.iter().filter_map(|plan| {
            Some(format!("{}: {} records per query", plan.spec.name, plan.promises.max_slice_records?))
        });
        pace.into_iter().chain(burst).chain(caps).collect()
    }
}

/// Plans of a tree without references; `problems` are those that were found before.
pub(super) fn of_tree(tree: &Node, problems: Vec<Problem>) -> Result<Loaded, Vec<Problem>> {
    let torn: Vec<String> = problems.iter().map(|problem: &Problem| problem.field.clone()).collect();
    // A piece that is used at many places is one problem of its line.
    let mut told: Vec<Problem> = Vec::new();
    for problem in problems {
        if !told.iter().any(|have| have.line == problem.line && have.message == problem.message) {
            told.push(problem);
        }
    }
    let torn_told = told.len();
    let load = Load { problems: RefCell::new(told), ..Load::default() };
    let loaded = root(tree, &load);
    let mut problems = load.problems.into_inner();
    // What a torn reference left out is not told a second time as missing.
    let mut place = 0;
    problems.retain(|problem| {
        place += 1;
        place <= torn_told || !torn.contains(&problem.field)
    });
    problems.sort_by_key(|problem| problem.line);
    let mut notices = load.notices.into_inner();
    notices.sort_by_key(|notice| notice.line);
    match loaded {
        Some(parts) if problems.is_empty() => Ok(Loaded { engine: load.engine.into_inner(), notices, ..parts }),
        _ => Err(problems),
    }
}

fn root(tree: &Node, load: &Load) -> Option<Loaded> {
    let outer = Component::root(tree, load);
    let (_, source) = outer.open(tree, String::new(), &["DeclarativeSource"])?;
    let (plans, varying) = load_streams::streams(&source);
    load_names::refuse_twins(&source);

    let mut check_stream = 0;
    let check = source.child("check", &["CheckStream", "CheckDynamicStream"], true);
    let check = check.and_then(|(kind, check)| {
        let read = source_plan::check(kind, &check)?;
        if let CheckWhat::Streams { names, .. } = &read.what {
            for name in names.iter().rev() {
                let found = plans.iter().position(|plan| plan.spec.name == *name);
                check_stream = found.unwrap_or(check_stream);
                // A name may be that of a stream that is made at run time.
                let may_come = tree.get(assemble::ASSEMBLED).is_some() || !varying.makers.is_empty();
                if found.is_none() && !may_come {
                    load_names::tell_unknown(&check, &source, name);
                }
            }
        }
        Some(read)
    });
    let spec = source.child("spec", &["Spec"], false).map(|(_, spec)| source_plan::spec(&spec)).unwrap_or_default();
    let concurrency = source.child("concurrency_level", &["ConcurrencyLevel"], false);
    let budget = source.child("api_budget", &["HTTPAPIBudget"], false);
    let declared = SourcePlan {
        check,
        concurrency: concurrency.and_then(|(_, level)| source_plan::concurrency(&level)),
        budget: budget.map(|(_, budget)| Arc::new(budget::budget(&budget))),
        groups: source_plan::groups(&source),
        jobs: source.template("max_concurrent_async_job_count", false),
        spec,
    };
    source_plan::check_groups(&source, &declared.groups, &plans);
    let specification = declared.spec.connection_specification.clone();

    let mut facts = Facts::default();
    let mut identity = None;
    let mut environments = Vec::new();
    let mut credential = secret_option(&specification);
    // The reference refuses keys of others at the top; its `metadata` is free.
    let within = tree.get("metadata").and_then(|metadata| metadata.get("x-tidegate"));
    let at_top = tree.get("x-tidegate").map(|node| (node, "x-tidegate"));
    if let Some((node, place)) = at_top.or(within.map(|node| (node, "metadata.x-tidegate")))
        && let Some((_, ours)) = source.open(node, place.to_owned(), &["x-tidegate"])
    {
        let text = |key| ours.text(key).map(str::to_owned);
        credential = text("credential").or(credential);
        if let Some((_, limits)) = ours.child("limits", &["limits"], false) {
            facts.requests_per_second = limits.number("requests_per_second");
            if facts.requests_per_second.is_some_and(|pace| !(pace > 0.0 && pace.is_finite())) {
                limits.refuse(
                    "requests_per_second",
                    "a number above 0 is expected",
                    "leave it out for the default pace",
                );
            }
            let burst = limits.count("burst");
            facts.burst = burst.and_then(|burst| u32::try_from(burst).ok()).filter(|burst| *burst > 0);
            if facts.burst.is_none() && burst.is_some() {
                limits.refuse("burst", "a whole number from 1 is expected", "leave it out for the default burst");
            }
            limits.close();
        }
        if let Some((_, asked)) = ours.child("identity", &["identity"], false) {
            let account_id = names(&asked, "account_id");
            identity = asked.template("path", true).map(|path| IdentityPlan { stream: check_stream, path, account_id });
            asked.close();
        }
        environments = super::hosts::environments(&ours);
        facts = Facts {
            provider_key: text("provider_key"),
            name: text("name"),
            category: text("category"),
            auth_type: text("auth_type"),
            ..facts
        };
        ours.close();
    }
    source.finish(&["version", "definitions", "metadata", "schemas", "description", assemble::ASSEMBLED]);
    // Two conditions may each have a stream of one name.
    let mut specs: Vec<StreamSpec> = Vec::new();
    for plan in &plans {
        if !specs.iter().any(|have| have.name == plan.spec.name) {
            specs.push(plan.spec.clone());
        }
    }
    let varying = (!varying.is_empty()).then(|| (tree.clone(), varying));
    Some(Loaded {
        engine: Engine::new(),
        declared,
        streams: plans,
        specs,
        check_stream,
        varying,
        made: Vec::new(),
        folder: None,
        identity,
        notices: Vec::new(),
        specification,
        credential,
        facts,
        environments,
    })
}

/// The single option that is marked as secret.
fn secret_option(specification: &Value) -> Option<String> {
    let properties = specification.get("properties")?.as_object()?;
    let mut secrets = properties.iter().filter(|(_, option)| option.get("airbyte_secret") == Some(&json!(true)));
    let (name, _) = secrets.next()?;
    secrets.next().is_none().then(|| name.clone())
}

/// A list of names, or one name.
pub(super) fn names(component: &Component<'_>, key: &'static str) -> Option<Vec<String>> {
    let node = component.field(key)?;
    let found = match &node.value {
        NodeValue::Text(text) => Some(vec![text.clone()]),
        NodeValue::List(items) => items.iter().map(|item| item.text().map(str::to_owned)).collect(),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Table(_) => None,
    };
    if found.is_none() {
        component.refuse(key, "a name or a list of names is expected", "");
    }
    found
}

/// A text that may name `$parameters` only, rendered at load.
pub(super) fn fixed_text(component: &Component<'_>, key: &'static str, required: bool) -> Option<String> {
    let template = component.template(key, required)?;
    let no_time = Timestamp::from_micros(0)?;
    let scope = Scope::new(no_time, &Arc::new(json!({})));
    match component.load.engine.borrow().text(&template, &scope) {
        Ok(text) => Some(text),
        Err(error) => {
            component.refuse(key, &error.message, "only 'parameters' is known here");
            None
        }
    }
}

pub(super) fn stream(component: &Component<'_>) -> Option<StreamPlan> {
    let name = fixed_text(component, "name", true);
    let primary_key = primary_key(component);
    let schema = schema::schema_loader(component);
    let cursor = component.child("incremental_sync", &["DatetimeBasedCursor", "IncrementingCountCursor"], false).map(
        |(kind, component)| match kind {
            "IncrementingCountCursor" => load_slicing::counting(&component),
            _ => load_slicing::cursor(&component),
        },
    );
    let transformations = transform::transformations(component, "transformations");
    let promises = component.node.get("x-tidegate").map_or_else(Promises::default, |node| promises(component, node));
    if promises.max_slice_records.is_some() && !promises.ordered_by_cursor {
        component.refuse("x-tidegate", "max_slice_records needs ordered_by_cursor", "declare the order, or use a step");
    }

    let retriever =
        component.child("retriever", &["SimpleRetriever", "AsyncRetriever"], true).and_then(|(kind, retriever)| {
            if kind == "AsyncRetriever" {
                job::load::retriever(&retriever)
            } else {
                load_retriever::retriever(&retriever)
            }
        });
    let router = retriever.as_ref().and_then(|retriever| retriever.router.as_ref());
    let old_states = load_partitions::old_states(component, router, cursor.is_some());
    component.finish(&[]);
    let Retrieved { request, selector, paginator, decoder, router, slice_once, detours, job } = retriever?;
    // A cursor was declared but could not be read: that is a problem already, not a stream without a cursor.
    let cursor = match cursor {
        Some(cursor) => Some(cursor?),
        None => None,
    };
    load_retriever::with_cursor(component, router.as_ref(), &decoder, &detours, cursor.as_ref());
    let sync_modes = match cursor {
        Some(_) => vec![SyncMode::FullRefresh, SyncMode::Incremental],
        None => vec![SyncMode::FullRefresh],
    };
    let cursor_field = cursor.as_ref().map(|cursor| cursor.field.clone());
    let spec = StreamSpec { name: name?, primary_key, sync_modes, cursor_field, json_schema: schema.fixed() };
    let global_cursor =
        cursor.as_ref().is_some_and(|cursor| cursor.global) || matches!(router, Some(Router::Groups { .. }));
    Some(StreamPlan {
        spec,
        request,
        decoder,
        selector,
        paginator,
        cursor,
        transformations,
        promises,
        router,
        global_cursor,
        slice_once,
        detours,
        old_states,
        schema,
        delegate: None,
        job,
    })
}

/// A retriever that stands outside of a stream, as the stream that it would make: without cursor, schema and key.
pub(super) fn lone_retriever(component: &Component<'_>, name: &str) -> Option<StreamPlan> {
    let Some(retriever) = component.field("retriever") else {
        component.refuse("retriever", "'retriever' is missing", "say what is asked");
        return None;
    };
    let text = |text: &str| Node { line: component.node.line, value: NodeValue::Text(text.to_owned()) };
    let fields = [("type", text("DeclarativeStream")), ("name", text(name)), ("retriever", retriever.clone())];
    let fields = fields.into_iter().map(|(key, node)| (key.to_owned(), node)).collect();
    let node = Node { line: component.node.line, value: NodeValue::Table(fields) };
    let inner: &Component<'_> = component;
    let (_, made) = inner.open(&node, inner.path.clone(), &["DeclarativeStream"])?;
    stream(&made)
}

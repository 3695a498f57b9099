//! From a manifest's text to plans: everything is checked here, and everything that is wrong is told at once.
//!
//! Owns the manifest as a whole and its streams; requests are read by `load_request`, paging and cursors by
//! `load_slicing`. Refuses what this version does not support, by component, path and line: nothing is skipped.

use std::{cell::RefCell, sync::Arc};

use serde_json::{Value, json};
use url::Url;

use super::{
    budget, decode,
    engine::{Engine, Scope, Template},
    load_partitions, load_request, load_selector, load_slicing,
    partition::Router,
    plan::{IdentityPlan, Promises, StreamPlan},
    propagate,
    reader::{Component, Load},
    resolve,
    schema::{self, SchemaPlan},
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
    /// All that `check` names, in their order.
    pub check_streams: Vec<usize>,
    pub identity: Option<IdentityPlan>,
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
        let tree = yaml::parse(text, Dialect::Yaml11).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let tree = propagate::propagate(resolve::resolve(&tree, &mut problems));
        let load = Load { engine: RefCell::new(Engine::new()), problems: RefCell::new(problems) };
        let loaded = root(&tree, &load);
        let mut problems = load.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        match loaded {
            Some(parts) if problems.is_empty() => {
                Ok(Self(Arc::new(Loaded { engine: load.engine.into_inner(), ..parts })))
            }
            _ => Err(problems),
        }
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

    /// The streams that `check` reads.
    pub fn checked(&self) -> &[usize] {
        &self.0.check_streams
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

fn root(tree: &Node, load: &Load) -> Option<Loaded> {
    let outer = Component::root(tree, load);
    let (_, source) = outer.open(tree, String::new(), &["DeclarativeSource"])?;
    let plans: Vec<_> = source
        .children("streams", &["DeclarativeStream"])
        .iter()
        .filter_map(|(_, component)| stream(component))
        .collect();
    if source.list("streams").is_empty() {
        source.refuse("streams", "the manifest has no streams", "");
    }
    for (at, plan) in plans.iter().enumerate() {
        if plans[..at].iter().any(|other| other.spec.name == plan.spec.name) {
            source.refuse("streams", &format!("two streams are called '{}'", plan.spec.name), "");
        }
    }

    let mut check_stream = 0;
    let mut check_streams = Vec::new();
    let check = source.child("check", &["CheckStream", "CheckDynamicStream"], true);
    let check = check.and_then(|(kind, check)| {
        let read = source_plan::check(kind, &check)?;
        if let CheckWhat::Streams { names, .. } = &read.what {
            for name in names.iter().rev() {
                let found = plans.iter().position(|plan| plan.spec.name == *name);
                check_stream = found.unwrap_or(check_stream);
                check_streams.splice(0..0, found);
                if found.is_none() && load.problems.borrow().is_empty() {
                    check.refuse("stream_names", "a stream to check is not declared", "");
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
        budget: budget.map(|(_, budget)| budget::budget(&budget)),
        groups: source_plan::groups(&source),
        spec,
    };
    let specification = declared.spec.connection_specification.clone();

    let mut facts = Facts::default();
    let mut identity = None;
    let mut environments = Vec::new();
    let mut credential = secret_option(&specification);
    if let Some(node) = tree.get("x-tidegate")
        && let Some((_, ours)) = source.open(node, "x-tidegate".to_owned(), &["x-tidegate"])
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
            limits.finish(&[]);
        }
        if let Some((_, asked)) = ours.child("identity", &["identity"], false) {
            let account_id = names(&asked, "account_id");
            identity = asked.template("path", true).map(|path| IdentityPlan { stream: check_stream, path, account_id });
            asked.finish(&[]);
        }
        environments = super::hosts::environments(&ours);
        facts = Facts {
            provider_key: text("provider_key"),
            name: text("name"),
            category: text("category"),
            auth_type: text("auth_type"),
            ..facts
        };
        ours.finish(&[]);
    }
    source.finish(&["version", "definitions", "metadata", "schemas", "description"]);
    let specs = plans.iter().map(|plan| plan.spec.clone()).collect();
    Some(Loaded {
        engine: Engine::new(),
        declared,
        streams: plans,
        specs,
        check_stream,
        check_streams,
        identity,
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
    if !matches!(schema, SchemaPlan::None) && schema.fixed().is_none() {
        let remedy = "write the schema down, or leave it out";
        component.refuse("schema_loader", "only schemas that stand in the manifest are read in this version", remedy);
    }
    let cursor = component
        .child("incremental_sync", &["DatetimeBasedCursor"], false)
        .map(|(_, component)| load_slicing::cursor(&component));
    let transformations = transform::transformations(component, "transformations");
    let promises = component.node.get("x-tidegate").map_or_else(Promises::default, |node| promises(component, node));
    if promises.max_slice_records.is_some() && !promises.ordered_by_cursor {
        component.refuse("x-tidegate", "max_slice_records needs ordered_by_cursor", "declare the order, or use a step");
    }

    let retriever = component.child("retriever", &["SimpleRetriever"], true).and_then(|(_, retriever)| {
        let request = retriever
            .child("requester", &["HttpRequester"], true)
            .and_then(|(_, requester)| load_request::requester(&requester));
        let selector = retriever
            .child("record_selector", &["RecordSelector"], true)
            .and_then(|(_, c)| load_selector::selector(&c));
        let paginator = retriever
            .child("paginator", &["DefaultPaginator", "NoPagination"], false)
            .and_then(|(kind, paginator)| load_slicing::paginator(kind, &paginator));
        let decoder = decode::decoder(&retriever, "decoder");
        let router = load_partitions::router(&retriever);
        let slice_once = retriever.truth("ignore_stream_slicer_parameters_on_paginated_requests");
        retriever.finish(&["name", "primary_key"]);
        Some((request?, selector?, paginator, decoder?, router, slice_once))
    });
    component.finish(&[]);
    let (request, selector, paginator, decoder, router, slice_once) = retriever?;
    // A cursor was declared but could not be read: that is a problem already, not a stream without a cursor.
    let cursor = match cursor {
        Some(cursor) => Some(cursor?),
        None => None,
    };
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
    })
}

/// `id`, `[id]`, `[account, id]`, or paths: `[[owner, id]]`.
fn primary_key(component: &Component<'_>) -> Vec<Vec<String>> {
    let Some(node) = component.field("primary_key") else { return Vec::new() };
    let part = |node: &Node| -> Option<Vec<String>> {
        match &node.value {
            NodeValue::Text(text) => Some(vec![text.clone()]),
            NodeValue::List(items) => items.iter().map(|item| item.text().map(str::to_owned)).collect(),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Table(_) => None,
        }
    };
    let parts = match &node.value {
        NodeValue::Text(text) if text.is_empty() => Some(Vec::new()),
        NodeValue::Text(_) => part(node).map(|part| vec![part]),
        NodeValue::List(items) => items.iter().map(part).collect(),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Table(_) => None,
    };
    parts.unwrap_or_else(|| {
        component.refuse("primary_key", "a name, a list of names or a list of paths is expected", "");
        Vec::new()
    })
}

fn promises(component: &Component<'_>, node: &Node) -> Promises {
    let Some((_, ours)) = component.open(node, component.at("x-tidegate"), &["x-tidegate"]) else {
        return Promises::default();
    };
    let promises = Promises {
        ordered_by_cursor: ours.truth("ordered_by_cursor"),
        max_slice_records: ours.count("max_slice_records"),
        total: names(&ours, "total"),
        records_optional: ours.truth("records_optional"),
        max_page_size: ours.count("max_page_size"),
        no_cursor: fixed_text(&ours, "no_cursor", false),
    };
    ours.finish(&[]);
    promises
}

/// Each item of a list as a template.
pub(super) fn templates(component: &Component<'_>, key: &'static str) -> Vec<Template> {
    let items = component.list(key).into_iter().enumerate();
    items.filter_map(|(at, node)| component.compile(node, &format!("{}[{at}]", component.at(key)))).collect()
}

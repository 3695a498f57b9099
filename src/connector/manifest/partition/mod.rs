//! Partitions: what a stream is read by besides time: each value of a list, each record of a parent stream.
//!
//! Owns the plans of routers, one partition's values, and the place where a router stands. `walk` goes from one partition to the
//! next; `state` keeps a cursor for each. Partitions are enumerated one at a time: a parent of any length costs one page of memory,
//! and a place names a parent's page and a record on it, so that a reading can go on in the middle of parents.

pub(super) mod state;
pub(super) mod union;
pub(super) mod walk;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    engine::Template,
    plan::{RequestOption, StreamPlan},
};
use crate::domain::cursor::Position;

/// What the format puts beside a parent's value: the parent's own partition.
pub(super) const PARENT_SLICE: &str = "parent_slice";

/// How a stream's partitions come about.
pub(super) enum Router {
    List {
        values: Values,
        field: Template,
        option: Option<RequestOption>,
    },
    Parents(Vec<Parent>),
    /// Each of the first with each of the second, and so on; the last changes fastest.
    Product(Vec<Router>),
    /// So many partitions of another router at once.
    Groups {
        of: Box<Router>,
        size: u64,
        distinct: bool,
    },
    /// The partitions of each, known by one field, each value once.
    Union {
        of: Vec<Router>,
        field: Template,
    },
}

pub(super) enum Values {
    Listed(Vec<Value>),
    /// A template that gives a list.
    Computed(Template),
}

/// A stream whose records are partitions of another.
pub(super) struct Parent {
    pub plan: Arc<StreamPlan>,
    /// Of all that the manifest says of the parent: what says the same is the same parent, whosoever it is.
    pub definition: u64,
    /// Where the value stands in a record, with `/` between names.
    pub key: Template,
    pub field: Template,
    pub extra: Vec<Vec<Template>>,
    pub option: Option<RequestOption>,
    /// The parent is read from its own cursor on, which the child's state keeps.
    pub incremental: bool,
    /// Where the first page of the children lies in a record, for a first reading; empty where it does not.
    pub inside: Vec<Template>,
}

impl Router {
    /// The parents that the router reads, with those of routers below it.
    pub fn parents(&self) -> Vec<&Parent> {
        match self {
            Self::List { .. } => Vec::new(),
            Self::Parents(parents) => parents.iter().collect(),
            Self::Product(routers) | Self::Union { of: routers, .. } => {
                routers.iter().flat_map(Self::parents).collect()
            }
            Self::Groups { of, .. } => of.parents(),
        }
    }
}

/// One partition's values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Partition {
    /// What tells it from others; part of the state.
    pub fields: Map<String, Value>,
    /// What requests and transformations may use besides.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Where a router stands: the partition that is being read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RouterPlace {
    Item(usize),
    Record {
        parent: usize,
        /// The parent's page; `None`: its first.
        page: Option<Position>,
        record: usize,
    },
    Product(Vec<(RouterPlace, Partition)>),
    /// The last partition of the group.
    Group(Box<RouterPlace>),
    /// Which of the routers, and where it stands.
    Union(usize, Box<RouterPlace>),
}

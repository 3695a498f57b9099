//! Pages of parent streams, kept while their records are being used.
//!
//! Owns the few pages that are in use, and what parents' own cursors came to. A parent's page is pulled as any other page is.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    ManifestConnector, delegate,
    partition::{
        Parent, Partition, RouterPlace,
        state::States,
        union::Unions,
        walk::{ParentPage, ParentPages},
    },
    place::Place,
};
use crate::{
    connector::{ConnectorError, PullRequest},
    domain::{clock::Timestamp, cursor::Position, status::SyncMode},
};

/// Pages kept: one for each level of nesting, and some for products.
const KEPT: usize = 16;

/// Which page of which parent (by its definition), read from which state of its own: another child may keep another one, or none.
type Key = (u64, Value, Value);

/// A page that is there, or that somebody is asking for.
type Coming = OnceCell<Arc<ParentPage>>;

/// One run of one plan, by the plan's address: a stream and a parent of the same name are two.
pub(super) type Run = (usize, Timestamp);

/// What is remembered between the pages of a pull; losing it costs requests, never records.
#[derive(Default)]
pub(super) struct Kept {
    pages: Mutex<VecDeque<(Key, Arc<Coming>)>>,
    /// By the parents' definitions.
    cursors: Mutex<HashMap<u64, Value>>,
    /// Names of fields that endpoints gave, by stream and run.
    names: Mutex<HashMap<Run, Arc<Vec<String>>>>,
    /// The schemas that a catalogue wants of streams.
    schemas: Mutex<HashMap<String, Arc<Value>>>,
    pub unions: Unions,
    /// The partitions that a run gave, with the place of each, by stream.
    given: Mutex<HashMap<Run, HashMap<String, RouterPlace>>>,
}

impl Kept {
    pub fn names(&self, key: &Run) -> Option<Arc<Vec<String>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub fn keep_names(&self, key: Run, names: Vec<String>) -> Arc<Vec<String>> {
        let names = Arc::new(names);
        let mut kept = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        // An earlier run's are of no use to a later one.
        kept.retain(|(plan, _), _| *plan != key.0);
        kept.insert(key, Arc::clone(&names));
        names
    }

    /// Whether the run gave that partition at another place before. What is not remembered was not given.
    pub fn given_before(&self, run: &Run, partition: &Partition, place: &RouterPlace) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        // An earlier run's are of no use to a later one.
        given.retain(|(plan, at), _| *plan != run.0 || *at == run.1);
        let key = serde_json::to_string(&partition.fields).unwrap_or_default();
        let first = given.entry(*run).or_default().entry(key).or_insert_with(|| place.clone());
        first != place
    }

    /// The schema that a catalogue wants of a stream; none where there is no catalogue.
    pub fn schema(&self, stream: &str) -> Option<Arc<Value>> {
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner).get(stream).cloned()
    }

    pub fn want_schema(&self, stream: &str, schema: Value) {
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.to_owned(), Arc::new(schema));
    }

    /// The cursor that a parent's pages came to.
    pub fn cursor(&self, parent: &Parent) -> Option<Value> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).get(&parent.definition).cloned()
    }
}

/// Reads parents within one pull.
pub(super) struct Reading<'a> {
    pub connector: &'a ManifestConnector,
    pub request: &'a PullRequest,
    /// The child's states, which keep those of its parents.
    pub states: Option<&'a States>,
}

impl ParentPages for Reading<'_> {
    fn page<'a>(
        &'a self,
        parent: &'a Parent,
        at: Option<&'a Position>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<ParentPage>, ConnectorError>> + Send + 'a>> {
        Box::pin(async move {
            let kept = &self.connector.parents;
            let state = if parent.incremental {
                self.states.and_then(|states| states.parent(&parent.plan.spec.name)).cloned()
            } else {
                None
            };
            let position = at.map_or(Value::Null, |at| at.0.clone());
            let key = (parent.definition, position, state.clone().unwrap_or(Value::Null));
            // Whoever asks for a page that is on its way waits for it.
            let cell = {
                let mut pages = kept.pages.lock().unwrap_or_else(PoisonError::into_inner);
                let have = pages.iter().find(|(have, _)| *have == key).map(|(_, page)| Arc::clone(page));
                have.unwrap_or_else(|| {
                    let cell = Arc::new(OnceCell::new());
                    pages.push_back((key, Arc::clone(&cell)));
                    if pages.len() > KEPT {
                        pages.pop_front();
                    }
                    cell
                })
            };
            cell.get_or_try_init(|| self.read(parent, at, state)).await.map(Arc::clone)
        })
    }
}

impl Reading<'_> {
    async fn read(
        &self,
        parent: &Parent,
        at: Option<&Position>,
        state: Option<Value>,
    ) -> Result<Arc<ParentPage>, ConnectorError> {
        let request = PullRequest {
            stream: parent.plan.spec.name.clone(),
            mode: if state.is_some() && parent.plan.ways().any(|plan| plan.cursor.is_some()) {
                SyncMode::Incremental
            } else {
                SyncMode::FullRefresh
            },
            cursor: state,
            position: at.cloned(),
            started_at: self.request.started_at,
            limit: None,
            traffic: Arc::clone(&self.request.traffic),
        };
        let (place, page) = delegate::placed_page(self.connector, &parent.plan, &request, None).await?;
        if let Some(cursor) = &page.cursor {
            let mut cursors = self.connector.parents.cursors.lock().unwrap_or_else(PoisonError::into_inner);
            cursors.insert(parent.definition, cursor.state.clone());
        }
        Ok(Arc::new(ParentPage::of(page, place.as_ref())))
    }
}

/// The place that a page was read at, for whoever needs its partition.
pub(super) type Placed = (Option<Place>, crate::connector::Page);

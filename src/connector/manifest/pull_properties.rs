//! Records whose fields are asked for by name: a page is as many requests as there are pieces, laid together by a key.
//!
//! Owns one page of that and the names that an endpoint gives. How names are cut into pieces is `properties`'.

use std::sync::Arc;

use serde_json::{Map, Value, map::Entry};

use super::{
    delegate,
    engine::Scope,
    place::Place,
    properties::{Chunking, PropertiesPlan, PropertyList},
    pull::Pull,
    pull_answer::{Fetched, Taken},
    select::Selected,
};
use crate::{
    connector::{ConnectorError, PullRequest},
    domain::{record::Item, status::SyncMode},
};

impl Pull<'_> {
    /// The page at that place, piece by piece.
    pub(super) async fn by_properties(
        &self,
        properties: &PropertiesPlan,
        place: &Place,
        scope: &Scope,
    ) -> Result<(Fetched, usize), ConnectorError> {
        let schema = self.schema().await?;
        let names = self.names(properties).await?;
        let selected = match &properties.selector {
            Some(selector) => {
                let schema = self.connector.parents.schema(&self.plan.spec.name);
                selector.selected(&self.connector.loaded.engine, &self.scope, schema.as_deref())?
            }
            None => None,
        };
        let (mut merged, mut last, mut bytes) = (Merged::default(), None, 0);
        for chunk in properties.chunks(&names, selected.as_ref()) {
            let chunk_scope = asking_for(scope, &chunk);
            let answer = self.ask(place, &chunk_scope, Some(&chunk)).await?;
            if let Some(detour) = Fetched::detour(answer.taken_for) {
                return Ok((detour, 0));
            }
            bytes += answer.body.len();
            let mut taken = self.take(place, scope, &answer, schema.as_deref(), true)?;
            merged.add(properties.chunking.as_ref(), std::mem::take(&mut taken.selected));
            last = Some((taken, answer, chunk_scope));
        }
        let Some((mut taken, answer, chunk_scope)) = last else { return Ok((Fetched::page(Taken::default()), 0)) };
        for payload in merged.apart.into_iter().chain(merged.by_key.into_iter().map(|(_, payload)| payload)) {
            taken.selected.take(self.plan, payload, self.connector.strictness());
        }
        taken.selected.items.extend(merged.broken);
        taken.selected.filtered = merged.filtered;
        if let Some(body) = taken.body.take() {
            self.find_token(place, &chunk_scope, &answer, &mut taken, &body)?;
        }
        Ok((Fetched::page(taken), bytes))
    }

    /// The names of the fields: the list's, or what the endpoint gives, asked once.
    async fn names(&self, properties: &PropertiesPlan) -> Result<Arc<Vec<String>>, ConnectorError> {
        let list = &properties.list;
        let endpoint = match list {
            PropertyList::Named(names) => return Ok(Arc::new(names.clone())),
            PropertyList::Endpoint { endpoint, .. } => endpoint,
        };
        let key = self.run();
        if let Some(names) = self.connector.parents.names(&key) {
            return Ok(names);
        }
        let mut request = PullRequest {
            stream: endpoint.spec.name.clone(),
            mode: SyncMode::FullRefresh,
            cursor: None,
            position: None,
            started_at: self.request.started_at,
            limit: None,
            traffic: Arc::clone(&self.request.traffic),
        };
        let mut names = Vec::new();
        loop {
            // A page of an endpoint is a page of any stream; its future holds another one's.
            let page = Box::pin(delegate::placed_page(self.connector, endpoint, &request, None)).await?.1;
            for item in &page.items {
                if let Item::Record(record) = item {
                    names.push(list.name(&self.connector.loaded.engine, &self.scope, &record.payload)?);
                }
            }
            match page.next {
                Some(next) => request.position = Some(next),
                None => break,
            }
        }
        Ok(self.connector.parents.keep_names(key, names))
    }
}

/// The records of all pieces.
#[derive(Default)]
struct Merged {
    /// Those that are whole in one piece, and those without a key.
    apart: Vec<Value>,
    /// The others, in the order in which they came first.
    by_key: Map<String, Value>,
    broken: Vec<Item>,
    filtered: usize,
}

impl Merged {
    fn add(&mut self, chunking: Option<&Chunking>, selected: Selected) {
        self.filtered += selected.filtered;
        for item in selected.items {
            let payload = match item {
                Item::Record(record) => record.payload,
                broken @ Item::Broken(_) => {
                    self.broken.push(broken);
                    continue;
                }
            };
            match chunking.and_then(|chunking| chunking.merge_key(&payload)) {
                None => self.apart.push(payload),
                Some(key) => lay(self.by_key.entry(key).or_insert_with(|| Value::Object(Map::new())), payload),
            }
        }
    }
}

/// Lays a value over another: objects field by field.
fn lay(below: &mut Value, over: Value) {
    match (below, over) {
        (Value::Object(below), Value::Object(over)) => {
            for (key, value) in over {
                match below.entry(key) {
                    Entry::Occupied(mut have) => lay(have.get_mut(), value),
                    Entry::Vacant(place) => {
                        place.insert(value);
                    }
                }
            }
        }
        (below, over) => *below = over,
    }
}

/// What a request sees of its piece: in place of what goes along with the partition.
fn asking_for(scope: &Scope, chunk: &[String]) -> Scope {
    let names = Value::from(chunk.to_vec());
    let extra = Map::from_iter([("query_properties".to_owned(), names.clone())]);
    scope.clone().with_extra_fields(&Arc::new(Value::Object(extra))).with("query_properties", &Arc::new(names))
}

//! A stream's schema at run time: the provider is asked where it tells it, files of the connector's folder are read.
//!
//! Owns when a schema is asked for, and that each is asked for once by a connector. What is made of the answer is the loaders'.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::{SchemaPlan, dynamic::DynamicPlan};
use crate::{
    connector::{
        ConnectorError, TrafficMeter,
        manifest::{ManifestConnector, Manner, assemble, delegate, engine::Scope, plan::StreamPlan},
    },
    domain::{clock::Timestamp, record::Item},
};

/// The schemas that were told, by the address of the stream's plan, which lives as long as the connector.
#[derive(Default)]
pub(in crate::connector::manifest) struct Told(Mutex<HashMap<usize, Arc<Value>>>);

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Arc<Value>, ConnectorError>> + Send + 'a>>;

impl ManifestConnector {
    /// The schema of a stream that has one; an empty one where the manifest names none. `None`: there is no such stream.
    ///
    /// # Errors
    /// Those of a pull, where the provider tells it; a file that is not there; an answer from which no schema can be made.
    pub async fn schema(&self, stream: &str) -> Result<Option<Arc<Value>>, ConnectorError> {
        let Some(plan) = self.loaded.streams.iter().find(|plan| plan.spec.name == stream) else { return Ok(None) };
        let traffic = Arc::new(TrafficMeter::default());
        self.schema_of(plan, self.gate.clock().now(), &traffic).await.map(Some)
    }

    /// The schema that a page's records are cast by, where it does not stand in the manifest.
    ///
    /// The reference loads it before each reading, whether it is used or not; the daemon where it is used.
    ///
    /// # Errors
    /// As [`ManifestConnector::schema`].
    pub(in crate::connector::manifest) async fn schema_for_reading(
        &self,
        plan: &StreamPlan,
        now: Timestamp,
        traffic: &Arc<TrafficMeter>,
    ) -> Result<Option<Arc<Value>>, ConnectorError> {
        let wanted = self.manner == Manner::Reference || plan.selector.normalise;
        if !wanted || plan.schema.fixed().is_some() || matches!(plan.schema, SchemaPlan::None) {
            return Ok(None);
        }
        self.schema_of(plan, now, traffic).await.map(Some)
    }

    fn schema_of<'a>(&'a self, plan: &'a StreamPlan, now: Timestamp, traffic: &'a Arc<TrafficMeter>) -> Asked<'a> {
        Box::pin(async move {
            let key = std::ptr::from_ref(plan).addr();
            let told = self.schemas.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            if let Some(schema) = told {
                return Ok(schema);
            }
            let mut records = VecDeque::new();
            for loader in plan.schema.dynamic() {
                records.push_back(self.first_record(loader, now, traffic).await?);
            }
            let scope = Scope::new(now, &self.config);
            let mut next = |_: &DynamicPlan| Ok(records.pop_front().flatten());
            let schema = plan.schema.schema(&self.loaded.engine, &scope, self.loaded.folder.as_deref(), &mut next)?;
            let schema = Arc::new(schema);
            let mut told = self.schemas.0.lock().unwrap_or_else(PoisonError::into_inner);
            told.insert(key, Arc::clone(&schema));
            Ok(schema)
        })
    }

    /// The first record of a loader's retriever; the pages behind it are not asked for.
    async fn first_record(
        &self,
        loader: &DynamicPlan,
        now: Timestamp,
        traffic: &Arc<TrafficMeter>,
    ) -> Result<Option<Value>, ConnectorError> {
        let mut request = assemble::listing(loader.retriever.spec.name.clone(), now);
        request.traffic = Arc::clone(traffic);
        loop {
            let page = delegate::placed_page(self, &loader.retriever, &request, None).await?.1;
            let record = page.items.into_iter().find_map(|item| match item {
                Item::Record(record) => Some(record.payload),
                Item::Broken(_) => None,
            });
            match (record, page.next) {
                (Some(record), _) => return Ok(Some(record)),
                (None, Some(next)) => request.position = Some(next),
                (None, None) => return Ok(None),
            }
        }
    }
}

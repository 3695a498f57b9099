//! The request of a place: what its templates see, and the call.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    Manner,
    engine::Scope,
    place::Place,
    pull::Pull,
    request::{self, PageFacts, Proof},
};
use crate::connector::{
    ConnectorError,
    http::{Answer, Call},
};

impl Pull<'_> {
    /// The bounds of the place's window, in the cursor's own format.
    fn bounds(&self, place: &Place) -> Option<(Value, Value)> {
        let (cursor, window) = (self.plan.cursor.as_ref()?, place.window()?);
        Some((cursor.told(window.start), cursor.told(window.end)))
    }

    /// What templates see of the place's slice.
    pub(super) fn slice_scope(&self, place: &Place) -> Scope {
        self.slice_scope_with(place, Map::new())
    }

    /// The slice's scope with extra fields beside those of its partition.
    pub(super) fn slice_scope_with(&self, place: &Place, mut extra: Map<String, Value>) -> Scope {
        let (mut partition, mut bounds) = (Map::new(), Map::new());
        if let Some(read) = place.partition() {
            partition.clone_from(&read.fields);
            extra.extend(read.extra.clone());
        }
        if let (Some(cursor), Some((start, end))) = (&self.plan.cursor, self.bounds(place)) {
            bounds.insert(cursor.start_name.clone(), start);
            bounds.insert(cursor.end_name.clone(), end);
        }
        let all: Map<String, Value> = partition.iter().chain(&bounds).map(|(k, v)| (k.clone(), v.clone())).collect();
        let parts = [partition, bounds, extra].map(|fields| Arc::new(Value::Object(fields)));
        let scope = self.scope.clone().with_slice(&Arc::new(Value::Object(all)), parts);
        if place.token.is_null() {
            return scope;
        }
        scope.with("next_page_token", &Arc::new(json!({"next_page_token": place.token.clone()})))
    }

    /// Asks for the page at that place; for these fields only, where the requester names them.
    pub(super) async fn ask(
        &self,
        place: &Place,
        scope: &Scope,
        properties: Option<&[String]>,
    ) -> Result<Answer, ConnectorError> {
        let bounds = self.bounds(place);
        let now = self.connector.gate.clock().now();
        let make = |secret: Option<&SecretString>, session: Option<&SecretString>| -> Result<Call, ConnectorError> {
            let config = self.connector.config_with(secret)?;
            let by_token = self.plan.slice_once && !place.token.is_null();
            let facts = PageFacts {
                bounds: bounds.as_ref().filter(|_| !by_token).map(|(start, end)| (start, end)),
                properties,
                token: &place.token,
                size: place.size,
                partition: self.plan.router.as_ref().zip(place.partition()).filter(|_| !by_token),
                proof: Proof { config: &config, session, now, may_lack: self.connector.manner == Manner::Reference },
                any_origin: self.connector.manner == Manner::Reference,
            };
            request::build(
                &self.connector.loaded.engine,
                &self.plan.request,
                self.plan.cursor.as_ref(),
                self.plan.paginator.as_ref(),
                &scope.clone().with("config", &config),
                &facts,
            )
        };
        self.connector.send(&self.plan.request, &self.request.traffic, &make, scope).await
    }
}

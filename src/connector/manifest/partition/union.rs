//! Several routers as one: each value once, by the first router that gives it.
//!
//! Owns what was given so far. It is kept beside the places, which would grow with it; where it is lost, the routers are
//! walked again up to the place.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value};

use super::{
    Partition, Router, RouterPlace,
    walk::{Step, Walk},
};
use crate::connector::{ConnectorError, ErrorKind, manifest::engine::Template};

/// What unions gave, by their plans, with the place that each stands at.
#[derive(Default)]
pub(in crate::connector::manifest) struct Unions(Mutex<HashMap<usize, (RouterPlace, HashSet<String>)>>);

impl Unions {
    fn take(&self, key: usize, at: &RouterPlace) -> Option<HashSet<String>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.remove(&key) {
            Some((place, seen)) if place == *at => Some(seen),
            _ => None,
        }
    }

    fn keep(&self, key: usize, at: RouterPlace, seen: HashSet<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (at, seen));
    }
}

impl Walk<'_> {
    /// The next partition of a union whose value was not given before.
    pub(super) async fn union(
        &self,
        routers: &[Router],
        field: &Template,
        place: Option<(usize, &RouterPlace)>,
    ) -> Result<Option<Step>, ConnectorError> {
        let field = self.engine.text(field, self.scope)?;
        let key = routers.as_ptr().addr();
        let at = place.map(|(router, at)| RouterPlace::Union(router, Box::new(at.clone())));
        let kept = at.as_ref().and_then(|at| self.unions.take(key, at));
        let (mut index, mut inner, mut seen) = match (place, kept) {
            (None, _) => (0, None, HashSet::new()),
            (Some((router, at)), Some(seen)) => (router, Some(at.clone()), seen),
            (Some((router, at)), None) => (router, Some(at.clone()), self.given(routers, &field, router, at).await?),
        };
        while let Some(router) = routers.get(index) {
            while let Some((partition, at)) = self.next(router, inner.as_ref()).await? {
                if seen.insert(value(&partition, &field)?) {
                    let place = RouterPlace::Union(index, Box::new(at));
                    self.unions.keep(key, place.clone(), seen);
                    return Ok(Some((alone(partition, &field), place)));
                }
                inner = Some(at);
            }
            (index, inner) = (index + 1, None);
        }
        Ok(None)
    }

    /// All values up to that place.
    async fn given(
        &self,
        routers: &[Router],
        field: &str,
        upto: usize,
        last: &RouterPlace,
    ) -> Result<HashSet<String>, ConnectorError> {
        let mut seen = HashSet::new();
        for (index, router) in routers.iter().enumerate().take(upto + 1) {
            let mut inner = None;
            while let Some((partition, at)) = self.next(router, inner.as_ref()).await? {
                seen.insert(value(&partition, field)?);
                if index == upto && at == *last {
                    return Ok(seen);
                }
                inner = Some(at);
            }
        }
        Ok(seen)
    }
}

/// The value as it is compared: 1 and 1.0 are the same.
fn value(partition: &Partition, field: &str) -> Result<String, ConnectorError> {
    let refuse = |what: &str| {
        let message = format!("a union of partitions by '{field}' meets a partition {what}");
        Err(ConnectorError::new(ErrorKind::Settings, message))
    };
    match partition.fields.get(field) {
        None => refuse("without that field"),
        Some(Value::Array(_) | Value::Object(_)) => refuse("whose value is no single one"),
        Some(Value::Bool(truth)) => Ok(u8::from(*truth).to_string()),
        Some(Value::Number(number)) => Ok(number.to_string().trim_end_matches(".0").to_owned()),
        Some(value @ (Value::Null | Value::String(_))) => Ok(value.to_string()),
    }
}

/// The partition by its one field; what else it had goes along.
fn alone(partition: Partition, field: &str) -> Partition {
    let Partition { fields, mut extra } = partition;
    let (own, others): (Map<String, Value>, Map<String, Value>) =
        fields.into_iter().partition(|(name, _)| name == field);
    extra.extend(others);
    Partition { fields: own, extra }
}

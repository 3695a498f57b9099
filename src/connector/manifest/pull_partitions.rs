//! A pull that is partitioned: which partition comes next, where it begins, and what becomes of its cursor.
//!
//! Owns the states between partitions. A page within one is `pull`'s.

use serde_json::{Value, json};

use super::{
    paginate,
    parents::Reading,
    partition::{Partition, Router, RouterPlace, state::States, walk::Walk},
    place::{Part, Place},
    pull::{CLOSED_AT_ONCE, Pull},
    slices,
};
use crate::{
    connector::{ConnectorError, Page},
    domain::{clock::Timestamp, cursor::Cursor, status::SyncMode},
};

impl Pull<'_> {
    /// The page of a stream that has no partition to read.
    pub(super) fn nothing(&self) -> Page {
        Page {
            items: Vec::new(),
            next: None,
            resumable: false,
            cursor: self.states.clone().map(|states| self.finished(states, None)),
            window: None,
            provider_total: None,
            story: format!("{}: there is no partition to read", self.plan.spec.name),
        }
    }

    /// The first place of the partition after that one; `None` when there is none.
    pub(super) async fn partition_after(
        &self,
        place: Option<&RouterPlace>,
        top: Option<i64>,
        latest: Option<i64>,
    ) -> Result<Option<Place>, ConnectorError> {
        let Some(router) = &self.plan.router else { return Ok(None) };
        let reading = Reading { connector: self.connector, request: self.request, states: self.states.as_ref() };
        let walk = Walk { engine: &self.connector.loaded.engine, scope: &self.scope, parents: &reading };
        let known = self.ahead.zip(place).and_then(|(ahead, place)| ahead.step_after(place));
        let step = match known {
            Some(step) => step,
            None => walk.next(router, place).await?,
        };
        let Some((partition, router)) = step else { return Ok(None) };
        let (own, back) = self.partition_start(&partition)?;
        let ago = own.and_then(|own| Timestamp::from_micros(own.micros() - back.max(0) * 1_000_000));
        let mut place = self.slice_from(ago.or(own))?;
        place.latest = latest;
        let from = match &self.plan.cursor {
            Some(cursor) => Some(slices::beginning(&self.connector.loaded.engine, cursor, &self.scope, own)?.micros()),
            None => None,
        };
        Ok(Some(place.of_partition(Part { router, partition, from, latest: None, top, closed: Vec::new() })))
    }

    /// What the partition's own cursor says, or the one for all.
    /// With it, how many seconds to go back from there.
    pub(super) fn partition_start(&self, partition: &Partition) -> Result<(Option<Timestamp>, i64), ConnectorError> {
        let (Some(cursor), Some(states)) = (&self.plan.cursor, &self.states) else { return Ok((None, 0)) };
        if self.request.mode != SyncMode::Incremental {
            return Ok((None, 0));
        }
        let Some((value, back)) = states.of(&partition.fields) else { return Ok((None, 0)) };
        let at = slices::cursor_instant(cursor, &json!({cursor.field.as_str(): value}))?;
        Ok((Some(at), back))
    }

    /// The states with what was read, at the end of all partitions.
    pub(super) fn finished(&self, mut states: States, latest: Option<i64>) -> Cursor {
        let value = latest.and_then(|latest| {
            Some(Value::String(self.plan.cursor.as_ref()?.format.format(Timestamp::from_micros(latest)?)))
        });
        let took = self.connector.gate.clock().now().since(self.request.started_at);
        states.finish(value, i64::try_from(took.as_secs()).unwrap_or(i64::MAX).saturating_add(1));
        let parents = self.plan.router.as_ref().map(Router::parents).unwrap_or_default();
        let dependent = parents.into_iter().filter(|parent| parent.incremental).map(|parent| &parent.plan.spec.name);
        let kept = |name: &String| {
            Some((name.clone(), self.connector.parents.cursor(name).or_else(|| states.parent(name).cloned())?))
        };
        let cursors = dependent.filter_map(kept).collect();
        if matches!(self.plan.router, Some(Router::Parents(_) | Router::Groups { .. })) {
            states.set_parents(cursors);
        }
        Cursor { state: states.to_value(), order: None }
    }

    /// From a page of a partition to where the pull goes on: in the partition, or in the next one.
    pub(super) async fn partition_turn(
        &self,
        part: Part,
        next: Option<Place>,
        latest: Option<i64>,
    ) -> Result<(Option<Place>, Option<Cursor>), ConnectorError> {
        if next.is_some() {
            return Ok((next, None));
        }
        let Part { router, partition, from, latest: own, top, mut closed } = part;
        let upto = own.max(from).map(|upto| self.bounded(upto));
        let top = top.max(upto);
        if let Some(upto) = upto.filter(|_| self.states.is_some()) {
            closed.push((partition.fields, upto));
        }
        let mut next = self.partition_after(Some(&router), top, latest).await?;
        let Some(states) = &self.states else { return Ok((next, None)) };
        if next.is_some() && closed.len() < CLOSED_AT_ONCE {
            if let Some(part) = next.as_mut().and_then(Place::part_mut) {
                part.closed = closed;
            }
            return Ok((next, None));
        }
        let mut states = states.clone();
        for (fields, upto) in closed {
            let at = Timestamp::from_micros(upto);
            let text = at.and_then(|at| Some(self.plan.cursor.as_ref()?.format.format(at)));
            states.close(&fields, text.map_or(Value::Null, Value::String));
        }
        let cursor = match &next {
            Some(_) => Cursor { state: states.to_value(), order: None },
            // Where nothing was seen at all, the one for all partitions stays as it is.
            None => self.finished(states, latest.map(|latest| self.bounded(latest).max(top.unwrap_or(i64::MIN)))),
        };
        Ok((next, Some(cursor)))
    }

    /// Whether a later run may go on in the middle of partitions: no listing on the way counts records.
    pub(super) fn parts_resumable(&self) -> bool {
        let parents = self.plan.router.as_ref().map(Router::parents).unwrap_or_default();
        parents
            .iter()
            .flat_map(|parent| parent.plan.ways())
            .all(|plan| plan.paginator.is_none() || paginate::resumable(plan.paginator.as_ref()))
            && (self.plan.paginator.is_none() || paginate::resumable(self.plan.paginator.as_ref()))
    }
}

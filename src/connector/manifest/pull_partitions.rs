//! A pull that is partitioned: which partition comes next, where it begins, and what becomes of its cursor.
//!
//! Owns the states between partitions. A page within one is `pull`'s.

use serde_json::{Map, Value, json};

use super::{
    paginate,
    parents::{Reading, Run},
    partition::{Parent, Partition, Router, RouterPlace, state::States, walk::Walk},
    place::{Part, Place},
    pull::{CLOSED_AT_ONCE, Pull},
    slices::{self, Window},
};
use crate::{
    connector::{
        ConnectorError, Page,
        http::{Answer, TakenFor},
    },
    domain::{clock::Timestamp, cursor::Cursor, status::SyncMode},
};

/// Partitions that were read to their end, or have nothing to read, with the values that they came to in microseconds.
pub(super) type Closed = Vec<(Map<String, Value>, i64)>;

impl Pull<'_> {
    /// The page of a stream that has no partition or no window to read.
    pub(super) fn nothing(&self, closed: Closed) -> Page {
        let states = self.states.clone().map(|mut states| {
            self.close(&mut states, closed);
            self.finished(states, None)
        });
        let cursor = states.or_else(|| {
            let (plan, begun) = (self.plan.cursor.as_ref()?, self.begun?);
            Some(self.cursor(plan, begun.micros(), Window { start: begun, end: begun }))
        });
        Page {
            items: Vec::new(),
            next: None,
            resumable: false,
            cursor,
            window: None,
            provider_total: None,
            story: format!("{}: there is nothing to ask for", self.plan.spec.name),
        }
    }

    fn close(&self, states: &mut States, closed: Closed) {
        for (fields, upto) in closed {
            let told = Timestamp::from_micros(upto).and_then(|at| Some(self.plan.cursor.as_ref()?.told(at)));
            states.close(&fields, told.unwrap_or(Value::Null));
        }
    }

    /// The run, for what is remembered of it.
    pub(super) fn run(&self) -> Run {
        (std::ptr::from_ref(self.plan).addr(), self.request.started_at)
    }

    /// The first place of the partition after that one; `None` when there is none. `reached` is the latest that partitions came to
    /// and the latest value that was seen. Partitions without a window are `closed` on the way.
    pub(super) async fn partition_after(
        &self,
        place: Option<&RouterPlace>,
        reached: (Option<i64>, Option<i64>),
        lazy: bool,
        closed: &mut Closed,
    ) -> Result<Option<Place>, ConnectorError> {
        let Some(plan) = &self.plan.router else { return Ok(None) };
        let engine = &self.connector.loaded.engine;
        let reading = Reading { connector: self.connector, request: self.request, states: self.states.as_ref() };
        let unions = &self.connector.parents.unions;
        let walk = Walk { engine, scope: &self.scope, parents: &reading, unions };
        let mut at = place.cloned();
        let run = self.run();
        loop {
            let known = self.ahead.zip(at.as_ref()).and_then(|(ahead, at)| ahead.step_after(at));
            let step = match known {
                Some(step) => step,
                None => walk.next(plan, at.as_ref()).await?,
            };
            let Some((partition, router)) = step else { return Ok(None) };
            // A partition with a cursor of its own is read once, however often its parents name it.
            if self.states.is_some() && self.connector.parents.given_before(&run, &partition, &router) {
                at = Some(router);
                continue;
            }
            let (own, back) = self.partition_start(&partition)?;
            let own = own.map(|own| Timestamp::from_micros(own.micros() - back.max(0) * 1_000_000).unwrap_or(own));
            let from = match &self.plan.cursor {
                Some(cursor) => Some(slices::beginning(engine, cursor, &self.scope, own)?.micros()),
                None => None,
            };
            if let Some(mut place) = self.slice_from(own)? {
                let (top, latest) = reached;
                place.latest = latest;
                let closed = std::mem::take(closed);
                return Ok(Some(place.of_partition(Part { router, partition, from, latest: None, top, closed, lazy })));
            }
            closed.extend(from.map(|from| (partition.fields, from)));
            at = Some(router);
        }
    }

    /// The first page of a partition that lies in its parent's record, where it is read from there.
    pub(super) async fn inside_parent(&self, place: &Place) -> Result<Option<Answer>, ConnectorError> {
        let (Some(part), Some(Router::Parents(parents))) = (place.part(), &self.plan.router) else { return Ok(None) };
        if !part.lazy || place.page > 0 {
            return Ok(None);
        }
        let engine = &self.connector.loaded.engine;
        let reading = Reading { connector: self.connector, request: self.request, states: self.states.as_ref() };
        let unions = &self.connector.parents.unions;
        let walk = Walk { engine, scope: &self.scope, parents: &reading, unions };
        let Some(inside) = walk.inside(parents, &part.router).await? else { return Ok(None) };
        Ok(Some(Answer {
            status: 200,
            headers: std::collections::BTreeMap::new(),
            body: inside.to_string().into(),
            asked: format!("{}, inside of its parent", self.plan.spec.name),
            taken_for: TakenFor::Answer,
        }))
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
        let value = latest.and_then(|latest| Some(self.plan.cursor.as_ref()?.told(Timestamp::from_micros(latest)?)));
        let took = self.connector.gate.clock().now().since(self.request.started_at);
        states.finish(value, i64::try_from(took.as_secs()).unwrap_or(i64::MAX).saturating_add(1));
        let parents = self.plan.router.as_ref().map(Router::parents).unwrap_or_default();
        let dependent = parents.into_iter().filter(|parent| parent.incremental);
        let kept = |parent: &Parent| {
            let name = &parent.plan.spec.name;
            Some((name.clone(), self.connector.parents.cursor(parent).or_else(|| states.parent(name).cloned())?))
        };
        let cursors = dependent.filter_map(kept).collect();
        if matches!(self.plan.router, Some(Router::Parents(_) | Router::Groups { .. } | Router::Union { .. })) {
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
        let Part { router, partition, from, latest: own, top, mut closed, lazy } = part;
        let joined = match from.and_then(Timestamp::from_micros) {
            Some(from) => self.joins(from)?,
            None => true,
        };
        let upto = own.filter(|_| joined).max(from).map(|upto| self.bounded(upto));
        let top = top.max(upto);
        if let Some(upto) = upto.filter(|_| self.states.is_some()) {
            closed.push((partition.fields, upto));
        }
        let mut next = self.partition_after(Some(&router), (top, latest), lazy, &mut closed).await?;
        if let Some(part) = next.as_mut().and_then(Place::part_mut) {
            closed = std::mem::take(&mut part.closed);
        }
        let Some(states) = &self.states else { return Ok((next, None)) };
        if next.is_some() && closed.len() < CLOSED_AT_ONCE {
            if let Some(part) = next.as_mut().and_then(Place::part_mut) {
                part.closed = closed;
            }
            return Ok((next, None));
        }
        let mut states = states.clone();
        self.close(&mut states, closed);
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

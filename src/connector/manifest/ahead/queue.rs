//! What is known of slices that were not delivered yet: where each goes on, and what came of it.
//!
//! Owns the bounds and the order. No clock, no requests: a table that the driver fills and the delivery empties. Requests start with
//! the earliest slice that may have one, so that what is wanted first comes first.

use std::collections::VecDeque;

use crate::connector::{
    ConnectorError,
    manifest::{
        partition::{RouterPlace, walk::Step},
        place::Place,
    },
};

/// How much is looked ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Requests under way.
    pub at_once: usize,
    /// Slices that are known and not delivered.
    pub slices: usize,
    /// Pages that wait in one slice.
    pub pages: usize,
    /// Bodies of all pages that wait or are under way. A page under way counts as large as the largest so far.
    pub bytes: usize,
}

/// `T` is what a page holds.
pub(super) struct Queue<T> {
    bounds: Bounds,
    slices: VecDeque<Slice<T>>,
    /// From a partition to the next one, as the router went: what the delivery need not walk again.
    steps: VecDeque<(RouterPlace, Option<Step>)>,
    /// The last slice that is known.
    frontier: Place,
    frontier_is: Frontier,
    next_id: u64,
    under_way: usize,
    held: usize,
    largest: usize,
    #[cfg(test)]
    pub most_held: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frontier {
    Open,
    /// The slice behind it is being looked for.
    Sought,
    /// There is no further slice.
    Last,
    /// Something failed: nothing more is asked for.
    Failed,
}

struct Slice<T> {
    id: u64,
    /// A page of it was delivered.
    begun: bool,
    came: VecDeque<Came<T>>,
    next: Next,
}

struct Came<T> {
    place: Place,
    page: Result<T, ConnectorError>,
    bytes: usize,
}

enum Next {
    At(Place),
    UnderWay(Place),
    Ended,
}

/// What the driver is to do.
pub(super) enum Start {
    Page { slice: u64, place: Place },
    SliceAfter(Place),
}

/// What became of a place that the delivery reached.
pub(super) enum Sought<T> {
    Here(Result<T, ConnectorError>),
    Coming,
    /// Not here; the rest stands.
    Elsewhere,
    /// Not here, and it should be: the slices go on otherwise than was thought.
    Stale,
}

impl<T> Queue<T> {
    /// Nothing is known but the slice that is being delivered.
    pub fn new(bounds: Bounds, mut delivered: Place, page_bytes: usize) -> Self {
        // Of no use for what lies behind, and long.
        if let Some(part) = delivered.part_mut() {
            part.closed.clear();
        }
        Self {
            bounds,
            slices: VecDeque::new(),
            steps: VecDeque::new(),
            frontier: delivered,
            frontier_is: Frontier::Open,
            next_id: 0,
            under_way: 0,
            held: 0,
            largest: page_bytes,
            #[cfg(test)]
            most_held: 0,
        }
    }

    /// The next thing to do, if the bounds let anything be done now. What it gives is taken to be under way.
    pub fn start(&mut self) -> Option<Start> {
        if let Some(slice) = self.startable().and_then(|at| self.slices.get_mut(at))
            && let Next::At(place) = std::mem::replace(&mut slice.next, Next::Ended)
        {
            slice.next = Next::UnderWay(place.clone());
            self.under_way += 1;
            return Some(Start::Page { slice: slice.id, place });
        }
        if self.frontier_is == Frontier::Open && self.slices.len() < self.bounds.slices {
            self.frontier_is = Frontier::Sought;
            return Some(Start::SliceAfter(self.frontier.clone()));
        }
        None
    }

    /// The earliest slice whose next page may be asked for now.
    fn startable(&self) -> Option<usize> {
        let fits = self.held + self.largest * (self.under_way + 1) <= self.bounds.bytes;
        if self.frontier_is == Frontier::Failed || !fits || self.under_way >= self.bounds.at_once {
            return None;
        }
        let may = |slice: &Slice<T>| slice.came.len() < self.bounds.pages && matches!(slice.next, Next::At(_));
        self.slices.iter().position(may)
    }

    /// The slice behind the last one was found; `None`: there is none, or it cannot be told.
    pub fn slice_came(&mut self, found: Result<Option<Place>, ConnectorError>) {
        let (from, to) = (self.frontier.part(), found.as_ref().ok().map(|found| found.as_ref().and_then(Place::part)));
        match (from, to) {
            (Some(from), Some(Some(to))) if from.router != to.router => {
                let step = (to.partition.clone(), to.router.clone());
                self.steps.push_back((from.router.clone(), Some(step)));
            }
            (Some(from), Some(None)) => self.steps.push_back((from.router.clone(), None)),
            (Some(_), _) | (None, _) => {}
        }
        let failed = self.frontier_is == Frontier::Failed;
        self.frontier_is = match found {
            _ if failed => Frontier::Failed,
            // Met again, and told, by the delivery.
            Err(_) => Frontier::Failed,
            Ok(None) => Frontier::Last,
            Ok(Some(place)) => {
                self.frontier = place.clone();
                let (id, came) = (self.next_id, VecDeque::new());
                self.next_id += 1;
                self.slices.push_back(Slice { id, begun: false, came, next: Next::At(place) });
                Frontier::Open
            }
        };
    }

    /// A page came. `next`: where its slice goes on.
    pub fn page_came(
        &mut self,
        slice: u64,
        place: Place,
        page: Result<T, ConnectorError>,
        bytes: usize,
        next: Option<Place>,
    ) {
        self.under_way = self.under_way.saturating_sub(1);
        self.largest = self.largest.max(bytes);
        if page.is_err() {
            // What lies behind may never be wanted.
            self.frontier_is = Frontier::Failed;
        }
        // Nobody waits for it any more where its slice was left.
        let Some(slice) = self.slices.iter_mut().find(|have| have.id == slice) else { return };
        slice.came.push_back(Came { place, page, bytes });
        slice.next = next.map_or(Next::Ended, Next::At);
        self.held += bytes;
        #[cfg(test)]
        {
            self.most_held = self.most_held.max(self.held);
        }
    }

    /// The delivery is at that place. Slices before it are done with.
    pub fn seek(&mut self, place: &Place) -> Sought<T> {
        let Some(at) = self.slices.iter().position(|slice| slice.is_at(place)) else {
            if self.slices.front().is_some_and(|slice| slice.begun) {
                self.leave_first();
            }
            // A slice begins: it should be the one that was found, or is being looked for.
            return match (place.page, self.frontier_is) {
                (0, Frontier::Sought) if self.slices.is_empty() => Sought::Coming,
                (0, _) => Sought::Stale,
                _ => Sought::Elsewhere,
            };
        };
        for _ in 0..at {
            self.leave_first();
        }
        let Some(slice) = self.slices.front_mut() else { return Sought::Elsewhere };
        if let Some(came) = slice.came.pop_front() {
            slice.begun = true;
            self.held -= came.bytes;
            if slice.came.is_empty() && matches!(slice.next, Next::Ended) {
                self.slices.pop_front();
            }
            return Sought::Here(came.page);
        }
        if matches!(slice.next, Next::UnderWay(_)) {
            return Sought::Coming;
        }
        // Known, and not asked for: whoever waits asks at once.
        self.leave_first();
        Sought::Elsewhere
    }

    /// The partition after that place, if the router went by.
    pub fn step_after(&mut self, place: &RouterPlace) -> Option<Option<Step>> {
        let at = self.steps.iter().position(|(from, _)| from == place)?;
        self.steps.drain(..at);
        self.steps.pop_front().map(|(_, step)| step)
    }

    fn leave_first(&mut self) {
        if let Some(slice) = self.slices.pop_front() {
            self.held -= slice.came.iter().map(|came| came.bytes).sum::<usize>();
        }
    }

    /// The driver ended: nothing comes any more.
    pub fn end(&mut self) {
        self.slices.clear();
        self.frontier_is = Frontier::Failed;
        self.held = 0;
    }

    /// Nothing is under way, and nothing can be started.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        let looking = self.frontier_is == Frontier::Open && self.slices.len() < self.bounds.slices;
        self.under_way == 0 && self.frontier_is != Frontier::Sought && !looking && self.startable().is_none()
    }
}

impl<T> Slice<T> {
    /// Whether the next page of the slice is that one.
    fn is_at(&self, place: &Place) -> bool {
        match (self.came.front(), &self.next) {
            (Some(came), _) => came.place.asks_as(place),
            (None, Next::At(next) | Next::UnderWay(next)) => next.asks_as(place),
            (None, Next::Ended) => false,
        }
    }
}

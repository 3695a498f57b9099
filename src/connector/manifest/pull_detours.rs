//! The detours of a pull: a listing that begins anew, pages that shrink, windows in halves.

use std::time::Duration;

use super::{
    place::Place,
    pull::Pull,
    slices::{Cut, Window},
};
use crate::{
    connector::{ConnectorError, ErrorKind, Page, http::TakenFor},
    domain::clock::Timestamp,
};

impl Pull<'_> {
    /// The page of an answer that says how the listing has to go on instead.
    ///
    /// # Errors
    /// When it went on in that way before, to no avail.
    pub(super) fn detour(&self, place: Place, taken: TakenFor) -> Result<Page, ConnectorError> {
        let (story, next) = match taken {
            TakenFor::Answer | TakenFor::Nothing | TakenFor::Reset => {
                let next = self.begun_again(place);
                ("the listing begins anew", next.detour.goes_on().map(|()| next))
            }
            TakenFor::Smaller => ("smaller pages are asked for", self.smaller(place)),
            TakenFor::Split => ("the window is read in halves", self.halved(place)),
        };
        next.map(|next| Page {
            items: Vec::new(),
            next: Some(next.position()),
            resumable: false,
            cursor: None,
            window: None,
            provider_total: None,
            story: format!("{}: {story}, as the manifest asks", self.plan.spec.name),
        })
    }

    /// The first page of the listing once more: of the same window, or of what the cursor leaves of it. Where that was tried before,
    /// the place says so.
    pub(super) fn begun_again(&self, mut place: Place) -> Place {
        let cursor = self.plan.cursor.as_ref();
        let by_cursor = self.plan.detours.reset.is_some_and(|reset| reset.by_cursor) && cursor.is_some();
        let began = place.detour.began.or(place.start);
        let start = if by_cursor { place.detour.latest.or(began) } else { place.start };
        let told = |micros: Option<i64>| Some(cursor?.told(Timestamp::from_micros(micros?)?));
        let same = told(start) == told(place.start);
        place.detour.begin_anew(same, by_cursor);
        place.detour.began = began;
        let end = place.end;
        place.begun_at(start, end, self.first_token())
    }

    /// The same page with fewer records, after a pause.
    fn smaller(&self, mut place: Place) -> Result<Place, ConnectorError> {
        let Some(plan) = &self.plan.detours.smaller else {
            return Err(ConnectorError::new(ErrorKind::Settings, "no page_size_reduction is declared"));
        };
        let (size, seconds) = place.detour.smaller(plan, place.size)?;
        place.size = Some(size);
        self.connector.gate.hold_back(&self.connector.limit, Duration::from_secs_f64(seconds.max(0.0)));
        Ok(place)
    }

    /// The first half of the place's window; the other is kept.
    fn halved(&self, mut place: Place) -> Result<Place, ConnectorError> {
        let (Some(plan), Some(window), Some(cursor)) =
            (&self.plan.detours.split, place.window(), self.plan.cursor.as_ref())
        else {
            return Err(ConnectorError::new(ErrorKind::Settings, "no request_window_splitting is declared"));
        };
        // What was asked is what is halved: the format may be coarser than the instants.
        let asked = |at: Timestamp| cursor.heard(&cursor.told(at)).unwrap_or(at).micros();
        place.size = place.detour.configured.take().or(place.size);
        let (start, end) = place.detour.halve(plan, (asked(window.start), asked(window.end)), cursor.granularity)?;
        Ok(place.begun_at(Some(start), Some(end), self.first_token()))
    }

    /// The window as times; counts have none.
    pub(super) fn told_window(&self, window: Option<Window>) -> Option<(Timestamp, Timestamp)> {
        let window = window.filter(|_| self.plan.cursor.as_ref().is_some_and(|cursor| !cursor.counts))?;
        Some((window.start, window.end))
    }

    /// Where the listing goes on when it is at its end: the other half of the window, or the next window.
    pub(super) fn after_window(&self, mut place: Place, window: Option<Window>, cut: Option<Cut>) -> Option<Place> {
        let size = place.detour.configured.or(place.size);
        if let Some((start, end)) = place.detour.next_half() {
            place.size = size;
            return Some(place.begun_at(Some(start), Some(end), self.first_token()));
        }
        let next = window.and_then(|window| cut?.next(window))?;
        Some(place.next_slice(next, size, self.first_token()))
    }
}

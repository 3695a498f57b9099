//! Slices: the windows of time in which a stream with a cursor is read.
//!
//! Owns where a pull begins, how far it goes, and how it is cut. Windows are closed at both ends; the next one begins one
//! granule later, so that no instant that the provider can express lies between two.

use serde_json::Value;

use super::{
    datetime::Format,
    duration::Duration,
    engine::{Engine, Scope, Template},
    plan::{Bound, CursorPlan},
    template::iso_time,
};
use crate::{
    connector::{ConnectorError, ErrorKind},
    domain::clock::Timestamp,
};

/// A closed range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// How a stream's time is cut, for one pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub upto: Timestamp,
    pub step: Option<Duration>,
    pub granularity: Duration,
}

impl Cut {
    /// The first window of a pull that begins at `start`. One that begins after its end is one instant wide.
    pub fn first(&self, start: Timestamp) -> Window {
        self.from(start.min(self.upto))
    }

    /// The window after this one; `None` when the pull's end is reached.
    pub fn next(&self, window: Window) -> Option<Window> {
        if window.end >= self.upto {
            return None;
        }
        let start = self.granularity.after(window.end);
        // Without a granule the next window begins where the last ended: it must still go on.
        (start <= self.upto).then(|| self.from(start))
    }

    fn from(&self, start: Timestamp) -> Window {
        // The last window goes to the end: nothing is left behind it that would be one granule wide.
        let end = match self.step.map(|step| step.after(start)) {
            Some(next) if next < self.upto => self.granularity.before(next),
            _ => self.upto,
        };
        Window { start, end: end.max(start) }
    }
}

/// The instant that a job's cursor stands for.
///
/// # Errors
/// [`ErrorKind::Settings`] when the state is not this stream's.
pub(super) fn cursor_instant(plan: &CursorPlan, state: &Value) -> Result<Timestamp, ConnectorError> {
    let value = state.get(&plan.field);
    let formats = std::iter::once(&plan.format).chain(&plan.record_formats);
    let found = value.and_then(|value| formats.into_iter().find_map(|format| format.parse_value(value)));
    found.ok_or_else(|| {
        let message = format!(
            "the cursor has no '{}' in the form {}; set it anew with: tidegate jobs reset-cursor",
            plan.field, plan.format.source
        );
        ConnectorError::new(ErrorKind::Settings, message)
    })
}

/// Reads one of the cursor's bounds.
///
/// # Errors
/// [`ErrorKind::Settings`] when it renders to no time.
fn bound(engine: &Engine, bound: &Bound, own: &Format, scope: &Scope) -> Result<Timestamp, ConnectorError> {
    let read = |template: &Template| -> Result<Timestamp, ConnectorError> {
        let text = engine.text(template, scope)?;
        let declared = bound.format.as_ref().and_then(|format| format.parse(&text));
        declared.or_else(|| own.parse(&text)).or_else(|| iso_time(&text)).ok_or_else(|| {
            let what = if text.is_empty() { "nothing" } else { "no time" };
            let message = format!(
                "'{}' gives {what}; set it in the connection's config, e.g. 2026-01-01T00:00:00Z",
                template.source()
            );
            ConnectorError::new(ErrorKind::Settings, message)
        })
    };
    let mut at = read(&bound.time)?;
    if let Some(least) = &bound.at_least {
        at = at.max(read(least)?);
    }
    if let Some(most) = &bound.at_most {
        at = at.min(read(most)?);
    }
    Ok(at)
}

fn duration(engine: &Engine, template: &Template, scope: &Scope) -> Result<Duration, ConnectorError> {
    Duration::parse(&engine.text(template, scope)?).ok_or_else(|| {
        let message = format!("'{}' gives no ISO 8601 duration such as P1D", template.source());
        ConnectorError::new(ErrorKind::Settings, message)
    })
}

/// How far a pull goes and how it is cut. Never beyond the run's start.
///
/// # Errors
/// [`ErrorKind::Settings`]
pub(super) fn cut(engine: &Engine, plan: &CursorPlan, scope: &Scope, now: Timestamp) -> Result<Cut, ConnectorError> {
    let upto = plan.end.as_ref().map_or(Ok(now), |end| bound(engine, end, &plan.format, scope))?.min(now);
    let step = plan.step.as_ref().map(|step| duration(engine, step, scope)).transpose()?.filter(|step| !step.is_zero());
    Ok(Cut { upto, step, granularity: plan.granularity })
}

/// Where a pull begins: at the cursor less the look-back, never before the configured start.
///
/// # Errors
/// [`ErrorKind::Settings`]
pub(super) fn start(
    engine: &Engine,
    plan: &CursorPlan,
    scope: &Scope,
    cursor: Option<Timestamp>,
) -> Result<Timestamp, ConnectorError> {
    let configured = bound(engine, &plan.start, &plan.format, scope)?;
    let Some(cursor) = cursor else { return Ok(configured) };
    let lookback = plan.lookback.as_ref().map(|window| duration(engine, window, scope)).transpose()?;
    Ok(lookback.map_or(cursor, |lookback| lookback.before(cursor)).max(configured))
}

/// The cursor that a pull begins with: the one that was given, never before the configured start.
///
/// # Errors
/// [`ErrorKind::Settings`]
pub(super) fn beginning(
    engine: &Engine,
    plan: &CursorPlan,
    scope: &Scope,
    cursor: Option<Timestamp>,
) -> Result<Timestamp, ConnectorError> {
    let configured = bound(engine, &plan.start, &plan.format, scope)?;
    Ok(cursor.map_or(configured, |cursor| cursor.max(configured)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_cover_everything_without_gap_or_overlap(
            from in 0_i64..4_000_000_000, length in 0_i64..40_000_000, step in 1_u32..30, unit in 0_usize..4, granule in 0_usize..3,
        ) {
            let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).unwrap();
            let granularity = Duration::parse(["PT1S", "PT0.001S", "P1D"][granule]).unwrap();
            let step = Duration::parse(&format!("P{step}{}", ["D", "W", "M", "Y"][unit])).unwrap();
            let cut = Cut { upto: at(from + length), step: Some(step), granularity };
            let mut window = cut.first(at(from));
            prop_assert_eq!(window.start, at(from));
            let mut count = 0;
            loop {
                prop_assert!(window.start <= window.end && window.end <= cut.upto);
                let Some(next) = cut.next(window) else { break };
                prop_assert_eq!(next.start, granularity.after(window.end));
                window = next;
                count += 1;
                prop_assert!(count < 1000);
            }
            // What is left at the end is smaller than what the provider can tell apart.
            prop_assert!(granularity.after(window.end) > cut.upto);
        }
    }

    #[test]
    fn without_a_step_there_is_one_window_and_a_start_in_the_future_is_an_instant() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let cut = Cut { upto: at("2026-01-31T00:00:00Z"), step: None, granularity: Duration::default() };
        let window = cut.first(at("2026-01-01T00:00:00Z"));
        assert_eq!(window, Window { start: at("2026-01-01T00:00:00Z"), end: cut.upto });
        assert_eq!(cut.next(window), None);
        let late = cut.first(at("2027-01-01T00:00:00Z"));
        assert_eq!(late, Window { start: cut.upto, end: cut.upto });
    }
}

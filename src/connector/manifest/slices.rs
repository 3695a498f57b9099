//! Slices: the windows of time in which a stream with a cursor is read.
//!
//! Owns where a pull begins, how far it goes, and how it is cut. Windows are closed at both ends; the next one begins one
//! granule later, so that no instant that the provider can express lies between two.

use serde_json::Value;

use super::{
    clamp::Clamp,
    datetime::Format,
    duration::Duration,
    engine::{Engine, Scope, Template},
    plan::{Bound, CursorPlan, NO_END},
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
    pub clamp: Option<Clamp>,
    /// A window of one instant is none.
    pub strictly: bool,
}

impl Cut {
    /// The first window of a pull that begins at `start`. `None`: it begins after its end, or an instant is all that is left and
    /// cannot be asked for.
    pub fn first(&self, start: Timestamp) -> Option<Window> {
        if start > self.upto || start == self.upto && self.granularity.is_zero() {
            return None;
        }
        let start = self.clamp.map_or(start, |clamp| clamp.ceil(start));
        if start > self.upto || start == self.upto && self.strictly {
            return None;
        }
        Some(self.from(start))
    }

    /// The window after this one; `None` when the pull's end is reached.
    pub fn next(&self, window: Window) -> Option<Window> {
        if window.end >= self.upto {
            return None;
        }
        let start = self.granularity.after(window.end);
        // Without a granule the next window begins where the last ended: it must still go on.
        let goes_on = if self.clamp.is_some() { start < self.upto } else { start <= self.upto };
        goes_on.then(|| self.from(start))
    }

    fn from(&self, start: Timestamp) -> Window {
        // The last window goes to the end: nothing is left behind it that would be one granule wide.
        let end = match (self.step.map(|step| step.after(start)), self.clamp) {
            (Some(next), Some(clamp)) if next < self.upto && clamp.ceil(next) == self.upto => self.upto,
            (Some(next), Some(clamp)) if next < self.upto => self.granularity.before(clamp.ceil(next)),
            (Some(next), None) if next < self.upto => self.granularity.before(next),
            (_, Some(clamp)) if self.granularity.is_zero() => clamp.ceil(self.upto),
            _ => self.upto,
        };
        Window { start, end: end.max(start) }
    }

    /// Whether what is read from `start` on joins what was read up to `begun`. Clamped windows may leave a gap, beyond which a state
    /// does not go.
    pub fn joins(&self, begun: Timestamp, start: Timestamp) -> bool {
        let millisecond = || Duration::parse("PT0.001S").unwrap_or_default();
        let granule = if self.granularity.is_zero() { millisecond() } else { self.granularity };
        self.clamp.is_none_or(|clamp| clamp.ceil(start) <= granule.after(begun))
    }
}

/// The instant that a job's cursor stands for.
///
/// # Errors
/// [`ErrorKind::CursorUnfit`] when the state is not this stream's.
pub(super) fn cursor_instant(plan: &CursorPlan, state: &Value) -> Result<Timestamp, ConnectorError> {
    let value = state.get(&plan.field);
    value.and_then(|value| plan.heard(value)).ok_or_else(|| {
        let form = if plan.counts { "of a whole number" } else { &plan.format.source };
        let message = format!(
            "the stored cursor has no '{}' in the form {form}: cursor_field or its format was changed since",
            plan.field
        );
        ConnectorError::new(ErrorKind::CursorUnfit, message)
    })
}

/// Reads one of the cursor's bounds.
///
/// # Errors
/// [`ErrorKind::Settings`] when it renders to no time.
fn bound(engine: &Engine, bound: &Bound, own: &Format, scope: &Scope) -> Result<Timestamp, ConnectorError> {
    // A number where counting begins; times have formats.
    if bound.counts {
        let start = engine.value(&bound.time, scope)?;
        let count = start.as_i64().or_else(|| start.as_str().and_then(|text| text.trim().parse().ok()));
        return count.and_then(Timestamp::from_micros).ok_or_else(|| {
            let message = format!("'{}' gives no whole number to begin with", bound.time.source());
            ConnectorError::new(ErrorKind::Settings, message)
        });
    }
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

/// Reads a duration.
///
/// # Errors
/// [`ErrorKind::Settings`] when it renders to none.
pub(super) fn duration(engine: &Engine, template: &Template, scope: &Scope) -> Result<Duration, ConnectorError> {
    Duration::parse(&engine.text(template, scope)?).ok_or_else(|| {
        let message = format!("'{}' gives no ISO 8601 duration such as P1D", template.source());
        ConnectorError::new(ErrorKind::Settings, message)
    })
}

/// How far a pull goes and how it is cut. `bounded`: never beyond the run's start, whatever end the manifest names.
///
/// # Errors
/// [`ErrorKind::Settings`]
pub(super) fn cut(
    engine: &Engine,
    plan: &CursorPlan,
    scope: &Scope,
    now: Timestamp,
    bounded: bool,
) -> Result<Cut, ConnectorError> {
    if plan.counts {
        let upto = Timestamp::from_micros(NO_END).unwrap_or(now);
        return Ok(Cut { upto, step: None, granularity: Duration::default(), clamp: None, strictly: false });
    }
    let mut upto = plan.end.as_ref().map_or(Ok(now), |end| bound(engine, end, &plan.format, scope))?;
    if bounded {
        upto = upto.min(now);
    }
    let clamp = plan.clamping.as_ref().map(|plan| plan.clamp(engine, scope)).transpose()?;
    if let Some(clamp) = clamp {
        upto = clamp.granule(plan.granularity).before(clamp.floor(upto));
    }
    let step = plan.step.as_ref().map(|step| duration(engine, step, scope)).transpose()?.filter(|step| !step.is_zero());
    Ok(Cut { upto, step, granularity: plan.granularity, clamp, strictly: plan.strictly })
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

/// The earliest value that is wanted of what a provider gives unasked: a look-back window before where the pull began, but not before
/// the configured start.
///
/// # Errors
/// [`ErrorKind::Settings`]
pub(super) fn earliest(
    engine: &Engine,
    plan: &CursorPlan,
    scope: &Scope,
    begun: Timestamp,
) -> Result<Timestamp, ConnectorError> {
    let Some(lookback) = &plan.lookback else { return Ok(begun) };
    let configured = bound(engine, &plan.start, &plan.format, scope)?;
    Ok(duration(engine, lookback, scope)?.before(begun).max(begun.min(configured)))
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
            let cut = Cut { upto: at(from + length), step: Some(step), granularity, clamp: None, strictly: false };
            let mut window = cut.first(at(from)).unwrap();
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
    fn without_a_step_there_is_one_window_and_a_start_in_the_future_has_none() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let granularity = Duration::default();
        let cut = Cut { upto: at("2026-01-31T00:00:00Z"), step: None, granularity, clamp: None, strictly: false };
        let window = cut.first(at("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(window, Window { start: at("2026-01-01T00:00:00Z"), end: cut.upto });
        assert_eq!(cut.next(window), None);
        assert_eq!(cut.first(at("2027-01-01T00:00:00Z")), None);
        assert_eq!(cut.first(cut.upto), None);
        let exact = Cut { granularity: Duration::parse("PT1S").unwrap(), ..cut };
        assert_eq!(exact.first(cut.upto), Some(Window { start: cut.upto, end: cut.upto }));
        assert_eq!(Cut { strictly: true, ..exact }.first(cut.upto), None);
    }
}

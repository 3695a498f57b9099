//! What a provider's headers say about when to ask again.
//!
//! Owns the reading of `Retry-After` and of the usual rate-limit headers. Refuses to wait: it gives a duration, bounded,
//! so that neither a zero nor an absurd value can spin or freeze a worker.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use reqwest::header::HeaderMap;

use crate::domain::clock::Timestamp;

/// A shorter wait is not believed: `Retry-After: 0` would spin.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);
/// A longer wait is not believed; also what an exhausted daily allowance without a time waits for.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long a daily allowance that is used up stops us, when its end is not told.
const DAILY_PAUSE: Duration = Duration::from_secs(3600);
/// Numbers from here on are moments since 1970, not waits.
const EPOCH_SECONDS: u64 = 1_000_000_000;
const EPOCH_MILLIS: u64 = 100_000_000_000;

/// How long to hold back after this answer; `None` when nothing says so.
pub(super) fn from_headers(status: u16, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let limited = status == 429 || status == 503;
    let wait =
        if limited { retry_after(headers, now).or_else(|| exhausted(headers, now)) } else { exhausted(headers, now) };
    wait.map(|wait| wait.clamp(SHORTEST, LONGEST))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// Seconds, or one of the three date forms of HTTP.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = text(headers, "retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64())));
    }
    let at = DateTime::parse_from_rfc2822(text).map(|at| at.to_utc()).ok().or_else(|| {
        ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .map(|at| at.and_utc())
    })?;
    Some(Timestamp::new(at).since(now))
}

/// A window whose remaining count is zero: until it begins anew.
fn exhausted(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let empty = |name: &str| text(headers, name).is_some_and(|text| text.parse::<f64>().is_ok_and(|left| left <= 0.0));
    if empty("x-hubspot-ratelimit-daily-remaining") {
        return Some(DAILY_PAUSE);
    }
    if empty("x-hubspot-ratelimit-remaining") {
        let window = text(headers, "x-hubspot-ratelimit-interval-milliseconds")?.parse().ok()?;
        return Some(Duration::from_millis(window));
    }
    let pairs = [
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ("x-rate-limit-remaining", "x-rate-limit-reset"),
        ("ratelimit-remaining", "ratelimit-reset"),
    ];
    let reset = pairs.iter().find(|(left, _)| empty(left)).and_then(|(_, reset)| text(headers, reset))?;
    if let Ok(at) = reset.parse::<Timestamp>() {
        return Some(at.since(now));
    }
    let number = reset.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite, not negative; `as` saturates")]
    let number = number.ceil() as u64;
    let micros_per = match number {
        EPOCH_MILLIS.. => 1_000,
        EPOCH_SECONDS.. => 1_000_000,
        _ => return Some(Duration::from_secs(number)),
    };
    let at = i64::try_from(number).ok()?.checked_mul(micros_per).and_then(Timestamp::from_micros)?;
    Some(at.since(now))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn waits_are_read_from_every_usual_header_and_bounded() {
        let now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        let seconds = |s: u64| Some(Duration::from_secs(s));
        type Case = (u16, &'static [(&'static str, &'static str)], Option<Duration>);
        let cases: [Case; 21] = [
            (429, &[("retry-after", "7")], seconds(7)),
            (429, &[("retry-after", " 7 ")], seconds(7)),
            (429, &[("retry-after", "1.5")], Some(Duration::from_millis(1500))),
            (429, &[("retry-after", "0")], seconds(1)),
            (429, &[("retry-after", "-5")], seconds(1)),
            (429, &[("retry-after", "99999999999999999999")], Some(LONGEST)),
            (429, &[("retry-after", "inf")], None),
            (429, &[("retry-after", "soon")], None),
            (429, &[("retry-after", "Sat, 31 Jan 2026 08:00:30 GMT")], seconds(30)),
            (429, &[("retry-after", "Saturday, 31-Jan-26 08:00:30 GMT")], seconds(30)),
            (429, &[("retry-after", "Sat Jan 31 08:00:30 2026")], seconds(30)),
            (503, &[("retry-after", "Sat, 31 Jan 2026 07:00:00 GMT")], seconds(1)),
            (200, &[("retry-after", "7")], None),
            (429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1769846420")], seconds(20)),
            (200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1769846420000")], seconds(20)),
            (200, &[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "1769846420")], None),
            (200, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "12")], seconds(12)),
            (200, &[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "2026-01-31T08:00:09Z")], seconds(9)),
            (
                429,
                &[("x-hubspot-ratelimit-remaining", "0"), ("x-hubspot-ratelimit-interval-milliseconds", "10000")],
                seconds(10),
            ),
            (429, &[("x-hubspot-ratelimit-daily-remaining", "0")], seconds(3600)),
            (429, &[], None),
        ];
        for (status, pairs, expected) in cases {
            assert_eq!(from_headers(status, &headers(pairs), now), expected, "{status} {pairs:?}");
        }
    }
}

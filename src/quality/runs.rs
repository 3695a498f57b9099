//! Rules about jobs and runs: freshness, coverage, counts, deliveries, completeness, dead letters, volume.

use std::time::Duration;

use super::{
    judged::{Judged, some},
    records::share,
    rules::Rule,
};
use crate::{
    domain::{
        clock::Timestamp,
        status::{JobStatus, RunStatus},
    },
    store::quality::{DayVolume, JobFreshness, LetterLoad, NewestEnd, RunTally, StreamHistory, Undelivered},
};

/// So many findings are told by name; the rest by their number.
const TOLD: usize = 5;

fn told(mut what: Vec<String>) -> Vec<String> {
    if what.len() > TOLD {
        let more = what.len() - TOLD;
        what.truncate(TOLD);
        what.push(format!("and {more} more"));
    }
    what
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or_default())
}

/// Measured from the last *complete* run. A job that never ran, or that does not run, is stale.
pub fn freshness(jobs: &[JobFreshness], now: Timestamp, rule: &Rule) -> Judged {
    const EXPECTED: &str = "each declared job runs, and its last complete run is younger than its limit";
    if jobs.is_empty() {
        return Judged::unknown("no declared job", EXPECTED, "declare jobs, then: tidegate apply -f FILE");
    }
    let stale = jobs.iter().filter_map(|job| {
        let default = if job.scheduled { rule.count("default_hours") } else { rule.count("by_hand_hours") };
        let limit = seconds(job.stale_after_seconds.unwrap_or(default * 3600));
        let stream = &job.stream;
        match (job.status, job.last_complete_at) {
            (JobStatus::Paused | JobStatus::Quarantined, _) => Some(format!("{stream} is {}", job.status)),
            (JobStatus::Active, None) => Some(format!("{stream} was never complete")),
            (JobStatus::Active, Some(at)) => (now.since(at) > limit).then(|| {
                let minutes = |d: Duration| d.as_secs() / 60;
                let (age, most) = (minutes(now.since(at)), minutes(limit));
                format!("{stream} was complete {age} minutes ago, {most} are allowed")
            }),
        }
    });
    Judged::found(
        &told(stale.collect()),
        format!("{} jobs in time", jobs.len()),
        EXPECTED,
        "see why it does not run: tidegate jobs list; tidegate runs list --connection KEY",
    )
}

/// A stream that sent before and is silent now is a gap. One that never sent is not known yet: nobody has seen it work, so it is no
/// zero either.
pub fn coverage(streams: &[StreamHistory], now: Timestamp, rule: &Rule) -> Judged {
    const EXPECTED: &str = "each declared stream sends";
    let wanted = usize::try_from(rule.count("silent_runs")).unwrap_or(usize::MAX);
    let silence = seconds(rule.count("silent_days") * 24 * 3600);
    let (mut gaps, mut unproven) = (Vec::new(), Vec::new());
    for StreamHistory { stream, seen, last_seen_at } in streams {
        match last_seen_at {
            None => unproven.push(format!("{stream} never had a record")),
            Some(at) => {
                let quiet = seen.len() >= wanted && seen.iter().take(wanted).all(|seen| *seen == 0);
                if quiet && now.since(*at) > silence {
                    let days = now.since(*at).as_secs() / 86_400;
                    gaps.push(format!("{stream} has been silent for {days} days"));
                }
            }
        }
    }
    if !gaps.is_empty() {
        let remedy = "ask at the source whether nothing happened or nothing is sent; tidegate connection preview KEY shows what it gives";
        return Judged::failed(told(gaps).join("; "), EXPECTED, remedy);
    }
    if !unproven.is_empty() || streams.is_empty() {
        let observed = if streams.is_empty() { "no active job".to_owned() } else { told(unproven).join("; ") };
        let remedy =
            "pause the job of a stream that has nothing to send: tidegate jobs pause; or wait for its first record";
        return Judged::unknown(observed, EXPECTED, remedy);
    }
    Judged::passed(format!("{} streams send", streams.len()), EXPECTED)
}

/// Counts come from normalisation; the ledger, the raw events, the links and the provider's own total must agree.
pub fn count_reconciliation(runs: &[RunTally], rule: &Rule) -> Judged {
    let mut what = Vec::new();
    for RunTally { run, stream, counts, whole_pull, provider_total, ledger, raw, links } in runs {
        if ledger != counts {
            what.push(format!("run {run}: seen {}, its pages say {}", counts.seen, ledger.seen));
        }
        let staged = counts.created + counts.updated + counts.ignored + counts.failed;
        if let Some(raw) = raw.filter(|raw| *raw != staged) {
            what.push(format!("run {run}: {staged} items staged, {raw} raw events are there"));
        }
        if *links != counts.created {
            what.push(format!("run {run}: {} created, {links} object links begin with it", counts.created));
        }
        if let Some(total) = provider_total.filter(|_| *whole_pull) {
            let seen = counts.seen - counts.duplicate;
            if (seen - total).abs() > rule.count("total_count") && off(seen, total) > rule.number("total_share") {
                what.push(format!("run {run}: {seen} {stream} seen, the provider has {total}"));
            }
        }
    }
    Judged::found(
        &told(what),
        format!("{} runs agree with their rows", runs.len()),
        "the counts of each run agree with its pages, raw events, object links and the provider's total",
        "tidegate runs show ID tells both; read the stream again: tidegate run-once --connection KEY --full",
    )
}

fn off(seen: i64, total: i64) -> f64 {
    share((seen - total).abs(), total.max(1))
}

/// Delivery is no proof: each item ends as a record, a dead letter, or left out with a reason.
pub fn delivery_vs_record(undelivered: Undelivered) -> Judged {
    let what: Vec<String> = [
        some(undelivered.pending, "raw events are pending although their run is over"),
        some(undelivered.failed_without_letter, "failed raw events have no dead letter"),
    ]
    .into_iter()
    .flatten()
    .collect();
    Judged::found(
        &what,
        "none is left",
        "each item that arrived became a record, a dead letter, or was left out with a reason",
        "tidegate normalize --replay --connection KEY maps what is there again",
    )
}

/// A partial run never publishes (P17).
pub fn run_complete(ends: &[NewestEnd]) -> Judged {
    const EXPECTED: &str = "the newest finished run of each active job succeeded";
    let (mut bad, mut unknown) = (Vec::new(), Vec::new());
    for NewestEnd { stream, run } in ends {
        match run {
            Some((_, RunStatus::Succeeded)) => {}
            Some((run, status)) => bad.push(format!("{stream}: run {run} is {status}")),
            None => unknown.push(format!("{stream} has no finished run")),
        }
    }
    if !bad.is_empty() {
        return Judged::failed(told(bad).join("; "), EXPECTED, "tidegate runs show ID says what to do");
    }
    if !unknown.is_empty() || ends.is_empty() {
        let observed = if ends.is_empty() { "no active job".to_owned() } else { told(unknown).join("; ") };
        return Judged::unknown(observed, EXPECTED, "tidegate run-once --connection KEY");
    }
    Judged::passed(format!("{} jobs", ends.len()), EXPECTED)
}

pub fn dead_letter_budget(load: LetterLoad, rule: &Rule) -> Judged {
    const EXPECTED: &str = "few dead letters wait for somebody";
    let LetterLoad { open, records } = load;
    let observed = format!("{open} wait, {records} records are stored");
    let over_share = open >= rule.count("share_from") && share(open, open + records) > rule.number("max_share");
    if open > rule.count("max_open") || over_share {
        return Judged::failed(observed, EXPECTED, "work them off: tidegate errors list --group --connection KEY");
    }
    Judged::passed(observed, EXPECTED)
}

/// The newest whole UTC day against the median of those before it. A day without a run is no zero: freshness tells of it.
pub fn volume_anomaly(days: &[DayVolume], now: Timestamp, rule: &Rule) -> Judged {
    const EXPECTED: &str = "yesterday brought about as much as the days before";
    let day = |at: Timestamp| at.to_iso().chars().take(10).collect::<String>();
    let (today, yesterday) = (day(now), day(now.minus(seconds(24 * 3600))));
    let mut before: Vec<i64> = days.iter().filter(|d| d.day < yesterday).map(|d| d.written).collect();
    before.sort_unstable();
    let newest = days.iter().find(|d| d.day == yesterday && d.day < today);
    let history = i64::try_from(before.len()).unwrap_or(i64::MAX);
    let Some(newest) = newest.filter(|_| history >= rule.count("min_days")) else {
        let observed = format!("{history} days before yesterday");
        return Judged::unknown(observed, EXPECTED, "nothing to do: it is judged when there is enough history");
    };
    let median = before.get(before.len() / 2).copied().unwrap_or_default();
    let observed = format!("{} written yesterday, the median of {history} days is {median}", newest.written);
    let ratio = share(newest.written, median.max(1));
    if median >= rule.count("min_median") && (ratio < rule.number("low") || ratio > rule.number("high")) {
        let remedy = "ask at the source what happened; tidegate runs list --connection KEY shows the runs";
        return Judged::failed(observed, EXPECTED, remedy);
    }
    Judged::passed(observed, EXPECTED)
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;

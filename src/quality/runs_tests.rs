//! The rules about jobs and runs, one fault at a time.

use super::*;
use crate::{
    domain::{
        counts::Counts,
        ids::RunId,
        status::CheckStatus::{Failed, Passed, Unknown},
    },
    quality::{key::CheckKey, rules::Rules},
};

fn rule(key: CheckKey) -> Rule {
    Rules::built_in().unwrap().of("any", "any").into_iter().find(|rule| rule.key == key).unwrap()
}

fn now() -> Timestamp {
    "2026-03-10T12:00:00Z".parse().unwrap()
}

fn ago(hours: i64) -> Option<Timestamp> {
    Some(now().minus(seconds(hours * 3600)))
}

#[test]
fn what_never_ran_is_paused_or_too_old_is_stale() {
    let rule = rule(CheckKey::Freshness);
    let job = |status, last_complete_at, stale_after_seconds, scheduled| JobFreshness {
        stream: "contacts".to_owned(),
        status,
        scheduled,
        last_complete_at,
        stale_after_seconds,
    };
    for (job, status) in [
        (job(JobStatus::Active, ago(1), Some(7200), true), Passed),
        (job(JobStatus::Active, ago(3), Some(7200), true), Failed),
        (job(JobStatus::Active, ago(25), None, true), Passed),
        (job(JobStatus::Active, ago(27), None, true), Failed),
        (job(JobStatus::Active, ago(800), None, false), Passed),
        (job(JobStatus::Active, None, None, true), Failed),
        (job(JobStatus::Paused, ago(1), None, true), Failed),
        (job(JobStatus::Quarantined, ago(1), None, true), Failed),
    ] {
        assert_eq!(freshness(std::slice::from_ref(&job), now(), &rule).status, status, "{job:?}");
    }
    assert_eq!(freshness(&[], now(), &rule).status, Unknown);
}

#[test]
fn silence_is_a_gap_and_never_having_sent_is_unknown() {
    let rule = rule(CheckKey::Coverage);
    let stream =
        |seen: &[i64], last| StreamHistory { stream: "contacts".to_owned(), seen: seen.to_vec(), last_seen_at: last };
    for (stream, status) in [
        (stream(&[3, 0, 0], ago(1)), Passed),
        (stream(&[0, 0, 0], ago(24)), Passed),
        (stream(&[0, 0, 0], ago(8 * 24)), Failed),
        (stream(&[0, 0], ago(8 * 24)), Passed),
        (stream(&[0, 0, 0], None), Unknown),
        (stream(&[], None), Unknown),
    ] {
        assert_eq!(coverage(std::slice::from_ref(&stream), now(), &rule).status, status, "{stream:?}");
    }
}

#[test]
fn counts_must_agree_with_pages_raw_events_links_and_the_providers_total() {
    let rule = rule(CheckKey::CountReconciliation);
    let counts = Counts { seen: 1000, created: 900, updated: 50, unchanged: 50, ..Counts::default() };
    let good = RunTally {
        run: RunId(1),
        stream: "contacts".to_owned(),
        counts,
        whole_pull: true,
        provider_total: Some(1000),
        ledger: counts,
        raw: Some(950),
        links: 900,
    };
    let status = |run: RunTally| count_reconciliation(&[run], &rule).status;
    assert_eq!(status(good.clone()), Passed);
    assert_eq!(status(RunTally { ledger: Counts::default(), ..good.clone() }), Failed);
    assert_eq!(status(RunTally { raw: Some(949), ..good.clone() }), Failed);
    assert_eq!(status(RunTally { raw: None, ..good.clone() }), Passed);
    assert_eq!(status(RunTally { links: 899, ..good.clone() }), Failed);
    assert_eq!(status(RunTally { provider_total: Some(1009), ..good.clone() }), Passed);
    assert_eq!(status(RunTally { provider_total: Some(1100), ..good.clone() }), Failed);
    assert_eq!(status(RunTally { provider_total: Some(1100), whole_pull: false, ..good }), Passed);
}

#[test]
fn nothing_that_arrived_is_left_and_the_newest_runs_are_complete() {
    assert_eq!(delivery_vs_record(Undelivered::default()).status, Passed);
    assert_eq!(delivery_vs_record(Undelivered { pending: 1, failed_without_letter: 0 }).status, Failed);
    assert_eq!(delivery_vs_record(Undelivered { pending: 0, failed_without_letter: 1 }).status, Failed);
    let end = |run| NewestEnd { stream: "contacts".to_owned(), run };
    assert_eq!(run_complete(&[end(Some((RunId(1), RunStatus::Succeeded)))]).status, Passed);
    assert_eq!(run_complete(&[end(Some((RunId(1), RunStatus::Partial))), end(None)]).status, Failed);
    assert_eq!(run_complete(&[end(None)]).status, Unknown);
    assert_eq!(run_complete(&[]).status, Unknown);
}

#[test]
fn p17_dead_letters_have_a_budget_in_number_and_in_share() {
    let rule = rule(CheckKey::DeadLetterBudget);
    for (open, records, status) in
        [(0, 0, Passed), (100, 10_000, Passed), (101, 1_000_000, Failed), (9, 1, Passed), (10, 100, Failed)]
    {
        assert_eq!(dead_letter_budget(LetterLoad { open, records }, &rule).status, status, "{open} of {records}");
    }
}

#[test]
fn a_day_is_held_against_the_median_of_those_before() {
    let rule = rule(CheckKey::VolumeAnomaly);
    let days = |yesterday: Option<i64>, before: i64| {
        let mut days: Vec<DayVolume> =
            (1..=before).map(|d| DayVolume { day: format!("2026-03-0{d}"), written: 100 }).collect();
        days.extend(yesterday.map(|written| DayVolume { day: "2026-03-09".to_owned(), written }));
        days.push(DayVolume { day: "2026-03-10".to_owned(), written: 0 });
        days
    };
    for (days, status) in [
        (days(Some(90), 8), Passed),
        (days(Some(5), 8), Failed),
        (days(Some(1001), 8), Failed),
        (days(Some(5), 6), Unknown),
        (days(None, 8), Unknown),
    ] {
        assert_eq!(volume_anomaly(&days, now(), &rule).status, status, "{days:?}");
    }
}

//! Rules over facts: what is an alert now, about what, since when, and in which words.
//!
//! Pure. Messages hold keys, words and times of ours; nothing that a provider or a record said.

use std::time::Duration;

use super::{
    compile::Rules,
    rule::{Rule, Watch},
};
use crate::{
    domain::{
        clock::Timestamp,
        ids::{ClientId, ConnectionId},
        record::text_hash,
        schedule::format_duration,
        status::JobStatus,
    },
    store::{
        alerts::{AlertFacts, CheckFact, ControlFact, LateFact, ThrottleFact, Whose},
        repairs::MissedFact,
    },
    telemetry::redact::scrub,
};

/// Longest subject that the table takes; a longer one ends in a hash of itself.
const LONGEST_SUBJECT: usize = 390;
/// Longest owner that the table takes.
const LONGEST_OWNER: usize = 190;

/// What rules are held against.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    pub stored: AlertFacts,
    /// By rule, for each has its own window.
    pub throttled: Vec<(String, Vec<ThrottleFact>)>,
    /// By rule, as well.
    pub missed: Vec<(String, Vec<MissedFact>)>,
}

/// A rule that is true of a subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub rule_key: String,
    pub subject_type: &'static str,
    pub subject_key: String,
    pub connection_id: Option<ConnectionId>,
    pub client_id: Option<ClientId>,
    pub owner: String,
    pub message: String,
    pub remedy: String,
    /// `None`: rows do not tell; it then counts from when it was first seen.
    pub since: Option<Timestamp>,
    /// How long it must last before it is told.
    pub lasting: Duration,
}

/// Everything that enabled rules find.
pub fn judge(rules: &Rules, facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let apart: Vec<&str> = rules
        .enabled()
        .filter_map(|rule| if let Watch::Isolation { checks } = &rule.watch { Some(checks) } else { None })
        .flatten()
        .map(String::as_str)
        .collect();
    let mut findings = Vec::new();
    for rule in rules.enabled() {
        let found = &mut findings;
        let stored = &facts.stored;
        match &rule.watch {
            Watch::LateJobs => stored.late.iter().filter_map(|fact| late(rule, fact, now)).for_each(|f| found.push(f)),
            Watch::Throttled { share, runs, .. } => {
                let of_rule = facts.throttled.iter().filter(|(key, _)| *key == rule.key).flat_map(|(_, facts)| facts);
                found.extend(of_rule.filter(|f| f.runs >= *runs && waited(f) >= *share).map(|f| throttled(rule, f)));
            }
            Watch::NeedsAuth => found.extend(stored.needs_auth.iter().map(|fact| {
                let key = &fact.whose.connection_key;
                let message = format!("{key}: the credential was refused; nothing is asked until it is renewed");
                about(rule, "connection", key, &fact.whose, "", message, fact.since)
            })),
            Watch::Quarantined => {
                let jobs = stored.broken_jobs.iter().filter(|fact| fact.status == JobStatus::Quarantined);
                found.extend(jobs.map(|fact| {
                    let (key, stream) = (&fact.whose.connection_key, &fact.stream);
                    let message = format!("{key} {stream}: set aside, its worker died again and again");
                    about(rule, "job", &format!("{key}/{stream}"), &fact.whose, stream, message, fact.last_run_at)
                }));
            }
            Watch::DeadLetters { more_than } => {
                found.extend(
                    stored.dead_letters.iter().filter(|fact| fact.open > *more_than || fact.exhausted > 0).map(
                        |fact| {
                            let (key, stream, open) = (&fact.whose.connection_key, &fact.stream, fact.open);
                            let mut message =
                                format!("{key} {stream}: {open} open dead letters, {more_than} are allowed");
                            if fact.exhausted > 0 {
                                message.push_str(&format!("; {} have used up their retries", fact.exhausted));
                            }
                            about(
                                rule,
                                "stream",
                                &format!("{key}/{stream}"),
                                &fact.whose,
                                stream,
                                message,
                                Some(fact.since),
                            )
                        },
                    ),
                );
            }
            Watch::MissedWebhooks { share, records, .. } => {
                let of_rule = facts.missed.iter().filter(|(key, _)| *key == rule.key).flat_map(|(_, facts)| facts);
                let over = |f: &&MissedFact| f.missed.repaired >= *records && f.missed.share() >= *share;
                found.extend(of_rule.filter(over).map(|fact| missed(rule, fact)));
            }
            Watch::Controls => found.extend(stored.controls.iter().map(|fact| control(rule, fact))),
            Watch::Checks => {
                let checks = stored.checks.iter().filter(|fact| !holds_one(&fact.check_key, &apart));
                found.extend(checks.map(|fact| check(rule, fact)));
            }
            Watch::HeldMetrics => found.extend(stored.held.iter().map(|fact| {
                let (client, metric, label) = (&fact.whose.client_key, &fact.metric_key, &fact.source_label);
                let last = fact.published_at.map_or_else(
                    || "nothing was published yet".to_owned(),
                    |at| format!("the client keeps seeing the number of {}", short(at)),
                );
                let message = format!("{client} {metric} ({label}): held back by the gate; {last}");
                about(rule, "metric", &format!("{client}/{metric}/{label}"), &fact.whose, "", message, None)
            })),
            Watch::StalledJobs { failures } => {
                let jobs = stored.broken_jobs.iter().filter(|fact| fact.status == JobStatus::Active && fact.runnable);
                found.extend(jobs.filter(|fact| fact.failures >= *failures).map(|fact| {
                    let (key, stream) = (&fact.whose.connection_key, &fact.stream);
                    let code = fact.last_error_code.as_deref().unwrap_or("unknown");
                    let message = format!("{key} {stream}: {} failures in a row, the last: {code}", fact.failures);
                    about(rule, "job", &format!("{key}/{stream}"), &fact.whose, stream, message, None)
                }));
            }
            Watch::Isolation { checks } => {
                let words: Vec<&str> = checks.iter().map(String::as_str).collect();
                let checks = stored.checks.iter().filter(|fact| holds_one(&fact.check_key, &words));
                found.extend(checks.map(|fact| check(rule, fact)));
            }
        }
    }
    findings
}

/// Since when a job is late: `Some(None)` when it never completed and nothing tells from when it could have; `None` when it is not.
pub fn late_since(fact: &LateFact, now: Timestamp) -> Option<Option<Timestamp>> {
    let Some(base) = fact.last_complete_at.or(fact.begun_at) else { return Some(None) };
    let since = base.plus(fact.stale_after);
    (since < now).then_some(Some(since))
}

fn late(rule: &Rule, fact: &LateFact, now: Timestamp) -> Option<Finding> {
    let since = late_since(fact, now)?;
    let (key, stream) = (&fact.whose.connection_key, &fact.stream);
    let last = match (fact.last_complete_at, fact.begun_at) {
        (Some(at), _) => format!("last complete run {}", short(at)),
        (None, Some(at)) => format!("never completed, expected from {} on", short(at)),
        (None, None) => "never completed".to_owned(),
    };
    let allowed = format_duration(fact.stale_after);
    let message = format!("{key} {stream}: {last}, {allowed} are allowed");
    let mut finding = about(rule, "job", &format!("{key}/{stream}"), &fact.whose, stream, message, since);
    if since.is_none() {
        // It counts from when it was first seen, and is late after what it declares.
        finding.lasting += fact.stale_after;
    }
    Some(finding)
}

/// To the second, as people read it.
fn short(at: Timestamp) -> String {
    at.utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn waited(fact: &ThrottleFact) -> f64 {
    if fact.total.is_zero() { 0.0 } else { fact.limited.as_secs_f64() / fact.total.as_secs_f64() }
}

fn throttled(rule: &Rule, fact: &ThrottleFact) -> Finding {
    let key = &fact.whose.connection_key;
    let percent = (waited(fact) * 100.0).min(100.0);
    let message = format!("{key}: {percent:.0} percent of the time of {} recent runs went into limits", fact.runs);
    about(rule, "connection", key, &fact.whose, "", message, Some(fact.since))
}

fn missed(rule: &Rule, fact: &MissedFact) -> Finding {
    let key = &fact.whose.connection_key;
    let (repaired, delivered) = (fact.missed.repaired, fact.missed.delivered);
    let message =
        format!("{key}: polls brought {repaired} changed records that no delivery had; {delivered} deliveries came");
    about(rule, "connection", key, &fact.whose, "", message, Some(fact.since))
}

fn check(rule: &Rule, fact: &CheckFact) -> Finding {
    let (key, check, status) = (&fact.whose.connection_key, &fact.check_key, fact.status);
    let message = format!("{key}: check {check} {status}");
    about(rule, "check", &format!("{key}/{check}"), &fact.whose, "", message, Some(fact.checked_at))
}

fn control(rule: &Rule, fact: &ControlFact) -> Finding {
    let place = fact.whose.as_ref().map_or("global", |whose| whose.connection_key.as_str());
    let (control, status) = (&fact.control_key, fact.status);
    let owner = match (rule.owner.as_str(), &fact.owner, &fact.whose) {
        ("control_owner", Some(owner), _) => owner.clone(),
        ("integration_owner", _, Some(Whose { owner: Some(owner), .. })) => owner.clone(),
        _ => rule.owner.clone(),
    };
    Finding {
        rule_key: rule.key.clone(),
        subject_type: "control",
        subject_key: fitted(&format!("{place}/{control}")),
        connection_id: fact.whose.as_ref().map(|whose| whose.connection_id),
        client_id: fact.whose.as_ref().map(|whose| whose.client_id),
        owner: owner.chars().take(LONGEST_OWNER).collect(),
        message: scrub(&format!("{place}: control {control} is {status}")).into_owned(),
        remedy: filled(rule, place, "", fact.whose.as_ref().map_or("", |whose| whose.client_key.as_str())),
        since: fact.since,
        lasting: rule.lasting,
    }
}

fn about(
    rule: &Rule,
    subject_type: &'static str,
    subject: &str,
    whose: &Whose,
    stream: &str,
    message: String,
    since: Option<Timestamp>,
) -> Finding {
    let owner = match (rule.owner.as_str(), &whose.owner) {
        ("integration_owner", Some(owner)) if !owner.trim().is_empty() => owner.clone(),
        (role, _) => role.to_owned(),
    };
    Finding {
        rule_key: rule.key.clone(),
        subject_type,
        subject_key: fitted(subject),
        connection_id: Some(whose.connection_id),
        client_id: Some(whose.client_id),
        owner: owner.chars().take(LONGEST_OWNER).collect(),
        message: scrub(&message).into_owned(),
        remedy: filled(rule, &whose.connection_key, stream, &whose.client_key),
        since,
        lasting: rule.lasting,
    }
}

fn filled(rule: &Rule, connection: &str, stream: &str, client: &str) -> String {
    rule.remedy.replace("{connection}", connection).replace("{stream}", stream).replace("{client}", client)
}

fn holds_one(check_key: &str, words: &[&str]) -> bool {
    words.iter().any(|word| check_key.contains(word))
}

fn fitted(subject: &str) -> String {
    if subject.chars().count() <= LONGEST_SUBJECT {
        return subject.to_owned();
    }
    let hash = text_hash(subject);
    let room = LONGEST_SUBJECT - hash.chars().count() - 1;
    subject.chars().take(room).chain(['#']).chain(hash.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose() -> Whose {
        Whose {
            connection_id: ConnectionId(1),
            client_id: ClientId(1),
            connection_key: "acme-crm".to_owned(),
            client_key: "acme".to_owned(),
            owner: Some("integration@example.test".to_owned()),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn p17_absence_counts_as_late_from_when_a_run_could_have_been() {
        let fact = |last: Option<&str>, begun: Option<&str>| LateFact {
            whose: whose(),
            stream: "contacts".to_owned(),
            stale_after: Duration::from_secs(7_200),
            last_complete_at: last.map(at),
            begun_at: begun.map(at),
        };
        let now = at("2026-03-01T12:00:00Z");
        assert_eq!(late_since(&fact(Some("2026-03-01T10:00:00Z"), None), now), None);
        let late = late_since(&fact(Some("2026-03-01T09:59:59Z"), None), now);
        assert_eq!(late, Some(Some(at("2026-03-01T11:59:59Z"))));
        assert_eq!(late_since(&fact(None, Some("2026-03-01T11:00:00Z")), now), None);
        assert!(late_since(&fact(None, Some("2026-03-01T09:00:00Z")), now).is_some());
        assert_eq!(late_since(&fact(None, None), now), Some(None));
        let rules = Rules::read(None).unwrap();
        let facts =
            Facts { stored: AlertFacts { late: vec![fact(None, None)], ..AlertFacts::default() }, ..Facts::default() };
        let found = judge(&rules, &facts, now);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].lasting, found[0].since), (Duration::from_secs(7_200), None));
        assert_eq!(found[0].owner, "integration@example.test");
        assert!(found[0].remedy.contains("--connection acme-crm"), "{}", found[0].remedy);
    }

    #[test]
    fn a_failed_check_is_told_by_one_rule() {
        let rules = Rules::read(None).unwrap();
        let check = |key: &str| CheckFact {
            whose: whose(),
            check_key: key.to_owned(),
            status: crate::domain::status::CheckStatus::Failed,
            checked_at: at("2026-03-01T12:00:00Z"),
        };
        let checks = vec![check("freshness"), check("account_isolation")];
        let facts = Facts { stored: AlertFacts { checks, ..AlertFacts::default() }, ..Facts::default() };
        let found = judge(&rules, &facts, at("2026-03-01T12:00:00Z"));
        let told: Vec<_> = found.iter().map(|f| (f.rule_key.as_str(), f.subject_key.as_str())).collect();
        assert_eq!(told, [("check_failed", "acme-crm/freshness"), ("isolation", "acme-crm/account_isolation")]);
    }

    #[test]
    fn a_long_subject_keeps_its_identity() {
        let (a, b) = (fitted(&"a".repeat(500)), fitted(&"a".repeat(501)));
        assert_eq!((a.chars().count(), b.chars().count()), (LONGEST_SUBJECT, LONGEST_SUBJECT));
        assert_ne!(a, b);
    }
}

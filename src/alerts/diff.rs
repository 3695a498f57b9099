//! Findings against the alerts that stand: what opens, what is told again, what is over.
//!
//! Pure, and called inside the transaction that writes what it says. At most one row stands for a rule and a subject.

use std::collections::HashMap;

use super::{compile::Rules, judge::Finding, rule::Rule};
use crate::{
    domain::{clock::Timestamp, status::AlertNews},
    store::alerts::{Alert, AlertRow, AlertWrite},
};

/// What is to be written, in the order of the findings, then what is over.
pub(super) fn diff(
    rules: &Rules,
    findings: &[Finding],
    standing: &[Alert],
    now: Timestamp,
    notify: bool,
) -> Vec<AlertWrite> {
    let mut left: HashMap<(&str, &str, &str), &Alert> = standing.iter().map(|alert| (key(&alert.row), alert)).collect();
    let mut seen = std::collections::HashSet::new();
    let mut writes = Vec::new();
    for finding in findings {
        let Some(rule) = rules.get(&finding.rule_key) else { continue };
        let key = (finding.rule_key.as_str(), finding.subject_type, finding.subject_key.as_str());
        if !seen.insert(key) {
            continue;
        }
        let stands = left.remove(&key);
        writes.extend(still(rule, finding, stands, now, notify));
    }
    for alert in standing {
        // A look that began later has seen it: this one is out of date.
        if left.contains_key(&self::key(&alert.row)) && alert.row.last_seen_at <= now {
            writes.push(over(alert, now, notify));
        }
    }
    writes
}

fn key(row: &AlertRow) -> (&str, &str, &str) {
    (&row.rule_key, &row.subject_type, &row.subject_key)
}

/// The state of an alert that holds now; `None` when there is nothing to write.
fn still(rule: &Rule, finding: &Finding, stands: Option<&Alert>, now: Timestamp, notify: bool) -> Option<AlertWrite> {
    let before = stands.map(|alert| &alert.row);
    let first_seen_at = before.map_or(finding.since.unwrap_or(now).min(now), |row| row.first_seen_at);
    let mut row = AlertRow {
        rule_key: finding.rule_key.clone(),
        severity: rule.severity,
        subject_type: finding.subject_type.to_owned(),
        subject_key: finding.subject_key.clone(),
        connection_id: finding.connection_id,
        client_id: finding.client_id,
        owner: Some(finding.owner.clone()),
        message_internal: finding.message.clone(),
        message_client_safe: rule.client_safe.clone(),
        remedy: finding.remedy.clone(),
        runbook: rule.runbook.clone(),
        first_seen_at,
        last_seen_at: before.map_or(now, |row| row.last_seen_at.max(now)),
        opened_at: before.and_then(|row| row.opened_at),
        resolved_at: None,
        told_at: before.and_then(|row| row.told_at),
        notice: before.and_then(|row| row.notice),
        notified_at: before.and_then(|row| row.notified_at),
        notify_failures: before.map_or(0, |row| row.notify_failures),
    };
    let lasted = now.since(first_seen_at) >= finding.lasting;
    let news = match (row.opened_at, row.told_at) {
        (None, _) => lasted.then_some(AlertNews::Opened),
        (Some(_), Some(told_at)) => {
            (now > told_at && now.since(told_at) >= rule.silence).then_some(AlertNews::Reminded)
        }
        (Some(_), None) => None,
    };
    if let Some(news) = news {
        row.opened_at = row.opened_at.or(Some(now));
        row.told_at = Some(now);
        if notify {
            // Nobody has heard of it yet: that it opened is what there is to tell, when the wait of the last try is over.
            row.notice = match (news, row.notice) {
                (AlertNews::Reminded, Some(waiting)) => Some(waiting),
                (news, _) => Some((news, now)),
            };
        }
    }
    let id = stands.map(|alert| alert.id);
    let same = before.is_some_and(|before| AlertRow { last_seen_at: before.last_seen_at, ..row.clone() } == *before);
    (!same).then_some(AlertWrite { id, row, news })
}

fn over(alert: &Alert, now: Timestamp, notify: bool) -> AlertWrite {
    let mut row = AlertRow { resolved_at: Some(now), ..alert.row.clone() };
    // What was only being watched was never told, and its end is not either.
    let news = row.opened_at.map(|_| AlertNews::Resolved);
    if news.is_some() {
        row.told_at = Some(now);
        row.notice = notify.then_some((AlertNews::Resolved, now));
        row.notify_failures = 0;
    }
    AlertWrite { id: Some(alert.id), row, news }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(minute: u64) -> Timestamp {
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap().plus(Duration::from_secs(minute * 60))
    }

    fn finding(rule: &str, since: Option<Timestamp>, lasting: u64) -> Finding {
        Finding {
            rule_key: rule.to_owned(),
            subject_type: "connection",
            subject_key: "acme-crm".to_owned(),
            connection_id: None,
            client_id: None,
            owner: "operations".to_owned(),
            message: "it is so".to_owned(),
            remedy: "mend it".to_owned(),
            since,
            lasting: Duration::from_secs(lasting * 60),
        }
    }

    /// Sweeps at these minutes with or without the finding; gives what was told.
    fn story(rule: &str, since: Option<Timestamp>, lasting: u64, looks: &[(u64, bool)]) -> Vec<(u64, AlertNews)> {
        let rules = Rules::read(None).unwrap();
        let mut stands: Vec<Alert> = Vec::new();
        let mut told = Vec::new();
        for (minute, holds) in looks {
            let found = if *holds { vec![finding(rule, since, lasting)] } else { Vec::new() };
            let writes = diff(&rules, &found, &stands, at(*minute), true);
            assert!(writes.len() <= 1, "{writes:?}");
            for write in writes {
                told.extend(write.news.map(|news| (*minute, news)));
                stands.clear();
                if write.row.resolved_at.is_none() {
                    stands.push(Alert { id: 1, connection_key: None, client_key: None, row: write.row });
                }
            }
        }
        told
    }

    #[test]
    fn an_alert_is_told_once_again_after_its_silence_and_at_its_end() {
        use AlertNews::{Opened, Reminded, Resolved};
        let looks =
            [(0, true), (1, true), (239, true), (240, true), (241, true), (480, true), (481, false), (482, false)];
        let told = story("needs_auth", None, 0, &looks);
        assert_eq!(told, [(0, Opened), (240, Reminded), (480, Reminded), (481, Resolved)]);
        // No silence: at every look.
        let told = story("isolation", None, 0, &[(0, true), (1, true), (2, false)]);
        assert_eq!(told, [(0, Opened), (1, Reminded), (2, Resolved)]);
    }

    #[test]
    fn what_must_last_is_told_when_it_has_and_not_at_all_when_it_passes() {
        use AlertNews::{Opened, Resolved};
        assert_eq!(story("publication_held", None, 60, &[(0, true), (59, true), (61, false), (62, false)]), []);
        let looks = [(0, true), (59, true), (60, true), (70, false)];
        assert_eq!(story("publication_held", None, 60, &looks), [(60, Opened), (70, Resolved)]);
        // Known since earlier.
        assert_eq!(story("publication_held", Some(at(0)), 60, &[(60, true)]), [(60, Opened)]);
    }

    #[test]
    fn a_look_that_is_out_of_date_ends_nothing() {
        let rules = Rules::read(None).unwrap();
        let row =
            still(rules.get("needs_auth").unwrap(), &finding("needs_auth", None, 0), None, at(5), false).unwrap().row;
        let stands = [Alert { id: 1, connection_key: None, client_key: None, row }];
        assert_eq!(diff(&rules, &[], &stands, at(4), false), []);
        assert_eq!(diff(&rules, &[], &stands, at(5), false).len(), 1);
    }

    #[test]
    fn a_reminder_does_not_hide_that_nobody_heard_of_the_opening() {
        let rules = Rules::read(None).unwrap();
        let rule = rules.get("needs_auth").unwrap();
        let mut row = still(rule, &finding("needs_auth", None, 0), None, at(0), true).unwrap().row;
        row.notice = Some((AlertNews::Opened, at(300)));
        let stands = Alert { id: 1, connection_key: None, client_key: None, row };
        let write = still(rule, &finding("needs_auth", None, 0), Some(&stands), at(240), true).unwrap();
        assert_eq!((write.news, write.row.notice), (Some(AlertNews::Reminded), Some((AlertNews::Opened, at(300)))));
    }
}

//! Alerts: what stands, since when, who acts, what to do.

use super::{
    View,
    table::{Grid, narrow, text, word},
    words::{age, or_none},
};
use crate::store::alerts::{Alert, AlertRow};

/// `tidegate alerts list`
pub fn alert_list(view: &View, alerts: &[Alert], all: bool) -> String {
    let narrow = narrow(view);
    let mut columns =
        vec![word("rule"), word("severity"), text("state"), text("subject"), text("owner"), text("since")];
    if !narrow {
        columns.extend([text("told"), text("what"), text("do")]);
    }
    let mut grid = Grid::new(view, &columns);
    for alert in alerts {
        let row = &alert.row;
        let mut cells = vec![
            row.rule_key.clone(),
            row.severity.to_string(),
            state(view, row),
            row.subject_key.clone(),
            or_none(row.owner.as_deref()),
            age(row.first_seen_at, view.now),
        ];
        if !narrow {
            let told = row.told_at.map(|at| age(at, view.now));
            cells.extend([or_none(told.as_deref()), row.message_internal.clone(), row.remedy.clone()]);
        }
        grid.row(cells);
    }
    grid.or(if all { "no alert was ever opened" } else { "no alert is open" })
}

fn state(view: &View, row: &AlertRow) -> String {
    match (row.opened_at, row.resolved_at) {
        (Some(_), None) => "open".to_owned(),
        (Some(_), Some(at)) => format!("resolved {}", age(at, view.now)),
        (None, None) => "watched".to_owned(),
        (None, Some(_)) => "passed untold".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        cli::print::samples,
        domain::status::{AlertNews, Severity},
    };

    fn alert() -> Alert {
        let ago = |minutes: u64| samples::now().minus(Duration::from_secs(minutes * 60));
        Alert {
            id: 5,
            connection_key: Some("acme-hubspot".to_owned()),
            client_key: Some("acme".to_owned()),
            row: AlertRow {
                rule_key: "source_late".to_owned(),
                severity: Severity::Warn,
                subject_type: "job".to_owned(),
                subject_key: "acme-hubspot/contacts".to_owned(),
                connection_id: None,
                client_id: None,
                owner: Some("integration@example.test".to_owned()),
                message_internal: "acme-hubspot contacts: last complete run 2026-11-22 03:30:12Z, 2h are allowed"
                    .to_owned(),
                message_client_safe: "This source has not been updated as expected.".to_owned(),
                remedy: "tidegate runs list --connection acme-hubspot".to_owned(),
                runbook: "source_late".to_owned(),
                first_seen_at: ago(60),
                last_seen_at: ago(0),
                opened_at: Some(ago(59)),
                resolved_at: None,
                told_at: Some(ago(59)),
                notice: Some((AlertNews::Opened, ago(50))),
                notified_at: None,
                notify_failures: 1,
            },
        }
    }

    #[test]
    fn alerts_are_told_with_who_acts_and_what_to_do() {
        let mut over = alert();
        over.row.resolved_at = Some(samples::now().minus(Duration::from_secs(300)));
        let mut watched = alert();
        (watched.row.opened_at, watched.row.told_at, watched.row.notice) = (None, None, None);
        insta::assert_snapshot!(alert_list(&samples::view(), &[alert(), over, watched], true));
        assert_eq!(alert_list(&samples::view(), &[], false), "no alert is open\n");
    }
}

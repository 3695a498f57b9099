//! Quality checks: what was seen, what it means for publishing, and what to do.

use super::{
    View,
    table::{Grid, narrow, text, word},
    words::{age, count_of, or_none, plain},
};
use crate::{
    domain::status::{CheckStatus, Severity},
    store::checks::{StoredCheck, verdict},
};

/// `tidegate quality list`
pub fn check_list(view: &View, checks: &[StoredCheck]) -> String {
    let wide = !narrow(view);
    let mut columns = vec![word("connection"), word("check"), word("severity"), word("status"), text("observed")];
    if wide {
        columns.extend([text("what to do"), text("checked")]);
    }
    let mut grid = Grid::new(view, &columns);
    for check in checks {
        let result = &check.result;
        let mut row = vec![
            check.connection_key.clone(),
            result.check_key.clone(),
            result.severity.to_string(),
            result.status.to_string(),
            or_none(result.observed.as_deref()),
        ];
        if wide {
            let remedy = if result.status == CheckStatus::Passed { None } else { result.detail_internal.as_deref() };
            row.extend([or_none(remedy), age(check.checked_at, view.now)]);
        }
        grid.row(row);
    }
    grid.or("no results; see: tidegate quality run")
}

/// The results of one connection, as short as can be: for `tidegate demo`.
pub fn brief(view: &View, checks: &[StoredCheck]) -> String {
    let mut grid = Grid::new(view, &[word("check"), word("status"), text("observed")]);
    for StoredCheck { result, .. } in checks {
        let status = match (result.status, result.severity) {
            (CheckStatus::Passed, _) | (_, Severity::Error) => result.status.to_string(),
            (status, Severity::Warn) => format!("{status} (warns)"),
        };
        grid.row([result.check_key.clone(), status, or_none(result.observed.as_deref())]);
    }
    grid.or("no results")
}

/// `tidegate quality run`: the results, and a line for each connection that says whether its numbers may be published.
pub fn evaluated(view: &View, checks: &[StoredCheck]) -> String {
    let mut out = check_list(view, checks);
    for own in checks.chunk_by(|a, b| a.evaluation_id == b.evaluation_id) {
        let Some(first) = own.first() else { continue };
        let verdict = verdict(own);
        let warnings = i64::try_from(verdict.warnings.len()).unwrap_or(i64::MAX);
        let line = if verdict.may_publish() {
            format!("may be published, {}", count_of(warnings, "warning", "warnings"))
        } else {
            let held: Vec<&str> = verdict.holds.iter().map(|finding| finding.check_key.as_str()).collect();
            format!("held by {}; the last good numbers stay", held.join(", "))
        };
        out.push_str(&format!("\n{}: {line}", plain(&first.connection_key)));
    }
    out.push('\n');
    let todo: Vec<&StoredCheck> = checks
        .iter()
        .filter(|check| {
            narrow(view) && check.result.status != CheckStatus::Passed && check.result.severity == Severity::Error
        })
        .collect();
    for check in todo {
        let remedy = or_none(check.result.detail_internal.as_deref());
        out.push_str(&format!("  {}: {}\n", check.result.check_key, plain(&remedy)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::print::samples, store::checks::CheckResult};

    fn check(key: &str, severity: Severity, status: CheckStatus) -> StoredCheck {
        StoredCheck {
            id: 1,
            evaluation_id: "e".to_owned(),
            connection_key: "acme-hubspot".to_owned(),
            client_key: "acme".to_owned(),
            run_id: None,
            checked_at: samples::now(),
            result: CheckResult {
                check_key: key.to_owned(),
                severity,
                status,
                observed: Some("contacts was never complete".to_owned()),
                expected: Some("each job in time".to_owned()),
                detail_internal: Some("tidegate jobs list".to_owned()),
                message_client_safe: None,
            },
        }
    }

    #[test]
    fn an_evaluation_says_what_is_held_by_what_and_what_to_do() {
        let checks = [
            check("freshness", Severity::Error, CheckStatus::Failed),
            check("volume_anomaly", Severity::Warn, CheckStatus::Failed),
            check("coverage", Severity::Error, CheckStatus::Passed),
        ];
        insta::assert_snapshot!(evaluated(&samples::view(), &checks));
        assert_eq!(check_list(&samples::view(), &[]), "no results; see: tidegate quality run\n");
        let fine = [check("coverage", Severity::Error, CheckStatus::Passed)];
        assert!(evaluated(&samples::view(), &fine).ends_with("acme-hubspot: may be published, 0 warnings\n"));
        let small = View { width: Some(100), ..samples::view() };
        let text = evaluated(&small, &checks);
        assert!(
            text.contains("  freshness: tidegate jobs list") && text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
    }
}

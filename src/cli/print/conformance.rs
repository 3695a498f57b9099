//! What the conformance kit found.

use super::{
    View,
    table::{Grid, number, text, word},
    words::plain,
};
use crate::conformance::{Check, Outcome, Report};

/// A folder's score, and each failure with its reason and remedy.
pub fn report(provider_key: &str, report: &Report) -> String {
    let apart = report.checks.len() - report.applicable();
    let mut out =
        format!("{}: {}/{} ({apart} do not apply)\n", plain(provider_key), report.passed(), report.applicable());
    for (check, reason, remedy) in report.failures() {
        let stream = check.stream.as_ref().map(|stream| format!("{} ", plain(stream))).unwrap_or_default();
        out.push_str(&format!("  failed: {stream}{}: {} ({})\n", check.id, plain(reason), plain(remedy)));
    }
    out
}

/// Each check with how many streams passed it, and why the others did not.
pub fn checks(view: &View, checks: &[Check]) -> String {
    let columns = [word("check"), number("passed"), number("failed"), number("not applicable"), text("why")];
    let mut grid = Grid::new(view, &columns);
    let mut done: Vec<&str> = Vec::new();
    for check in checks {
        if done.contains(&check.id.as_str()) {
            continue;
        }
        done.push(&check.id);
        let alike: Vec<&Check> = checks.iter().filter(|other| other.id == check.id).collect();
        let count = |is: &dyn Fn(&Outcome) -> bool| alike.iter().filter(|check| is(&check.outcome)).count().to_string();
        let why = alike.iter().filter_map(|check| {
            let stream = check.stream.as_ref().map(|stream| format!("{stream}: ")).unwrap_or_default();
            match &check.outcome {
                Outcome::Passed => None,
                Outcome::Failed { reason, .. } => Some(format!("{stream}{reason}")),
                Outcome::NotApplicable { reason } => Some(reason.clone()),
            }
        });
        let mut whys: Vec<String> = Vec::new();
        for why in why {
            if !whys.contains(&why) {
                whys.push(why);
            }
        }
        grid.row([
            check.id.clone(),
            count(&|outcome| *outcome == Outcome::Passed),
            count(&|outcome| matches!(outcome, Outcome::Failed { .. })),
            count(&|outcome| matches!(outcome, Outcome::NotApplicable { .. })),
            whys.join("; "),
        ]);
    }
    grid.or("the checks were not run")
}

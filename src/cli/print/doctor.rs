//! What `tidegate doctor` found: a line for each look, and under it what to do.

use super::{View, words::plain};
use crate::cli::doctor::{Finding, Level};

/// The report; what needs somebody stands out by its word.
pub fn findings(_: &View, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = match finding.level {
            Level::Ok => "ok  ",
            Level::Warn => "WARN",
            Level::Fail => "FAIL",
        };
        text.push_str(&format!("{word}  {:<12}  {}\n", finding.check, plain(&finding.detail)));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("                    do: {}\n", plain(remedy)));
        }
    }
    text
}

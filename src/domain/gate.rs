//! What the checks of a connection say about publishing its numbers.
//!
//! Owns the words between checking and publishing. Refuses to know how a check is made or where a number is shown.

use serde::Serialize;

use super::clock::Timestamp;

/// One check that is not passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check_key: String,
    /// For operators: what was seen, what was expected, what to do.
    pub internal: String,
    /// What a client may read: no provider, no id, no value of a record.
    pub client_safe: String,
}

/// All checks of one connection, made at one moment, taken together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Verdict {
    /// The evaluation in `data_quality_checks`; `None`: nothing was ever checked.
    pub evaluation_id: Option<String>,
    pub checked_at: Option<Timestamp>,
    /// Checks of severity `error` that are failed, errored or unknown.
    pub holds: Vec<Finding>,
    /// Checks of severity `warn` that are failed or errored: published all the same, with less confidence and a note.
    pub warnings: Vec<Finding>,
}

impl Verdict {
    /// Green needs evidence: what was never checked does not publish (P6, P17).
    pub fn may_publish(&self) -> bool {
        self.evaluation_id.is_some() && self.holds.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p17_what_was_never_checked_does_not_publish() {
        assert!(!Verdict::default().may_publish());
        let checked = Verdict { evaluation_id: Some("e".to_owned()), ..Verdict::default() };
        assert!(checked.may_publish());
        let finding =
            Finding { check_key: "freshness".to_owned(), internal: String::new(), client_safe: String::new() };
        assert!(!Verdict { holds: vec![finding.clone()], ..checked.clone() }.may_publish());
        assert!(Verdict { warnings: vec![finding], ..checked }.may_publish());
    }
}

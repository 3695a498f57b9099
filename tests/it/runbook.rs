//! The runbook has an entry for everything that an operator can read in `error_code`, and for every alert.

use tidegate::{alerts::Rules, connector::ErrorKind, quality::CheckKey};

const RUNBOOK: &str = include_str!("../../deploy/runbook.md");

#[test]
fn every_error_code_of_a_connector_and_every_alert_has_an_entry_that_says_means_look_and_do() {
    let kinds = [
        ErrorKind::Unauthorized,
        ErrorKind::Forbidden,
        ErrorKind::RateLimited { retry_after: None },
        ErrorKind::Unavailable,
        ErrorKind::Rejected,
        ErrorKind::Decode,
        ErrorKind::PositionExpired,
        ErrorKind::Settings,
        ErrorKind::Policy,
        ErrorKind::Vault,
        ErrorKind::Stuck,
        ErrorKind::AccountMismatch,
    ];
    for kind in kinds {
        let head = format!("\n## {}\n", kind.code());
        assert_eq!(RUNBOOK.matches(&head).count(), 1, "{head}");
    }
    for check in CheckKey::ALL {
        let head = format!("\n## {check}\n");
        assert_eq!(RUNBOOK.matches(&head).count(), 1, "{head}");
    }
    let rules = Rules::read(None).unwrap();
    for rule in rules.all() {
        let head = format!("\n## {}\n", rule.runbook);
        assert_eq!(RUNBOOK.matches(&head).count(), 1, "the anchor of the alert {}: {head}", rule.key);
    }
    let (_, entries) = RUNBOOK.split_once("\n---\n").unwrap();
    let entries: Vec<_> = entries.split("\n## ").skip(1).collect();
    assert!(entries.len() >= 28, "{} entries", entries.len());
    for entry in entries {
        let parts: Vec<_> = ["**Means.** ", "\n**Look.** ", "\n**Do.** "].iter().map(|part| entry.find(part)).collect();
        assert!(parts.iter().all(Option::is_some) && parts.is_sorted(), "{entry}");
    }
}

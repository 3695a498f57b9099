//! The runbook has an entry for everything that an operator can read in `error_code`.

use tidegate::connector::ErrorKind;

const RUNBOOK: &str = include_str!("../../deploy/runbook.md");

#[test]
fn every_error_code_of_a_connector_has_an_entry_that_says_means_look_and_do() {
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
    ];
    for kind in kinds {
        let head = format!("\n## {}\n", kind.code());
        assert_eq!(RUNBOOK.matches(&head).count(), 1, "{head}");
    }
    let (_, entries) = RUNBOOK.split_once("\n---\n").unwrap();
    let entries: Vec<_> = entries.split("\n## ").skip(1).collect();
    assert!(entries.len() >= 18, "{} entries", entries.len());
    for entry in entries {
        let parts: Vec<_> = ["**Means.** ", "\n**Look.** ", "\n**Do.** "].iter().map(|part| entry.find(part)).collect();
        assert!(parts.iter().all(Option::is_some) && parts.is_sorted(), "{entry}");
    }
}

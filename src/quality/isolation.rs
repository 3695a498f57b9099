//! Account isolation: no row, link, account, identity or record of another client in a connection.
//!
//! The database refuses most of it by composite foreign keys and unique keys; this check proves it, whoever wrote the rows. What one
//! of the facts shows counts even when another fact cannot be read.

use super::judged::{Judged, some};
use crate::store::{
    StoreError,
    catalogue::Connection,
    quality::{Depth, QualityStore, Tally, Whose},
};

const EXPECTED: &str = "no row, link, account, identity or record of another client";
const REMEDY: &str = "find out whose data it is before anything runs: deploy/runbook.md, account_isolation";

/// What was read; each part by itself.
pub struct Facts {
    pub foreign_rows: Result<Vec<Tally>, StoreError>,
    pub stray_links: Result<i64, StoreError>,
    pub rival_claims: Result<Vec<String>, StoreError>,
    pub mismatched_records: Result<i64, StoreError>,
    /// The provider reported another account than the declared one.
    pub other_identity: bool,
}

impl Facts {
    pub async fn read<S: QualityStore + ?Sized>(store: &S, of: Whose, connection: &Connection, depth: Depth) -> Self {
        let declared = &connection.spec.provider_account_id;
        Self {
            foreign_rows: store.foreign_rows(of).await,
            stray_links: store.stray_links(of, depth).await,
            rival_claims: store.rival_claims(of).await,
            mismatched_records: store.open_letters_of(of, "account_mismatch").await,
            other_identity: connection.identity_account_id.as_ref().is_some_and(|theirs| theirs != declared),
        }
    }
}

/// # Errors
/// The first fact that could not be read, when none of the others shows a hit.
pub fn judge(facts: Facts) -> Result<Judged, StoreError> {
    let mut hits = Vec::new();
    let mut broken = None;
    match facts.foreign_rows {
        Ok(tallies) => hits.extend(tallies.iter().map(|t| format!("{} of another client in {}", t.rows, t.table))),
        Err(error) => broken = Some(error),
    }
    match facts.stray_links {
        Ok(links) => hits.extend(some(links, "object links lead to another connection's rows")),
        Err(error) => broken = broken.or(Some(error)),
    }
    match facts.rival_claims {
        Ok(keys) if keys.is_empty() => {}
        Ok(keys) => hits.push(format!("the account is claimed by another client too: {}", keys.join(", "))),
        Err(error) => broken = broken.or(Some(error)),
    }
    match facts.mismatched_records {
        Ok(letters) => hits.extend(some(letters, "dead letters of records that name another account")),
        Err(error) => broken = broken.or(Some(error)),
    }
    if facts.other_identity {
        hits.push("the provider reports another account for the credential than the declared one".to_owned());
    }
    match broken {
        Some(error) if hits.is_empty() => Err(error),
        Some(_) | None => Ok(Judged::found(&hits, "none", EXPECTED, REMEDY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::status::CheckStatus;

    fn clean() -> Facts {
        Facts {
            foreign_rows: Ok(Vec::new()),
            stray_links: Ok(0),
            rival_claims: Ok(Vec::new()),
            mismatched_records: Ok(0),
            other_identity: false,
        }
    }

    #[test]
    fn each_hit_fails_it_and_none_passes_it() {
        assert_eq!(judge(clean()).unwrap().status, CheckStatus::Passed);
        for facts in [
            Facts { foreign_rows: Ok(vec![Tally { table: "crm_leads", rows: 1 }]), ..clean() },
            Facts { stray_links: Ok(1), ..clean() },
            Facts { rival_claims: Ok(vec!["bolt-crm".to_owned()]), ..clean() },
            Facts { mismatched_records: Ok(2), ..clean() },
            Facts { other_identity: true, ..clean() },
        ] {
            assert_eq!(judge(facts).unwrap().status, CheckStatus::Failed);
        }
    }

    #[test]
    fn a_hit_counts_even_when_another_fact_cannot_be_read() {
        let broken = || Err(StoreError::Schema("gone".to_owned()));
        assert!(judge(Facts { stray_links: broken(), ..clean() }).is_err());
        let hit = Facts { stray_links: broken(), other_identity: true, ..clean() };
        assert_eq!(judge(hit).unwrap().status, CheckStatus::Failed);
    }
}

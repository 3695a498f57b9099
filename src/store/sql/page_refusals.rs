//! Which rows of a page the database refuses, when it refuses their statement.
//!
//! Owns the search: the records are written by halves inside the page's transaction, each try taken back at a savepoint, until the refused
//! ones stand alone. Refuses to decide what becomes of them: that is `PageWrites::without`.

use std::collections::HashMap;

use sqlx::Executor as _;

use super::{
    Connection as Session, dialect,
    fault::{Class, Fault, classify},
    page_records,
};
use crate::{
    domain::{
        ids::RawEventId,
        retry::{ROW_NOT_WRITTEN, ROW_REFUSED},
    },
    store::{
        StoreError,
        page::{PageScope, RecordWrite, RowRefusal},
    },
};

const MARK: &str = "savepoint tidegate_rows";
const BACK: &str = "rollback to savepoint tidegate_rows";
/// Longest text of what refused a row.
const WHAT_CHARS: usize = 100;

/// What was wrong, when a fault may be that of a single row. A foreign key is not: all rows of a page name the same ones. A trigger is not:
/// we have none, so it is somebody's own guard, and it is not worked round.
pub(super) fn of_a_row(fault: &Fault) -> Option<RowRefusal> {
    let Fault::Sql(error) = fault else { return None };
    if dialect::is_of_a_trigger(error) {
        return None;
    }
    let Class::Final(error) = classify("write records", error) else { return None };
    match error {
        StoreError::Constraint { constraint, .. } => {
            let foreign = constraint.starts_with("fk_") || constraint.starts_with("FOREIGN KEY");
            (!foreign).then(|| RowRefusal { error_code: ROW_REFUSED, what: name_of(&constraint) })
        }
        StoreError::Database { source, .. } => {
            // The number stands before the colon; the text after it may quote a value.
            let said = source.to_string();
            let number = said.split(':').next().unwrap_or_default();
            Some(RowRefusal { error_code: ROW_NOT_WRITTEN, what: name_of(number) })
        }
        _ => None,
    }
}

/// A constraint, a column, a number: anything else may hold a value.
fn name_of(text: &str) -> String {
    // SQLite names an index so.
    let text = text.strip_prefix("index ").unwrap_or(text).trim_matches('\'');
    let named = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_., ".contains(c));
    if named { text.chars().take(WHAT_CHARS).collect() } else { "a rule of the database".to_owned() }
}

/// The records that cannot be written, by external id, each with what refuses it. Nothing stays written.
pub(super) async fn find(
    session: &mut Session,
    scope: &PageScope,
    raw_ids: &[RawEventId],
    records: Vec<RecordWrite>,
) -> Result<HashMap<String, RowRefusal>, Fault> {
    let mut refused = HashMap::new();
    let mut left = vec![records];
    while let Some(mut now) = left.pop() {
        if now.is_empty() {
            continue;
        }
        session.execute(MARK).await?;
        let tried = page_records::records(session, scope, raw_ids, now.clone()).await;
        let Err(fault) = tried else {
            // What goes through stays until the transaction is begun anew: two records of one page are never one row.
            continue;
        };
        let Some(refusal) = of_a_row(&fault) else { return Err(fault) };
        session.execute(BACK).await?;
        if now.len() == 1 {
            refused.extend(now.pop().map(|record| (record.external_id, refusal)));
        } else {
            let behind = now.split_off(now.len() / 2);
            left.extend([behind, now]);
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refused_a_row_is_a_name_or_a_number_and_never_a_value() {
        for (text, told) in [
            ("ck_crm_leads_consent", "ck_crm_leads_consent"),
            ("MySQL error 1690", "MySQL error 1690"),
            ("index 'ux_one'", "ux_one"),
            ("'ada@example.test' is no good", "a rule of the database"),
            ("", "a rule of the database"),
        ] {
            assert_eq!(name_of(text), told);
        }
    }
}

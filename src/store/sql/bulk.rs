//! Statements of many rows, and IN lists: the only SQL that is put together while running.
//!
//! Takes names from our own constants and from [`BusinessTable`]s, never a value: those are bound. The numbers of rows are
//! few and fixed, so that each text is prepared once and found again.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::dialect;
use crate::domain::business::BusinessTable;

/// Rows of the largest statement.
pub(super) const MOST_ROWS: usize = 250;
/// Bytes of payload in one statement, well below the smallest usual `max_allowed_packet` (16 MiB).
const MOST_BYTES: usize = 4 << 20;
/// Slots of IN lists; a shorter list repeats its last value.
const IN_SIZES: [usize; 5] = [1, 8, 64, 250, 1000];

/// How many of `left` rows the next statement takes: the largest, then powers of two.
pub(super) fn rows_at_once(left: usize) -> usize {
    if left >= MOST_ROWS { MOST_ROWS } else { 1 << left.ilog2() }
}

/// As [`rows_at_once`], but fewer when their payloads are large. `sizes` are those of the rows that are left.
pub(super) fn rows_at_once_by_size(sizes: impl Iterator<Item = usize>, left: usize) -> usize {
    let mut bytes = 0_usize;
    let fit = sizes
        .take_while(|size| {
            bytes = bytes.saturating_add(*size);
            bytes <= MOST_BYTES
        })
        .take(MOST_ROWS)
        .count();
    rows_at_once(fit.clamp(1, left))
}

/// `head row, row, row tail`.
pub(super) fn insert(head: &'static str, row: &'static str, rows: usize, tail: &str) -> SqlStr {
    repeat(head, row, rows, tail)
}

/// `head ?, ?, ? tail` with one of few numbers of slots.
pub(super) fn in_list(head: &'static str, slots: usize, tail: &'static str) -> SqlStr {
    repeat(head, "?", slots, tail)
}

/// The slots of an IN list for the next of `left` values.
pub(super) fn slots_for(left: usize) -> usize {
    IN_SIZES.into_iter().find(|size| *size >= left).unwrap_or(IN_SIZES[IN_SIZES.len() - 1])
}

/// The columns of a business table that the pipeline fills, in the order in which they are bound; the table's own follow.
const OWNED: [&str; 10] = [
    "client_id",
    "connection_id",
    "provider_key",
    "source_label",
    "object_type",
    "external_id",
    "first_run_id",
    "last_run_id",
    "source_updated_at",
    "is_test",
];
/// Those of them that an update rewrites.
const REWRITTEN: [&str; 5] = ["source_label", "last_run_id", "source_updated_at", "is_test", "voided_at"];

/// New rows of a business table.
pub(super) fn insert_records(table: &BusinessTable, rows: usize) -> SqlStr {
    records(table, "", rows, "")
}

/// Rows of a business table that exist, by `id`, which is bound first. What a run took back is good again once written anew.
pub(super) fn update_records(table: &BusinessTable, rows: usize) -> SqlStr {
    let columns: Vec<&str> = REWRITTEN.into_iter().chain(table.columns.iter().map(|c| c.name)).collect();
    records(table, "id, voided_at, ", rows, &dialect::on_conflict(&["id"], &columns))
}

fn records(table: &BusinessTable, first: &'static str, rows: usize, tail: &str) -> SqlStr {
    let own: String = table.columns.iter().fold(String::new(), |list, column| list + ", " + column.name);
    let head = format!("insert into {} ({first}{}{own}) values ", table.name, OWNED.join(", "));
    let bound = OWNED.len() + table.columns.len();
    let row = format!("({}?{})", if first.is_empty() { "" } else { "?, null, " }, ", ?".repeat(bound - 1));
    repeat(&head, &row, rows, tail)
}

fn repeat(head: &str, piece: &str, times: usize, tail: &str) -> SqlStr {
    let mut text = String::with_capacity(head.len() + times * (piece.len() + 2) + tail.len());
    text.push_str(head);
    for index in 0..times {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{piece}", if index == 0 { "" } else { ", " });
    }
    text.push_str(tail);
    AssertSqlSafe(text).into_sql_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_is_written_by_few_sizes_of_statement() {
        let mut sizes = std::collections::BTreeSet::new();
        for total in 1..=2_100 {
            let mut left = total;
            while left > 0 {
                let now = rows_at_once(left);
                assert!(now >= 1 && now <= left);
                sizes.insert(now);
                left -= now;
            }
        }
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64, 128, 250]);
    }

    #[test]
    fn large_payloads_share_no_statement() {
        assert_eq!(rows_at_once_by_size([600; 1000].into_iter(), 1000), 250);
        assert_eq!(rows_at_once_by_size([MOST_BYTES; 3].into_iter(), 3), 1);
        assert_eq!(rows_at_once_by_size([MOST_BYTES + 1; 3].into_iter(), 3), 1);
        assert_eq!(rows_at_once_by_size([MOST_BYTES / 3; 9].into_iter(), 9), 2);
    }

    #[test]
    fn short_lists_repeat_their_last_value() {
        assert_eq!([1, 2, 8, 9, 250, 251, 1000, 5000].map(slots_for), [1, 8, 8, 64, 250, 1000, 1000, 1000]);
    }
}

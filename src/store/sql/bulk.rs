//! Statements of many rows, and IN lists: the only SQL that is put together while running.
//!
//! Takes names that are constants of ours (a business table's among them), never a value: those are bound. The numbers of rows are
//! few and fixed, so that each text is prepared once and found again.

use futures_util::future;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{Connection as Session, Db, dialect, fault::Fault, store::Statement};

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

/// An INSERT of many rows: columns whose value all rows share, and columns of which each row has its own.
pub(super) struct Insert<'a> {
    pub table: &'static str,
    pub shared: &'a [&'static str],
    pub own: &'a [&'static str],
    /// Columns that are stamped with the database's clock.
    pub stamped: &'a [&'static str],
    /// For rows that are there already: the unique key, what to rewrite, and more to set as it stands.
    pub rewrite: Option<(&'a [&'static str], &'a [&'static str], &'static str)>,
}

impl Insert<'_> {
    /// The text for so many rows. Values are bound by [`bind_rows`].
    pub fn text(&self, rows: usize) -> SqlStr {
        AssertSqlSafe(dialect::insert_text(self, rows)).into_sql_str()
    }
}

/// Binds rows in the order that the dialect's text wants: the shared values once, or with each row.
pub(super) fn bind_rows<'q, R, E>(
    mut query: Statement<'q>,
    rows: impl Iterator<Item = R>,
    shared: impl Fn(Statement<'q>) -> Statement<'q>,
    mut own: impl FnMut(Statement<'q>, R) -> Result<Statement<'q>, E>,
) -> Result<Statement<'q>, E> {
    for row in rows {
        if !dialect::SHARED_ONCE {
            query = shared(query);
        }
        query = own(query, row)?;
    }
    Ok(if dialect::SHARED_ONCE { shared(query) } else { query })
}

/// Runs statements one after the other, each made and bound while the one before is at work in the database. `next` gives a
/// statement and what `done` needs besides its result; `None`: there are no more.
pub(super) async fn run_ahead<'q, T>(
    session: &mut Session,
    mut next: impl FnMut() -> Result<Option<(Statement<'q>, T)>, Fault>,
    mut done: impl FnMut(&<Db as sqlx::Database>::QueryResult, T),
) -> Result<(), Fault> {
    let mut ready = next()?;
    while let Some((query, rest)) = ready {
        // The first of the two is polled first: the statement is on its way before the next one is made.
        let (result, following) = future::join(query.execute(&mut *session), async { next() }).await;
        done(&result?, rest);
        ready = following?;
    }
    Ok(())
}

/// `head ?, ?, ? tail` with one of few numbers of slots.
pub(super) fn in_list(head: &'static str, slots: usize, tail: &'static str) -> SqlStr {
    in_list_of(head, slots, tail)
}

/// As [`in_list`], where the head names a business table.
pub(super) fn in_list_of(head: &str, slots: usize, tail: &'static str) -> SqlStr {
    let mut text = String::with_capacity(head.len() + slots * 3 + tail.len());
    text.push_str(head);
    repeat(&mut text, "?", slots);
    text.push_str(tail);
    AssertSqlSafe(text).into_sql_str()
}

/// The slots of an IN list for the next of `left` values.
pub(super) fn slots_for(left: usize) -> usize {
    IN_SIZES.into_iter().find(|size| *size >= left).unwrap_or(IN_SIZES[IN_SIZES.len() - 1])
}

/// The values of an IN list, the last one repeated until all slots are filled.
pub(super) fn padded<T>(values: &[T], slots: usize) -> impl Iterator<Item = &T> {
    values.iter().chain(values.last().into_iter().cycle()).take(slots)
}

/// `piece, piece, piece`
pub(super) fn repeat(text: &mut String, piece: &str, times: usize) {
    for index in 0..times {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(piece);
    }
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

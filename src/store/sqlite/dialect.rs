//! What SQLite spells differently: times and money as text, new ids, result codes.

use rust_decimal::Decimal;
use sqlx::{
    Decode, Encode, Type,
    encode::IsNull,
    error::{BoxDynError, DatabaseError},
    sqlite::{Sqlite, SqliteArgumentsBuffer, SqliteQueryResult, SqliteTypeInfo, SqliteValueRef},
};

use super::{
    Connection,
    bulk::{Insert, repeat},
    fault::{Class, Fault},
};
use crate::{
    domain::clock::Timestamp,
    store::{StoreError, error::DriverError},
};

pub(super) const ENGINE: &str = "sqlite";
/// Takes the write lock at once: a transaction that reads first could not be upgraded later.
pub(super) const BEGIN: &str = "begin immediate";
/// All steps commit together, and two processes that migrate at the same moment queue up.
pub(super) const BEGIN_MIGRATION: Option<&str> = Some("begin immediate");
/// Digits after the point of an amount, as `DECIMAL(18,4)` has them.
const SCALE: u32 = 4;

/// An instant as text, `2026-01-31T08:00:00.000000Z`.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub Timestamp);

impl Type<Sqlite> for At {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for At {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.0.to_iso(), buffer)
    }
}

impl Decode<'_, Sqlite> for At {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(<&str as Decode<Sqlite>>::decode(value)?.parse()?))
    }
}

/// An amount as text with four digits after the point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Money(pub Decimal);

impl Type<Sqlite> for Money {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Money {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        let mut amount = self.0;
        amount.rescale(SCALE);
        Encode::<Sqlite>::encode(amount.to_string(), buffer)
    }
}

impl Decode<'_, Sqlite> for Money {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(<&str as Decode<Sqlite>>::decode(value)?.parse()?))
    }
}

/// Ids of one statement follow each other: there is one writer.
pub(super) async fn id_step(_connection: &mut Connection) -> Result<i64, sqlx::Error> {
    Ok(1)
}

/// The id of the first row of a multi-row INSERT; SQLite tells the last one.
pub(super) fn first_id(result: &SqliteQueryResult, rows: usize) -> i64 {
    result.last_insert_rowid() + 1 - i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Binding costs as much as inserting here, so shared values are bound once and joined to each row.
pub(super) const SHARED_ONCE: bool = true;

/// `insert into t (own, shared, stamped) select * from (values (...), (...)) cross join (select shared, stamped) on conflict ...`
///
/// A cross join is run in the order in which it is written, so the rows keep theirs.
pub(super) fn insert_text(insert: &Insert<'_>, rows: usize) -> String {
    let mut row = String::from("(");
    repeat(&mut row, "?", insert.own.len());
    row.push(')');
    let columns = [insert.own, insert.shared, insert.stamped].concat().join(", ");
    let mut text = String::with_capacity(rows * (row.len() + 2) + 1000);
    text.push_str(&format!("insert into {} ({columns}) select * from (values ", insert.table));
    repeat(&mut text, &row, rows);
    text.push_str(") cross join (select ");
    let names = insert.shared.iter().map(|name| format!("? as {name}"));
    let stamps = insert.stamped.iter().map(|name| [now!(), " as ", name].concat());
    text.push_str(&names.chain(stamps).collect::<Vec<_>>().join(", "));
    text.push(')');
    if let Some((key, rewritten, more)) = insert.rewrite {
        let sets: Vec<String> = rewritten.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        // Without a WHERE the parser takes `on` for that of a join.
        text.push_str(&format!(" where true on conflict ({}) do update set {}{more}", key.join(", "), sets.join(", ")));
    }
    text
}

/// Nothing: the transaction of [`BEGIN_MIGRATION`] is the lock.
pub(super) async fn lock_migrations(_connection: &mut Connection) -> Result<(), Fault> {
    Ok(())
}

pub(super) async fn unlock_migrations(_connection: &mut Connection) -> Result<(), Fault> {
    Ok(())
}

/// `SQLite 3.50.2`.
pub(super) fn product(version: &str) -> String {
    format!("SQLite {version}")
}

pub(super) fn settings_error(error: &sqlx::Error) -> StoreError {
    StoreError::Settings(format!("database.url cannot be used: {error}"))
}

/// Whether a trigger refused the statement.
pub(super) fn is_of_a_trigger(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("1811"))
}

/// Result codes, sorted by what can be done about them.
pub(super) fn classify(during: &'static str, error: &dyn DatabaseError) -> Class {
    let code: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or(1);
    let said = || DriverError(format!("SQLite error {code}: {}", error.message()));
    // The low byte is the class, the rest says more about it.
    match code & 0xff {
        // BUSY, LOCKED
        5 | 6 => Class::Busy(said()),
        // FULL, IOERR, READONLY
        13 | 10 | 8 => Class::Final(StoreError::NoSpace { detail: said().0 }),
        // PERM, CANTOPEN, AUTH, NOTADB
        3 | 14 | 23 | 26 => {
            Class::Final(StoreError::Settings(format!("the database file cannot be used: {}", error.message())))
        }
        // CONSTRAINT, MISMATCH
        19 | 20 => Class::Final(StoreError::Constraint {
            constraint: constraint_of(error.message()),
            detail: format!("{during}: SQLite error {code}"),
        }),
        1 if error.message().starts_with("no such table") || error.message().contains("no column named") => {
            Class::Final(StoreError::Schema(format!(
                "the schema does not fit this program ({}); run `tidegate migrate`",
                error.message()
            )))
        }
        _ => Class::Final(StoreError::Database { during, source: Box::new(said()) }),
    }
}

/// `UNIQUE constraint failed: table.a, table.b`, `CHECK constraint failed: name`, `FOREIGN KEY constraint failed`.
fn constraint_of(message: &str) -> String {
    message.split_once("constraint failed: ").map_or(message, |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_four_digits_after_the_point() {
        for (amount, text) in [("123.4", "123.4000"), ("-0.00005", "-0.0001"), ("7", "7.0000")] {
            let mut buffer = SqliteArgumentsBuffer::default();
            let _ = Money(amount.parse().expect("a number")).encode_by_ref(&mut buffer).expect("text always fits");
            assert!(format!("{buffer:?}").contains(text), "{buffer:?}");
        }
    }
}

//! What MySQL and MariaDB spell differently: times, money, new ids, error numbers.

use rust_decimal::Decimal;
use sqlx::{
    Decode, Encode, Type,
    encode::IsNull,
    error::{BoxDynError, DatabaseError},
    mysql::{MySql, MySqlDatabaseError, MySqlQueryResult, MySqlTypeInfo, MySqlValueRef},
    types::chrono::NaiveDateTime,
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

pub(super) const ENGINE: &str = "mysql";
pub(super) const BEGIN: &str = "begin";
/// Tables cannot be rolled back, so a migration is no transaction.
pub(super) const BEGIN_MIGRATION: Option<&str> = None;

/// An instant as `DATETIME(6)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub Timestamp);

impl Type<MySql> for At {
    fn type_info() -> MySqlTypeInfo {
        <NaiveDateTime as Type<MySql>>::type_info()
    }

    fn compatible(info: &MySqlTypeInfo) -> bool {
        <NaiveDateTime as Type<MySql>>::compatible(info)
    }
}

impl Encode<'_, MySql> for At {
    fn encode_by_ref(&self, buffer: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        Encode::<MySql>::encode(self.0.naive(), buffer)
    }
}

impl Decode<'_, MySql> for At {
    fn decode(value: MySqlValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(Timestamp::from_naive(<NaiveDateTime as Decode<MySql>>::decode(value)?)))
    }
}

/// An amount as `DECIMAL(18,4)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Money(pub Decimal);

impl Type<MySql> for Money {
    fn type_info() -> MySqlTypeInfo {
        <Decimal as Type<MySql>>::type_info()
    }

    fn compatible(info: &MySqlTypeInfo) -> bool {
        <Decimal as Type<MySql>>::compatible(info)
    }
}

impl Encode<'_, MySql> for Money {
    fn encode_by_ref(&self, buffer: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        Encode::<MySql>::encode(self.0, buffer)
    }
}

impl Decode<'_, MySql> for Money {
    fn decode(value: MySqlValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(<Decimal as Decode<MySql>>::decode(value)?))
    }
}

/// How far apart the ids of one multi-row INSERT are: a Galera node counts in steps. Read in the same session as the INSERT,
/// because a cluster changes it while it runs.
pub(super) async fn id_step(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar::<MySql, i64>("select cast(@@auto_increment_increment as signed)").fetch_one(connection).await
}

/// The id of the first row of a multi-row INSERT.
pub(super) fn first_id(result: &MySqlQueryResult, _rows: usize) -> i64 {
    i64::try_from(result.last_insert_id()).unwrap_or(i64::MAX)
}

/// Each row binds the shared values again: `insert ... values` of rows is the only form whose new ids follow each other.
pub(super) const SHARED_ONCE: bool = false;

/// `insert into t (shared, own, stamped) values (...), (...) on duplicate key update ...`
pub(super) fn insert_text(insert: &Insert<'_>, rows: usize) -> String {
    let bound = insert.shared.len() + insert.own.len();
    let mut row = String::from("(");
    repeat(&mut row, "?", bound);
    for _ in insert.stamped {
        row.push_str(concat!(", ", now!()));
    }
    row.push(')');
    let columns = [insert.shared, insert.own, insert.stamped].concat().join(", ");
    let mut text = String::with_capacity(rows * (row.len() + 2) + 1000);
    text.push_str(&format!("insert into {} ({columns}) values ", insert.table));
    repeat(&mut text, &row, rows);
    if let Some((_, rewritten, more)) = insert.rewrite {
        let sets: Vec<String> = rewritten.iter().map(|column| format!("{column} = values({column})")).collect();
        text.push_str(&format!(" on duplicate key update {}{more}", sets.join(", ")));
    }
    text
}

/// Waits ten minutes for another process that migrates. A lock's name has at most 64 characters.
const LOCK: &str = "select coalesce(get_lock(left(concat('tidegate.', database()), 64), 600), 0)";
const UNLOCK: &str = "select coalesce(release_lock(left(concat('tidegate.', database()), 64)), 0)";

/// Lets one process migrate at a time. Not sqlx's lock: it waits -1 seconds, which MariaDB answers with NULL at once, and does
/// not look at the answer. The lock ends with the connection.
pub(super) async fn lock_migrations(connection: &mut Connection) -> Result<(), Fault> {
    match sqlx::query_scalar::<MySql, i64>(LOCK).fetch_one(connection).await? {
        1 => Ok(()),
        _ => Err(Fault::Refused(StoreError::Schema("another process has been migrating for ten minutes".to_owned()))),
    }
}

pub(super) async fn unlock_migrations(connection: &mut Connection) -> Result<(), Fault> {
    sqlx::query_scalar::<MySql, i64>(UNLOCK).fetch_one(connection).await?;
    Ok(())
}

/// `MariaDB 10.11.6` or `MySQL 8.4.0`.
pub(super) fn product(version: &str) -> String {
    let number = version.split('-').next().unwrap_or(version);
    if version.contains("MariaDB") { format!("MariaDB {number}") } else { format!("MySQL {number}") }
}

pub(super) fn settings_error(error: &sqlx::Error) -> StoreError {
    let text = error.to_string();
    StoreError::Settings(if text.contains("RSA") {
        "the database wants the password over an encrypted connection (caching_sha2_password): add \
         ?ssl-mode=VERIFY_IDENTITY (or REQUIRED) to database.url, or connect over a socket with ?socket=/path"
            .to_owned()
    } else {
        format!("database.url or its TLS settings cannot be used: {text}")
    })
}

/// Numbers with which a server denies a statement to a user.
const DENIED: [u16; 5] = [1142, 1143, 1044, 1227, 1370];

/// MariaDB: the user was not granted this role.
const NO_ROLE: u16 = 1959;

/// Whether the server denied the statement for want of a right.
pub(super) fn is_denied(error: &sqlx::Error) -> bool {
    number(error).is_some_and(|number| DENIED.contains(&number))
}

/// Whether a trigger refused the statement.
pub(super) fn is_of_a_trigger(error: &sqlx::Error) -> bool {
    number(error) == Some(1644)
}

pub(super) fn is_no_role_of_ours(error: &sqlx::Error) -> bool {
    number(error) == Some(NO_ROLE)
}

fn number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// `INSERT on crm_leads` of "INSERT command denied to user 'x'@'y' for table `z`.`crm_leads`": neither user nor host.
fn denied(message: &str) -> String {
    let word = message.split(" command denied").next().filter(|word| word.len() <= 40 && !word.contains('\''));
    let table = message.rsplit(['`', '\'']).find(|part| !part.is_empty() && is_name(part));
    match (word, table) {
        (Some(word), Some(table)) if word != message => format!("{word} on {table}"),
        _ => "what it needs".to_owned(),
    }
}

/// Server error numbers, sorted by what can be done about them.
pub(super) fn classify(during: &'static str, error: &dyn DatabaseError) -> Class {
    let Some(inner) = error.try_downcast_ref::<MySqlDatabaseError>() else {
        return Class::Final(StoreError::Database { during, source: Box::new(DriverError(during.to_owned())) });
    };
    let (number, message) = (inner.number(), inner.message());
    let said = || DriverError(format!("MySQL error {number}: {}", without_values(number, message)));
    match number {
        // Deadlock, lock wait time-out, row changed since read (Galera and InnoDB snapshots).
        1213 | 1205 | 1020 => Class::Busy(said()),
        // Too many connections, shutting down, killed, packets lost, a node that is not ready, a primary turned replica.
        1040
        | 1053
        | 1077
        | 1079
        | 1152
        | 1158..=1161
        | 1184
        | 1203
        | 1047
        | 1927
        | 2006
        | 2013
        | 3169
        | 1290
        | 1836 => Class::Lost(said()),
        // Table full, disk full, error writing a file.
        1114 | 1021 | 3 | 1026 => Class::Final(StoreError::NoSpace { detail: said().0 }),
        1044 | 1045 | 1049 | 1698 | 1251 | 1524 => Class::Final(StoreError::Settings(format!(
            "the database does not let us in (MySQL error {number}): check user, password and schema of database.url"
        ))),
        1142 | 1143 | 1227 | 1370 => Class::Final(StoreError::Denied { detail: denied(message) }),
        1146 | 1054 => Class::Final(StoreError::Schema(format!(
            "the schema does not fit this program ({message}); run `tidegate migrate`"
        ))),
        1062 | 1586 | 1451 | 1452 | 3819 | 4025 | 1048 | 1406 | 1264 | 1366 | 1364 => {
            Class::Final(StoreError::Constraint {
                constraint: constraint_of(number, message),
                detail: format!("{during}: MySQL error {number}"),
            })
        }
        _ => Class::Final(StoreError::Database { during, source: Box::new(said()) }),
    }
}

/// The constraint or column that a message names, without any value.
fn constraint_of(number: u16, message: &str) -> String {
    let name = match number {
        // Duplicate entry '<values>' for key 'table.name' (MySQL) or 'name' (MariaDB).
        1062 | 1586 => message.rsplit('\'').nth(1).map(|key| key.rsplit('.').next().unwrap_or(key)),
        // ... CONSTRAINT `name` ...
        1451 | 1452 | 4025 => message.split_once("CONSTRAINT `").and_then(|(_, rest)| rest.split('`').next()),
        // ... column 'name' ...; the value stands before it.
        1366 => {
            message.rsplit_once("for column ").and_then(|(_, rest)| rest.split(['\'', '`']).rfind(|part| is_name(part)))
        }
        // Check constraint 'name' is violated; Column 'name' cannot be null; Data too long for column 'name'.
        _ => message.split('\'').nth(1),
    };
    name.filter(|name| is_name(name)).unwrap_or("unnamed").to_owned()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Messages that quote a value are not repeated.
fn without_values(number: u16, message: &str) -> &str {
    match number {
        1062 | 1292 | 1300 | 1366 | 1367 | 1411 | 1525 | 1586 | 3140 | 3141 => "text withheld, it quotes a value",
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraint_names_are_found_and_values_are_not_repeated() {
        for (number, message, name) in [
            (1062, "Duplicate entry 'secret's' for key 'crm_leads.uq_crm_leads_object'", "uq_crm_leads_object"),
            (1062, "Duplicate entry 'secret' for key 'uq_crm_leads_object'", "uq_crm_leads_object"),
            (
                1452,
                "Cannot add or update a child row: a foreign key constraint fails (`a`.`b`, CONSTRAINT `fk_b` FOREIGN KEY (`x`) REFERENCES `c` (`id`))",
                "fk_b",
            ),
            (3819, "Check constraint 'ck_b' is violated.", "ck_b"),
            (4025, "CONSTRAINT `ck_b` failed for `a`.`b`", "ck_b"),
            (1366, "Incorrect string value: '\\xF0\\x9F' for column `a`.`b`.`title` at row 1", "title"),
            (1366, "Incorrect string value: 'secret' for column 'title' at row 1", "title"),
        ] {
            assert_eq!(constraint_of(number, message).trim_end_matches(" at row 1"), name, "{message}");
        }
        let said = "INSERT command denied to user 'x'@'%' for table `a`.`crm_leads`";
        assert_eq!(denied(said), "INSERT on crm_leads");
        assert_eq!(
            denied("SELECT, UPDATE command denied to user 'x'@'%' for table 'crm_leads'"),
            "SELECT, UPDATE on crm_leads"
        );
        assert_eq!(denied("Access denied; you need (at least one of) the SUPER privilege(s)"), "what it needs");
        assert!(!without_values(1062, "Duplicate entry 'secret'").contains("secret"));
    }
}

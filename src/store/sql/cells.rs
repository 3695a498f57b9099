//! Reading a row's cells as domain values; what this program does not know is an error that names row and column.

use std::{fmt::Display, str::FromStr};

use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::Row as _;

use super::{
    Row,
    dialect::{At, Money},
    fault::Fault,
};
use crate::{
    domain::{
        clock::Timestamp,
        counts::{Counts, Traffic},
    },
    store::StoreError,
};

/// A row of `table`, by column names.
pub(super) struct Cells<'r> {
    pub table: &'static str,
    pub row: &'r Row,
}

impl<'r> Cells<'r> {
    pub fn of(table: &'static str, row: &'r Row) -> Self {
        Self { table, row }
    }

    pub fn int(&self, column: &'static str) -> Result<i64, Fault> {
        Ok(self.row.try_get(column)?)
    }

    pub fn opt_int(&self, column: &'static str) -> Result<Option<i64>, Fault> {
        Ok(self.row.try_get(column)?)
    }

    pub fn flag(&self, column: &'static str) -> Result<bool, Fault> {
        Ok(self.int(column)? != 0)
    }

    pub fn text(&self, column: &'static str) -> Result<String, Fault> {
        Ok(self.row.try_get(column)?)
    }

    pub fn opt_text(&self, column: &'static str) -> Result<Option<String>, Fault> {
        Ok(self.row.try_get(column)?)
    }

    pub fn at(&self, column: &'static str) -> Result<Timestamp, Fault> {
        Ok(self.row.try_get::<At, _>(column)?.0)
    }

    pub fn opt_at(&self, column: &'static str) -> Result<Option<Timestamp>, Fault> {
        Ok(self.row.try_get::<Option<At>, _>(column)?.map(|at| at.0))
    }

    /// An amount or another number with digits after the point.
    pub fn opt_decimal(&self, column: &'static str) -> Result<Option<Decimal>, Fault> {
        Ok(self.row.try_get::<Option<Money>, _>(column)?.map(|money| money.0))
    }

    /// A word of a closed vocabulary.
    pub fn word<T>(&self, column: &'static str) -> Result<T, Fault>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(column)?.parse().map_err(|error: T::Err| self.unknown(column, error.to_string()))
    }

    pub fn json(&self, column: &'static str) -> Result<Value, Fault> {
        self.parse(column, &self.text(column)?)
    }

    pub fn opt_json(&self, column: &'static str) -> Result<Option<Value>, Fault> {
        self.opt_text(column)?.map(|text| self.parse(column, &text)).transpose()
    }

    pub fn opt_word<T>(&self, column: &'static str) -> Result<Option<T>, Fault>
    where
        T: FromStr,
        T::Err: Display,
    {
        let parse = |text: String| text.parse().map_err(|error: T::Err| self.unknown(column, error.to_string()));
        self.opt_text(column)?.map(parse).transpose()
    }

    /// The seven `records_*` columns.
    pub fn counts(&self) -> Result<Counts, Fault> {
        Ok(Counts {
            seen: self.int("records_seen")?,
            created: self.int("records_created")?,
            updated: self.int("records_updated")?,
            unchanged: self.int("records_unchanged")?,
            duplicate: self.int("records_duplicate")?,
            ignored: self.int("records_ignored")?,
            failed: self.int("records_failed")?,
        })
    }

    pub fn traffic(&self) -> Result<Traffic, Fault> {
        Ok(Traffic {
            requests: self.int("requests")?,
            retries: self.int("retries")?,
            rate_limited_ms: self.int("rate_limited_ms")?,
            bytes_in: self.int("bytes_in")?,
        })
    }

    fn parse(&self, column: &'static str, text: &str) -> Result<Value, Fault> {
        // serde_json's text names line and column, never the content.
        serde_json::from_str(text).map_err(|error| self.unknown(column, error.to_string()))
    }

    fn unknown(&self, column: &'static str, detail: String) -> Fault {
        let row = self.row.try_get::<i64, _>("id").map_or_else(|_| "?".to_owned(), |id| id.to_string());
        Fault::Refused(StoreError::Inconsistent { table: self.table, column, row, detail })
    }
}

/// JSON as it is stored.
pub(super) fn json_text(value: &Value) -> String {
    value.to_string()
}

/// Microseconds of a duration, for interval arithmetic on the database's clock.
pub(super) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

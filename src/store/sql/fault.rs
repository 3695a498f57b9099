//! What stops a transaction, and what follows from it: again, again on a new connection, or never.

use super::{super::error::DriverError, dialect};
use crate::store::StoreError;

/// Why the work inside a transaction ended without an answer.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(sqlx::Error),
    /// The call is refused; nothing is written.
    Refused(StoreError),
    /// Roll back and begin anew at once: the work has learned something that changes its first statement.
    Again,
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// What can be done about a driver's error.
#[derive(Debug)]
pub(super) enum Class {
    /// Somebody else holds a lock, or we lost a deadlock: the whole transaction may run again.
    Busy(DriverError),
    /// The connection or the server is gone.
    Lost(DriverError),
    /// Trying again does not help.
    Final(StoreError),
}

/// Sorts an error; `during` names the call for operators.
pub(super) fn classify(during: &'static str, error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Database(inner) => dialect::classify(during, inner.as_ref()),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            Class::Lost(DriverError(error.to_string()))
        }
        sqlx::Error::PoolClosed => Class::Final(unavailable(DriverError("the store was closed".to_owned()))),
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => Class::Final(dialect::settings_error(error)),
        _ => Class::Final(StoreError::Database { during, source: Box::new(DriverError(error.to_string())) }),
    }
}

/// An error of a call that is not tried again.
pub(super) fn store_error(during: &'static str, error: &sqlx::Error) -> StoreError {
    match classify(during, error) {
        Class::Busy(cause) | Class::Lost(cause) => unavailable(cause),
        Class::Final(error) => error,
    }
}

pub(super) fn unavailable(cause: DriverError) -> StoreError {
    StoreError::Unavailable(Box::new(cause))
}

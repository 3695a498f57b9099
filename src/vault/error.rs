//! Why a secret could not be kept or given, in classes that a caller can act on. No text holds a secret or a key.

use crate::{
    connector::{ConnectorError, ErrorKind},
    store::StoreError,
};

/// A failed call to the vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No key, a key that cannot be read, or one that others can read. A person must help.
    #[error("{message}")]
    Key { message: String, remedy: String },
    /// The row does not open: another key, or ciphertext that was moved or changed.
    #[error("{message}")]
    Closed { message: String, remedy: String },
    /// The service that keeps the key, or that gives tokens, does not answer. Time may help.
    #[error("{message}")]
    Away {
        message: String,
        #[source]
        source: Option<ConnectorError>,
    },
    /// What was asked cannot be done: no such credential, somebody was faster, a secret that is none.
    #[error("{message}")]
    Refused { message: String, remedy: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl VaultError {
    pub(super) fn key(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Key { message: message.into(), remedy: remedy.into() }
    }

    pub(super) fn closed(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Closed { message: message.into(), remedy: remedy.into() }
    }

    pub(super) fn refused(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), remedy: remedy.into() }
    }

    /// What a person can do.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Key { remedy, .. } | Self::Closed { remedy, .. } | Self::Refused { remedy, .. } => remedy,
            Self::Away { .. } => "try again when that service answers; of the key service, check vault.transit_url too",
            Self::Store(_) => "bring the database back, then try again",
        }
    }
}

impl From<VaultError> for ConnectorError {
    fn from(error: VaultError) -> Self {
        let kind = match &error {
            VaultError::Key { .. } | VaultError::Closed { .. } => ErrorKind::Vault,
            VaultError::Away { .. } | VaultError::Store(_) => ErrorKind::Unavailable,
            VaultError::Refused { .. } => ErrorKind::Unauthorized,
        };
        match error {
            // The store's own words are good for an operator; the connector's callers know no store.
            VaultError::Store(cause) => Self::new(kind, "the credential cannot be read now").caused_by(cause),
            VaultError::Away { message, source } => {
                let error = Self::new(kind, message);
                match source {
                    Some(source) => error.caused_by(source),
                    None => error,
                }
            }
            VaultError::Key { message, remedy }
            | VaultError::Closed { message, remedy }
            | VaultError::Refused { message, remedy } => Self::new(kind, format!("{message}; {remedy}")),
        }
    }
}

//! An error as the person in front of the terminal reads it: what, why, what to do, and which exit code.
//!
//! Owns the mapping from the layers' errors to exit codes.

use super::exit::Exit;
use crate::{
    store::StoreError,
    telemetry::{chain, redact::scrub},
    vault::VaultError,
};

/// A command that could not be done.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub remedy: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), remedy: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The text for standard error.
    pub fn text(&self) -> String {
        match &self.remedy {
            None => format!("error: {}", self.message),
            Some(remedy) => format!("error: {}\n   do: {remedy}", self.message),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = scrub(&chain(&error).to_string()).into_owned();
        match error {
            StoreError::Unavailable(_) => Self::new(Exit::TryLater, message)
                .remedy("bring the database back or check database.url, then run the command again"),
            StoreError::NoSpace { .. } => {
                Self::new(Exit::Internal, message).remedy("free space where the database lives")
            }
            StoreError::Schema(_) => Self::new(Exit::Usage, message)
                .remedy("tidegate migrate --check shows the state; tidegate migrate mends it"),
            StoreError::Denied { .. } => Self::new(Exit::Usage, message).remedy(
                "an administrator runs what `tidegate grants` prints; `tidegate migrate` runs as the migrate user",
            ),
            StoreError::Settings(_) => Self::new(Exit::Usage, message).remedy("mend database.url"),
            StoreError::Fenced { .. } => {
                Self::new(Exit::TryLater, message).remedy("another worker has the job: try again later")
            }
            StoreError::CursorBack { .. }
            | StoreError::Inconsistent { .. }
            | StoreError::Constraint { .. }
            | StoreError::Database { .. } => Self::new(Exit::Internal, message),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let exit = match error {
            VaultError::Store(error) => return error.into(),
            VaultError::Key { .. } | VaultError::Closed { .. } => Exit::Unsafe,
            VaultError::Away { .. } => Exit::TryLater,
            VaultError::Refused { .. } => Exit::Usage,
        };
        Self::new(exit, scrub(&chain(&error).to_string()).into_owned()).remedy(error.remedy())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Internal, error.to_string())
    }
}

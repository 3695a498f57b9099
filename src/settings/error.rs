//! What is wrong with the settings: all of it at once, each with its place and its remedy.

use std::fmt;

/// One wrong setting. Never holds the value of a secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Dotted key, e.g. `scheduler.lease_seconds`; empty when a file as a whole is meant.
    pub key: String,
    /// The file or the variable in which it stands.
    pub place: String,
    /// What was expected.
    pub message: String,
    pub remedy: String,
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

/// Everything that is wrong, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SettingsErrors(pub Vec<SettingsProblem>);

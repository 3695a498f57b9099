//! Exit codes, which are an interface: scripts and launchers read them.
//!
//! Owns the numbers and which of several outcomes wins.

use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All done.
    Done,
    /// An internal error.
    Internal,
    /// Usage or settings.
    Usage,
    /// A run ended `partial` or has dead letters.
    Partial,
    /// A run `failed`.
    Failed,
    /// Refused by a gate: launch, pause, quality.
    Refused,
    /// Refused for safety: database rights, key, network policy.
    Unsafe,
    /// Try again later.
    TryLater,
}

impl Exit {
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Failed => 4,
            Self::Refused => 5,
            Self::Unsafe => 6,
            Self::TryLater => 75,
        }
    }

    /// Which of two outcomes of one command is told: the one that needs a person sooner.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    const fn weight(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::TryLater => 1,
            Self::Partial => 2,
            Self::Refused => 3,
            Self::Failed => 4,
            Self::Unsafe => 5,
            Self::Usage => 6,
            Self::Internal => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_documented_ones() {
        let all = [
            (Exit::Done, 0),
            (Exit::Internal, 1),
            (Exit::Usage, 2),
            (Exit::Partial, 3),
            (Exit::Failed, 4),
            (Exit::Refused, 5),
            (Exit::Unsafe, 6),
            (Exit::TryLater, 75),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn a_failed_run_is_told_before_a_partial_one_and_done_is_told_last() {
        assert_eq!(Exit::Partial.worse(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Failed.worse(Exit::Partial), Exit::Failed);
        assert_eq!(Exit::Done.worse(Exit::TryLater), Exit::TryLater);
    }
}

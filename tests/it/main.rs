//! The integration tests, one binary: `support` holds what they stand on, the other modules are named after promises.
//!
//! Each module says `cfg(test)`, so that clippy knows its helpers for what they are: in tests, `unwrap` is allowed.

#[cfg(test)]
mod runbook;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod support;

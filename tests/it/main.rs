//! The integration tests, one binary: `support` holds what they stand on, the other modules are named after promises.

mod simulator;
mod support;

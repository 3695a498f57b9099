//! Tidegate: pulls records from providers, stages them raw, normalises them, checks them, and only then lets a
//! number reach a client. See `docs/architecture.md` for the way of a record and its invariants.

pub mod connector;
pub mod domain;
pub mod mapping;
pub mod store;
pub mod vault;

//! What integration tests stand on: databases of their own, and a TCP proxy that breaks things.

#[macro_use]
pub mod databases;
pub mod proxy;

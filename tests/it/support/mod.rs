//! What the tests stand on: databases of their own, a TCP proxy that breaks things, the real program as a child process.

#[macro_use]
pub mod databases;
pub mod daemon;
pub mod proxy;
pub mod yard;

//! What the tests stand on: the real program as a child process, and more by other hands.

pub mod daemon;

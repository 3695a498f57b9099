//! The command line: one file per command family, and printing.

pub mod print;

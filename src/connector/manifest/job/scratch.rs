//! Files without a name, for what is too large to be held: they are gone with the process, whatever becomes of it.
//!
//! Owns where they lie: in the system's folder for temporary files, which the shipped unit makes one of Tidegate's own.

use std::{fs::File, io};

/// An empty file that nobody else can open.
///
/// # Errors
/// That the folder for temporary files cannot be written to.
pub(in crate::connector::manifest) fn file() -> io::Result<File> {
    tempfile::tempfile()
}

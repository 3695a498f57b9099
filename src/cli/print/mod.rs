//! Printing, for people and for machines; nothing else in the program writes to standard output.
//!
//! Owns layout. Each renderer is a pure function from rows and a [`View`] to text, so that tests can read what people read.
//! Refuses to ask a database or a clock. With `--json`, standard output is exactly one JSON document.

pub mod alerts;
pub mod catalogue;
pub mod conformance;
pub mod credentials;
pub mod diff;
pub mod doctor;
pub mod errors;
pub mod imports;
pub mod jobs;
pub mod launch;
pub mod masked;
pub mod metrics;
pub mod notices;
pub mod preview;
pub mod progress;
pub mod quality;
mod retention;
pub mod runs;
pub mod schema;
mod table;
pub mod webhook;
pub mod words;

#[cfg(test)]
mod samples;

use std::io::{self, IsTerminal, Write};

pub use retention::retention_list;
use serde::Serialize;

use crate::domain::clock::Timestamp;

/// What a renderer needs besides the rows.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Ages are told from here.
    pub now: Timestamp,
    /// Columns of the terminal; `None` when the text goes to a file or a pipe, and is never wrapped.
    pub width: Option<u16>,
}

impl View {
    /// For standard output as it is.
    pub fn of_stdout(now: Timestamp) -> Self {
        let width = io::stdout().is_terminal().then(|| comfy_table::Table::new().width()).flatten();
        Self { now, width }
    }
}

/// Where a command's answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// One JSON document instead of a table.
    pub json: bool,
}

impl Output {
    /// Prints the answer: `value` as JSON, or what `text` makes of it.
    ///
    /// # Errors
    /// Standard output cannot be written to. A reader that went away (`| head`) is no error.
    pub fn show<T: Serialize + ?Sized>(
        self,
        now: Timestamp,
        value: &T,
        text: impl FnOnce(&View) -> String,
    ) -> io::Result<()> {
        let mut answer = if self.json { document(value)? } else { text(&View::of_stdout(now)) };
        if !answer.ends_with('\n') {
            answer.push('\n');
        }
        self::text(&answer)
    }

    /// Tells a person something in passing; machines do not hear it.
    ///
    /// # Errors
    /// As [`Output::show`].
    pub fn say(self, now: Timestamp, text: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { self.show(now, &(), |_| text.to_owned()) }
    }
}

/// Writes a text to standard output as it is.
///
/// # Errors
/// As [`Output::show`].
pub fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The value as one readable JSON document.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn document<T: Serialize + ?Sized>(value: &T) -> io::Result<String> {
    serde_json::to_string_pretty(value).map_err(io::Error::other)
}

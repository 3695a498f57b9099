//! `tidegate import`: a file that a person brings.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::connector::file::Encoding;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ImportArgs {
    #[command(subcommand)]
    pub command: Option<ImportCommand>,
    #[command(flatten)]
    pub file: FileArgs,
}

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Files that were imported, newest first. (A file of that name is ./list.)
    List {
        /// Only this connection's.
        #[arg(long, value_name = "KEY")]
        connection: Option<String>,
        /// Only this stream's.
        #[arg(long, value_name = "STREAM")]
        stream: Option<String>,
        /// Most files that are shown.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
}

#[derive(Debug, Args)]
pub struct FileArgs {
    /// The file, also compressed with gzip; - for standard input.
    #[arg(required = true)]
    pub file: Option<PathBuf>,
    /// Whose records it holds.
    #[arg(long, value_name = "KEY", required = true)]
    pub connection: Option<String>,
    /// Which records; the connection needs a job for it.
    #[arg(long, value_name = "STREAM", required = true)]
    pub stream: Option<String>,
    /// A column and the field that it brings, by the field's label, our column, or its place in the payload. Repeatable.
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = pair)]
    pub columns: Vec<(String, String)>,
    /// How the file is written; told by a byte order mark, else utf-8. Also: windows-1252 (latin1), utf-16le, utf-16be.
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub encoding: Option<Encoding>,
    /// What stands between the columns: one character, or tab; without it, what the first line shows of , ; tab |
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// csv or jsonl; without it, what the first line looks like.
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "jsonl"])]
    pub format: Option<String>,
    /// What the file is called as a source: the connection's source label, also with an addition in brackets.
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    pub source_label: Option<String>,
    /// Read all of it, say what would become of each row, and write nothing. Exit code 3 when a row would fail.
    #[arg(long)]
    pub dry_run: bool,
    /// How many failed rows a dry run tells.
    #[arg(long, value_name = "N", default_value_t = 20, requires = "dry_run")]
    pub errors: usize,
    /// Import a file that was imported before, too.
    #[arg(long, conflicts_with = "dry_run")]
    pub again: bool,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    const WANTED: &str = "COLUMN=FIELD is expected, e.g. \"Record ID=id\"";
    let (column, field) = text.rsplit_once('=').ok_or(WANTED)?;
    let (column, field) = (column.trim(), field.trim());
    if column.is_empty() || field.is_empty() { Err(WANTED) } else { Ok((column.to_owned(), field.to_owned())) }
}

fn encoding(name: &str) -> Result<Encoding, String> {
    Encoding::named(name).ok_or_else(|| format!("is not read; one of {} is expected", Encoding::NAMES))
}

fn delimiter(text: &str) -> Result<u8, &'static str> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => Err("one ASCII character is expected that is neither a quote nor a line end, or tab"),
        },
    }
}

//! A file that a person brings: opened, understood and read once from its beginning to its end, in bounded pages.
//!
//! Owns what a file is known by (its name without folders, the hash of its content), how it is written, and the pages. Refuses to
//! keep more of it than one page, whatever its size, and to go on with a file that was changed between being hashed and being read.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use super::columns::{Columns, HeaderProblems};
use super::{
    columns::Known,
    encoding::{Decoded, Encoding},
    fields::Fields,
    load::FileFormat,
    page,
    rows::{self, Cut, MAX_ROW_BYTES},
    walk::{Note, Spot, Walk},
};
use crate::{
    connector::{ConnectorError, ErrorKind, StreamSpec},
    domain::record::Item,
    mapping::FieldMap,
};

/// Records of one page.
const PAGE_RECORDS: usize = 1_000;
/// Decoded bytes that are held at a time; several of the longest rows fit.
const BUFFER_BYTES: usize = 2 * 1024 * 1024;
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;
/// Characters of a file's name that are kept.
const NAME_CHARS: usize = 150;
const DELIMITERS: [u8; 4] = *b",;\t|";

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    Path(PathBuf),
    /// Kept in a file without a name meanwhile, because it is read twice.
    StandardInput,
}

/// What a person said about a file; what is `None` is found out.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Lines of JSON (`true`) or CSV.
    pub json: Option<bool>,
    pub delimiter: Option<u8>,
    pub encoding: Option<Encoding>,
    /// Columns and the fields that they bring.
    pub columns: Vec<(String, String)>,
}

/// Why a file is not taken; nothing was written.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read, or is not what was said.
    File { message: String, remedy: String },
    /// The header does not fit the stream.
    Header(HeaderProblems),
}

/// Content that can be read again from its beginning.
#[derive(Debug)]
enum Content {
    Path { path: PathBuf, size: u64, modified: Option<SystemTime> },
    Kept(File),
}

/// A file that fits a stream.
#[derive(Debug)]
pub struct ImportFile {
    /// Without folders and control characters.
    pub name: String,
    /// SHA-256 of the content, decompressed, in hexadecimal digits.
    pub hash: String,
    /// Of the content, decompressed.
    pub bytes: u64,
    pub format: FileFormat,
    pub encoding: Encoding,
    pub columns: Columns,
    content: Content,
    /// Bytes of the byte order mark.
    mark: usize,
    /// Decoded bytes before the first row, and where that stands.
    head: (usize, Spot),
    read: Arc<AtomicU64>,
}

/// A bounded number of rows.
#[derive(Debug)]
pub struct ImportPage {
    pub items: Vec<Item>,
    /// One for each item.
    pub notes: Vec<Note>,
    /// Lines of the file, the first and the last.
    pub lines: (u64, u64),
    /// Bytes of the content that were read for it.
    pub bytes: u64,
}

/// A reading of a file, page by page.
pub struct ImportPages {
    file: Arc<ImportFile>,
    columns: Columns,
    fields: Fields,
    input: Decoded,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    spot: Spot,
}

fn refused(message: impl Into<String>, remedy: impl Into<String>) -> Refused {
    Refused::File { message: message.into(), remedy: remedy.into() }
}

impl ImportFile {
    /// Reads a file once for its hash and its beginning for its shape. Blocks while it reads.
    ///
    /// # Errors
    /// All that is wrong with its beginning.
    pub fn open(from: &From, said: &Said, spec: &StreamSpec, map: &FieldMap) -> Result<Self, Refused> {
        let (name, content) = content(from)?;
        let unreadable = |error: io::Error| {
            refused(format!("{name} cannot be read: {error}"), "check the file; a .gz file must be whole")
        };
        let (hash, bytes, start) = hashed(content.reader().map_err(unreadable)?).map_err(unreadable)?;
        if bytes == 0 {
            return Err(refused(format!("{name} is empty"), "name the file that holds the rows"));
        }
        let (mark, length) = Encoding::of_mark(&start).map_or((None, 0), |(mark, length)| (Some(mark), length));
        let encoding = match (said.encoding, mark) {
            (Some(said), Some(mark)) if said != mark => {
                let message = format!("{name} begins with the mark of {}, not of {}", mark.name(), said.name());
                return Err(refused(message, "leave --encoding out"));
            }
            (said, mark) => said.or(mark).unwrap_or(Encoding::Utf8),
        };
        let mut input =
            Decoded::new(behind(content.reader().map_err(unreadable)?, length).map_err(unreadable)?, encoding);
        let mut head = Vec::new();
        let whole = input.fill(&mut head, MAX_ROW_BYTES + 1).map_err(unreadable)?;
        if head.contains(&0) {
            return Err(refused(
                format!("{name} holds zero bytes: it is no text, or UTF-16 without its mark"),
                "try --encoding utf-16le; a workbook must be saved as CSV first",
            ));
        }
        let spot = Spot { offset: length as u64, line: 1, skipping: false };
        let start = Start { name: &name, head: &head, whole, encoding, spot };
        let known = Known::new(spec, map, &said.columns).map_err(|problems| {
            refused(problems.join("\n"), "a field goes by its label, our column, or its place in the payload")
        })?;
        let (format, columns, head) = start.read(said, known, map)?;
        Ok(Self { name, hash, bytes, format, encoding, columns, content, mark: length, head, read: Arc::default() })
    }

    /// Bytes of the content that have been read for pages so far.
    pub fn read_so_far(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Begins to read the rows.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`]: it cannot be read any more, or was changed since it was opened.
    pub fn pages(self: &Arc<Self>) -> Result<ImportPages, ConnectorError> {
        self.unchanged()?;
        let (skip, spot) = self.head;
        let reader = self.content.reader().and_then(|reader| behind(reader, self.mark));
        let reader = reader.map_err(|error| self.unreadable(error))?;
        let mut input = Decoded::new(reader, self.encoding);
        let mut buffer = Vec::with_capacity(BUFFER_BYTES + 4 * CHUNK);
        let ended = input.fill(&mut buffer, BUFFER_BYTES).map_err(|error| self.unreadable(error))?;
        self.read.store(0, Ordering::Relaxed);
        let delimiter = match self.format {
            FileFormat::Csv { delimiter } => delimiter,
            FileFormat::JsonLines => b',',
        };
        let (columns, fields) = (self.columns.clone(), Fields::new(delimiter));
        Ok(ImportPages {
            file: Arc::clone(self),
            columns,
            fields,
            input,
            at: skip.min(buffer.len()),
            buffer,
            ended,
            spot,
        })
    }

    fn unreadable(&self, error: io::Error) -> ConnectorError {
        let message = format!("{} cannot be read to its end", self.name);
        ConnectorError::new(ErrorKind::Settings, message).caused_by(error)
    }

    fn unchanged(&self) -> Result<(), ConnectorError> {
        let Content::Path { path, size, modified } = &self.content else { return Ok(()) };
        let facts = std::fs::metadata(path).map_err(|error| self.unreadable(error))?;
        if facts.len() == *size && facts.modified().ok() == *modified {
            return Ok(());
        }
        let message = format!("{} was changed while it was read", self.name);
        Err(ConnectorError::new(ErrorKind::Settings, message))
    }
}

impl ImportPages {
    /// The next rows; `None` at the end. Blocks while it reads.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`]: the file cannot be read to its end, or was changed meanwhile.
    pub fn next_page(&mut self) -> Result<Option<ImportPage>, ConnectorError> {
        loop {
            let from = self.spot;
            let mut walk = Walk {
                shape: &mut self.columns,
                fields: &mut self.fields,
                format: self.file.format,
                encoding: self.file.encoding,
                stretch: &self.buffer,
                last: self.ended,
                at: self.at,
                spot: self.spot,
                items: Vec::new(),
                notes: Vec::new(),
            };
            walk.run(PAGE_RECORDS);
            let Walk { at, spot, items, notes, .. } = walk;
            (self.at, self.spot) = (at, spot);
            self.file.read.store(spot.offset, Ordering::Relaxed);
            if !items.is_empty() {
                let lines = (from.line, spot.line.saturating_sub(1).max(from.line));
                return Ok(Some(ImportPage { items, notes, lines, bytes: spot.offset - from.offset }));
            }
            if self.ended {
                self.file.unchanged()?;
                return Ok(None);
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let filled = self.input.fill(&mut self.buffer, BUFFER_BYTES);
            self.ended = filled.map_err(|error| self.file.unreadable(error))?;
        }
    }
}

impl Content {
    /// From its beginning, decompressed.
    fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = match self {
            Self::Path { path, .. } => File::open(path)?,
            Self::Kept(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                file
            }
        };
        let mut reader = BufReader::with_capacity(CHUNK, file);
        let packed = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        Ok(if packed { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
    }
}

fn content(from: &From) -> Result<(String, Content), Refused> {
    match from {
        From::StandardInput => {
            let kept =
                tempfile::tempfile().and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file).map(|_| file));
            let kept = kept.map_err(|error| {
                refused(
                    format!("standard input cannot be kept: {error}"),
                    "free space in the folder for temporary files (TMPDIR), or name a file",
                )
            })?;
            Ok(("stdin".to_owned(), Content::Kept(kept)))
        }
        From::Path(path) => {
            let shown = path.display();
            let facts = std::fs::metadata(path).map_err(|error| {
                refused(format!("{shown} cannot be read: {error}"), "name a file that this user may read")
            })?;
            if !facts.is_file() {
                return Err(refused(format!("{shown} is not a file"), "name a file, or - for standard input"));
            }
            let content = Content::Path { path: path.clone(), size: facts.len(), modified: facts.modified().ok() };
            Ok((name_of(path), content))
        }
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.chars().map(|c| if c.is_control() { '?' } else { c }).take(NAME_CHARS).collect()
}

/// The hash of a content, its size, and its first bytes.
fn hashed(mut reader: Box<dyn Read + Send>) -> io::Result<(String, u64, Vec<u8>)> {
    let (mut hash, mut size, mut start) = (Sha256::new(), 0, Vec::new());
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if start.len() < 4 {
            start.extend_from_slice(&chunk[..read.min(4)]);
        }
        hash.update(&chunk[..read]);
        size += read as u64;
    }
    let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hash, size, start))
}

/// Without its first bytes.
fn behind(mut reader: Box<dyn Read + Send>, bytes: usize) -> io::Result<Box<dyn Read + Send>> {
    reader.read_exact(&mut vec![0; bytes])?;
    Ok(reader)
}

/// The beginning of a file.
struct Start<'a> {
    name: &'a str,
    head: &'a [u8],
    whole: bool,
    encoding: Encoding,
    spot: Spot,
}

/// Format, columns, and where the first row stands.
type Understood = (FileFormat, Columns, (usize, Spot));

impl Start<'_> {
    fn read(self, said: &Said, known: Known, map: &FieldMap) -> Result<Understood, Refused> {
        // Blank lines before the first row mean nothing.
        let mut at = 0;
        let mut spot = self.spot;
        while let Some(length) = rows::line_length(&self.head[at..], self.whole)
            && self.head[at..at + length].iter().all(u8::is_ascii_whitespace)
        {
            self.step(&mut at, &mut spot, length, 1);
        }
        let first = self.head.get(at).copied();
        if first == Some(b'[') && said.json != Some(false) {
            return Err(refused(
                format!("{} begins with a list of JSON", self.name),
                "one JSON object a line is expected, e.g. what jq -c '.[]' gives",
            ));
        }
        if said.json.unwrap_or(first == Some(b'{')) {
            return self.json(known, at, spot);
        }
        self.csv(said, known, map, at, spot)
    }

    fn json(self, known: Known, at: usize, spot: Spot) -> Result<Understood, Refused> {
        let mut rest = at;
        // The first object that can be read stands for all; lines that cannot are told one by one later.
        while let Some(length) = rows::line_length(&self.head[rest..], self.whole) {
            if let Ok(Value::Object(object)) = serde_json::from_slice(rows::trimmed(&self.head[rest..rest + length])) {
                let columns = Columns::of_keys(known, &object).map_err(Refused::Header)?;
                return Ok((FileFormat::JsonLines, columns, (at, spot)));
            }
            rest += length;
        }
        Err(refused(format!("{} has no line that is a JSON object", self.name), "one JSON object a line is expected"))
    }

    fn csv(
        self,
        said: &Said,
        known: Known,
        map: &FieldMap,
        mut at: usize,
        mut spot: Spot,
    ) -> Result<Understood, Refused> {
        let line =
            |at: usize| rows::line_length(&self.head[at..], self.whole).map(|length| &self.head[at..at + length]);
        let mut delimiter = said.delimiter;
        // Spreadsheets write `sep=;` before the header.
        if let Some(first) = line(at)
            && let [b's', b'e', b'p', b'=', byte] = rows::trimmed(first)
            && byte.is_ascii()
        {
            delimiter = delimiter.or(Some(*byte));
            let length = first.len();
            self.step(&mut at, &mut spot, length, 1);
        }
        let broken = |what: &str| {
            let remedy = format!("the first line names the columns; the encodings are {}", Encoding::NAMES);
            refused(format!("{} line {}: {what}", self.name, spot.line), remedy)
        };
        let delimiter = delimiter.unwrap_or_else(|| sniffed(line(at).unwrap_or_default()));
        let Cut::Row { bytes, lines } = rows::cut(&self.head[at..], self.whole, Some(delimiter)) else {
            return Err(broken("a header with the names of the columns is expected"));
        };
        let row = &self.head[at..at + bytes];
        if std::str::from_utf8(row).is_err() {
            let what = format!("the header is not {}", self.encoding.name());
            return Err(refused(
                format!("{} line {}: {what}", self.name, spot.line),
                format!("say how the file is written: --encoding with one of {}", Encoding::NAMES),
            ));
        }
        let names = page::names(row, delimiter).map_err(broken)?;
        let columns = Columns::of_header(known, names, map).map_err(Refused::Header)?;
        self.step(&mut at, &mut spot, bytes, lines);
        Ok((FileFormat::Csv { delimiter }, columns, (at, spot)))
    }

    fn step(&self, at: &mut usize, spot: &mut Spot, length: usize, lines: u64) {
        spot.offset += self.encoding.stood_in(&self.head[*at..*at + length]);
        spot.line += lines;
        *at += length;
    }
}

/// The delimiter that stands most often in a line outside of quotes; a comma where there is none.
fn sniffed(line: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == b'"';
        if let Some(at) = DELIMITERS.iter().position(|known| known == byte).filter(|_| !quoted) {
            counts[at] += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    counts.iter().position(|count| *count == most).and_then(|at| DELIMITERS.get(at)).copied().unwrap_or(b',')
}

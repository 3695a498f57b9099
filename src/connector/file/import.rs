//! A file that a person brings: opened, understood and read once from its beginning to its end, in bounded pages.
//!
//! Owns what a file is known by (its name without folders, the hash of its content), how it is written, and the pages. Refuses to
//! keep more of it than one page, whatever its size, and to go on with a file that was changed between being hashed and being read.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    columns::Known,
    content::{CHUNK, Content, behind, content, hashed, refused},
    encoding::{Decoded, Encoding},
    fields::Fields,
    load::FileFormat,
    rows::MAX_ROW_BYTES,
    start::Start,
    walk::{Note, Spot, Walk},
};
pub use super::{
    columns::{Columns, HeaderProblems},
    content::{FileFrom, Refused},
    start::Said,
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

impl ImportFile {
    /// Reads a file once for its hash and its beginning for its shape. Blocks while it reads.
    ///
    /// # Errors
    /// All that is wrong with its beginning.
    pub fn open(from: &FileFrom, said: &Said, spec: &StreamSpec, map: &FieldMap) -> Result<Self, Refused> {
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::domain::status::SyncMode;

    #[test]
    fn p8_a_file_of_any_size_is_read_in_bounded_pages_and_every_row_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leads.csv");
        let mut text = String::from("lead_id;received_at;name\n");
        for id in 0..200_000 {
            writeln!(text, "{id};2026-01-31;\"Lead\n{id}\"").unwrap();
        }
        std::fs::write(&path, &text).unwrap();
        let map = include_str!("../../../connectors/csv/mappings/leads.yaml");
        let map = FieldMap::parse("csv", "leads.yaml", map).unwrap();
        let spec = StreamSpec {
            name: "leads".to_owned(),
            primary_key: vec![vec!["lead_id".to_owned()]],
            sync_modes: vec![SyncMode::FullRefresh],
            cursor_field: None,
            json_schema: None,
        };
        let file = Arc::new(ImportFile::open(&FileFrom::Path(path.clone()), &Said::default(), &spec, &map).unwrap());
        assert_eq!((file.bytes, file.format), (text.len() as u64, FileFormat::Csv { delimiter: b';' }));
        let mut pages = file.pages().unwrap();
        let (mut rows, mut bytes, mut next_line) = (0, 0, 2);
        while let Some(page) = pages.next_page().unwrap() {
            assert!(page.items.len() <= PAGE_RECORDS && pages.buffer.capacity() <= BUFFER_BYTES + 8 * CHUNK);
            assert_eq!(page.notes[0].line, next_line);
            next_line += 2 * page.items.len() as u64;
            for item in &page.items {
                let Item::Record(record) = item else { panic!("{item:?}") };
                assert_eq!(record.external_id, Some(rows.to_string()));
                rows += 1;
            }
            bytes += page.bytes;
        }
        assert_eq!((rows, file.read_so_far()), (200_000, text.len() as u64));
        assert_eq!(bytes, text.len() as u64 - "lead_id;received_at;name\n".len() as u64);
        // Somebody goes on writing to it.
        std::fs::write(&path, text + "new;2026-01-31;x\n").unwrap();
        let error = file.pages().err().unwrap();
        assert!(error.message.contains("was changed"), "{error}");
    }
}

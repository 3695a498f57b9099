//! The content of a file, wherever it comes from: readable twice, decompressed on the way.
//!
//! Owns the file's name without folders, its hash, and the keeping of standard input in a file without a name. Refuses what is no file.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::SystemTime,
};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::columns::HeaderProblems;

/// Bytes read at a time.
pub(super) const CHUNK: usize = 64 * 1024;
/// Characters of a file's name that are kept.
const NAME_CHARS: usize = 150;

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFrom {
    Path(PathBuf),
    /// Kept in a file without a name meanwhile, because it is read twice.
    StandardInput,
}

/// Why a file is not taken; nothing was written.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read, or is not what was said.
    File { message: String, remedy: String },
    /// The header does not fit the stream.
    Header(HeaderProblems),
}

pub(super) fn refused(message: impl Into<String>, remedy: impl Into<String>) -> Refused {
    Refused::File { message: message.into(), remedy: remedy.into() }
}

/// Content that can be read again from its beginning.
#[derive(Debug)]
pub(super) enum Content {
    Path { path: PathBuf, size: u64, modified: Option<SystemTime> },
    Kept(File),
}

impl Content {
    /// From its beginning, decompressed.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
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

/// What a person named, and what it is called.
pub(super) fn content(from: &FileFrom) -> Result<(String, Content), Refused> {
    match from {
        FileFrom::StandardInput => {
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
        FileFrom::Path(path) => {
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
pub(super) fn hashed(mut reader: Box<dyn Read + Send>) -> io::Result<(String, u64, Vec<u8>)> {
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
pub(super) fn behind(mut reader: Box<dyn Read + Send>, bytes: usize) -> io::Result<Box<dyn Read + Send>> {
    reader.read_exact(&mut vec![0; bytes])?;
    Ok(reader)
}

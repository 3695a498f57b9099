//! Gzip and zip, with a bound on what comes out.

use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read, Seek as _},
};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::{Decoded, DecoderPlan, Piece, Pieces, Strictness, drain, failed, parse};
use crate::connector::{ConnectorError, manifest::job::scratch};

/// Bytes to be read.
pub(super) type Bytes<'b> = Box<dyn BufRead + Send + 'b>;

/// A document that has to be held whole may be so large when unpacked.
const MAX_HELD: u64 = 256 << 20;
/// A row of records may be so large when unpacked; it is never held.
const MAX_UNPACKED: u64 = 4 << 30;
/// Files that one zip may hold.
const MAX_FILES: usize = 10_000;

/// Unpacks if the bytes begin as gzip does; else gives them as they are.
///
/// # Errors
/// That the bytes cannot be read.
pub(super) fn gunzip(mut body: Bytes<'_>) -> Result<Bytes<'_>, ConnectorError> {
    let mut head = Vec::with_capacity(2);
    body.by_ref().take(2).read_to_end(&mut head).map_err(|_| broken())?;
    let packed = head == [0x1f, 0x8b];
    let all = Cursor::new(head).chain(body);
    if !packed {
        return Ok(Box::new(all));
    }
    Ok(Box::new(BufReader::new(Bounded { inner: MultiGzDecoder::new(all), left: MAX_UNPACKED })))
}

/// All of it at once.
///
/// # Errors
/// That the bytes are no gzip after all, end early, or are more than the bound.
pub(super) fn whole(body: Bytes<'_>) -> Result<Vec<u8>, ConnectorError> {
    let mut out = Vec::new();
    body.take(MAX_HELD + 1).read_to_end(&mut out).map_err(|error| failed(told(&error)))?;
    if out.len() as u64 > MAX_HELD {
        return Err(failed(format!("the answer unpacks to more than {MAX_HELD} bytes")));
    }
    Ok(out)
}

/// What went wrong while unpacking, without any of the bytes.
pub(super) fn told(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => format!("the answer unpacks to more than {MAX_UNPACKED} bytes"),
        _ => "the answer is packed and cannot be unpacked".to_owned(),
    }
}

fn broken() -> ConnectorError {
    failed("the answer is packed and cannot be unpacked")
}

struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(std::io::ErrorKind::FileTooLarge.into()),
        }
        Ok(read)
    }
}

/// The records of each file in a zip, one file after the other.
///
/// # Errors
/// That it is no zip, or holds too many files.
pub(super) fn zip<'b>(
    body: &'b [u8],
    inner: &'b DecoderPlan,
    strictness: Strictness,
) -> Result<Pieces<'b>, ConnectorError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(body)).map_err(|_| failed("the answer is not a zip archive"))?;
    if archive.len() > MAX_FILES {
        return Err(failed(format!("the zip archive holds more than {MAX_FILES} files")));
    }
    let mut next = 0;
    let mut held = 0_u64;
    let mut open: Option<Pieces<'b>> = None;
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
            if let Some(piece) = open.as_mut().and_then(Iterator::next) {
                return Some(piece);
            }
            if next == archive.len() {
                return None;
            }
            let file = file(&mut archive, next, &mut held).and_then(|bytes| {
                match parse(inner, Box::new(Cursor::new(bytes)), strictness)? {
                    Decoded::Stream(pieces) => Ok(pieces),
                    Decoded::Whole(Value::Array(items)) => Ok(boxed(items)),
                    Decoded::Whole(one) => Ok(boxed(vec![one])),
                }
            });
            next += 1;
            match file {
                Ok(pieces) => open = Some(pieces),
                Err(error) => {
                    next = archive.len();
                    return Some(Err(error));
                }
            }
        }
    })))
}

/// As [`zip()`], from a file: each file within is unpacked to one without a name, never into memory.
///
/// # Errors
/// As [`zip()`], and what reading the files comes to.
pub(super) fn zip_files(
    archive: File,
    inner: &DecoderPlan,
    strictness: Strictness,
    take: &mut dyn FnMut(Piece) -> bool,
) -> Result<(), ConnectorError> {
    let mut archive =
        zip::ZipArchive::new(BufReader::new(archive)).map_err(|_| failed("the answer is not a zip archive"))?;
    if archive.len() > MAX_FILES {
        return Err(failed(format!("the zip archive holds more than {MAX_FILES} files")));
    }
    let mut left = MAX_UNPACKED;
    let torn = |_| failed("a file of the zip archive cannot be unpacked");
    for index in 0..archive.len() {
        let mut unpacked = scratch::file().map_err(torn)?;
        let entry = archive.by_index(index).map_err(|_| failed("a file of the zip archive cannot be unpacked"))?;
        let size = std::io::copy(&mut entry.take(left + 1), &mut unpacked).map_err(torn)?;
        left = left
            .checked_sub(size)
            .ok_or_else(|| failed(format!("the zip archive unpacks to more than {MAX_UNPACKED} bytes")))?;
        unpacked.rewind().map_err(torn)?;
        if !drain(parse(inner, Box::new(BufReader::new(unpacked)), strictness)?, take)? {
            break;
        }
    }
    Ok(())
}

fn boxed<'b>(items: Vec<Value>) -> Pieces<'b> {
    Box::new(items.into_iter().map(|item| Ok(Piece::Value(item))))
}

fn file(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, index: usize, held: &mut u64) -> Result<Vec<u8>, ConnectorError> {
    let entry = archive.by_index(index).map_err(|_| failed("a file of the zip archive cannot be unpacked"))?;
    let mut out = Vec::new();
    let left = MAX_UNPACKED.saturating_sub(*held).min(MAX_HELD);
    let read = entry.take(left + 1).read_to_end(&mut out);
    read.map_err(|_| failed("a file of the zip archive cannot be unpacked"))?;
    *held += out.len() as u64;
    if out.len() as u64 > left {
        return Err(failed(format!("a file of the zip archive unpacks to more than {left} bytes")));
    }
    Ok(out)
}

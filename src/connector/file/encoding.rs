//! How a file's bytes are text: UTF-8 as it is, others made UTF-8 on the way.
//!
//! Owns the encodings that are read and where in the file a decoded byte stood. Refuses to guess beyond a byte order mark, and to
//! replace what cannot be decoded: it arrives as a byte that is no UTF-8, so that the row which holds it is found.

use std::io::{self, Read};

use encoding_rs::{DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Stands for what could not be decoded: never part of UTF-8.
const UNDECODABLE: u8 = 0xff;
/// Bytes decoded at a time.
const CHUNK: usize = 64 * 1024;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// Also what is called latin1 or ISO 8859-1.
    Windows1252,
}

impl Encoding {
    /// The names that people may type.
    pub const NAMES: &'static str = "utf-8, utf-16le, utf-16be, windows-1252 (latin1)";

    /// By a usual name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase().replace('_', "-");
        Some(match name.as_str() {
            "utf-8" | "utf8" => Self::Utf8,
            "utf-16le" | "utf-16-le" | "utf16le" => Self::Utf16Le,
            "utf-16be" | "utf-16-be" | "utf16be" => Self::Utf16Be,
            "windows-1252" | "cp1252" | "latin1" | "latin-1" | "iso-8859-1" => Self::Windows1252,
            _ => return None,
        })
    }

    /// What a byte order mark at the beginning says, and how long it is.
    pub(super) fn of_mark(head: &[u8]) -> Option<(Self, usize)> {
        match head {
            [0xef, 0xbb, 0xbf, ..] => Some((Self::Utf8, 3)),
            [0xff, 0xfe, ..] => Some((Self::Utf16Le, 2)),
            [0xfe, 0xff, ..] => Some((Self::Utf16Be, 2)),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16 LE",
            Self::Utf16Be => "UTF-16 BE",
            Self::Windows1252 => "windows-1252",
        }
    }

    /// How many bytes of the file became these decoded ones.
    pub(super) fn stood_in(self, decoded: &[u8]) -> u64 {
        let units = match self {
            Self::Utf8 => return decoded.len() as u64,
            Self::Windows1252 => 1,
            Self::Utf16Le | Self::Utf16Be => 2,
        };
        let mut count = 0;
        for chunk in decoded.utf8_chunks() {
            count += match self {
                Self::Windows1252 => chunk.valid().chars().count(),
                _ => chunk.valid().encode_utf16().count(),
            };
            count += chunk.invalid().len();
        }
        count as u64 * units
    }

    fn decoder(self) -> Option<encoding_rs::Decoder> {
        let encoding = match self {
            Self::Utf8 => return None,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
            Self::Windows1252 => WINDOWS_1252,
        };
        Some(encoding.new_decoder_without_bom_handling())
    }
}

/// A file's content, decoded as it is read.
pub(super) struct Decoded {
    inner: Box<dyn Read + Send>,
    decoder: Option<encoding_rs::Decoder>,
    raw: Vec<u8>,
    ended: bool,
}

impl Decoded {
    /// `inner` begins behind a byte order mark.
    pub(super) fn new(inner: Box<dyn Read + Send>, encoding: Encoding) -> Self {
        Self { inner, decoder: encoding.decoder(), raw: vec![0; CHUNK], ended: false }
    }

    /// Appends to `out` until it holds `size` bytes or the content ends; gives whether it has ended.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>, size: usize) -> io::Result<bool> {
        while !self.ended && out.len() < size {
            let read = match self.inner.read(&mut self.raw) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.ended = read == 0;
            match &mut self.decoder {
                None => out.extend_from_slice(&self.raw[..read]),
                Some(decoder) => decode(decoder, &self.raw[..read], self.ended, out),
            }
        }
        Ok(self.ended)
    }
}

fn decode(decoder: &mut encoding_rs::Decoder, mut from: &[u8], last: bool, out: &mut Vec<u8>) {
    loop {
        let at = out.len();
        // A byte becomes three at most; a unit of two bytes as well.
        out.resize(at + from.len() * 3 + 16, 0);
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(from, &mut out[at..], last);
        out.truncate(at + written);
        from = &from[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => out.push(UNDECODABLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        let ended = Decoded::new(Box::new(io::Cursor::new(bytes.to_vec())), encoding).fill(&mut out, usize::MAX);
        assert!(ended.unwrap());
        out
    }

    #[test]
    fn each_encoding_becomes_utf8_and_tells_where_a_byte_stood() {
        let utf16 = |text: &str, big: bool| {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
        };
        let text = "Zoë 😀;ü\n";
        for (bytes, encoding) in [
            (utf16(text, false), Encoding::Utf16Le),
            (utf16(text, true), Encoding::Utf16Be),
            (text.into(), Encoding::Utf8),
        ] {
            assert_eq!(decoded(&bytes, encoding), text.as_bytes(), "{encoding:?}");
            assert_eq!(encoding.stood_in(text.as_bytes()), bytes.len() as u64, "{encoding:?}");
        }
        assert_eq!(decoded(b"Zo\xeb \x80", Encoding::Windows1252), "Zoë €".as_bytes());
        assert_eq!(Encoding::Windows1252.stood_in("Zoë €".as_bytes()), 5);
    }

    #[test]
    fn what_cannot_be_decoded_is_seen_and_counted() {
        // A lone surrogate between two letters, and half a unit at the end.
        let out = decoded(&[b'a', 0, 0x00, 0xd8, b'b', 0, b'c'], Encoding::Utf16Le);
        assert_eq!(out.iter().filter(|byte| **byte == UNDECODABLE).count(), 2, "{out:?}");
        assert!(std::str::from_utf8(&out).is_err());
        assert_eq!(Encoding::Utf16Le.stood_in(&out[..2]), 4);
    }

    #[test]
    fn names_and_marks_are_known() {
        assert_eq!(Encoding::named(" Latin1 "), Some(Encoding::Windows1252));
        assert_eq!(Encoding::named("UTF-16LE"), Some(Encoding::Utf16Le));
        assert_eq!(Encoding::named("ebcdic"), None);
        assert_eq!(Encoding::of_mark(b"\xff\xfea"), Some((Encoding::Utf16Le, 2)));
        assert_eq!(Encoding::of_mark(b"\xef\xbb"), None);
    }
}

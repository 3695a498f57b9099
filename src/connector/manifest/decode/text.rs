//! Bytes to text, strictly: a byte that its encoding does not know fails.

use std::borrow::Cow;

use super::failed;
use crate::connector::ConnectorError;

/// An encoding that a manifest may name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Encoding {
    Utf8,
    /// UTF-8 whose mark at the beginning is left out.
    Utf8Sig,
    Latin1,
    Ascii,
    /// With a mark at the beginning; without one, little end first.
    Utf16,
    Other(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// An encoding by its name in the format's own language.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase().replace(['_', ' '], "-");
        Some(match name.as_str() {
            "utf-8" | "utf8" | "u8" => Self::Utf8,
            "utf-8-sig" | "utf8-sig" => Self::Utf8Sig,
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "8859" | "l1" | "cp819" => Self::Latin1,
            "ascii" | "us-ascii" | "646" => Self::Ascii,
            "utf-16" | "utf16" | "u16" => Self::Utf16,
            "utf-16-le" => Self::Other(encoding_rs::UTF_16LE),
            "utf-16-be" => Self::Other(encoding_rs::UTF_16BE),
            other => {
                let label = other.strip_prefix("cp").map_or_else(|| other.to_owned(), |page| format!("windows-{page}"));
                Self::Other(encoding_rs::Encoding::for_label(label.as_bytes())?)
            }
        })
    }

    /// The text.
    ///
    /// # Errors
    /// That the bytes are not of this encoding.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, ConnectorError> {
        let text = match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Utf8Sig => {
                std::str::from_utf8(bytes).ok().map(|text| Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)))
            }
            Self::Latin1 => Some(Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())),
            Self::Ascii => bytes.is_ascii().then(|| String::from_utf8_lossy(bytes)),
            Self::Utf16 => {
                let (encoding, bytes) = match bytes {
                    [0xfe, 0xff, rest @ ..] => (encoding_rs::UTF_16BE, rest),
                    [0xff, 0xfe, rest @ ..] => (encoding_rs::UTF_16LE, rest),
                    all => (encoding_rs::UTF_16LE, all),
                };
                encoding.decode_without_bom_handling_and_without_replacement(bytes)
            }
            Self::Other(encoding) => encoding.decode_without_bom_handling_and_without_replacement(bytes),
        };
        text.ok_or_else(|| failed("the answer's bytes are not of the encoding that the manifest names"))
    }
}

/// The text of a document by its `Content-Type`. As HTTP clients once agreed, `text/...` without a charset is Latin-1; that holds
/// only where the reference is to be met, else UTF-8 comes first.
pub(super) fn by_header<'b>(body: &'b [u8], content_type: Option<&str>, reference: bool) -> Cow<'b, str> {
    let content_type = content_type.unwrap_or("");
    let charset = content_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    let latin = |bytes: &[u8]| -> String { bytes.iter().map(|byte| char::from(*byte)).collect() };
    match charset.as_deref().and_then(Encoding::named) {
        Some(Encoding::Latin1) => Cow::Owned(latin(body)),
        Some(Encoding::Other(encoding)) => Cow::Owned(encoding.decode(body).0.into_owned()),
        Some(Encoding::Utf16) => Encoding::Utf16.decode(body).unwrap_or_else(|_| String::from_utf8_lossy(body)),
        Some(Encoding::Utf8 | Encoding::Utf8Sig | Encoding::Ascii) => String::from_utf8_lossy(body),
        None if reference && charset.is_none() && content_type.contains("text") => Cow::Owned(latin(body)),
        None => std::str::from_utf8(body).map_or_else(|_| Cow::Owned(latin(body)), Cow::Borrowed),
    }
}

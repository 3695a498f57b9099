//! The beginning of a file: how it is written, and what its columns are.
//!
//! Owns what is found out where nobody said it: lines of JSON or CSV, the delimiter. Refuses to go on with a header that does not fit.

use serde_json::Value;

use super::{
    columns::{Columns, Known},
    content::{Refused, refused},
    encoding::Encoding,
    load::FileFormat,
    page,
    rows::{self, Cut},
    walk::Spot,
};
use crate::mapping::FieldMap;

const DELIMITERS: [u8; 4] = *b",;\t|";

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

/// The beginning of a file.
pub(super) struct Start<'a> {
    pub name: &'a str,
    /// Decoded, behind the byte order mark; as long as the longest row.
    pub head: &'a [u8],
    /// It is all there is.
    pub whole: bool,
    pub encoding: Encoding,
    pub spot: Spot,
}

/// Format, columns, and where the first row stands.
pub(super) type Understood = (FileFormat, Columns, (usize, Spot));

impl Start<'_> {
    /// Finds out all of it.
    pub(super) fn read(self, said: &Said, known: Known, map: &FieldMap) -> Result<Understood, Refused> {
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

#[cfg(test)]
mod tests {
    use super::sniffed;

    #[test]
    fn the_delimiter_is_what_the_header_shows_outside_of_quotes() {
        for (line, expected) in
            [("a,b,c", b','), ("a;b,c;d", b';'), ("a\tb", b'\t'), ("\"a;b;c\"|d", b'|'), ("lone", b',')]
        {
            assert_eq!(sniffed(line.as_bytes()), expected, "{line}");
        }
    }
}

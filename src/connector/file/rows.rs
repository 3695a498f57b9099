//! Cutting a stretch of a file into rows.
//!
//! Owns where a row begins and ends. A row of CSV may span lines inside quotes; one that never closes its quote costs only
//! its own line. Refuses to interpret a row, and to hold more than the stretch it is given.

/// A longer row is broken.
pub(super) const MAX_ROW_BYTES: usize = 256 * 1024;

/// What stands at the beginning of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// A row of so many bytes and lines, its line end included.
    Row { bytes: usize, lines: u64 },
    /// A line in which a quote is opened and not closed within bounds.
    Unclosed { bytes: usize },
    /// A line that is too long; `ended` when its end is in the stretch.
    TooLong { bytes: usize, ended: bool },
    /// The row's end lies beyond the stretch.
    More,
}

/// Cuts the first row off. `last` says that the file ends with the stretch; `delimiter` is given where quotes have a meaning.
pub(super) fn cut(stretch: &[u8], last: bool, delimiter: Option<u8>) -> Cut {
    let Some(first) = line_length(stretch, last) else {
        let too_long = stretch.len() > MAX_ROW_BYTES;
        return if too_long { Cut::TooLong { bytes: stretch.len(), ended: false } } else { Cut::More };
    };
    if first > MAX_ROW_BYTES {
        return Cut::TooLong { bytes: first, ended: true };
    }
    let (mut bytes, mut lines) = (first, 1);
    let Some(delimiter) = delimiter else { return Cut::Row { bytes, lines } };
    let mut quotes = Quotes { delimiter, state: State::Start, stray: false };
    let mut open = quotes.read(&stretch[..first]);
    while open {
        let Some(more) = line_length(&stretch[bytes..], last) else {
            let beyond = stretch.len() > MAX_ROW_BYTES || last;
            return if beyond { Cut::Unclosed { bytes: first } } else { Cut::More };
        };
        if bytes + more > MAX_ROW_BYTES {
            return Cut::Unclosed { bytes: first };
        }
        open = quotes.read(&stretch[bytes..bytes + more]);
        bytes += more;
        lines += 1;
    }
    // Text right behind a closing quote: the quote that opened was closed by one that was meant to open.
    if lines > 1 && quotes.stray {
        return Cut::Unclosed { bytes: first };
    }
    Cut::Row { bytes, lines }
}

/// Bytes of the first line with its end; `None` when the end is not there yet, or nothing is left.
pub(super) fn line_length(stretch: &[u8], last: bool) -> Option<usize> {
    let end = stretch.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
    end.or_else(|| (last && !stretch.is_empty()).then_some(stretch.len()))
}

/// Without the line end.
pub(super) fn trimmed(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a field: only here a quote opens.
    Start,
    Plain,
    Quoted,
    /// After a quote inside quotes: the end, or a doubled one.
    Closing,
}

/// Follows quotes by the rules that the CSV reader has.
struct Quotes {
    delimiter: u8,
    state: State,
    /// Something stood behind a closing quote that is no separator.
    stray: bool,
}

impl Quotes {
    /// Reads on; says whether a quote is open at the end.
    fn read(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            let separates = *byte == self.delimiter || byte.is_ascii_whitespace() || *byte == b'"';
            self.stray |= self.state == State::Closing && !separates;
            self.state = match (self.state, *byte) {
                (State::Quoted, b'"') => State::Closing,
                (State::Start, b'"') | (State::Closing, b'"') | (State::Quoted, _) => State::Quoted,
                (State::Start | State::Plain | State::Closing, byte) if byte == self.delimiter || byte == b'\n' => {
                    State::Start
                }
                (State::Start | State::Plain | State::Closing, _) => State::Plain,
            };
        }
        self.state == State::Quoted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_outside_of_quotes() {
        for (text, expected) in [
            ("a,b\nc", Cut::Row { bytes: 4, lines: 1 }),
            ("a,b\r\nc", Cut::Row { bytes: 5, lines: 1 }),
            ("\"a\nb\",c\nd", Cut::Row { bytes: 8, lines: 2 }),
            ("\"a\"\"\n\"\"b\",c\nd", Cut::Row { bytes: 12, lines: 2 }),
            ("a \"quote\",b\nc", Cut::Row { bytes: 12, lines: 1 }),
            ("a\"\nb", Cut::Row { bytes: 3, lines: 1 }),
            ("x,\"open\ny\nz\n", Cut::Unclosed { bytes: 8 }),
            ("end", Cut::Row { bytes: 3, lines: 1 }),
            ("", Cut::More),
        ] {
            assert_eq!(cut(text.as_bytes(), true, Some(b',')), expected, "{text:?}");
        }
        assert_eq!(cut(b"no end yet", false, Some(b',')), Cut::More);
        assert_eq!(cut(b"\"open\nstill", false, Some(b',')), Cut::More);
        assert_eq!(cut(b"{\"a\": \"\n", true, None), Cut::Row { bytes: 8, lines: 1 });
    }

    #[test]
    fn nothing_grows_beyond_the_bound() {
        let mut long = vec![b'x'; MAX_ROW_BYTES + 10];
        assert_eq!(cut(&long, false, None), Cut::TooLong { bytes: long.len(), ended: false });
        long.push(b'\n');
        assert_eq!(cut(&long, false, None), Cut::TooLong { bytes: long.len(), ended: true });
        let mut open = b"\"never\n".to_vec();
        open.extend(b"a line\n".repeat(MAX_ROW_BYTES / 7 + 10));
        assert_eq!(cut(&open, false, Some(b',')), Cut::Unclosed { bytes: 7 });
    }
}

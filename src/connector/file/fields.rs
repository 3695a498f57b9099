//! One row of CSV as its fields.
//!
//! Owns the reader and its buffers, which serve row after row. Refuses to know how many fields are right, and to decode them.

use super::rows;

/// Reads rows one at a time.
pub(super) struct Fields {
    reader: csv_core::Reader,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl Fields {
    pub(super) fn new(delimiter: u8) -> Self {
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, bytes: vec![0; 1024], ends: vec![0; 32], count: 0 }
    }

    /// Takes a row apart; `false` when it cannot be read.
    pub(super) fn read(&mut self, row: &[u8]) -> bool {
        self.reader.reset();
        let mut rest = rows::trimmed(row);
        let (mut written, mut count) = (0, 0);
        self.count = 0;
        loop {
            let (result, read, wrote, ended) =
                self.reader.read_record(rest, &mut self.bytes[written..], &mut self.ends[count..]);
            rest = &rest[read..];
            written += wrote;
            count += ended;
            match result {
                // An empty input then says that there is no more.
                csv_core::ReadRecordResult::InputEmpty => {}
                csv_core::ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2, 0),
                csv_core::ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                csv_core::ReadRecordResult::Record => {
                    self.count = count;
                    return true;
                }
                csv_core::ReadRecordResult::End => return false,
            }
        }
    }

    /// How many fields the row has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The fields of the row that was read last, as they stand in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends[..self.count].iter().map(move |&end| {
            let field = &self.bytes[from..end];
            from = end;
            field
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_size_are_taken_apart_one_after_another() {
        let mut fields = Fields::new(b';');
        let long = "x".repeat(5_000);
        let many = ["f"; 100].join(";");
        for (row, expected) in [
            ("a;\"b;\"\"c\"\n", vec!["a", "b;\"c"]),
            (long.as_str(), vec![long.as_str()]),
            (";;\r\n", vec!["", "", ""]),
            ("\"x\ny\";z", vec!["x\ny", "z"]),
            (many.as_str(), vec!["f"; 100]),
        ] {
            assert!(fields.read(row.as_bytes()), "{row}");
            let read: Vec<_> = fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
            assert_eq!((read, fields.count()), (expected.iter().map(|f| (*f).to_owned()).collect(), expected.len()));
        }
    }
}

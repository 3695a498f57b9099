//! CSV and JSON lines as a connector, for the manual path.

/// A declared file source.
pub struct FileSource;

//! The declarative engine: reads `manifest.yaml` and pulls by it.

/// A loaded manifest.
pub struct Manifest;

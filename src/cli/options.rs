//! The options of declared connections, held against their providers' manifests.
//!
//! Owns the two answers that `validate` and `apply` give alike. Providers of files take no options that a manifest knows.

use crate::{
    connector::registry::Catalogue, declaration::ConnectionEntry, domain::clock::Timestamp, telemetry::redact::scrub,
};

/// What came of it.
#[derive(Debug, Default)]
pub struct Held {
    /// Options that are missing, or of another kind than the manifest asks for.
    pub problems: Vec<String>,
    /// Options that no manifest knows.
    pub warnings: Vec<String>,
}

/// Holds each connection's `config` against the manifest of its provider. No value of it is told.
pub fn held(catalogue: &Catalogue, connections: &[ConnectionEntry], now: Timestamp) -> Held {
    let mut held = Held::default();
    for connection in connections {
        let Some(manifest) = catalogue.folder(&connection.provider).and_then(|folder| folder.manifest()) else {
            continue;
        };
        let at = format!("{}: connection `{}`", connection.place, connection.key);
        if let Err(error) = manifest.fits(&connection.config, now) {
            let what = scrub(&error.message).into_owned();
            held.problems.push(format!(
                "{at}: {what}; the options stand in the manifest of {} under spec.connection_specification",
                connection.provider
            ));
        }
        for (option, near) in manifest.strange_options(&connection.config) {
            let remedy = near.map_or_else(|| "leave it out".to_owned(), |near| format!("did you mean `{near}`?"));
            held.warnings.push(format!("{at}: config.{option}: the connector does not have this option; {remedy}"));
        }
    }
    held
}

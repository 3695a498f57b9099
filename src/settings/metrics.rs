//! `[metrics]`: files with definitions besides the built-in ones, and whose numbers may reach a client.

use std::path::PathBuf;

use super::{key::Key, values::Values};
use crate::domain::status::Environment;

const FILES: Key = Key::list("metrics.files", &[]);
const ENVIRONMENTS: Key = Key::list("metrics.environments", &["production"]);
pub(super) const KEYS: &[Key] = &[FILES, ENVIRONMENTS];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSettings {
    /// Relative to the working directory; each adds to what stands before it, or replaces an entry by its key.
    pub files: Vec<PathBuf>,
    /// Connections of these environments may publish.
    pub environments: Vec<Environment>,
}

impl MetricSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let files = values.list(&FILES).into_iter().map(PathBuf::from).collect();
        let mut environments = Vec::new();
        for word in values.list(&ENVIRONMENTS) {
            match word.parse() {
                Ok(environment) => environments.push(environment),
                Err(error) => values.wrong(&ENVIRONMENTS, &format!("{error}"), "the default is [\"production\"]"),
            }
        }
        Self { files, environments }
    }
}

//! `[log]`: what is told, and in which form.

use super::{key::Key, values::Values};
use crate::telemetry::LogFormat;

const FORMAT: Key = Key::text("log.format", "auto");
const LEVEL: Key = Key::text("log.level", "info");
pub(super) const KEYS: &[Key] = &[FORMAT, LEVEL];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    /// A level, or directives such as `info,tidegate::scheduler=debug`.
    pub level: String,
}

impl LogSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let format = values.parsed(&FORMAT, "auto, text or json is expected", "use one of the three", LogFormat::parse);
        let level = values.parsed(&LEVEL, "a level or a list of directives is expected", "use e.g. info", |text| {
            crate::telemetry::is_level(text).then(|| text.to_owned())
        });
        Self { format: format.unwrap_or(LogFormat::Auto), level: level.unwrap_or_default() }
    }
}

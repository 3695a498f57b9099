//! `[launch]`: which controls production waits for, and how long it goes on when their evidence has expired.

use std::{path::PathBuf, time::Duration};

use super::{key::Key, values::Values};

const FILE: Key = Key::text("launch.file", "");
const REQUIRE_GLOBAL: Key = Key::truth("launch.require_global", true);
const GRACE_DAYS: Key = Key::integer("launch.grace_days", 14);
pub(super) const KEYS: &[Key] = &[FILE, REQUIRE_GLOBAL, GRACE_DAYS];

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchSettings {
    /// Controls that are added to the built-in ones or stand in their place; `None`: the built-in ones alone.
    pub file: Option<PathBuf>,
    /// Whether a production connection also needs the controls of the installation.
    pub require_global: bool,
    /// How long production goes on after evidence has expired.
    pub grace: Duration,
}

impl LaunchSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        Self {
            file: Some(values.text(&FILE)).filter(|path| !path.is_empty()).map(PathBuf::from),
            require_global: values.truth(&REQUIRE_GLOBAL),
            grace: DAY * values.count(&GRACE_DAYS, 0..=365),
        }
    }
}

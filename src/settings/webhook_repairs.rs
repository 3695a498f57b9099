//! `[webhooks]`: when a poll counts what deliveries did not bring, and when it then comes sooner.

use std::time::Duration;

use super::{key::Key, values::Values};

const GRACE_SECONDS: Key = Key::integer("webhooks.repair_grace_seconds", 300);
const TIGHTEN_SHARE: Key = Key::float("webhooks.tighten_share", 0.05);
const WINDOW_SECONDS: Key = Key::integer("webhooks.missed_window_seconds", 86_400);
pub(super) const KEYS: &[Key] = &[GRACE_SECONDS, TIGHTEN_SHARE, WINDOW_SECONDS];

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RepairSettings {
    /// How long a delivery may take before its record counts as missed.
    pub grace: Duration,
    /// From this share of missed changes on, polls come sooner.
    pub tighten_share: f64,
    /// The time over which the share is taken.
    pub window: Duration,
}

impl RepairSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        Self {
            grace: values.seconds(&GRACE_SECONDS, 0..=86_400),
            tighten_share: values.float(&TIGHTEN_SHARE, 0.0..=1.0),
            window: values.seconds(&WINDOW_SECONDS, 60..=2_592_000),
        }
    }
}

//! `[webhooks]`: what a request may cost.

use super::{key::Key, values::Values};

const MAX_BODY_BYTES: Key = Key::integer("webhooks.max_body_bytes", 1024 * 1024);
const REQUESTS_PER_SECOND: Key = Key::integer("webhooks.requests_per_second", 2000);
const BURST: Key = Key::integer("webhooks.burst", 4000);
pub(super) const KEYS: &[Key] = &[MAX_BODY_BYTES, REQUESTS_PER_SECOND, BURST];

/// Bounds of what comes in by webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeSettings {
    /// Largest body that is read.
    pub max_body_bytes: u32,
    /// Pace of one endpoint; a faster sender is told to come back.
    pub requests_per_second: u32,
    /// Requests at once before the pace holds.
    pub burst: u32,
}

impl IntakeSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        Self {
            max_body_bytes: values.count(&MAX_BODY_BYTES, 1024..=8 * 1024 * 1024),
            requests_per_second: values.count(&REQUESTS_PER_SECOND, 1..=100_000),
            burst: values.count(&BURST, 1..=100_000),
        }
    }
}

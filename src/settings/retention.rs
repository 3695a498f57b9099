//! `[retention]`: for how many days what is kept for looking back stays; 0 keeps it for ever.

use std::time::Duration;

use super::{key::Key, values::Values};

const RAW_DAYS: Key = Key::integer("retention.raw_days", 90);
const WEBHOOK_DAYS: Key = Key::integer("retention.webhook_days", 30);
const DEAD_LETTER_DAYS: Key = Key::integer("retention.dead_letter_days", 90);
const RUN_DAYS: Key = Key::integer("retention.run_days", 180);
const CHECK_DAYS: Key = Key::integer("retention.check_days", 90);
const ARCHIVED_CLIENT_DAYS: Key = Key::integer("retention.archived_client_days", 0);
pub(super) const KEYS: &[Key] = &[RAW_DAYS, WEBHOOK_DAYS, DEAD_LETTER_DAYS, RUN_DAYS, CHECK_DAYS, ARCHIVED_CLIENT_DAYS];

const DAY: u64 = 24 * 60 * 60;
const MOST_DAYS: i64 = 36_500;

/// Each: `None` keeps for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionSettings {
    pub raw: Option<Duration>,
    pub webhooks: Option<Duration>,
    pub dead_letters: Option<Duration>,
    pub runs: Option<Duration>,
    pub checks: Option<Duration>,
    /// Raw rows and webhook deliveries of a client, so long after it was archived.
    pub archived_clients: Option<Duration>,
}

impl RetentionSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let mut days = |key: &Key| {
            let days = u64::try_from(values.integer(key, 0..=MOST_DAYS)).unwrap_or(0);
            (days > 0).then(|| Duration::from_secs(days * DAY))
        };
        Self {
            raw: days(&RAW_DAYS),
            webhooks: days(&WEBHOOK_DAYS),
            dead_letters: days(&DEAD_LETTER_DAYS),
            runs: days(&RUN_DAYS),
            checks: days(&CHECK_DAYS),
            archived_clients: days(&ARCHIVED_CLIENT_DAYS),
        }
    }
}

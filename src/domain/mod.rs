//! Pure words and rules: identities, statuses, counts, cursors, schedules, business tables, time.
//!
//! Owns what the product's words mean. Refuses to know a database, a network, a file or a runtime:
//! nothing here imports `sqlx`, `reqwest`, `config` or `tokio`.

pub mod business;
pub mod clock;
pub mod counts;
pub mod cursor;
pub mod external_id;
pub mod gate;
pub mod ids;
pub mod map_version;
pub mod metric;
pub mod record;
pub mod redacted;
pub mod retry;
pub mod schedule;
pub mod status;
pub mod wording;
pub mod wording_guard;

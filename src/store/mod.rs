//! The only place with SQL: ports by aggregate, and two engines that keep them alike (P21).
//!
//! Owns every statement and every transaction; a transaction never leaves this folder, so what must commit
//! together is one method. Refuses to decide anything about a record: the page's decision comes in as a pure
//! function over what is known.
//!
//! The statements are written once, under `sql/`, and compiled twice: `mysql/mod.rs` and `sqlite/mod.rs` each name
//! their `Db` and their dialect (macros for what is spelt differently) and include the same files by `#[path]`.

pub mod alerts;
pub mod catalogue;
pub mod checks;
pub mod credentials;
pub mod dead_letters;
pub mod error;
pub mod field_maps;
pub mod imports;
pub mod launch;
pub mod lease;
pub mod metrics;
pub mod migrations;
#[expect(clippy::duplicate_mod, reason = "the statements under sql/ are compiled once for each engine")]
pub mod mysql;
pub mod open;
pub mod page;
pub mod quality;
pub mod repairs;
pub mod reports;
pub mod retention;
pub mod rights;
pub mod runs;
pub mod schema;
#[expect(clippy::duplicate_mod, reason = "the statements under sql/ are compiled once for each engine")]
pub mod sqlite;
pub mod void;
pub mod webhooks;

use std::sync::Arc;

pub use error::StoreError;
pub use open::{OpenOptions, open};

/// Everything the daemon asks of a database.
pub trait Store:
    catalogue::CatalogueStore
    + field_maps::FieldMapStore
    + lease::LeaseStore
    + page::PageStore
    + runs::RunStore
    + dead_letters::DeadLetterStore
    + checks::CheckStore
    + metrics::MetricStore
    + reports::ReportStore
    + retention::RetentionStore
    + quality::QualityStore
    + launch::LaunchStore
    + alerts::AlertStore
    + imports::ImportStore
    + credentials::CredentialStore
    + rights::RightsStore
    + void::VoidStore
    + schema::SchemaStore
    + webhooks::WebhookStore
    + repairs::RepairStore
{
}

impl<T> Store for T where
    T: catalogue::CatalogueStore
        + field_maps::FieldMapStore
        + lease::LeaseStore
        + page::PageStore
        + runs::RunStore
        + dead_letters::DeadLetterStore
        + checks::CheckStore
        + metrics::MetricStore
        + reports::ReportStore
        + retention::RetentionStore
        + quality::QualityStore
        + launch::LaunchStore
        + alerts::AlertStore
        + imports::ImportStore
        + imports::ImportStore
        + credentials::CredentialStore
        + rights::RightsStore
        + void::VoidStore
        + schema::SchemaStore
        + webhooks::WebhookStore
        + repairs::RepairStore
{
}

/// A store as it is passed around.
pub type SharedStore = Arc<dyn Store>;

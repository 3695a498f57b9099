//! The integration tests: one binary, tests by promise.

#[macro_use]
mod support;

mod store_contract;
mod store_dead_letters;
mod store_ground;
mod store_isolation;
mod store_lease;
mod store_many;
mod store_migrations;
mod store_model;
mod store_notes;
mod store_open;
mod store_outage;
mod store_page;
mod store_rules;

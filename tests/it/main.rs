//! The integration tests, one binary: `support` holds what they stand on, the other modules are named after promises.
//!
//! Each module says `cfg(test)`, so that clippy knows its helpers for what they are: in tests, `unwrap` is allowed.

#[cfg(test)]
#[macro_use]
mod support;

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod alerts_ground;
#[cfg(test)]
mod alerts_webhook;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod broken;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod field_maps;
#[cfg(test)]
mod files;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod image;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod launch;
#[cfg(test)]
mod launch_commands;
#[cfg(test)]
mod log_fields;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod metrics_baseline;
#[cfg(test)]
mod metrics_commands;
#[cfg(test)]
mod metrics_ground;
#[cfg(test)]
mod metrics_model;
#[cfg(test)]
mod metrics_publish;
#[cfg(test)]
mod metrics_values;
#[cfg(test)]
mod network;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod oauth_race;
#[cfg(test)]
mod quality_checks;
#[cfg(test)]
mod quality_commands;
#[cfg(test)]
mod quality_ground;
#[cfg(test)]
mod quality_isolation;
#[cfg(test)]
mod redacted;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod runbook;
#[cfg(test)]
mod security_doc;
#[cfg(test)]
mod server;
#[cfg(test)]
mod service_manager;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod source;
#[cfg(test)]
mod store_contract;
#[cfg(test)]
mod store_dead_letters;
#[cfg(test)]
mod store_ground;
#[cfg(test)]
mod store_isolation;
#[cfg(test)]
mod store_lease;
#[cfg(test)]
mod store_many;
#[cfg(test)]
mod store_migrations;
#[cfg(test)]
mod store_model;
#[cfg(test)]
mod store_notes;
#[cfg(test)]
mod store_open;
#[cfg(test)]
mod store_outage;
#[cfg(test)]
mod store_page;
#[cfg(test)]
mod store_rules;
#[cfg(test)]
mod story;
#[cfg(test)]
mod supply_chain;
#[cfg(test)]
mod sweep_commands;
#[cfg(test)]
#[macro_use]
mod sweep_ground;
#[cfg(test)]
mod sweep_proof;
#[cfg(test)]
mod sweep_rows;
#[cfg(test)]
mod sweep_store;
#[cfg(test)]
mod sweep_webhooks;
#[cfg(test)]
mod units;
#[cfg(test)]
mod vault;
#[cfg(test)]
mod vault_commands;
#[cfg(test)]
mod vault_transit;
#[cfg(test)]
mod webhook_repairs;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod webhooks_ground;
#[cfg(test)]
mod webhooks_load;

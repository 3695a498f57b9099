//! Tidegate: pulls records from providers, stages them raw, normalises them, checks them, and only then lets a
//! number reach a client. See `docs/architecture.md` for the way of a record and its invariants.

pub mod alerts;
pub mod app;
pub mod cli;
pub mod conformance;
pub mod connector;
pub mod declaration;
pub mod domain;
pub mod intake;
pub mod launch;
pub mod lifecycle;
pub mod mapping;
pub mod metrics;
pub mod pipeline;
pub mod quality;
pub mod scheduler;
pub mod server;
pub mod service_manager;
pub mod settings;
pub mod simulator;
pub mod source;
pub mod store;
pub mod system_clock;
pub mod telemetry;
pub mod vault;
pub mod webhook;
pub mod yaml;

//! Settings: one file per section, layered, parsed and checked once, all errors at once.
//!
//! Owns every key that an operator can set; `config/tidegate.toml` explains each, and a test holds the two together.
//! Refuses unknown keys, wherever they stand. Parts of the program get plain values, never a key's name.

mod alerts;
mod connectors;
mod database;
mod error;
mod http;
mod key;
mod launch;
mod layers;
mod log;
mod metrics;
mod pipeline;
mod quality;
mod retention;
mod scheduler;
mod server;
#[cfg(test)]
mod tests;
mod traffic;
mod values;
mod vault;
mod webhook_repairs;
mod webhooks;

use std::path::Path;

pub use alerts::{AlertSettings, WebhookSettings};
pub use connectors::ConnectorSettings;
pub use database::{DatabaseSettings, Engine, NarrowUser};
pub use error::{SettingsErrors, SettingsProblem};
pub use http::{HttpSettings, Network};
pub use key::{Key, Plain};
pub use launch::LaunchSettings;
pub use log::LogSettings;
pub use metrics::MetricSettings;
pub use pipeline::PipelineSettings;
pub use quality::QualitySettings;
pub use retention::RetentionSettings;
pub use scheduler::SchedulerSettings;
pub use server::ServerSettings;
pub use vault::{VaultKey, VaultSettings};
pub use webhook_repairs::RepairSettings;
pub use webhooks::IntakeSettings;

use self::values::Values;

/// Picks the file `config/tidegate.<environment>.toml`.
const ENVIRONMENT: Key = Key::text("environment", "development");

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which `config/tidegate.<environment>.toml` was read; `production` also turns the safety checks on.
    pub environment: String,
    pub database: DatabaseSettings,
    pub scheduler: SchedulerSettings,
    pub server: ServerSettings,
    pub webhooks: IntakeSettings,
    pub repairs: RepairSettings,
    pub http: HttpSettings,
    pub connectors: ConnectorSettings,
    pub vault: VaultSettings,
    pub log: LogSettings,
    pub launch: LaunchSettings,
    pub pipeline: PipelineSettings,
    pub metrics: MetricSettings,
    pub quality: QualitySettings,
    pub alerts: AlertSettings,
    pub retention: RetentionSettings,
}

impl Settings {
    /// Reads all layers. `cli_config` is the file of `--config`, `variables` those of the process, `base_dir` the folder in
    /// which `config/` stands.
    ///
    /// # Errors
    /// Everything that is wrong, each with key, place, what was expected and the remedy.
    pub fn load(
        cli_config: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        base_dir: &Path,
    ) -> Result<Self, SettingsErrors> {
        let variables: Vec<_> = variables.into_iter().filter(|(name, _)| name.starts_with(layers::PREFIX)).collect();
        let mut problems = layers::near_misses(&variables);
        let root = layers::merge(cli_config, variables, base_dir, &mut problems);
        let mut values = Values::new(root, problems);
        let environment = values.parsed(
            &ENVIRONMENT,
            "a name of small letters, digits, - and _ is expected",
            "use e.g. development or production",
            |name| is_environment_name(name).then(|| name.to_owned()),
        );
        traffic::refuse(&mut values);
        let settings = Self {
            environment: environment.unwrap_or_default(),
            database: DatabaseSettings::read(&mut values),
            scheduler: SchedulerSettings::read(&mut values),
            server: ServerSettings::read(&mut values),
            webhooks: IntakeSettings::read(&mut values),
            repairs: RepairSettings::read(&mut values),
            http: HttpSettings::read(&mut values),
            connectors: ConnectorSettings::read(&mut values),
            vault: VaultSettings::read(&mut values),
            log: LogSettings::read(&mut values),
            launch: LaunchSettings::read(&mut values),
            pipeline: PipelineSettings::read(&mut values),
            metrics: MetricSettings::read(&mut values),
            quality: QualitySettings::read(&mut values),
            alerts: AlertSettings::read(&mut values),
            retention: RetentionSettings::read(&mut values),
        };
        if values.problems.is_empty() { Ok(settings) } else { Err(SettingsErrors(values.problems)) }
    }
}

/// Every key, in the order of `config/tidegate.toml`.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    const TOP: &[Key] = &[ENVIRONMENT];
    [
        TOP,
        database::KEYS,
        traffic::KEYS,
        scheduler::KEYS,
        server::KEYS,
        webhooks::KEYS,
        webhook_repairs::KEYS,
        http::KEYS,
        connectors::KEYS,
        vault::KEYS,
        log::KEYS,
        launch::KEYS,
        pipeline::KEYS,
        metrics::KEYS,
        quality::KEYS,
        alerts::KEYS,
        retention::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The name becomes part of a file's name.
fn is_environment_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

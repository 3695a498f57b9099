//! The layers of the settings, lowest first: built-in defaults, `config/tidegate.toml`,
//! `config/tidegate.<environment>.toml`, `--config FILE`, variables `TIDEGATE_SECTION__KEY`.
//!
//! Owns where values come from; what they mean is the sections'. Each value keeps the file or variable in which it stands.

use std::path::{Path, PathBuf};

use config::{File, FileFormat, Map, Source, Value, ValueKind};

use super::{ENVIRONMENT, error::SettingsProblem, keys};

pub(super) const PREFIX: &str = "TIDEGATE_";
const ENVIRONMENT_VARIABLE: &str = "TIDEGATE_ENVIRONMENT";
/// Parts of a variable's name; one `_` belongs to the key.
const SEPARATOR: &str = "__";

/// Puts the layers together.
pub(super) fn merge(
    cli_config: Option<&Path>,
    variables: Vec<(String, String)>,
    base_dir: &Path,
    problems: &mut Vec<SettingsProblem>,
) -> Value {
    let base = read(&base_dir.join("config/tidegate.toml"), base_dir, false, problems);
    let explicit = cli_config.and_then(|path| read(&base_dir.join(path), base_dir, true, problems));
    let environment = variables
        .iter()
        .find(|(name, _)| name == ENVIRONMENT_VARIABLE)
        .map(|(_, value)| value.clone())
        .or_else(|| [&explicit, &base].into_iter().flatten().find_map(|layer| layer.text(ENVIRONMENT.name)))
        .filter(|name| super::is_environment_name(name));
    let default_environment = match ENVIRONMENT.default {
        super::key::Plain::Text(name) => name,
        super::key::Plain::Integer(_)
        | super::key::Plain::Float(_)
        | super::key::Plain::List(_)
        | super::key::Plain::Truth(_) => "",
    };
    let name = environment.as_deref().unwrap_or(default_environment);
    let special = read(&base_dir.join(format!("config/tidegate.{name}.toml")), base_dir, false, problems);

    let mut root = Value::new(None, Map::<String, Value>::new());
    let defaults = Defaults;
    let variables = Variables(variables);
    let layers: [Option<&dyn Source>; 5] = [
        Some(&defaults),
        base.as_ref().map(|layer| layer as &dyn Source),
        special.as_ref().map(|layer| layer as &dyn Source),
        explicit.as_ref().map(|layer| layer as &dyn Source),
        Some(&variables),
    ];
    for layer in layers.into_iter().flatten() {
        if let Err(error) = layer.collect_to(&mut root) {
            problems.push(SettingsProblem {
                key: String::new(),
                place: "settings".to_owned(),
                message: format!("a layer cannot be read: {error}"),
                remedy: "correct it".to_owned(),
            });
        }
    }
    root
}

/// One file as a layer; `None` when it is not there (a problem only when it was asked for) or not readable.
fn read(path: &Path, base_dir: &Path, asked_for: bool, problems: &mut Vec<SettingsProblem>) -> Option<Layer> {
    let shown = shown(path, base_dir);
    let mut problem = |message: String, remedy: &str| {
        let place = shown.display().to_string();
        problems.push(SettingsProblem { key: String::new(), place, message, remedy: remedy.to_owned() });
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !asked_for => return None,
        Err(error) => {
            problem(format!("cannot be read: {error}"), "name a file that this user may read");
            return None;
        }
    };
    // Checked by itself first: the error of `config` would show the line, and a line may hold a password.
    if let Err(error) = text.parse::<toml::Table>() {
        let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        problem(format!("line {line} is not TOML: {}", error.message()), "correct the line");
        return None;
    }
    match File::from_str(&text, FileFormat::Toml).collect() {
        Ok(values) => Some(Layer(stamped(values, &shown.display().to_string()))),
        Err(_) => {
            problem(
                "cannot be read as settings".to_owned(),
                "use sections, keys and values as in config/tidegate.toml",
            );
            None
        }
    }
}

fn shown(path: &Path, base_dir: &Path) -> PathBuf {
    path.strip_prefix(base_dir).unwrap_or(path).to_path_buf()
}

/// What a file holds, each value with the file's name.
#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Layer {
    fn text(&self, key: &str) -> Option<String> {
        match &self.0.get(key)?.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

fn stamped(values: Map<String, Value>, place: &str) -> Map<String, Value> {
    let stamp = |value: Value| {
        let kind = match value.kind {
            ValueKind::Table(entries) => ValueKind::Table(stamped(entries, place)),
            kind => kind,
        };
        Value::new(Some(&place.to_owned()), kind)
    };
    values.into_iter().map(|(name, value)| (name, stamp(value))).collect()
}

/// The built-in defaults.
#[derive(Debug, Clone)]
struct Defaults;

impl Source for Defaults {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(keys().map(|key| (key.name.to_owned(), key.default.value())).collect())
    }
}

/// The variables of the process, as they were handed in.
#[derive(Debug, Clone)]
struct Variables(Vec<(String, String)>);

impl Source for Variables {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let named = self.0.iter().filter_map(|(name, text)| {
            let key = if name == ENVIRONMENT_VARIABLE {
                ENVIRONMENT.name.to_owned()
            } else {
                let path = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR))?;
                path.to_ascii_lowercase().replace(SEPARATOR, ".")
            };
            Some((key, Value::new(Some(name), ValueKind::String(text.clone()))))
        });
        Ok(named.collect())
    }
}

/// Variables that look like settings but are none, since only one `_` stands between section and key. Others without the
/// separator are let be: `env:TIDEGATE_ACME_TOKEN` is a good name for a secret.
pub(super) fn near_misses(variables: &[(String, String)]) -> Vec<SettingsProblem> {
    const NEAR_ENOUGH: f64 = 0.88;
    let likeness = |name: &str, key: &super::Key| {
        strsim::normalized_damerau_levenshtein(name, &key.variable().replace(SEPARATOR, "_"))
    };
    variables
        .iter()
        .filter(|(name, _)| !name.contains(SEPARATOR) && name != ENVIRONMENT_VARIABLE)
        .filter_map(|(name, _)| {
            let (near, key) = keys()
                .filter(|key| key.name != ENVIRONMENT.name)
                .map(|key| (likeness(name, key), key))
                .max_by(|a, b| a.0.total_cmp(&b.0))?;
            (near >= NEAR_ENOUGH).then(|| SettingsProblem {
                key: String::new(),
                place: format!("variable {name}"),
                message: "sets nothing".to_owned(),
                remedy: format!("did you mean {}? section and key are joined by two underscores", key.variable()),
            })
        })
        .collect()
}

//! `[vault]`: the key that stored credentials are wrapped with, and when their tokens are renewed.

use std::{path::PathBuf, time::Duration};

use super::{key::Key, values::Values};

const KEY_FILE: Key = Key::text("vault.key_file", "");
const SYSTEMD_CREDENTIAL: Key = Key::text("vault.systemd_credential", "");
const TRANSIT_URL: Key = Key::text("vault.transit_url", "");
const TRANSIT_MOUNT: Key = Key::text("vault.transit_mount", "transit");
const TRANSIT_KEY: Key = Key::text("vault.transit_key", "tidegate");
const TRANSIT_TOKEN: Key = Key::text("vault.transit_token", "");
const WRAP_WITH: Key = Key::text("vault.wrap_with", "");
const PREVIOUS_KEY_FILES: Key = Key::list("vault.previous_key_files", &[]);
const REFRESH_EARLY_SECONDS: Key = Key::integer("vault.refresh_early_seconds", 120);
const COOL_DOWN_SECONDS: Key = Key::integer("vault.cool_down_seconds", 60);
pub(super) const KEYS: &[Key] = &[
    KEY_FILE,
    SYSTEMD_CREDENTIAL,
    TRANSIT_URL,
    TRANSIT_MOUNT,
    TRANSIT_KEY,
    TRANSIT_TOKEN,
    WRAP_WITH,
    PREVIOUS_KEY_FILES,
    REFRESH_EARLY_SECONDS,
    COOL_DOWN_SECONDS,
];

/// Words of `vault.wrap_with`, in the order in which the sources stand in the file.
const SOURCES: [&str; 3] = ["file", "systemd", "transit"];

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultKey {
    File(PathBuf),
    SystemdCredential(String),
    /// The token is a reference: `env:NAME` or `file:PATH`.
    Transit {
        url: String,
        mount: String,
        key: String,
        token: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSettings {
    /// The key that wraps; `None`: no source is named.
    pub current: Option<VaultKey>,
    /// Keys that only open.
    pub others: Vec<VaultKey>,
    pub refresh_early: Duration,
    pub cool_down: Duration,
}

impl VaultSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let mut text = |key: &Key| Some(values.text(key)).filter(|text| !text.trim().is_empty());
        let file = text(&KEY_FILE).map(|path| VaultKey::File(PathBuf::from(path)));
        let systemd = text(&SYSTEMD_CREDENTIAL).map(VaultKey::SystemdCredential);
        let transit = text(&TRANSIT_URL);
        let (mount, key) = (text(&TRANSIT_MOUNT).unwrap_or_default(), text(&TRANSIT_KEY).unwrap_or_default());
        let token = text(&TRANSIT_TOKEN).unwrap_or_default();
        if let Some(VaultKey::SystemdCredential(name)) = &systemd
            && (name.contains('/') || name.starts_with('.'))
        {
            values.wrong(
                &SYSTEMD_CREDENTIAL,
                "the name of a systemd credential is expected",
                "use the name of LoadCredential=",
            );
        }
        let reference = token.starts_with("env:") || token.starts_with("file:");
        if transit.is_some() && !reference {
            // What stands there may be the token itself: it is not repeated.
            values.wrong_item(
                &TRANSIT_TOKEN,
                "a reference to the token is expected",
                "use env:NAME or file:PATH, never the token itself",
            );
        }
        let transit = transit.map(|url| VaultKey::Transit { url, mount, key, token });
        let wrap_with = values.parsed(
            &WRAP_WITH,
            "file, systemd, transit or nothing is expected",
            "name the source that wraps new credentials",
            |word| (word.is_empty() || SOURCES.contains(&word)).then(|| word.to_owned()),
        );
        let mut sources: Vec<(&str, VaultKey)> = SOURCES
            .into_iter()
            .zip([file, systemd, transit])
            .filter_map(|(word, source)| Some((word, source?)))
            .collect();
        let wrap_with = wrap_with.unwrap_or_default();
        let current = match (sources.len(), wrap_with.as_str()) {
            (0, "") => None,
            (1, "") => Some(sources.remove(0).1),
            (_, "") => {
                values.wrong(
                    &WRAP_WITH,
                    "several keys are named",
                    "say which one wraps new credentials: file, systemd or transit",
                );
                None
            }
            (_, word) => {
                let found = sources.iter().position(|(source, _)| *source == word);
                if found.is_none() {
                    values.wrong(
                        &WRAP_WITH,
                        "a source that is set is expected",
                        "set its key too (vault.key_file, vault.systemd_credential, vault.transit_url)",
                    );
                }
                found.map(|at| sources.remove(at).1)
            }
        };
        let previous = values.list(&PREVIOUS_KEY_FILES).into_iter().map(|path| VaultKey::File(PathBuf::from(path)));
        Self {
            current,
            others: sources.into_iter().map(|(_, source)| source).chain(previous).collect(),
            refresh_early: values.seconds(&REFRESH_EARLY_SECONDS, 0..=86_400),
            cool_down: values.seconds(&COOL_DOWN_SECONDS, 1..=3600),
        }
    }
}

//! `[alerts]`: how often is looked, by which rules, and who is told.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::{key::Key, values::Values};

const FILE: Key = Key::text("alerts.file", "");
const EVERY_SECONDS: Key = Key::integer("alerts.every_seconds", 60);
// Chat systems put a token into the address itself.
const WEBHOOK_URL: Key = Key::secret("alerts.webhook_url", "");
// A reference; marked all the same, for who puts the secret itself there.
const WEBHOOK_SECRET: Key = Key::secret("alerts.webhook_secret", "");
pub(super) const KEYS: &[Key] = &[FILE, EVERY_SECONDS, WEBHOOK_URL, WEBHOOK_SECRET];

#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// A file that changes the built-in rules.
    pub file: Option<PathBuf>,
    /// Between two looks.
    pub every: Duration,
    /// `None`: alerts go to the log and the metrics only.
    pub webhook: Option<WebhookSettings>,
}

/// Who is told by HTTP.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    pub url: SecretString,
    /// Where the secret is that notices are signed with: `env:NAME` or `file:PATH`.
    pub secret: String,
}

impl AlertSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let file = values.text(&FILE);
        let every = values.seconds(&EVERY_SECONDS, 1..=86_400);
        let url = values.text(&WEBHOOK_URL).trim().to_owned();
        let secret = values.text(&WEBHOOK_SECRET).trim().to_owned();
        let well_formed = |url: &Url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        };
        if !url.is_empty() && !url.parse().is_ok_and(|url: Url| well_formed(&url)) {
            values.wrong(
                &WEBHOOK_URL,
                "an https address without a user name is expected",
                "use e.g. https://alerts.example.test/tidegate",
            );
        }
        let reference =
            secret.split_once(':').is_some_and(|(form, name)| matches!(form, "env" | "file") && !name.is_empty());
        if !secret.is_empty() && !reference {
            values.wrong(
                &WEBHOOK_SECRET,
                "a reference is expected, never the secret itself",
                "use env:NAME or file:PATH",
            );
        }
        if !url.is_empty() && secret.is_empty() {
            values.wrong(
                &WEBHOOK_SECRET,
                "is needed with alerts.webhook_url: notices are signed",
                "use env:NAME or file:PATH",
            );
        }
        Self {
            file: (!file.trim().is_empty()).then(|| PathBuf::from(file.trim())),
            every,
            webhook: (!url.is_empty()).then(|| WebhookSettings { url: SecretString::from(url), secret }),
        }
    }
}

//! `[server]`: the address of the HTTP listener, how it is called from outside, and what its metrics may name.

use std::net::SocketAddr;

use super::{key::Key, values::Values};

const LISTEN: Key = Key::text("server.listen", "");
const PUBLIC_URL: Key = Key::text("server.public_url", "");
const CONNECTION_LABELS: Key = Key::truth("server.connection_labels", false);
pub(super) const KEYS: &[Key] = &[LISTEN, PUBLIC_URL, CONNECTION_LABELS];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// `None`: no listener.
    pub listen: Option<SocketAddr>,
    /// Where providers reach the listener, without a slash at its end; `None`: not set.
    pub public_url: Option<String>,
    /// Whether counters of runs carry the connection's key.
    pub connection_labels: bool,
}

impl ServerSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let listen = values.parsed(&LISTEN, "an address and a port are expected", "use e.g. 127.0.0.1:8080", |text| {
            let text = text.trim();
            if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
        });
        let expected = "an http(s) address without query is expected";
        let public_url = values.parsed(&PUBLIC_URL, expected, "use e.g. https://hooks.example.com", |text| {
            let text = text.trim().trim_end_matches('/');
            if text.is_empty() {
                return Some(None);
            }
            let url: url::Url = text.parse().ok()?;
            let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            let web = matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none();
            (plain && web).then(|| Some(text.to_owned()))
        });
        Self {
            listen: listen.flatten(),
            public_url: public_url.flatten(),
            connection_labels: values.truth(&CONNECTION_LABELS),
        }
    }
}

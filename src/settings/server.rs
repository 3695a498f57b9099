//! `[server]`: the address of the HTTP listener, and what its metrics may name.

use std::net::SocketAddr;

use super::{key::Key, values::Values};

const LISTEN: Key = Key::text("server.listen", "");
const CONNECTION_LABELS: Key = Key::truth("server.connection_labels", false);
pub(super) const KEYS: &[Key] = &[LISTEN, CONNECTION_LABELS];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// `None`: no listener.
    pub listen: Option<SocketAddr>,
    /// Whether counters of runs carry the connection's key.
    pub connection_labels: bool,
}

impl ServerSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let listen = values.parsed(&LISTEN, "an address and a port are expected", "use e.g. 127.0.0.1:8080", |text| {
            let text = text.trim();
            if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
        });
        Self { listen: listen.flatten(), connection_labels: values.truth(&CONNECTION_LABELS) }
    }
}

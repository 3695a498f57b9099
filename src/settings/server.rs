//! `[server]`: the address of the HTTP listener.

use std::net::SocketAddr;

use super::{key::Key, values::Values};

const LISTEN: Key = Key::text("server.listen", "");
pub(super) const KEYS: &[Key] = &[LISTEN];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// `None`: no listener.
    pub listen: Option<SocketAddr>,
}

impl ServerSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let listen = values.parsed(&LISTEN, "an address and a port are expected", "use e.g. 127.0.0.1:8080", |text| {
            let text = text.trim();
            if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
        });
        Self { listen: listen.flatten() }
    }
}

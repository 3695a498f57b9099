//! Which hosts one connector may ask.
//!
//! Owns the list and its one question. What a provider sends (a next page, a redirect) can name any host; what a connector
//! may ask was settled before, by its manifest and its connection. A host stands here whole, with its port.

use url::Url;

use crate::connector::{ConnectorError, ErrorKind};

/// Hosts with their ports, as the address parser spells them. An empty list allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    hosts: Vec<(String, u16)>,
    /// Whoever runs a manifest by hand names the hosts with it; the network policy holds all the same.
    any: bool,
}

impl AllowedHosts {
    /// Every host that the network policy lets be asked.
    pub fn any() -> Self {
        Self { hosts: Vec::new(), any: true }
    }

    /// The hosts of these addresses.
    pub fn of<'u>(addresses: impl IntoIterator<Item = &'u Url>) -> Self {
        let mut hosts = Self::default();
        for address in addresses {
            hosts.allow(address);
        }
        hosts
    }

    /// Adds the host of an address; an address without one adds nothing.
    pub fn allow(&mut self, address: &Url) {
        self.hosts.extend(host(address).filter(|host| !self.hosts.contains(host)));
    }

    /// Whether this address's host and port are on the list.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`], naming the host that was meant and those that are allowed.
    pub fn check(&self, address: &Url) -> Result<(), ConnectorError> {
        let asked = host(address);
        if self.any || asked.as_ref().is_some_and(|asked| self.hosts.contains(asked)) {
            return Ok(());
        }
        let (name, port) = asked.unwrap_or_default();
        let allowed: Vec<String> = self.hosts.iter().map(|(name, port)| format!("{name}:{port}")).collect();
        let message = format!(
            "{name}:{port} is not a host of this connector ({}); if it is meant, name it in x-tidegate.environments of the \
             manifest, or in base_url of the connection",
            if allowed.is_empty() { "it has none".to_owned() } else { allowed.join(", ") }
        );
        Err(ConnectorError::new(ErrorKind::Policy, message))
    }
}

/// `example.com.` is the same host as `example.com`.
fn host(address: &Url) -> Option<(String, u16)> {
    let name = address.host_str()?.trim_end_matches('.');
    Some((name.to_owned(), address.port_or_known_default()?)).filter(|(name, _)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_whole_with_its_port_and_nothing_like_it() {
        let own: Url = "https://api.example.com/v1".parse().unwrap();
        let hosts = AllowedHosts::of([&own]);
        for same in ["https://api.example.com/other?x", "https://API.example.com.:443/", "https://api.example.com./"] {
            hosts.check(&same.parse().unwrap()).expect(same);
        }
        for other in [
            "https://api.example.com.evil.test/",
            "https://example.com/",
            "https://x.api.example.com/",
            "https://api.example.com:8443/",
            "http://api.example.com/",
            "https://api-example.com/",
            "data:text/plain,x",
        ] {
            let error = hosts.check(&other.parse().unwrap()).expect_err(other);
            assert_eq!(error.kind, ErrorKind::Policy);
            assert!(error.message.contains("api.example.com:443"), "{error}");
        }
        AllowedHosts::default().check(&own).expect_err("an empty list allows nothing");
    }
}

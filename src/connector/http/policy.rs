//! Which addresses may be talked to.
//!
//! Owns the deny list and the resolver that holds to it. Literal addresses are checked here because the HTTP client
//! never asks a resolver about them; names are checked at the moment of connecting, so a name cannot change its mind
//! between the check and the use. What is private may be reached only when `http.allow_private` names its network.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::GateError;
use crate::connector::{ConnectorError, ErrorKind};

/// Longest wait for a name; the connect time-out bounds the whole.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// What to do where it is meant.
pub(super) const REMEDY: &str =
    "if this is meant, name its network in http.allow_private, e.g. TIDEGATE_HTTP__ALLOW_PRIVATE=127.0.0.0/8";

/// A block of addresses, kept as IPv6 bits so that both families compare alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    bits: u128,
    mask: u128,
    v4: bool,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let (width, v4) = if address.is_ipv4() { (32, true) } else { (128, false) };
        let prefix = prefix.unwrap_or(width);
        if prefix > width {
            return None;
        }
        let free = width - prefix;
        let mask = if free == 128 { 0 } else { u128::MAX << free };
        Some(Self { bits: bits(address) & mask, mask, v4 })
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.v4 && bits(address) & self.mask == self.bits
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// What is never public: this host, private, link-local (with the clouds' metadata), shared, test, multicast, reserved.
const FORBIDDEN_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

fn forbidden_v4(address: Ipv4Addr) -> bool {
    FORBIDDEN_V4.iter().any(|(base, prefix)| (address.to_bits() ^ base.to_bits()) >> (32 - prefix) == 0)
}

fn forbidden_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let inner = |high: u16, low: u16| forbidden_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match s {
        // An IPv4 address inside an IPv6 one is judged as what it is: mapped, compatible, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => true,
        [0x2002, high, low, ..] => inner(high, low),
        // ISATAP: the tunnel's other end is the address in the last 32 bits.
        [.., 0 | 0x200, 0x5efe, high, low] if inner(high, low) => true,
        // Local NAT64, protocol assignments (with Teredo, benchmarking, ORCHID), documentation, discard.
        [0x64, 0xff9b, 1, ..] | [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x3fff, ..] | [0x100, 0, 0, 0, ..] => {
            true
        }
        // Only 2000::/3 is handed out; unique local, link-local, site-local and multicast lie outside of it.
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

/// The rules, with the exceptions that the operator made.
#[derive(Debug)]
pub struct NetworkPolicy {
    allowed: Vec<Network>,
}

impl NetworkPolicy {
    /// # Errors
    /// One of the texts is not a network.
    pub fn new(allow_private: &[String]) -> Result<Self, GateError> {
        let allowed = allow_private
            .iter()
            .map(|text| Network::parse(text).ok_or_else(|| GateError::NotANetwork(text.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self { allowed })
    }

    /// The operator named a network that holds this address.
    fn excepted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(address))
    }

    /// May be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        let forbidden = match address {
            IpAddr::V4(v4) => forbidden_v4(v4),
            IpAddr::V6(v6) => forbidden_v6(v6),
        };
        !forbidden || self.excepted(address)
    }

    /// Checks what can be known before a connection: scheme, user information, literal address, forbidden names.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`], naming the host and the setting that would allow it.
    pub fn check(&self, url: &Url) -> Result<(), ConnectorError> {
        let refuse = |what: String| Err(ConnectorError::new(ErrorKind::Policy, format!("{what}; {REMEDY}")));
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            other => return refuse(format!("the scheme '{other}' is not https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("an address with a user name in it is not used".to_owned());
        }
        let literal = match url.host() {
            None => return refuse("the address names no host".to_owned()),
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let local = name == "localhost" || name.ends_with(".localhost");
                let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
                if local && !loopback.into_iter().any(|address| self.excepted(address)) {
                    return refuse(format!("{name} is this machine"));
                }
                // Where a name leads is seen when it is resolved; without an exception it cannot lead anywhere in plain.
                if plain && self.allowed.is_empty() {
                    return refuse(format!("{name} would be asked without TLS (http)"));
                }
                return Ok(());
            }
        };
        if !self.permits(literal) {
            return refuse(format!("{literal} is not a public address"));
        }
        if plain && !self.excepted(literal) {
            return refuse(format!("{literal} would be asked without TLS (http)"));
        }
        Ok(())
    }
}

/// No address of a name is permitted.
#[derive(Debug, thiserror::Error)]
#[error("network policy: {0} has no address that may be reached")]
pub(super) struct NameForbidden(String);

/// Which addresses a client may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Public ones and excepted ones.
    Permitted,
    /// Only those that `allow_private` names: there is no TLS to tell who answers.
    Excepted,
}

/// Resolves by the system and drops what the policy forbids.
pub(super) struct GuardedResolver {
    policy: Arc<NetworkPolicy>,
    reach: Reach,
}

impl GuardedResolver {
    pub(super) fn new(policy: Arc<NetworkPolicy>, reach: Reach) -> Self {
        Self { policy, reach }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let reach = self.reach;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host.as_str(), 0))).await??;
            let may = |address: IpAddr| match reach {
                Reach::Permitted => policy.permits(address),
                Reach::Excepted => policy.excepted(address),
            };
            let permitted: Vec<SocketAddr> = found.filter(|found| may(found.ip())).collect();
            if permitted.is_empty() {
                return Err(NameForbidden(host).into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str]) -> NetworkPolicy {
        NetworkPolicy::new(&allow.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn hostile_addresses_are_refused_in_every_spelling() {
        let strict = policy(&[]);
        for url in [
            "http://api.hubapi.com/x",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://0/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://x.localhost:8443/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001:0:5ef5:79fd::1]/",
            "https://[fe80::1]/",
            "https://[fc00::1]/",
            "https://[fd00:ec2::254]/",
            "https://[ff02::1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://168.63.129.16/",
            "https://100.100.100.200/",
            "https://10.0.0.1/",
            "https://172.31.255.255/",
            "https://192.168.1.1/",
            "https://198.18.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://user:pass@api.hubapi.com/",
            "ftp://api.hubapi.com/",
            "file:///etc/passwd",
            "https://127。0。0。1/",
        ] {
            let error = strict.check(&Url::parse(url).unwrap()).expect_err(url);
            assert_eq!(error.kind, ErrorKind::Policy, "{url}");
            assert!(error.message.contains("http.allow_private"), "{error}");
        }
        for url in ["https://api.hubapi.com/x", "https://8.8.8.8/", "https://[2606:4700::1111]/", "https://172.32.0.1/"]
        {
            strict.check(&Url::parse(url).unwrap()).expect(url);
        }
    }

    #[test]
    fn an_allowed_network_opens_itself_and_nothing_beside() {
        let lax = policy(&["127.0.0.0/8", "10.1.0.0/16"]);
        for url in ["http://127.0.0.1:8080/", "https://10.1.2.3/", "http://localhost:1/", "http://[::ffff:127.0.0.1]/"]
        {
            lax.check(&Url::parse(url).unwrap()).expect(url);
        }
        for url in ["http://10.2.0.1/", "https://[::1]/", "http://8.8.8.8/"] {
            lax.check(&Url::parse(url).unwrap()).expect_err(url);
        }
        for text in ["10.0.0.0/33", "ten", "::/129", "/8", ""] {
            assert!(NetworkPolicy::new(&[text.to_owned()]).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_has_no_address() {
        let resolve = async |allow: &[&str], reach| {
            GuardedResolver::new(Arc::new(policy(allow)), reach).resolve("localhost".parse().unwrap()).await
        };
        for (allow, reach) in
            [(&[][..], Reach::Permitted), (&["10.0.0.0/8"], Reach::Permitted), (&["10.0.0.0/8"], Reach::Excepted)]
        {
            let error = resolve(allow, reach).await.err().expect("loopback must be dropped");
            assert!(error.downcast_ref::<NameForbidden>().is_some(), "{error}");
        }
        let found: Vec<_> = resolve(&["127.0.0.0/8"], Reach::Excepted).await.unwrap().map(|found| found.ip()).collect();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_ipv4), "{found:?}");
    }
}

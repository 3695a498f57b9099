//! `[http]`: how providers are talked to.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use super::{key::Key, values::Values};

const ALLOW_PRIVATE: Key = Key::list("http.allow_private", &[]);
const CONNECT_TIMEOUT_MS: Key = Key::integer("http.connect_timeout_ms", 10_000);
const REQUEST_TIMEOUT_MS: Key = Key::integer("http.request_timeout_ms", 60_000);
const MAX_BODY_BYTES: Key = Key::integer("http.max_body_bytes", 64 * 1024 * 1024);
const MAX_DOWNLOAD_BYTES: Key = Key::integer("http.max_download_bytes", 4 * 1024 * 1024 * 1024);
const MAX_RETRIES: Key = Key::integer("http.max_retries", 5);
const RETRY_BUDGET_SECONDS: Key = Key::integer("http.retry_budget_seconds", 120);
const LONGEST_WAIT_SECONDS: Key = Key::integer("http.longest_wait_seconds", 60);
const REQUESTS_PER_SECOND: Key = Key::float("http.requests_per_second", 10.0);
const BURST: Key = Key::integer("http.burst", 10);
const MAX_CONCURRENCY: Key = Key::integer("http.max_concurrency", 8);
const AHEAD_BYTES: Key = Key::integer("http.ahead_bytes", 4 * 1024 * 1024);
pub(super) const KEYS: &[Key] = &[
    ALLOW_PRIVATE,
    CONNECT_TIMEOUT_MS,
    REQUEST_TIMEOUT_MS,
    MAX_BODY_BYTES,
    MAX_DOWNLOAD_BYTES,
    MAX_RETRIES,
    RETRY_BUDGET_SECONDS,
    LONGEST_WAIT_SECONDS,
    REQUESTS_PER_SECOND,
    BURST,
    MAX_CONCURRENCY,
    AHEAD_BYTES,
];

#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    /// Private networks that may be called; empty in production.
    pub allow_private: Vec<Network>,
    pub connect_timeout: Duration,
    /// For one attempt, to the end of the body.
    pub request_timeout: Duration,
    /// Largest body after decompression.
    pub max_body_bytes: usize,
    /// Largest download of a provider's job, which is written to a file.
    pub max_download_bytes: u64,
    /// Attempts after the first.
    pub max_retries: u32,
    /// All attempts of a request together, with their waits.
    pub retry_budget: Duration,
    /// Longest wait that a provider may ask for within a request; a longer one ends the run.
    pub longest_wait: Duration,
    /// For an account of a provider whose manifest names no limit.
    pub requests_per_second: f64,
    pub burst: u32,
    /// Requests of one provider account under way at once.
    pub max_concurrency: u32,
    /// Bodies of pages that were fetched ahead, of one pull.
    pub ahead_bytes: usize,
}

impl HttpSettings {
    pub(super) fn read(values: &mut Values) -> Self {
        let mut allow_private = Vec::new();
        for text in values.list(&ALLOW_PRIVATE) {
            match text.parse() {
                Ok(network) => allow_private.push(network),
                Err(NotANetwork) => {
                    values.wrong_item(
                        &ALLOW_PRIVATE,
                        &format!("'{text}' is no network"),
                        "use e.g. 127.0.0.0/8 or ::1/128",
                    );
                }
            }
        }
        let bytes = values.integer(&MAX_BODY_BYTES, 1_024..=4 * 1024 * 1024 * 1024);
        Self {
            allow_private,
            connect_timeout: values.millis(&CONNECT_TIMEOUT_MS, 10..=600_000),
            request_timeout: values.millis(&REQUEST_TIMEOUT_MS, 10..=3_600_000),
            max_body_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            max_download_bytes: u64::try_from(values.integer(&MAX_DOWNLOAD_BYTES, 1_024..=1 << 40)).unwrap_or(1_024),
            max_retries: values.count(&MAX_RETRIES, 0..=100),
            retry_budget: values.seconds(&RETRY_BUDGET_SECONDS, 0..=86_400),
            longest_wait: values.seconds(&LONGEST_WAIT_SECONDS, 0..=86_400),
            requests_per_second: values.float(&REQUESTS_PER_SECOND, 0.001..=100_000.0),
            burst: values.count(&BURST, 1..=100_000),
            max_concurrency: values.count(&MAX_CONCURRENCY, 1..=1_000),
            ahead_bytes: usize::try_from(values.integer(&AHEAD_BYTES, 0..=4 * 1024 * 1024 * 1024)).unwrap_or(0),
        }
    }
}

/// A range of addresses, e.g. `10.0.0.0/8`; an address alone is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    /// Leading bits that are the same in all addresses of the range.
    pub prefix: u8,
}

/// The text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network such as 10.0.0.0/8")]
pub struct NotANetwork;

impl Network {
    /// Whether an address is in the range. An IPv4 address in IPv6 clothes counts as the IPv4 address it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix));
                (u64::from(own.to_bits()) >> shift) == (u64::from(other.to_bits()) >> shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix));
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| NotANetwork)?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| NotANetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest { Err(NotANetwork) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

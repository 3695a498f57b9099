//! The only place that talks to a provider: network policy, rate limits, retries, budgets, counting.

/// Shared by all connectors of the process.
pub struct HttpGate;

//! Identities as types, so that a run's number never lands where a job's is meant.
//!
//! Owns the newtypes and nothing else; values come from the database only.

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

id! {
    /// A row of `core_clients`.
    ClientId,
    /// A row of `integration_connections`: one client's account at one provider, in one environment.
    ConnectionId,
    /// A row of `integration_sync_jobs`: one stream of one connection.
    JobId,
    /// A row of `integration_sync_runs`: one attempt at a job.
    RunId,
    /// A row of `integration_raw_events`.
    RawEventId,
    /// A row of `integration_sync_errors`.
    DeadLetterId,
    /// A row of `event_webhook_events`.
    DeliveryId,
    /// A row of `integration_webhook_endpoints`: where a connection's deliveries come in.
    EndpointId,
    /// A row of a business table such as `crm_leads`.
    InternalId,
    /// A row of `data_import_batches`.
    ImportBatchId,
    /// A row of `metric_snapshots`.
    SnapshotId,
}

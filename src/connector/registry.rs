//! The catalogue of provider folders, and how one becomes a [`Connector`] for a connection.
//!
//! Owns the explicit list of connector kinds (manifest, file). Refuses to hold secrets or jobs.

use std::{path::PathBuf, sync::Arc};

use super::{Connector, StreamSpec, credential::CredentialSource, http::HttpGate};
use crate::mapping::FieldMap;

/// One folder under `[connectors] dirs`, loaded and checked.
pub struct ProviderFolder {
    pub provider_key: String,
    pub name: String,
    pub category: String,
    pub auth_type: String,
    pub dir: PathBuf,
    /// Lines for `provider show`: the limits that the folder declares.
    pub limits: Vec<String>,
    pub streams: Vec<StreamSpec>,
    /// Field maps by stream.
    pub maps: Vec<Arc<FieldMap>>,
    pub(crate) kind: Kind,
}

/// The explicit list of connector kinds.
pub(crate) enum Kind {
    Manifest(super::manifest::Manifest),
    File(super::file::FileSource),
}

/// What a connection brings to its connector.
#[derive(Clone)]
pub struct ConnectionFacts {
    pub connection_key: String,
    pub provider_account_id: String,
    /// `config` of the declaration: never a secret.
    pub config: serde_json::Value,
    pub credential: Arc<dyn CredentialSource>,
    /// Policy, limits and clock shared by all connectors of the process.
    pub gate: Arc<HttpGate>,
}

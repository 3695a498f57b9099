//! How a provider is talked to: one trait, a registry of folders, and the errors that both share.
//!
//! Owns the contract between a provider and the pipeline. Refuses to know jobs, runs, leases or the database:
//! a connector is a function from a request to a page.
//!
//! # Delivery semantics that every connector keeps
//! - **Paging.** The caller asks for one page at a time and hands back the [`Position`] of the last one; `next: None`
//!   ends the pull. A connector keeps no state between calls, so any page can be asked for again.
//! - **Duplicates.** At least once: a record may come twice within a pull (shifting pages, inclusive lower bounds,
//!   look-back windows). The pipeline recognises it by id and payload.
//! - **Ordering.** None is promised. A connector that knows better says so by giving a `cursor` before the end.
//! - **Cursor.** `Page::cursor` is only given when everything up to it has been handed over in this or an earlier page of
//!   the pull. It never lies before the cursor that was asked with, and never after the start of the run.
//! - **Cancellation.** Dropping the future of `pull` is always clean: nothing was promised to anybody.
//! - **A page that cannot be read fails whole** ([`ErrorKind::Decode`]); a record that cannot be read is an
//!   [`Item::Broken`] in its page. Nothing is left out in silence (P4).

pub mod credential;
pub mod error;
pub mod file;
pub mod folder_advice;
mod folder_parts;
pub mod http;
pub mod manifest;
pub mod registry;
pub mod traffic;

use std::sync::Arc;

use async_trait::async_trait;
pub use error::{ConnectorError, ErrorKind};
pub use traffic::TrafficMeter;

use crate::domain::{
    clock::Timestamp,
    cursor::{Cursor, Position},
    record::Item,
    status::SyncMode,
};

pub(crate) use crate::domain::external_id;

/// What a connector offers under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSpec {
    pub name: String,
    /// Paths of the fields that make the external id, e.g. `[["id"]]`.
    pub primary_key: Vec<Vec<String>>,
    /// Modes that can be declared; `incremental` needs a cursor field.
    pub sync_modes: Vec<SyncMode>,
    /// Dotted name of the field that the cursor follows.
    pub cursor_field: Option<String>,
    /// JSON schema of a record, if declared.
    pub json_schema: Option<serde_json::Value>,
}

/// Who the provider says we are.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Identity {
    /// The provider's own account id, when it tells one.
    pub account_id: Option<String>,
    /// A line for an operator: what was asked and that it was answered.
    pub detail: String,
}

/// A question for one page.
#[derive(Clone)]
pub struct PullRequest {
    pub stream: String,
    pub mode: SyncMode,
    /// Where the last complete page left off; `None` reads from the start date. A cursor without an order is handed back as the last
    /// page gave it.
    pub cursor: Option<serde_json::Value>,
    /// Where to go on inside this pull; `None` asks for the first page.
    pub position: Option<Position>,
    /// When the run began: the same for each page of a pull. No cursor goes beyond it.
    pub started_at: Timestamp,
    /// Stop asking the provider for more than this many records (test batch, preview). A hint for page sizes.
    pub limit: Option<usize>,
    /// Counts requests, retries, waits and bytes, also of calls that fail.
    pub traffic: Arc<TrafficMeter>,
}

/// The answer to a [`PullRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub items: Vec<Item>,
    /// Where the next page begins; `None` when the pull is complete.
    pub next: Option<Position>,
    /// `next` may still be used by a later run (a cursor-like token, not an offset that shifts).
    pub resumable: bool,
    /// A cursor that is safe once this page is.
    pub cursor: Option<Cursor>,
    /// The range of data that the page's slice asks for, where it has one.
    pub window: Option<(Timestamp, Timestamp)>,
    /// How many records the provider says the whole pull has, where it does.
    pub provider_total: Option<i64>,
    /// What was asked, for the run's story: slice and page, without secrets or parameters' values from records.
    pub story: String,
}

/// How to talk to one provider, for one connection. See the module's text for what it must keep.
#[async_trait]
pub trait Connector: Send + Sync {
    fn streams(&self) -> &[StreamSpec];

    /// Asks the provider who we are, without reading a record.
    ///
    /// # Errors
    /// Those of a pull; [`ErrorKind::Unauthorized`] when the credential is refused.
    async fn check(&self, traffic: Arc<TrafficMeter>) -> Result<Identity, ConnectorError>;

    /// Whether [`Connector::check`] tells the provider's own account id, so that it can be held against the declared one.
    fn tells_account(&self) -> bool {
        false
    }

    /// Reads one page.
    ///
    /// # Errors
    /// See [`ErrorKind`]: each kind says whether time, a person or nothing can help.
    async fn pull(&self, request: &PullRequest) -> Result<Page, ConnectorError>;

    /// Where in the stream a position is, for people: alike for the same place in every run. `None`: at its beginning.
    fn place(&self, position: Option<&Position>) -> String {
        position.map_or_else(|| "first page".to_owned(), |_| "a later page".to_owned())
    }

    /// The stream of that name.
    fn stream(&self, name: &str) -> Option<&StreamSpec> {
        self.streams().iter().find(|s| s.name == name)
    }
}

#[cfg(test)]
mod shipped_tests;

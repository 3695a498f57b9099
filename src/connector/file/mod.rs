//! CSV and JSON lines as a connector, for the manual path.
//!
//! Owns reading a whole file in bounded pages: as a connection's own pull, always a full refresh and always UTF-8 (`page`), or once,
//! for an import (`import`). Refuses to guess: a row that is not what the header says is a broken item with its line.

mod columns;
mod content;
mod encoding;
mod fields;
pub mod import;
mod load;
mod page;
mod rows;
mod start;
mod walk;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
pub use encoding::Encoding;
pub use load::FileSource;
use serde_json::Value;
pub use walk::Note;

use super::{
    Connector, ConnectorError, ErrorKind, Identity, Page, PullRequest, StreamSpec, TrafficMeter,
    registry::ConnectionFacts,
};
use crate::domain::{cursor::Position, status::SyncMode};

/// One connection's files.
pub struct FileConnector {
    source: FileSource,
    config: Value,
}

impl FileConnector {
    /// Binds a file source to a connection. Paths are looked at when a file is read.
    pub fn new(source: &FileSource, facts: ConnectionFacts) -> Self {
        Self { source: source.clone(), config: facts.config }
    }

    /// The file of a stream: `paths: {leads: ...}`, or `path` for the only one.
    fn path(&self, stream: &str) -> Result<PathBuf, ConnectorError> {
        let of_stream = self.config.get("paths").and_then(|paths| paths.get(stream));
        let found =
            of_stream.or_else(|| self.config.get("path")).and_then(Value::as_str).filter(|path| !path.is_empty());
        found.map(PathBuf::from).ok_or_else(|| {
            let message = format!("the connection's config names no file; set 'path', or 'paths: {{{stream}: ...}}'");
            ConnectorError::new(ErrorKind::Settings, message)
        })
    }

    async fn page(
        &self,
        stream: &str,
        position: Option<Position>,
        limit: Option<usize>,
        traffic: &TrafficMeter,
    ) -> Result<Page, ConnectorError> {
        let path = self.path(stream)?;
        let stream = self.source.streams.iter().find(|declared| declared.name == stream).cloned().ok_or_else(|| {
            ConnectorError::new(ErrorKind::Settings, format!("the connector has no stream '{stream}'"))
        })?;
        // Reading a bounded stretch of a local file; the runtime's own threads stay free for the network.
        let read = tokio::task::spawn_blocking(move || page::read(&path, &stream, position.as_ref(), limit)).await;
        let (page, bytes) = read.map_err(|error| {
            ConnectorError::new(ErrorKind::Unavailable, "reading the file was broken off").caused_by(error)
        })??;
        traffic.received(bytes);
        Ok(page)
    }
}

#[async_trait]
impl Connector for FileConnector {
    fn streams(&self) -> &[StreamSpec] {
        self.source.streams()
    }

    fn place(&self, position: Option<&Position>) -> String {
        let line = position.and_then(|position| position.0.get("line")?.as_u64());
        line.map_or_else(|| "first page".to_owned(), |line| format!("from line {line} on"))
    }

    async fn check(&self, traffic: Arc<TrafficMeter>) -> Result<Identity, ConnectorError> {
        let (mut readable, mut wrong) = (Vec::new(), None);
        for stream in &self.source.streams {
            // With several streams a connection may bring only some of the files.
            let of_stream = self.config.get("paths").is_some_and(|paths| paths.get(&stream.name).is_some());
            let of_any = self.config.get("path").is_some();
            if !of_stream && !of_any && self.source.streams.len() > 1 {
                continue;
            }
            match self.page(&stream.name, None, Some(1), &traffic).await {
                Ok(_) => readable.push(stream.name.as_str()),
                // One file for all: it is that of the streams whose columns it has.
                Err(error) if !of_stream => wrong = wrong.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        if let Some(wrong) = wrong.filter(|_| readable.is_empty()) {
            return Err(wrong);
        }
        if readable.is_empty() {
            self.path(&self.source.streams[0].name)?;
        }
        Ok(Identity { account_id: None, detail: format!("the files can be read: {}", readable.join(", ")) })
    }

    async fn pull(&self, request: &PullRequest) -> Result<Page, ConnectorError> {
        if request.mode == SyncMode::Incremental {
            let message = "a file is read whole; the job must be full_refresh";
            return Err(ConnectorError::new(ErrorKind::Settings, message));
        }
        self.page(&request.stream, request.position.clone(), request.limit, &request.traffic).await
    }
}

#[cfg(test)]
mod tests;

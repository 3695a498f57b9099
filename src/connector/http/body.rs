//! Reading an answer's body: into memory within its bound, or into a file.
//!
//! Owns both bounds. What a small compressed body inflates to is counted, not what arrived.

use std::{fs::File, io::SeekFrom, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
    sync::Mutex,
};

use super::{
    HttpGate,
    send::{Failure, trouble},
};
use crate::connector::{ConnectorError, ErrorKind, TrafficMeter};

/// Longest time for one attempt at a download; between two of its chunks the gate's own silence holds.
pub(super) const LONGEST_DOWNLOAD: Duration = Duration::from_secs(6 * 3600);
/// Most bytes that are made room for because a provider announces them.
const MOST_ANNOUNCED: usize = 8 * 1024 * 1024;
/// Beginning of a download that rules for answers may look at.
const LOOKED_AT: usize = 64 * 1024;

/// A file that the body of a good answer is written to. Each attempt begins it anew.
pub struct Spool(Mutex<tokio::fs::File>);

impl Spool {
    pub fn into_file(file: File) -> Self {
        Self(Mutex::new(tokio::fs::File::from_std(file)))
    }

    /// The file, at its beginning.
    ///
    /// # Errors
    /// That it could not be written to its end.
    pub async fn finish(self) -> std::io::Result<File> {
        let mut file = self.0.into_inner();
        file.flush().await?;
        file.seek(SeekFrom::Start(0)).await?;
        Ok(file.into_std().await)
    }

    async fn begin(&self) -> std::io::Result<()> {
        let mut file = self.0.lock().await;
        file.set_len(0).await?;
        file.seek(SeekFrom::Start(0)).await.map(|_| ())
    }

    async fn write(&self, chunk: &[u8]) -> std::io::Result<()> {
        self.0.lock().await.write_all(chunk).await
    }
}

impl HttpGate {
    /// Reads a body in chunks; what a small compressed body inflates to is counted, not what arrived.
    pub(super) async fn body(
        &self,
        asked: &str,
        traffic: &TrafficMeter,
        response: &mut reqwest::Response,
    ) -> Result<Bytes, Failure> {
        // What the provider announces is believed up to a bound; what comes is counted all the same.
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let mut body = BytesMut::with_capacity(announced.min(MOST_ANNOUNCED).min(self.options.max_body_bytes));
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(asked, error))? {
            traffic.received(chunk.len());
            if body.len() + chunk.len() > self.options.max_body_bytes {
                let cap = self.options.max_body_bytes;
                let message = format!("{asked} answered with more than {cap} bytes (http.max_body_bytes)");
                return Err(Failure::Final(ConnectorError::new(ErrorKind::Decode, message)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// Writes a body to a file, and gives its beginning.
    pub(super) async fn body_into(
        &self,
        asked: &str,
        traffic: &TrafficMeter,
        response: &mut reqwest::Response,
        spool: &Spool,
    ) -> Result<Bytes, Failure> {
        let lost = |error: std::io::Error| {
            let message = format!("{asked}: the download cannot be written to a temporary file ({})", error.kind());
            Failure::Final(ConnectorError::new(ErrorKind::Unavailable, message))
        };
        spool.begin().await.map_err(lost)?;
        let (mut head, mut written) = (BytesMut::new(), 0_u64);
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(asked, error))? {
            traffic.received(chunk.len());
            written += chunk.len() as u64;
            let cap = self.options.max_download_bytes;
            if written > cap {
                let message = format!("{asked} answered with more than {cap} bytes (http.max_download_bytes)");
                return Err(Failure::Final(ConnectorError::new(ErrorKind::Decode, message)));
            }
            head.extend_from_slice(&chunk[..chunk.len().min(LOOKED_AT.saturating_sub(head.len()))]);
            spool.write(&chunk).await.map_err(lost)?;
        }
        Ok(head.freeze())
    }
}

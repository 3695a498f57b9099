//! What a job leaves to be downloaded, read in parts.
//!
//! Owns the way from the provider to the parts: into a file without a name, and from there row by row, on a thread of its own that is
//! never more than two parts ahead. A part that is asked for again, or by another process, is fetched anew and read up to its place.

use std::{
    collections::HashMap,
    fs::File,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{JobPlace, scratch};
use crate::{
    connector::{
        ConnectorError, ErrorKind,
        http::{Answer, Spool},
        manifest::{
            decode::{self, DecoderPlan, Head, Piece},
            engine::Scope,
            pull::Pull,
            select::Strictness,
        },
    },
    domain::record::{BrokenItem, Item},
};

/// Rows of one part.
const ROWS: usize = 1_000;

/// Which download, and how far it was read.
type Key = (String, usize, u64);

/// Downloads that are being read.
#[derive(Default)]
pub(in crate::connector::manifest) struct Downloads(Mutex<HashMap<Key, Rows>>);

impl Downloads {
    fn take(&self, key: &Key) -> Option<Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    /// Ends what nobody reads on.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn keep(&self, key: Key, rows: Rows) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, rows);
    }
}

/// A download while it is read. Dropping it ends its thread.
struct Rows {
    asked: String,
    next: Option<Vec<Piece>>,
    from: mpsc::Receiver<Result<Vec<Piece>, ConnectorError>>,
}

/// Some rows.
pub(super) struct Part {
    pub asked: String,
    pub bodies: Vec<Value>,
    pub broken: Vec<Item>,
    pub rows: u64,
    pub last: bool,
    /// About how large it is.
    pub bytes: usize,
}

impl Rows {
    async fn of(
        file: File,
        answer: &Answer,
        plan: DecoderPlan,
        strictness: Strictness,
    ) -> Result<Self, ConnectorError> {
        let (to, from) = mpsc::channel(1);
        let (status, headers) = (answer.status, answer.headers.clone());
        tokio::task::spawn_blocking(move || {
            let mut rows = Vec::new();
            let mut take = |piece: Piece| {
                rows.push(piece);
                // Nobody reads on: nothing more is wanted.
                rows.len() < ROWS || to.blocking_send(Ok(std::mem::take(&mut rows))).is_ok()
            };
            let read = decode::each(&plan, file, &Head { status, headers: &headers }, strictness, &mut take);
            let rest = if rows.is_empty() { Ok(()) } else { to.blocking_send(Ok(rows)) };
            if let (Err(error), Ok(())) = (read, rest) {
                let _ = to.blocking_send(Err(error));
            }
        });
        let mut rows = Self { asked: answer.asked.clone(), next: None, from };
        rows.next = rows.more().await?;
        Ok(rows)
    }

    async fn more(&mut self) -> Result<Option<Vec<Piece>>, ConnectorError> {
        let told =
            |error: ConnectorError| ConnectorError::new(error.kind, format!("{}: {}", self.asked, error.message));
        self.from.recv().await.transpose().map_err(told)
    }

    async fn part(&mut self) -> Result<Part, ConnectorError> {
        let pieces = self.next.take().unwrap_or_default();
        self.next = self.more().await?;
        let rows = pieces.len() as u64;
        let (mut bodies, mut broken) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Value(value) => bodies.push(value),
                Piece::Broken { place, text, reason } => broken.push(Item::Broken(BrokenItem { place, text, reason })),
            }
        }
        let bytes = bodies.first().map_or(0, |first| first.to_string().len()).saturating_mul(bodies.len());
        Ok(Part { asked: self.asked.clone(), bodies, broken, rows, last: self.next.is_none(), bytes })
    }
}

impl Pull<'_> {
    /// The rows at that place of a download.
    pub(super) async fn part_of(&self, scope: &Scope, at: &JobPlace) -> Result<Part, ConnectorError> {
        let downloads = &self.connector.downloads;
        let mut rows = match downloads.take(&(at.id.clone(), at.at, at.read)) {
            Some(rows) => rows,
            None => self.downloaded(scope, at).await?,
        };
        let part = rows.part().await?;
        if !part.last {
            downloads.keep((at.id.clone(), at.at, at.read + part.rows), rows);
        }
        Ok(part)
    }

    /// Fetches a download and goes to its place.
    async fn downloaded(&self, scope: &Scope, at: &JobPlace) -> Result<Rows, ConnectorError> {
        let spool = Spool::into_file(scratch::file().map_err(|error| no_room(&error))?);
        let answer = self.job_ask(&self.plan.request, scope, None, Some(&spool)).await?;
        let file = spool.finish().await.map_err(|error| no_room(&error))?;
        let mut rows = Rows::of(file, &answer, self.plan.decoder.clone(), self.connector.strictness()).await?;
        let mut read = 0;
        while read < at.read {
            let part = rows.part().await?;
            read += part.rows;
            if part.last || read > at.read {
                let message = format!("{}: the download is no longer what it was; begin the pull again", rows.asked);
                return Err(ConnectorError::new(ErrorKind::PositionExpired, message));
            }
        }
        Ok(rows)
    }
}

fn no_room(error: &std::io::Error) -> ConnectorError {
    let message =
        format!("a download cannot be kept in the folder for temporary files ({}); make room there", error.kind());
    ConnectorError::new(ErrorKind::Unavailable, message)
}

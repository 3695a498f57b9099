//! `read`: records and states of the streams that a platform wants.
//!
//! Owns the order of messages: a stream's records, then the state that covers them. A stream that fails is told and does not keep
//! the others from being read.

use std::{
    io::{self, Write},
    sync::Arc,
};

use serde_json::{Map, Value, json};

use super::{ConfiguredCatalog, Out, Source, SourceClock, message};
use crate::{
    connector::{Connector as _, ConnectorError, ErrorKind, PullRequest, TrafficMeter},
    domain::{record::Item, status::SyncMode},
};

/// What stands for the state of a stream without a cursor.
const NO_CURSOR: &str = "__ab_no_cursor_state_message";

/// What came of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub records: u64,
    /// Streams that could not be read to their end.
    pub failed: Vec<String>,
    /// Which streams there are could be told.
    pub told: bool,
}

/// Why a stream was not read to its end.
enum Stopped {
    Connector(ConnectorError),
    /// Nobody reads what we write.
    Output(io::Error),
}

impl Source {
    /// Reads the streams of a catalogue, one after the other; without one, all of them whole.
    ///
    /// # Errors
    /// Only of the output.
    pub async fn read(
        mut self,
        catalog: Option<&ConfiguredCatalog>,
        states: &Map<String, Value>,
        clock: &Arc<SourceClock>,
        out: &Out<impl Write + Send>,
    ) -> io::Result<Read> {
        if !self.assemble(out).await? {
            let wanted = catalog.iter().flat_map(|catalog| &catalog.streams).map(|(name, _)| name.clone());
            return Ok(Read { records: 0, failed: wanted.collect(), told: false });
        }
        let all: Vec<_> = self.connector.streams().iter().map(|s| (s.name.clone(), SyncMode::FullRefresh)).collect();
        let mut read = Read { records: 0, failed: Vec::new(), told: true };
        for (name, _) in catalog.map_or(&all, |catalog| &catalog.streams) {
            let now = || self.gate.clock().now().micros() / 1000;
            if self.connector.stream(name).is_none() {
                out.line(&message::error(name, &unknown(name).message, "config_error", now()))?;
                read.failed.push(name.clone());
                continue;
            }
            if let Some(schema) = catalog.and_then(|catalog| catalog.schemas.get(name)) {
                self.connector.want_schema(name, schema.clone());
            }
            out.line(&message::status(name, "STARTED", now()))?;
            match self.stream(name, states.get(name), clock, out).await {
                Ok(records) => {
                    read.records += records;
                    out.line(&message::status(name, "COMPLETE", now()))?;
                }
                Err(Stopped::Output(error)) => return Err(error),
                Err(Stopped::Connector(error)) => {
                    out.line(&message::status(name, "INCOMPLETE", now()))?;
                    out.line(&message::error(name, &error.message, failure(&error.kind), now()))?;
                    read.failed.push(name.clone());
                }
            }
        }
        out.flush()?;
        Ok(read)
    }

    async fn stream(
        &self,
        name: &str,
        state: Option<&Value>,
        clock: &Arc<SourceClock>,
        out: &Out<impl Write + Send>,
    ) -> Result<u64, Stopped> {
        // A platform that wants everything again gives no state; what it gives is used, whatever the mode.
        let given = state.filter(|state| state.as_object().is_some_and(|fields| !fields.is_empty()));
        let beginning = self.connector.beginning(name, given).map_err(Stopped::Connector)?;
        let beginning = beginning.ok_or_else(|| Stopped::Connector(unknown(name)))?;
        let has_cursor = beginning.spec().cursor_field.is_some();
        if beginning.anew {
            out.line(&message::state(name, &json!({}), 0)).map_err(Stopped::Output)?;
        }
        self.connector.prepare(&beginning).await.map_err(Stopped::Connector)?;
        let given = given.filter(|_| has_cursor && !beginning.anew);
        let mut request = PullRequest {
            stream: name.to_owned(),
            mode: if has_cursor { SyncMode::Incremental } else { SyncMode::FullRefresh },
            cursor: given.cloned(),
            position: None,
            started_at: self.gate.clock().now(),
            limit: None,
            traffic: Arc::new(TrafficMeter::default()),
        };
        let (mut records, mut since_state, mut running) = (0, 0, false);
        loop {
            let pulled = self.connector.pull(&request).await;
            for wait in clock.take_waits() {
                let text = format!("waited {:.3} s", wait.as_secs_f64());
                out.line(&message::log("INFO", &text)).map_err(Stopped::Output)?;
            }
            let now = self.gate.clock().now().micros() / 1000;
            if let Some(config) = self.connector.take_renewed_config() {
                out.line(&message::control(&config, now)).map_err(Stopped::Output)?;
            }
            let page = pulled.map_err(Stopped::Connector)?;
            if !running && !page.items.is_empty() {
                running = true;
                out.line(&message::status(name, "RUNNING", now)).map_err(Stopped::Output)?;
            }
            let payloads = page.items.iter().filter_map(|item| match item {
                Item::Record(record) => Some(&record.payload),
                Item::Broken(_) => None,
            });
            out.records(name, payloads, now).map_err(Stopped::Output)?;
            let came = page.items.iter().filter(|item| matches!(item, Item::Record(_))).count() as u64;
            records += came;
            since_state += came;
            if let Some(cursor) = page.cursor {
                out.line(&message::state(name, &cursor.state, since_state)).map_err(Stopped::Output)?;
                since_state = 0;
                if cursor.order.is_none() {
                    request.cursor = Some(cursor.state);
                }
            }
            match page.next {
                Some(next) => request.position = Some(next),
                None => break,
            }
        }
        if !has_cursor {
            let state = json!({NO_CURSOR: true});
            out.line(&message::state(name, &state, since_state)).map_err(Stopped::Output)?;
        }
        Ok(records)
    }
}

fn unknown(name: &str) -> ConnectorError {
    ConnectorError::new(ErrorKind::Settings, format!("the manifest has no stream '{name}'"))
}

/// Who can help, in the protocol's words.
pub(super) fn failure(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unauthorized
        | ErrorKind::Forbidden
        | ErrorKind::Settings
        | ErrorKind::CursorUnfit
        | ErrorKind::Policy => "config_error",
        ErrorKind::RateLimited { .. } | ErrorKind::Unavailable => "transient_error",
        ErrorKind::Rejected
        | ErrorKind::Decode
        | ErrorKind::PositionExpired
        | ErrorKind::Vault
        | ErrorKind::Stuck
        | ErrorKind::AccountMismatch => "system_error",
    }
}

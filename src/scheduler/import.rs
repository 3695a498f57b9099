//! An import as a run: the field map that it was opened with, its batch, then the pages.
//!
//! Owns what an import has that a pull has not. Refuses a field map that was changed between the person's look and the run.

use std::{sync::Arc, time::Duration};

use super::worker::{Prepared, Worker, scope};
use crate::{
    connector::{ConnectorError, ErrorKind, file::import::ImportFile},
    domain::{ids::JobId, status::RunOrigin},
    mapping::FieldMap,
    pipeline::{Ending, Limits, OnProgress, Outcome, Stop, StopReason, import::Import, rehearsal::Rehearsed},
    store::{StoreError, imports::NewBatch, lease::Held},
};

/// A file to be imported.
#[derive(Debug, Clone)]
pub struct FileTask {
    pub file: Arc<ImportFile>,
    pub batch: NewBatch,
    /// The version of the field map that the columns were matched with.
    pub map_version: String,
}

impl Worker {
    /// The field map in force for a job's stream; the inner error: it cannot be told, or cannot be loaded.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn field_map(&self, job: JobId) -> Result<Result<Option<Arc<FieldMap>>, ConnectorError>, StoreError> {
        Ok(self.prepare(job).await?.entry.map(|entry| entry.map(|entry| entry.map)))
    }

    /// What an import of this file would be; writes nothing by itself.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rehearsed(
        &self,
        job: JobId,
        file: Arc<ImportFile>,
        map: Arc<FieldMap>,
    ) -> Result<Rehearsed, StoreError> {
        let Prepared { job, connection, .. } = self.prepare(job).await?;
        Ok(Rehearsed {
            store: Arc::clone(&self.store),
            connection: connection.id,
            stream: job.spec.stream,
            account: connection.spec.provider_account_id.as_str().into(),
            map,
            file,
            limits: self.options.limits,
        })
    }

    pub(super) async fn import(
        &self,
        held: &Held,
        prepared: &Prepared,
        task: &FileTask,
        stop: &Stop,
        on_progress: OnProgress,
    ) -> Outcome {
        let Some(map) = prepared.map.clone().filter(|map| map.version == task.map_version) else {
            let message = format!("the field map of stream '{}' was changed while the file was opened", held.stream);
            return Outcome::of(Ending::Connector(ConnectorError::new(ErrorKind::Settings, message)));
        };
        match self.store.begin_import(&held.lease, held.run, &task.batch).await {
            Ok(Some(_)) => {}
            Ok(None) => return Outcome::of(Ending::Stopped(StopReason::LeaseLost)),
            Err(error) => return Outcome::of(Ending::Store(error)),
        }
        // Nobody would go on behind a bound: a file is read to its end or not at all.
        let limits = Limits { max_pages: u64::MAX, max_duration: Duration::MAX, ..self.options.limits };
        Import {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            scope: scope(held, Some(&map), RunOrigin::Import),
            map,
            account: prepared.connection.spec.provider_account_id.as_str().into(),
            file: Arc::clone(&task.file),
            had_dead_letters: held.open_dead_letters > 0,
            limits,
            stop: stop.clone(),
            on_progress,
        }
        .run()
        .await
    }
}

/// What to do about an import that did not end well: nothing goes on by itself.
pub(super) fn remedy(code: &str, remedy: &str) -> String {
    match code {
        "error_budget_exceeded" => {
            "see: tidegate errors list --group; mend the file, its columns (--map) or the field map, then import it again: rows that are there stay as they are".to_owned()
        }
        "shutdown" | "paused" | "lease_lost" | "database_unavailable" => {
            "import the file again: rows that are there are found unchanged".to_owned()
        }
        "settings_invalid" => "import the file again when it is no longer written to; see tidegate validate".to_owned(),
        _ => format!("{remedy}; then import the file again"),
    }
}

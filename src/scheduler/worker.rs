//! One job from claim to finish: build the connector, pull or replay, write the run's one final status.
//!
//! Owns the life of a run. What an ending means is `policy`'s; what a page is, `pipeline`'s. A run always leaves a row (P6): the
//! claim writes it before anything can fail.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{holder::Holder, import::FileTask, repairs::RepairOptions, turns::Turns};
use crate::{
    connector::{
        Connector, ConnectorError, ErrorKind,
        http::HttpGate,
        registry::{Catalogue, ConnectionFacts},
    },
    domain::{
        clock::{Clock, Timestamp},
        counts::Counts,
        ids::{JobId, RunId},
        status::{RunOrigin, RunStatus},
    },
    mapping::FieldMap,
    metrics::Outcome as Publication,
    pipeline::{
        Ending, Limits, OnProgress, Outcome, Stop,
        gatekeeper::{Ended, Gatekeeper},
        in_force::{self, InForce},
        intake::OnSettled,
        replay::{Replay, Selection},
    },
    store::{
        SharedStore, StoreError,
        catalogue::{Connection, Job},
        lease::{Claim, Claimed, Held},
        page::PageScope,
    },
    telemetry::chain,
    vault::Vault,
};

/// What is to be done with a job.
#[derive(Debug, Clone)]
pub enum Task {
    /// Read from the provider. `full` reads past the cursor without moving it back.
    Pull { full: bool },
    /// Read so many records, marked as a test; no cursor moves.
    TestBatch { records: usize },
    /// Read a file that a person brings; nothing of the job's own pull moves.
    Import(Box<FileTask>),
    /// Normalise again from raw.
    Replay { selections: Vec<Selection> },
    /// Decide the records that waiting webhook deliveries brought; `attempts` is how often that did not get through.
    Intake { attempts: i64, settled: OnSettled },
    /// Take back what a run wrote.
    Void { run: RunId },
}

/// A job and what is to be done with it.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub job: JobId,
    pub origin: RunOrigin,
    pub task: Task,
}

/// What came of an assignment.
#[derive(Debug, Clone)]
pub enum Report {
    Ran(Box<RunReport>),
    /// Another holder has the job.
    Busy {
        connection_key: String,
        stream: String,
        holder: Option<String>,
        until: Option<Timestamp>,
    },
    /// The job killed its worker too often and is set aside.
    Quarantined {
        connection_key: String,
        stream: String,
    },
}

/// A finished run, for whoever watches.
#[derive(Debug, Clone)]
pub struct RunReport {
    pub run: RunId,
    pub connection_key: String,
    pub stream: String,
    pub status: RunStatus,
    pub counts: Counts,
    pub pages: u64,
    pub code: Option<String>,
    pub message: Option<String>,
    pub remedy: Option<String>,
    pub took: Duration,
}

/// Settings of a worker, as plain values.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    pub limits: Limits,
    pub quarantine_after: i64,
    /// From this many failures in a row on, a job that does not move is an error in the log (P9).
    pub stalled_after: i64,
    /// Share of a wait after a failure that is left to chance.
    pub jitter_share: f64,
    pub repairs: RepairOptions,
}

/// Does jobs, one at a time or many at once; holds nothing between them.
pub struct Worker {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    pub catalogue: Arc<Catalogue>,
    pub gate: Arc<HttpGate>,
    pub vault: Arc<Vault>,
    /// What follows a run.
    pub gatekeeper: Arc<Gatekeeper>,
    pub holder: Holder,
    /// Streams that wait for one another.
    pub turns: Turns,
    pub options: WorkerOptions,
}

/// What is known of a job before it is claimed.
pub(super) struct Prepared {
    pub(super) job: Job,
    pub(super) connection: Connection,
    /// The field map in force.
    pub(super) map: Option<Arc<FieldMap>>,
    /// How it stands, or why none can be used.
    pub(super) entry: Result<Option<InForce>, ConnectorError>,
}

impl Worker {
    /// Claims the job, does the task, finishes the run.
    ///
    /// # Errors
    /// Only of the store, and only when no run could be begun; what happens later is in the run's row and in the report.
    pub async fn run(
        &self,
        assignment: &Assignment,
        shutdown: &CancellationToken,
        on_progress: OnProgress,
    ) -> Result<Report, StoreError> {
        let prepared = self.prepare(assignment.job).await?;
        let (connection_key, stream) = (prepared.job.spec.connection_key.clone(), prepared.job.spec.stream.clone());
        let owner = prepared.job.lease_owner.clone();
        let _turn = match self.turn(&prepared, &assignment.task, shutdown).await? {
            Ok(turn) => turn,
            Err(busy) => return Ok(busy),
        };
        let claim = Claim {
            job: assignment.job,
            seen_fence: prepared.job.fence,
            worker: self.holder.name().to_owned(),
            ttl: self.options.limits.lease_ttl,
            origin: assignment.origin,
            mapping_version: prepared.map.as_ref().map(|m| m.version.clone()),
            dead_owner: owner.clone().filter(|o| self.holder.is_dead(o)),
            quarantine_after: self.options.quarantine_after,
        };
        let asked = self.clock.monotonic();
        match self.store.claim(&claim).await? {
            Claimed::Lost => {
                Ok(Report::Busy { connection_key, stream, holder: owner, until: prepared.job.lease_until })
            }
            Claimed::Quarantined => {
                tracing::error!(
                    connection = %connection_key, stream = %stream,
                    "job is quarantined: its worker died {} times in a row; see deploy/runbook.md, then: tidegate jobs resume",
                    self.options.quarantine_after
                );
                Ok(Report::Quarantined { connection_key, stream })
            }
            Claimed::Held(held) => {
                let span = tracing::info_span!("run", run = held.run.0, connection = %connection_key, stream = %stream);
                let report =
                    self.held(*held, prepared, assignment, asked, shutdown, on_progress).instrument(span).await;
                Ok(Report::Ran(Box::new(report)))
            }
        }
    }

    pub(super) async fn prepare(&self, id: JobId) -> Result<Prepared, StoreError> {
        let gone = |what: &str| StoreError::Inconsistent {
            table: "integration_sync_jobs",
            column: "id",
            row: id.to_string(),
            detail: format!("{what} is gone"),
        };
        let job = self.store.job(id).await?.ok_or_else(|| gone("the job"))?;
        let connection =
            self.store.connection(&job.spec.connection_key).await?.ok_or_else(|| gone("the job's connection"))?;
        let states = self.store.field_maps(Some(&job.provider_key)).await?;
        let entry = match self.catalogue.folder(&job.provider_key) {
            Some(folder) => in_force::of_loaded(folder, &job.spec.stream, &states).await,
            None => Ok(None),
        };
        let map = entry.as_ref().ok().and_then(|entry| entry.as_ref().map(|entry| Arc::clone(&entry.map)));
        Ok(Prepared { job, connection, map, entry })
    }

    async fn held(
        &self,
        held: Held,
        prepared: Prepared,
        assignment: &Assignment,
        asked: Duration,
        shutdown: &CancellationToken,
        on_progress: OnProgress,
    ) -> RunReport {
        let began = self.clock.monotonic();
        for run in &held.abandoned {
            tracing::warn!(abandoned = run.0, "closed a run whose worker died or lost its lease");
        }
        let stop = Stop::new();
        let heartbeat = self.heartbeat(&held.lease, &prepared.job.spec.connection_key, asked, &stop, shutdown);
        let work = self.work(&held, &prepared, assignment, &stop, on_progress);
        let outcome = tokio::select! {
            outcome = work => outcome,
            never = heartbeat => match never {},
        };
        let report = self.finish(&held, &prepared, assignment, outcome, began).await;
        if let Task::Intake { attempts, .. } = assignment.task
            && report.status == RunStatus::Failed
        {
            self.put_off(&held, attempts, report.code.as_deref().unwrap_or_default()).await;
        }
        self.judge(&report, assignment, shutdown).await;
        report
    }

    /// Checks the connection and publishes what passes. The run is over and keeps its outcome; a stop comes first, and what is not done
    /// now is done after the next run.
    async fn judge(&self, report: &RunReport, assignment: &Assignment, shutdown: &CancellationToken) {
        if report.status == RunStatus::Abandoned || shutdown.is_cancelled() {
            return;
        }
        let c = &report.counts;
        let ended = Ended {
            connection_key: report.connection_key.clone(),
            run: report.run,
            status: report.status,
            news: c.created + c.updated + c.ignored + c.failed > 0,
            test: matches!(assignment.task, Task::TestBatch { .. }),
        };
        match self.gatekeeper.after(&ended).await {
            Ok(published) => {
                for one in published {
                    let metric = one.report.metric_key.as_str();
                    match one.outcome {
                        Publication::Unchanged => {}
                        Publication::Published => tracing::info!(metric, "published"),
                        Publication::Held(reasons) => {
                            tracing::info!(metric, reasons = reasons.len(), "held; see tidegate metrics show")
                        }
                    }
                }
            }
            Err(error) => tracing::error!(error = %chain(&error), "the checks after the run could not be made"),
        }
    }

    async fn work(
        &self,
        held: &Held,
        prepared: &Prepared,
        assignment: &Assignment,
        stop: &Stop,
        on_progress: OnProgress,
    ) -> Outcome {
        if let Err(ending) = self.enter(&prepared.entry, held.open_dead_letters > 0).await {
            return Outcome::of(ending);
        }
        match &assignment.task {
            Task::Pull { .. } | Task::TestBatch { .. } => {
                self.pull(held, prepared, assignment, stop, on_progress).await
            }
            Task::Import(task) => self.import(held, prepared, task, stop, on_progress).await,
            Task::Intake { settled, .. } => self.take_in(held, prepared, settled, stop, on_progress).await,
            Task::Void { run } => self.take_back(held, prepared, assignment, *run, stop, on_progress).await,
            Task::Replay { selections } => {
                let Some(map) = prepared.map.clone() else { return without_map(held) };
                let scope = scope(held, Some(&map), assignment.origin);
                Replay {
                    store: Arc::clone(&self.store),
                    clock: Arc::clone(&self.clock),
                    map,
                    scope,
                    account: prepared.connection.spec.provider_account_id.as_str().into(),
                    selections: selections.clone(),
                    limits: self.options.limits,
                    stop: stop.clone(),
                    on_progress,
                }
                .run()
                .await
            }
        }
    }

    /// Sees to it that the map in force is so in the store too; where dead letters wait, that those of another version are due.
    async fn enter(&self, entry: &Result<Option<InForce>, ConnectorError>, letters: bool) -> Result<(), Ending> {
        let wrong = |text: &str| Ending::Connector(ConnectorError::new(ErrorKind::Settings, text));
        match entry {
            Err(error) => Err(wrong(&error.message)),
            Ok(None) => Ok(()),
            Ok(Some(entry)) => match in_force::enter(&self.store, entry, letters).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(text)) => Err(wrong(&text)),
                Err(error) => Err(Ending::Store(error)),
            },
        }
    }

    /// The connector of a connection, with its secret's source.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`]: no such folder, or the connection's config does not fit it.
    pub fn connector(&self, connection: &Connection) -> Result<Arc<dyn Connector>, ConnectorError> {
        let spec = &connection.spec;
        let folder = self.catalogue.folder(&spec.provider_key).ok_or_else(|| {
            let what = format!("provider '{}' has no usable folder in connectors.dirs", spec.provider_key);
            ConnectorError::new(ErrorKind::Settings, format!("{what}; see tidegate validate"))
        })?;
        folder.connector(ConnectionFacts {
            connection_key: spec.connection_key.clone(),
            provider_account_id: spec.provider_account_id.clone(),
            config: spec.config.clone(),
            credential: self.vault.source(connection)?,
            gate: Arc::clone(&self.gate),
        })
    }
}

/// Nothing can be mapped again.
pub(super) fn without_map(held: &Held) -> Outcome {
    let what = format!("stream '{}' has no field map to replay through", held.stream);
    Outcome::of(Ending::Connector(ConnectorError::new(ErrorKind::Settings, what)))
}

pub(super) fn scope(held: &Held, map: Option<&FieldMap>, origin: RunOrigin) -> PageScope {
    PageScope {
        lease: held.lease.clone(),
        run: held.run,
        connection_id: held.connection_id,
        client_id: held.client_id,
        provider_key: held.provider_key.clone(),
        source_label: held.source_label.clone(),
        stream: held.stream.clone(),
        object_type: map.map_or_else(|| held.stream.clone(), |m| m.object_type.clone()),
        origin: origin.way_in(),
        is_test: origin == RunOrigin::TestBatch,
        mapping_version: map.map(|m| m.version.clone()),
    }
}

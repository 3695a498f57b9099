//! The acts on a client's numbers: take, publish, approve, set a baseline.
//!
//! Owns which connection stands for a metric under a source label. Each act reads, decides with pure functions, and writes where
//! what it read still stands.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Verdicts,
    baseline::{self, Declared},
    definitions::Definitions,
    feeds::{Feed, Feeds},
    publish::{self, Case, Decision},
    snapshot,
    window::Window,
};
use crate::{
    domain::{
        clock::Clock,
        gate::Verdict,
        ids::ClientId,
        metric::Definition,
        status::{ApprovalState, ConnectionStatus, Environment, ReportStatus},
    },
    store::{
        SharedStore, StoreError,
        catalogue::{AdminAction, Client, Connection},
        metrics::{BaselineSet, Snapshot},
        reports::Report,
    },
};

/// Somebody else wrote between reading and writing; after so many tries that is told as an error.
const TRIES: u32 = 5;

/// What the acts stand on.
#[derive(Clone, Copy)]
pub struct Desk<'d> {
    pub store: &'d SharedStore,
    pub definitions: &'d Definitions,
    pub feeds: &'d Feeds,
    pub clock: &'d dyn Clock,
    /// Connections of these environments feed a client's numbers; those of others are trials.
    pub environments: &'d [Environment],
}

/// A metric of a client under a source label, with the connections that feed it.
#[derive(Clone)]
pub struct Entry {
    pub definition: Arc<Definition>,
    pub source_label: String,
    /// At least one; several cannot be published under one label.
    pub connections: Vec<Connection>,
}

impl Entry {
    fn rivals(&self) -> Vec<String> {
        self.connections.iter().map(|connection| connection.spec.connection_key.clone()).collect()
    }
}

/// How an attempt to publish ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What the client sees, or what stands behind it, was written.
    Published,
    /// It stood already.
    Unchanged,
    Held(Vec<String>),
}

/// One attempt to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub connection_key: String,
    pub outcome: Outcome,
    /// What stands now.
    pub report: Report,
}

/// How the wish for a baseline ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaselineOutcome {
    Added { version: i64, snapshot: Snapshot },
    Stands { version: i64, snapshot: Snapshot },
    Refused(Vec<String>),
}

impl Desk<'_> {
    /// What is fed for a client, by metric and source label. Revoked connections feed nothing; a draft steps back where another
    /// connection has its label.
    ///
    /// # Errors
    /// Those of the store, here as below.
    pub async fn entries(&self, client: ClientId, metric: Option<&str>) -> Result<Vec<Entry>, StoreError> {
        let mut entries: BTreeMap<(String, String), Entry> = BTreeMap::new();
        let states = if self.feeds.have_versions() { self.store.field_maps(None).await? } else { Vec::new() };
        for connection in self.store.connections().await? {
            let live = self.environments.contains(&connection.spec.environment);
            if connection.client_id != client || connection.status == ConnectionStatus::Revoked || !live {
                continue;
            }
            let jobs = self.store.job_facts(connection.client_id, connection.id).await?;
            let feed = self.feeds.of(&connection.spec.provider_key);
            // A stream that nobody declared for this client is no gap of its numbers. Who asks for one number is told why there is none.
            let is_read = |definition: &Definition| match feed.and_then(|feed| feed.streams_of(definition.source)) {
                Some(streams) => metric.is_some() || jobs.iter().any(|job| streams.contains(&job.stream.as_str())),
                None => true,
            };
            let fed = self.feeds.fed(&connection.spec.provider_key, self.definitions, &states);
            let fed = fed.filter(|definition| is_read(definition));
            for definition in fed.filter(|definition| metric.is_none_or(|wanted| wanted == definition.key)) {
                let key = &definition.key;
                let label = connection.spec.source_label.clone();
                let entry = entries.entry((key.clone(), label.clone())).or_insert_with(|| Entry {
                    definition: Arc::clone(definition),
                    source_label: label,
                    connections: Vec::new(),
                });
                entry.connections.push(connection.clone());
            }
        }
        let mut entries: Vec<Entry> = entries.into_values().collect();
        for entry in &mut entries {
            let is_draft = |connection: &Connection| connection.status == ConnectionStatus::Draft;
            if !entry.connections.iter().all(is_draft) {
                entry.connections.retain(|connection| !is_draft(connection));
            }
        }
        Ok(entries)
    }

    /// Takes the number of a window, or keeps the one that says the same.
    pub async fn snapshot(
        &self,
        definition: &Definition,
        connection: &Connection,
        window: &Window,
    ) -> Result<Snapshot, StoreError> {
        let nothing = Feed::default();
        let feed = self.feeds.of(&connection.spec.provider_key).unwrap_or(&nothing);
        snapshot::take(self.store, definition, feed, connection, window, self.clock.now()).await
    }

    async fn last(&self, definition: &Definition, connection: &Connection) -> Result<Option<Snapshot>, StoreError> {
        match Window::last_ended(definition.period, definition.zone, self.clock.now()) {
            None => Ok(None),
            Some(window) => self.snapshot(definition, connection, &window).await.map(Some),
        }
    }

    /// Takes the numbers of the last ended windows, then publishes each that the gate lets through. What nobody feeds any more is
    /// held, with that as its reason.
    pub async fn publish(
        &self,
        client: &Client,
        metric: Option<&str>,
        verdicts: &Verdicts,
    ) -> Result<Vec<Published>, StoreError> {
        let mut taken = Vec::new();
        // All numbers first: one of them counts what is published.
        for entry in self.entries(client.id, metric).await? {
            let mut last = None;
            for connection in &entry.connections {
                last = self.last(&entry.definition, connection).await?;
            }
            taken.push((entry, last));
        }
        let mut published = Vec::new();
        for (entry, last) in &taken {
            published.push(self.put(entry, last.as_ref(), verdicts, None).await?);
        }
        for report in self.store.reports(client.id).await? {
            let fed = taken
                .iter()
                .any(|(e, _)| e.definition.key == report.metric_key && e.source_label == report.source_label);
            if !fed && metric.is_none_or(|wanted| wanted == report.metric_key) {
                published.extend(self.orphan(report).await?);
            }
        }
        Ok(published)
    }

    /// A row that no connection feeds any more: what the client sees stays, and why it is old can be read.
    async fn orphan(&self, report: Report) -> Result<Option<Published>, StoreError> {
        let reason = format!("no connection feeds {} under '{}' any more", report.metric_key, report.source_label);
        let held = Report {
            status: ReportStatus::Held,
            held_reason: Some(reason.clone()),
            attempted_at: self.clock.now(),
            ..report.clone()
        };
        let written = self.store.write_report(Some(&report), &held, None).await?;
        Ok(written.then(|| Published {
            connection_key: String::new(),
            outcome: Outcome::Held(vec![reason]),
            report: held,
        }))
    }

    /// Decides and writes, again when somebody wrote meanwhile.
    async fn put(
        &self,
        entry: &Entry,
        snapshot: Option<&Snapshot>,
        verdicts: &Verdicts,
        approval: Option<&AdminAction>,
    ) -> Result<Published, StoreError> {
        let rivals = entry.rivals();
        let Some(first) = entry.connections.first() else { return Err(gone(entry)) };
        let (key, label) = (&entry.definition.key, &entry.source_label);
        for _ in 0..TRIES {
            let stands = self.store.report(first.client_id, key, label).await?;
            // Among rivals, the one that stands keeps its row.
            let connection = stands
                .as_ref()
                .and_then(|stands| entry.connections.iter().find(|c| c.id == stands.connection_id))
                .unwrap_or(first);
            let baseline = self.store.baseline(connection.client_id, key, label).await?;
            let never = Verdict::default();
            let case = Case {
                definition: &entry.definition,
                connection,
                provider_names: self.feeds.of(&connection.spec.provider_key).map_or(&[], |feed| &feed.names),
                snapshot: snapshot.filter(|_| rivals.len() == 1),
                baseline: baseline.as_ref(),
                verdict: verdicts.get(&connection.id).unwrap_or(&never),
                stands: stands.as_ref(),
                rivals: &rivals,
                approved_by: approval.map(|act| act.actor.as_str()),
                now: self.clock.now(),
            };
            let (next, outcome) = match publish::decide(&case) {
                Decision::Unchanged => match stands {
                    Some(report) => {
                        let connection_key = connection.spec.connection_key.clone();
                        return Ok(Published { connection_key, outcome: Outcome::Unchanged, report });
                    }
                    None => continue,
                },
                Decision::Publish(next) => (next, Outcome::Published),
                Decision::Hold(next, reasons) => (next, Outcome::Held(reasons)),
            };
            let act = approval.filter(|_| outcome == Outcome::Published);
            if self.store.write_report(stands.as_ref(), &next, act).await? {
                let connection_key = connection.spec.connection_key.clone();
                return Ok(Published { connection_key, outcome, report: *next });
            }
        }
        Err(gone(entry))
    }

    /// Lets the waiting number through, if it is still the newest and the gate still passes.
    pub async fn approve(
        &self,
        entry: &Entry,
        verdicts: &Verdicts,
        action: &AdminAction,
    ) -> Result<Published, StoreError> {
        let Some(connection) = entry.connections.first() else { return Err(gone(entry)) };
        let (key, label) = (&entry.definition.key, &entry.source_label);
        let stands = self.store.report(connection.client_id, key, label).await?;
        let waiting = stands.as_ref().and_then(|stands| stands.pending_snapshot_id);
        let snapshot = self.last(&entry.definition, connection).await?;
        if waiting.is_some() && waiting == snapshot.as_ref().map(|snapshot| snapshot.id) {
            return self.put(entry, snapshot.as_ref(), verdicts, Some(action)).await;
        }
        // Nothing waits, or another number than the one that was looked at: it is put up anew, and told.
        let mut published = self.put(entry, snapshot.as_ref(), verdicts, None).await?;
        let changed = waiting.is_some() && published.report.approval_state == ApprovalState::Draft;
        let mut reasons = vec![if changed {
            "the number has changed since it was put up; look at it again, then approve".to_owned()
        } else {
            "no number waits for approval".to_owned()
        }];
        if let Outcome::Held(more) = published.outcome {
            reasons.extend(more);
        }
        published.outcome = Outcome::Held(reasons);
        Ok(published)
    }

    /// Makes a window's number the baseline, or says everything against it.
    pub async fn set_baseline(
        &self,
        entry: &Entry,
        window: &Window,
        verdicts: &Verdicts,
        action: &AdminAction,
    ) -> Result<BaselineOutcome, StoreError> {
        let [connection] = entry.connections.as_slice() else { return Ok(several(entry)) };
        let snapshot = self.snapshot(&entry.definition, connection, window).await?;
        let never = Verdict::default();
        let verdict = verdicts.get(&connection.id).unwrap_or(&never);
        let reasons = baseline::refusals(&entry.definition, connection, &snapshot, verdict, self.clock.now());
        if reasons.is_empty() { self.keep(snapshot, action).await } else { Ok(BaselineOutcome::Refused(reasons)) }
    }

    /// Makes a number that is known from before the connection the baseline.
    pub async fn declare_baseline(
        &self,
        entry: &Entry,
        window: &Window,
        declared: &Declared,
        action: &AdminAction,
    ) -> Result<BaselineOutcome, StoreError> {
        let [connection] = entry.connections.as_slice() else { return Ok(several(entry)) };
        match declared.number(&entry.definition, connection, window, self.clock.now()) {
            Err(reasons) => Ok(BaselineOutcome::Refused(reasons)),
            Ok(number) => {
                let snapshot = self.store.take_snapshot(&number).await?;
                self.keep(snapshot, action).await
            }
        }
    }

    async fn keep(&self, snapshot: Snapshot, action: &AdminAction) -> Result<BaselineOutcome, StoreError> {
        let reason = action.reason.clone().unwrap_or_default();
        Ok(match self.store.set_baseline(&snapshot, &reason, action).await? {
            BaselineSet::Added { version } => BaselineOutcome::Added { version, snapshot },
            BaselineSet::Stands { version } => BaselineOutcome::Stands { version, snapshot },
            BaselineSet::NotFit => BaselineOutcome::Refused(vec!["the stored number is not fit to be one".to_owned()]),
        })
    }
}

fn several(entry: &Entry) -> BaselineOutcome {
    BaselineOutcome::Refused(vec![format!(
        "{} feed {} under the source label '{}'; give each its own label",
        entry.rivals().join(" and "),
        entry.definition.key,
        entry.source_label
    )])
}

fn gone(entry: &Entry) -> StoreError {
    StoreError::Constraint {
        constraint: "report_metrics".to_owned(),
        detail: format!(
            "{} under '{}' is being written by others; try again",
            entry.definition.key, entry.source_label
        ),
    }
}

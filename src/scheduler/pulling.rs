//! A job's pull as a run: whose account it is, whose deliveries it repairs, then the pages.
//!
//! Owns what a pull needs besides its pages. The pages are the pipeline's, the run's end is `finish`'s.

use std::sync::Arc;

use super::worker::{Assignment, Prepared, Task, Worker, scope};
use crate::{
    connector::TrafficMeter,
    domain::status::RunOrigin,
    pipeline::{Ending, OnProgress, Outcome, Stop, pull::Pull},
    store::lease::Held,
};

impl Worker {
    pub(super) async fn pull(
        &self,
        held: &Held,
        prepared: &Prepared,
        assignment: &Assignment,
        stop: &Stop,
        on_progress: OnProgress,
    ) -> Outcome {
        let connector = match self.connector(&prepared.connection) {
            Ok(connector) => connector,
            Err(error) => return Outcome::of(Ending::Connector(error)),
        };
        let asking = Arc::new(TrafficMeter::default());
        if let Err(ending) = self.prove_account(connector.as_ref(), &prepared.connection, stop, &asking).await {
            return Outcome { traffic: asking.take(), ..Outcome::of(ending) };
        }
        let (full, test_batch) = match &assignment.task {
            Task::Pull { full } => (*full, None),
            Task::TestBatch { records } => (false, Some(*records)),
            // Never asked of the provider.
            Task::Import(_) | Task::Replay { .. } | Task::Intake { .. } | Task::Void { .. } => (false, None),
        };
        // A test batch, and what a person reads again as a whole, finds what no delivery ever spoke of.
        let polls = test_batch.is_none() && !full && assignment.origin != RunOrigin::Backfill;
        let repairs = if polls { self.repair_window(held, prepared).await } else { None };
        let spec = &prepared.connection.spec;
        let folder = self.catalogue.folder(&spec.provider_key);
        let question = folder.map(|folder| folder.question(&spec.provider_account_id, &spec.config));
        let origin = if test_batch.is_some() { RunOrigin::TestBatch } else { RunOrigin::Schedule };
        let mut outcome = Pull {
            store: Arc::clone(&self.store),
            connector,
            clock: Arc::clone(&self.clock),
            map: prepared.map.clone(),
            scope: scope(held, prepared.map.as_deref(), origin),
            account: spec.provider_account_id.as_str().into(),
            question: question.unwrap_or_default(),
            mode: held.sync_mode,
            cursor: held.cursor.clone(),
            resume: held.resume.clone(),
            had_dead_letters: held.open_dead_letters > 0,
            first_listing: prepared.job.last_complete_at.is_none(),
            limits: self.options.limits,
            test_batch,
            full,
            repairs,
            stop: stop.clone(),
            on_progress,
        }
        .run()
        .await;
        outcome.traffic.add(&asking.take());
        outcome
    }
}

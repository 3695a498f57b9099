//! A job's run that takes back what another run of it wrote.

use std::sync::Arc;

use super::worker::{Assignment, Prepared, Worker, scope, without_map};
use crate::{
    domain::ids::RunId,
    pipeline::{OnProgress, Outcome, Stop, void::Void},
    store::lease::Held,
};

impl Worker {
    /// Takes back `run`, under the lease of the job that both are of.
    pub(super) async fn take_back(
        &self,
        held: &Held,
        prepared: &Prepared,
        assignment: &Assignment,
        run: RunId,
        stop: &Stop,
        on_progress: OnProgress,
    ) -> Outcome {
        let Some(map) = prepared.map.clone() else { return without_map(held) };
        Void {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            scope: scope(held, Some(&map), assignment.origin),
            map,
            account: prepared.connection.spec.provider_account_id.as_str().into(),
            run,
            limits: self.options.limits,
            stop: stop.clone(),
            on_progress,
        }
        .run()
        .await
    }
}

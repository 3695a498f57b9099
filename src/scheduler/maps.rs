//! Field maps in force, and the dead letters that wait for another version of theirs.
//!
//! Owns when those are released where no run of their job comes first. Which map is in force is the pipeline's answer; which letters
//! wait is the store's; that they are due then is `due`'s.

use std::collections::BTreeSet;

use super::worker::Worker;
use crate::{
    pipeline::in_force,
    store::{StoreError, catalogue::JobFilter},
    telemetry::chain,
};

/// Puts the field maps of this start in force, so that dead letters of a version that was mended while nothing ran need not wait for their
/// job's next run. What is wrong with a map, its run tells.
pub async fn in_force(worker: &Worker) {
    if let Err(error) = released(worker).await {
        tracing::error!(error = %chain(&error), "the field maps could not be looked at");
    }
}

async fn released(worker: &Worker) -> Result<(), StoreError> {
    let jobs = worker.store.jobs(&JobFilter::default()).await?;
    let waiting = jobs.iter().filter(|job| job.open_dead_letters > 0);
    let streams: BTreeSet<(&str, &str)> =
        waiting.map(|job| (job.provider_key.as_str(), job.spec.stream.as_str())).collect();
    for (provider, stream) in streams {
        let Some(folder) = worker.catalogue.folder(provider) else { continue };
        let states = worker.store.field_maps(Some(provider)).await?;
        if let Ok(Some(entry)) = in_force::of_loaded(folder, stream, &states).await
            && let Err(wrong) = in_force::enter(&worker.store, &entry, true).await?
        {
            tracing::warn!(provider, stream, error = %wrong, "the field map is not put in force");
        }
    }
    Ok(())
}

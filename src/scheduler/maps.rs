//! Field maps in force, and the dead letters that wait for another version of theirs.
//!
//! Owns when those are released. Which letters they are is the store's; that they are due then is `due`'s.

use std::collections::BTreeSet;

use super::worker::Worker;
use crate::{mapping::FieldMap, pipeline::Ending, store::catalogue::JobFilter, telemetry::chain};

impl Worker {
    /// Remembers the map; where dead letters wait, releases those that another version made.
    pub(super) async fn in_force(&self, map: &FieldMap, letters: bool) -> Result<(), Ending> {
        self.remember(map).await?;
        if letters {
            let released = self.store.release_for_map(&map.provider_key, &map.stream, &map.version).await;
            let released = released.map_err(Ending::Store)?;
            if released > 0 {
                tracing::info!(released, version = %map.version, "dead letters of another version of the field map are tried again");
            }
        }
        Ok(())
    }
}

/// Puts the field maps of this start in force, so that dead letters of a version that was mended while nothing ran need not wait for their
/// job's next run. What is wrong with a map, its run tells.
pub async fn in_force(worker: &Worker) {
    let jobs = match worker.store.jobs(&JobFilter::default()).await {
        Ok(jobs) => jobs,
        Err(error) => return tracing::error!(error = %chain(&error), "the field maps could not be looked at"),
    };
    let waiting = jobs.iter().filter(|job| job.open_dead_letters > 0);
    let streams: BTreeSet<(&str, &str)> =
        waiting.map(|job| (job.provider_key.as_str(), job.spec.stream.as_str())).collect();
    for (provider, stream) in streams {
        let Some(folder) = worker.catalogue.folder(provider) else { continue };
        if let Ok(Some(map)) = folder.usable_map(stream)
            && let Err(ending) = worker.in_force(map, true).await
        {
            tracing::warn!(provider, stream, ending = ?ending, "the field map is not put in force");
        }
    }
}

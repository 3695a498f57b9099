//! The launch gate as commands meet it: its rules and options from the settings, its facts from the connector folders.
//!
//! Owns what the gate needs from outside of the database. Refuses to decide: that is `launch`'s.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{App, exit::Exit, failure::Failure, print::notices};
use crate::{
    connector::registry::Catalogue,
    launch::{self, Declared, Definitions, Options, Standing},
    metrics::Feeds,
    store::{SharedStore, catalogue::Connection},
};

/// How often the daemon reviews.
const REVIEW_EVERY: Duration = Duration::from_secs(15 * 60);

/// The gate of this process.
pub struct Gate {
    pub definitions: Definitions,
    pub options: Options,
    catalogue: Catalogue,
    feeds: Feeds,
}

impl Gate {
    /// Reads the controls and the connector folders.
    ///
    /// # Errors
    /// Everything that is wrong with `launch.file`.
    pub fn open(app: &App) -> Result<Self, Failure> {
        let definitions = definitions(app).map_err(|problems| {
            Failure::usage(problems.join("\n"))
                .remedy("mend the file that launch.file names; tidegate validate checks it")
        })?;
        let settings = &app.settings.launch;
        // Folders that cannot be read are told by the commands that run connectors; here they have no usable map.
        let (catalogue, _) = app.load_catalogue();
        let (_, feeds) = app.metrics()?;
        let options = Options { grace: settings.grace, require_global: settings.require_global };
        Ok(Self { definitions, options, catalogue, feeds })
    }

    /// What stands in the connector folders about a connection; `None` when its folder is not here.
    fn declared(&self, connection: &Connection) -> Option<Declared> {
        let folder = self.catalogue.folder(&connection.spec.provider_key)?;
        let usable =
            folder.streams.iter().filter(|s| folder.map(&s.name).is_some() && folder.broken_map(&s.name).is_none());
        let mapped_streams = usable.map(|stream| stream.name.clone()).collect();
        let fed_metrics =
            self.feeds.of(&connection.spec.provider_key).map(|feed| feed.metrics.clone()).unwrap_or_default();
        Some(Declared { mapped_streams, fed_metrics })
    }

    /// Words that name a connection's provider.
    pub fn provider_words(&self, connection: &Connection) -> Vec<String> {
        let key = &connection.spec.provider_key;
        let name = self.catalogue.folder(key).map(|folder| folder.name.clone());
        [Some(key.clone()), name].into_iter().flatten().collect()
    }

    /// Words that name any known provider.
    pub fn all_provider_words(&self) -> Vec<String> {
        self.catalogue.folders().flat_map(|folder| [folder.provider_key.clone(), folder.name.clone()]).collect()
    }

    /// How a connection stands; writes nothing.
    ///
    /// # Errors
    /// Of the store.
    pub async fn assess(&self, app: &App, store: &SharedStore, connection: &Connection) -> Result<Standing, Failure> {
        let declared = self.declared(connection).unwrap_or_default();
        let clock = app.clock.as_ref();
        Ok(launch::assess(store.as_ref(), &self.definitions, &declared, self.options, clock, connection).await?)
    }

    /// As [`Gate::assess`], and keeps how it stands. Where the connector's folder is not here, nothing is kept: who cannot see the
    /// field maps does not stop the connection for those who can.
    ///
    /// # Errors
    /// Of the store.
    pub async fn review(&self, app: &App, store: &SharedStore, connection: &Connection) -> Result<Standing, Failure> {
        let Some(declared) = self.declared(connection) else {
            let spec = &connection.spec;
            notices::warn(&format!(
                "{}: the folder of connector {} is not in connectors.dirs; how its controls stand is shown, not kept",
                spec.connection_key, spec.provider_key
            ));
            return self.assess(app, store, connection).await;
        };
        let clock = app.clock.as_ref();
        Ok(launch::review(store.as_ref(), &self.definitions, &declared, self.options, clock, connection).await?)
    }

    /// Reviews every live production connection, and logs what is due or holds one back.
    async fn review_live(&self, app: &App, store: &SharedStore) -> Result<(), Failure> {
        let live = store.connections().await?.into_iter().filter(|connection| {
            launch::gated(connection) && connection.activated_at.is_some() && launch::halted(connection).is_none()
        });
        for connection in live {
            let standing = self.review(app, store, &connection).await?;
            for lack in standing.lacks() {
                let until = standing.runs_until().map(|at| at.to_iso()).unwrap_or_default();
                tracing::warn!(connection = %connection.spec.connection_key, runs_until = until, "launch control: {}", lack.what);
            }
        }
        Ok(())
    }
}

/// Reviews live production connections from time to time until `stop`, so that what expires is told before it stops anything.
/// Runs do not wait for it: the dates that were kept hold also when nobody reviews.
pub async fn keep_reviewing(app: &App, store: &SharedStore, stop: &CancellationToken) {
    let work = async {
        loop {
            // Anew each time: field maps and controls may have been changed on disk.
            let reviewed = match Gate::open(app) {
                Ok(gate) => gate.review_live(app, store).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = reviewed {
                tracing::warn!(error = %failure.message, "launch controls could not be reviewed; trying again later");
            }
            app.clock.sleep(REVIEW_EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// The controls of the built-in file and of `launch.file`.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn definitions(app: &App) -> Result<Definitions, Vec<String>> {
    let Some(path) = &app.settings.launch.file else { return Definitions::read(None) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![format!("{name}: cannot be read: {error}; correct launch.file")])?;
    Definitions::read(Some((&name, &text)))
}

/// Why a connection may not run now; `None` when it may. Asks the controls only where they are asked for.
///
/// # Errors
/// Of the store, and of `launch.file`.
pub async fn refusal(app: &App, store: &SharedStore, connection: &Connection) -> Result<Option<Vec<String>>, Failure> {
    if !launch::gated(connection) || launch::halted(connection).is_some() {
        return Ok(launch::halted(connection));
    }
    let standing = Gate::open(app)?.assess(app, store, connection).await?;
    Ok(launch::refusal(connection, &standing))
}

/// A production connection whose due jobs were not run, for a person and for a machine.
#[derive(Debug, serde::Serialize)]
pub struct PassedOver {
    pub connection: String,
    pub status: &'static str,
    pub jobs: i64,
    pub reason: &'static str,
    pub see: String,
}

/// Tells which due production connections the gate does not let run, a line for each on standard error.
///
/// # Errors
/// Of the store.
pub async fn tell_passed_over(store: &SharedStore) -> Result<Vec<PassedOver>, Failure> {
    let refused = store.refused_due().await?;
    let told = refused.into_iter().map(|due| PassedOver {
        reason: if due.activated { "held by a launch control" } else { "not activated" },
        see: format!("tidegate launch status --connection {}", due.connection_key),
        status: "refused",
        jobs: due.jobs,
        connection: due.connection_key,
    });
    let told: Vec<PassedOver> = told.collect();
    for one in &told {
        notices::warn(&format!(
            "{}: due, and refused by the launch gate ({}); {}",
            one.connection, one.reason, one.see
        ));
    }
    Ok(told)
}

/// The refusal of a command for a connection, with every line.
pub fn refused(head: &str, lines: &[String], remedy: &str) -> Failure {
    let lines = lines.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n");
    Failure::new(Exit::Refused, format!("{head}\n{lines}")).remedy(remedy)
}

//! `tidegate runs …`: what was attempted, and what came of it.

use super::{
    App, Done,
    args::RunsCommand,
    failure::Failure,
    names,
    print::{self, Output},
};
use crate::{
    domain::{ids::RunId, status::RunStatus},
    store::runs::RunFilter,
};

/// Pages of a run that are shown from its beginning and from its end.
const PAGES_SHOWN: u32 = 15;

/// Does a `runs` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &RunsCommand, out: Output) -> Done {
    let store = app.store().await?;
    match command {
        RunsCommand::List { connection, stream, status, limit } => {
            let status = status.as_deref().map(names::word::<RunStatus>).transpose()?;
            names::known(&store, connection.as_slice(), stream.as_slice()).await?;
            let filter =
                RunFilter { connection_key: connection.clone(), stream: stream.clone(), status, limit: *limit };
            let runs = store.runs(&filter).await?;
            app.show(out, &runs, |view| print::runs::run_list(view, &runs))
        }
        RunsCommand::Show { id } => {
            let id = RunId(*id);
            let run = store.run(id).await?.ok_or_else(|| {
                Failure::usage(format!("there is no run {id}")).remedy("tidegate runs list shows the latest")
            })?;
            let pages = store.run_pages(id, PAGES_SHOWN, PAGES_SHOWN).await?;
            let recount = Some(store.recount(id).await?);
            let story = print::runs::RunStory { run, pages, recount };
            app.show(out, &story, |view| print::runs::run_show(view, &story))
        }
    }
}

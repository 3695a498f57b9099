//! `tidegate portal …`: what clients see, read from the view that the portal reads.

use super::{
    App, Done,
    args::PortalCommand,
    metrics::client,
    print::{self, Output},
};

/// Does a `portal` command.
///
/// # Errors
/// See [`super::failure::Failure`].
pub async fn run(app: &App, command: &PortalCommand, out: Output) -> Done {
    let store = app.store().await?;
    let PortalCommand::Cards { client: key } = command;
    client(&store, key).await?;
    let cards = store.portal_cards(key).await?;
    app.show(out, &print::metrics::cards_document(&cards), |view| print::metrics::cards(view, &cards))
}

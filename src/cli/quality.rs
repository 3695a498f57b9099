//! `tidegate quality …`: make the checks, and list what they saw.

use serde_json::{Value, json};

use super::{
    App, Done,
    args::quality::QualityCommand,
    connection,
    exit::Exit,
    failure::Failure,
    names,
    print::{self, Output, notices::nearest},
};
use crate::{
    domain::status::{CheckStatus, ConnectionStatus},
    quality::{CheckKey, evaluate},
    store::{SharedStore, checks::CheckFilter},
};

/// Does a `quality` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &QualityCommand, out: Output) -> Done {
    match command {
        QualityCommand::Run { connections } => make(app, connections, out).await,
        QualityCommand::List { client, connection, check, status, all, latest: _, limit } => {
            let store = app.store().await?;
            names::known(&store, connection.as_slice(), &[]).await?;
            if let Some(client) = client {
                known_client(&store, client).await?;
            }
            if let Some(check) = check {
                known_check(check)?;
            }
            let filter = CheckFilter {
                client_key: client.clone(),
                connection_key: connection.clone(),
                check_key: check.clone(),
                status: status.as_deref().map(names::word::<CheckStatus>).transpose()?,
                latest: !all,
                limit: *limit,
            };
            let checks = store.checks(&filter).await?;
            app.show(out, &checks, |view| print::quality::check_list(view, &checks))
        }
    }
}

async fn make(app: &App, keys: &[String], out: Output) -> Done {
    let rules = app.quality_rules().map_err(|problems| {
        Failure::usage(problems.join("\n")).remedy("mend the file that quality.file names; tidegate validate checks it")
    })?;
    let store = app.store().await?;
    let mut chosen = Vec::new();
    for key in keys {
        chosen.push(connection::find(&store, key).await?);
    }
    if keys.is_empty() {
        chosen = store.connections().await?;
        chosen.retain(|connection| connection.status != ConnectionStatus::Revoked);
    }
    let (mut checks, mut document, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
    for connection in &chosen {
        let verdict = evaluate(store.as_ref(), &rules, connection, None, app.clock.as_ref()).await?;
        let seen = store.latest_checks(connection.id).await?;
        if !verdict.may_publish() {
            exit = Exit::Refused;
        }
        let entry: Value = json!({
            "connection_key": connection.spec.connection_key,
            "client_key": connection.spec.client_key,
            "may_publish": verdict.may_publish(),
            "verdict": verdict,
            "checks": seen,
        });
        document.push(entry);
        checks.extend(seen);
    }
    app.show(out, &document, |view| print::quality::evaluated(view, &checks))?;
    Ok(exit)
}

async fn known_client(store: &SharedStore, key: &str) -> Result<(), Failure> {
    let clients: Vec<String> = store.clients().await?.into_iter().map(|client| client.client_key).collect();
    if clients.iter().any(|client| client == key) {
        return Ok(());
    }
    let near = nearest(key, clients.iter().map(String::as_str)).map(|near| format!("; did you mean '{near}'?"));
    Err(Failure::usage(format!("there is no client '{key}'{}", near.unwrap_or_default()))
        .remedy("tidegate export shows what is declared"))
}

fn known_check(key: &str) -> Result<(), Failure> {
    if CheckKey::of(key).is_some() {
        return Ok(());
    }
    let known = CheckKey::ALL.iter().map(|check| check.as_str());
    let near = nearest(key, known.clone()).map(|near| format!("; did you mean '{near}'?"));
    Err(Failure::usage(format!("there is no check '{key}'{}", near.unwrap_or_default()))
        .remedy(format!("checks: {}", known.collect::<Vec<_>>().join(", "))))
}

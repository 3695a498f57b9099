//! `tidegate launch …` and the gate of `tidegate connection activate`: review, sign, hand on.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    App, Done,
    args::launch::{ControlFactArgs, LaunchCommand},
    connection::{act, find},
    failure::Failure,
    gate::{Gate, refused},
    print::{self, Output},
};
use crate::{
    domain::status::{ConnectionStatus, ControlScope},
    launch::{self, Control, Given, Standing},
    store::{
        SharedStore,
        catalogue::{AdminAction, Connection},
        launch::{ControlFacts, Signature, Whose},
    },
};

/// Does a `launch` command.
///
/// # Errors
/// See [`Failure`].
pub async fn run(app: &App, command: &LaunchCommand, out: Output) -> Done {
    match command {
        LaunchCommand::Status { connection, export } => {
            status(app, connection.as_deref(), export.as_deref(), out).await
        }
        LaunchCommand::Evidence { control, facts } => {
            let gate = Gate::open(app)?;
            let given = given(control, None, facts);
            let problems = launch::problems(&given, &gate.definitions, app.now(), false);
            keep(app, &gate, vec![given], told(&problems), false, out).await
        }
        LaunchCommand::Sign { control, owner, facts, file } => {
            let gate = Gate::open(app)?;
            let (all, problems) = match (control, file) {
                (_, Some(file)) => read(app, &gate, file)?,
                (control, None) => {
                    let given = given(control.as_deref().unwrap_or_default(), owner.clone(), facts);
                    let problems = launch::problems(&given, &gate.definitions, app.now(), true);
                    (vec![given], told(&problems))
                }
            };
            keep(app, &gate, all, problems, true, out).await
        }
    }
}

fn told(problems: &[(String, String)]) -> Vec<String> {
    problems.iter().map(|(message, remedy)| format!("{message}; {remedy}")).collect()
}

fn read(app: &App, gate: &Gate, file: &Path) -> Result<(Vec<Given>, Vec<String>), Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{name}: cannot be read: {error}")).remedy("correct the path"))?;
    Ok(match launch::read_file(&name, &text, &gate.definitions, app.now()) {
        Ok(all) => (all, Vec::new()),
        Err(problems) => (Vec::new(), problems),
    })
}

fn given(control: &str, owner: Option<String>, args: &ControlFactArgs) -> Given {
    Given {
        control: control.to_owned(),
        connection: args.connection.clone(),
        facts: ControlFacts {
            owner,
            source: args.source.clone(),
            environment: args.environment.clone(),
            data_boundary: args.data_boundary.clone(),
            rollback_path: args.rollback_path.clone(),
            review_cadence_days: args.cadence_days,
        },
        evidence_kind: args.kind.clone(),
        evidence: args.evidence.clone(),
        evidence_date: args.date.clone(),
    }
}

/// Reviews and shows. Without a connection: every production connection, and others that were asked for before.
async fn status(app: &App, only: Option<&str>, export: Option<&Path>, out: Output) -> Done {
    let store = app.store().await?;
    let gate = Gate::open(app)?;
    let connections: Vec<Connection> = match only {
        Some(key) => vec![find(&store, key).await?],
        None => store.connections().await?.into_iter().filter(|c| c.status != ConnectionStatus::Revoked).collect(),
    };
    let mut global = None;
    let mut standings: Vec<(Connection, Standing)> = Vec::new();
    for connection in connections {
        let standing = gate.review(app, &store, &connection).await?;
        global = Some(standing.global.clone());
        standings.push((connection, standing));
    }
    let global = match global {
        Some(global) => global,
        None => {
            let clock = app.clock.as_ref();
            launch::review_installation(store.as_ref(), &gate.definitions, gate.options, clock).await?
        }
    };
    let files = match export {
        Some(folder) => write(app, &gate, folder, &standings, &global)?,
        None => Vec::new(),
    };
    let document = json!({
        "connections": standings.iter().map(|(connection, standing)| of_connection(connection, standing)).collect::<Vec<_>>(),
        "global": global,
        "require_global": gate.options.require_global,
        "files": files,
    });
    app.show(out, &document, |view| {
        let mut text = print::launch::status(view, &standings, &global, gate.options.require_global);
        for file in &files {
            text.push_str(&format!("written: {file}\n"));
        }
        text
    })
}

fn of_connection(connection: &Connection, standing: &Standing) -> Value {
    let refusal = launch::refusal(connection, standing);
    json!({
        "connection": connection.spec.connection_key,
        "environment": connection.spec.environment,
        "status": connection.status,
        "activated_at": connection.activated_at,
        "ready": standing.ready(),
        "runs_until": standing.runs_until().filter(|_| launch::gated(connection) && connection.activated_at.is_some()),
        "missing": standing.lacks(),
        "keeps_from_running": refusal.unwrap_or_default(),
        "controls": standing.connection,
    })
}

fn write(
    app: &App,
    gate: &Gate,
    folder: &Path,
    standings: &[(Connection, Standing)],
    global: &[Control],
) -> Result<Vec<String>, Failure> {
    let mut pages = vec![(
        "installation".to_owned(),
        launch::page("Launch controls of the installation", None, global, &gate.all_provider_words(), app.now()),
    )];
    for (connection, standing) in standings {
        let spec = &connection.spec;
        let title = format!("Launch controls of {}", spec.connection_key);
        let words = gate.provider_words(connection);
        let page = launch::page(&title, Some(&spec.source_label), &standing.connection, &words, app.now());
        // A connection may be called `installation` too.
        pages.push((format!("connection-{}", spec.connection_key), page));
    }
    let mut files = Vec::new();
    for (name, page) in pages {
        let json = print::document(&page.json)? + "\n";
        for (ending, text) in [("md", &page.markdown), ("json", &json)] {
            let path = folder.join(format!("{name}.{ending}"));
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text)).map_err(|error| {
                Failure::usage(format!("{} cannot be written: {error}", path.display())).remedy("name another folder")
            })?;
            files.push(path.display().to_string());
        }
    }
    Ok(files)
}

async fn keep(app: &App, gate: &Gate, all: Vec<Given>, problems: Vec<String>, signing: bool, out: Output) -> Done {
    let touched = give(app, &app.store().await?, gate, all, problems, signing).await?;
    let touched: Vec<&Control> = touched.iter().collect();
    app.show(out, &json!({"signed": signing, "controls": touched}), |_| print::launch::kept(&touched, signing))
}

/// Signs everything that a file holds; gives the controls as they stand after it.
///
/// # Errors
/// Everything that is wrong with the file; nothing is written then.
pub async fn sign_file(app: &App, store: &SharedStore, file: &Path) -> Result<Vec<Control>, Failure> {
    let gate = Gate::open(app)?;
    let (all, problems) = read(app, &gate, file)?;
    give(app, store, &gate, all, problems, true).await
}

/// Checks connections, keeps what was given with its acts, and reviews what it touches.
async fn give(
    app: &App,
    store: &SharedStore,
    gate: &Gate,
    all: Vec<Given>,
    mut problems: Vec<String>,
    signing: bool,
) -> Result<Vec<Control>, Failure> {
    let mut signatures = Vec::new();
    let mut actions = Vec::new();
    let mut connections: Vec<Connection> = Vec::new();
    for given in &all {
        let connection = match &given.connection {
            None => None,
            Some(key) => match find(store, key).await {
                Ok(connection) => Some(connection),
                Err(failure) => {
                    problems.push(format!("`{}`: {}", given.control, failure.message));
                    continue;
                }
            },
        };
        let Some(definition) = gate.definitions.find(&given.control) else { continue };
        let whose = connection.as_ref().map_or(Whose::Installation, |c| Whose::Connection(c.id, c.client_id));
        actions.push(act_of(app, store, given, whose, signing).await?);
        signatures.push(Signature {
            whose,
            control_key: definition.key.clone(),
            title: definition.title.clone(),
            kind: definition.kind,
            facts: given.facts.clone(),
            evidence: launch::evidence_of(given, app.now()),
            signed_by: signing.then(|| app.actor()),
        });
        connections.extend(connection.filter(|c| !connections.iter().any(|known| known.id == c.id)));
    }
    if !problems.is_empty() {
        return Err(Failure::usage(format!("nothing was written\n{}", problems.join("\n")))
            .remedy("correct them and give the command again; docs/launch.md explains each control"));
    }
    store.sign_controls(&signatures, &actions).await?;
    let mut controls =
        launch::review_installation(store.as_ref(), &gate.definitions, gate.options, app.clock.as_ref()).await?;
    for connection in &connections {
        controls.extend(gate.review(app, store, connection).await?.connection);
    }
    controls.retain(|control| {
        all.iter().any(|given| {
            given.control == control.row.control_key
                && given.connection.is_some() == (control.scope == ControlScope::Connection)
        })
    });
    Ok(controls)
}

async fn act_of(
    app: &App,
    store: &SharedStore,
    given: &Given,
    whose: Whose,
    signing: bool,
) -> Result<AdminAction, Failure> {
    let before = store.launch_controls(whose).await?.into_iter().find(|row| row.control_key == given.control);
    let key = match &given.connection {
        Some(connection) => format!("{connection}/{}", given.control),
        None => given.control.clone(),
    };
    let evidence = launch::evidence_of(given, app.now());
    Ok(AdminAction {
        actor: app.actor(),
        action: if signing { "launch.sign" } else { "launch.evidence" }.to_owned(),
        subject_type: "launch_control".to_owned(),
        subject_key: key,
        reason: None,
        before: before.map(|row| json!({"status": row.status, "owner": row.facts.owner, "evidence": row.evidence})),
        after: Some(json!({"given": given.facts, "evidence": evidence})),
    })
}

/// `connection activate`: through the gate, or everything that is missing.
///
/// # Errors
/// See [`Failure`].
pub async fn activate(app: &App, store: &SharedStore, key: &str, out: Output) -> Done {
    let (document, line) = let_live(app, store, key).await?;
    app.show(out, &document, |_| line)
}

/// What [`activate`] does; gives the answer for a machine and for a person.
///
/// # Errors
/// The refusal, with all that is missing.
pub async fn let_live(app: &App, store: &SharedStore, key: &str) -> Result<(Value, String), Failure> {
    let connection = find(store, key).await?;
    if let Some(lines) = launch::halted(&connection) {
        return Err(refused(&format!("{key} may not go live"), &lines, "do that first, and activate again"));
    }
    if !launch::gated(&connection) {
        // No stamp either: it would count, should the connection become a production one.
        let document = json!({"connection": key, "status": connection.status, "activation": "not needed"});
        let environment = connection.spec.environment;
        return Ok((document, format!("{key} is a {environment} connection: it runs without activation")));
    }
    let standing = Gate::open(app)?.review(app, store, &connection).await?;
    if !standing.ready() {
        let lines: Vec<String> = standing.lacks().iter().map(ToString::to_string).collect();
        let head = format!("{key} may not go live; {} missing:", lines.len());
        return Err(refused(
            &head,
            &lines,
            "supply all of it (tidegate launch sign --file FILE signs many controls at once), and activate again",
        ));
    }
    let act = act(app, "connection.activate", &connection, json!({"status": ConnectionStatus::Connected}), None);
    store.activate_connection(key, &act).await?;
    let document = json!({"connection": key, "status": "connected", "runs_until": standing.runs_until()});
    Ok((document, format!("{key} is live")))
}

//! `tidegate apply` and `tidegate export`: what is declared, from and to YAML.

use std::path::PathBuf;

use serde_json::json;

use super::{
    App, Done,
    args::ApplyArgs,
    exit::Exit,
    failure::Failure,
    options,
    print::{Output, notices},
};
use crate::{
    connector::registry::Catalogue,
    declaration::{self, CurrentState, DeclarationFile, Known, KnownProvider, KnownStream, Plan, Verdict},
    store::{SharedStore, catalogue::JobFilter},
};

/// Applies declaration files, or shows what they would change.
///
/// # Errors
/// See [`Failure`]: all problems of all files at once.
pub async fn apply(app: &App, args: &ApplyArgs, out: Output) -> Done {
    let store = app.store_migrating(args.migrate).await?;
    let plan = plan_files(app, &store, &args.files).await?;
    let written = !args.dry_run && !plan.is_empty();
    if written {
        store.declare(&plan.declaration).await?;
    }
    let changes: Vec<_> =
        plan.changes.iter().filter(|c| matches!(c.verdict, Verdict::Create | Verdict::Change)).collect();
    let left: Vec<_> = plan.changes.iter().filter(|c| c.verdict == Verdict::Left).collect();
    let unchanged = plan.changes.len() - changes.len() - left.len();
    let document = json!({"changes": changes, "unchanged": unchanged, "left_as_they_are": left, "notes": plan.notes,
        "applied": written});
    app.show(out, &document, |_| {
        let mut text: String = changes.iter().map(|change| format!("{change}\n")).collect();
        if !left.is_empty() {
            text.push_str(&format!("{} declared no longer, left as they are (nothing is deleted):\n", left.len()));
            text.extend(left.iter().map(|change| format!("  {change}\n")));
        }
        text.extend(plan.notes.iter().map(|note| format!("note: {note}\n")));
        let end = match (written, args.dry_run, changes.is_empty()) {
            (_, _, true) => "nothing to change",
            (true, _, false) => "applied",
            (false, true, false) => "dry run: nothing was changed",
            (false, false, false) => "nothing was changed",
        };
        text.push_str(&format!("{} changes, {unchanged} unchanged: {end}", changes.len()));
        text
    })
}

/// What applying the files would change.
///
/// # Errors
/// A file cannot be read, or holds something that cannot be declared.
pub async fn plan_files(app: &App, store: &SharedStore, files: &[PathBuf]) -> Result<Plan, Failure> {
    let (catalogue, problems) = app.load_catalogue();
    for problem in &problems {
        notices::warn(&problem.to_string());
    }
    let current = current(store).await?;
    let known = known(&catalogue, &current);
    let (texts, mut wrong) = read(files);
    let wanted = declaration::parse(&texts, &known).unwrap_or_else(|problems| {
        wrong.extend(problems.iter().map(ToString::to_string));
        DeclarationFile::default()
    });
    wrong.extend(options::held(&catalogue, &wanted.connections, app.now()).problems);
    if !wrong.is_empty() {
        return Err(refusal(&wrong));
    }
    let plan = declaration::plan(&current, &wanted, app.now())
        .map_err(|problems| refusal(&problems.iter().map(ToString::to_string).collect::<Vec<_>>()))?;
    Ok(plan.by(&app.actor()))
}

/// The texts of files, by name; and a line for each that cannot be read.
pub fn read(files: &[PathBuf]) -> (Vec<(String, String)>, Vec<String>) {
    let mut texts = Vec::new();
    let mut wrong = Vec::new();
    for file in files {
        match std::fs::read_to_string(file) {
            Ok(text) => texts.push((file.display().to_string(), text)),
            Err(error) => wrong.push(format!("{}: cannot be read: {error}; correct the path", file.display())),
        }
    }
    (texts, wrong)
}

/// What declarations are held against: the connector folders, and the clients that stand.
pub fn known(catalogue: &Catalogue, current: &CurrentState) -> Known {
    let providers = catalogue.folders().map(|folder| KnownProvider {
        key: folder.provider_key.clone(),
        name: folder.name.clone(),
        category: folder.category.clone(),
        auth_type: folder.auth_type.clone(),
        streams: folder
            .streams
            .iter()
            .map(|s| KnownStream { name: s.name.clone(), sync_modes: s.sync_modes.clone() })
            .collect(),
    });
    Known {
        providers: providers.collect(),
        client_keys: current.clients.iter().map(|c| c.client_key.clone()).collect(),
    }
}

/// All problems as one refusal.
fn refusal(problems: &[String]) -> Failure {
    let count = count(problems.len());
    Failure::usage(format!("{count} in the declaration; nothing was changed\n{}", problems.join("\n")))
        .remedy("correct them and apply again; tidegate validate FILE checks without a database")
}

/// `1 problem`, `2 problems`
pub fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") }
}

async fn current(store: &SharedStore) -> Result<CurrentState, Failure> {
    Ok(CurrentState {
        clients: store.clients().await?,
        providers: store.providers().await?,
        connections: store.connections().await?,
        jobs: store.jobs(&JobFilter::default()).await?,
    })
}

/// Prints what stands as a declaration file.
///
/// # Errors
/// See [`Failure`].
pub async fn export(app: &App, out: Output) -> Done {
    let store = app.store().await?;
    let yaml = declaration::to_yaml(&current(&store).await?).map_err(|text| Failure::new(Exit::Internal, text))?;
    app.show(out, &json!({"yaml": yaml}), |_| yaml.clone())
}

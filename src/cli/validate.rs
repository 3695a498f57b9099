//! `tidegate validate`: settings, connector folders, field maps and declarations; all errors at once, no database.

use std::path::PathBuf;

use serde_json::json;

use super::{App, Done, apply, args::ValidateArgs, exit::Exit, print::Output};
use crate::{
    connector::registry::Catalogue,
    declaration::{self, CurrentState},
};

/// Checks what is named; without names the settings (which were read to get here) and all connector folders.
///
/// # Errors
/// See [`super::failure::Failure`]: a file cannot be read.
pub fn run(app: &App, args: &ValidateArgs, out: Output) -> Done {
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = args.paths.iter().cloned().partition(|path| path.is_dir());
    let mut checked = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    let (catalogue, found) = app.load_catalogue();
    if args.paths.is_empty() {
        checked.push("settings".to_owned());
        checked.extend(catalogue.folders().map(|f| f.dir.display().to_string()));
        problems.extend(found.iter().map(ToString::to_string));
    }
    for folder in &folders {
        let (one, found) = Catalogue::read_path(folder);
        checked.extend(one.folders().map(|f| f.dir.display().to_string()));
        problems.extend(found.iter().map(ToString::to_string));
    }
    if !files.is_empty() {
        let known = apply::known(&catalogue, &CurrentState::default());
        let texts = apply::read(&files)?;
        checked.extend(texts.iter().map(|(name, _)| name.clone()));
        if let Err(found) = declaration::parse(&texts, &known) {
            problems.extend(found.iter().map(ToString::to_string));
        }
    }
    app.show(out, &json!({"checked": checked, "problems": problems}), |_| {
        let mut text: String = problems.iter().map(|p| format!("{p}\n")).collect();
        text.push_str(&format!("{} checked, {} problems", checked.len(), problems.len()));
        text
    })?;
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Usage })
}

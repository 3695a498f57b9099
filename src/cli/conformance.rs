//! `tidegate validate --conformance`: the conformance kit over connector folders. No database; nobody is asked but a port of this machine.

use std::sync::Arc;

use serde_json::json;

use super::{
    App, Done,
    args::ValidateArgs,
    exit::Exit,
    failure::Failure,
    print::{Output, conformance::report},
    validate::{self, Kind},
};
use crate::{
    conformance::{self, score},
    connector::registry::{Catalogue, ProviderFolder},
};

/// Runs all checks over the named folders, or over all of `connectors.dirs`; with `--write` keeps what came of fixtures, and the score.
///
/// # Errors
/// See [`Failure`]: no port of this machine can be listened on, or a file cannot be written.
pub async fn run(app: &App, args: &ValidateArgs, out: Output) -> Done {
    let (mut folders, mut problems) = (Vec::new(), Vec::new());
    let mut take = |(catalogue, found): (Catalogue, Vec<crate::connector::registry::LoadProblem>)| {
        folders.extend(catalogue.folders().map(Arc::clone));
        problems.extend(found.iter().map(ToString::to_string));
    };
    if args.paths.is_empty() {
        take(app.load_catalogue());
    }
    for path in &args.paths {
        let Kind::Connectors(folder) = validate::kind(path) else {
            return Err(Failure::usage(format!(
                "{}: neither a connector folder nor a file of one, and --conformance checks those",
                path.display()
            ))
            .remedy(format!("leave it out here, and check it by itself: tidegate validate {}", path.display())));
        };
        take(Catalogue::read_path(&folder));
    }
    if folders.is_empty() && problems.is_empty() {
        return Err(Failure::usage("there is no connector folder to check")
            .remedy("name a folder with a manifest.yaml or a file.yaml, or a directory of such folders"));
    }
    let mut reports = Vec::new();
    for folder in &folders {
        reports.push((folder.provider_key.clone(), examined(folder, args.write).await?));
    }
    let failed = reports.iter().any(|(_, report)| report.failures().next().is_some());
    let told: Vec<_> = reports
        .iter()
        .map(|(key, report)| {
            json!({"provider_key": key, "passed": report.passed(), "applicable": report.applicable(), "checks": report.checks})
        })
        .collect();
    app.show(out, &json!({"connectors": told, "problems": problems}), |_| {
        let mut text: String = reports.iter().map(|(key, checks)| report(key, checks)).collect();
        text.extend(problems.iter().map(|problem| format!("{problem}\n")));
        text
    })?;
    Ok(if failed || !problems.is_empty() { Exit::Usage } else { Exit::Done })
}

async fn examined(folder: &ProviderFolder, write: bool) -> Result<conformance::Report, Failure> {
    let told = |error: std::io::Error| {
        Failure::usage(format!("{}: the checks could not be run: {error}", folder.dir.display()))
            .remedy("let this user write to the folder, and listen on 127.0.0.1")
    };
    let report = conformance::examine(folder, write).await.map_err(told)?;
    if write {
        score::write(&folder.dir, &report).map_err(told)?;
    }
    Ok(report)
}

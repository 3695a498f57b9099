//! `tidegate validate`: settings, connector folders, field maps, alert rules and declarations; all errors at once, no database.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    App, Done, apply,
    args::ValidateArgs,
    exit::Exit,
    gate, options,
    print::{Output, words::count_of},
};
use crate::{
    alerts::Rules as AlertRules,
    connector::{
        folder_advice::{self, Advice},
        registry::{Catalogue, LoadProblem},
    },
    declaration::{self, CurrentState},
    launch::Definitions as LaunchDefinitions,
    metrics::Definitions,
    quality::Rules,
    settings::{Settings, SettingsErrors},
};

/// What has been looked at, and what is wrong with it.
#[derive(Default)]
struct Findings {
    checked: Vec<String>,
    problems: Vec<String>,
    /// What is allowed and yet to be known.
    warnings: Vec<String>,
}

/// What a path is taken for.
pub(super) enum Kind {
    /// A connector folder, a directory of them, or a file of one.
    Connectors(PathBuf),
    Settings,
    /// A file of `metrics.files`.
    Metrics,
    /// A file of quality checks.
    Quality,
    /// Launch controls.
    Launch,
    Alerts,
    Declaration,
}

/// Checks what is named; without names the settings and all connector folders. `wrong` is what was wrong with the settings,
/// which were read to get here: then `app` stands on the defaults, and the rest is checked all the same.
///
/// # Errors
/// See [`super::failure::Failure`]: standard output cannot be written to.
pub fn run(app: &App, args: &ValidateArgs, wrong: Option<&SettingsErrors>, out: Output) -> Done {
    let mut findings = Findings::default();
    let (catalogue, found) = app.load_catalogue();
    if args.paths.is_empty() || wrong.is_some() {
        findings.settings("settings", wrong);
    }
    if args.paths.is_empty() {
        findings.connectors(&catalogue, &found);
        findings.metrics(app, &catalogue);
        findings.quality(app.quality_rules().err());
        findings.launch(app.settings.launch.file.as_deref(), gate::definitions(app));
        if let Some(path) = &app.settings.alerts.file {
            findings.alerts(path);
        }
    }
    let mut declarations = Vec::new();
    for path in &args.paths {
        match kind(path) {
            Kind::Connectors(folder) => {
                let (one, found) = Catalogue::read_path(&folder);
                if one.folders().next().is_none() && found.is_empty() {
                    findings.problems.push(format!(
                        "{}: there is no connector folder here; name a folder with a manifest.yaml or a file.yaml, or one of such folders",
                        path.display()
                    ));
                }
                findings.connectors(&one, &found);
                if one.folders().all(|loaded| loaded.dir != folder) {
                    findings.advice(folder_advice::advice(&folder, None));
                }
                findings.problems.extend(app.metric_problems(&one));
            }
            Kind::Settings => {
                let read = Settings::load(Some(path), std::iter::empty(), Path::new("."));
                findings.settings(&path.display().to_string(), read.err().as_ref());
            }
            Kind::Metrics => findings.metric_file(path),
            Kind::Quality => {
                let name = path.display().to_string();
                let rules = match std::fs::read_to_string(path) {
                    Ok(text) => Rules::parse(Some((&name, &text)), &providers(&catalogue, &found))
                        .map_err(|problems| problems.iter().map(ToString::to_string).collect()),
                    Err(error) => Err(vec![format!("{name}: cannot be read: {error}")]),
                };
                findings.checked.push(name);
                findings.problems.extend(rules.err().unwrap_or_default());
            }

            Kind::Launch => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| vec![format!("{}: cannot be read: {error}; correct the path", path.display())]);
                let read = text.and_then(|text| LaunchDefinitions::read(Some((&path.display().to_string(), &text))));
                findings.launch(Some(path), read);
            }
            Kind::Alerts => findings.alerts(path),
            Kind::Declaration => declarations.push(path.clone()),
        }
    }
    let known = apply::known(&catalogue, &CurrentState::default());
    let (texts, unreadable) = apply::read(&declarations);
    findings.problems.extend(unreadable);
    findings.checked.extend(texts.iter().map(|(name, _)| name.clone()));
    match declaration::parse(&texts, &known) {
        Ok(declared) => {
            let held = options::held(&catalogue, &declared.connections, app.now());
            findings.problems.extend(held.problems);
            findings.warnings.extend(held.warnings);
        }
        Err(found) => findings.problems.extend(found.iter().map(ToString::to_string)),
    }
    let Findings { checked, problems, warnings } = findings;
    app.show(out, &json!({"checked": checked, "problems": problems, "warnings": warnings}), |_| {
        let mut text: String = problems.iter().map(|p| format!("{p}\n")).collect();
        text.extend(warnings.iter().map(|warning| format!("warning: {warning}\n")));
        let count = i64::try_from(problems.len()).unwrap_or(i64::MAX);
        text.push_str(&format!("{} checked, {}", checked.len(), count_of(count, "problem", "problems")));
        text
    })?;
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Usage })
}

impl Findings {
    fn settings(&mut self, name: &str, wrong: Option<&SettingsErrors>) {
        self.checked.push(name.to_owned());
        let problems = wrong.into_iter().flat_map(|wrong| &wrong.0).map(ToString::to_string);
        for problem in problems {
            // The files that are always read may be among those that were named.
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    fn metrics(&mut self, app: &App, catalogue: &Catalogue) {
        self.checked.extend(app.settings.metrics.files.iter().map(|file| file.display().to_string()));
        self.problems.extend(app.metric_problems(catalogue));
    }

    /// One file of definitions by itself.
    fn metric_file(&mut self, path: &Path) {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let wrong = Definitions::load(&[(name.clone(), text)]).err().unwrap_or_default();
                self.problems.extend(wrong.iter().map(ToString::to_string));
            }
            Err(error) => self.problems.push(format!("{name}: cannot be read: {error}")),
        }
        self.checked.push(name);
    }

    fn alerts(&mut self, path: &Path) {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Err(error) => {
                self.problems.push(format!("{name}: cannot be read: {error}; name a file that this user may read"));
            }
            Ok(text) => {
                let found = AlertRules::read(Some((&name, &text))).err();
                self.problems.extend(found.iter().flatten().map(ToString::to_string));
            }
        }
        self.checked.push(name);
    }

    /// The checks that the settings name.
    fn quality(&mut self, problems: Option<Vec<String>>) {
        self.checked.push("quality checks".to_owned());
        self.problems.extend(problems.unwrap_or_default());
    }

    /// The built-in controls are always there; only a file can be wrong.
    fn launch(&mut self, file: Option<&Path>, read: Result<LaunchDefinitions, Vec<String>>) {
        self.checked.extend(file.map(|file| file.display().to_string()));
        self.problems.extend(read.err().unwrap_or_default());
    }

    fn connectors(&mut self, catalogue: &Catalogue, found: &[LoadProblem]) {
        let mut folders: Vec<String> = catalogue.folders().map(|f| f.dir.display().to_string()).collect();
        // A folder that could not be loaded was checked too.
        let files = found.iter().map(|problem| problem.file.display().to_string());
        let broken: Vec<String> = files.filter(|file| !folders.iter().any(|dir| file.starts_with(dir))).collect();
        folders.extend(broken);
        folders.dedup();
        self.checked.extend(folders);
        let open =
            catalogue.folders().filter(|folder| folder.webhook.as_ref().is_some_and(|webhook| webhook.is_open()));
        self.warnings.extend(open.map(|folder| {
            format!(
                "{}/webhook.yaml: WEBHOOKS ARE NOT SIGNED (scheme none): whoever knows a path may deliver; use the scheme that the provider offers, or token",
                folder.dir.display()
            )
        }));
        self.warnings.extend(catalogue.folders().flat_map(|folder| folder.notices()).map(|notice| notice.to_string()));
        self.problems.extend(found.iter().map(ToString::to_string));
        for folder in catalogue.folders() {
            self.advice(folder_advice::advice(&folder.dir, Some(folder)));
        }
    }

    fn advice(&mut self, advice: Advice) {
        self.problems.extend(advice.problems.iter().map(ToString::to_string));
        self.warnings.extend(advice.warnings.iter().map(ToString::to_string));
    }
}

/// Keys of the providers; none when a folder is broken, since it may be the one that is named.
fn providers(catalogue: &Catalogue, found: &[LoadProblem]) -> Vec<String> {
    catalogue.folders().filter(|_| found.is_empty()).map(|folder| folder.provider_key.clone()).collect()
}

pub(super) fn kind(path: &Path) -> Kind {
    if path.is_dir() {
        return Kind::Connectors(path.to_owned());
    }
    let is = |name: &str, of: Option<&Path>| of.and_then(Path::file_name).is_some_and(|own| own == name);
    let folder = |levels: usize| match path.ancestors().nth(levels) {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let beside = |name: &str| path.with_file_name(name).is_file();
    let of_folder = is("metrics.yaml", Some(path)) && (beside("manifest.yaml") || beside("file.yaml"));
    if is("alerts.yaml", Some(path)) {
        return Kind::Alerts;
    }
    let webhook = is("webhook.yaml", Some(path));
    if is("manifest.yaml", Some(path)) || is("file.yaml", Some(path)) || webhook || of_folder {
        Kind::Connectors(folder(1))
    } else if is("mappings", path.parent()) {
        Kind::Connectors(folder(2))
    } else if is("metrics.yaml", Some(path)) || is("metrics", path.parent()) {
        Kind::Metrics
    } else if is("launch.yaml", Some(path)) {
        Kind::Launch
    } else if path.extension().is_some_and(|extension| extension == "toml") {
        Kind::Settings
    } else if is("quality.yaml", Some(path)) {
        Kind::Quality
    } else {
        Kind::Declaration
    }
}

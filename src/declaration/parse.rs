//! From YAML to checked entries: everything that is wrong in all files at once, with file and line.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    ClientEntry, ConnectionEntry, DeclarationFile, DeclarationProblem, JobEntry, Known, KnownProvider, Place,
    ProviderEntry, secrets,
};
use crate::{
    domain::{
        schedule::{self, Schedule},
        status::{ClientStatus, ProviderStatus, SyncMode},
    },
    yaml::{self, Dialect, NodeValue, Problem, Table, nearest},
};

/// Longest key that people type.
const LONGEST_KEY: usize = 100;
/// Longest label, as the database holds it.
const LONGEST_LABEL: usize = 100;
/// Live signing secrets of a connection: the present one, and the one that is being rotated out.
const MOST_WEBHOOK_SECRETS: usize = 2;
/// Longest free text: names, owners, reasons, paths.
const LONGEST_TEXT: usize = 500;

/// Reads and checks declarations: pairs of a file's name and its text.
///
/// # Errors
/// Everything that is wrong, in the order of files and lines.
pub fn parse(files: &[(String, String)], known: &Known) -> Result<DeclarationFile, Vec<DeclarationProblem>> {
    let mut reader = Reader { known, all: DeclarationFile::default(), seen: HashMap::new(), problems: Vec::new() };
    let mut told = Vec::new();
    let mut roots = Vec::new();
    for (file, text) in files {
        match yaml::parse(text, Dialect::Strict) {
            Ok(root) => roots.push((file, root)),
            Err(problem) => told.push(DeclarationProblem::of(file, problem)),
        }
    }
    // Clients of all files first: a connection may name one that stands in a later file.
    for (file, root) in &roots {
        if let NodeValue::Null = root.value {
            continue;
        }
        if let Some(mut top) = Table::open(root, "", &mut reader.problems) {
            reader.clients(&mut top);
        }
        told.extend(reader.problems.drain(..).map(|problem| DeclarationProblem::of(file, problem)));
    }
    for (file, root) in &roots {
        if let Some(mut top) = Table::open(root, "", &mut Vec::new()) {
            top.get("clients");
            reader.providers(&mut top);
            reader.connections(&mut top, file);
            top.finish(&mut reader.problems);
        }
        told.extend(reader.problems.drain(..).map(|problem| DeclarationProblem::of(file, problem)));
    }
    told.sort_by(|a, b| {
        let order = |problem: &DeclarationProblem| files.iter().position(|(file, _)| *file == problem.place.file);
        (order(a), a.place.line).cmp(&(order(b), b.place.line))
    });
    if told.is_empty() { Ok(reader.all) } else { Err(told) }
}

struct Reader<'k> {
    known: &'k Known,
    all: DeclarationFile,
    /// What was declared, to name the second of two.
    seen: HashMap<String, Option<u64>>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, line: Option<u64>, field: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem::new(line, field, message, remedy));
    }

    /// A key that people type; the second of its kind is a problem.
    fn key(&mut self, table: &mut Table<'_>, kind: &str) -> Option<String> {
        let key = table.required_text("key", "give it a short stable name", &mut self.problems)?;
        let field = table.path("key");
        let shaped = key.len() <= LONGEST_KEY
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !shaped {
            let remedy = format!("use letters, digits, - _ . and at most {LONGEST_KEY} of them");
            self.problem(table.line_of("key"), &field, "is no key", remedy);
        }
        self.unique(format!("{kind} `{key}`"), table.line_of("key"), &field);
        Some(key)
    }

    fn unique(&mut self, what: String, line: Option<u64>, field: &str) {
        if self.seen.contains_key(&what) {
            self.problem(line, field, format!("{what} is declared twice"), "keep one of the two");
        }
        self.seen.insert(what, line);
    }

    /// A text within its bound.
    fn text(&mut self, table: &mut Table<'_>, key: &'static str, longest: usize) -> Option<String> {
        let text = table.text(key, &mut self.problems).filter(|text| !text.trim().is_empty())?;
        if text.chars().count() > longest {
            let field = table.path(key);
            self.problem(table.line_of(key), &field, "is too long", format!("use at most {longest} characters"));
        }
        Some(text)
    }

    /// A word of a closed vocabulary.
    fn word<T: std::str::FromStr<Err = crate::domain::status::UnknownWord>>(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Option<T> {
        let text = table.text(key, &mut self.problems)?;
        match text.parse() {
            Ok(word) => Some(word),
            Err(unknown) => {
                let field = table.path(key);
                let message = format!("`{text}` is no {}", unknown.kind);
                self.problem(table.line_of(key), &field, message, format!("use one of: {}", unknown.expected));
                None
            }
        }
    }

    fn clients(&mut self, top: &mut Table<'_>) {
        for (index, node) in top.items("clients").into_iter().enumerate() {
            let Some(mut table) = Table::open(node, &format!("clients[{index}]"), &mut self.problems) else { continue };
            let key = self.key(&mut table, "client");
            let name = self.text(&mut table, "name", LONGEST_TEXT);
            let status = self.word(&mut table, "status").unwrap_or(ClientStatus::Active);
            table.finish(&mut self.problems);
            if let Some(key) = key {
                let name = name.unwrap_or_else(|| key.clone());
                self.all.clients.push(ClientEntry { key, name, status });
            }
        }
    }

    fn providers(&mut self, top: &mut Table<'_>) {
        for (index, node) in top.items("providers").into_iter().enumerate() {
            let path = format!("providers[{index}]");
            let Some(mut table) = Table::open(node, &path, &mut self.problems) else { continue };
            let key = self.key(&mut table, "provider");
            if let Some(key) = &key {
                self.provider(key, table.line_of("key"), &table.path("key"));
            }
            let owner = self.text(&mut table, "owner", LONGEST_TEXT);
            let reason = self.text(&mut table, "reason", LONGEST_TEXT);
            let status = self.word(&mut table, "status").unwrap_or(ProviderStatus::Active);
            table.finish(&mut self.problems);
            if let Some(key) = key {
                self.all.providers.push(ProviderEntry { key, owner, reason, status });
            }
        }
    }

    /// The folder of that provider; a problem when there is none.
    fn provider(&mut self, key: &str, line: Option<u64>, field: &str) -> Option<KnownProvider> {
        let found = self.known.providers.iter().find(|provider| provider.key == key).cloned();
        match &found {
            Some(folder) => {
                if !self.all.folders.iter().any(|known| known.key == folder.key) {
                    self.all.folders.push(folder.clone());
                }
            }
            None => {
                let names: Vec<&str> = self.known.providers.iter().map(|provider| provider.key.as_str()).collect();
                let remedy = nearest(key, names.iter().copied()).map_or_else(
                    || format!("providers with a folder: {}", names.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.problem(line, field, format!("there is no connector folder `{key}`"), remedy);
            }
        }
        found
    }

    fn connections(&mut self, top: &mut Table<'_>, file: &str) {
        for (index, node) in top.items("connections").into_iter().enumerate() {
            let path = format!("connections[{index}]");
            if let Some(table) = Table::open(node, &path, &mut self.problems) {
                let entry = self.connection(table, file);
                self.all.connections.extend(entry);
            }
        }
    }

    fn connection(&mut self, mut table: Table<'_>, file: &str) -> Option<ConnectionEntry> {
        let line = table.line;
        let key = self.key(&mut table, "connection");
        let client = table.required_text("client", "name the client's key", &mut self.problems);
        if let Some(client) = &client {
            self.client_exists(client, table.line_of("client"), &table.path("client"));
        }
        let provider = table.required_text("provider", "name the provider's folder", &mut self.problems);
        let folder =
            provider.as_ref().and_then(|key| self.provider(key, table.line_of("provider"), &table.path("provider")));
        let remedy = "give the account's id at the provider; for files, any name that stays";
        let account = table.required_text("provider_account_id", remedy, &mut self.problems);
        table.required_text("environment", "give production, staging or sandbox", &mut self.problems);
        let environment = self.word(&mut table, "environment");
        if let (Some(provider), Some(account), Some(environment)) = (&provider, &account, &environment) {
            let what = format!("account `{account}` of {provider} in {environment}");
            self.unique(what, table.line_of("provider_account_id"), &table.path("provider_account_id"));
        }
        table.required_text("source_label", "say what a client may call the source, e.g. CRM", &mut self.problems);
        let source_label = self.text(&mut table, "source_label", LONGEST_LABEL);
        let credential = self.text(&mut table, "credential", LONGEST_TEXT);
        if credential.as_deref().is_some_and(|credential| !secrets::is_reference(credential)) {
            let remedy = "write env:NAME, file:PATH or vault:KEY; never the secret itself";
            self.problem(table.line_of("credential"), &table.path("credential"), "is no reference to a secret", remedy);
        }
        let entry = ConnectionEntry {
            place: Place { file: file.to_owned(), line },
            key: key.unwrap_or_default(),
            client: client.unwrap_or_default(),
            provider: provider.unwrap_or_default(),
            provider_account_id: account.unwrap_or_default(),
            environment: environment.unwrap_or(crate::domain::status::Environment::Sandbox),
            owner: self.text(&mut table, "owner", LONGEST_TEXT),
            reason: self.text(&mut table, "reason", LONGEST_TEXT),
            source_label: source_label.unwrap_or_default(),
            credential,
            scopes: table.texts("scopes", &mut self.problems),
            refresh_policy: self.refresh_policy(&mut table),
            revocation_path: self.text(&mut table, "revocation_path", LONGEST_TEXT),
            failure_path: self.text(&mut table, "failure_path", LONGEST_TEXT),
            rollback_path: self.text(&mut table, "rollback_path", LONGEST_TEXT),
            webhook_secrets: self.webhook_secrets(&mut table),
            config: self.config(&mut table),
            jobs: self.jobs(&mut table, folder.as_ref()),
        };
        table.finish(&mut self.problems);
        // With a problem the entry is not used; it is kept so that later entries can be checked against it.
        Some(entry)
    }

    fn client_exists(&mut self, key: &str, line: Option<u64>, field: &str) {
        let declared: Vec<String> = self.all.clients.iter().map(|client| client.key.clone()).collect();
        let known: Vec<&str> = declared.iter().chain(&self.known.client_keys).map(String::as_str).collect();
        if !known.contains(&key) {
            let remedy = nearest(key, known).map_or_else(
                || format!("declare it: clients: [{{ key: {key}, name: ... }}]"),
                |near| format!("did you mean `{near}`?"),
            );
            self.problem(line, field, format!("there is no client `{key}`"), remedy);
        }
    }

    fn refresh_policy(&mut self, table: &mut Table<'_>) -> Option<String> {
        let policy = table.text("refresh_policy", &mut self.problems)?;
        if !["none", "oauth2"].contains(&policy.as_str()) {
            let field = table.path("refresh_policy");
            self.problem(table.line_of("refresh_policy"), &field, "is no refresh policy", "use none or oauth2");
        }
        Some(policy)
    }

    /// What deliveries are signed with: a reference, and while it is rotated a second one.
    fn webhook_secrets(&mut self, table: &mut Table<'_>) -> Vec<String> {
        let references = table.texts("webhook_secrets", &mut self.problems);
        let (line, field) = (table.line_of("webhook_secrets"), table.path("webhook_secrets"));
        if references.len() > MOST_WEBHOOK_SECRETS {
            let remedy = "give the present one, and the one that is being rotated out";
            self.problem(line, &field, format!("has {} references", references.len()), remedy);
        }
        if references.iter().any(|reference| !secrets::is_reference(reference)) {
            let remedy = "write vault:KEY, env:NAME or file:PATH; never the secret itself";
            self.problem(line, &field, "holds what is no reference to a secret", remedy);
        }
        references
    }

    fn config(&mut self, table: &mut Table<'_>) -> Value {
        let path = table.path("config");
        let Some(node) = table.get("config") else { return Value::Object(serde_json::Map::new()) };
        if Table::open(node, &path, &mut self.problems).is_some() {
            secrets::refuse_in_config(node, &path, &mut self.problems);
        }
        node.to_json()
    }

    fn jobs(&mut self, table: &mut Table<'_>, folder: Option<&KnownProvider>) -> Vec<JobEntry> {
        let mut jobs: Vec<JobEntry> = Vec::new();
        let path = table.path("jobs");
        for (index, node) in table.items("jobs").into_iter().enumerate() {
            let Some(mut table) = Table::open(node, &format!("{path}[{index}]"), &mut self.problems) else { continue };
            let Some(job) = self.job(&mut table, folder) else { continue };
            table.finish(&mut self.problems);
            if jobs.iter().any(|known| known.stream == job.stream) {
                let message = format!("stream `{}` has two jobs", job.stream);
                self.problem(node.line, &format!("{path}[{index}].stream"), message, "keep one of the two");
            }
            jobs.push(job);
        }
        jobs
    }

    fn job(&mut self, table: &mut Table<'_>, folder: Option<&KnownProvider>) -> Option<JobEntry> {
        let stream = table.required_text("stream", "name one of the provider's streams", &mut self.problems);
        let mode = self.word::<SyncMode>(table, "sync_mode");
        let schedule = table.text("schedule", &mut self.problems);
        let schedule = match schedule.as_deref().map(str::parse::<Schedule>) {
            None => Schedule::Manual,
            Some(Ok(schedule)) => schedule,
            Some(Err(error)) => {
                let remedy = "write e.g. every 15m, cron 0 6 * * * Europe/Berlin, or manual";
                self.problem(table.line_of("schedule"), &table.path("schedule"), error.to_string(), remedy);
                Schedule::Manual
            }
        };
        let stale_after = table.text("stale_after", &mut self.problems);
        let stale_after_seconds = match stale_after.as_deref().map(schedule::parse_duration) {
            None => None,
            Some(Ok(duration)) => i64::try_from(duration.as_secs()).ok(),
            Some(Err(error)) => {
                self.problem(
                    table.line_of("stale_after"),
                    &table.path("stale_after"),
                    error.to_string(),
                    "write e.g. 2h",
                );
                None
            }
        };
        let stream = stream?;
        let found = folder.map(|folder| folder.streams.iter().find(|known| known.name == stream));
        if let (Some(None), Some(folder)) = (&found, folder) {
            let names: Vec<&str> = folder.streams.iter().map(|known| known.name.as_str()).collect();
            let remedy = nearest(&stream, names.iter().copied())
                .map_or_else(|| format!("streams: {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
            self.problem(
                table.line_of("stream"),
                &table.path("stream"),
                format!("{} has no stream `{stream}`", folder.key),
                remedy,
            );
        }
        let modes = found.flatten().map(|known| known.sync_modes.as_slice()).unwrap_or_default();
        if let Some(mode) = mode
            && !modes.is_empty()
            && !modes.contains(&mode)
        {
            let able = modes.iter().map(|mode| mode.as_str()).collect::<Vec<_>>().join(", ");
            let message = format!("stream `{stream}` cannot be read as {mode}");
            self.problem(table.line_of("sync_mode"), &table.path("sync_mode"), message, format!("use one of: {able}"));
        }
        // Without a word: the way that asks the provider for least.
        let able = if modes.contains(&SyncMode::Incremental) { SyncMode::Incremental } else { SyncMode::FullRefresh };
        Some(JobEntry { stream, sync_mode: mode.unwrap_or(able), schedule, stale_after_seconds })
    }
}

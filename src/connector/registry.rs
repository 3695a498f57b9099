//! The catalogue of provider folders, and how one becomes a [`Connector`] for a connection.
//!
//! Owns the explicit list of connector kinds (manifest, file) and the reading of folders. A broken folder hides no other:
//! what could be loaded is there, and everything that is wrong is told. Refuses to hold secrets or jobs.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Connector, ConnectorError, StreamSpec,
    credential::CredentialSource,
    file::{FileConnector, FileSource},
    folder_parts::{maps, metrics, text, webhook},
    http::HttpGate,
    manifest::{Manifest, ManifestConnector, Outline},
};
use crate::{
    domain::record::text_hash,
    mapping::FieldMap,
    metrics::ProviderMetrics,
    webhook::WebhookDeclaration,
    yaml::{Problem, nearest},
};

const MANIFEST: &str = "manifest.yaml";
const FILE: &str = "file.yaml";

/// One folder under `[connectors] dirs`, loaded and checked.
pub struct ProviderFolder {
    pub provider_key: String,
    pub name: String,
    pub category: String,
    pub auth_type: String,
    pub dir: PathBuf,
    /// Lines for `provider show`: the limits that the folder declares.
    pub limits: Vec<String>,
    pub streams: Vec<StreamSpec>,
    /// Field maps by stream, of each the lowest version first.
    pub maps: Vec<Arc<FieldMap>>,
    /// Files under `mappings/` that could not be loaded.
    pub broken_maps: Vec<PathBuf>,
    /// Which metrics its streams feed, and those of its own; held against the definitions by `metrics::Feeds`.
    pub metrics: ProviderMetrics,
    /// What the provider may send on its own; `None` where the folder says nothing of it, or nothing that can be read.
    pub webhook: Option<Arc<WebhookDeclaration>>,
    /// A digest of the manifest or the file's description.
    pub(crate) definition: String,
    pub(crate) kind: Kind,
}

/// The explicit list of connector kinds.
pub(crate) enum Kind {
    Manifest(Manifest),
    File(FileSource),
}

/// What a connection brings to its connector.
#[derive(Clone)]
pub struct ConnectionFacts {
    pub connection_key: String,
    pub provider_account_id: String,
    /// `config` of the declaration: never a secret.
    pub config: serde_json::Value,
    pub credential: Arc<dyn CredentialSource>,
    /// Policy, limits and clock shared by all connectors of the process.
    pub gate: Arc<HttpGate>,
}

/// Something in a connector folder that stops it, or a part of it, from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadProblem {
    pub file: PathBuf,
    /// From 1; `None` when it concerns the file as a whole.
    pub line: Option<u64>,
    pub what: String,
    pub remedy: String,
}

impl fmt::Display for LoadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        write!(f, "{}{line}: {} ({})", self.file.display(), self.what, self.remedy)
    }
}

impl LoadProblem {
    pub(crate) fn new(file: &Path, what: impl Into<String>, remedy: &str) -> Self {
        Self { file: file.to_owned(), line: None, what: what.into(), remedy: remedy.to_owned() }
    }

    /// What is wrong inside a document of the folder.
    pub(super) fn of(file: &Path, problem: Problem) -> Self {
        let Problem { line, field, message, remedy } = problem;
        let what = if field.is_empty() { message } else { format!("{field}: {message}") };
        Self { file: file.to_owned(), line, what, remedy }
    }
}

impl ProviderFolder {
    /// Makes the connector of one connection. Asks nobody.
    ///
    /// # Errors
    /// [`super::ErrorKind::Settings`] when the connection's options are not what the connector asks for.
    pub fn connector(&self, facts: ConnectionFacts) -> Result<Arc<dyn Connector>, ConnectorError> {
        match &self.kind {
            Kind::Manifest(manifest) => Ok(Arc::new(ManifestConnector::new(manifest, &self.provider_key, facts)?)),
            Kind::File(source) => Ok(Arc::new(FileConnector::new(source, facts))),
        }
    }

    /// A digest of all that a connection's requests are made of. Where it differs, a place in an unfinished listing is of another one.
    pub fn question(&self, account: &str, config: &serde_json::Value) -> String {
        text_hash(&format!("{}\n{account}\n{config}", self.definition))
    }

    /// The group of streams that are not read together with that one, and its streams.
    pub fn group_of(&self, stream: &str) -> Option<(&str, &[String])> {
        match &self.kind {
            Kind::Manifest(manifest) => manifest.group_of(stream),
            Kind::File(_) => None,
        }
    }

    /// The highest version of a stream's field map, which need not be the one in force (`pipeline::in_force`).
    pub fn map(&self, stream: &str) -> Option<&Arc<FieldMap>> {
        self.maps_of(stream).last()
    }

    /// All versions of a stream's field map, the lowest first.
    pub fn maps_of(&self, stream: &str) -> impl Iterator<Item = &Arc<FieldMap>> {
        self.maps.iter().filter(move |map| map.stream == stream)
    }

    /// The file of a stream's field map that cannot be loaded (`contacts.yaml`, `contacts.2.yaml`); any one that cannot while the
    /// stream has no map at all: without its map its records would be ignored one and all, and the cursor would go past them.
    pub fn broken_map(&self, stream: &str) -> Option<&Path> {
        let no_map = self.map(stream).is_none();
        let of_stream = |file: &Path| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            stem.strip_prefix(stream).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        };
        self.broken_maps.iter().map(PathBuf::as_path).find(|file| no_map || of_stream(file))
    }
}

impl ProviderFolder {
    /// The manifest, where it has one.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.kind {
            Kind::Manifest(manifest) => Some(manifest),
            Kind::File(_) => None,
        }
    }

    /// What stands in the folder's manifest and is left out, since the format does not know it.
    pub fn notices(&self) -> Vec<LoadProblem> {
        let Kind::Manifest(manifest) = &self.kind else { return Vec::new() };
        let file = self.dir.join("manifest.yaml");
        manifest.notices().iter().map(|notice| LoadProblem::of(&file, notice.clone())).collect()
    }

    /// Names of the provider, which no client may read. Files that a person makes have none: `CSV import` is what a client may
    /// call them. Of a provider's files it is the key alone, since their names hold common words.
    pub fn client_unsafe_names(&self) -> Vec<String> {
        match self.kind {
            Kind::Manifest(_) => vec![self.provider_key.clone(), self.name.clone()],
            Kind::File(_) if self.category != "manual" => vec![self.provider_key.clone()],
            Kind::File(_) => Vec::new(),
        }
    }
}

/// All loaded folders, by provider key.
#[derive(Default)]
pub struct Catalogue {
    folders: BTreeMap<String, Arc<ProviderFolder>>,
}

impl Catalogue {
    /// Loads every folder of every directory.
    ///
    /// # Errors
    /// All problems of all folders. [`Catalogue::read`] gives what could be loaded besides.
    pub fn load(dirs: &[PathBuf]) -> Result<Self, Vec<LoadProblem>> {
        let (catalogue, problems) = Self::read(dirs);
        if problems.is_empty() { Ok(catalogue) } else { Err(problems) }
    }

    /// Loads what can be loaded, and tells all that cannot.
    pub fn read(dirs: &[PathBuf]) -> (Self, Vec<LoadProblem>) {
        let mut catalogue = Self::default();
        let mut problems = Vec::new();
        for dir in dirs {
            for dir in folders(dir, &mut problems) {
                let Some(folder) = folder(&dir, &mut problems) else { continue };
                if let Some(other) = catalogue.folders.get(&folder.provider_key) {
                    let what = format!("the provider '{}' is in {} already", folder.provider_key, other.dir.display());
                    problems.push(LoadProblem::new(&dir, what, "give it another provider_key, or remove one"));
                } else {
                    catalogue.folders.insert(folder.provider_key.clone(), Arc::new(folder));
                }
            }
        }
        (catalogue, problems)
    }

    /// Loads what a path means: a connector folder by itself, or a directory of them.
    pub fn read_path(path: &Path) -> (Self, Vec<LoadProblem>) {
        // One that lost its manifest is still a folder of a connector, and told as such.
        let parts = [MANIFEST, FILE, "mappings", "metrics.yaml", "webhook.yaml", "fixtures"];
        if !parts.iter().any(|part| path.join(part).exists()) {
            return Self::read(&[path.to_owned()]);
        }
        let (mut catalogue, mut problems) = (Self::default(), Vec::new());
        if let Some(folder) = folder(path, &mut problems) {
            catalogue.folders.insert(folder.provider_key.clone(), Arc::new(folder));
        }
        (catalogue, problems)
    }

    pub fn folder(&self, provider_key: &str) -> Option<&Arc<ProviderFolder>> {
        self.folders.get(provider_key)
    }

    /// All folders, in the order of their keys.
    pub fn folders(&self) -> impl Iterator<Item = &Arc<ProviderFolder>> {
        self.folders.values()
    }
}

/// The folders of a directory in the order of their names; hidden ones are left out.
fn folders(dir: &Path, problems: &mut Vec<LoadProblem>) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        problems.push(LoadProblem::new(dir, "the directory cannot be read", "correct connectors.dirs"));
        return Vec::new();
    };
    let hidden = |path: &Path| path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|p| p.is_dir() && !hidden(p)).collect();
    found.sort();
    found
}

fn folder(dir: &Path, problems: &mut Vec<LoadProblem>) -> Option<ProviderFolder> {
    let (manifest, file) = (dir.join(MANIFEST), dir.join(FILE));
    let dir_name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut loaded = match (manifest.is_file(), file.is_file()) {
        (true, false) => by_manifest(dir, &dir_name, &manifest, problems),
        (false, true) => by_file(dir, &dir_name, &file, problems),
        (true, true) => {
            let what = format!("the folder has both {MANIFEST} and {FILE}");
            problems.push(LoadProblem::new(dir, what, "keep one of them"));
            None
        }
        (false, false) => {
            let what = format!("the folder has neither {MANIFEST} nor {FILE}");
            let remedy = "add one (tidegate connector new NAME starts a folder), or move the folder elsewhere";
            problems.push(LoadProblem::new(dir, what, remedy));
            None
        }
    };
    // The maps are checked also when the manifest is broken: all problems at once.
    let key = loaded.as_ref().map_or(dir_name, |folder| folder.provider_key.clone());
    let (maps, broken_maps) = maps(dir, &key, problems);
    let streams = match &loaded {
        Some(folder) => Some(folder.streams.iter().map(|s| (s.name.clone(), s.primary_key.clone())).collect()),
        None => fs::read_to_string(&manifest).ok().and_then(|text| Manifest::outline(&text)),
    };
    let names = loaded.as_ref().map_or_else(|| vec![key], ProviderFolder::client_unsafe_names);
    let metrics = metrics(dir, &names, problems);
    let webhook = streams.and_then(|streams: Vec<_>| {
        strange_maps(dir, &maps, &streams, problems);
        webhook(dir, &streams, problems)
    });
    if let Some(folder) = &mut loaded {
        (folder.maps, folder.broken_maps) = (maps, broken_maps);
        (folder.metrics, folder.webhook) = (metrics, webhook);
    }
    loaded
}

/// Tells the maps of streams that the connector does not have.
fn strange_maps(dir: &Path, maps: &[Arc<FieldMap>], streams: &[Outline], problems: &mut Vec<LoadProblem>) {
    let known: Vec<&str> = streams.iter().map(|(name, _)| name.as_str()).collect();
    for map in maps.iter().filter(|map| !known.contains(&map.stream.as_str())) {
        let what = format!("the connector has no stream '{}'", map.stream);
        let remedy = nearest(&map.stream, known.iter().copied()).map_or_else(
            || format!("name it after one of its streams: {}", known.join(", ")),
            |near| format!("did you mean '{near}'? The file and its `stream` have the same name"),
        );
        let file = dir.join("mappings").join(format!("{}.yaml", map.stream));
        let text = fs::read_to_string(&file).unwrap_or_default();
        let line = text.lines().position(|line| line.starts_with("stream:")).and_then(|at| u64::try_from(at + 1).ok());
        problems.push(LoadProblem { line, ..LoadProblem::new(&file, what, &remedy) });
    }
}

fn by_manifest(dir: &Path, dir_name: &str, file: &Path, problems: &mut Vec<LoadProblem>) -> Option<ProviderFolder> {
    let text = text(file, problems)?;
    let manifest = match Manifest::load_in(&text, Some(dir)) {
        Ok(manifest) => manifest,
        Err(found) => {
            problems.extend(found.into_iter().map(|problem| LoadProblem::of(file, problem)));
            return None;
        }
    };
    let makers = manifest.makers();
    if !makers.is_empty() {
        let what = format!(
            "dynamic_streams: which streams '{}' makes is known only by a configuration, and a job needs a stream that is known before",
            makers.join("', '")
        );
        let remedy = "write the streams down, or make them by a ParametrizedComponentsResolver; 'tidegate source' reads them as they are";
        problems.push(LoadProblem::new(file, what, remedy));
        return None;
    }
    let facts = manifest.facts().clone();
    let provider_key = facts.provider_key.unwrap_or_else(|| dir_name.to_owned());
    Some(ProviderFolder {
        name: facts.name.unwrap_or_else(|| provider_key.clone()),
        category: facts.category.unwrap_or_else(|| "other".to_owned()),
        auth_type: facts.auth_type.unwrap_or_else(|| manifest.auth_type().to_owned()),
        dir: dir.to_owned(),
        limits: manifest.limits(),
        streams: manifest.streams().to_vec(),
        maps: Vec::new(),
        broken_maps: Vec::new(),
        metrics: ProviderMetrics::default(),
        webhook: None,
        definition: text_hash(&text),
        kind: Kind::Manifest(manifest),
        provider_key,
    })
}

fn by_file(dir: &Path, dir_name: &str, file: &Path, problems: &mut Vec<LoadProblem>) -> Option<ProviderFolder> {
    let text = text(file, problems)?;
    let source = match FileSource::load(&text) {
        Ok(source) => source,
        Err(found) => {
            problems.extend(found.into_iter().map(|problem| LoadProblem::of(file, problem)));
            return None;
        }
    };
    let provider_key = source.provider_key.clone().unwrap_or_else(|| dir_name.to_owned());
    Some(ProviderFolder {
        name: source.name.clone().unwrap_or_else(|| provider_key.clone()),
        category: source.category.clone().unwrap_or_else(|| "manual".to_owned()),
        auth_type: "none".to_owned(),
        dir: dir.to_owned(),
        limits: Vec::new(),
        streams: source.streams().to_vec(),
        maps: Vec::new(),
        broken_maps: Vec::new(),
        metrics: ProviderMetrics::default(),
        webhook: None,
        definition: text_hash(&text),
        kind: Kind::File(source),
        provider_key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, name: &str, content: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn a_broken_folder_hides_no_other_and_everything_wrong_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let csv = include_str!("../../connectors/csv/file.yaml");
        put(dir.path(), "csv/file.yaml", csv);
        put(dir.path(), "twin/file.yaml", csv);
        put(dir.path(), "bad/manifest.yaml", "type: DeclarativeSource\nstreams:\n  - {type: Custom, name: x}\n");
        put(dir.path(), "both/manifest.yaml", "");
        put(dir.path(), "both/file.yaml", "");
        put(dir.path(), "none/README.md", "");
        put(dir.path(), ".git/config", "");
        let dirs = [dir.path().to_owned(), dir.path().join("gone")];
        let (catalogue, problems) = Catalogue::read(&dirs);
        assert_eq!(catalogue.folders().map(|folder| folder.provider_key.as_str()).collect::<Vec<_>>(), ["csv"]);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for part in
            ["manifest.yaml:3: ", "both manifest.yaml and file.yaml", "neither", "'csv' is in", "cannot be read"]
        {
            assert!(told.iter().any(|line| line.contains(part)), "{part}: {told:#?}");
        }
        assert_eq!(Catalogue::load(&dirs).err(), Some(problems));
    }

    #[test]
    fn a_field_map_without_a_stream_and_a_broken_one_are_told_and_the_folder_stays() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "csv/file.yaml", include_str!("../../connectors/csv/file.yaml"));
        let map = include_str!("../../connectors/csv/mappings/leads.yaml");
        put(dir.path(), "csv/mappings/leads.yaml", map);
        put(dir.path(), "csv/mappings/deals.yaml", &map.replace("stream: leads", "stream: deals"));
        put(dir.path(), "csv/mappings/calls.yaml", "stream: calls\nversion: [\n");
        let (catalogue, problems) = Catalogue::read(&[dir.path().to_owned()]);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].contains("calls.yaml:") && told[0].contains("not readable as YAML"), "{told:#?}");
        assert!(told[1].contains("deals.yaml:3: the connector has no stream 'deals'"), "{told:#?}");
        assert!(catalogue.folder("csv").unwrap().map("leads").is_some());
    }

    #[test]
    fn a_folder_whose_streams_only_a_configuration_knows_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = r#"
type: DeclarativeSource
check: {type: CheckDynamicStream, stream_count: 1}
dynamic_streams:
  - type: DynamicDeclarativeStream
    name: tables
    stream_template:
      type: DeclarativeStream
      retriever: {type: SimpleRetriever, requester: {type: HttpRequester, url: "https://api.example.com"}, record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}}
    components_resolver:
      type: ConfigComponentsResolver
      stream_config: {type: StreamConfig, configs_pointer: [tables]}
      components_mapping: [{type: ComponentMappingDefinition, field_path: [name], value: "{{ components_values.n }}", create_or_update: true}]
"#;
        put(dir.path(), "acme/manifest.yaml", manifest);
        let (catalogue, problems) = Catalogue::read(&[dir.path().to_owned()]);
        assert!(catalogue.folder("acme").is_none());
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains("'tables'") && told[0].contains("tidegate source"), "{told:#?}");
    }

    #[test]
    fn a_folder_tells_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "hubspot/manifest.yaml", include_str!("../../connectors/hubspot/manifest.yaml"));
        let catalogue = Catalogue::load(&[dir.path().to_owned()]).unwrap();
        let folder = catalogue.folder("hubspot").unwrap();
        assert_eq!(
            (folder.name.as_str(), folder.category.as_str(), folder.auth_type.as_str()),
            ("HubSpot", "crm", "bearer_token")
        );
        assert!(folder.limits.iter().any(|line| line.contains("4 requests per second")), "{:?}", folder.limits);
        assert_eq!(folder.streams.len(), 3);
    }
}

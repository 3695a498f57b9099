//! Which version of a stream's field map is in force, and how it gets there.
//!
//! Owns the one answer that runs, previews and replays all take: of the versions in the folder the one that was activated last; where
//! that one is gone from the folder, or none was ever activated, the highest, which the next run thereby activates. So a map edited in
//! place under a new version is in force at once, and a new version beside the old one waits for `tidegate normalize --activate`.

use std::sync::Arc;

use crate::{
    connector::{
        ConnectorError, ErrorKind,
        registry::{Catalogue, ProviderFolder},
    },
    domain::map_version,
    mapping::FieldMap,
    store::{
        SharedStore, StoreError,
        catalogue::{AdminAction, FieldMapVersion},
        field_maps::{Activated, FieldMapState, standing},
    },
};

/// Who put a version in force where no person did.
const BY_ITSELF: &str = "tidegate";

/// The map in force.
#[derive(Debug, Clone)]
pub struct InForce {
    pub map: Arc<FieldMap>,
    /// As it stands in the store; `false`: the next run activates it.
    pub stands: bool,
}

/// The map in force for a stream of a folder, by the states of [`crate::store::field_maps::FieldMapStore::field_maps`]. `None`: nothing
/// maps the stream.
///
/// # Errors
/// [`ErrorKind::Settings`] when a file that may hold the version in force cannot be loaded, and when the text of that version is not the
/// one that was activated.
pub fn in_force(
    folder: &ProviderFolder,
    stream: &str,
    states: &[FieldMapState],
) -> Result<Option<InForce>, ConnectorError> {
    let state = standing(states, &folder.provider_key, stream);
    let versions = folder.maps_of(stream).map(|map| map.version.as_str());
    let version = map_version::in_force(versions, state.map(|state| state.version.as_str()));
    let map = version.and_then(|version| folder.maps_of(stream).find(|map| map.version == version));
    let stands = map.zip(state).filter(|(map, state)| map.version == state.version).map(|(_, state)| state);
    // While the version that stands is there, another file that is broken concerns nobody yet.
    if stands.is_none()
        && let Some(file) = folder.broken_map(stream)
    {
        let what = format!("the field map {} cannot be loaded; see tidegate validate", file.display());
        return Err(ConnectorError::new(ErrorKind::Settings, what));
    }
    let Some(map) = map else { return Ok(None) };
    let known = states.iter().find(|state| {
        (state.provider_key.as_str(), state.stream.as_str(), state.version.as_str())
            == (&folder.provider_key, stream, &map.version)
    });
    if known.is_some_and(|known| known.checksum != map.checksum) {
        let what = format!(
            "the field map {}/{stream} was changed but still calls itself version {}: give it a new version",
            folder.provider_key, map.version
        );
        return Err(ConnectorError::new(ErrorKind::Settings, what));
    }
    Ok(Some(InForce { map: Arc::clone(map), stands: stands.is_some() }))
}

/// As [`in_force`], for a folder that was loaded some time ago: when the version that stands has come to the folder since, the folder
/// is read again. A process that has not been started anew must not go back to an older version.
///
/// # Errors
/// As [`in_force`]; and when the folder cannot be read again.
pub async fn of_loaded(
    folder: &Arc<ProviderFolder>,
    stream: &str,
    states: &[FieldMapState],
) -> Result<Option<InForce>, ConnectorError> {
    let stands = standing(states, &folder.provider_key, stream);
    if stands.is_none_or(|state| folder.maps_of(stream).any(|map| map.version == state.version)) {
        return in_force(folder, stream, states);
    }
    let dir = folder.dir.clone();
    let read = tokio::task::spawn_blocking(move || Catalogue::read_path(&dir).0).await;
    match read.ok().as_ref().and_then(|catalogue| catalogue.folder(&folder.provider_key)) {
        Some(fresh) => in_force(fresh, stream, states),
        None => {
            let what = format!("the folder {} cannot be read again; see tidegate validate", folder.dir.display());
            Err(ConnectorError::new(ErrorKind::Settings, what))
        }
    }
}

/// The versions in the folder that are higher than the one in force, the lowest first: they wait.
pub fn waiting<'f>(folder: &'f ProviderFolder, stream: &str, in_force: &str) -> Vec<&'f Arc<FieldMap>> {
    folder.maps_of(stream).filter(|map| map_version::compare(&map.version, in_force).is_gt()).collect()
}

/// What an activation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activation {
    pub activated: Activated,
    /// Dead letters of other versions that are due at once now.
    pub released: u64,
}

/// Puts a version in force, by a person (with the act) or by itself; what other versions could not map is due at once.
///
/// # Errors
/// The inner text: the version stands with another document. Else those of the store.
pub async fn activate(
    store: &SharedStore,
    map: &FieldMap,
    action: Option<&AdminAction>,
) -> Result<Result<Activation, String>, StoreError> {
    let version = FieldMapVersion {
        provider_key: map.provider_key.clone(),
        stream: map.stream.clone(),
        version: map.version.clone(),
        checksum: map.checksum.clone(),
        document: map.document.clone(),
        activated_by: action.map_or(BY_ITSELF, |action| &action.actor).to_owned(),
    };
    let activated = match store.activate_field_map(&version, action).await? {
        Ok(activated) => activated,
        Err(text) => return Ok(Err(text)),
    };
    let released = if activated == Activated::Now { release(store, map).await? } else { 0 };
    Ok(Ok(Activation { activated, released }))
}

/// Sees to it that the map in force stands in the store; with `letters`, also that what another version could not map is due, in case a
/// process died between the two.
///
/// # Errors
/// As [`activate`].
pub async fn enter(
    store: &SharedStore,
    entry: &InForce,
    letters: bool,
) -> Result<Result<Activation, String>, StoreError> {
    if !entry.stands {
        return activate(store, &entry.map, None).await;
    }
    let released = if letters { release(store, &entry.map).await? } else { 0 };
    Ok(Ok(Activation { activated: Activated::Already, released }))
}

/// Open dead letters that another version could not map become due at once. Again changes nothing.
async fn release(store: &SharedStore, map: &FieldMap) -> Result<u64, StoreError> {
    let released = store.release_for_map(&map.provider_key, &map.stream, &map.version).await?;
    if released > 0 {
        tracing::info!(released, version = %map.version, "dead letters of another version of the field map are tried again");
    }
    Ok(released)
}

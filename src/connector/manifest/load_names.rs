//! Names of streams in a manifest: each once, and those that `check` asks for among them.
//!
//! Owns these two rules, and the names and keys that the other files of the folder are held against. All read what stands in the
//! text, so that a stream with another fault is still known.

use super::{load::Manifest, propagate, reader::Component, resolve};
use crate::yaml::{self, Dialect, Node, NodeValue, nearest};

/// A stream's name, and the paths of its key's parts.
pub type Outline = (String, Vec<Vec<String>>);

impl Manifest {
    /// The streams that a manifest declares, also one that cannot be loaded; `None` where that cannot be known.
    pub fn outline(text: &str) -> Option<Vec<Outline>> {
        let tree = yaml::parse(text, Dialect::Yaml11).ok()?;
        let tree = propagate::propagate(resolve::resolve(&tree, &mut Vec::new()));
        let NodeValue::List(streams) = &tree.get("streams")?.value else { return None };
        if tree.get("dynamic_streams").is_some() || streams.is_empty() {
            return None;
        }
        let outline =
            |stream: &Node| Some((stream.get("name")?.text()?.to_owned(), key_parts(stream.get("primary_key"))));
        let mut all = streams.iter().map(outline).collect::<Option<Vec<Outline>>>()?;
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|(name, _)| seen.insert(name.clone()));
        Some(all)
    }
}

fn key_parts(node: Option<&Node>) -> Vec<Vec<String>> {
    let part = |node: &Node| match &node.value {
        NodeValue::List(names) => names.iter().filter_map(|name| name.text().map(str::to_owned)).collect(),
        _ => node.text().map(str::to_owned).into_iter().collect(),
    };
    match node.map(|node| (&node.value, node)) {
        Some((NodeValue::List(parts), _)) => parts.iter().map(part).collect(),
        Some((NodeValue::Text(_), node)) => vec![part(node)],
        _ => Vec::new(),
    }
}

/// The names of all streams that say theirs as a plain text, with the nodes they stand in.
fn declared<'n>(source: &Component<'n>) -> Vec<(&'n str, &'n Node)> {
    let streams = source.list("streams").into_iter();
    streams.filter_map(|stream| stream.get("name")).filter_map(|name| Some((name.text()?, name))).collect()
}

/// Refuses the second of two streams of one name.
pub(super) fn refuse_twins(source: &Component<'_>) {
    let names = declared(source);
    for (at, (name, node)) in names.iter().enumerate() {
        if let Some((_, first)) = names[..at].iter().find(|(other, _)| other == name) {
            let line = first.line.map(|line| format!(" (the other on line {line})")).unwrap_or_default();
            let message = format!("two streams are called '{name}'{line}");
            source.refuse_at(node, &source.at("streams"), &message, "give one of them another name");
        }
    }
}

/// Tells of a stream to check that is not declared: the check fails, and all else works. Where streams are made at run time, their
/// names are not known.
pub(super) fn tell_unknown(check: &Component<'_>, source: &Component<'_>, name: &str) {
    let names = declared(source);
    if source.node.get("dynamic_streams").is_some() || names.is_empty() || names.iter().any(|(have, _)| *have == name) {
        return;
    }
    let near = nearest(name, names.iter().map(|(have, _)| *have));
    let remedy = near.map_or_else(
        || format!("name one of: {}", names.iter().map(|(have, _)| *have).collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean '{near}'?"),
    );
    check.tell_of("stream_names", &format!("there is no stream '{name}': a check of it fails"), &remedy);
}

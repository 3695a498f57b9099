//! Fields of a stream that are read in one way only: its key, what `x-tidegate` promises of it, lists of templates.

use super::{
    duration::Duration,
    engine::Template,
    load::{fixed_text, names},
    plan::Promises,
    reader::Component,
};
use crate::yaml::{Node, NodeValue};

/// `id`, `[id]`, `[account, id]`, or paths: `[[owner, id]]`.
pub(super) fn primary_key(component: &Component<'_>) -> Vec<Vec<String>> {
    let Some(node) = component.field("primary_key") else { return Vec::new() };
    let part = |node: &Node| -> Option<Vec<String>> {
        match &node.value {
            NodeValue::Text(text) => Some(vec![text.clone()]),
            NodeValue::List(items) => items.iter().map(|item| item.text().map(str::to_owned)).collect(),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Table(_) => None,
        }
    };
    let parts = match &node.value {
        NodeValue::Text(text) if text.is_empty() => Some(Vec::new()),
        NodeValue::Text(_) => part(node).map(|part| vec![part]),
        NodeValue::List(items) => items.iter().map(part).collect(),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Table(_) => None,
    };
    parts.unwrap_or_else(|| {
        component.refuse(
            "primary_key",
            "a name, a list of names or a list of paths is expected",
            "name the field, e.g. primary_key: id, or primary_key: [account_id, id]",
        );
        Vec::new()
    })
}

/// What `x-tidegate` of a stream says.
pub(super) fn promises(component: &Component<'_>, node: &Node) -> Promises {
    let Some((_, ours)) = component.open(node, component.at("x-tidegate"), &["x-tidegate"]) else {
        return Promises::default();
    };
    let promises = Promises {
        ordered_by_cursor: ours.truth("ordered_by_cursor"),
        max_slice_records: ours.count("max_slice_records"),
        total: names(&ours, "total"),
        records_optional: ours.truth("records_optional"),
        max_page_size: ours.count("max_page_size"),
        no_cursor: fixed_text(&ours, "no_cursor", false),
        settled_after: settled_after(&ours),
    };
    ours.close();
    promises
}

fn settled_after(ours: &Component<'_>) -> Option<Duration> {
    let text = fixed_text(ours, "settled_after", false)?;
    let read = Duration::parse(&text).filter(|age| !age.is_zero());
    if read.is_none() {
        ours.refuse("settled_after", &format!("'{text}' is no duration"), "write it as ISO 8601, such as P10D");
    }
    read
}

/// Each item of a list as a template.
pub(super) fn templates(component: &Component<'_>, key: &'static str) -> Vec<Template> {
    let items = component.list(key).into_iter().enumerate();
    items.filter_map(|(at, node)| component.compile(node, &format!("{}[{at}]", component.at(key)))).collect()
}

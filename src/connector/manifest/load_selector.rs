//! Reading record selectors: extractors, expanders, filters.

use super::{
    extract::{Expander, Extractor},
    load_fields::templates,
    reader::Component,
    select::Selector,
};

pub(super) fn selector(component: &Component<'_>) -> Option<Selector> {
    let extractor = component
        .child("extractor", &["DpathExtractor", "CombinedExtractor"], true)
        .and_then(|(kind, part)| extractor(kind, &part));
    let filter = component.child("record_filter", &["RecordFilter"], false).and_then(|(_, filter)| {
        // An empty condition keeps nothing, as in the format's own reader; none at all is an empty one.
        let condition = filter.condition("condition", true);
        filter.finish(&[]);
        condition
    });
    let normalise = match component.text("schema_normalization") {
        None | Some("None") => false,
        Some("Default") => true,
        Some(other) => {
            let message = format!("'{other}' is not a way to normalise");
            component.refuse("schema_normalization", &message, "None or Default");
            false
        }
    };
    let transform_before_filtering =
        component.field("transform_before_filtering").is_some().then(|| component.truth("transform_before_filtering"));
    component.finish(&["name", "primary_key"]);
    Some(Selector { extractor: extractor?, filter, transform_before_filtering, normalise })
}

/// An extractor by its type.
pub(super) fn extractor(kind: &str, component: &Component<'_>) -> Option<Extractor> {
    let extractor = if kind == "CombinedExtractor" {
        let parts = component.children("extractors", &["DpathExtractor", "CombinedExtractor"]);
        let parts: Vec<_> = parts.iter().filter_map(|(kind, part)| extractor(kind, part)).collect();
        if parts.is_empty() {
            component.refuse("extractors", "at least one extractor is expected", "");
        }
        let first_match = match component.text("mode") {
            None | Some("union") => false,
            Some("first_match") => true,
            Some(other) => {
                component.refuse("mode", &format!("'{other}' is not a way to combine"), "union or first_match");
                false
            }
        };
        Some(Extractor::Combined { parts, first_match, skip_empty: component.truth("skip_empty_records") })
    } else {
        let path = templates(component, "field_path");
        if component.field("field_path").is_none() {
            component.missing(
                "field_path",
                "say where the records stand in an answer, e.g. field_path: [data], or field_path: [] for the answer itself",
            );
        }
        let expander = component.child("record_expander", &["RecordExpander"], false).map(|(_, part)| expander(&part));
        component.tolerate("decoder");
        Some(Extractor::Path { path, expander })
    };
    component.finish(&[]);
    extractor
}

fn expander(component: &Component<'_>) -> Expander {
    let path = templates(component, "expand_records_from_field");
    let parent_when_empty = match component.text("on_no_records") {
        None | Some("skip") => false,
        Some("emit_parent") => true,
        Some(other) => {
            component.refuse("on_no_records", &format!("'{other}' is not known"), "skip or emit_parent");
            false
        }
    };
    let mut parent_fields = Vec::new();
    for (_, field) in component.children("parent_fields", &["ParentFieldPath"]) {
        parent_fields.push((templates(&field, "parent_path"), templates(&field, "record_path")));
        field.finish(&[]);
    }
    if component.field("truncated_list_retriever").is_some() {
        let message = "'truncated_list_retriever' is not supported in this version";
        component.refuse("truncated_list_retriever", message, "read the list by a stream of its own");
    }
    let expander = Expander {
        path,
        keep_original: component.truth("remain_original_record"),
        merge_parent: component.truth("merge_parent"),
        parent_fields,
        parent_when_empty,
    };
    // Where a list may be cut short: known, and only a warning in the format's own reader.
    component.finish(&["truncation_indicator_path"]);
    expander
}

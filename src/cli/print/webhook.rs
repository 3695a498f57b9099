//! A connection's webhook endpoint, as a person reads it.

use super::{
    View,
    table::facts,
    words::{NONE, maybe_time},
};
use crate::store::webhooks::EndpointFacts;

/// `tidegate connection webhook`
pub fn endpoint(view: &View, found: &EndpointFacts) -> String {
    let path = match found.path_created_at {
        Some(_) => maybe_time(found.path_created_at, view.now),
        None => format!("{NONE}; tidegate connection webhook {} --new-path makes one", found.connection_key),
    };
    facts(
        view,
        [
            ("path made", Some(path)),
            ("signing secrets", Some(if found.secrets.is_empty() { NONE.to_owned() } else { found.secrets.join(" ") })),
            ("last verified", Some(maybe_time(found.last_verified_at, view.now))),
            ("deliveries taken", Some(found.accepted.to_string())),
            ("sent again", Some(found.duplicates.to_string())),
            ("refused", Some(found.refused.to_string())),
            ("unreadable", Some(found.unreadable.to_string())),
            ("waiting for a run", Some(found.waiting.to_string())),
        ],
    )
}

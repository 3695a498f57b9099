//! Addresses of requests: base and path put together, and what a next page's address may not keep.

use url::Url;

use super::{
    engine::{Engine, Scope},
    plan::UrlPlan,
    request::settings,
};
use crate::{connector::ConnectorError, telemetry::redact::REMOVED};

/// A next page's address may repeat the credential, which the gate has taken out: it is put in anew.
pub(super) fn drop_removed(url: &mut Url) {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs.iter().any(|(_, value)| value == REMOVED) {
        url.query_pairs_mut().clear().extend_pairs(pairs.iter().filter(|(_, value)| value != REMOVED));
    }
}

/// The address without what varies: base and path, or the whole.
///
/// # Errors
/// [`Settings`](crate::connector::ErrorKind::Settings) when it is no address.
pub(super) fn address(engine: &Engine, plan: &UrlPlan, scope: &Scope) -> Result<Url, ConnectorError> {
    let text = match plan {
        UrlPlan::Whole(url) => engine.text(url, scope)?,
        UrlPlan::Joined { base, path } => {
            let path = path.as_ref().map(|path| engine.text(path, scope)).transpose()?;
            join(&engine.text(base, scope)?, &path.unwrap_or_default())
        }
    };
    let source = match plan {
        UrlPlan::Whole(url) => url.source(),
        UrlPlan::Joined { base, .. } => base.source(),
    };
    Url::parse(text.trim())
        .map_err(|_| settings(format!("'{source}' gives no address such as https://api.example.com/")))
}

/// A path belongs below the base, also when it begins with a slash; a whole address replaces it.
pub(super) fn join(base: &str, path: &str) -> String {
    if path.starts_with("https://") || path.starts_with("http://") {
        return path.to_owned();
    }
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return base.to_owned();
    }
    without_empty_segments(&format!("{}/{path}", base.trim_end_matches('/')))
}

/// An option that is empty leaves two slashes in a row; the format's own reader joins without them.
fn without_empty_segments(address: &str) -> String {
    let path_ends = address.find(['?', '#']).unwrap_or(address.len());
    let (path, rest) = address.split_at(path_ends);
    let Some((scheme, path)) = path.split_once("://") else { return address.to_owned() };
    let last = path.matches('/').count();
    let kept = path.split('/').enumerate().filter(|(at, segment)| *at == 0 || *at == last || !segment.is_empty());
    let kept: Vec<&str> = kept.map(|(_, segment)| segment).collect();
    format!("{scheme}://{}{rest}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_to_the_base_and_whole_addresses_replace_it() {
        for (base, path, whole) in [
            ("https://x.example/v1", "things", "https://x.example/v1/things"),
            ("https://x.example/v1/", "/things", "https://x.example/v1/things"),
            ("https://x.example/v1/", "", "https://x.example/v1/"),
            ("https://x.example/v1", "https://y.example/z", "https://y.example/z"),
            ("https://x.example/v1/", "a?b=c", "https://x.example/v1/a?b=c"),
            ("https://x.example/v1", "/", "https://x.example/v1"),
            ("https://x.example", "projects//keys", "https://x.example/projects/keys"),
            ("https://x.example//v1/", "//keys//", "https://x.example/v1/keys/"),
            ("https://x.example", "keys?next=https://x.example//y", "https://x.example/keys?next=https://x.example//y"),
        ] {
            assert_eq!(join(base, path), whole);
        }
    }
}

//! Redirects, followed by hand.
//!
//! Owns what becomes of a request that is sent elsewhere: where it goes, and what it takes along. The caller checks the new
//! address as it checks every other. Refuses to turn a question that was posted into one that was not: the answer would be
//! another list, and nobody would see it.

use url::Url;

use super::{Body, Call, Method, answer::asked};
use crate::connector::{ConnectorError, ErrorKind};

/// Redirects that one request may take.
pub(super) const MOST: u32 = 3;
/// All that goes along to another origin: every other header may be, or hold, a credential.
const HARMLESS: &str = "accept";

/// Whether an answer with this status sends the request elsewhere.
pub(super) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The request as it goes on, after `hops` redirects before this one; and whether it lost its credentials on the way.
///
/// # Errors
/// [`ErrorKind::Rejected`]: no readable address, one redirect too many, or a body that would be lost or given to another origin.
pub(super) fn follow(
    call: &Call,
    status: u16,
    location: Option<&str>,
    hops: u32,
) -> Result<(Call, bool), ConnectorError> {
    let refuse = |what: &str| {
        let message = format!("{} answered {status}: {what}", asked(call.method, &call.url));
        Err(ConnectorError::new(ErrorKind::Rejected, message))
    };
    if hops >= MOST {
        return refuse("it is sent on more than three times");
    }
    let Some(next) = location.and_then(|location| call.url.join(location.trim()).ok()) else {
        return refuse("it is sent elsewhere, without a readable address");
    };
    let keeps_body = matches!(status, 307 | 308);
    if call.method == Method::Post && !keeps_body {
        return refuse(
            "a question that was posted would be asked without its body; the manifest's address must be corrected",
        );
    }
    if same_origin(&call.url, &next) {
        return Ok((Call { url: without_fragment(next), ..call.clone() }, false));
    }
    if call.body != Body::None || call.method == Method::Post {
        return refuse(
            "a question that was posted would go to another origin; the manifest's address must be corrected",
        );
    }
    let headers = call.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HARMLESS)).cloned().collect();
    Ok((Call { method: Method::Get, url: without_fragment(next), headers, body: Body::None }, true))
}

fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method, body: Body) -> Call {
        let headers = vec![
            ("Authorization".to_owned(), "Bearer hush".to_owned()),
            ("X-Key".to_owned(), "hush".to_owned()),
            ("Accept".to_owned(), "application/json".to_owned()),
        ];
        Call { method, url: "https://api.example.com/v1/things?api_key=hush".parse().unwrap(), headers, body }
    }

    #[test]
    fn credentials_stay_at_their_origin() {
        let get = call(Method::Get, Body::None);
        let (same, dropped) = follow(&get, 302, Some("/v2/things#x"), 0).unwrap();
        assert_eq!((same.url.as_str(), same.headers.len(), dropped), ("https://api.example.com/v2/things", 3, false));
        for elsewhere in [
            "https://eu.example.com/v1",
            "//eu.example.com/v1",
            "https://api.example.com:8443/v1",
            "http://api.example.com/v1",
        ] {
            let (other, dropped) = follow(&get, 307, Some(elsewhere), 0).unwrap();
            assert!(dropped && other.headers.len() == 1 && other.headers[0].0 == "Accept", "{elsewhere}");
            assert!(!other.url.as_str().contains("hush"));
        }
    }

    #[test]
    fn what_was_posted_is_not_asked_otherwise_nor_elsewhere() {
        let post = call(Method::Post, Body::Text("filter".to_owned()));
        for status in [301, 302, 303] {
            assert_eq!(follow(&post, status, Some("/v2"), 0).err().unwrap().kind, ErrorKind::Rejected, "{status}");
        }
        let (kept, _) = follow(&post, 307, Some("/v2"), 0).unwrap();
        assert!(kept.method == Method::Post && kept.body == post.body);
        assert!(follow(&post, 308, Some("https://eu.example.com/v1"), 0).is_err());
    }

    #[test]
    fn three_redirects_are_followed_and_no_error_shows_a_query() {
        let get = call(Method::Get, Body::None);
        assert!(follow(&get, 302, Some("/x"), MOST - 1).is_ok());
        for (location, hops) in [(Some("/x"), MOST), (None, 0), (Some("https://["), 0)] {
            let error = follow(&get, 302, location, hops).err().unwrap();
            assert!(error.kind == ErrorKind::Rejected && !error.message.contains("hush"), "{error}");
        }
    }
}

//! The hosts that a manifest and its connection name: all that the connector may ever ask.
//!
//! Owns the way from addresses in a manifest to a list of hosts. An address may hold options of the connection; what the
//! manifest itself writes behind them (`https://{{ config['shop'] }}.example.com`) binds them: an option that would lead
//! to another domain is refused. What only a provider's answer can fill in is no host of the connector.

use url::Url;

use super::{
    auth::Auth,
    engine::{Scope, Template},
    load::Loaded,
    partition::Router,
    plan::{RequestPlan, StreamPlan, UrlPlan},
    reader::Component,
};
use crate::{
    connector::{ConnectorError, ErrorKind, http::AllowedHosts},
    yaml::NodeValue,
};

/// Hosts of every stream's address, of the declared environments, and of the connection's own `base_url`.
///
/// # Errors
/// [`ErrorKind::Policy`] when an option of the connection leads an address out of the domain that the manifest names.
pub(super) fn allowed(loaded: &Loaded, scope: &Scope, base_url: Option<&str>) -> Result<AllowedHosts, ConnectorError> {
    let mut hosts = AllowedHosts::of(&loaded.environments);
    if let Some(own) = base_url.and_then(|text| Url::parse(text.trim()).ok()) {
        hosts.allow(&own);
    }
    let mut addresses = Vec::new();
    for stream in &loaded.streams {
        of_stream(stream, &mut addresses);
    }
    let identity = loaded.identity.as_ref().map(|identity| &identity.path).filter(|path| is_whole(path));
    for template in addresses.into_iter().chain(identity) {
        // One that fails, or gives no address, fails again when it is used, with a message of its own.
        let rendered = loaded.engine.text(template, scope).ok().and_then(|text| Url::parse(text.trim()).ok());
        let Some(rendered) = rendered else { continue };
        bound(template.source(), &rendered)?;
        hosts.allow(&rendered);
    }
    Ok(hosts)
}

/// The addresses of a stream, of its parents, and of whoever gives it tokens.
fn of_stream<'p>(plan: &'p StreamPlan, into: &mut Vec<&'p Template>) {
    of_request(&plan.request, into);
    plan.schema.dynamic().into_iter().for_each(|loader| of_stream(&loader.retriever, into));
    if let Some(delegate) = &plan.delegate {
        of_stream(&delegate.plan, into);
    }
    for request in plan.job.iter().flat_map(|job| job.requests()) {
        of_request(request, into);
    }
    for parent in plan.router.iter().flat_map(Router::parents) {
        of_stream(&parent.plan, into);
    }
}

fn of_request<'p>(plan: &'p RequestPlan, into: &mut Vec<&'p Template>) {
    match &plan.url {
        UrlPlan::Whole(url) => into.push(url),
        UrlPlan::Joined { base, path } => {
            into.push(base);
            into.extend(path.as_ref().filter(|path| is_whole(path)));
        }
    }
    of_auth(&plan.auth, into);
}

fn of_auth<'p>(auth: &'p Auth, into: &mut Vec<&'p Template>) {
    match auth {
        Auth::Granted(oauth) => into.extend(&oauth.endpoint),
        Auth::Session(session) => of_request(&session.login, into),
        Auth::LegacySession(session) => into.push(&session.base),
        Auth::Chosen { among, .. } => among.iter().for_each(|(_, auth)| of_auth(auth, into)),
        Auth::None | Auth::Bearer(_) | Auth::Key { .. } | Auth::Basic { .. } | Auth::Jwt(_) => {}
    }
}

/// `environments: {production: https://api.example.com, sandbox: ...}`: where else the provider answers.
pub(super) fn environments(ours: &Component<'_>) -> Vec<Url> {
    let Some(node) = ours.field("environments") else { return Vec::new() };
    let NodeValue::Table(entries) = &node.value else {
        ours.refuse("environments", "a map of environments to base addresses is expected", "");
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, node) in entries {
        let known = ["production", "staging", "sandbox"];
        let path = format!("{}.{name}", ours.at("environments"));
        if !known.contains(&name.as_str()) {
            let remedy = super::complaint::choose(name, &known);
            ours.refuse_at(node, &path, &format!("'{name}' is no environment"), &remedy);
        }
        match node.text().and_then(|text| Url::parse(text).ok()).filter(|url| url.scheme() == "https") {
            Some(url) => found.push(url),
            None => ours.refuse_at(
                node,
                &path,
                "an https address is expected",
                "write e.g. sandbox: https://sandbox.example.com",
            ),
        }
    }
    found
}

/// A path that begins with a scheme replaces the base.
fn is_whole(path: &Template) -> bool {
    path.source().starts_with("https://") || path.source().starts_with("http://")
}

/// Holds the rendered host against what the manifest writes behind the last option in it.
fn bound(source: &str, rendered: &Url) -> Result<(), ConnectorError> {
    let Some(suffix) = literal_suffix(source) else { return Ok(()) };
    let host = rendered.host_str().unwrap_or_default();
    let with_port = rendered.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    if host.ends_with(&suffix) || with_port.ends_with(&suffix) {
        return Ok(());
    }
    let message = format!(
        "the connection's options lead to {host}, but the manifest's address is in '{suffix}'; correct the connection's config"
    );
    Err(ConnectorError::new(ErrorKind::Policy, message))
}

/// `.example.com` of `https://{{ config['shop'] }}.example.com/v1`; `None` when the host has no option in it, or nothing behind.
fn literal_suffix(source: &str) -> Option<String> {
    let rest = source.trim().strip_prefix("https://").or_else(|| source.trim().strip_prefix("http://"))?;
    // The authority ends at the first slash outside of a template.
    let (mut depth, mut end) = (0_i32, rest.len());
    for (at, two) in rest.as_bytes().windows(2).enumerate() {
        match two {
            b"{{" => depth += 1,
            b"}}" => depth -= 1,
            [b'/', _] if depth <= 0 => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let (_, suffix) = rest[..end].trim_end_matches('/').rsplit_once("}}")?;
    (!suffix.is_empty()).then(|| suffix.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_cannot_lead_out_of_the_manifests_domain() {
        let source = "https://{{ config['shop'] }}.example.com/v1/{{ config['x'] }}";
        assert_eq!(literal_suffix(source).as_deref(), Some(".example.com"));
        assert_eq!(literal_suffix("{{ config['base_url'] }}/v1"), None);
        assert_eq!(literal_suffix("https://api.example.com/{{ config['x'] }}"), None);
        assert_eq!(literal_suffix("https://{{ config['host'] }}/v1"), None);
        for (shop, fine) in [
            ("acme", true),
            ("ACME", true),
            ("evil.test/", false),
            ("evil.test?", false),
            ("evil.test#", false),
            ("evil.test\\", false),
            ("user@evil.test:443/", false),
            ("127.0.0.1/", false),
        ] {
            let rendered: Url = format!("https://{shop}.example.com/v1/").parse().unwrap();
            assert_eq!(bound(source, &rendered).is_ok(), fine, "{shop}: {rendered}");
        }
    }

    /// The hosts of a one-stream manifest, or why there is no connector.
    fn hosts(url: &str, ours: &str, config: serde_json::Value) -> Result<AllowedHosts, ConnectorError> {
        let text = format!(
            "type: DeclarativeSource\nx-tidegate: {{{ours}}}\ncheck: {{type: CheckStream, stream_names: [a]}}\nstreams:\n  - name: a\n    retriever:\n      \
             requester: {{type: HttpRequester, {url}}}\n      record_selector: {{extractor: {{field_path: []}}}}\n"
        );
        let manifest = crate::connector::manifest::Manifest::load(&text).map_err(|problems| {
            let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
            ConnectorError::new(ErrorKind::Settings, told.join("; "))
        })?;
        let base_url = config.get("base_url").and_then(|url| url.as_str()).map(str::to_owned);
        let now = crate::domain::clock::Timestamp::from_micros(0).unwrap();
        allowed(&manifest.0, &Scope::new(now, &std::sync::Arc::new(config)), base_url.as_deref())
    }

    #[test]
    fn a_connector_has_the_hosts_of_its_manifest_its_environments_and_its_base_url() {
        let list = |urls: &[&str]| AllowedHosts::of(&urls.iter().map(|url| url.parse().unwrap()).collect::<Vec<Url>>());
        let joined = r#"url_base: "https://{{ config['shop'] }}.example.com", path: "https://files.example.com/x""#;
        let sandbox = "environments: {sandbox: https://sandbox.example.com}";
        let config = serde_json::json!({"shop": "acme", "base_url": "https://own.example.com/v1"});
        let expected = list(&[
            "https://sandbox.example.com",
            "https://own.example.com",
            "https://acme.example.com",
            "https://files.example.com",
        ]);
        assert_eq!(hosts(joined, sandbox, config).unwrap(), expected);

        let escape = serde_json::json!({"shop": "evil.test/"});
        assert_eq!(hosts(joined, "", escape).unwrap_err().kind, ErrorKind::Policy);
        // What only an answer fills in is no host of the connector.
        let sliced = r#"url: "{{ stream_slice['link'] }}""#;
        assert_eq!(hosts(sliced, "", serde_json::json!({})).unwrap(), AllowedHosts::default());
        for wrong in [
            "environments: {live: https://x.example}",
            "environments: {sandbox: http://x.example}",
            "environments: [x]",
        ] {
            assert!(
                hosts(joined, wrong, serde_json::json!({})).unwrap_err().message.contains("environments"),
                "{wrong}"
            );
        }
    }
}

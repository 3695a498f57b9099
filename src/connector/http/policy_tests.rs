//! Hostile addresses, and what each one gets. The table that this makes is printed in `docs/security-network.md`.

use std::fmt::Write as _;

use url::Url;

use super::{AllowedHosts, Body, Call, Method, NetworkPolicy, redirect};

const DOCUMENT: &str = include_str!("../../../docs/security-network.md");

/// What an operator wrote: the address of a connection or a manifest.
const ASKED: &[&str] = &[
    "http://api.example.com/x",
    "ftp://api.example.com/",
    "file:///etc/passwd",
    "gopher://api.example.com/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "https://",
    "https://user:pass@api.example.com/",
    "https://api.example.com@127.0.0.1/",
    "https://api.example.com:x@evil.test/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://x.localhost:8443/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://017700000001/",
    "https://127.0.0.1./",
    "https://127%2e0%2e0%2e1/",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://100.64.0.1/",
    "https://100.100.100.200/latest/meta-data/",
    "https://168.63.129.16/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0xa9fea9fe/",
    "https://2852039166/",
    "https://169.254.170.2/v2/credentials",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.0.0.8/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://192.168.1.1/",
    "https://192.168.257/",
    "https://198.18.0.1/",
    "https://198.19.255.255/",
    "https://198.51.100.7/",
    "https://203.0.113.9/",
    "https://224.0.0.1/",
    "https://239.255.255.250:1900/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://256.0.0.1/",
    "https://1.2.3.4.5/",
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:0:5ef5:79fd::1]/",
    "https://[2001:2::1]/",
    "https://[2001:10::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[100::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2606:4700::5efe:10.0.0.1]/",
    "https://[::1%25lo]/",
    "https://8.8.8.8/",
    "https://172.32.0.1/",
    "https://[2606:4700::1111]/",
    "https://[64:ff9b::8.8.8.8]/",
    "https://api.example.com/x",
];

/// What a provider answered: a connector whose only host is `api.example.com` is sent on.
const SENT_ON: &[&str] = &[
    "https://evil.test/",
    "//evil.test/",
    "\\\\evil.test\\",
    "https://api.example.com.evil.test/",
    "https://api.example.com@evil.test/",
    "https://api.example.com:8443/",
    "http://api.example.com/v1",
    "https://169.254.169.254/",
    "https://[::ffff:10.0.0.1]/",
    "https://localhost/",
    "file:///etc/passwd",
    "https://[",
    "/v1/next",
    "?page=2",
];

/// What a permitted name may lead to.
const RESOLVED: &[&str] = &[
    "127.0.0.1",
    "10.1.2.3",
    "169.254.169.254",
    "::1",
    "::ffff:192.168.0.1",
    "64:ff9b::a00:1",
    "fd00::1",
    "fe80::1",
    "8.8.8.8",
    "2606:4700::1111",
];

fn strict() -> NetworkPolicy {
    NetworkPolicy::new(&[]).unwrap()
}

fn own() -> Url {
    "https://api.example.com/v1".parse().unwrap()
}

/// The refusal without its remedy.
fn short(message: &str) -> String {
    format!("refused: {}", message.split(['(', ';']).next().unwrap_or_default().trim())
}

fn asked(text: &str) -> String {
    let Ok(url) = text.parse::<Url>() else { return "refused: not an address".to_owned() };
    match strict().check(&url) {
        Ok(()) => "asked".to_owned(),
        Err(error) => short(&error.message),
    }
}

fn sent_on(to: &str) -> String {
    let headers = vec![("Authorization".to_owned(), "Bearer x".to_owned())];
    let call = Call { method: Method::Get, url: own(), headers, body: Body::None };
    let followed = redirect::follow(&call, 302, Some(to), 0).and_then(|(next, bare)| {
        strict().check(&next.url)?;
        AllowedHosts::of([&own()]).check(&next.url)?;
        Ok(bare)
    });
    match followed {
        Ok(true) => "followed, without credentials".to_owned(),
        Ok(false) => "followed".to_owned(),
        Err(error) => short(&error.message),
    }
}

fn resolved(address: &str) -> &'static str {
    if strict().permits(address.parse().unwrap()) { "connected to" } else { "dropped" }
}

fn table() -> String {
    let mut text = String::new();
    let mut part = |head: &str, rows: &mut dyn Iterator<Item = (&str, String)>| {
        writeln!(text, "### {head}\n\n| address | what it gets |\n| --- | --- |").unwrap();
        for (address, outcome) in rows {
            writeln!(text, "| `{address}` | {outcome} |").unwrap();
        }
        text.push('\n');
    };
    part("Asked directly", &mut ASKED.iter().map(|url| (*url, asked(url))));
    part("Sent on to, by a provider at `https://api.example.com/v1`", &mut SENT_ON.iter().map(|to| (*to, sent_on(to))));
    part("What the name of a permitted host leads to", &mut RESOLVED.iter().map(|ip| (*ip, resolved(ip).to_owned())));
    text
}

#[test]
fn every_hostile_address_gets_what_the_document_says() {
    let table = table();
    let refused = table.matches("refused: ").count() + table.matches("dropped").count();
    assert!(refused >= 85, "{refused} refusals\n{table}");
    assert!(DOCUMENT.contains(table.trim_end()), "docs/security-network.md must hold:\n{table}");
}

#[test]
fn of_the_hostile_ones_only_the_public_are_asked() {
    let let_through: Vec<_> = ASKED.iter().filter(|url| asked(url) == "asked").copied().collect();
    assert_eq!(
        let_through,
        [
            "https://8.8.8.8/",
            "https://172.32.0.1/",
            "https://[2606:4700::1111]/",
            "https://[64:ff9b::8.8.8.8]/",
            "https://api.example.com/x"
        ]
    );
    let followed: Vec<_> = SENT_ON.iter().filter(|to| sent_on(to).starts_with("followed")).copied().collect();
    assert_eq!(followed, ["/v1/next", "?page=2"]);
}

#[test]
fn a_next_page_may_be_anything_and_is_asked_only_at_home() {
    let hosts = AllowedHosts::of([&own()]);
    for next in SENT_ON {
        let Ok(url) = own().join(next) else { continue };
        let fine = strict().check(&url).and_then(|()| hosts.check(&url)).is_ok();
        assert_eq!(fine, ["/v1/next", "?page=2"].contains(next), "{next}");
    }
}

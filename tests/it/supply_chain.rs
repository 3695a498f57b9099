//! What dependencies may be, as far as the lock file tells it: the rest is `scripts/supply-chain`'s, which needs a tool.

use std::{collections::BTreeSet, path::Path};

fn read(name: &str) -> toml::Value {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    toml::from_str(&text).unwrap()
}

fn texts<'v>(list: &'v toml::Value, key: &'v str) -> BTreeSet<&'v str> {
    list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect()
}

#[test]
fn every_dependency_comes_from_the_one_registry_with_its_checksum() {
    let lock = read("Cargo.lock");
    let packages = lock["package"].as_array().unwrap();
    assert!(packages.len() > 200, "{} packages", packages.len());
    for package in packages.iter().filter(|package| package["name"].as_str() != Some("tidegate")) {
        let source = package.get("source").and_then(toml::Value::as_str);
        assert_eq!(source, Some("registry+https://github.com/rust-lang/crates.io-index"), "{package}");
        assert_eq!(package["checksum"].as_str().map(str::len), Some(64), "{package}");
    }
}

#[test]
fn what_is_banned_is_not_locked() {
    let lock = read("Cargo.lock");
    let locked = texts(&lock["package"], "name");
    let deny = read("deny.toml");
    let banned = texts(&deny["bans"]["deny"], "crate");
    assert!(
        banned.is_superset(&BTreeSet::from(["openssl-sys", "native-tls", "aws-lc-sys", "rsa", "serde_yaml"])),
        "{banned:?}"
    );
    assert_eq!(locked.intersection(&banned).collect::<Vec<_>>(), [&""; 0]);
}

#[test]
fn exactly_two_exceptions_are_written_each_with_a_reason_and_for_something_that_is_used() {
    let deny = read("deny.toml");
    let ignored = deny["advisories"]["ignore"].as_array().unwrap();
    assert_eq!(texts(&deny["advisories"]["ignore"], "id"), BTreeSet::from(["RUSTSEC-2024-0384", "RUSTSEC-2025-0012"]));
    for exception in ignored {
        assert!(exception["reason"].as_str().unwrap().len() > 40, "{exception}");
    }
    let lock = read("Cargo.lock");
    let locked = texts(&lock["package"], "name");
    assert!(locked.contains("backoff") && locked.contains("instant"), "an exception for what is gone goes too");
    // What they stand for is held in one place; architecture.rs names the folder.
    let manifest = read("Cargo.toml");
    assert_eq!(manifest["dependencies"]["backoff"]["default-features"].as_bool(), Some(false));
}

#[test]
fn no_version_is_left_open() {
    let manifest = read("Cargo.toml");
    for group in ["dependencies", "dev-dependencies"] {
        for (name, wanted) in manifest[group].as_table().unwrap() {
            let version = wanted.as_str().or_else(|| wanted.get("version").and_then(toml::Value::as_str));
            let version = version.unwrap_or_else(|| panic!("{name} has no version"));
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{name} = {version}");
        }
    }
}

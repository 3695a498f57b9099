//! Broken connector folders, as people write them: what `tidegate validate` says of each, held in snapshots.
//!
//! `tests/broken/cases.yaml` breaks one piece of a sound folder for each case. A message that got worse is seen in the snapshot's diff.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate::yaml::{self, Dialect};

use crate::support::{daemon::Home, yard::copy};

fn broken() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
}

/// One of them, or a list.
fn each(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is missing: {value}"))
}

/// Makes the folder of a case and says what is told of it.
async fn told(case: &Value) -> String {
    let name = word(case, "name");
    let home = Home::new();
    let folder = home.path().join("connectors/acmecrm");
    copy(&broken().join("sound/acmecrm"), &folder);
    std::fs::copy(broken().join("sound/declaration.yaml"), home.path().join("declaration.yaml")).unwrap();
    for edit in each(&case["edit"]) {
        let file = folder.join(word(edit, "file"));
        let (text, piece) = (std::fs::read_to_string(&file).unwrap(), word(edit, "from"));
        assert_eq!(text.matches(piece).count(), 1, "{name}: the piece stands once in {}", file.display());
        std::fs::write(&file, text.replace(piece, word(edit, "to"))).unwrap();
    }
    for write in each(&case["write"]) {
        let file = folder.join(word(write, "file"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, word(write, "text")).unwrap();
    }
    for remove in each(&case["remove"]) {
        std::fs::remove_file(folder.join(remove.as_str().unwrap())).unwrap();
    }
    let paths: Vec<&str> = match each(&case["paths"]).as_slice() {
        [] => vec!["connectors/acmecrm"],
        paths => paths.iter().map(|path| path.as_str().unwrap()).collect(),
    };
    let done = home.run(&[&["validate"], &paths[..]].concat()).await;
    assert!(done.stderr.is_empty(), "{name}: {done}");
    let first = done.stdout.lines().next().unwrap_or_default();
    let warned = first.starts_with("warning: ");
    assert_eq!(done.code(), Some(if warned { 0 } else { 2 }), "{name} is told\n{done}");
    assert!(!done.stdout.contains(" checked, 0 problems") || warned, "{name} is told\n{done}");
    assert!(!done.stdout.contains(&*home.path().to_string_lossy()), "{name}: {done}");
    told_well(name, &done.stdout);
    format!("# {name}\n{}\n", done.stdout)
}

/// Each line names a file of the case, and something to do; none shows a secret.
fn told_well(name: &str, text: &str) {
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" checked, ")).collect();
    for line in lines {
        let place = line.strip_prefix("warning: ").unwrap_or(line).split(": ").next().unwrap_or_default();
        let file = place.split(':').next().unwrap_or_default();
        let inside = Path::new(file).starts_with("connectors/acmecrm") || file == "declaration.yaml";
        assert!(inside, "{name}: no file is named: {line}");
        let does = line.ends_with(')') || line.contains("; ");
        assert!(does, "{name}: nothing to do is told: {line}");
        assert!(
            !line.contains("(docs/connectors.md has what may stand here)"),
            "{name}: the remedy says nothing: {line}"
        );
        assert!(!line.contains("not-a-real"), "{name}: a secret is shown: {line}");
    }
}

#[tokio::test]
async fn a_sound_folder_has_nothing_told_of_it() {
    let home = Home::new();
    copy(&broken().join("sound/acmecrm"), &home.path().join("connectors/acmecrm"));
    std::fs::copy(broken().join("sound/declaration.yaml"), home.path().join("declaration.yaml")).unwrap();
    let done = home.run_ok(&["validate", "connectors/acmecrm", "declaration.yaml"]).await;
    assert_eq!(done.stdout, "2 checked, 0 problems\n", "{done}");
}

#[tokio::test]
async fn what_is_broken_is_told_with_its_place_what_was_expected_and_what_to_do() {
    let text = std::fs::read_to_string(broken().join("cases.yaml")).unwrap();
    let cases = yaml::parse(&text, Dialect::Strict).unwrap().to_json();
    let groups = cases.as_object().unwrap();
    let count: usize = groups.values().map(|group| group.as_array().unwrap().len()).sum();
    assert!(count >= 100, "{count} cases");
    for (group, cases) in groups {
        let mut all = String::new();
        for case in cases.as_array().unwrap() {
            all.push_str(&told(case).await);
        }
        insta::assert_snapshot!(format!("broken_{group}"), all);
    }
}

//! What the security documents promise names a test: each name in their tables is one.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

const DOCUMENTS: [&str; 3] = ["docs/security.md", "docs/security-boundaries.md", "docs/deploy.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// Names of all test functions: what follows `#[test]`, `#[tokio::test]`, or stands first in `on_both_engines!`.
fn tests() -> BTreeSet<String> {
    let mut texts = Vec::new();
    sources(&root().join("src"), &mut texts);
    sources(&root().join("tests"), &mut texts);
    let attribute =
        Regex::new(r"#\[(?:tokio::)?test(?:\([^)]*\))?\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn ([a-z0-9_]+)").unwrap();
    let both = Regex::new(r"on_both_engines!\(\s*([a-z0-9_]+),").unwrap();
    texts
        .iter()
        .flat_map(|text| attribute.captures_iter(text).chain(both.captures_iter(text)).map(|found| found[1].to_owned()))
        .collect()
}

/// The rows of the tables whose last column is called `test`: the cells of each.
fn rows(document: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut ours = false;
    for line in document.lines() {
        let cells: Vec<String> = line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        if !line.starts_with('|') {
            ours = false;
        } else if cells.last().is_some_and(|last| last == "test") {
            ours = true;
        } else if ours && !line.starts_with("| ---") {
            rows.push(cells);
        }
    }
    rows
}

fn names(cell: &str) -> Vec<String> {
    let quoted = Regex::new("`([^`]+)`").unwrap();
    let word = |text: &str| {
        text.contains('_') && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.captures_iter(cell).map(|found| found[1].to_owned()).filter(|text| word(text)).collect()
}

#[test]
fn every_promise_of_the_security_documents_names_tests_that_exist() {
    let tests = tests();
    assert!(tests.len() > 400, "only {} tests were found", tests.len());
    let (mut wrong, mut promises) = (Vec::new(), 0);
    for document in DOCUMENTS {
        for row in rows(&fs::read_to_string(root().join(document)).unwrap()) {
            promises += 1;
            let named = names(row.last().unwrap());
            if named.is_empty() {
                wrong.push(format!("{document}: '{}' names no test", row[0]));
            }
            wrong.extend(
                named
                    .iter()
                    .filter(|name| !tests.contains(*name))
                    .map(|name| format!("{document}: there is no test {name}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(promises > 50, "only {promises} promises were found");
}

#[test]
fn every_row_of_the_standard_begins_with_its_items() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (_, part) = text.split_once("## By OWASP ASVS 5.0").unwrap();
    let part = part.split("\n## ").next().unwrap();
    let item = Regex::new(r"^\d+\.\d+\.\d+(, \d+\.\d+\.\d+)* \w").unwrap();
    let rows = rows(part);
    assert!(rows.len() >= 25);
    for row in rows {
        assert!(item.is_match(&row[0]) && row.len() == 3 && !row[1].is_empty(), "{row:?}");
    }
}

//! The house's rules as a table: which folder may name which other, and where a crate may be used.
//!
//! A failing line names file, line and rule. The table is changed with a decision record, not to make a change pass.

use std::path::{Path, PathBuf};

/// Folders (or files) under `src/` and what they may not name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::lifecycle",
            "crate::mapping",
            "crate::metrics",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::store",
            "crate::system_clock",
            "crate::telemetry",
            "crate::vault",
            "crate::yaml",
            "tokio",
        ],
    ),
    (
        "yaml",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::domain",
            "crate::intake",
            "crate::launch",
            "crate::mapping",
            "crate::metrics",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::store",
            "crate::telemetry",
            "crate::vault",
            "tokio",
        ],
    ),
    (
        "mapping",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::metrics",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::store",
            "crate::telemetry",
            "crate::vault",
            "tokio",
        ],
    ),
    (
        "connector",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::settings",
            "crate::store",
            "crate::vault",
        ],
    ),
    (
        "store",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::mapping",
            "crate::metrics",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::vault",
            "crate::yaml",
        ],
    ),
    (
        "pipeline",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::quality",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::vault",
            "crate::yaml",
        ],
    ),
    (
        "scheduler",
        &[
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::settings",
            "crate::simulator",
            "crate::yaml",
        ],
    ),
    (
        "metrics",
        &[
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::mapping",
            "crate::pipeline",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::vault",
            "sqlx",
            "tokio",
            "crate::yaml",
        ],
    ),
    (
        "vault",
        &[
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::mapping",
            "crate::pipeline",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::telemetry",
            "crate::yaml",
        ],
    ),
    (
        "pipeline",
        &[
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::vault",
            "crate::yaml",
        ],
    ),
    (
        "scheduler",
        &[
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::settings",
            "crate::simulator",
            "crate::yaml",
        ],
    ),
    (
        "launch",
        &[
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::mapping",
            "crate::pipeline",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::vault",
        ],
    ),
    (
        "quality",
        &[
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::mapping",
            "crate::pipeline",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::vault",
            "tokio",
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::pipeline",
            "crate::scheduler",
            "crate::settings",
        ],
    ),
    (
        "declaration",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::pipeline",
            "crate::scheduler",
            "crate::settings",
        ],
    ),
    (
        "settings",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::pipeline",
            "crate::scheduler",
            "crate::store",
        ],
    ),
    (
        "telemetry",
        &[
            "crate::alerts",
            "crate::server",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::pipeline",
            "crate::scheduler",
            "crate::store",
        ],
    ),
    (
        "alerts",
        &[
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::mapping",
            "crate::pipeline",
            "crate::scheduler",
            "crate::server",
            "crate::settings",
            "crate::simulator",
            "crate::vault",
            "tokio",
        ],
    ),
    (
        "server",
        &[
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::mapping",
            "crate::pipeline",
            "crate::scheduler",
            "crate::settings",
            "crate::simulator",
            "crate::vault",
        ],
    ),
    (
        "webhook",
        &[
            "crate::alerts",
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::metrics",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::server",
            "crate::settings",
            "crate::simulator",
            "crate::store",
            "crate::telemetry",
            "crate::vault",
            "axum",
            "tokio",
        ],
    ),
    (
        "source",
        &[
            "crate::alerts",
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::mapping",
            "crate::metrics",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::server",
            "crate::settings",
            "crate::simulator",
            "crate::store",
            "crate::vault",
            "tokio",
        ],
    ),
    (
        "conformance",
        &[
            "crate::alerts",
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::intake",
            "crate::launch",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::server",
            "crate::settings",
            "crate::simulator",
            "crate::store",
            "crate::telemetry",
            "crate::vault",
        ],
    ),
    ("app.rs", &["crate::cli", "crate::simulator"]),
    (
        "service_manager.rs",
        &[
            "crate::app",
            "crate::cli",
            "crate::connector",
            "crate::pipeline",
            "crate::settings",
            "crate::store",
            "crate::vault",
        ],
    ),
    (
        "intake",
        &[
            "crate::alerts",
            "crate::app",
            "crate::cli",
            "crate::declaration",
            "crate::launch",
            "crate::mapping",
            "crate::metrics",
            "crate::pipeline",
            "crate::quality",
            "crate::scheduler",
            "crate::server",
            "crate::settings",
            "crate::simulator",
            "crate::yaml",
        ],
    ),
];

/// Crates and the only places under `src/` that may name them.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["store/"]),
    ("reqwest", &["connector/http/", "simulator/"]),
    ("governor", &["connector/http/"]),
    ("backoff", &["connector/http/"]),
    ("config", &["settings/"]),
    ("clap", &["cli/", "main.rs"]),
    ("comfy_table", &["cli/print/"]),
    ("axum", &["conformance/server.rs", "simulator/", "server/"]),
    ("hmac", &["alerts/", "connector/manifest/template/", "webhook/"]),
    ("sha1", &["connector/manifest/template/", "webhook/"]),
    ("subtle", &["webhook/"]),
    ("prometheus_client", &["telemetry/recorder.rs", "server/"]),
    ("serde_saphyr", &["yaml/"]),
    ("quick_xml", &["connector/manifest/decode/"]),
    ("jsonschema", &["connector/manifest/"]),
    ("any_ascii", &["connector/manifest/"]),
    ("tracing_subscriber", &["telemetry/"]),
    ("chacha20poly1305", &["vault/"]),
    ("rustix", &["cli/"]),
    ("csv_core", &["connector/file/"]),
    ("encoding_rs", &["connector/file/", "connector/manifest/decode/"]),
    ("flate2", &["connector/file/", "connector/manifest/decode/"]),
    ("tempfile", &["connector/file/", "connector/manifest/job/scratch.rs"]),
    ("sd_notify", &["service_manager.rs"]),
    ("clap_mangen", &["cli/"]),
];

fn sources() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    assert!(files.len() > 50, "only {} source files were found", files.len());
    files
}

fn walk(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // Files that hold nothing but tests or what tests stand on are compiled for tests alone.
            if stem == "tests" || stem.ends_with("_tests") || stem == "testing" || stem == "samples" {
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Lines of code above the file's tests, with their numbers; comments are prose and may name anything.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bare = text.split("#[cfg(test)]").next().unwrap_or_default();
    bare.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether a line of code names a crate or a module: `name::` with no word before it.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let starts = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '.' && c != '"');
        starts && after.starts_with("::")
    })
}

#[test]
fn dependencies_point_one_way() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        for (folder, forbidden) in FORBIDDEN {
            if !(file.starts_with(&format!("{folder}/")) || file == *folder) {
                continue;
            }
            for (number, line) in code(&text) {
                for name in *forbidden {
                    if names(line, name) {
                        broken.push(format!("src/{file}:{number}: {folder} may not name {name}"));
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_crate_stays_in_its_place() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        for (krate, places) in ONLY_IN {
            if places.iter().any(|place| file.starts_with(place)) {
                continue;
            }
            for (number, line) in code(&text) {
                if names(line, krate) {
                    broken.push(format!("src/{file}:{number}: {krate} belongs to {}", places.join(", ")));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_file_says_what_it_owns_and_can_be_held_in_the_head() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        if !text.starts_with("//!") {
            broken.push(format!("src/{file}: does not open with //!"));
        }
        let bare = text.split("\n#[cfg(test)]").next().unwrap_or_default().lines().count();
        if bare > 400 {
            broken.push(format!("src/{file}: {bare} lines without tests, 400 is the ceiling"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_rules_can_be_broken() {
    assert!(names("use crate::store::page;", "crate::store"));
    assert!(names("    sqlx::query(\"select 1\")", "sqlx"));
    assert!(!names("use crate::storekeeper::x;", "crate::store"));
    assert!(!names("let config = settings.config();", "config"));
    assert!(!names("crate::connector::http::config::x", "config"));
}

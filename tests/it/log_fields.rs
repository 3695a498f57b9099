//! P18: what a log line may hold is a short list, read from the source: a field that is not on it is a decision that nobody made.

use std::{fs, path::Path};

use tidegate::telemetry::field::ALLOWED;

const MACROS: [&str; 10] = [
    "info!(",
    "warn!(",
    "error!(",
    "debug!(",
    "trace!(",
    "info_span!(",
    "warn_span!(",
    "error_span!(",
    "debug_span!(",
    "trace_span!(",
];

/// The arguments of a macro that begins at `text`, split at the commas between them; strings are emptied.
fn arguments(text: &str) -> Vec<String> {
    let (mut found, mut one, mut depth) = (Vec::new(), String::new(), 0);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                one.push('"');
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => found.push(std::mem::take(&mut one)),
            c => one.push(c),
        }
    }
    found.push(one);
    found.iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
}

/// What is wrong with one argument of a log macro.
fn wrong(argument: &str) -> Option<String> {
    let (name, value) =
        argument.split_once('=').map_or((argument, None), |(name, value)| (name.trim(), Some(value.trim())));
    // The message, its values, the name of a span.
    if name.starts_with('"') || name == "target:" || name.starts_with("target:") {
        return None;
    }
    let sigil = value.unwrap_or(name);
    if sigil.starts_with('?') {
        return Some(format!("'{argument}' logs a Debug form, which may hold anything"));
    }
    let name = name.trim_start_matches('%');
    (!ALLOWED.contains(&name)).then(|| format!("'{name}' is not in telemetry::field::ALLOWED"))
}

fn look(file: &Path, text: &str, problems: &mut Vec<String>, seen: &mut usize) {
    let bare = text.split("#[cfg(test)]").next().unwrap_or_default();
    for (at, _) in bare.match_indices("tracing::") {
        let rest = &bare[at + "tracing::".len()..];
        let Some(name) = MACROS.iter().find(|name| rest.starts_with(**name)) else { continue };
        *seen += 1;
        // Values of the message's places follow the message.
        let fields = arguments(&rest[name.len()..]);
        let message = fields.iter().position(|one| one.starts_with('"'));
        let span = name.contains("span");
        for field in fields.iter().take(if span { fields.len() } else { message.unwrap_or(fields.len()) }) {
            problems.extend(wrong(field).map(|what| format!("{}: {what}", file.display())));
        }
    }
    // Events are named in full, so that this test finds them.
    for line in bare.lines().filter(|line| line.trim_start().starts_with("use tracing::")) {
        let fine = line.contains("Instrument") || line.contains("Span");
        if !fine {
            problems.push(format!("{}: {}: name log macros in full, as tracing::info!", file.display(), line.trim()));
        }
    }
}

fn walk(dir: &Path, problems: &mut Vec<String>, seen: &mut usize) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, problems, seen);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &fs::read_to_string(&path).unwrap(), problems, seen);
        }
    }
}

#[test]
fn p18_every_field_of_a_log_line_is_on_the_list() {
    let (mut problems, mut seen) = (Vec::new(), 0);
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut problems, &mut seen);
    assert!(seen >= 15, "only {seen} log lines were found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_rule_can_be_broken() {
    for (line, fine) in [
        (r#"run = 7, "done in {}", took"#, true),
        (r#"error = %chain(&error), "a, b""#, true),
        (r#"payload = %record, "x""#, false),
        (r#"error = ?error, "x""#, false),
        (r#"?request, "x""#, false),
        (r#"%email, "x""#, false),
    ] {
        let (mut problems, mut seen) = (Vec::new(), 0);
        look(Path::new("x.rs"), &format!("tracing::info!({line});"), &mut problems, &mut seen);
        assert_eq!((problems.is_empty(), seen), (fine, 1), "{line}: {problems:?}");
    }
}

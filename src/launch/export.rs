//! What controls become outside of Tidegate: admin tasks, SOP notes, launch items, incident steps, client-safe report notes.
//!
//! Owns the Markdown and the JSON of one connection or of the installation. A report note is for clients: it holds the definition's
//! sentence, the source label and a day, never evidence, owners or a provider's name; one that would is left out and said so.

use serde_json::{Value, json};

use super::{judge::day, review::Control};
use crate::{
    domain::{
        clock::Timestamp,
        status::{ControlKind, ControlStatus},
    },
    telemetry::redact::scrub,
};

/// What is exported as one Markdown and one JSON file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub markdown: String,
    pub json: Value,
}

/// Headings, in the order of a page.
const SECTIONS: &[(ControlKind, &str)] = &[
    (ControlKind::AdminTask, "Admin tasks"),
    (ControlKind::SopNote, "SOP notes"),
    (ControlKind::LaunchItem, "Launch items"),
    (ControlKind::IncidentStep, "Incident steps"),
    (ControlKind::ReportNote, "Client-safe report notes"),
];

/// Makes the page of a connection or of the installation. `title` heads it; `source` is what a client may call the source, where there is
/// one; `provider_words` must not stand in a report note.
pub fn page(
    title: &str,
    source: Option<&str>,
    controls: &[Control],
    provider_words: &[String],
    now: Timestamp,
) -> Page {
    let ready = controls.iter().filter(|control| control.row.status == ControlStatus::Ready).count();
    let mut markdown = format!("# {title}\n\nAs of {}: {ready} of {} controls are ready.\n", day(now), controls.len());
    let mut json = serde_json::Map::new();
    for (kind, heading) in SECTIONS {
        let of_kind: Vec<&Control> = controls.iter().filter(|control| control.row.kind == *kind).collect();
        let mut items = Vec::new();
        if !of_kind.is_empty() {
            markdown.push_str(&format!("\n## {heading}\n\n"));
        }
        for (number, control) in of_kind.into_iter().enumerate() {
            let (line, item) = match kind {
                ControlKind::ReportNote => note(control, source, provider_words),
                ControlKind::IncidentStep => (step(number + 1, control), internal(control)),
                ControlKind::AdminTask | ControlKind::LaunchItem => (task(control), internal(control)),
                ControlKind::SopNote => (sop(control), internal(control)),
            };
            markdown.push_str(&line);
            items.push(item);
        }
        json.insert(kind.as_str().to_owned(), Value::Array(items));
    }
    let json = json!({"title": title, "as_of": now, "ready": ready, "controls": controls.len(), "sections": json});
    Page { markdown, json }
}

fn owner(control: &Control) -> &str {
    control.row.facts.owner.as_deref().unwrap_or("nobody yet")
}

/// One line of foreign text: what people wrote must not become a heading or a list of its own.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn state(control: &Control) -> String {
    match (control.row.status, control.expires_at) {
        (ControlStatus::Ready, Some(until)) => format!("ready until {}", day(until)),
        (status, _) => status.as_str().replace('_', " "),
    }
}

fn task(control: &Control) -> String {
    let done = if control.row.status == ControlStatus::Ready { 'x' } else { ' ' };
    let mut text = format!(
        "- [{done}] **{}** ({}; owner: {}). {}\n",
        line(&control.row.title),
        state(control),
        line(owner(control)),
        line(&control.text)
    );
    details(control, &mut text);
    text
}

fn sop(control: &Control) -> String {
    let every = control.row.facts.review_cadence_days.unwrap_or_default();
    let mut text = format!(
        "- **{}** ({}; owner: {}; every {every} days). {}\n",
        line(&control.row.title),
        state(control),
        line(owner(control)),
        line(&control.text)
    );
    details(control, &mut text);
    text
}

fn step(number: usize, control: &Control) -> String {
    let mut text = format!(
        "{number}. **{}** ({}; owner: {}). {}\n",
        line(&control.row.title),
        state(control),
        line(owner(control)),
        line(&control.text)
    );
    if let Some(path) = &control.row.facts.rollback_path {
        text.push_str(&format!("   - Way back: {}\n", line(path)));
    }
    details(control, &mut text);
    text
}

fn details(control: &Control, text: &mut String) {
    let indent = if control.row.kind == ControlKind::IncidentStep { "   " } else { "  " };
    if let Some(evidence) = &control.row.evidence {
        let kind = evidence.evidence_kind.replace('_', " ");
        text.push_str(&format!(
            "{indent}- Evidence of {} ({kind}): {}\n",
            day(evidence.evidence_at),
            line(&evidence.evidence)
        ));
    }
    for lack in &control.lacks {
        text.push_str(&format!("{indent}- To do: {}\n", line(&lack.to_string())));
    }
}

fn internal(control: &Control) -> Value {
    serde_json::to_value(control).unwrap_or(Value::Null)
}

/// What a client may read, and nothing else.
fn note(control: &Control, source: Option<&str>, provider_words: &[String]) -> (String, Value) {
    let sentence = line(&control.text);
    let dated = control.row.evidence.as_ref().map(|evidence| day(evidence.evidence_at));
    let ready = control.row.status == ControlStatus::Ready;
    let low = sentence.to_lowercase();
    let unsafe_word = provider_words.iter().any(|word| !word.is_empty() && low.contains(&word.to_lowercase()));
    if unsafe_word || scrub(&sentence) != sentence {
        let key = &control.row.control_key;
        return (
            format!("- (`{key}` is left out: its text is not safe for clients; mend `text` in launch.file)\n"),
            json!({"control_key": key, "left_out": true}),
        );
    }
    let from = source.map(|source| format!("{}: ", line(source))).unwrap_or_default();
    let (text, as_of) = match (ready, dated) {
        (true, Some(date)) => (format!("{from}{sentence} (as of {date})"), Some(date)),
        (true, None) => (format!("{from}{sentence}"), None),
        (false, _) => (format!("{from}This is being prepared."), None),
    };
    (format!("- {text}\n"), json!({"note": text, "as_of": as_of}))
}

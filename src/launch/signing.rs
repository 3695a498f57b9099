//! What people give: evidence and signatures, from options or from a file with many controls.
//!
//! Owns the checks before anything is written: everything wrong at once, and no secret in a text that is kept readable.

use std::sync::LazyLock;

use regex::Regex;

use super::definitions::{Definition, Definitions, Proof};
use crate::{
    domain::{clock::Timestamp, status::ControlScope},
    store::launch::{ControlFacts, Evidence},
    telemetry::redact::scrub,
    yaml::{self, Dialect, NodeValue, Problem, Table, nearest},
};

/// Where a control holds.
pub const ENVIRONMENTS: &[&str] = &["production", "staging", "sandbox", "all"];
/// What people may show.
pub const EVIDENCE_KINDS: &[&str] = &[
    "environment_status",
    "screenshot",
    "row_count",
    "checklist_result",
    "backup_manifest",
    "restore_result",
    "incident_note",
    "access_review",
    "portal_summary",
    "document",
];
/// Longest one-line facts, as the database holds them, and longest texts.
const LONGEST_LINE: usize = 190;
const LONGEST_TEXT: usize = 4_000;

/// What a person gives for one control.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    pub control: String,
    pub connection: Option<String>,
    pub facts: ControlFacts,
    pub evidence_kind: Option<String>,
    pub evidence: Option<String>,
    /// Of when the evidence is; now when it is not said.
    pub evidence_date: Option<String>,
}

/// The evidence of what was given, once it was checked; `None` when none was given.
pub fn evidence_of(given: &Given, now: Timestamp) -> Option<Evidence> {
    Some(Evidence {
        evidence_kind: given.evidence_kind.clone()?,
        evidence: given.evidence.clone()?,
        evidence_at: given.evidence_date.as_deref().and_then(date).unwrap_or(now),
    })
}

/// `2026-11-22` or a full time.
fn date(text: &str) -> Option<Timestamp> {
    text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok()
}

/// Everything that is wrong with what was given, each as what is wrong and what to do. `signing`: an owner signs.
pub fn problems(given: &Given, definitions: &Definitions, now: Timestamp, signing: bool) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    match definitions.find(&given.control) {
        None => {
            let near = definitions.nearest(&given.control).map(|near| format!("; did you mean `{near}`?"));
            wrong.push((
                format!("there is no control `{}`{}", given.control, near.unwrap_or_default()),
                "tidegate launch status shows all".to_owned(),
            ));
        }
        Some(definition) => against(definition, given, signing, &mut wrong),
    }
    texts(given, &mut wrong);
    if let Some(kind) = &given.evidence_kind
        && !EVIDENCE_KINDS.contains(&kind.as_str())
    {
        let remedy = nearest(kind, EVIDENCE_KINDS.iter().copied()).map_or_else(
            || format!("use one of: {}", EVIDENCE_KINDS.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        wrong.push((format!("`{kind}` is no kind of evidence"), remedy));
    }
    if given.evidence.is_some() != given.evidence_kind.is_some() {
        wrong.push(("evidence and its kind belong together".to_owned(), "give both, or neither".to_owned()));
    }
    if let Some(text) = &given.evidence_date {
        match date(text) {
            None => wrong.push((format!("`{text}` is no date"), "write e.g. 2026-11-22".to_owned())),
            Some(at) if at > now => {
                wrong
                    .push(("the evidence is of the future".to_owned(), "give the day on which it was seen".to_owned()));
            }
            Some(_) if given.evidence.is_none() => {
                wrong.push(("a date of evidence without evidence".to_owned(), "give both, or neither".to_owned()));
            }
            Some(_) => {}
        }
    }
    if let Some(environment) = &given.facts.environment
        && !ENVIRONMENTS.contains(&environment.as_str())
    {
        wrong.push((format!("`{environment}` is no environment"), format!("use one of: {}", ENVIRONMENTS.join(", "))));
    }
    wrong
}

fn against(definition: &Definition, given: &Given, signing: bool, wrong: &mut Vec<(String, String)>) {
    let key = &definition.key;
    match (definition.scope, &given.connection) {
        (ControlScope::Connection, None) => {
            wrong.push((format!("`{key}` is a control of a connection"), "name the connection".to_owned()));
        }
        (ControlScope::Global, Some(_)) => {
            wrong.push((format!("`{key}` is a control of the whole installation"), "name no connection".to_owned()));
        }
        (ControlScope::Connection, Some(_)) | (ControlScope::Global, None) => {}
    }
    if let Proof::Machine(_) = definition.proof {
        let command = definition.command(given.connection.as_deref());
        if definition.scope == ControlScope::Connection {
            wrong.push((format!("`{key}` is proved by a machine and by the declaration; nobody signs it"), command));
        } else if given.evidence.is_some() || !signing {
            wrong.push((
                format!("`{key}` is proved by a machine; a person says only who owns it"),
                format!("sign it without evidence; the proof: {command}"),
            ));
        }
    }
    if signing && given.facts.owner.is_none() {
        wrong.push((format!("`{key}` is signed by nobody"), "name the owner".to_owned()));
    }
    if !signing && given.evidence.is_none() {
        wrong.push((format!("no evidence is given for `{key}`"), "give a kind and a text".to_owned()));
    }
    if let Some(days) = given.facts.review_cadence_days
        && !(1..=definition.cadence_days).contains(&days)
    {
        wrong.push((
            format!("`{key}` is reviewed every {} days; {days} is not between 1 and that", definition.cadence_days),
            "a signature may shorten the time, not lengthen it".to_owned(),
        ));
    }
}

fn texts(given: &Given, wrong: &mut Vec<(String, String)>) {
    let facts = &given.facts;
    for (name, text, longest, secrets) in [
        ("owner", &facts.owner, LONGEST_LINE, false),
        ("source", &facts.source, LONGEST_LINE, true),
        ("data boundary", &facts.data_boundary, LONGEST_TEXT, true),
        ("rollback path", &facts.rollback_path, LONGEST_TEXT, true),
        ("evidence", &given.evidence, LONGEST_TEXT, true),
    ] {
        let Some(text) = text else { continue };
        if text.trim().is_empty() {
            wrong.push((format!("{name} is blank"), "write it, or leave it out".to_owned()));
        }
        if text.chars().count() > longest {
            wrong.push((
                format!("{name} is too long"),
                format!("use at most {longest} characters; name where the rest lies"),
            ));
        }
        if secrets && holds_a_secret(text) {
            // Not repeated: it may be one.
            wrong.push((
                format!("{name} holds what looks like a secret, an address of a person or a phone number"),
                "take it out; name where it lies instead".to_owned(),
            ));
        }
    }
    // An owner is a person or a role, and may be an address; never a token.
    if facts.owner.as_deref().is_some_and(looks_like_a_token) {
        wrong.push(("owner looks like a secret".to_owned(), "name a person or a role".to_owned()));
    }
}

/// Whether a text holds what the log's last net would take out, or a word that looks like a token.
fn holds_a_secret(text: &str) -> bool {
    scrub(text) != text || looks_like_a_token(text)
}

/// Long words of small and capital letters and digits together. Hashes in hexadecimal have no capitals beside small letters.
fn looks_like_a_token(text: &str) -> bool {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[A-Za-z0-9_-]{24,}").expect("the pattern is fixed and a test compiles it"));
    WORD.find_iter(text).any(|word| {
        let has = |of: fn(&u8) -> bool| word.as_str().as_bytes().iter().any(of);
        has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
    })
}

/// Reads a file with many signatures: `defaults:` for all, then `controls:`.
///
/// # Errors
/// Everything that is wrong with it, each as `file: line: field: message; remedy`.
pub fn read_file(file: &str, text: &str, definitions: &Definitions, now: Timestamp) -> Result<Vec<Given>, Vec<String>> {
    let told = |problems: &[Problem]| problems.iter().map(|problem| format!("{file}: {problem}")).collect();
    let root = yaml::parse(text, Dialect::Strict).map_err(|problem| told(&[problem]))?;
    let mut wrong = Vec::new();
    let mut all: Vec<Given> = Vec::new();
    if let Some(mut top) = Table::open(&root, "", &mut wrong) {
        let defaults = match top.get("defaults") {
            None => Given::default(),
            Some(node) => Table::open(node, "defaults", &mut wrong).map_or_else(Given::default, |mut table| {
                let given = given(&mut table, &mut wrong);
                table.finish(&mut wrong);
                given
            }),
        };
        let items = top.items("controls");
        if items.is_empty() {
            wrong.push(Problem::new(top.line, "controls", "is empty", "list the controls that are signed"));
        }
        for (index, node) in items.into_iter().enumerate() {
            let path = format!("controls[{index}]");
            let Some(mut table) = Table::open(node, &path, &mut wrong) else { continue };
            let control = table.required_text("control", "name the control", &mut wrong);
            let connection = table.text("connection", &mut wrong);
            let own = given(&mut table, &mut wrong);
            table.finish(&mut wrong);
            let Some(control) = control else { continue };
            let one = Given { control, connection, ..or(own, &defaults, definitions, node) };
            for (message, remedy) in problems(&one, definitions, now, true) {
                wrong.push(Problem::new(node.line, &path, message, remedy));
            }
            if all.iter().any(|known| known.control == one.control && known.connection == one.connection) {
                let message = format!("`{}` is signed twice", one.control);
                wrong.push(Problem::new(node.line, &path, message, "keep one of the two"));
            }
            all.push(one);
        }
        top.finish(&mut wrong);
    }
    if wrong.is_empty() { Ok(all) } else { Err(told(&wrong)) }
}

fn given(table: &mut Table<'_>, wrong: &mut Vec<Problem>) -> Given {
    let cadence = table.text("cadence_days", wrong).map(|text| {
        let days = text.parse().ok();
        if days.is_none() {
            let line = table.line_of("cadence_days");
            wrong.push(Problem::new(line, &table.path("cadence_days"), "is no number of days", "write e.g. 90"));
        }
        days.unwrap_or(1)
    });
    Given {
        control: String::new(),
        connection: None,
        facts: ControlFacts {
            owner: table.text("owner", wrong),
            source: table.text("source", wrong),
            environment: table.text("environment", wrong),
            data_boundary: table.text("data_boundary", wrong),
            rollback_path: table.text("rollback_path", wrong),
            review_cadence_days: cadence,
        },
        evidence_kind: table.text("evidence_kind", wrong),
        evidence: table.text("evidence", wrong),
        evidence_date: table.text("evidence_date", wrong),
    }
}

/// The control's own word, else that of all. What a machine proves takes no evidence over, and no cadence is lengthened.
fn or(own: Given, defaults: &Given, definitions: &Definitions, node: &yaml::Node) -> Given {
    let name = node.get("control").and_then(|control| match &control.value {
        NodeValue::Text(name) => Some(name.as_str()),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::List(_) | NodeValue::Table(_) => None,
    });
    let definition = name.and_then(|name| definitions.find(name));
    let by_machine = definition.is_some_and(|definition| definition.proof != Proof::Signed);
    let cadence = match (defaults.facts.review_cadence_days, definition) {
        (Some(days), Some(definition)) => Some(days.min(definition.cadence_days)),
        (days, _) => days,
    };
    let evidence = defaults.evidence.clone().filter(|_| !by_machine);
    let kind = defaults.evidence_kind.clone().filter(|_| !by_machine);
    let dated = defaults.evidence_date.clone().filter(|_| !by_machine);
    let (facts, all) = (own.facts, &defaults.facts);
    Given {
        facts: ControlFacts {
            owner: facts.owner.or_else(|| all.owner.clone()),
            source: facts.source.or_else(|| all.source.clone()),
            environment: facts.environment.or_else(|| all.environment.clone()),
            data_boundary: facts.data_boundary.or_else(|| all.data_boundary.clone()),
            rollback_path: facts.rollback_path.or_else(|| all.rollback_path.clone()),
            review_cadence_days: facts.review_cadence_days.or(cadence),
        },
        evidence_kind: own.evidence_kind.or(kind),
        evidence: own.evidence.or(evidence),
        evidence_date: own.evidence_date.or(dated),
        ..Given::default()
    }
}

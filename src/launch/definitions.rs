//! Which controls there are: `config/launch.yaml` as the built-in default, and a file of the same shape that adds or replaces.
//!
//! Owns the reading; everything that is wrong with a file is told at once. Refuses to know how a control stands.

use std::{fmt, str::FromStr};

use crate::{
    domain::status::{ControlKind, ControlScope},
    store::launch::ControlFacts,
    yaml::{self, Dialect, Problem, Table, nearest},
};

/// The file as it is shipped.
const BUILT_IN: &str = include_str!("../../config/launch.yaml");
/// Longest key and title, as the database holds them.
const LONGEST_KEY: usize = 100;
const LONGEST_TITLE: usize = 190;
/// Longest time between two reviews.
const LONGEST_CADENCE: i64 = 3_650;

/// What a machine can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    Access,
    Credential,
    Record,
    JobsDeclared,
    Mapping,
    Identity,
    TestBatch,
    Baseline,
    Fallback,
    Monitoring,
    /// No dead letter of the connection is open.
    DeadLetters,
    /// The newest quality checks hold nothing.
    Quality,
    SchemaCurrent,
    Grants,
}

impl Probe {
    /// Every probe with its word and the scope it belongs to.
    pub const ALL: &'static [(Self, &'static str, ControlScope)] = &[
        (Self::Access, "access", ControlScope::Connection),
        (Self::Credential, "credential", ControlScope::Connection),
        (Self::Record, "record", ControlScope::Connection),
        (Self::JobsDeclared, "jobs_declared", ControlScope::Connection),
        (Self::Mapping, "mapping", ControlScope::Connection),
        (Self::Identity, "identity", ControlScope::Connection),
        (Self::TestBatch, "test_batch", ControlScope::Connection),
        (Self::Baseline, "baseline", ControlScope::Connection),
        (Self::Fallback, "fallback", ControlScope::Connection),
        (Self::Monitoring, "monitoring", ControlScope::Connection),
        (Self::DeadLetters, "dead_letters", ControlScope::Connection),
        (Self::Quality, "quality", ControlScope::Connection),
        (Self::SchemaCurrent, "schema_current", ControlScope::Global),
        (Self::Grants, "grants", ControlScope::Global),
    ];

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(probe, ..)| *probe == self).map_or("", |(_, word, _)| word)
    }
}

/// What proves a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Machine(Probe),
    /// A named owner signs, with evidence.
    Signed,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(probe) => write!(f, "machine:{}", probe.as_str()),
            Self::Signed => f.write_str("signed"),
        }
    }
}

/// One control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub key: String,
    pub scope: ControlScope,
    pub title: String,
    pub kind: ControlKind,
    pub cadence_days: i64,
    pub proof: Proof,
    /// Whether production waits for it.
    pub required: bool,
    command: String,
    /// The sentence that is handed on; that of a report note is for clients.
    pub text: String,
    /// What holds where a signature does not say otherwise. Never an owner: that is a person's to give.
    pub defaults: ControlFacts,
}

impl Definition {
    /// What supplies the proof, for one connection or for the installation.
    pub fn command(&self, connection_key: Option<&str>) -> String {
        let filled = self.command.replace("{control}", &self.key);
        match connection_key {
            Some(key) => filled.replace("{connection}", key),
            None => filled,
        }
    }
}

/// All controls, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    all: Vec<Definition>,
}

impl Definitions {
    /// The built-in controls, with those of a file (its name and its text) added or put in their place, by key.
    ///
    /// # Errors
    /// Everything that is wrong with the file, each as `file: line: field: message; remedy`.
    pub fn read(file: Option<(&str, &str)>) -> Result<Self, Vec<String>> {
        let mut all = parse("config/launch.yaml", BUILT_IN)?;
        if let Some((name, text)) = file {
            for definition in parse(name, text)? {
                match all.iter_mut().find(|known| known.key == definition.key) {
                    Some(known) => *known = definition,
                    None => all.push(definition),
                }
            }
        }
        Ok(Self { all })
    }

    /// Those of a scope.
    pub fn of(&self, scope: ControlScope) -> impl Iterator<Item = &Definition> {
        self.all.iter().filter(move |definition| definition.scope == scope)
    }

    pub fn find(&self, key: &str) -> Option<&Definition> {
        self.all.iter().find(|definition| definition.key == key)
    }

    /// The key that is most like a mistyped one.
    pub fn nearest(&self, key: &str) -> Option<&str> {
        nearest(key, self.all.iter().map(|definition| definition.key.as_str()))
    }
}

fn parse(file: &str, text: &str) -> Result<Vec<Definition>, Vec<String>> {
    let told = |problems: Vec<Problem>| problems.iter().map(|problem| format!("{file}: {problem}")).collect();
    let root = yaml::parse(text, Dialect::Strict).map_err(|problem| told(vec![problem]))?;
    let mut problems = Vec::new();
    let mut all: Vec<Definition> = Vec::new();
    if let Some(mut top) = Table::open(&root, "", &mut problems) {
        for (index, node) in top.items("controls").into_iter().enumerate() {
            let path = format!("controls[{index}]");
            let Some(mut table) = Table::open(node, &path, &mut problems) else { continue };
            if let Some(definition) = definition(&mut table, &mut problems) {
                if all.iter().any(|known| known.key == definition.key) {
                    let message = format!("control `{}` stands twice", definition.key);
                    problems.push(Problem::new(
                        table.line_of("key"),
                        &table.path("key"),
                        message,
                        "keep one of the two",
                    ));
                }
                all.push(definition);
            }
            table.finish(&mut problems);
        }
        top.finish(&mut problems);
    }
    if problems.is_empty() { Ok(all) } else { Err(told(problems)) }
}

fn definition(table: &mut Table<'_>, problems: &mut Vec<Problem>) -> Option<Definition> {
    let key = table.required_text("key", "give the control a short stable name", problems);
    if let Some(key) = &key
        && !(key.len() <= LONGEST_KEY && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'))
    {
        let remedy = format!("use letters, digits, - and _, at most {LONGEST_KEY} of them");
        problems.push(Problem::new(table.line_of("key"), &table.path("key"), "is no key", remedy));
    }
    let scope = word::<ControlScope>(table, "scope", problems);
    let title = table.required_text("title", "say in a few words what is shown", problems);
    if title.as_ref().is_some_and(|title| title.chars().count() > LONGEST_TITLE) {
        let remedy = format!("use at most {LONGEST_TITLE} characters");
        problems.push(Problem::new(table.line_of("title"), &table.path("title"), "is too long", remedy));
    }
    let kind = word::<ControlKind>(table, "kind", problems);
    let cadence = table.required_text("cadence_days", "say after how many days it is reviewed", problems);
    let cadence_days = cadence.and_then(|text| {
        let days = text.parse().ok().filter(|days| (1..=LONGEST_CADENCE).contains(days));
        if days.is_none() {
            let remedy = format!("write a whole number from 1 to {LONGEST_CADENCE}");
            let line = table.line_of("cadence_days");
            problems.push(Problem::new(line, &table.path("cadence_days"), "is no number of days", remedy));
        }
        days
    });
    let proof = proof(table, scope, problems);
    if table.get("required").is_none() {
        problems.push(Problem::new(table.line, &table.path("required"), "is required", "write true or false"));
    }
    let required = table.bool("required", problems);
    let command = table.required_text("command", "say what supplies the proof", problems);
    let text = table.required_text("text", "write the sentence that is handed on", problems);
    let defaults = ControlFacts {
        owner: None,
        source: table.text("source", problems),
        environment: table.text("environment", problems),
        data_boundary: table.text("data_boundary", problems),
        rollback_path: table.text("rollback_path", problems),
        review_cadence_days: cadence_days,
    };
    if let Some(name) = &defaults.environment
        && !super::signing::ENVIRONMENTS.contains(&name.as_str())
    {
        let remedy = format!("use one of: {}", super::signing::ENVIRONMENTS.join(", "));
        let line = table.line_of("environment");
        problems.push(Problem::new(line, &table.path("environment"), "is no environment", remedy));
    }
    Some(Definition {
        key: key?,
        scope: scope?,
        title: title?,
        kind: kind?,
        cadence_days: cadence_days?,
        proof: proof?,
        required: required?,
        command: command?,
        text: text?,
        defaults,
    })
}

fn word<T: FromStr<Err = crate::domain::status::UnknownWord>>(
    table: &mut Table<'_>,
    key: &'static str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let text = table.required_text(key, "docs/launch.md lists the words", problems)?;
    text.parse()
        .map_err(|unknown: crate::domain::status::UnknownWord| {
            let message = format!("`{text}` is no {}", unknown.kind);
            let remedy = format!("use one of: {}", unknown.expected);
            problems.push(Problem::new(table.line_of(key), &table.path(key), message, remedy));
        })
        .ok()
}

fn proof(table: &mut Table<'_>, scope: Option<ControlScope>, problems: &mut Vec<Problem>) -> Option<Proof> {
    let text = table.required_text("proof", "write signed, or machine: and a probe", problems)?;
    if text == "signed" {
        return Some(Proof::Signed);
    }
    let mut problem = |message: String, remedy: String| {
        problems.push(Problem::new(table.line_of("proof"), &table.path("proof"), message, remedy));
        None
    };
    let fitting =
        || Probe::ALL.iter().filter(|(.., of)| scope.is_none_or(|scope| scope == *of)).map(|(_, word, _)| *word);
    let Some(name) = text.strip_prefix("machine:") else {
        return problem(format!("`{text}` is no proof"), "write signed, or machine: and a probe".to_owned());
    };
    match Probe::ALL.iter().find(|(_, word, _)| *word == name) {
        Some((probe, _, of)) if scope.is_none_or(|scope| scope == *of) => Some(Proof::Machine(*probe)),
        Some((_, word, of)) => problem(
            format!("probe `{word}` looks at a {of}"),
            format!("use one of: {}", fitting().collect::<Vec<_>>().join(", ")),
        ),
        None => {
            let remedy = nearest(name, fitting()).map_or_else(
                || format!("use one of: {}", fitting().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `machine:{near}`?"),
            );
            problem(format!("there is no probe `{name}`"), remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p20_the_shipped_file_has_the_ten_steps_and_the_twenty_four_controls() {
        let all = Definitions::read(None).unwrap();
        let steps: Vec<&str> = all.of(ControlScope::Connection).map(|d| d.key.as_str()).collect();
        assert_eq!(
            steps,
            [
                "access",
                "credential",
                "record",
                "jobs_declared",
                "mapping",
                "identity",
                "test_batch",
                "baseline",
                "fallback",
                "monitoring"
            ]
        );
        assert!(all.of(ControlScope::Connection).all(|d| d.required && d.proof != Proof::Signed));
        assert_eq!(all.of(ControlScope::Global).count(), 24);
        let sign = all.find("rollback_owner").unwrap().command(None);
        assert!(sign.starts_with("tidegate launch sign rollback_owner --owner "), "{sign}");
        let check = all.find("identity").unwrap().command(Some("acme"));
        assert_eq!(check, "tidegate connection check acme");
    }

    #[test]
    fn a_file_adds_and_replaces_by_key() {
        let text = "controls:\n  - { key: baseline, scope: connection, title: B, kind: sop_note, cadence_days: 7, proof: signed, required: false, command: c, text: t }\n  \
                    - { key: legal, scope: global, title: L, kind: sop_note, cadence_days: 7, proof: signed, required: true, command: c, text: t }\n";
        let all = Definitions::read(Some(("mine.yaml", text))).unwrap();
        assert_eq!(all.find("baseline").unwrap().proof, Proof::Signed);
        assert_eq!(all.of(ControlScope::Connection).count(), 10);
        assert_eq!(all.of(ControlScope::Global).count(), 25);
    }

    #[test]
    fn everything_wrong_with_a_file_is_told_at_once_with_file_line_and_remedy() {
        let text = "controls:\n  - key: a b\n    scope: globl\n    title: T\n    kind: note\n    cadence_days: 0\n    proof: machine:grant\n    comand: x\n  \
                    - { key: x, scope: global, title: T, kind: sop_note, cadence_days: 1, proof: machine:access, required: yes, command: c, text: t, environment: moon }\n";
        let told = Definitions::read(Some(("mine.yaml", text))).unwrap_err().join("\n");
        for part in [
            "mine.yaml: line 2: controls[0].key: is no key",
            "`globl` is no control scope; use one of: global, connection",
            "`note` is no control kind",
            "is no number of days; write a whole number from 1 to 3650",
            "there is no probe `grant`; did you mean `machine:grants`?",
            "controls[0].required: is required; write true or false",
            "controls[0].text: is required",
            "controls[0].comand: is not a known key; did you mean `command`?",
            "line 9: controls[1].proof: probe `access` looks at a connection; use one of: schema_current, grants",
            "controls[1].required: true or false is expected",
            "controls[1].environment: is no environment; use one of: production, staging, sandbox, all",
        ] {
            assert!(told.contains(part), "'{part}' is not told\n{told}");
        }
    }
}

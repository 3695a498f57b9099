//! The checks as data: severity, thresholds and wording from `config/quality.yaml`, with what a file of the operator's lays over it.
//!
//! Owns the file's shape and which layer wins: the connection's entry, then its provider's, then the operator's file, then the
//! built-in one. Refuses unknown checks and thresholds, and wording that a client must not read; finds all problems at once.

use std::{collections::BTreeMap, fmt};

use super::key::CheckKey;
use crate::{
    domain::{status::Severity, wording_guard},
    yaml::{self, Dialect, Node, NodeValue, Problem, Table, nearest},
};

/// The built-in checks.
pub const BUILT_IN: &str = include_str!("../../config/quality.yaml");
/// What the built-in checks are called in a problem.
const BUILT_IN_NAME: &str = "config/quality.yaml (built in)";
/// Longest sentence, in characters.
const LONGEST_SENTENCE: usize = 300;

/// One check as it holds for one connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub key: CheckKey,
    pub severity: Severity,
    pub enabled: bool,
    /// What a client may read while the check is not passed.
    pub client_safe: String,
    thresholds: BTreeMap<&'static str, f64>,
}

impl Rule {
    /// The threshold of that name. Every one of [`CheckKey::thresholds`] is there: reading the built-in file sees to it.
    pub fn number(&self, name: &str) -> f64 {
        self.thresholds.get(name).copied().unwrap_or_default()
    }

    /// A threshold that counts: cut to a whole number.
    #[expect(clippy::cast_possible_truncation, reason = "a threshold is at most a thousand million, see CheckKey")]
    pub fn count(&self, name: &str) -> i64 {
        self.number(name) as i64
    }

    /// A threshold that bounds a query.
    pub fn bound(&self, name: &str) -> u32 {
        u32::try_from(self.count(name)).unwrap_or(u32::MAX)
    }
}

/// What an entry of a file changes.
#[derive(Debug, Clone, Default, PartialEq)]
struct Change {
    severity: Option<Severity>,
    enabled: Option<bool>,
    client_safe: Option<String>,
    thresholds: BTreeMap<&'static str, f64>,
}

type Changes = BTreeMap<CheckKey, Change>;

/// All checks with their layers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    checks: Changes,
    providers: BTreeMap<String, Changes>,
    connections: BTreeMap<String, Changes>,
}

/// Something that is wrong with a file of checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesProblem {
    /// The file as it was named.
    pub file: String,
    pub problem: Problem,
}

impl fmt::Display for RulesProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { line, field, message, remedy } = &self.problem;
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        write!(f, "{}{line}: {field}{message} ({remedy})", self.file)
    }
}

impl Rules {
    /// The built-in checks alone.
    ///
    /// # Errors
    /// None in a program that passes its tests; otherwise everything that is wrong with the built-in file.
    pub fn built_in() -> Result<Self, Vec<RulesProblem>> {
        Self::parse(None, &[])
    }

    /// The built-in checks with the operator's file, its name and its text, laid over them. `providers` are the known providers'
    /// keys; when there are none, they are not held against the file.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn parse(file: Option<(&str, &str)>, providers: &[String]) -> Result<Self, Vec<RulesProblem>> {
        let mut rules = Self::default();
        let mut all = Vec::new();
        for (name, text) in [(BUILT_IN_NAME, BUILT_IN)].into_iter().chain(file) {
            let mut problems = Vec::new();
            rules.read(text, providers, &mut problems);
            if name == BUILT_IN_NAME {
                rules.want_all(&mut problems);
            }
            problems.sort_by_key(|problem| problem.line);
            all.extend(problems.into_iter().map(|problem| RulesProblem { file: name.to_owned(), problem }));
        }
        if all.is_empty() { Ok(rules) } else { Err(all) }
    }

    /// The checks of one connection in their order, without those that are switched off.
    pub fn of(&self, provider_key: &str, connection_key: &str) -> Vec<Rule> {
        let layers = [Some(&self.checks), self.providers.get(provider_key), self.connections.get(connection_key)];
        let rule = |key: CheckKey| {
            let mut rule = Rule {
                key,
                severity: Severity::Error,
                enabled: true,
                client_safe: String::new(),
                thresholds: BTreeMap::new(),
            };
            for change in layers.iter().flatten().filter_map(|changes| changes.get(&key)) {
                rule.severity = change.severity.unwrap_or(rule.severity);
                rule.enabled = change.enabled.unwrap_or(rule.enabled);
                if let Some(sentence) = &change.client_safe {
                    rule.client_safe.clone_from(sentence);
                }
                rule.thresholds.extend(&change.thresholds);
            }
            rule
        };
        CheckKey::ALL.iter().copied().map(rule).filter(|rule| rule.enabled).collect()
    }

    fn read(&mut self, text: &str, providers: &[String], problems: &mut Vec<Problem>) {
        let root = match yaml::parse(text, Dialect::Strict) {
            Ok(root) => root,
            Err(problem) => return problems.push(problem),
        };
        let Some(mut top) = Table::open(&root, "", problems) else { return };
        changes(top.pairs("checks", problems), "checks", &mut self.checks, problems);
        for (kind, into) in [("providers", &mut self.providers), ("connections", &mut self.connections)] {
            for (key, node) in top.pairs(kind, problems) {
                let path = format!("{kind}.{key}");
                if kind == "providers" && !providers.is_empty() && !providers.contains(key) {
                    let near = nearest(key, providers.iter().map(String::as_str));
                    let remedy = near.map_or_else(
                        || "tidegate provider list shows all".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    problems.push(Problem::new(node.line, &path, "there is no such provider", remedy));
                }
                if Table::open(node, &path, problems).is_some() {
                    changes(node.entries(), &path, into.entry(key.clone()).or_default(), problems);
                }
            }
        }
        top.finish(problems);
    }

    /// The built-in file says everything, so that no rule lacks a number.
    fn want_all(&self, problems: &mut Vec<Problem>) {
        for key in CheckKey::ALL {
            let change = self.checks.get(key);
            let whole = change.is_some_and(|change| {
                change.severity.is_some()
                    && change.client_safe.is_some()
                    && key.thresholds().iter().all(|threshold| change.thresholds.contains_key(threshold.name))
            });
            if !whole {
                let message = "is not fully declared";
                problems.push(Problem::new(None, key.as_str(), message, "give severity, client_safe, all thresholds"));
            }
        }
    }
}

fn changes(entries: &[(String, Node)], path: &str, into: &mut Changes, problems: &mut Vec<Problem>) {
    for (name, node) in entries {
        let path = format!("{path}.{name}");
        let Some(key) = CheckKey::of(name) else {
            let known = CheckKey::ALL.iter().map(|key| key.as_str());
            let remedy = nearest(name, known.clone()).map_or_else(
                || format!("checks: {}", known.collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            problems.push(Problem::new(node.line, &path, "there is no such check", remedy));
            continue;
        };
        let Some(table) = Table::open(node, &path, problems) else { continue };
        let change = change(key, table, problems);
        let before = into.entry(key).or_default();
        before.severity = change.severity.or(before.severity);
        before.enabled = change.enabled.or(before.enabled);
        before.client_safe = change.client_safe.or_else(|| before.client_safe.take());
        before.thresholds.extend(change.thresholds);
    }
}

fn change(key: CheckKey, mut table: Table<'_>, problems: &mut Vec<Problem>) -> Change {
    let severity = table.text("severity", problems).and_then(|word| match word.parse::<Severity>() {
        Ok(severity) => Some(severity),
        Err(unknown) => {
            let line = table.line_of("severity");
            problems.push(Problem::new(line, &table.path("severity"), unknown.to_string(), "write error or warn"));
            None
        }
    });
    let enabled = table.get("enabled").is_some().then(|| table.bool("enabled", problems)).flatten();
    if key.is_fixed() && (enabled == Some(false) || severity == Some(Severity::Warn)) {
        let remedy = "leave it out: what keeps one client's data from another always holds";
        problems.push(Problem::new(table.line, &table.path(""), "cannot be switched off or made a warning", remedy));
    }
    let client_safe = table.text("client_safe", problems);
    if let Some(sentence) = &client_safe {
        let leaks = wording_guard::leaks(sentence, &[]);
        let line = table.line_of("client_safe");
        if let Some(leak) = leaks.first() {
            let message = format!("a client must not read this: {leak}");
            problems.push(Problem::new(line, &table.path("client_safe"), message, "say it in words of a client's"));
        }
        if sentence.trim().is_empty() || sentence.chars().count() > LONGEST_SENTENCE {
            let remedy = format!("write one sentence of at most {LONGEST_SENTENCE} characters");
            problems.push(Problem::new(line, &table.path("client_safe"), "is no short sentence", remedy));
        }
    }
    let path = table.path("thresholds");
    let thresholds = thresholds(key, table.pairs("thresholds", problems), &path, problems);
    table.finish(problems);
    Change { severity, enabled, client_safe, thresholds }
}

fn thresholds(
    key: CheckKey,
    entries: &[(String, Node)],
    path: &str,
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'static str, f64> {
    let mut numbers = BTreeMap::new();
    for (name, node) in entries {
        let path = format!("{path}.{name}");
        let known = key.thresholds();
        let Some(threshold) = known.iter().find(|threshold| threshold.name == name) else {
            let names = known.iter().map(|threshold| threshold.name);
            let remedy = match nearest(name, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "the check has none".to_owned(),
                None => format!("thresholds: {}", names.collect::<Vec<_>>().join(", ")),
            };
            problems.push(Problem::new(node.line, &path, "is no threshold of the check", remedy));
            continue;
        };
        let number = match &node.value {
            NodeValue::Number(number) => number.as_f64(),
            NodeValue::Null | NodeValue::Bool(_) | NodeValue::Text(_) | NodeValue::List(_) | NodeValue::Table(_) => {
                None
            }
        };
        match number.filter(|number| (threshold.least..=threshold.most).contains(number)) {
            Some(number) => {
                numbers.insert(threshold.name, number);
            }
            None => {
                let message = format!("a number from {} to {} is expected", threshold.least, threshold.most);
                problems.push(Problem::new(node.line, &path, message, "write the number without quotes"));
            }
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let known = ["hubspot".to_owned(), "angi".to_owned()];
        Rules::parse(Some(("q.yaml", text)), &known).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_built_in_file_declares_every_check_with_every_number() {
        let rules = Rules::built_in().unwrap();
        let all = rules.of("any", "any");
        assert_eq!(all.iter().map(|rule| rule.key).collect::<Vec<_>>(), CheckKey::ALL);
        let warns: Vec<_> = all.iter().filter(|rule| rule.severity == Severity::Warn).map(|rule| rule.key).collect();
        assert_eq!(warns, [CheckKey::PossibleDuplicates, CheckKey::VolumeAnomaly]);
    }

    #[test]
    fn the_connections_entry_wins_over_its_providers_and_that_over_the_file() {
        let text = "checks:\n  freshness: { thresholds: { default_hours: 48 } }\nproviders:\n  angi:\n    freshness: { severity: warn, thresholds: { default_hours: 72 } }\n\
                    connections:\n  acme-angi:\n    freshness: { thresholds: { default_hours: 96 } }\n    volume_anomaly: { enabled: false }\n";
        let rules = Rules::parse(Some(("q.yaml", text)), &[]).unwrap();
        let freshness = |provider: &str, connection: &str| {
            let rule = rules.of(provider, connection).into_iter().find(|r| r.key == CheckKey::Freshness).unwrap();
            (rule.severity, rule.count("default_hours"), rule.count("by_hand_hours"))
        };
        assert_eq!(freshness("hubspot", "x"), (Severity::Error, 48, 840));
        assert_eq!(freshness("angi", "x"), (Severity::Warn, 72, 840));
        assert_eq!(freshness("angi", "acme-angi"), (Severity::Warn, 96, 840));
        assert!(rules.of("angi", "acme-angi").iter().all(|rule| rule.key != CheckKey::VolumeAnomaly));
    }

    #[test]
    fn everything_wrong_is_told_at_once_with_line_and_nearest_key() {
        let found = problems(
            "checks:\n  freshnes: { severity: error }\n  coverage: { severity: fatal, thresholds: { silent_day: 3, silent_runs: many } }\n  \
             account_isolation: { enabled: false }\n  run_complete: { client_safe: ask ada@example.test, colour: red }\nproviders:\n  hubspto: {}\nconections: {}\n",
        );
        for (found, parts) in found.iter().zip([
            ["q.yaml:2", "did you mean `freshness`?"],
            ["q.yaml:3", "'fatal'"],
            ["q.yaml:3", "did you mean `silent_days`?"],
            ["q.yaml:3", "a number from 1 to 100"],
            ["q.yaml:4", "cannot be switched off"],
            ["q.yaml:5", "an e-mail address"],
            ["q.yaml:5", "colour"],
            ["q.yaml:7", "did you mean `hubspot`?"],
            ["q.yaml:8", "did you mean `connections`?"],
        ]) {
            assert!(parts.iter().all(|part| found.contains(part)), "{found}: {parts:?}");
        }
        assert_eq!(found.len(), 9, "{found:#?}");
        assert!(!found.join("\n").contains("ada@"), "{found:?}");
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line() {
        assert!(problems("checks: [\n")[0].starts_with("q.yaml:"), "{:?}", problems("checks: [\n"));
    }
}
